/*
 * leat.take, leat.advance and leat.compact of PostgreSQL's schema, as statements. A file has one
 * writer at a time, so BEGIN IMMEDIATE replaces the row locks there; the checks are the same: the
 * claim must be the newest, and every batch that this one builds on must be there. Offsets are
 * blobs, big-endian, since SQLite has no arrays.
 */
#include "sink/sqlite/progress.h"

#include <string.h>

enum { OFFSET_SIZE = 8, SUBPARTITION_SIZE = 2 };

/* ---- arrays as blobs, big-endian ---- */

static void put(uint8_t *out, uint64_t value, int size)
{
    LEAT_ASSERT(size > 0 && size <= OFFSET_SIZE);
    for (int i = size - 1; i >= 0; i--, value >>= 8)
        out[i] = (uint8_t)value;
}

static uint64_t get(const uint8_t *bytes, int size)
{
    uint64_t value = 0;
    for (int i = 0; i < size; i++)
        value = value << 8 | bytes[i];
    return value;
}

static void bind_offsets(sqlite3_stmt *statement, int at, const int64_t *offsets, uint32_t count)
{
    LEAT_ASSERT(count <= LEAT_SUBPARTITIONS_MAX);
    uint8_t bytes[OFFSET_SIZE * LEAT_SUBPARTITIONS_MAX];
    for (uint32_t i = 0; i < count; i++)
        put(bytes + OFFSET_SIZE * i, (uint64_t)offsets[i], OFFSET_SIZE);
    sqlite3_bind_blob(statement, at, bytes, (int)(OFFSET_SIZE * count), SQLITE_TRANSIENT);
}

static void bind_subpartitions(sqlite3_stmt *statement, int at, const int16_t *subpartitions,
                               uint32_t count)
{
    LEAT_ASSERT(count <= LEAT_PART_SUBPARTITIONS_MAX);
    uint8_t bytes[SUBPARTITION_SIZE * LEAT_PART_SUBPARTITIONS_MAX];
    for (uint32_t i = 0; i < count; i++)
        put(bytes + SUBPARTITION_SIZE * i, (uint16_t)subpartitions[i], SUBPARTITION_SIZE);
    sqlite3_bind_blob(statement, at, bytes, (int)(SUBPARTITION_SIZE * count), SQLITE_TRANSIENT);
}

int leat_sqlite_read_offsets(sqlite3_stmt *row, int column, int64_t *ret, uint32_t max)
{
    const uint8_t *bytes = sqlite3_column_blob(row, column);
    int size = sqlite3_column_bytes(row, column);
    if ((uint32_t)size > OFFSET_SIZE * max || size % OFFSET_SIZE != 0)
        return -1;
    for (int i = 0; i < size / OFFSET_SIZE; i++)
        ret[i] = (int64_t)get(bytes + OFFSET_SIZE * i, OFFSET_SIZE);
    return size / OFFSET_SIZE;
}

static int read_subpartitions(sqlite3_stmt *row, int at, int16_t *ret)
{
    int size = sqlite3_column_bytes(row, at);
    const uint8_t *bytes = sqlite3_column_blob(row, at);
    if (size > SUBPARTITION_SIZE * LEAT_PART_SUBPARTITIONS_MAX || size % SUBPARTITION_SIZE != 0)
        return -1;
    for (int i = 0; i < size / SUBPARTITION_SIZE; i++)
        ret[i] = (int16_t)get(bytes + SUBPARTITION_SIZE * i, SUBPARTITION_SIZE);
    return size / SUBPARTITION_SIZE;
}

/* ---- statements ---- */

/* With source and partition bound, which are always the first two. NULL: see sqlite3_errmsg. */
static sqlite3_stmt *prepare(leat_sqlite *sqlite, const char *sql, int32_t source_id,
                             uint32_t partition)
{
    LEAT_ASSERT(source_id > 0);
    sqlite3_stmt *statement = leat_sqlite_prepare(sqlite, sql, NULL);
    if (statement) {
        sqlite3_bind_int(statement, 1, source_id);
        sqlite3_bind_int64(statement, 2, partition);
    }
    return statement;
}

