/*
 * buf.h - a growing byte buffer. After an allocation that fails the buffer is marked as failed and
 * appends do nothing, so a builder checks once, at its end. Not thread-safe; one owner.
 */
#ifndef LEAT_BASE_BUF_H
#define LEAT_BASE_BUF_H

#include <endian.h>
#include <stdarg.h>
#include <string.h>

#include "base/base.h"

typedef struct leat_buf {
    char *data; /* NULL while nothing was appended */
    size_t size;
    size_t capacity;
    bool failed; /* an allocation failed: the content is incomplete */
} leat_buf;

void leat_buf_free(leat_buf *buf);
/* Empties the buffer, keeps its memory. */
void leat_buf_clear(leat_buf *buf);
/* Room for `size` more bytes: a pointer to write them at; the caller adds to buf->size. NULL: out
 * of memory. */
char *leat_buf_reserve(leat_buf *buf, size_t size);
/* Appends where there is no room yet. */
void leat_buf_append_grown(leat_buf *buf, const void *data, size_t size);

/* In the header: texts are mostly literals, whose copy is then a few moves. */
static inline void leat_buf_append(leat_buf *buf, const void *data, size_t size)
{
    if (size == 0 || buf->failed || buf->capacity - buf->size < size) {
        leat_buf_append_grown(buf, data, size);
        return;
    }
    memcpy(buf->data + buf->size, data, size);
    buf->size += size;
}

static inline void leat_buf_slice(leat_buf *buf, leat_slice slice)
{
    leat_buf_append(buf, slice.data, slice.size);
}

static inline void leat_buf_text(leat_buf *buf, const char *text)
{
    leat_buf_append(buf, text, strlen(text));
}

static inline void leat_buf_byte(leat_buf *buf, char byte)
{
    leat_buf_append(buf, &byte, 1);
}

void leat_buf_printf(leat_buf *buf, const char *format, ...) LEAT_PRINTF(2, 3);
void leat_buf_vprintf(leat_buf *buf, const char *format, va_list args) LEAT_PRINTF(2, 0);
/* Decimal digits, without the cost of printf: every HTTP answer has several numbers. */
void leat_buf_uint(leat_buf *buf, uint64_t value);

/* Network byte order, as in PostgreSQL's binary formats. In the header: an array has two of them an
 * element. */
static inline void leat_buf_be16(leat_buf *buf, uint16_t value)
{
    value = htobe16(value);
    leat_buf_append(buf, &value, sizeof value);
}

static inline void leat_buf_be32(leat_buf *buf, uint32_t value)
{
    value = htobe32(value);
    leat_buf_append(buf, &value, sizeof value);
}

static inline void leat_buf_be64(leat_buf *buf, uint64_t value)
{
    value = htobe64(value);
    leat_buf_append(buf, &value, sizeof value);
}

/* Overwrites four bytes at `at`: for a length that is known only afterwards. */
void leat_buf_patch_be32(leat_buf *buf, size_t at, uint32_t value);
/* A JSON string with its quotes; control characters are escaped, DEL too. Bytes that are not UTF-8
 * stay as they are. */
void leat_buf_json_string(leat_buf *buf, leat_slice text);
/* NUL-terminates without counting the NUL; NULL when the buffer failed. */
const char *leat_buf_cstr(leat_buf *buf);

#endif
