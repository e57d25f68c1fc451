/*
 * skew.c - the largest of a minute: between two records from the future there may be others.
 */
#include "apply/skew.h"

#define KEPT_US (60 * INT64_C(1000000))

bool leat_skew_look(leat_skew *skew, int64_t now_us, int64_t wall_ms)
{
    bool was_on = skew->is_on;
    int64_t ahead_ms = skew->newest_ms > wall_ms ? skew->newest_ms - wall_ms : 0;
    if (ahead_ms >= skew->ahead_ms || now_us - skew->seen_us >= KEPT_US) {
        skew->ahead_ms = ahead_ms;
        skew->seen_us = now_us;
    }
    skew->newest_ms = 0;
    skew->is_on = skew->ahead_ms >= (was_on ? LEAT_SKEW_MS / 2 : LEAT_SKEW_MS);
    return skew->is_on != was_on;
}
