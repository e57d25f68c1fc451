/*
 * check_log.c - checks of the log: that it answers, that it is the intended one, and that no
 * setting of the topic can lose acknowledged writes. Reading settings needs a right that leat can
 * run without, so a setting that cannot be read is a warning.
 */
#include "cli/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log_identity.h"

enum { BROKER_TIMEOUT_MS = 5000, DAY_MS = 24 * 60 * 60 * 1000 };

static void check_brokers(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    leat_error error = {0};
    leat_assembly *assembly = about->assembly;
    int answer = leat_log_identify(&assembly->log, BROKER_TIMEOUT_MS, &assembly->identity, &error);
    /* That the topic does not exist is an answer of the brokers, too: the next check reports it. */
    about->has_brokers = answer >= 0;
    about->has_topic = answer == 0;
    if (about->has_topic)
        leat_assembly_limit_partitions(assembly);
    if (answer < 0)
        leat_finding_set_error(ret, &error);
    else
        leat_finding_set(ret, LEAT_CHECK_OK, "%s answers", assembly->log.brokers);
}

static void check_topic(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    const leat_config *config = &about->assembly->config;
    uint32_t partitions = about->assembly->identity.partition_count;
    leat_error error = {0};
    if (!about->has_topic && leat_assembly_check_not_deleted(about->assembly, &error) != 0)
        leat_finding_set(ret, LEAT_CHECK_FAILED, "%s", error.text);
    else if (!about->has_topic)
        leat_finding_set(ret, LEAT_CHECK_FAILED, "topic %s does not exist", config->kafka_topic);
    else if (config->kafka_partitions && (uint32_t)config->kafka_partitions != partitions)
        leat_finding_set(ret, LEAT_CHECK_FAILED,
                         "topic %s has %" PRIu32 " partitions, log.kafka.partitions is %" PRId64,
                         config->kafka_topic, partitions, config->kafka_partitions);
    else if (partitions < about->assembly->found_partitions)
        leat_finding_set(ret, LEAT_CHECK_WARNING,
                         "topic %s has %" PRIu32 " partitions, it was set up with %" PRIu32
                         ": the others are neither "
                         "written to nor read",
                         config->kafka_topic, about->assembly->found_partitions, partitions);
    else if (partitions < config->shard_count)
        leat_finding_set(ret, LEAT_CHECK_FAILED,
                         "topic %s has too few partitions, %" PRIu32 ", for %" PRIu32 " shards",
                         config->kafka_topic, partitions, config->shard_count);
    else
        leat_finding_set(ret, LEAT_CHECK_OK, "%s, %" PRIu32 " partitions", config->kafka_topic,
                         partitions);
}

static void check_local_log(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    leat_error error = {0};
    leat_assembly *assembly = about->assembly;
    int answer = leat_log_identify(&assembly->log, BROKER_TIMEOUT_MS, &assembly->identity, &error);
    about->has_topic = answer == 0;
    if (answer == 1)
        leat_finding_set(ret, LEAT_CHECK_OK, "%s does not exist yet: `leat run` creates it",
                         assembly->log.file);
    else if (answer != 0 || leat_assembly_check_partitions(assembly, &error) != 0)
        leat_finding_set_error(ret, &error);
    else
        leat_finding_set(ret, LEAT_CHECK_OK, "%s, %" PRIu32 " partitions", assembly->log.file,
                         assembly->identity.partition_count);
}

/* Reads a setting of the topic. False: it cannot be read, and `ret` is set. */
static bool read_setting(leat_examination *about, const char *name, char *value, size_t size,
                         leat_finding *ret)
{
    leat_error error = {0};
    if (leat_log_topic_setting(&about->assembly->log, name, BROKER_TIMEOUT_MS, value, size,
                               &error) == 0)
        return true;
    leat_finding_set(ret, LEAT_CHECK_WARNING, "it cannot be read: %s", error.text);
    ret->remedy =
        "let leat read the topic's settings (DESCRIBE_CONFIGS on the topic), or read them yourself: kafka-configs.sh --describe "
        "--entity-type topics --entity-name TOPIC --all";
    return false;
}

/* The policy may be a list, such as "compact,delete". */
static void check_compaction(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    char value[128];
    if (read_setting(about, "cleanup.policy", value, sizeof value, ret))
        leat_finding_set(ret, strstr(value, "compact") ? LEAT_CHECK_FAILED : LEAT_CHECK_OK,
                         "cleanup.policy is %s", value);
}

