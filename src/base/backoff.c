/*
 * backoff.c - exponential back-off with jitter. It doubles so that a server that is down or
 * overloaded is asked less and less; the bound keeps the time to notice its return short. The
 * jitter is there because workers and partitions lose the same database at the same moment and
 * would otherwise all return at the same moment too. Half of the delay is kept: with jitter over
 * all of it a retry could follow at once, which is not a back-off.
 */
#include "base/backoff.h"

int64_t leat_backoff(leat_prng *prng, uint32_t n, int64_t min, int64_t max)
{
    LEAT_ASSERT(n >= 1 && min > 0 && max >= min);
    int64_t delay = min;
    for (uint32_t i = 1; i < n && delay < max; i++)
        delay = delay > max / 2 ? max : delay * 2;
    LEAT_ASSERT(delay >= min && delay <= max);
    return delay - (int64_t)leat_prng_below(prng, (uint64_t)delay / 2 + 1);
}
