/*
 * rate_limit.h - what is tried again and again would say the same thing each time: once a minute is enough. Bounded: of
 * many different texts the first few of a minute are said. No clock: time comes with the call.
 */
#ifndef LEAT_BASE_RATE_LIMIT_H
#define LEAT_BASE_RATE_LIMIT_H

#include "base/base.h"

enum { LEAT_SELDOM_TEXTS = 16, LEAT_SELDOM_MS = 60000 };

/* Zeroed is ready. */
typedef struct leat_seldom {
    struct {
        bool is_used;
        uint64_t hash;
        uint64_t said_ms;
    } texts[LEAT_SELDOM_TEXTS];
} leat_seldom;

/* May this be said now? If so it counts as said. */
static inline bool leat_seldom_may_say(leat_seldom *seldom, uint64_t now_ms, const char *text)
{
    uint64_t hash = leat_hash(leat_slice_of(text));
    int room = -1;
    for (int i = 0; i < LEAT_SELDOM_TEXTS; i++) {
        bool is_recent = seldom->texts[i].is_used && now_ms - seldom->texts[i].said_ms < LEAT_SELDOM_MS;
        if (is_recent && seldom->texts[i].hash == hash)
            return false;
        if (!is_recent)
            room = i;
    }
    if (room < 0)
        return false;
    seldom->texts[room].is_used = true;
    seldom->texts[room].hash = hash;
    seldom->texts[room].said_ms = now_ms;
    return true;
}

#endif
