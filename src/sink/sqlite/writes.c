/*
 * What became of writes, as the file has it, in one read transaction: the same questions in the
 * same order as sink/pg/writes.c. Progress is read once for each partition that is asked about; SQL
 * cannot look into its blobs.
 */
#include "sink/sqlite/writes.h"

#include <stdio.h>
#include <stdlib.h>

#include "sink/sqlite/progress.h"

static const char write_sql[] =
    "SELECT coalesce((SELECT c.last_offset >= ?4 AND c.done < ?4 FROM leat_parked AS c"
    "                  WHERE c.source = ?1 AND c.partition = ?2 AND c.subpartition = ?3 AND c.first_offset <= ?4"
    "                  ORDER BY c.first_offset DESC LIMIT 1), 0),"
    "       k.hash IS NOT NULL, h.sqlstate, h.message, d.source IS NOT NULL, d.control IS NOT NULL, d.sqlstate, d.message, r.at"
    "  FROM (SELECT 1)"
    "  LEFT JOIN leat_parked_keys AS k ON k.source = ?1 AND k.partition = ?2 AND k.hash = ?5 AND k.\"offset\" = ?4"
    "  LEFT JOIN leat_held AS h ON h.source = k.source AND h.partition = k.partition AND h.hash = k.hash"
    "  LEFT JOIN leat_dead_letters AS d ON d.source = ?1 AND d.partition = ?2 AND d.\"offset\" = ?4"
    "  LEFT JOIN leat_removed_letters AS r ON ?6 AND r.source = ?1 AND r.partition = ?2 AND r.\"offset\" = ?4";

static void take_reason(sqlite3_stmt *row, int sqlstate, int message, leat_write_answer *ret)
{
    const char *code = (const char *)sqlite3_column_text(row, sqlstate);
    const char *text = (const char *)sqlite3_column_text(row, message);
    snprintf(ret->sqlstate, sizeof ret->sqlstate, "%s", code ? code : "");
    snprintf(ret->message, sizeof ret->message, "%s", text ? text : "");
}

static void take_answer(sqlite3_stmt *row, leat_write_answer *ret)
{
    enum { PARKED, HELD, HELD_SQLSTATE, HELD_MESSAGE, DEAD, SKIPPED, SQLSTATE, MESSAGE, REMOVED };
    if (sqlite3_column_int(row, PARKED))
        return;
    if (sqlite3_column_int(row, HELD)) {
        ret->state = LEAT_WRITE_HELD;
        take_reason(row, HELD_SQLSTATE, HELD_MESSAGE, ret);
    } else if (sqlite3_column_int(row, DEAD)) {
        ret->state = sqlite3_column_int(row, SKIPPED) ? LEAT_WRITE_SKIPPED : LEAT_WRITE_DEAD_LETTER;
        take_reason(row, SQLSTATE, MESSAGE, ret);
    } else {
        const char *removed = (const char *)sqlite3_column_text(row, REMOVED);
        ret->state = LEAT_WRITE_APPLIED;
        ret->was_removed = removed != NULL;
        snprintf(ret->message, sizeof ret->message, "%s", removed ? removed : "");
    }
}

static int look_up(leat_sqlite *sqlite, sqlite3_stmt *query, int32_t source_id,
                   const leat_write_place *place, leat_write_answer *ret, leat_error *error)
{
    sqlite3_bind_int(query, 1, source_id);
    sqlite3_bind_int64(query, 2, place->partition);
    sqlite3_bind_int64(query, 3, place->subpartition);
    sqlite3_bind_int64(query, 4, place->offset);
    sqlite3_bind_int64(query, 5, (int64_t)place->key);
    int status = leat_sqlite_step(sqlite, query, error);
    LEAT_ASSERT(status != 0);
    if (status == 1)
        take_answer(query, ret);
    sqlite3_reset(query);
    return status == 1 ? 0 : -1;
}

/* All questions about the partition of question `first`, which is the first that names it. */
static int answer_partition(leat_sqlite *sqlite, sqlite3_stmt *query, int32_t source_id,
                            const leat_write_question *questions, uint32_t first, uint32_t count,
                            leat_write_answer *ret, leat_error *error)
{
    int64_t reached[LEAT_SUBPARTITIONS_MAX];
    uint32_t partition = questions[first].place.partition;
    leat_sqlite_standing standing = leat_sqlite_read_reached(sqlite, source_id, partition, reached);
    if (standing == LEAT_SQLITE_ABSENT)
        return 0;
    if (standing != LEAT_SQLITE_STANDS)
        return leat_fail(error, "%s: the progress of partition %u cannot be read", sqlite->file,
                         partition);
    for (uint32_t i = first; i < count; i++) {
        const leat_write_place *place = &questions[i].place;
        LEAT_ASSERT(place->subpartition < LEAT_SUBPARTITIONS_MAX);
        if (place->partition == partition && place->offset <= reached[place->subpartition] &&
            look_up(sqlite, query, source_id, place, &ret[i], error) != 0)
            return -1;
    }
    return 0;
}

static bool is_first(const leat_write_question *questions, uint32_t at)
{
    uint32_t i = 0;
    while (questions[i].place.partition != questions[at].place.partition)
        i++;
    return i == at;
}

int leat_sqlite_answer_writes(leat_sqlite *sqlite, int32_t source_id, bool tells_removed,
                              const leat_write_question *questions, uint32_t count,
                              leat_write_answer *ret, leat_error *error)
{
    for (uint32_t i = 0; i < count; i++)
        ret[i] = (leat_write_answer){.state = LEAT_WRITE_PENDING};
    sqlite3_stmt *query = leat_sqlite_prepare(sqlite, write_sql, error);
    int status = query ? 0 : -1;
    if (query)
        sqlite3_bind_int(query, 6, tells_removed);
    for (uint32_t i = 0; status == 0 && i < count; i++)
        if (is_first(questions, i))
            status = answer_partition(sqlite, query, source_id, questions, i, count, ret, error);
    sqlite3_finalize(query);
    return status;
}

int leat_sqlite_read_writes(leat_sqlite *sqlite, int32_t source_id,
                            const leat_write_question *questions, uint32_t count,
                            leat_write_answer *ret, leat_error *error)
{
    if (leat_sqlite_run(sqlite, "BEGIN", error) != 0)
        return -1;
    int status = leat_sqlite_answer_writes(sqlite, source_id, false, questions, count, ret, error);
    if (leat_sqlite_run(sqlite, "ROLLBACK", status == 0 ? error : NULL) != 0)
        return -1;
    return status;
}
