/*
 * late.h - how long what waits for a shard will take: what waits, divided by what was applied a
 * second lately; and whether that is more than it may be. Pure: whoever measures says what has
 * passed between two measures.
 *
 * The rate counts only while there was something to apply all the time, which is known where what
 * waited at the begin was as much as was applied until the end, and something still waits: a shard
 * that is given ten records a second applies ten, and can do more, whatever else waits there. A
 * time in which it has applied nothing leaves the rate as it is: then the estimate grows with what
 * waits.
 */
#ifndef LEAT_APPLY_LATE_H
#define LEAT_APPLY_LATE_H

#include "base/base.h"

/* So many measures in a row must be above the limit: a burst that the shard can do, and a first
 * rate that was too low, are over by then. */
enum { LEAT_LATE_MEASURES = 3 };

typedef struct leat_late {
    uint64_t done;    /* records, ever, at the last measure */
    uint64_t backlog; /* records that waited then */
    double per_s;     /* applied a second; 0: not known yet */
    uint32_t above;   /* measures in a row with more than the limit */
    bool is_late;     /* since it was above the limit for long enough, and until it is below half */
} leat_late;

/* `limit_ms` 0: it is never late. */
void leat_late_measure(leat_late *late, uint64_t done, uint64_t backlog, int64_t passed_us,
                       int64_t limit_ms);
/* What waits will take so long; -1: not known. */
int64_t leat_late_estimate_ms(const leat_late *late);

#endif
