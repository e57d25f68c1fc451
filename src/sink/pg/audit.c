/*
 * audit.c - a database asked for proof, in transactions that only read, with one snapshot each. The
 * connection stays; each question has its own time limit, because a moment may be longer than one
 * answer. The plans are pinned, since statistics of a table that was just filled would lead to a
 * scan of all of it for some hundred keys.
 */
#include "sink/pg/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sink/pg/writes.h"
#include "sink/shard_ops.h"

typedef struct pg_audit {
    leat_shard_audit base;
    char *dsn;
    char source_id[16];
    char subpartitions[16];
    bool is_open;   /* there is a connection */
    bool is_inside; /* a transaction */
    leat_pg pg;
    leat_pg_audit_rows *rows;
} pg_audit;

static const char settings_sql[] =
    "SET LOCAL statement_timeout TO '60s'; SET LOCAL lock_timeout TO '2s';"
    " SET LOCAL enable_seqscan TO off; SET LOCAL enable_hashjoin TO off; SET LOCAL enable_mergejoin TO off;"
    " SET LOCAL jit TO off; SET LOCAL array_nulls TO on; SET LOCAL xmloption TO content;"
    " SET LOCAL datestyle TO 'ISO, MDY'; SET LOCAL intervalstyle TO postgres; SET LOCAL timezone TO 'UTC'";

/* ---- the moment ---- */

static void hang_up(pg_audit *audit)
{
    if (audit->is_open)
        leat_pg_close(&audit->pg);
    audit->is_open = audit->is_inside = false;
}

static int connect_anew(pg_audit *audit, leat_error *error)
{
    hang_up(audit);
    audit->is_open = true;
    return leat_pg_open(&audit->pg, audit->dsn, error);
}

/* The old connection may have ended while nobody looked. */
static int begin(leat_shard_audit *base, leat_error *error)
{
    pg_audit *audit = (pg_audit *)base;
    LEAT_ASSERT(!audit->is_inside);
    if ((audit->is_open && leat_pg_read_again(&audit->pg, error) == 0) ||
        connect_anew(audit, error) == 0) {
        audit->is_inside = true;
        if (leat_pg_run(&audit->pg, settings_sql, error) == 0)
            return 0;
    }
    hang_up(audit);
    return -1;
}

static void end(leat_shard_audit *base)
{
    pg_audit *audit = (pg_audit *)base;
    if (!audit->is_inside)
        return;
    audit->is_inside = false;
    leat_pg_extend(&audit->pg);
    if (leat_pg_run(&audit->pg, "ROLLBACK", NULL) != 0)
        hang_up(audit);
}

/* NULL: the moment is over. */
static PGresult *ask(pg_audit *audit, const char *sql, int count, const char *const *values,
                     leat_error *error)
{
    LEAT_ASSERT(audit->is_inside);
    leat_pg_extend(&audit->pg);
    PGresult *result = leat_pg_query(&audit->pg, sql, count, values, error);
    if (!result)
        hang_up(audit);
    return result;
}

/* ---- progress ---- */

/* As in writes.c, of each subpartition. */
static const char reached_sql[] =
    "SELECT greatest(p.low, p.base_offsets[n.n + 1], m.\"offset\")"
    "  FROM leat.partitions AS p CROSS JOIN generate_series(0, $3::int - 1) AS n (n)"
    "  LEFT JOIN (SELECT s.subpartition, max(s.\"offset\") AS \"offset\""
    "               FROM leat.progress AS g, unnest(g.subpartitions, g.offsets) AS s (subpartition, \"offset\")"
    "              WHERE g.source = $1::int AND g.partition = $2::int GROUP BY 1) AS m ON m.subpartition = n.n"
    " WHERE p.source = $1::int AND p.partition = $2::int ORDER BY n.n";

static int read_reached(leat_shard_audit *base, uint32_t partition, int64_t *ret, leat_error *error)
{
    pg_audit *audit = (pg_audit *)base;
    char number[16];
    snprintf(number, sizeof number, "%" PRIu32, partition);
    const char *const values[] = {audit->source_id, number, audit->subpartitions};
    PGresult *result = ask(audit, reached_sql, 3, values, error);
    if (!result)
        return -1;
    int count = PQntuples(result);
    LEAT_ASSERT(count == 0 || count == atoi(audit->subpartitions));
    for (int i = 0; i < count; i++)
        ret[i] = leat_pg_integer(result, i, 0);
    PQclear(result);
    return count == 0;
}

/* ---- records ---- */

static int read_writes(leat_shard_audit *base, const leat_write_question *questions, uint32_t count,
                       leat_write_answer *ret, leat_error *error)
{
    pg_audit *audit = (pg_audit *)base;
    LEAT_ASSERT(audit->is_inside);
    leat_pg_extend(&audit->pg);
    if (leat_pg_read_writes(&audit->pg, audit->source_id, true, questions, count, ret, error) == 0)
        return 0;
    hang_up(audit);
    return -1;
}

/* ---- rows ---- */

static int read_rows(leat_shard_audit *base, const leat_route *route, uint64_t columns,
                     const leat_audit_row *rows, uint32_t count, leat_audit_answer *ret,
                     leat_error *error)
{
    pg_audit *audit = (pg_audit *)base;
    LEAT_ASSERT(audit->is_inside);
    leat_pg_extend(&audit->pg);
    if (leat_pg_audit_compare(audit->rows, &audit->pg, route, columns, rows, count, ret, error) ==
        0)
        return 0;
    hang_up(audit);
    return -1;
}

static void free_audit(leat_shard_audit *base)
{
    pg_audit *audit = (pg_audit *)base;
    hang_up(audit);
    leat_pg_audit_rows_free(audit->rows);
    free(audit->dsn);
    free(audit);
}

static leat_shard_audit *open_audit(const char *dsn, int32_t source_id, uint32_t subpartitions)
{
    pg_audit *audit = leat_must_calloc(1, sizeof *audit);
    audit->base.ops = &leat_pg_audit;
    audit->dsn = leat_must_strdup(dsn);
    audit->rows = leat_pg_audit_rows_new();
    snprintf(audit->source_id, sizeof audit->source_id, "%" PRId32, source_id);
    snprintf(audit->subpartitions, sizeof audit->subpartitions, "%" PRIu32, subpartitions);
    return &audit->base;
}

const leat_shard_audit_ops leat_pg_audit = {.open = open_audit,
                                            .begin = begin,
                                            .end = end,
                                            .reached = read_reached,
                                            .writes = read_writes,
                                            .rows = read_rows,
                                            .free = free_audit};
