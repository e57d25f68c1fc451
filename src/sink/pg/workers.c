/*
 * workers.c - leat.workers: the reports of each process about itself, and reads of them from
 * outside. Reporting uses one connection that stays open, and commits that wait for nothing: a
 * report that is lost is replaced by the next one, and a report that waited would come too late to
 * be of use.
 */
#include "sink/pg/workers.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "sink/kept.h"
#include "sink/pg/blocking.h"
#include "sink/pg/commit_sql.h"
#include "sink/pg/controls.h"
#include "sink/pg/modes.h"
#include "sink/pg/writes.h"
#include "sink/shard_ops.h"

/* ---- reading the table ---- */

static const char workers_sql[] =
    "SELECT w.host, w.pid, greatest(0, extract(epoch FROM clock_timestamp() - w.at) * 1000)::bigint, w.clock_ms, w.said"
    "  FROM leat.workers AS w JOIN leat.sources AS s ON s.id = w.source WHERE s.topic = $1 ORDER BY w.at DESC LIMIT 100";

int leat_pg_read_workers(leat_pg *pg, const char *topic, leat_shard_work *ret, leat_error *error)
{
    enum { HOST, PID, HEARD, CLOCK, SAID };
    PGresult *result = leat_pg_query(pg, workers_sql, 1, &topic, error);
    if (!result)
        return -1;
    ret->worker_count = (uint32_t)PQntuples(result);
    ret->workers = leat_must_calloc(ret->worker_count + 1, sizeof *ret->workers);
    for (int row = 0; row < (int)ret->worker_count; row++) {
        leat_shard_worker *worker = &ret->workers[row];
        leat_pg_text(worker->host, sizeof worker->host, result, row, HOST);
        worker->pid = leat_pg_integer(result, row, PID);
        worker->heard_ms = leat_pg_integer(result, row, HEARD);
        worker->clock_ms = leat_pg_integer(result, row, CLOCK);
        worker->report = leat_must_strdup(PQgetvalue(result, row, SAID));
    }
    PQclear(result);
    return 0;
}

/* ---- reporting ---- */

enum { REMOVE_US = 2000000 };

typedef struct pg_reporter {
    leat_shard_reporter base;
    char *dsn;
    char source_id[16];
    bool is_open;
    leat_pg pg;
} pg_reporter;

static void hang_up(pg_reporter *reporter)
{
    if (reporter->is_open)
        leat_pg_close(&reporter->pg);
    reporter->is_open = false;
}

/* Begins a transaction, on the connection there is or on a new one: the old one may have ended
 * while nobody looked. */
static int begin(pg_reporter *reporter, leat_error *error)
{
    if (reporter->is_open && leat_pg_report_again(&reporter->pg, error) == 0)
        return 0;
    hang_up(reporter);
    reporter->is_open = true;
    if (leat_pg_open_to_report(&reporter->pg, reporter->dsn, error) == 0)
        return 0;
    hang_up(reporter);
    return -1;
}

/* `status` is that of the transaction's statement. */
static int end(pg_reporter *reporter, int status, leat_error *error)
{
    LEAT_ASSERT(reporter->is_open);
    if (status == 0 && leat_pg_run(&reporter->pg, "COMMIT", error) == 0)
        return 0;
    hang_up(reporter);
    return -1;
}

static int run(pg_reporter *reporter, const char *sql, int count, const char *const *values,
               leat_error *error)
{
    LEAT_ASSERT(reporter->is_open);
    PGresult *result = leat_pg_query(&reporter->pg, sql, count, values, error);
    PQclear(result);
    return end(reporter, result ? 0 : -1, error);
}

#define KEPT_SQL "interval '" LEAT_STRINGIZE(LEAT_REPORT_KEPT_MS) " milliseconds'"

/* Also removes the rows of processes that are gone, of any source; two that sweep at once do not
 * wait for each other. */
static const char send_sql[] =
    "WITH swept AS (DELETE FROM leat.workers WHERE (source, instance) IN"
    "                 (SELECT source, instance FROM leat.workers WHERE at < clock_timestamp() - " KEPT_SQL
    "                     AND instance <> $2::uuid LIMIT 1000 FOR UPDATE SKIP LOCKED))"
    "INSERT INTO leat.workers AS w (source, instance, host, pid, started_at, at, clock_ms, said)"
    " VALUES ($1::int, $2::uuid, $3, $4::int, to_timestamp($5::bigint / 1000.0), clock_timestamp(), $6::bigint, $7::json)"
    " ON CONFLICT (source, instance) DO UPDATE SET at = excluded.at, clock_ms = excluded.clock_ms, said = excluded.said";