static void check_timestamps(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    char value[32];
    if (read_setting(about, "message.timestamp.type", value, sizeof value, ret))
        leat_finding_set(ret,
                         strcmp(value, "LogAppendTime") == 0 ? LEAT_CHECK_OK : LEAT_CHECK_WARNING,
                         "message.timestamp.type is %s", value);
}

/* leat always writes with acks=all, so this alone decides how many brokers have an acknowledged
 * write. */
static void check_replicas(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    char value[32];
    if (read_setting(about, "min.insync.replicas", value, sizeof value, ret))
        leat_finding_set(ret, strtoll(value, NULL, 10) <= 1 ? LEAT_CHECK_WARNING : LEAT_CHECK_OK,
                         "min.insync.replicas is %s", value);
}

/* A first approximation: key, headers and the frame of a batch count too. */
static void check_message_size(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    char value[32];
    int64_t body_max = about->assembly->config.body_max;
    if (read_setting(about, "max.message.bytes", value, sizeof value, ret))
        leat_finding_set(ret,
                         strtoll(value, NULL, 10) < body_max ? LEAT_CHECK_WARNING : LEAT_CHECK_OK,
                         "max.message.bytes is %s, limits.body_max is %" PRId64, value, body_max);
}

/* -1: indefinitely. */
static void check_retention(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    char value[32];
    if (!read_setting(about, "retention.ms", value, sizeof value, ret))
        return;
    int64_t retention_ms = strtoll(value, NULL, 10);
    bool is_short = retention_ms >= 0 && retention_ms < DAY_MS;
    leat_finding_set(ret, is_short ? LEAT_CHECK_WARNING : LEAT_CHECK_OK, "retention.ms is %s%s",
                     value, is_short ? ", less than a day" : "");
}

static const leat_check rows[] = {
    {"Kafka", LEAT_ABOUT_KAFKA, LEAT_NEEDS_NOTHING, check_brokers,
     "without Kafka no write is accepted and none applied",
     "start the brokers; check log.kafka.brokers, the network, and log.kafka.properties for TLS and SASL"},
    {"topic", LEAT_ABOUT_KAFKA, LEAT_NEEDS_BROKERS, check_topic,
     "each partition belongs to one shard permanently, so their number is fixed at init",
     "run `leat init` if the topic does not exist; otherwise correct log.kafka.partitions or use another topic"},
    {"compaction", LEAT_ABOUT_KAFKA, LEAT_NEEDS_TOPIC, check_compaction,
     "compaction drops older PATCHes of a key before they are applied: their changes would be lost",
     "kafka-configs.sh --alter --entity-type topics --entity-name TOPIC --add-config cleanup.policy=delete"},
    {"timestamps", LEAT_ABOUT_KAFKA, LEAT_NEEDS_TOPIC, check_timestamps,
     "retention uses the time that an edge's clock gives: if a clock is days behind, acknowledged writes are deleted at once",
     "run `leat init`, or: kafka-configs.sh --alter --entity-type topics --entity-name TOPIC --add-config "
     "message.timestamp.type=LogAppendTime"},
    {"in-sync replicas", LEAT_ABOUT_KAFKA, LEAT_NEEDS_TOPIC, check_replicas,
     "a write is acknowledged once a single broker has it, and is lost if that broker loses its disk",
     "use three replicas and min.insync.replicas=2; nothing to do with a single broker, as on a laptop"},
    {"message size", LEAT_ABOUT_KAFKA, LEAT_NEEDS_TOPIC, check_message_size,
     "a write that is larger than max.message.bytes is answered 413, although limits.body_max allows it",
     "raise max.message.bytes of the topic, or lower limits.body_max"},
    {"retention", LEAT_ABOUT_KAFKA, LEAT_NEEDS_TOPIC, check_retention,
     "a shard that is down for longer loses writes: Kafka deletes them before they are applied",
     "set retention.ms to more than the longest outage you want to survive; a week (604800000) is usual"},
    {"built-in log", LEAT_ABOUT_LOCAL_LOG, LEAT_NEEDS_NOTHING, check_local_log,
     "without its log leat does not start",
     "check log.local.path and its permissions; the number of partitions never changes"},
};

const leat_check_list leat_checks_of_log = {rows, sizeof rows / sizeof *rows};
