/* leat check: what would go wrong, found before it does. Nothing is changed in the log or a
 * shard. */
#include "cli/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/printable.h"
#include "cli/with_assembly.h"
#include "daemon/log_identity.h"
#include "daemon/shard_tables.h"
#include "daemon/start_catalog.h"
#include "sink/shard.h"

enum { BROKER_TIMEOUT_MS = 5000, DAY_MS = 24 * 60 * 60 * 1000 };

/* Beside the configured ones: the look at the tables, and what the process says of itself. */
enum { OTHER_CONNECTIONS = 2 };

/* What has been found out so far, so what later checks may rest on. */
typedef enum check_need { NOTHING, BROKERS, TOPIC, SHARD, PRIMARY, TABLES } check_need;

/* What a check is about: it is left out where that is not configured. */
typedef enum check_subject { CONFIGURATION, KAFKA, LOCAL_LOG, ANY_SHARD, POSTGRES } check_subject;

typedef struct examination {
    leat_assembly *assembly;
    bool has_brokers;
    bool has_topic;
    bool answers[LEAT_SHARDS_MAX];
    bool takes_writes[LEAT_SHARDS_MAX];
    leat_shard_self selves[LEAT_SHARDS_MAX];    /* of those that were looked at so far */
    leat_shard_server servers[LEAT_SHARDS_MAX]; /* of those that answer; their tables:
                                                   assembly.versions */
    leat_finding *findings;
    uint32_t count;
} examination;

typedef struct check {
    const char *name;
    check_subject subject;
    check_need need;
    void (*run)(examination *about, uint32_t shard, leat_finding *ret); /* sets verdict and what */
    const char *why;
    const char *remedy;
} check;

LEAT_PRINTF(3, 4)
static void find(leat_finding *ret, leat_check_verdict verdict, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    ret->verdict = verdict;
    vsnprintf(ret->what, sizeof ret->what, format, arguments);
    va_end(arguments);
    ret->what[leat_printable_line(ret->what, strlen(ret->what))] = '\0';
}

static void find_error(leat_finding *ret, const leat_error *error)
{
    find(ret, LEAT_CHECK_FAILED, "%s", error->text);
}

static const leat_config_shard *shard_of(const examination *about, uint32_t shard)
{
    return &about->assembly->config.shards[shard];
}

static leat_shard_address address_of(const examination *about, uint32_t shard)
{
    return leat_assembly_address(shard_of(about, shard));
}

/* ---- the configuration and the log ---- */

static void check_configuration(examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    const leat_config *config = &about->assembly->config;
    find(ret, LEAT_CHECK_OK, "%s, %" PRIu32 " shards, %" PRIu32 " routes", config->file,
         config->shard_count, config->route_count);
}

static void check_brokers(examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    leat_error error = {0};
    leat_assembly *assembly = about->assembly;
    int answer = leat_log_identify(&assembly->log, BROKER_TIMEOUT_MS, &assembly->identity, &error);
    about->has_brokers = answer >= 0;
    about->has_topic = answer == 0;
    if (about->has_topic)
        leat_assembly_limit_partitions(assembly);
    if (answer < 0)
        find_error(ret, &error);
    else
        find(ret, LEAT_CHECK_OK, "%s answers", assembly->log.brokers);
}