static int send(leat_shard_reporter *base, const leat_shard_report *report, leat_error *error)
{
    pg_reporter *reporter = (pg_reporter *)base;
    char pid[24], started[24], clock[24];
    snprintf(pid, sizeof pid, "%" PRId64, report->pid);
    snprintf(started, sizeof started, "%" PRId64, report->started_ms);
    snprintf(clock, sizeof clock, "%" PRId64, report->clock_ms);
    const char *const values[] = {
        reporter->source_id, report->instance, report->host, pid, started, clock, report->json};
    if (begin(reporter, error) != 0)
        return -1;
    return run(reporter, send_sql, 7, values, error);
}

/* The row of this process, and of those before it that have not ended in order: what they left is
 * this one's no more. */
static const char remove_sql[] =
    "DELETE FROM leat.workers WHERE source = $1::int"
    " AND (instance = $2::uuid OR at < clock_timestamp() - $3::int * interval '1 ms')";

/* The process ends: this makes no new connection and does not wait for a silent server. */
static int remove_report(leat_shard_reporter *base, const char *instance, leat_error *error)
{
    pg_reporter *reporter = (pg_reporter *)base;
    char stale[16];
    snprintf(stale, sizeof stale, "%d", LEAT_REPORT_STALE_MS);
    const char *const values[] = {reporter->source_id, instance, stale};
    if (!reporter->is_open)
        return leat_fail(error, "there is no connection");
    reporter->pg.timeout_us = REMOVE_US;
    if (leat_pg_report_again(&reporter->pg, error) != 0) {
        hang_up(reporter);
        return -1;
    }
    return run(reporter, remove_sql, 3, values, error);
}

static int read_waits(leat_shard_reporter *base, const char *name, leat_shard_waits *ret,
                      leat_error *error)
{
    pg_reporter *reporter = (pg_reporter *)base;
    if (begin(reporter, error) != 0)
        return -1;
    return end(reporter, leat_pg_read_waits(&reporter->pg, name, ret, error), error);
}

static int read_controls(leat_shard_reporter *base, leat_control_set **ret, leat_error *error)
{
    pg_reporter *reporter = (pg_reporter *)base;
    if (begin(reporter, error) != 0)
        return -1;
    *ret = leat_pg_controls_read(&reporter->pg, reporter->source_id, error);
    if (end(reporter, *ret ? 0 : -1, error) == 0)
        return 0;
    leat_control_set_drop(*ret);
    return -1;
}

static int read_modes(leat_shard_reporter *base, leat_mode_rows *ret, leat_error *error)
{
    pg_reporter *reporter = (pg_reporter *)base;
    ret->count = 0;
    if (begin(reporter, error) != 0)
        return -1;
    return end(reporter, leat_pg_read_modes(&reporter->pg, reporter->source_id, ret, error), error);
}

/* A reporter's transaction begins as one that does not wait for the disk (leat_pg_open_to_report).
 */
static const char durable_sql[] = "SET LOCAL synchronous_commit TO DEFAULT;"
                                  " SELECT " LEAT_PG_WRITES_LEAST_SQL
                                  "  WHERE " LEAT_PG_COMMITS_SYNC_SQL;

static bool is_any_decided(const leat_write_answer *answers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (answers[i].state != LEAT_WRITE_PENDING)
            return true;
    return false;
}

static int read_writes(leat_shard_reporter *base, bool durably,
                       const leat_write_question *questions, uint32_t count, leat_write_answer *ret,
                       leat_error *error)
{
    pg_reporter *reporter = (pg_reporter *)base;
    if (begin(reporter, error) != 0)
        return -1;
    int status = leat_pg_read_writes(&reporter->pg, reporter->source_id, false, questions, count,
                                     ret, error);
    if (status == 0 && durably && is_any_decided(ret, count))
        status = leat_pg_run(&reporter->pg, durable_sql, error);
    return end(reporter, status, error);
}

static void rest(leat_shard_reporter *base)
{
    hang_up((pg_reporter *)base);
}

static int read_parked_size(leat_shard_reporter *base, uint64_t *ret_bytes, leat_error *error)
{
    static const char sql[] =
        "SELECT pg_catalog.pg_total_relation_size('leat.parked'::pg_catalog.regclass)";
    pg_reporter *reporter = (pg_reporter *)base;
    if (begin(reporter, error) != 0)
        return -1;
    PGresult *result = leat_pg_query(&reporter->pg, sql, 0, NULL, error);
    *ret_bytes = result ? (uint64_t)leat_pg_integer(result, 0, 0) : 0;
    PQclear(result);
    return end(reporter, result ? 0 : -1, error);
}

