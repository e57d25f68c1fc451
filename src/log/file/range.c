/*
 * range.c - is the file still the log that progress was written for? The rule is log/range.h's; it
 * is applied at each seek, and again when an expected record is missing. Offsets have no holes
 * here: one that is missing between the first and the next is a fault of the file. There are no
 * leader epochs either. If the file is an older copy that has grown past the applied records since,
 * the time of the newest applied record shows it, before anything is offered. (If the reader
 * noticed only on reaching that record, new records before it would already be applied or skipped.)
 */
#include <stdio.h>

#include "log/file/reader.h"
#include "log/range.h"

enum { REASON_SIZE = 400 };

/* The time of the record at `high`; 0: it is no longer in the file. Returns SQLite's code. */
static int read_time(leat_local_reader *reader, uint32_t partition, int64_t *ret_ms)
{
    char sql[LEAT_LOCAL_SQL_SIZE];
    sqlite3_stmt *row;
    snprintf(sql, sizeof sql, "SELECT accepted_ms FROM leat_records_%u WHERE offset = ?",
             partition);
    int code = sqlite3_prepare_v2(reader->db, sql, -1, &row, NULL);
    if (code != SQLITE_OK)
        return code;
    sqlite3_bind_int64(row, 1, reader->parts[partition].high);
    code = sqlite3_step(row);
    *ret_ms = code == SQLITE_ROW ? sqlite3_column_int64(row, 0) : 0;
    sqlite3_finalize(row);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static const char *const causes[] = {
    [LEAT_RANGE_OTHER] = "the log's file was recreated",
    [LEAT_RANGE_SHORT] = "the file is an older copy or was recreated",
    [LEAT_RANGE_LOST] = "they are no longer in the log",
    [LEAT_RANGE_REWRITTEN] = "the file is an older copy that was written to since",
};

void leat_local_check_range(leat_local_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(reader->parts[partition].state == LEAT_LOCAL_PART_SOUGHT);
    leat_local_reader_part *part = &reader->parts[partition];
    leat_log_range range = {.low = part->low,
                            .high = part->high,
                            .high_ms = part->high_ms,
                            .next = part->next,
                            .read_to = -1,
                            .is_recreated = reader->other_log,
                            .start = atomic_load(&reader->log->parts[partition].first),
                            .end = atomic_load(&reader->log->parts[partition].next),
                            .epoch_end = -1};
    int code = part->high_ms > 0 ? read_time(reader, partition, &range.found_ms) : SQLITE_OK;
    if (code != SQLITE_OK) {
        leat_local_reader_fail(reader, code);
        return;
    }
    leat_range_verdict verdict = leat_range_check(&range);
    if (verdict == LEAT_RANGE_FITS) {
        if (part->next < range.start) /* -1: from the log's first */
            part->next = range.start;
        leat_local_part_enter(part, LEAT_LOCAL_PART_READING);
        return;
    }
    char reason[REASON_SIZE];
    leat_range_reason(&range, verdict, causes[verdict], reason, sizeof reason);
    leat_local_break_part(reader, partition, reason);
}

/* The record at `next` is missing: was it deleted meanwhile because it was applied? */
void leat_local_on_hole(leat_local_reader *reader, uint32_t partition)
{
    LEAT_ASSERT(reader->parts[partition].state == LEAT_LOCAL_PART_READING);
    leat_local_reader_part *part = &reader->parts[partition];
    if (atomic_load(&reader->log->parts[partition].first) > part->next) {
        leat_local_part_enter(part, LEAT_LOCAL_PART_SOUGHT);
        return;
    }
    char reason[REASON_SIZE];
    snprintf(reason, sizeof reason, "the record at offset %lld is missing in the log's file",
             (long long)part->next);
    leat_local_break_part(reader, partition, reason);
}