static void check_topic(examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    const leat_config *config = &about->assembly->config;
    uint32_t partitions = about->assembly->identity.partition_count;
    leat_error error = {0};
    if (!about->has_topic && leat_assembly_check_not_deleted(about->assembly, &error) != 0)
        find(ret, LEAT_CHECK_FAILED, "%s", error.text);
    else if (!about->has_topic)
        find(ret, LEAT_CHECK_FAILED, "topic %s does not exist", config->kafka_topic);
    else if (config->kafka_partitions && (uint32_t)config->kafka_partitions != partitions)
        find(ret, LEAT_CHECK_FAILED,
             "topic %s has %" PRIu32 " partitions, log.kafka.partitions is %" PRId64,
             config->kafka_topic, partitions, config->kafka_partitions);
    else if (partitions < about->assembly->found_partitions)
        find(ret, LEAT_CHECK_WARNING,
             "topic %s has %" PRIu32 " partitions, it was set up with %" PRIu32
             ": the others are neither "
             "written to nor read",
             config->kafka_topic, about->assembly->found_partitions, partitions);
    else if (partitions < config->shard_count)
        find(ret, LEAT_CHECK_FAILED,
             "topic %s has too few partitions, %" PRIu32 ", for %" PRIu32 " shards",
             config->kafka_topic, partitions, config->shard_count);
    else
        find(ret, LEAT_CHECK_OK, "%s, %" PRIu32 " partitions", config->kafka_topic, partitions);
}

static void check_local_log(examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    leat_error error = {0};
    leat_assembly *assembly = about->assembly;
    int answer = leat_log_identify(&assembly->log, BROKER_TIMEOUT_MS, &assembly->identity, &error);
    about->has_topic = answer == 0;
    if (answer == 1)
        find(ret, LEAT_CHECK_OK, "%s is not there yet: `leat run` makes it", assembly->log.file);
    else if (answer != 0 || leat_assembly_check_partitions(assembly, &error) != 0)
        find_error(ret, &error);
    else
        find(ret, LEAT_CHECK_OK, "%s, %" PRIu32 " partitions", assembly->log.file,
             assembly->identity.partition_count);
}

/* Reads a setting of the topic; false: `ret` says that it cannot be read. leat starts without
 * having seen it, and warns. */
static bool read_setting(examination *about, const char *name, char *value, size_t size,
                         leat_finding *ret)
{
    leat_error error = {0};
    if (leat_log_topic_setting(&about->assembly->log, name, BROKER_TIMEOUT_MS, value, size,
                               &error) == 0)
        return true;
    find(ret, LEAT_CHECK_WARNING, "it is not known: %s", error.text);
    ret->remedy =
        "let leat read the topic's settings (DESCRIBE_CONFIGS on the topic), or look yourself: kafka-configs.sh --describe "
        "--entity-type topics --entity-name TOPIC --all";
    return false;
}

static void check_compaction(examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    char value[128];
    if (read_setting(about, "cleanup.policy", value, sizeof value, ret))
        find(ret, strstr(value, "compact") ? LEAT_CHECK_FAILED : LEAT_CHECK_OK,
             "cleanup.policy is %s", value);
}

static void check_timestamps(examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    char value[32];
    if (read_setting(about, "message.timestamp.type", value, sizeof value, ret))
        find(ret, strcmp(value, "LogAppendTime") == 0 ? LEAT_CHECK_OK : LEAT_CHECK_WARNING,
             "message.timestamp.type is %s", value);
}

static void check_replicas(examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    char value[32];
    if (read_setting(about, "min.insync.replicas", value, sizeof value, ret))
        find(ret, strtoll(value, NULL, 10) <= 1 ? LEAT_CHECK_WARNING : LEAT_CHECK_OK,
             "min.insync.replicas is %s", value);
}

static void check_message_size(examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    char value[32];
    int64_t body_max = about->assembly->config.body_max;
    if (read_setting(about, "max.message.bytes", value, sizeof value, ret))
        find(ret, strtoll(value, NULL, 10) < body_max ? LEAT_CHECK_WARNING : LEAT_CHECK_OK,
             "max.message.bytes is %s, limits.body_max is %" PRId64, value, body_max);
}

/* -1: for ever. */
static void check_retention(examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    char value[32];
    if (!read_setting(about, "retention.ms", value, sizeof value, ret))
        return;
    int64_t retention_ms = strtoll(value, NULL, 10);
    bool is_short = retention_ms >= 0 && retention_ms < DAY_MS;
    find(ret, is_short ? LEAT_CHECK_WARNING : LEAT_CHECK_OK, "retention.ms is %s%s", value,
         is_short ? ", less than a day" : "");
}