/* Runs and finalizes; NULL is a failure already. */
static leat_sqlite_standing run(sqlite3_stmt *statement)
{
    int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;
    sqlite3_finalize(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW ? LEAT_SQLITE_STANDS : LEAT_SQLITE_FAILED;
}

/* ---- what a claim and its batches rest on ---- */

/* Is the claim still the newest, and which is the base? */
static leat_sqlite_standing check_claim(leat_sqlite *sqlite, int32_t source_id, uint32_t partition,
                                        const leat_engine_claim *claim, int64_t *ret_base_seq)
{
    sqlite3_stmt *query = prepare(
        sqlite,
        "SELECT base_seq FROM leat_partitions WHERE source = ?1 AND partition = ?2 AND claim = ?3",
        source_id, partition);
    if (!query)
        return LEAT_SQLITE_FAILED;
    sqlite3_bind_blob(query, 3, claim->token, sizeof claim->token, SQLITE_STATIC);
    int code = sqlite3_step(query);
    if (code == SQLITE_ROW)
        *ret_base_seq = sqlite3_column_int64(query, 0);
    sqlite3_finalize(query);
    return code == SQLITE_ROW    ? LEAT_SQLITE_STANDS
           : code == SQLITE_DONE ? LEAT_SQLITE_FENCED
                                 : LEAT_SQLITE_FAILED;
}

leat_sqlite_standing leat_sqlite_check_claim(leat_sqlite *sqlite, int32_t source_id,
                                             uint32_t partition, const leat_engine_claim *claim)
{
    int64_t base_seq;
    return check_claim(sqlite, source_id, partition, claim, &base_seq);
}

/* Do all batches exist that this one relies on? */
static leat_sqlite_standing check_needs(leat_sqlite *sqlite, int32_t source_id, uint32_t partition,
                                        int64_t base_seq, const int64_t *needs, uint32_t count)
{
    sqlite3_stmt *query = prepare(
        sqlite, "SELECT 1 FROM leat_progress WHERE source = ?1 AND partition = ?2 AND seq = ?3",
        source_id, partition);
    leat_sqlite_standing standing = query ? LEAT_SQLITE_STANDS : LEAT_SQLITE_FAILED;
    for (uint32_t i = 0; standing == LEAT_SQLITE_STANDS && i < count; i++) {
        if (needs[i] <= base_seq)
            continue;
        sqlite3_bind_int64(query, 3, needs[i]);
        int code = sqlite3_step(query);
        standing = code == SQLITE_ROW    ? LEAT_SQLITE_STANDS
                   : code == SQLITE_DONE ? LEAT_SQLITE_WENT_BACK
                                         : LEAT_SQLITE_FAILED;
        sqlite3_reset(query);
    }
    sqlite3_finalize(query);
    return standing;
}

/* ---- claim ---- */

static leat_sqlite_standing read_base(leat_sqlite *sqlite, int32_t source_id, uint32_t partition,
                                      leat_engine_progress *ret)
{
    enum { CLAIM, EPOCH, BASE_SEQ, BASE_OFFSETS, LOW, NEWEST, NEWEST_AT_MS, NEWEST_EPOCH };
    sqlite3_stmt *query = prepare(
        sqlite,
        "UPDATE leat_partitions SET claim = randomblob(16), claims = claims + 1"
        " WHERE source = ?1 AND partition = ?2"
        " RETURNING claim, claims, base_seq, base_offsets, low, newest, newest_at_ms, newest_epoch",
        source_id, partition);
    int code = query ? sqlite3_step(query) : SQLITE_ERROR;
    leat_sqlite_standing standing = code == SQLITE_ROW    ? LEAT_SQLITE_STANDS
                                    : code == SQLITE_DONE ? LEAT_SQLITE_ABSENT
                                                          : LEAT_SQLITE_FAILED;
    if (standing == LEAT_SQLITE_STANDS) {
        leat_engine_claim claim;
        leat_engine_newest newest = {sqlite3_column_int64(query, NEWEST),
                                     sqlite3_column_int64(query, NEWEST_AT_MS),
                                     sqlite3_column_int(query, NEWEST_EPOCH)};
        int64_t base[LEAT_SUBPARTITIONS_MAX];
        if (sqlite3_column_bytes(query, CLAIM) == sizeof claim.token &&
            leat_sqlite_read_offsets(query, BASE_OFFSETS, base, ret->subpartitions) ==
                (int)ret->subpartitions) {
            memcpy(claim.token, sqlite3_column_blob(query, CLAIM), sizeof claim.token);
            leat_engine_progress_begin(ret, claim, sqlite3_column_int64(query, EPOCH),
                                       sqlite3_column_int64(query, BASE_SEQ), base,
                                       sqlite3_column_int64(query, LOW), newest);
        } else {
            standing = LEAT_SQLITE_FAILED;
        }
    }
    sqlite3_finalize(query);
    return standing;
}

static int take_row(sqlite3_stmt *row, leat_engine_progress *ret)
{
    enum { SEQ, SUBPARTITIONS, OFFSETS, NEWEST_AT_MS, NEWEST_EPOCH };
    LEAT_ASSERT(sqlite3_column_count(row) == NEWEST_EPOCH + 1);
    int16_t subpartitions[LEAT_PART_SUBPARTITIONS_MAX];
    int64_t offsets[LEAT_PART_SUBPARTITIONS_MAX];
    int count = read_subpartitions(row, SUBPARTITIONS, subpartitions);
    if (count < 0 ||
        leat_sqlite_read_offsets(row, OFFSETS, offsets, LEAT_PART_SUBPARTITIONS_MAX) != count)
        return -1;
    return leat_engine_progress_row(ret, sqlite3_column_int64(row, SEQ), subpartitions, offsets,
                                    (uint32_t)count, sqlite3_column_int64(row, NEWEST_AT_MS),
                                    sqlite3_column_int(row, NEWEST_EPOCH));
}

leat_sqlite_standing leat_sqlite_claim(leat_sqlite *sqlite, int32_t source_id, uint32_t partition,
                                       leat_engine_progress *ret)
{
    leat_sqlite_standing standing = read_base(sqlite, source_id, partition, ret);
    if (standing != LEAT_SQLITE_STANDS)
        return standing;
    sqlite3_stmt *query =
        prepare(sqlite,
                "SELECT seq, subpartitions, offsets, newest_at_ms, newest_epoch FROM leat_progress"
                " WHERE source = ?1 AND partition = ?2 ORDER BY seq",
                source_id, partition);
    int code = query ? SQLITE_ROW : SQLITE_ERROR;
    while (code == SQLITE_ROW && (code = sqlite3_step(query)) == SQLITE_ROW)
        if (take_row(query, ret) != 0)
            code = SQLITE_CORRUPT;
    sqlite3_finalize(query);
    return code == SQLITE_DONE ? LEAT_SQLITE_STANDS : LEAT_SQLITE_FAILED;
}

/* ---- for those who only read ---- */

static int reach(sqlite3_stmt *row, int64_t *ret)
{
    enum { LOW, SUBPARTITIONS, OFFSETS };
    int16_t subpartitions[LEAT_PART_SUBPARTITIONS_MAX];
    int64_t offsets[LEAT_SUBPARTITIONS_MAX], low = sqlite3_column_int64(row, LOW);
    int count = leat_sqlite_read_offsets(row, OFFSETS, offsets, LEAT_SUBPARTITIONS_MAX);
    bool is_base = sqlite3_column_type(row, SUBPARTITIONS) == SQLITE_NULL;
    if (count < 0 || (!is_base && read_subpartitions(row, SUBPARTITIONS, subpartitions) != count))
        return -1;
    for (int i = 0; is_base && i < LEAT_SUBPARTITIONS_MAX; i++)
        ret[i] = i < count && offsets[i] > low ? offsets[i] : low;
    for (int i = 0; !is_base && i < count; i++) {
        if (subpartitions[i] < 0 || subpartitions[i] >= LEAT_SUBPARTITIONS_MAX)
            return -1;
        if (offsets[i] > ret[subpartitions[i]])
            ret[subpartitions[i]] = offsets[i];
    }
    return 0;
}

leat_sqlite_standing leat_sqlite_read_reached(leat_sqlite *sqlite, int32_t source_id,
                                              uint32_t partition,
                                              int64_t ret[LEAT_SUBPARTITIONS_MAX])
{
    sqlite3_stmt *query = prepare(sqlite,
                                  "SELECT low, NULL, base_offsets FROM leat_partitions"
                                  " WHERE source = ?1 AND partition = ?2"
                                  " UNION ALL "
                                  "SELECT -1, subpartitions, offsets FROM leat_progress"
                                  " WHERE source = ?1 AND partition = ?2",
                                  source_id, partition);
    int code = query ? sqlite3_step(query) : SQLITE_ERROR;
    /* Without its own row a partition is not there, whatever its batches have left. */
    bool is_there = code == SQLITE_ROW && sqlite3_column_type(query, 1) == SQLITE_NULL;
    for (; is_there && code == SQLITE_ROW; code = sqlite3_step(query)) {
        if (reach(query, ret) != 0) {
            code = SQLITE_CORRUPT;
            break;
        }
    }
    sqlite3_finalize(query);
    if (!is_there && (code == SQLITE_DONE || code == SQLITE_ROW))
        return LEAT_SQLITE_ABSENT;
    return code == SQLITE_DONE ? LEAT_SQLITE_STANDS : LEAT_SQLITE_FAILED;
}

/* ---- batches ---- */

leat_sqlite_standing leat_sqlite_advance(leat_sqlite *sqlite, int32_t source_id,
                                         const leat_engine_batch_part *part)
{
    LEAT_ASSERT(part->seq > 0);
    int64_t base_seq = 0;
    leat_sqlite_standing standing =
        check_claim(sqlite, source_id, part->partition, &part->claim, &base_seq);
    if (standing == LEAT_SQLITE_STANDS)
        standing = check_needs(sqlite, source_id, part->partition, base_seq, part->needs,
                               part->needs_count);
    if (standing != LEAT_SQLITE_STANDS)
        return standing;
    sqlite3_stmt *insert =
        prepare(sqlite,
                "INSERT INTO leat_progress (source, partition, seq, subpartitions, offsets,"
                " newest_at_ms, newest_epoch) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                source_id, part->partition);
    if (insert) {
        sqlite3_bind_int64(insert, 3, part->seq);
        bind_subpartitions(insert, 4, part->subpartitions, part->count);
        bind_offsets(insert, 5, part->offsets, part->count);
        sqlite3_bind_int64(insert, 6, part->newest.at_ms);
        sqlite3_bind_int(insert, 7, part->newest.epoch);
    }
    return run(insert);
}

/* ---- compaction ---- */

/* A compaction that a newer one has overtaken does nothing. */
static leat_sqlite_standing move_base(leat_sqlite *sqlite, int32_t source_id,
                                      const leat_engine_compaction *compaction)
{
    sqlite3_stmt *update = prepare(
        sqlite,
        "UPDATE leat_partitions SET base_seq = ?3, base_offsets = ?4, low = ?5, newest = ?6,"
        " newest_at_ms = ?7, newest_epoch = ?8 WHERE source = ?1 AND partition = ?2 AND base_seq < ?3",
        source_id, compaction->partition);
    if (update) {
        sqlite3_bind_int64(update, 3, compaction->base_seq);
        bind_offsets(update, 4, compaction->base_offsets, compaction->subpartitions);
        sqlite3_bind_int64(update, 5, compaction->low);
        sqlite3_bind_int64(update, 6, compaction->newest.offset);
        sqlite3_bind_int64(update, 7, compaction->newest.at_ms);
        sqlite3_bind_int(update, 8, compaction->newest.epoch);
    }
    return run(update);
}

static leat_sqlite_standing drop_rows(leat_sqlite *sqlite, int32_t source_id,
                                      const leat_engine_compaction *compaction)
{
    sqlite3_stmt *delete = prepare(
        sqlite, "DELETE FROM leat_progress WHERE source = ?1 AND partition = ?2 AND seq <= ?3",
        source_id, compaction->partition);
    if (delete)
        sqlite3_bind_int64(delete, 3, compaction->base_seq);
    return run(delete);
}

leat_sqlite_standing leat_sqlite_compact(leat_sqlite *sqlite, int32_t source_id,
                                         const leat_engine_compaction *compaction)
{
    /* 0: a look at a partition that nothing was written for */
    LEAT_ASSERT(compaction->base_seq >= 0 && compaction->low >= -1);
    int64_t base_seq = 0;
    leat_sqlite_standing standing =
        check_claim(sqlite, source_id, compaction->partition, &compaction->claim, &base_seq);
    if (standing == LEAT_SQLITE_STANDS)
        standing = check_needs(sqlite, source_id, compaction->partition, base_seq,
                               compaction->needs, compaction->needs_count);
    if (standing == LEAT_SQLITE_STANDS)
        standing = move_base(sqlite, source_id, compaction);
    if (standing != LEAT_SQLITE_STANDS || sqlite3_changes(sqlite->db) == 0)
        return standing;
    return drop_rows(sqlite, source_id, compaction);
}

const char *leat_sqlite_standing_text(leat_sqlite_standing standing)
{
    LEAT_ASSERT(standing > LEAT_SQLITE_STANDS && standing < LEAT_SQLITE_FAILED);
    static const char *const texts[] = {
        [LEAT_SQLITE_FENCED] = "has been claimed by another worker",
        [LEAT_SQLITE_WENT_BACK] =
            "has lost a batch that was acknowledged: an older copy of the file?",
        [LEAT_SQLITE_GONE] =
            "has other parked records than the worker has read: another copy of the file?",
        [LEAT_SQLITE_TURNED] = "has other held keys than the worker believes",
        [LEAT_SQLITE_ABSENT] = "is not in this file",
    };
    return texts[standing];
}
