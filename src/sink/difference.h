/*
 * difference.h - where a table and its shadow differ, in one shard: for `leat mode compare`. Both
 * are read by one statement, so with one snapshot. Blocking, as shard.h is.
 */
#ifndef LEAT_SINK_DIFFERENCE_H
#define LEAT_SINK_DIFFERENCE_H

#include "sink/shard.h"

enum { LEAT_DIFFERENCE_POINTS = 10000 };

typedef struct leat_difference_query {
    const leat_table *table; /* of the same primary key, as the next */
    const leat_table *shadow;
    uint32_t points; /* of LEAT_DIFFERENCE_POINTS: so many of the rows, always the same ones */
    uint32_t limit;  /* rows that are given back */
} leat_difference_query;

/* Rows as JSON; NULL: there is none. All owned. */
typedef struct leat_difference {
    char *key; /* an object of its columns */
    char *row;
    char *shadow;
} leat_difference;

typedef struct leat_differences {
    uint64_t total; /* also those beyond the limit */
    uint32_t count;
    leat_difference *rows; /* by key */
} leat_differences;

/* 0, or -1 with a message: also for a SQLite file. leat_differences_fini after either. */
int leat_shard_read_differences(leat_shard_address at, const leat_difference_query *query,
                                leat_differences *ret, leat_error *error) LEAT_MUST_CHECK;
void leat_differences_fini(leat_differences *differences);

#endif
