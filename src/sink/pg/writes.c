/*
 * writes.c - what became of writes, as the shard has it: one statement and so one snapshot for any
 * number of them. Progress says whether a write is decided (docs/design/progress.md); then it is
 * parked, kept with a held key, a dead letter, or else in the tables. The order of these questions
 * matters, because progress counts all four as done. It counts as done, too, what a control skipped
 * and nobody kept: that looks as if it were in the tables (docs/http.md says so). So does a dead
 * letter that was deleted; an audit asks for that, too.
 *
 * Progress is computed once for each partition that is asked about, and the rest is looked up by
 * primary keys. A partition that is not in this database has no answer: its writes stay pending.
 */
#include "sink/pg/writes.h"

#include <inttypes.h>
#include <stdio.h>

enum { NUMBERS, SQLSTATE, MESSAGE, COLUMNS, REMOVED = LEAT_WRITE_STATE_COUNT };

/* Of chunks that do not overlap only the last one that begins at or before a record can have it. A
 * base is stored out of line, and would be fetched for each record that is asked about; as the
 * result of an operator it is fetched once for its partition. */
static const char writes_sql[] =
    "WITH asked AS MATERIALIZED ("
    " SELECT * FROM unnest($2::int[], $3::int[], $4::bigint[], $5::bigint[])"
    "   WITH ORDINALITY AS a (partition, subpartition, \"offset\", hash, at)"
    "), based AS MATERIALIZED ("
    " SELECT partition, low, base_offsets || '{}' AS base_offsets FROM leat.partitions"
    "  WHERE source = $1::int AND partition = ANY ($2::int[])"
    "), moved AS MATERIALIZED ("
    " SELECT g.partition, s.subpartition, max(s.\"offset\") AS \"offset\""
    "   FROM leat.progress AS g, unnest(g.subpartitions, g.offsets) AS s (subpartition, \"offset\")"
    "  WHERE g.source = $1::int AND g.partition = ANY ($2::int[])"
    "    AND s.subpartition = ANY ($3::int[]) GROUP BY 1, 2"
    ")"
    "SELECT CASE WHEN a.\"offset\" <= greatest(p.low, p.base_offsets[a.subpartition + 1], m.\"offset\")"
    "             AND NOT coalesce((SELECT c.last_offset >= a.\"offset\" AND c.done < a.\"offset\" FROM leat.parked AS c"
    "                                WHERE c.source = $1::int AND c.partition = a.partition"
    "                                  AND c.subpartition = a.subpartition AND c.first_offset <= a.\"offset\""
    "                                ORDER BY c.first_offset DESC LIMIT 1), false)"
    "            THEN CASE WHEN k.hash IS NOT NULL THEN 3 WHEN d.control IS NOT NULL THEN 4"
    "                      WHEN d.source IS NOT NULL THEN 2 WHEN r.source IS NOT NULL THEN 5 ELSE 1 END"
    "            ELSE 0 END,"
    "       CASE WHEN k.hash IS NOT NULL THEN h.sqlstate ELSE d.sqlstate END,"
    "       CASE WHEN k.hash IS NOT NULL THEN h.message WHEN d.source IS NOT NULL THEN d.message"
    "            ELSE to_char(r.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') || ' by ' || r.by_role END"
    "  FROM asked AS a"
    "  LEFT JOIN based AS p ON p.partition = a.partition"
    "  LEFT JOIN moved AS m ON m.partition = a.partition AND m.subpartition = a.subpartition"
    "  LEFT JOIN leat.parked_keys AS k ON k.source = $1::int AND k.partition = a.partition AND k.hash = a.hash"
    "                                 AND k.\"offset\" = a.\"offset\""
    "  LEFT JOIN leat.held AS h ON h.source = k.source AND h.partition = k.partition AND h.hash = k.hash"
    "  LEFT JOIN leat.dead_letters AS d ON d.source = $1::int AND d.partition = a.partition"
    "                                  AND d.\"offset\" = a.\"offset\""
    "  LEFT JOIN leat.removed_letters AS r ON $6::boolean AND r.source = $1::int AND r.partition = a.partition"
    "                                     AND r.\"offset\" = a.\"offset\""
    " ORDER BY a.at";

_Static_assert(LEAT_WRITE_PENDING == 0 && LEAT_WRITE_APPLIED == 1 && LEAT_WRITE_DEAD_LETTER == 2 &&
                   LEAT_WRITE_HELD == 3 && LEAT_WRITE_SKIPPED == 4 && REMOVED == 5,
               "the statement answers with these numbers");

static void write_lists(const leat_write_question *questions, uint32_t count, leat_buf ret[4])
{
    for (uint32_t i = 0; i < count; i++) {
        const leat_write_place *place = &questions[i].place;
        char before = i == 0 ? '{' : ',';
        leat_buf_printf(&ret[0], "%c%" PRIu32, before, place->partition);
        leat_buf_printf(&ret[1], "%c%" PRIu32, before, place->subpartition);
        leat_buf_printf(&ret[2], "%c%" PRId64, before, place->offset);
        leat_buf_printf(&ret[3], "%c%" PRId64, before, (int64_t)place->key);
    }
    for (int i = 0; i < 4; i++)
        leat_buf_byte(&ret[i], '}');
}

static void take_answer(const PGresult *result, int row, leat_write_answer *ret)
{
    int64_t number = leat_pg_integer(result, row, NUMBERS);
    LEAT_ASSERT(number >= 0 && number <= REMOVED);
    *ret = (leat_write_answer){.was_removed = number == REMOVED};
    ret->state = ret->was_removed ? LEAT_WRITE_APPLIED : (leat_write_state)number;
    if (number == LEAT_WRITE_PENDING || number == LEAT_WRITE_APPLIED)
        return;
    if (!PQgetisnull(result, row, SQLSTATE))
        leat_pg_text(ret->sqlstate, sizeof ret->sqlstate, result, row, SQLSTATE);
    if (!PQgetisnull(result, row, MESSAGE))
        leat_pg_text(ret->message, sizeof ret->message, result, row, MESSAGE);
}

int leat_pg_read_writes(leat_pg *pg, const char *source_id, bool tells_removed,
                        const leat_write_question *questions, uint32_t count,
                        leat_write_answer *ret, leat_error *error)
{
    leat_buf lists[4] = {{0}};
    LEAT_ASSERT(count > 0);
    write_lists(questions, count, lists);
    const char *const values[] = {source_id,
                                  leat_buf_cstr(&lists[0]),
                                  leat_buf_cstr(&lists[1]),
                                  leat_buf_cstr(&lists[2]),
                                  leat_buf_cstr(&lists[3]),
                                  tells_removed ? "t" : "f"};
    bool is_whole = values[1] && values[2] && values[3] && values[4];
    PGresult *result = is_whole ? leat_pg_query(pg, writes_sql, 6, values, error) : NULL;
    for (int i = 0; i < 4; i++)
        leat_buf_free(&lists[i]);
    if (!result)
        return is_whole ? -1 : leat_fail(error, "out of memory");
    LEAT_ASSERT(PQnfields(result) == COLUMNS && PQntuples(result) == (int)count);
    for (uint32_t i = 0; i < count; i++)
        take_answer(result, (int)i, &ret[i]);
    PQclear(result);
    return 0;
}
