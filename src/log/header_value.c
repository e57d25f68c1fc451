#include "log/header_value.h"

#include "base/utf8.h"
#include "record/base64.h"

void leat_log_write_header_value(leat_buf *out, const void *value, size_t size)
{
    leat_slice bytes = {value, size};
    if (!value) {
        leat_buf_text(out, "null");
    } else if (leat_utf8_is_text(bytes)) {
        leat_buf_json_string(out, bytes);
    } else {
        leat_buf_text(out, "{\"base64\":\"");
        leat_base64_encode(bytes, out);
        leat_buf_text(out, "\"}");
    }
}
