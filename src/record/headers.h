/*
 * headers.h - the headers of a record: those that leat gives it, beside its key and value, and all
 * of them together, in one piece of memory, as they travel from the log to where they are kept.
 *
 * Both logs walk the same table of leat's own: a header that is added here is written and read by
 * each of them.
 *
 * Packed headers are any number of them in the log's order, one after the other: the name's size
 * and bytes, then the value's size plus one and its bytes, or 0 where there is no value. Sizes are
 * as in base/varint.h. Parked records hold them so (record/chunk.h): the form never changes.
 */
#ifndef LEAT_RECORD_HEADERS_H
#define LEAT_RECORD_HEADERS_H

#include "base/buf.h"
#include "record/item.h"

/* In the order in which they are written. */
typedef enum leat_header {
    LEAT_HEADER_ROUTE,
    LEAT_HEADER_OP,
    LEAT_HEADER_IDEMPOTENCY,
    LEAT_HEADER_TRACEPARENT,
    LEAT_HEADER_TRACESTATE,
    LEAT_HEADER_COUNT,
} leat_header;

const char *leat_header_name(leat_header header);
/* The record's field for that header; empty: the record does not have it. */
leat_slice *leat_header_field(leat_record *record, leat_header header);
leat_slice leat_header_value(const leat_record *record, leat_header header);
/* The field of the header of that name; NULL: it is not one of leat's. */
leat_slice *leat_header_find(leat_record *record, leat_slice name);

/* Appends one to packed headers. A value without data is missing, which differs from an empty
 * one. */
void leat_headers_pack(leat_buf *packed, leat_slice name, leat_slice value);
/* Takes the first one off; its bytes stay where they are. 1: taken, 0: there is none left, -1: the
 * bytes are damaged. */
int leat_headers_take(leat_slice *packed, leat_slice *ret_name, leat_slice *ret_value);
/* Appends packed headers as a JSON object: a value that is UTF-8 without U+0000 is a string,
 * another {"base64": "..."}, a missing one null. Of a repeated name all are written; the last one
 * counts, as everywhere in leat. */
void leat_headers_write_json(leat_buf *out, leat_slice packed);

#endif
