/*
 * range.h - is a partition of the log still the one that its progress was written for?
 *
 * Offsets mean something only together with the log that gave them. Before a partition is read, and
 * whenever its log may have changed, its progress is compared with the log. Both backends and the
 * simulator ask here, so that the rule exists once. Nothing is read or kept here: the caller
 * gathers the numbers.
 *
 * With `reach` = the greatest offset up to which everything is applied or was offered (the greater
 * of `low` and one below where reading goes on):
 *
 *   OTHER      the log was recreated: its offsets belong to another log
 *   SHORT      end <= reach, or end <= high: the log was cut off, and its next records will carry
 *              offsets that count as applied
 *   LOST       start > reach + 1: records in between are gone that may not have been applied.
 *              Whether there were any (offsets have holes) cannot be known, so in doubt it is a
 *              loss. This holds from the first start on: `leat init` stores where the log began
 *   REWRITTEN  the log was cut off and has grown again past what was read, so that its end does
 *              not show it: another record is where one was applied. A log with leader epochs
 *              shows it by the epoch of the last record read, which ends before `next`; a log
 *              without them by the time of the record at `high`, which is another
 *   FITS       it is read from the greater of `next` and `start`
 *
 * The first that holds counts, in this order.
 */
#ifndef LEAT_LOG_RANGE_H
#define LEAT_LOG_RANGE_H

#include "base/base.h"

typedef struct leat_log_range {
    /* ---- what was read and applied ---- */
    int64_t low;     /* everything up to here is applied; -1: nothing */
    int64_t high;    /* something up to here is applied; -1: nothing */
    int64_t high_ms; /* the time of the record at `high`; 0: not known */
    int64_t next; /* the offset to read from: everything below was offered; -1: the log's start */
    int64_t read_to; /* likewise, including offsets that have no record; -1: not known */

    /* ---- what the log has now ---- */
    bool is_recreated;
    int64_t start;     /* its first offset */
    int64_t end;       /* the offset after its last */
    int64_t epoch_end; /* where the leader epoch of the record before `next` ends; -1: not known */
    int64_t found_ms;  /* the time of the record that is at `high`; 0: not known, or none is */
} leat_log_range;

typedef enum leat_range_verdict {
    LEAT_RANGE_FITS,
    LEAT_RANGE_OTHER,
    LEAT_RANGE_SHORT,
    LEAT_RANGE_LOST,
    LEAT_RANGE_REWRITTEN,
} leat_range_verdict;

leat_range_verdict leat_range_check(const leat_log_range *range);

/* The check for LEAT_RANGE_REWRITTEN alone, for a log whose ends are not known at the moment. */
bool leat_range_is_rewritten(const leat_log_range *range);

/* Writes why the partition cannot be read further, for a person. `cause` is the part that only the
 * backend knows: of OTHER what was recreated (`range` may be NULL then), of SHORT and LOST what
 * probably happened, of REWRITTEN what shows it. Not for FITS. */
void leat_range_reason(const leat_log_range *range, leat_range_verdict verdict, const char *cause,
                       char *ret, size_t size);

#endif