/* ---- a shard's server ---- */

static void describe_server(const examination *about, uint32_t shard, leat_finding *ret)
{
    const leat_shard_server *server = &about->servers[shard];
    if (shard_of(about, shard)->sqlite)
        find(ret, LEAT_CHECK_OK, "%s, SQLite %s", shard_of(about, shard)->sqlite, server->version);
    else
        find(ret, LEAT_CHECK_OK, "PostgreSQL %s, role %s", server->version, server->role);
}

static void check_answer(examination *about, uint32_t shard, leat_finding *ret)
{
    leat_error error = {0};
    leat_shard_server *server = &about->servers[shard];
    about->answers[shard] = leat_shard_read_server(address_of(about, shard), server, &error) == 0;
    if (about->answers[shard])
        describe_server(about, shard, ret);
    else
        find_error(ret, &error);
}

static void check_writable(examination *about, uint32_t shard, leat_finding *ret)
{
    const leat_shard_server *server = &about->servers[shard];
    about->takes_writes[shard] = !server->read_only;
    find(ret, server->read_only ? LEAT_CHECK_FAILED : LEAT_CHECK_OK, "%s",
         !server->read_only   ? "it takes writes"
         : server->is_standby ? "it is a standby, and no primary answers"
                              : "it is read-only");
}

static void check_fsync(examination *about, uint32_t shard, leat_finding *ret)
{
    bool is_on = about->servers[shard].fsync;
    find(ret, is_on ? LEAT_CHECK_OK : LEAT_CHECK_FAILED, "fsync is %s", is_on ? "on" : "off");
}

static void check_synchronous_commit(examination *about, uint32_t shard, leat_finding *ret)
{
    const leat_shard_server *server = &about->servers[shard];
    bool is_off = strcmp(server->synchronous_commit, "off") == 0;
    find(ret, is_off ? LEAT_CHECK_WARNING : LEAT_CHECK_OK, "synchronous_commit is %s for role %s",
         server->synchronous_commit, server->role);
}

static void check_triggers(examination *about, uint32_t shard, leat_finding *ret)
{
    const leat_shard_server *server = &about->servers[shard];
    find(ret, server->is_replica ? LEAT_CHECK_WARNING : LEAT_CHECK_OK,
         "session_replication_role is %s for role %s",
         server->is_replica ? "replica" : "not replica", server->role);
}

static void check_time_limits(examination *about, uint32_t shard, leat_finding *ret)
{
    const leat_shard_server *server = &about->servers[shard];
    if (*server->time_limits)
        find(ret, LEAT_CHECK_WARNING, "%s for role %s", server->time_limits, server->role);
    else
        find(ret, LEAT_CHECK_OK, "none that ends what leat does, for role %s", server->role);
}

static void check_connections(examination *about, uint32_t shard, leat_finding *ret)
{
    int64_t wanted = shard_of(about, shard)->connections + OTHER_CONNECTIONS,
            allowed = about->servers[shard].connections_max;
    find(ret, wanted > allowed ? LEAT_CHECK_WARNING : LEAT_CHECK_OK,
         "a process of leat wants up to %" PRId64 " connections, role %s may have %" PRId64, wanted,
         about->servers[shard].role, allowed);
}

/* ---- what leat keeps in a shard, and the tables ---- */

static int compare_source(examination *about, const leat_source *stored, const leat_layout *layout,
                          leat_error *error)
{
    leat_source running;
    leat_layout even;
    if (leat_assembly_running_source(about->assembly, &running, &even, error) != 0)
        return -1;
    return leat_shard_check_source(stored, layout, &running, &even, error);
}

