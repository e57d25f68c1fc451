/*
 * rate_limit.h - what is tried again and again would say the same thing each time: once a minute is
 * enough. Bounded: of many different texts the first few of a minute are said. No clock: time comes
 * with the call.
 */
#ifndef LEAT_BASE_RATE_LIMIT_H
#define LEAT_BASE_RATE_LIMIT_H

#include "base/base.h"

enum { LEAT_RATE_LIMIT_TEXTS = 16, LEAT_RATE_LIMIT_MS = 60000 };

/* Zeroed is ready. */
typedef struct leat_rate_limit {
    struct {
        bool is_used;
        uint64_t hash;
        uint64_t said_ms;
    } texts[LEAT_RATE_LIMIT_TEXTS];
} leat_rate_limit;

/* May this be said now? If so it counts as said. */
static inline bool leat_rate_limit_allows(leat_rate_limit *rate_limit, uint64_t now_ms,
                                          const char *text)
{
    uint64_t hash = leat_hash(leat_slice_of(text));
    int room = -1;
    for (int i = 0; i < LEAT_RATE_LIMIT_TEXTS; i++) {
        bool is_recent = rate_limit->texts[i].is_used &&
                         now_ms - rate_limit->texts[i].said_ms < LEAT_RATE_LIMIT_MS;
        if (is_recent && rate_limit->texts[i].hash == hash)
            return false;
        if (!is_recent)
            room = i;
    }
    if (room < 0)
        return false;
    rate_limit->texts[room].is_used = true;
    rate_limit->texts[room].hash = hash;
    rate_limit->texts[room].said_ms = now_ms;
    return true;
}

#endif
