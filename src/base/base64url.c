/*
 * base64url.c - four characters are three bytes; two or three at the end are one or two bytes, and
 * one alone is none. It differs from record/base64.h in alphabet and padding, and both are strict:
 * one reader for both would be a reader with a way to be lax.
 */
#include "base/base64url.h"

const char leat_base64url_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int leat_base64url_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool leat_base64url_decode(leat_slice text, leat_buf *out)
{
    uint32_t bits = 0, count = 0;
    size_t before = out->size, size = text.size / 4 * 3 + text.size % 4 * 3 / 4;
    char *at = leat_buf_reserve(out, size + 1);
    if (text.size % 4 == 1 || !at)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        int value = leat_base64url_value(text.data[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count < 8)
            continue;
        count -= 8;
        *at++ = (char)(bits >> count);
        bits &= (1u << count) - 1;
    }
    if (bits != 0)
        return false;
    LEAT_ASSERT(at == out->data + before + size);
    out->size += size;
    return true;
}

void leat_base64url_encode(leat_slice bytes, leat_buf *out)
{
    uint32_t bits = 0, count = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        bits = bits << 8 | (unsigned char)bytes.data[i];
        for (count += 8; count >= 6; bits &= (1u << count) - 1) {
            count -= 6;
            leat_buf_byte(out, leat_base64url_digits[bits >> count]);
        }
    }
    if (count > 0)
        leat_buf_byte(out, leat_base64url_digits[bits << (6 - count)]);
}
