/*
 * rows.h - a batch's records as row statements: bodies parsed, writes to one key folded into one,
 * one statement for many rows, its parameters as PostgreSQL's binary arrays.
 *
 * Writes to one key that do not fold go one after another, in offset order, in statements of their
 * own. Tables with further unique constraints are written record by record, each in a statement of
 * its own, in the order of partition and offset, because a value may pass from row to row. The
 * builder's memory grows to the largest batch seen and is kept. One thread.
 */
#ifndef LEAT_SINK_PG_ROWS_H
#define LEAT_SINK_PG_ROWS_H

#include "engine/batch.h"
#include "record/item.h"
#include "sink/pg/statement.h"

typedef struct leat_rows leat_rows;

typedef struct leat_row_statement {
    leat_shape shape;
    uint32_t row_count;
    uint32_t param_count;
    const char *values[LEAT_STATEMENT_PARAMS_MAX];
    int sizes[LEAT_STATEMENT_PARAMS_MAX];
} leat_row_statement;

/* The reason why a batch cannot be built. */
typedef struct leat_rows_fault {
    leat_engine_outcome outcome; /* BAD_DATA, or OUTAGE when out of memory */
    int32_t bad_record;          /* index in the batch, -1: none in particular */
    /* the fault depends on leat's knowledge of the table, not on the record alone */
    bool relies_on_table;
    leat_error error;
} leat_rows_fault;

leat_rows *leat_rows_new(void);
void leat_rows_free(leat_rows *rows);

/* Forgets the batch before, decodes the records (payloads: leat_item) and puts them into an order
 * of statements, those that are `skip` or `keep` excepted: there may be no statement. `routes` are
 * those of the newest version of the tables; an item may have been decoded by an older one. Returns
 * -1 and the fault of the first malformed record. Items and routes must live until the last use of
 * leat_rows_statement and leat_rows_missing. */
int leat_rows_build(leat_rows *rows, const leat_engine_batch *batch, const leat_routes *routes,
                    leat_rows_fault *ret_fault) LEAT_MUST_CHECK;
uint32_t leat_rows_statement_count(const leat_rows *rows);
/* Row writes of all statements. */
uint32_t leat_rows_count(const leat_rows *rows);
/* The best shape for statement `at`. */
leat_shape leat_rows_shape(const leat_rows *rows, uint32_t at);
/* Statement `at` (they go in ascending order) in `shape`: its own, or leat_shape_of_any. Its values
 * are borrowed until the next call. Returns -1 when out of memory. */
int leat_rows_statement(leat_rows *rows, uint32_t at, leat_shape shape,
                        leat_row_statement *ret) LEAT_MUST_CHECK;
/* The parameters of the statement that counts the rows that statement `at` will drop
 * (leat_shape_counts_missing), under the same terms; ret->shape is that of `at`. */
int leat_rows_missing(leat_rows *rows, uint32_t at, leat_row_statement *ret) LEAT_MUST_CHECK;

#endif