/* Against the shards before it; of the others nothing is known yet. */
static void check_own(examination *about, uint32_t shard, leat_finding *ret)
{
    leat_error error = {0};
    const char *names[LEAT_SHARDS_MAX];
    const leat_assembly *assembly = about->assembly;
    leat_assembly_shard_names(assembly, names);
    if (leat_shard_read_self(address_of(about, shard), assembly->log.topic, &about->selves[shard],
                             &error) != 0 ||
        leat_shard_check_self(names, about->selves, assembly->config.shard_count, shard, &error) !=
            0)
        find_error(ret, &error);
    else
        find(ret, LEAT_CHECK_OK, "%s%s", about->selves[shard].where,
             *about->selves[shard].shard ? ", set up for this shard" : ", not set up yet");
}

static void check_schema(examination *about, uint32_t shard, leat_finding *ret)
{
    leat_error error = {0};
    leat_source stored;
    leat_layout layout;
    const char *topic = about->assembly->log.topic;
    int found = leat_shard_read_source(address_of(about, shard), topic, &stored, &layout, &error);
    if (found == 1 && shard_of(about, shard)->sqlite)
        find(ret, LEAT_CHECK_OK, "nothing of the log yet: `leat run` sets it up");
    else if (found == 1)
        find(ret, LEAT_CHECK_FAILED, "it knows nothing of topic %s", topic);
    else if (found != 0 ||
             (about->has_topic && compare_source(about, &stored, &layout, &error) != 0))
        find_error(ret, &error);
    else
        find(ret, LEAT_CHECK_OK, "%s",
             about->has_topic ? "as the configuration and the log want it"
                              : "there; not compared with the log, which is not known");
}

static void check_tables(examination *about, uint32_t shard, leat_finding *ret)
{
    leat_assembly *assembly = about->assembly;
    leat_error error = {0};
    leat_table *tables = NULL;
    uint32_t count = 0;
    if (leat_assembly_read_tables(assembly, address_of(about, shard), &tables, &count, &error) == 0)
        assembly->versions[shard] = leat_assembly_build_version(assembly, tables, count, &error);
    if (assembly->versions[shard])
        find(ret, LEAT_CHECK_OK, "%" PRIu32 " tables fit the routes", count);
    else
        find_error(ret, &error);
}

static void check_alike(examination *about, uint32_t shard, leat_finding *ret)
{
    leat_error error = {0};
    uint32_t first = 0;
    while (!about->assembly->versions[first])
        first++;
    const leat_schema_version *model = about->assembly->versions[first];
    const char *name = shard_of(about, first)->name;
    if (leat_assembly_compare_tables(about->assembly, shard_of(about, shard)->name,
                                     about->assembly->versions[shard]->tables, name, model->tables,
                                     model->table_count, &error) != 0)
        find_error(ret, &error);
    else
        find(ret, LEAT_CHECK_OK, "as in shard %s%s", name, first == shard ? ", itself" : "");
}

static void check_privileges(examination *about, uint32_t shard, leat_finding *ret)
{
    leat_error error = {0};
    leat_buf missing = {0}, grants = {0};
    const leat_schema_version *version = about->assembly->versions[shard];
    const char *role = about->servers[shard].role;
    if (leat_shard_missing_privileges(address_of(about, shard), version->tables,
                                      version->table_count, &missing, &grants, &error) != 0) {
        find_error(ret, &error);
    } else if (missing.size > 0) {
        find(ret, LEAT_CHECK_FAILED, "role %s lacks %s", role, leat_buf_cstr(&missing));
        ret->exact = leat_must_strdup(leat_buf_cstr(&grants));
    } else {
        find(ret, LEAT_CHECK_OK, "role %s may do what leat does", role);
    }
    leat_buf_free(&missing);
    leat_buf_free(&grants);
}

/* ---- all of them ---- */

