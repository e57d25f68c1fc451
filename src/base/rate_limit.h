/*
 * rate_limit.h - a log line about something that is retried for as long as it fails: the same text
 * at most once a minute. Bounded: of many different texts only the first LEAT_RATE_LIMIT_TEXTS
 * within a minute are allowed. No clock: the time comes with the call, of any clock that does not
 * go back. Not thread-safe; one owner.
 */
#ifndef LEAT_BASE_RATE_LIMIT_H
#define LEAT_BASE_RATE_LIMIT_H

#include "base/base.h"

enum {
    LEAT_RATE_LIMIT_TEXTS = 16,
    LEAT_RATE_LIMIT_MS = 60000,
    LEAT_RATE_LIMIT_US = LEAT_RATE_LIMIT_MS * 1000,
};

typedef struct leat_rate_limit_text {
    bool is_used;
    uint64_t hash;
    uint64_t reported_ms;
    uint32_t suppressed; /* since then */
} leat_rate_limit_text;

/* Zeroed is ready. */
typedef struct leat_rate_limit {
    leat_rate_limit_text texts[LEAT_RATE_LIMIT_TEXTS];
} leat_rate_limit;

/* True: the caller logs it now, and it counts as reported. `text` is the line, or any part of it
 * that tells one cause from another. */
bool leat_rate_limit_allows(leat_rate_limit *rate_limit, uint64_t now_ms, const char *text);
/* The same; *ret_suppressed: how often `text` was not allowed since it was reported last, as far as
 * that is still known (0 with false). */
bool leat_rate_limit_allows_again(leat_rate_limit *rate_limit, uint64_t now_ms, const char *text,
                                  uint32_t *ret_suppressed);

/* For a line without variants, whose owner keeps when it was logged: may one of `last_us` (0:
 * never) be logged again? Inline, so that the engine, which calls nothing of the system, can use
 * it. */
static inline bool leat_rate_limit_is_due(int64_t last_us, int64_t now_us)
{
    return last_us == 0 || now_us - last_us >= LEAT_RATE_LIMIT_US;
}

#endif
