#include "cli/printable.h"

#include "base/line.h"
#include "base/utf8.h"

size_t leat_put_printable(leat_buf *out, leat_slice text, size_t width, bool keep_lines)
{
    size_t used = 0, cut_at = out->size, cut_used = 0;
    for (size_t at = 0, size; at < text.size; at += size ? size : 1) {
        size = leat_utf8_size(text.data + at, text.size - at);
        bool is_kept = leat_line_takes(text.data + at, size) ||
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