static const check checks[] = {
    {"configuration", CONFIGURATION, NOTHING, check_configuration, "", ""},
    {"Kafka", KAFKA, NOTHING, check_brokers, "without Kafka no write is accepted and none applied",
     "start the brokers; see log.kafka.brokers, the network between, and log.kafka.properties for TLS and SASL"},
    {"topic", KAFKA, BROKERS, check_topic,
     "each partition belongs to one shard for good, so their number is fixed at init",
     "run `leat init` for a topic that is not there; else correct log.kafka.partitions or use another topic"},
    {"compaction", KAFKA, TOPIC, check_compaction,
     "compaction drops older PATCHes of a key before they are applied: their changes would be lost",
     "kafka-configs.sh --alter --entity-type topics --entity-name TOPIC --add-config cleanup.policy=delete"},
    {"timestamps", KAFKA, TOPIC, check_timestamps,
     "retention goes by the time that an edge's clock gives: of one that is days behind it deletes acknowledged writes at once",
     "run `leat init`, or: kafka-configs.sh --alter --entity-type topics --entity-name TOPIC --add-config "
     "message.timestamp.type=LogAppendTime"},
    {"in-sync replicas", KAFKA, TOPIC, check_replicas,
     "a write is acknowledged when one broker has it: what that broker had alone is lost with its disk",
     "three replicas and min.insync.replicas=2; nothing to do where one broker is all there is, as on a laptop"},
    {"message size", KAFKA, TOPIC, check_message_size,
     "a write that is larger than that, and not than limits.body_max, is answered 413",
     "raise max.message.bytes of the topic, or lower limits.body_max"},
    {"retention", KAFKA, TOPIC, check_retention,
     "a shard that is down for longer than that loses writes: Kafka deletes them before they are applied",
     "set retention.ms to more than the longest outage you want to survive; a week (604800000) is usual"},
    {"built-in log", LOCAL_LOG, NOTHING, check_local_log, "without its log leat does not start",
     "see log.local.path and who may write there; its number of partitions never changes"},
    {"connection", ANY_SHARD, NOTHING, check_answer,
     "while a shard does not answer its writes wait in the log",
     "start the database; see the shard's dsn, pg_hba.conf and the network; PostgreSQL must be 15 or later. Of a SQLite "
     "file: make it, with your tables"},
    {"read-only", ANY_SHARD, SHARD, check_writable, "nothing can be applied, as on a standby",
     "let the dsn lead to the primary (it may name several hosts, leat takes the primary), or unset default_transaction_read_only; of a SQLite "
     "file and its directory: let leat's user write"},
    {"fsync", POSTGRES, SHARD, check_fsync,
     "a power failure can corrupt the database, rows and progress alike",
     "fsync = on in postgresql.conf, and reload"},
    {"synchronous_commit", POSTGRES, SHARD, check_synchronous_commit,
     "a crash of the database takes back commits it had acknowledged: leat applies them again, but only what the log "
     "still has, and until then readers miss rows they have seen",
     "ALTER ROLE or ALTER DATABASE ... SET synchronous_commit = on, or in postgresql.conf"},
    {"triggers", POSTGRES, SHARD, check_triggers,
     "triggers and foreign keys are not fired by leat's writes",
     "ALTER ROLE or ALTER DATABASE ... RESET session_replication_role"},
    {"time limits", POSTGRES, SHARD, check_time_limits,
     "the server ends a batch that takes longer, which is repeated in smaller parts; transaction_timeout and idle_session_timeout end the "
     "session too, which is made anew each time",
     "ALTER ROLE ... SET statement_timeout = 0, transaction_timeout = 0, idle_session_timeout = 0, each on its own; leat has limits of its "
     "own, of a minute"},
    {"connections", POSTGRES, SHARD, check_connections,
     "it works with the connections it gets, slower; other processes and programs need some too",
     "lower shards[].connections, or raise max_connections or the limit of the role or database"},
    {"own database", ANY_SHARD, PRIMARY, check_own,
     "a partition belongs to one shard's database for good: in another one its progress is not known",
     "correct where the shards lead to; nothing has to be changed in a database"},
    {"schema leat", ANY_SHARD, PRIMARY, check_schema,
     "progress is kept there; offsets of another log or layout mean nothing",
     "run `leat init`, as the owner of the schema; where it refuses, it says what contradicts what"},
    {"tables", ANY_SHARD, PRIMARY, check_tables,
     "a route that does not fit its table cannot be served",
     "create or alter the table, or correct the route"},
    {"tables alike", ANY_SHARD, TABLES, check_alike,
     "the edge accepts a write that one of the shards cannot take",
     "run the same migrations in every shard"},
    {"privileges", POSTGRES, TABLES, check_privileges,
     "writes that need them wait until they are granted",
     "GRANT them to the role, as docs/operations.md lists them"},
};

