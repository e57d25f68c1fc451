/*
 * fill.h - when something that grows will be full, at the rate of the last minute. Pure.
 */
#ifndef LEAT_APPLY_FILL_H
#define LEAT_APPLY_FILL_H

#include "base/base.h"

/* Zeroed at first. */
typedef struct leat_fill {
    int64_t at_us[2]; /* two looks, the older one first; 0: there was none */
    uint64_t size[2];
} leat_fill;

/* Looks at it: `size` of at most `max`. Returns microseconds; INT64_MAX: it does not grow, or has
 * not been looked at for long enough. 0: it is full. */
int64_t leat_fill_left_us(leat_fill *fill, int64_t now_us, uint64_t size, uint64_t max);

#endif
