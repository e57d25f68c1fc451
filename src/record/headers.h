/*
 * headers.h - the headers that leat gives a record, beside its key and value, and how a header is
 * written for a person. Both logs walk the same table: a header that is added here is written and
 * read by each of them. (The built-in log has a column for each, so that one needs another version
 * of its file.)
 */
#ifndef LEAT_RECORD_HEADERS_H
#define LEAT_RECORD_HEADERS_H

#include "base/buf.h"
#include "record/item.h"

/* In the order in which they are written. */
typedef enum leat_header {
    LEAT_HEADER_ROUTE,
    LEAT_HEADER_OP,
    LEAT_HEADER_COUNT,
} leat_header;

const char *leat_header_name(leat_header header);
/* The record's field for that header; empty: the record does not have it. */
leat_slice *leat_header_field(leat_record *record, leat_header header);
leat_slice leat_header_value(const leat_record *record, leat_header header);
/* The field of the header of that name; NULL: it is not one of leat's. */
leat_slice *leat_header_find(leat_record *record, const char *name);

/* Appends a header's value in JSON, by the rule of leat_log_headers. NULL: it has no value. */
void leat_header_write_json(leat_buf *out, const void *value, size_t size);

#endif
