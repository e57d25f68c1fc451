/* measure.h - the parts of sink/measure.h: the scratch schema (measure.c), and the batches that are
 * written there (measure_run.c). */
#ifndef LEAT_SINK_PG_MEASURE_H
#define LEAT_SINK_PG_MEASURE_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "sink/measure.h"

/* The table's columns that take part. */
typedef struct leat_measure_columns {
    uint32_t count;
    uint32_t of[LEAT_COLUMNS_MAX]; /* column of the table: first its key, then what is written */
    uint32_t key_count;
} leat_measure_columns;

typedef struct leat_measure_world {
    const char *dsn;
    const leat_table *table;
    bool commits_async;
    const atomic_bool *stop;
    PGconn *pg;
    leat_measure_columns columns;
    PGresult *rows; /* the copied rows, as text, in the order of `columns` */
    leat_buf sql;   /* of the MERGE */
} leat_measure_world;

/* A connection with the limits. NULL with a message. */
PGconn *leat_measure_connect(const char *dsn, leat_error *error);
int leat_measure_exec(PGconn *pg, const char *sql, leat_error *error) LEAT_MUST_CHECK;
/* The world has its scratch schema. */
int leat_measure_run(const leat_measure_world *world, leat_measurement *ret,
                     leat_error *error) LEAT_MUST_CHECK;

#endif
