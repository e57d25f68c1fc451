#include "log/header_value.h"

#include "base/utf8.h"

/* RFC 4648 section 4, padded. */
static void write_base64(leat_buf *out, leat_slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t left = bytes.size - at;
        uint32_t group = 0;
        for (size_t i = 0; i < 3; i++)
            group = group << 8 | (i < left ? (unsigned char)bytes.data[at + i] : 0u);
        for (size_t i = 0; i < 4; i++)
            leat_buf_byte(out, i <= left ? digits[group >> (18 - 6 * i) & 63] : '=');
    }
}

void leat_log_write_header_value(leat_buf *out, const void *value, size_t size)
{
    leat_slice bytes = {value, size};
    if (!value) {
        leat_buf_text(out, "null");
    } else if (leat_utf8_is_text(bytes)) {
        leat_buf_json_string(out, bytes);
    } else {
        leat_buf_text(out, "{\"base64\":\"");
        write_base64(out, bytes);
        leat_buf_text(out, "\"}");
    }
}
