/*
 * fill.c - the rate is that between now and a look half a minute to a minute ago: long enough that
 * one large step does not count as a flood, short enough that the end of one is seen.
 */
#include "apply/fill.h"

#define KEEP_US  (30 * INT64_C(1000000)) /* between the two looks */
#define LEAST_US (5 * INT64_C(1000000))  /* a shorter time tells nothing */

int64_t leat_fill_left_us(leat_fill *fill, int64_t now_us, uint64_t size, uint64_t max)
{
    if (fill->at_us[0] == 0 || size < fill->size[0]) { /* the first, or it shrinks */
        *fill = (leat_fill){{now_us, now_us}, {size, size}};
    } else if (now_us - fill->at_us[1] >= KEEP_US) {
        fill->at_us[0] = fill->at_us[1];
        fill->size[0] = fill->size[1];
        fill->at_us[1] = now_us;
        fill->size[1] = size;
    }
    int64_t passed_us = now_us - fill->at_us[0];
    uint64_t grown = size - fill->size[0];
    LEAT_ASSERT(passed_us >= 0);
    if (size >= max)
        return 0;
    if (passed_us < LEAST_US || grown == 0)
        return INT64_MAX;
    double left_us = (double)(max - size) / (double)grown * (double)passed_us;
    return left_us < 1e18 ? (int64_t)left_us : INT64_MAX;
}
