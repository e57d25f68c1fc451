/*
 * rows_state.h - the inside of a batch's row statements, shared by the making of writes (rows.c),
 * their order in a statement (row_order.c) and their form as arrays (arrays.c). Not for use
 * elsewhere.
 */
#ifndef LEAT_SINK_PG_ROWS_STATE_H
#define LEAT_SINK_PG_ROWS_STATE_H

#include "record/body.h"
#include "sink/pg/rows.h"

enum { GROUPS_MAX = LEAT_ROUTES_MAX * LEAT_ROUTE_OP_COUNT }; /* route and operation */

/* A write to one row: a record, or several of one key folded into one. The n-th write to a key of a
 * batch belongs to round n: rounds go one after another. */
typedef struct row_write {
    leat_row_write write;
    const leat_route *route; /* of the batch's version of the tables */
    const leat_item *item;   /* of the first record: the key */
    leat_slice row; /* which row it is: the canonical key, but for a tenant that leads. Two tenants
                       may write one row, and a statement may have it only once */
    uint64_t row_hash;
    uint32_t record; /* the first, index in the batch */
    uint32_t record_count;
    uint32_t round;
    uint32_t statement;
} row_write;

typedef struct row_group {
    leat_shape shape;
    uint64_t named_by_all;
    uint64_t operated_by_all;
    uint32_t first; /* in rows->order */
    uint32_t count;
} row_group;

/* A slot of the table of keys; one with an older batch's number is empty. */
typedef struct key_slot {
    uint64_t batch;
    uint32_t write; /* the newest of this key, NO_WRITE: none yet */
} key_slot;

/* Where a write's row is in the order of its table's key. */
typedef struct row_place {
    uint64_t places[2]; /* of the first two key columns */
    uint32_t write;
} row_place;

/* The statement that takes rows of one route and operation in the current round. */
typedef struct open_group {
    uint32_t round; /* plus one; 0: none yet */
    uint32_t statement;
} open_group;

struct leat_rows {
    leat_body_parser *parser;
    leat_fold *fold;
    leat_body body;    /* of the record being decoded */
    uint64_t batch;    /* counts builds */
    uint32_t capacity; /* records that the arrays below have room for */
    row_write *writes;
    uint32_t write_count;
    uint32_t *in_turn; /* writes in the order in which they are put into statements: by round, then
                          those of ordered tables */
    uint32_t *order;   /* writes in order of statements */
    uint32_t *counts;  /* [capacity + 1]: of a counting sort */
    row_group *statements;
    uint32_t statement_count;
    key_slot *keys; /* open addressing, at most half full */
    uint32_t key_mask;
    row_place *places; /* of the rows of a statement */
    row_place *places_spare;
    leat_value *values; /* values of the writes, one for each column of the table */
    size_t value_count;
    size_t value_capacity;
    open_group open[GROUPS_MAX];
    leat_buf params;
};

/* Sorts the rows of a statement by key, in rows->order: neighbours are on the same pages of the
 * index, and whoever else sorts so takes the locks in the same order. Uses `places` and `counts`.
 */
void leat_rows_sort_by_key(leat_rows *rows, const row_group *statement);

#endif
