/*
 * What a record says of itself travels in headers, because its value is the client's body, byte for
 * byte. Their names are the wire format: other producers write them and docs/record-format.md
 * promises them, so they stand in one table, beside the field that each one fills. The JSON is
 * written by hand: each log appends member by member to its caller's buffer, and escaping is all
 * that there is to do.
 */
#include "record/headers.h"

#include <stddef.h>
#include <string.h>

#include "base/utf8.h"
#include "record/base64.h"

static const struct {
    const char *name;
    size_t at; /* in leat_record */
} headers[LEAT_HEADER_COUNT] = {
    [LEAT_HEADER_ROUTE] = {"route", offsetof(leat_record, route)},
    [LEAT_HEADER_OP] = {"op", offsetof(leat_record, op)},
};

const char *leat_header_name(leat_header header)
{
    LEAT_ASSERT(header < LEAT_HEADER_COUNT);
    return headers[header].name;
}

leat_slice *leat_header_field(leat_record *record, leat_header header)
{
    LEAT_ASSERT(header < LEAT_HEADER_COUNT);
    void *field = (char *)record + headers[header].at;
    return field;
}

leat_slice leat_header_value(const leat_record *record, leat_header header)
{
    LEAT_ASSERT(header < LEAT_HEADER_COUNT);
    const void *field = (const char *)record + headers[header].at;
    return *(const leat_slice *)field;
}

leat_slice *leat_header_find(leat_record *record, const char *name)
{
    LEAT_ASSERT(name);
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++)
        if (strcmp(headers[header].name, name) == 0)
            return leat_header_field(record, header);
    return NULL;
}

/* ---- for people ---- */

void leat_header_write_json(leat_buf *out, const void *value, size_t size)
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
