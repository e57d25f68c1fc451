/*
 * check_server.c - checks of a shard's server: whether it answers and takes writes, and settings
 * under which it forgets or changes what it has acknowledged. One query answers all of them
 * (leat_shard_read_server): the first check sends it, the others read the answer.
 */
#include "cli/check.h"

#include <inttypes.h>
#include <string.h>

/* Besides the configured ones: one reads the tables, one writes the process's report, one asks
 * about writes that requests wait for. */
enum { OTHER_CONNECTIONS = 3 };

static void describe_server(const leat_examination *about, uint32_t shard, leat_finding *ret)
{
    const leat_shard_server *server = &about->servers[shard];
    if (leat_examined_shard(about, shard)->sqlite)
        leat_finding_set(ret, LEAT_CHECK_OK, "%s, SQLite %s",
                         leat_examined_shard(about, shard)->sqlite, server->version);
    else
        leat_finding_set(ret, LEAT_CHECK_OK, "PostgreSQL %s, role %s", server->version,
                         server->role);
}

static void check_answer(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    leat_error error = {0};
    leat_shard_server *server = &about->servers[shard];
    about->answers[shard] =
        leat_shard_read_server(leat_examined_address(about, shard), server, &error) == 0;
    if (about->answers[shard])
        describe_server(about, shard, ret);
    else
        leat_finding_set_error(ret, &error);
}

static void check_writable(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    const leat_shard_server *server = &about->servers[shard];
    about->takes_writes[shard] = !server->read_only;
    leat_finding_set(ret, server->read_only ? LEAT_CHECK_FAILED : LEAT_CHECK_OK, "%s",
                     !server->read_only   ? "it takes writes"
                     : server->is_standby ? "it is a standby, and no primary answers"
                                          : "it is read-only");
}

static void check_fsync(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    bool is_on = about->servers[shard].fsync;
    leat_finding_set(ret, is_on ? LEAT_CHECK_OK : LEAT_CHECK_FAILED, "fsync is %s",
                     is_on ? "on" : "off");
}

static void check_triggers(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    const leat_shard_server *server = &about->servers[shard];
    leat_finding_set(ret, server->is_replica ? LEAT_CHECK_WARNING : LEAT_CHECK_OK,
                     "session_replication_role is %s for role %s",
                     server->is_replica ? "replica" : "not replica", server->role);
}

static void check_time_limits(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    const leat_shard_server *server = &about->servers[shard];
    if (*server->time_limits)
        leat_finding_set(ret, LEAT_CHECK_WARNING, "%s for role %s", server->time_limits,
                         server->role);
    else
        leat_finding_set(ret, LEAT_CHECK_OK, "none that interrupts leat, for role %s",
                         server->role);
}

static void check_connections(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    int64_t wanted = leat_examined_shard(about, shard)->connections + OTHER_CONNECTIONS,
            allowed = about->servers[shard].connections_max;
    leat_finding_set(ret, wanted > allowed ? LEAT_CHECK_WARNING : LEAT_CHECK_OK,
                     "a process of leat wants up to %" PRId64
                     " connections, role %s may have %" PRId64,
                     wanted, about->servers[shard].role, allowed);
}

static void check_publications(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    const char *names = about->servers[shard].publications;
    if (*names)
        leat_finding_set(ret, LEAT_CHECK_WARNING, "leat.parked or leat.parked_keys is in %s",
                         names);
    else
        leat_finding_set(ret, LEAT_CHECK_OK, "leat.parked and leat.parked_keys are in none");
}

static const leat_check rows[] = {
    {"connection", LEAT_ABOUT_ANY_SHARD, LEAT_NEEDS_NOTHING, check_answer,
     "while a shard does not answer its writes wait in the log",
     "start the database; check the shard's dsn, pg_hba.conf and the network; PostgreSQL must be 15 or later. Create a "
     "SQLite file, with your tables"},
    {"read-only", LEAT_ABOUT_ANY_SHARD, LEAT_NEEDS_SHARD, check_writable,
     "nothing can be applied, as on a standby",
     "let the dsn lead to the primary (it may name several hosts, leat uses the primary), or unset default_transaction_read_only; let leat's "
     "user write to a SQLite file and its directory"},
    {"fsync", LEAT_ABOUT_POSTGRES, LEAT_NEEDS_SHARD, check_fsync,
     "a power failure can corrupt the database, rows and progress alike",
     "fsync = on in postgresql.conf, and reload"},
    {"triggers", LEAT_ABOUT_POSTGRES, LEAT_NEEDS_SHARD, check_triggers,
     "triggers and foreign keys are not fired by leat's writes",
     "ALTER ROLE or ALTER DATABASE ... RESET session_replication_role"},
    {"time limits", LEAT_ABOUT_POSTGRES, LEAT_NEEDS_SHARD, check_time_limits,
     "the server ends a batch that takes longer, which is repeated in smaller parts; transaction_timeout and idle_session_timeout end the "
     "session too, which is opened again each time",
     "ALTER ROLE ... SET statement_timeout = 0, transaction_timeout = 0, idle_session_timeout = 0, one statement for each; leat has limits of its "
     "own, of a minute"},
    {"connections", LEAT_ABOUT_POSTGRES, LEAT_NEEDS_SHARD, check_connections,
     "leat works with the connections that it gets, but slower; other processes and programs need some too",
     "lower shards[].connections, or raise max_connections or the limit of the role or database"},
    {"publications", LEAT_ABOUT_POSTGRES, LEAT_NEEDS_SHARD, check_publications,
     "each record that is parked or kept goes to the subscribers too, where nobody needs it",
     "name the tables of the publication, or its schemas, instead of FOR ALL TABLES"},
};

const leat_check_list leat_checks_of_server = {rows, sizeof rows / sizeof *rows};
