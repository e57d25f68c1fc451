/*
 * chars.h - kinds of characters by table: no processor can predict whether the next byte of a uuid
 * is a digit or a letter, and keys are full of such bytes.
 */
#ifndef LEAT_RECORD_CHARS_H
#define LEAT_RECORD_CHARS_H

#include "base/buf.h"

enum { LEAT_CHAR_UNRESERVED = 0x10, LEAT_CHAR_HEX = 0x20 };

/* By unsigned char: the bits above, and the value of a hexadecimal digit in the lowest four. */
extern const uint8_t leat_chars[256];

/* 0 to 15, -1 when it is not one. */
static inline int leat_hex_digit(char c)
{
    uint8_t kind = leat_chars[(unsigned char)c];
    return kind & LEAT_CHAR_HEX ? kind & 15 : -1;
}

/* Stays as it is in a path (RFC 3986): letters, digits, '-', '.', '_', '~'. */
static inline bool leat_is_unreserved(char c)
{
    return (leat_chars[(unsigned char)c] & LEAT_CHAR_UNRESERVED) != 0;
}

/* Appends a text as it stands in a path or a query: what is not unreserved as %XX. */
void leat_buf_percent(leat_buf *out, leat_slice text);

/* The text of a UUID is 8-4-4-4-12: where it has its dashes, and the two digits of each byte. */
enum { LEAT_UUID_BYTES = 16, LEAT_UUID_DASHES = 4, LEAT_UUID_TEXT = 36 };
static const uint8_t leat_uuid_dashes[LEAT_UUID_DASHES] = {8, 13, 18, 23};
static const uint8_t leat_uuid_digits[LEAT_UUID_BYTES] = {0,  2,  4,  6,  9,  11, 14, 16,
                                                          19, 21, 24, 26, 28, 30, 32, 34};

#endif
