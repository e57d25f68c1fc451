#include "base/line.h"

#include <string.h>

#include "base/utf8.h"

static bool ends_a_line(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029;
}

/* Unicode's Bidi_Control. */
static bool turns_text(uint32_t code)
{
    return code == 0x061c || code == 0x200e || code == 0x200f ||
           (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/* Does the text end within a character? Some first bytes take only low second ones, some only high
 * ones. */
static bool is_cut(const char *at, size_t left)
{
    static const char seconds[] = {'\x80', '\xa0'};
    char whole[4] = {'\x80', '\x80', '\x80', '\x80'};
    if (left >= sizeof whole)
        return false;
    memcpy(whole, at, left);
    for (size_t i = 0; i < sizeof seconds; i++) {
        if (left == 1)
            whole[1] = seconds[i];
        if (leat_utf8_size(whole, sizeof whole) > left)
            return true;
    }
    return false;
}

bool leat_line_takes(const char *at, size_t size)
{
    uint32_t code = size > 0 ? leat_utf8_point(at, size) : 0;
    return size > 0 && !ends_a_line(code) && !turns_text(code);
}

size_t leat_line_clean(char *text, size_t size)
{
    size_t to = 0;
    for (size_t at = 0, width; at < size; at += width ? width : 1) {
        width = leat_utf8_size(text + at, size - at);
        if (width == 0 && is_cut(text + at, size - at))
            break;
        uint32_t code = width ? leat_utf8_point(text + at, width) : 0;
        if (width == 0 || turns_text(code)) {
            text[to++] = '?';
        } else if (ends_a_line(code)) {
            text[to++] = ' ';
        } else {
            memmove(text + to, text + at, width);
            to += width;
        }
    }
    return to;
}
