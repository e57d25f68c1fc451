/*
 * batch_rows.h - the rows of which a batch takes no further item, by their hashes. Bounded: once it
 * is full it has every row, so that no order is broken for want of room. Zeroed it is empty. Pure.
 */
#ifndef LEAT_EDGE_BATCH_ROWS_H
#define LEAT_EDGE_BATCH_ROWS_H

#include "base/base.h"

enum { EDGE_ROWS_MAX = 1024, EDGE_ROWS_SIZE = 2 * EDGE_ROWS_MAX };

typedef struct edge_rows {
    uint64_t hashes[EDGE_ROWS_SIZE]; /* 0: a free place */
    uint32_t count;
} edge_rows;

/* `row` 0 is none, and not added. */
void edge_rows_add(edge_rows *rows, uint64_t row);
bool edge_rows_has(const edge_rows *rows, uint64_t row);

#endif
