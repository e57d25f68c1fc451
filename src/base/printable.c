/*
 * printable.c - two ways to the same end. A log line is cleaned in place and never grows, because
 * its buffer is on the caller's stack and may be full; the original bytes are lost. A terminal
 * shows data that a person has to judge, so there every byte stays readable as \xNN. A character
 * that is cut at the end of a line is dropped rather than shown as '?': lines are cut to fit, so a
 * cut is not a fault of the text.
 */
#include "base/printable.h"

#include <string.h>

#include "base/utf8.h"

static bool is_line_break(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029;
}

/* Unicode's property Bidi_Control: a reader would see another order than the bytes have. */
static bool is_bidi_control(uint32_t code)
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

bool leat_is_printable(const char *at, size_t size)
{
    uint32_t code = size > 0 ? leat_utf8_point(at, size) : 0;
    return size > 0 && !is_line_break(code) && !is_bidi_control(code);
}

size_t leat_printable_line(char *text, size_t size)
{
    size_t to = 0;
    for (size_t at = 0, width; at < size; at += width ? width : 1) {
        width = leat_utf8_size(text + at, size - at);
        if (width == 0 && is_cut(text + at, size - at))
            break;
        uint32_t code = width ? leat_utf8_point(text + at, width) : 0;
        if (width == 0 || is_bidi_control(code)) {
            text[to++] = '?';
        } else if (is_line_break(code)) {
            text[to++] = ' ';
        } else {
            memmove(text + to, text + at, width);
            to += width;
        }
    }
    return to;
}

size_t leat_buf_printable(leat_buf *out, leat_slice text, size_t width, bool keep_lines)
{
    size_t used = 0, cut_at = out->size, cut_used = 0;
    for (size_t at = 0, size; at < text.size; at += size ? size : 1) {
        size = leat_utf8_size(text.data + at, text.size - at);
        bool is_kept = leat_is_printable(text.data + at, size) ||
                       (keep_lines && text.data[at] == '\n');
        size_t needed = is_kept ? 1 : 4 * (size ? size : 1);
        if (used + 3 <= width) {
            cut_at = out->size;
            cut_used = used;
        }
        if (used + needed > width) {
            out->size = cut_at;
            leat_buf_text(out, "...");
            return cut_used + 3;
        }
        for (size_t i = 0; !is_kept && i < (size ? size : 1); i++)
            leat_buf_printf(out, "\\x%02x", (unsigned char)text.data[at + i]);
        if (is_kept)
            leat_buf_append(out, text.data + at, size);
        used += needed;
    }
    return used;
}
