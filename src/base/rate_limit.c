/*
 * rate_limit.c - texts are remembered by their hash, in a table of fixed size, so that a flood of
 * different texts costs neither memory nor lines. A text that is a minute old keeps its slot until
 * another one needs it, so that the count of suppressed lines survives. Two texts with the same
 * hash would suppress each other for a minute; with 64 bits that does not happen in practice.
 */
#include "base/rate_limit.h"

static bool is_recent(const leat_rate_limit_text *text, uint64_t now_ms)
{
    return text->is_used && now_ms - text->reported_ms < LEAT_RATE_LIMIT_MS;
}

static leat_rate_limit_text *find_known(leat_rate_limit *rate_limit, uint64_t hash)
{
    for (uint32_t i = 0; i < LEAT_RATE_LIMIT_TEXTS; i++)
        if (rate_limit->texts[i].is_used && rate_limit->texts[i].hash == hash)
            return &rate_limit->texts[i];
    return NULL;
}

/* Unused or expired, preferably unused; NULL: all are recent. */
static leat_rate_limit_text *find_free(leat_rate_limit *rate_limit, uint64_t now_ms)
{
    leat_rate_limit_text *ret = NULL;
    for (uint32_t i = 0; i < LEAT_RATE_LIMIT_TEXTS; i++) {
        leat_rate_limit_text *text = &rate_limit->texts[i];
        if (!text->is_used)
            return text;
        if (!is_recent(text, now_ms))
            ret = text;
    }
    return ret;
}

bool leat_rate_limit_allows_again(leat_rate_limit *rate_limit, uint64_t now_ms, const char *text,
                                  uint32_t *ret_suppressed)
{
    uint64_t hash = leat_hash(leat_slice_of(text));
    leat_rate_limit_text *known = find_known(rate_limit, hash);
    *ret_suppressed = 0;
    if (known && is_recent(known, now_ms)) {
        known->suppressed++;
        return false;
    }
    leat_rate_limit_text *at = known ? known : find_free(rate_limit, now_ms);
    if (!at)
        return false;
    *ret_suppressed = known ? known->suppressed : 0;
    *at = (leat_rate_limit_text){.is_used = true, .hash = hash, .reported_ms = now_ms};
    return true;
}

bool leat_rate_limit_allows(leat_rate_limit *rate_limit, uint64_t now_ms, const char *text)
{
    uint32_t suppressed;
    return leat_rate_limit_allows_again(rate_limit, now_ms, text, &suppressed);
}
