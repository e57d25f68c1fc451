/*
 * bytea travels as base64 in JSON and in keys. Only the canonical spelling is accepted, since keys
 * are compared and hashed as texts: two spellings of the same bytes would be two keys of one row,
 * in two partitions perhaps. The order of two texts is found without decoding them.
 */
#include "record/base64.h"

enum { NOT_A_DIGIT = -2, PADDING = -1, QUAD = 4, TRIPLE = 3 };

/* Padding is less than any digit. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : c == '=' ? PADDING : NOT_A_DIGIT;
}

static size_t padding_of(leat_slice text)
{
    size_t count = 0;
    while (count < 2 && count < text.size && text.data[text.size - 1 - count] == '=')
        count++;
    return count;
}

bool leat_base64_check(leat_slice text)
{
    if (text.size % QUAD != 0)
        return false;
    size_t padding = padding_of(text);
    size_t digits = text.size - padding;
    for (size_t i = 0; i < digits; i++)
        if (value_of(text.data[i]) < 0)
            return false;
    int unused = padding == 2 ? 0xf : padding == 1 ? 0x3 : 0;
    return padding == 0 || (value_of(text.data[digits - 1]) & unused) == 0;
}

size_t leat_base64_size(leat_slice text)
{
    return text.size / QUAD * TRIPLE - padding_of(text);
}

void leat_base64_decode(leat_slice text, leat_buf *out)
{
    size_t left = leat_base64_size(text);
    for (size_t at = 0; at < text.size; at += QUAD) {
        uint32_t bits = 0;
        for (size_t i = 0; i < QUAD; i++) {
            int value = value_of(text.data[at + i]);
            bits = bits << 6 | (uint32_t)(value < 0 ? 0 : value);
        }
        char bytes[TRIPLE] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
        size_t size = left < TRIPLE ? left : TRIPLE;
        leat_buf_append(out, bytes, size);
        left -= size;
    }
}

void leat_base64_encode(leat_slice bytes, leat_buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < bytes.size; at += TRIPLE) {
        size_t size = bytes.size - at < TRIPLE ? bytes.size - at : TRIPLE;
        uint32_t bits = 0;
        for (size_t i = 0; i < TRIPLE; i++)
            bits = bits << 8 | (i < size ? (uint8_t)bytes.data[at + i] : 0);
        for (size_t i = 0; i < QUAD; i++)
            leat_buf_byte(out, i <= size ? digits[bits >> (18 - 6 * i) & 63] : '=');
    }
}

/* Digit by digit: the unused bits of the last one are 0, and where one text is padded the other has
 * more bytes. */
int leat_base64_compare(leat_slice a, leat_slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    for (size_t i = 0; i < size; i++)
        if (a.data[i] != b.data[i])
            return value_of(a.data[i]) - value_of(b.data[i]);
    return (a.size > b.size) - (a.size < b.size);
}
