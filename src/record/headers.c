/*
 * What a record says of itself travels in headers, because its value is the client's body, byte for
 * byte. Their names are the wire format: other producers write them and docs/record-format.md
 * promises them, so they stand in one table, beside the field that each one fills. Foreign headers
 * are kept too: they may be the only clue to a record of another producer. The JSON is written by
 * hand, member by member: escaping is all that there is to do.
 */
#include "record/headers.h"

#include <stddef.h>

#include "base/utf8.h"
#include "base/varint.h"
#include "record/base64.h"

#define NAME(text) {(text), sizeof(text) - 1}

static const struct {
    leat_slice name;
    size_t at; /* in leat_record */
} headers[LEAT_HEADER_COUNT] = {
    [LEAT_HEADER_ROUTE] = {NAME("route"), offsetof(leat_record, route)},
    [LEAT_HEADER_OP] = {NAME("op"), offsetof(leat_record, op)},
    [LEAT_HEADER_IDEMPOTENCY] = {NAME("idempotency"), offsetof(leat_record, idempotency)},
    [LEAT_HEADER_TRACEPARENT] = {NAME("traceparent"), offsetof(leat_record, traceparent)},
    [LEAT_HEADER_TRACESTATE] = {NAME("tracestate"), offsetof(leat_record, tracestate)},
};

const char *leat_header_name(leat_header header)
{
    LEAT_ASSERT(header < LEAT_HEADER_COUNT);
    return headers[header].name.data;
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

leat_slice *leat_header_find(leat_record *record, leat_slice name)
{
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++)
        if (leat_slice_equal(name, headers[header].name))
            return leat_header_field(record, header);
    return NULL;
}

/* ---- packed ---- */

void leat_headers_pack(leat_buf *packed, leat_slice name, leat_slice value)
{
    leat_varint_put(packed, name.size);
    leat_buf_slice(packed, name);
    leat_varint_put(packed, value.data ? value.size + 1 : 0);
    if (value.data)
        leat_buf_slice(packed, value);
}

static bool take_bytes(leat_slice *rest, uint64_t size, leat_slice *ret)
{
    if (size > rest->size)
        return false;
    *ret = (leat_slice){rest->data, (size_t)size};
    *rest = (leat_slice){rest->data + size, rest->size - (size_t)size};
    return true;
}

int leat_headers_take(leat_slice *packed, leat_slice *ret_name, leat_slice *ret_value)
{
    uint64_t size;
    if (packed->size == 0)
        return 0;
    if (!leat_varint_take(packed, &size) || !take_bytes(packed, size, ret_name) ||
        !leat_varint_take(packed, &size))
        return -1;
    *ret_value = (leat_slice){NULL, 0};
    return size == 0 || take_bytes(packed, size - 1, ret_value) ? 1 : -1;
}

/* ---- for people ---- */

/* By Kafka's protocol a name is text; bytes of it that are not UTF-8 are replaced. */
static void write_name(leat_buf *out, leat_slice name)
{
    leat_buf text = {0};
    leat_utf8_append(&text, name);
    leat_buf_json_string(out, (leat_slice){text.data ? text.data : "", text.size});
    out->failed = out->failed || text.failed;
    leat_buf_free(&text);
}

static void write_value(leat_buf *out, leat_slice value)
{
    if (!value.data) {
        leat_buf_text(out, "null");
    } else if (leat_utf8_is_text(value)) {
        leat_buf_json_string(out, value);
    } else {
        leat_buf_text(out, "{\"base64\":\"");
        leat_base64_encode(value, out);
        leat_buf_text(out, "\"}");
    }
}

void leat_headers_write_json(leat_buf *out, leat_slice packed)
{
    leat_slice name, value;
    bool first = true;
    int taken;
    leat_buf_byte(out, '{');
    while ((taken = leat_headers_take(&packed, &name, &value)) > 0) {
        if (!first)
            leat_buf_byte(out, ',');
        first = false;
        write_name(out, name);
        leat_buf_byte(out, ':');
        write_value(out, value);
    }
    leat_buf_byte(out, '}');
    LEAT_ASSERT(taken == 0); /* who packs them, or reads them back, has looked */
}