static const char *unmet(const examination *about, check_need need, uint32_t shard)
{
    switch (need) {
    case BROKERS:
        return about->has_brokers ? NULL : "Kafka does not answer";
    case TOPIC:
        return about->has_topic ? NULL : "the topic is not known";
    case SHARD:
        return about->answers[shard] ? NULL : "the shard does not answer";
    case PRIMARY:
        return !about->answers[shard]       ? "the shard does not answer"
               : about->takes_writes[shard] ? NULL
                                            : "it is read-only";
    case TABLES:
        return about->assembly->versions[shard] ? NULL : "the tables are not known";
    default:
        return NULL;
    }
}

static bool is_of_shard(const check *from)
{
    return from->subject == ANY_SHARD || from->subject == POSTGRES;
}

static bool is_configured(const examination *about, const check *from, uint32_t shard)
{
    switch (from->subject) {
    case KAFKA:
        return !about->assembly->log.file;
    case LOCAL_LOG:
        return about->assembly->log.file != NULL;
    case POSTGRES:
        return shard_of(about, shard)->dsn != NULL;
    default:
        return true;
    }
}

static void run_check(examination *about, const check *from, uint32_t shard)
{
    leat_finding *finding = &about->findings[about->count++];
    *finding = (leat_finding){.check = from->name,
                              .shard = is_of_shard(from) ? shard_of(about, shard)->name : NULL,
                              .why = from->why,
                              .remedy = from->remedy};
    const char *reason = unmet(about, from->need, shard);
    if (reason)
        find(finding, LEAT_CHECK_SKIPPED, "%s", reason);
    else
        from->run(about, shard, finding);
    if (leat_finding_is_fault(finding) && is_of_shard(from) && !finding->exact)
        finding->exact = leat_remedy_of(from->name, finding->what, about->servers[shard].role);
}

enum { CHECK_COUNT = sizeof checks / sizeof *checks };

static void run_checks(examination *about)
{
    size_t most = (size_t)CHECK_COUNT * (about->assembly->config.shard_count + 1);
    about->findings = leat_must_calloc(most, sizeof *about->findings);
    for (size_t i = 0; i < CHECK_COUNT; i++)
        if (!is_of_shard(&checks[i]) && is_configured(about, &checks[i], 0))
            run_check(about, &checks[i], 0);
    for (uint32_t shard = 0; shard < about->assembly->config.shard_count; shard++)
        for (size_t i = 0; i < CHECK_COUNT; i++)
            if (is_of_shard(&checks[i]) && is_configured(about, &checks[i], shard))
                run_check(about, &checks[i], shard);
}

static int check_all(leat_assembly *assembly, const leat_options *options, leat_error *error)
{
    (void)error; /* a check that cannot be made is a finding */
    examination *about = leat_must_calloc(1, sizeof *about);
    about->assembly = assembly;
    run_checks(about);
    (options->json ? leat_findings_print_json : leat_findings_print_text)(stdout, about->findings,
                                                                          about->count);
    bool failed = leat_findings_count(about->findings, about->count, LEAT_CHECK_FAILED) > 0;
    for (uint32_t i = 0; i < about->count; i++)
        free(about->findings[i].exact);
    free(about->findings);
    free(about);
    return failed ? LEAT_EXIT_CHECK : LEAT_EXIT_OK;
}

int leat_command_check(const leat_options *options)
{
    return leat_with_assembly("check", options, check_all);
}
