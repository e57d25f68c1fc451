/*
 * hold.h - records of one partition on their way to the client library, and when they go. The
 * library gathers records by itself (linger.ms), but its timer delays every record, whether others
 * come or not, and its clock is the time-out of poll(2): half a millisecond becomes a whole one.
 *
 * With linger.ms 0 records wait here instead, and go when the bound has passed since the last ones
 * went: one that comes alone goes at once, and those that follow soon share a request. That answers
 * sooner at low load and costs throughput under much, because the library then sends many small
 * requests (docs/performance.md). Else the bound is 0 and the library waits; here records stay only
 * while it would not send them (flight.h).
 *
 * The records leave in the order in which they came, and their bytes are in one piece of memory
 * that is used again and again. No clock and no I/O.
 */
#ifndef LEAT_LOG_KAFKA_HOLD_H
#define LEAT_LOG_KAFKA_HOLD_H

#include "base/buf.h"
#include "record/item.h"

enum {
    LEAT_HOLD_BYTES = 64 * 1024
}; /* at this many they go at once; a larger record, never held,
      too */

typedef struct leat_hold {
    leat_buf bytes; /* those from `at` on are held */
    size_t at;
    uint32_t count;    /* records held */
    int64_t handed_us; /* when the last ones went; 0: never */
} leat_hold;

void leat_hold_fini(leat_hold *hold);
/* Copies the record. False: out of memory, nothing has changed. `tag` comes back with it. */
bool leat_hold_add(leat_hold *hold, const leat_record *record, void *tag) LEAT_MUST_CHECK;
/* Bytes of the record as they count here. */
size_t leat_hold_size(const leat_record *record);
/* No further record is held: they go now. */
bool leat_hold_is_full(const leat_hold *hold);
/* Do they go? False where none is held. */
bool leat_hold_is_due(const leat_hold *hold, int64_t bound_us, int64_t now_us);
/* When they go at the latest. */
int64_t leat_hold_due_us(const leat_hold *hold, int64_t bound_us);
/* All that are held go now: leat_hold_first and leat_hold_advance follow until there is none left,
 * or the library has no room; what it did not take stays, and goes first the next time. */
void leat_hold_begin(leat_hold *hold, int64_t now_us);
/* The first one that is held: true, or false where there is none. Its slices are valid until the
 * next leat_hold_add or leat_hold_advance; the partition is not filled in. */
bool leat_hold_first(const leat_hold *hold, leat_record *ret, void **ret_tag) LEAT_MUST_CHECK;
/* That one is held no longer. */
void leat_hold_advance(leat_hold *hold);

#endif
