/*
 * varint.h - whole numbers in as few bytes as they need: seven bits a byte, the lowest first, the
 * top bit set in all bytes but the last (LEB128). Signed ones are folded, so that small negative
 * numbers are short, too.
 */
#ifndef LEAT_BASE_VARINT_H
#define LEAT_BASE_VARINT_H

#include "base/buf.h"

void leat_varint_put(leat_buf *buf, uint64_t value);
/* Takes one from the front. False: `rest` ends before it does, or it has more than 64 bits; then
 * `rest` is undefined. */
bool leat_varint_take(leat_slice *rest, uint64_t *ret);

static inline uint64_t leat_varint_fold(int64_t value)
{
    return ((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0);
}

static inline int64_t leat_varint_unfold(uint64_t value)
{
    return (int64_t)((value >> 1) ^ (value & 1 ? UINT64_MAX : 0));
}

#endif
