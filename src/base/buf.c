/*
 * buf.c - capacity doubles, so a text of n bytes costs O(n) however small its pieces are. It never
 * shrinks and has no limit: a buffer that may have become large is freed by its owner, who knows
 * when (conn.c and request.c in http do). A failed buffer keeps what it has until then.
 */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 256 };

void leat_buf_free(leat_buf *buf)
{
    free(buf->data);
    *buf = (leat_buf){0};
}

void leat_buf_clear(leat_buf *buf)
{
    buf->size = 0;
    buf->failed = false;
}

char *leat_buf_reserve(leat_buf *buf, size_t size)
{
    LEAT_ASSERT(buf->size <= buf->capacity);
    if (buf->failed)
        return NULL;
    if (buf->capacity - buf->size >= size && buf->data)
        return buf->data + buf->size;
    size_t wanted = buf->capacity ? buf->capacity * 2 : BUF_FIRST;
    if (wanted < buf->size + size)
        wanted = buf->size + size;
    char *grown = realloc(buf->data, wanted);
    if (!grown) {
        buf->failed = true;
        return NULL;
    }
    buf->data = grown;
    buf->capacity = wanted;
    return buf->data + buf->size;
}

void leat_buf_append_grown(leat_buf *buf, const void *data, size_t size)
{
    char *at = leat_buf_reserve(buf, size);
    if (!at || size == 0)
        return;
    memcpy(at, data, size);
    buf->size += size;
}

void leat_buf_vprintf(leat_buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int needed = vsnprintf(NULL, 0, format, args);
    LEAT_ASSERT(needed >= 0);
    char *at = leat_buf_reserve(buf, (size_t)needed + 1);
    if (at) {
        vsnprintf(at, (size_t)needed + 1, format, again);
        buf->size += (size_t)needed;
    }
    va_end(again);
}

void leat_buf_printf(leat_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    leat_buf_vprintf(buf, format, args);
    va_end(args);
}

void leat_buf_uint(leat_buf *buf, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + (int)(value % 10));
        value /= 10;
    } while (value > 0);
    leat_buf_append(buf, digits + at, sizeof digits - at);
}

void leat_buf_patch_be32(leat_buf *buf, size_t at, uint32_t value)
{
    if (buf->failed)
        return;
    LEAT_ASSERT(at + sizeof value <= buf->size);
    value = htobe32(value);
    memcpy(buf->data + at, &value, sizeof value);
}

static void json_escape(leat_buf *buf, unsigned char c)
{
    switch (c) {
    case '"':
        leat_buf_text(buf, "\\\"");
        break;
    case '\\':
        leat_buf_text(buf, "\\\\");
        break;
    case '\n':
        leat_buf_text(buf, "\\n");
        break;
    default:
        if (c < 0x20 || c == 0x7f)
            leat_buf_printf(buf, "\\u%04x", c);
        else
            leat_buf_byte(buf, (char)c);
    }
}

void leat_buf_json_string(leat_buf *buf, leat_slice text)
{
    leat_buf_byte(buf, '"');
    for (size_t i = 0; i < text.size; i++)
        json_escape(buf, (unsigned char)text.data[i]);
    leat_buf_byte(buf, '"');
}

const char *leat_buf_cstr(leat_buf *buf)
{
    char *at = leat_buf_reserve(buf, 1);
    if (!at)
        return NULL;
    *at = '\0';
    return buf->data;
}
