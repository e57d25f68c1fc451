/*
 * batch_item.h - one item of a batch: {"method":"PATCH","path":"/apps/7/devices/x","body":{...}},
 * perhaps with an "idempotency_key".
 * Pure. The body is taken as its bytes stand in the item, so a number keeps every digit, and what
 * is in the log is what the client wrote.
 */
#ifndef LEAT_EDGE_BATCH_ITEM_H
#define LEAT_EDGE_BATCH_ITEM_H

#include "base/buf.h"
#include "http/http.h"
#include "record/arena.h"

/* Scratch memory, reused from item to item; zeroed at first. One thread. */
typedef struct edge_item_reader {
    leat_block block;
    leat_buf copy;
} edge_item_reader;
void edge_item_reader_fini(edge_item_reader *reader);

typedef struct edge_item {
    leat_http_method method;
    leat_slice path;              /* without query, in the reader until its next item */
    leat_slice query;             /* likewise; empty when there is none */
    leat_slice body;              /* within the item; empty when it is absent or null */
    leat_slice idempotency_key;   /* in the reader; without data: absent or null */
    struct yyjson_val *read_body; /* the body, as it was read: as leat_body_parser_offer wants it,
                                     in the reader until its next item; NULL: there is none */
} edge_item;

typedef struct edge_item_error {
    leat_http_code code;
    const char *field; /* NULL: the item itself */
    char message[160];
} edge_item_error;

/* 0, or -1: not JSON, not an object, a member that is unknown, doubled, missing or of the wrong
 * kind, a path that is none. */
int edge_item_read(edge_item_reader *reader, leat_slice json, edge_item *ret,
                   edge_item_error *error) LEAT_MUST_CHECK;

#endif
