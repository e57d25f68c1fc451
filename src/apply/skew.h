/*
 * skew.h - do the clocks agree? A record that is read before it was accepted comes from a clock
 * that is ahead of this machine's: an edge's, or the broker's where the topic has its time. Then
 * every time lag is too small by as much. Of a clock that is behind nothing can be told: its
 * records look late, as late ones do. Pure.
 */
#ifndef LEAT_APPLY_SKEW_H
#define LEAT_APPLY_SKEW_H

#include "base/base.h"

enum { LEAT_SKEW_MS = 1000 }; /* more is no accident of two clocks that are kept in step */

typedef struct leat_skew {
    int64_t newest_ms; /* the largest accept time that was read since the last look; 0: none */
    int64_t ahead_ms;  /* the most of the last minute; 0: no clock is ahead */
    int64_t seen_us;   /* when that was seen */
    bool is_on;
} leat_skew;

static inline void leat_skew_read(leat_skew *skew, int64_t accepted_ms)
{
    if (accepted_ms > skew->newest_ms)
        skew->newest_ms = accepted_ms;
}

/* A few times a second. Returns true when `is_on` has changed: it begins at LEAT_SKEW_MS, and ends
 * when a minute has passed with less than half of that. */
bool leat_skew_look(leat_skew *skew, int64_t now_us, int64_t wall_ms);

#endif
