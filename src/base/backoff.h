/* backoff.h - how long to wait before the next try. Pure: no clock; the caller gives the time and
 * the random number. */
#ifndef LEAT_BASE_BACKOFF_H
#define LEAT_BASE_BACKOFF_H

#include "base/base.h"

/*
 * The delay before the n-th retry in a row (n >= 1), in the unit of `min` and `max` (0 < min <=
 * max): min, 2 min, 4 min ... max, minus a random part of up to half of it. The result is between
 * min / 2 and max.
 */
int64_t leat_backoff(leat_prng *prng, uint32_t n, int64_t min, int64_t max);

#endif
