/*
 * item.h - one record of the log inside a worker, with its key decoded. It is the payload that the
 * engine passes on without reading it and that the sink applies.
 */
#ifndef LEAT_RECORD_ITEM_H
#define LEAT_RECORD_ITEM_H

#include "record/route.h"

/* What tells a write that is sent again: see idempotency.h. */
typedef struct leat_write_id {
    uint64_t a, b;        /* 128 bits of a hash: who it is */
    uint64_t fingerprint; /* of what it says */
} leat_write_id;

/* A record as in the log. Slices are borrowed from its sender or deliverer. */
typedef struct leat_record {
    uint32_t partition;
    int64_t offset;
    int64_t accepted_ms; /* the record's timestamp: wall clock at the edge */
    int32_t epoch;       /* read: the leader epoch it was written in; -1: not known */
    leat_slice key;
    leat_slice value;
    leat_slice route;       /* header `route`; empty: the only one */
    leat_slice op;          /* header `op`; empty: put. A put without a value is a delete */
    leat_slice idempotency; /* header `idempotency`; empty: it has no key (idempotency.h) */
    leat_slice traceparent, tracestate; /* headers of W3C Trace Context, as they are; empty: none */
    uint32_t header_bytes;              /* read: of all headers, names and values together */
    bool value_is_null;
} leat_record;

typedef struct leat_item {
    leat_record record;
    void *log_handle; /* keeps the record's bytes alive; given back by leat_log_release. NULL: they
                         are the item's own */
    const leat_route *route; /* NULL: could not be decoded, see `fault` */
    leat_route_op op;
    uint64_t hash;
    uint32_t subpartition;    /* of its partition: where it has its place in the order */
    leat_slice canonical_key; /* in `record.key` when that was canonical already, else allocated
                                 with the item */
    leat_slice headers;     /* all the record's headers, packed (headers.h); without data: not read,
                               because only records that are copied or kept need them */
    char *owned_headers;    /* NULL, or memory that headers borrows */
    char *owned_record;     /* NULL, or memory that the record borrows: see leat_item_own */
    char *owned;            /* NULL, or memory that canonical_key and key texts borrow */
    char *fault;            /* NULL, or the fault of a malformed record (owned) */
    leat_write_id write_id; /* of a record with an idempotency key; set for each of its batches */
    void *trace;            /* NULL, or what its deliverer keeps for its spans, who takes it away
                               before the item is cleared */
    void *chunk;            /* NULL, or the memory that the item is in itself, with other parked
                               records: their reader's */
    const struct leat_control *control; /* of a record that the batch leaves out: keep it as a dead
                                           letter for that reason; NULL: do not. Meaningful while
                                           the record is `skip` in its batch; set anew for each */
    struct leat_item *next_free;
    leat_value key[LEAT_KEY_VALUES_MAX]; /* as in leat_key. Last, because most keys use few of them:
                                            the rest is never touched */
} leat_item;

/* Decodes route, operation and key of item->record into the rest of the item. A malformed record
 * gets a `fault`, and hash and subpartition of its raw key, so that it keeps its place in the
 * order. Returns -1 only when out of memory. */
int leat_item_decode(const leat_routes *routes, const leat_placement *placement,
                     leat_item *item) LEAT_MUST_CHECK;
/* A record whose tenant belongs to another shard than its partition gets a `fault`: its producer
 * placed it wrongly, and the row's other writes are elsewhere. Returns -1 only when out of
 * memory. */
int leat_item_check_place(const leat_layout *layout, leat_item *item) LEAT_MUST_CHECK;
/* leat_route_held_hash of its key. 0: the item has a fault, and is of no key. */
uint64_t leat_item_held_hash(const leat_item *item);
/* leat_route_tenant of its key, borrowed from the item. Without data: the item has a fault, or its
 * route no tenant. */
leat_slice leat_item_tenant(const leat_item *item);
/* Copies the record's bytes, and the packed headers if they were read, into one piece of memory,
 * where a header of leat's own is in the packed ones:
 * once it has returned 0, the log's buffer may be released, and what `headers` borrowed. For a
 * decoded item, once. Returns -1 when out of memory: then nothing has changed. */
int leat_item_own(leat_item *item) LEAT_MUST_CHECK;
/* The item, or NULL, will be used soon: the processor is told to fetch it. */
void leat_item_fetch(const leat_item *item);
/* Likewise the first bytes of its record's value; the item should be there. */
void leat_item_fetch_bytes(const leat_item *item);
/* Frees what the item owns; the item itself stays its pool's. */
void leat_item_clear(leat_item *item);

#endif
