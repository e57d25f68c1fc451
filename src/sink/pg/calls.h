/*
 * calls.h - the texts of leat's own calls, but those of dead_letter.h and parked.h. Where an array,
 * without and with the timeline of the server. Only for session_send.c.
 */
#ifndef LEAT_SINK_PG_CALLS_H
#define LEAT_SINK_PG_CALLS_H

#include "sink/pg/commit_sql.h"
#include "sink/pg/server.h"

static const char *const advance_sql[] = LEAT_PG_WITH_SERVER(
    "SELECT leat.advance($1::int4, $2::int4, $3::uuid, $4::int8, $5::int2[], $6::int8[], $7::int8, $8::int4,"
    " $9::int8[], $10::int4)",
    " WHERE " LEAT_PG_COMMITS_SYNC_SQL);

/* The same with a commit that does not wait for the disk. */
static const char *const advance_async_sql[] = LEAT_PG_WITH_SERVER(
    "SELECT leat.advance($1::int4, $2::int4, $3::uuid, $4::int8, $5::int2[], $6::int8[], $7::int8, $8::int4,"
    " $9::int8[], $10::int4)",
    " WHERE " LEAT_PG_COMMITS_ASYNC_SQL);

static const char plan_rows_sql[] = "SELECT leat.plan_rows()";

static const char plan_plainly_sql[] = "SELECT leat.plan_plainly()";

/* The session may have a shorter one. */
static const char statement_timeout_sql[] =
    "SELECT pg_catalog.set_config('statement_timeout', $1::int4::text, true)"
    "  FROM (SELECT pg_catalog.current_setting('statement_timeout')::interval) AS t (now)"
    " WHERE t.now = interval '0' OR t.now > $1::int4 * interval '1 millisecond'";

/* The wait for the lock must end by itself, with 55P03, because only then leat ends the holder's
 * session. So where the server has a shorter time limit, which would end the statement or the
 * session first, the wait is half of that. */
#define CLAIM_WAIT_SQL                                                                              \
    "least($3::int4, (SELECT greatest(min(setting::int8) / 2, 1)::int4 FROM pg_catalog.pg_settings" \
    " WHERE name IN ('statement_timeout', 'transaction_timeout') AND setting::int8 > 0 HAVING count(*) > 0))"

static const char *const claim_sql[] = LEAT_PG_WITH_SERVER(
    "SELECT claim, epoch, base_seq, base_offsets, low, newest, newest_at_ms,"
    " newest_epoch",
    " FROM leat.take($1::int4, $2::int4, " CLAIM_WAIT_SQL ") WHERE " LEAT_PG_COMMITS_SYNC_SQL);

/* This applies however long a statement may wait for a row: the holder of a partition that is being
 * claimed runs a batch that the claim makes worthless, or is frozen. */
enum { CLAIM_WAIT_MS = 10000 };

static const char progress_sql[] =
    "SELECT seq, subpartitions, offsets, newest_at_ms, newest_epoch FROM leat.rows($1::int4, $2::int4)";

static const char *const compact_sql[] = LEAT_PG_WITH_SERVER(
    "SELECT leat.compact($1::int4, $2::int4, $3::uuid, $4::int8, $5::int8[], $6::int8, $7::int8, $8::int8, $9::int4,"
    " $10::int8[], $11::int4)",
    " WHERE " LEAT_PG_COMMITS_SYNC_SQL);

static const char terminate_sql[] = "SELECT leat.terminate_holders($1::int4, $2::int4)";

/* A row of a partitioned table lies in a partition, and the error names the partition's own copy of
 * the constraint. A standby, to which a pooler may have led, does not know the newest state: there
 * the answer is the one after which the batch is tried again. */
static const char is_primary_key_sql[] =
    "SELECT 1 WHERE pg_catalog.pg_is_in_recovery() OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS c"
    " JOIN pg_catalog.pg_class AS r ON r.oid = c.conrelid"
    " JOIN pg_catalog.pg_namespace AS n ON n.oid = r.relnamespace"
    " WHERE c.contype = 'p' AND n.nspname = $1::text AND r.relname = $2::text AND c.conname = $3::text"
    "   AND ($5::text = '' OR EXISTS ("
    "       SELECT FROM pg_catalog.pg_class AS w"
    "         JOIN pg_catalog.pg_namespace AS m ON m.oid = w.relnamespace"
    "        WHERE m.nspname = $4::text AND w.relname = $5::text"
    "          AND (w.oid = r.oid"
    "               OR w.oid IN (SELECT a.relid FROM pg_catalog.pg_partition_ancestors(r.oid) AS a (relid))))))";

#endif
