/*
 * varint.c - a number of 64 bits has at most ten bytes, of which the tenth holds one bit: more than
 * that is damage, not a number, and is refused, so that each number has an end.
 */
#include "base/varint.h"

enum { BYTES_MAX = 10, BITS = 7 };

void leat_varint_put(leat_buf *buf, uint64_t value)
{
    while (value > 0x7f) {
        leat_buf_byte(buf, (char)(value | 0x80));
        value >>= BITS;
    }
    leat_buf_byte(buf, (char)value);
}

bool leat_varint_take(leat_slice *rest, uint64_t *ret)
{
    uint64_t value = 0;
    LEAT_ASSERT(rest->data || rest->size == 0);
    for (unsigned i = 0; i < BYTES_MAX && i < rest->size; i++) {
        uint64_t byte = (unsigned char)rest->data[i];
        if (i == BYTES_MAX - 1 && byte > 1)
            return false;
        value |= (byte & 0x7f) << (BITS * i);
        if (byte <= 0x7f) {
            *ret = value;
            *rest = (leat_slice){rest->data + i + 1, rest->size - i - 1};
            return true;
        }
    }
    return false;
}
