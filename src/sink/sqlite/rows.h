/*
 * rows.h - records written to the rows of a SQLite file, one by one, inside a transaction of the
 * caller's.
 *
 * What a record does to a row is up to the fold (record/fold.h): the stored row, taken as a PUT,
 * and then the record. Columns that a PATCH does not name are written back as they were read,
 * whatever they hold. A row that would not change is not written. One thread at a time; statements
 * belong to the connection and the version of the tables.
 */
#ifndef LEAT_SINK_SQLITE_ROWS_H
#define LEAT_SINK_SQLITE_ROWS_H

#include "engine/batch.h"
#include "record/item.h"
#include "sink/sqlite/db.h"

typedef struct leat_sqlite_rows leat_sqlite_rows;

leat_sqlite_rows *leat_sqlite_rows_new(void); /* NULL: out of memory */
void leat_sqlite_rows_free(leat_sqlite_rows *rows);
/* Finalizes the statements: before the connection is closed. */
void leat_sqlite_rows_forget(leat_sqlite_rows *rows);

/* The reason why a record was not written; the caller rolls back. */
typedef struct leat_sqlite_fault {
    leat_engine_outcome outcome;
    char sqlstate[6];     /* "": leat itself refuses the record */
    bool relies_on_table; /* leat refuses it because of its knowledge of the table */
    leat_error error;
} leat_sqlite_fault;

typedef struct leat_sqlite_counts {
    uint64_t rows;       /* row writes */
    uint64_t statements; /* row statements */
    uint64_t dropped;    /* PATCHes of missing rows where the route wants rows to exist */
} leat_sqlite_counts;

/* Writes one record, decoded by these routes (the newest version). Adds to `counts`. */
int leat_sqlite_rows_write(leat_sqlite_rows *rows, leat_sqlite *sqlite, const leat_routes *routes,
                           const leat_item *item, leat_sqlite_counts *counts,
                           leat_sqlite_fault *ret_fault) LEAT_MUST_CHECK;

#endif
