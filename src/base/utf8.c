/*
 * utf8.c - the forms are those of the Unicode standard's table of well-formed byte sequences. Only
 * the second byte has a special range: this excludes overlong forms, surrogates and code points
 * past U+10FFFF.
 */
#include "base/utf8.h"

#include <string.h>

size_t leat_utf8_size(const char *text, size_t left)
{
    LEAT_ASSERT(left > 0);
    const unsigned char *at = (const unsigned char *)text;
    static const struct {
        unsigned char first_low, first_high, second_low, second_high, size;
    } forms[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
        {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
        {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    if (at[0] < 0x80)
        return 1;
    size_t i = 0;
    while (i < sizeof forms / sizeof *forms &&
           (at[0] < forms[i].first_low || at[0] > forms[i].first_high))
        i++;
    if (i == sizeof forms / sizeof *forms || forms[i].size > left)
        return 0;
    if (at[1] < forms[i].second_low || at[1] > forms[i].second_high)
        return 0;
    for (size_t k = 2; k < forms[i].size; k++)
        if ((at[k] & 0xc0) != 0x80)
            return 0;
    return forms[i].size;
}

uint32_t leat_utf8_point(const char *at, size_t size)
{
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    LEAT_ASSERT(size >= 1 && size < sizeof first_bits);
    uint32_t point = (unsigned char)at[0] & first_bits[size];
    for (size_t i = 1; i < size; i++)
        point = point << 6 | ((unsigned char)at[i] & 0x3f);
    return point;
}

bool leat_utf8_is_text(leat_slice bytes)
{
    for (size_t at = 0, size; at < bytes.size; at += size) {
        size = leat_utf8_size(bytes.data + at, bytes.size - at);
        if (size == 0 || bytes.data[at] == '\0')
            return false;
    }
    return true;
}

void leat_utf8_append(leat_buf *out, leat_slice bytes)
{
    size_t at = 0;
    while (at < bytes.size) {
        size_t size = bytes.data[at] == '\0' ? 0 : leat_utf8_size(bytes.data + at, bytes.size - at);
        if (size == 0)
            leat_buf_text(out, "\xef\xbf\xbd");
        else
            leat_buf_append(out, bytes.data + at, size);
        at += size ? size : 1;
    }
}

size_t leat_utf8_mark_size(leat_slice file)
{
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    bool is_marked = file.size >= sizeof mark && memcmp(file.data, mark, sizeof mark) == 0;
    return is_marked ? sizeof mark : 0;
}