/* One that a retry has locked is passed over: what is noted here may be out of date by then. */
static int note_key(leat_shard_reporter *base, const leat_shard_key_note *note, leat_error *error)
{
    static const char sql[] =
        "WITH key AS MATERIALIZED (SELECT h.source, h.partition, h.hash FROM leat.held AS h"
        "       WHERE h.source = $1::int AND h.partition = $2::int AND h.hash = $3::bigint FOR NO KEY UPDATE SKIP LOCKED)"
        "UPDATE leat.held AS h SET at = clock_timestamp(), tries = h.tries + 1, sqlstate = nullif($5, ''), message = $6"
        "  FROM key AS k WHERE (h.source, h.partition, h.hash) = (k.source, k.partition, k.hash)"
        "   AND $4::bigint = (SELECT min(r.\"offset\") FROM leat.parked_keys AS r"
        "                      WHERE (r.source, r.partition, r.hash) = (k.source, k.partition, k.hash))";
    pg_reporter *reporter = (pg_reporter *)base;
    char partition[16], hash[24], offset[24];
    leat_buf message = {0};
    snprintf(partition, sizeof partition, "%" PRIu32, note->partition);
    snprintf(hash, sizeof hash, "%" PRId64, note->hash);
    snprintf(offset, sizeof offset, "%" PRId64, note->offset);
    leat_utf8_append(&message, leat_slice_of(note->message));
    const char *const values[] = {reporter->source_id,    partition, hash, offset, note->sqlstate,
                                  leat_buf_cstr(&message)};
    int status = begin(reporter, error);
    if (status == 0)
        status = run(reporter, sql, 6, values, error);
    leat_buf_free(&message);
    return status;
}

/* Keys are few, whatever is kept of them. */
static int count_held(leat_shard_reporter *base, const leat_placement *placement,
                      uint32_t partition_count, leat_shard_held_count *ret, leat_error *error)
{
    static const char sql[] =
        "SELECT h.partition, encode(h.key, 'hex'), count(k.\"offset\"), coalesce(sum(octet_length(k.record)), 0)"
        "  FROM leat.held AS h LEFT JOIN leat.parked_keys AS k USING (source, partition, hash)"
        " WHERE h.source = $1::int GROUP BY h.source, h.partition, h.hash ORDER BY h.partition";
    pg_reporter *reporter = (pg_reporter *)base;
    const char *const values[] = {reporter->source_id};
    leat_kept_tally tally;
    if (begin(reporter, error) != 0)
        return -1;
    PGresult *result = leat_pg_query(&reporter->pg, sql, 1, values, error);
    leat_kept_tally_begin(&tally, placement, partition_count, ret);
    for (int row = 0; result && row < PQntuples(result); row++) {
        size_t size;
        char *key = leat_pg_bytes(result, row, 1, &size);
        leat_kept_tally_add(&tally, leat_pg_integer(result, row, 0), (leat_slice){key, size},
                            (uint64_t)leat_pg_integer(result, row, 2),
                            (uint64_t)leat_pg_integer(result, row, 3));
        free(key);
    }
    PQclear(result);
    return end(reporter, result ? 0 : -1, error);
}

static int rotate_keys(leat_shard_reporter *base, int64_t lifetime_ms, int64_t newest_ms,
                       leat_shard_rotated *ret, leat_error *error)
{
    static const char sql[] =
        "SELECT early::int, bytes FROM leat.rotate_keys($1::int, $2::bigint, $3::bigint)";
    pg_reporter *reporter = (pg_reporter *)base;
    char lifetime[24], newest[24];
    const char *const values[] = {reporter->source_id, lifetime, newest};
    snprintf(lifetime, sizeof lifetime, "%" PRId64, lifetime_ms);
    snprintf(newest, sizeof newest, "%" PRId64, newest_ms);
    if (begin(reporter, error) != 0)
        return -1;
    PGresult *result = leat_pg_query(&reporter->pg, sql, 3, values, error);
    if (result)
        *ret = (leat_shard_rotated){.early = leat_pg_integer(result, 0, 0) != 0,
                                    .bytes = (uint64_t)leat_pg_integer(result, 0, 1)};
    PQclear(result);
    return end(reporter, result ? 0 : -1, error);
}

static void free_reporter(leat_shard_reporter *base)
{
    pg_reporter *reporter = (pg_reporter *)base;
    hang_up(reporter);
    free(reporter->dsn);
    free(reporter);
}

static leat_shard_reporter *open_reporter(const char *dsn, int32_t source_id)
{
    pg_reporter *reporter = leat_must_calloc(1, sizeof *reporter);
    reporter->base.ops = &leat_pg_reporter;
    reporter->dsn = leat_must_strdup(dsn);
    snprintf(reporter->source_id, sizeof reporter->source_id, "%" PRId32, source_id);
    return &reporter->base;
}

const leat_shard_reporter_ops leat_pg_reporter = {.open = open_reporter,
                                                  .send = send,
                                                  .remove = remove_report,
                                                  .read_waits = read_waits,
                                                  .read_controls = read_controls,
                                                  .read_modes = read_modes,
                                                  .read_writes = read_writes,
                                                  .rest = rest,
                                                  .read_parked_size = read_parked_size,
                                                  .note_key = note_key,
                                                  .count_held = count_held,
                                                  .rotate_keys = rotate_keys,
                                                  .free = free_reporter};
