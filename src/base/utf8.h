/* utf8.h - which bytes are UTF-8. Pure. */
#ifndef LEAT_BASE_UTF8_H
#define LEAT_BASE_UTF8_H

#include "base/buf.h"

/* Bytes of the character that starts here, 0 when it is not UTF-8 (overlong, a surrogate, past
 * U+10FFFF, cut). */
size_t leat_utf8_size(const char *at, size_t left);
/* The code point of the character that starts here and has `size` bytes (of leat_utf8_size, not
 * 0). */
uint32_t leat_utf8_point(const char *at, size_t size);
/* Valid UTF-8 without U+0000: the text that PostgreSQL accepts. */
bool leat_utf8_is_text(leat_slice bytes);
/* Appends the bytes with U+FFFD in place of every byte that is not part of such text. */
void leat_utf8_append(leat_buf *out, leat_slice bytes);
/* Bytes of the mark U+FEFF with which spreadsheets begin a file: 3, or 0 when there is none. */
size_t leat_utf8_mark_size(leat_slice file);

#endif
