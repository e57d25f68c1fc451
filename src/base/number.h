/* number.h - a number as decimal digits, without printf's price: several stand in every answer. */
#ifndef LEAT_BASE_NUMBER_H
#define LEAT_BASE_NUMBER_H

#include "base/buf.h"

static inline void edge_put_number(leat_buf *out, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value > 0);
    leat_buf_append(out, digits + at, sizeof digits - at);
}

#endif
