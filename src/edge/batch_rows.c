/*
 * batch_rows.c - a table with open addressing, at most half full, so that a search ends soon. Two
 * rows are taken for one by chance only, of 64 bits; then one more item is to be sent again.
 */
#include "edge/batch_rows.h"

static size_t place_of(const edge_rows *rows, uint64_t row)
{
    size_t at = row % EDGE_ROWS_SIZE;
    while (rows->hashes[at] != 0 && rows->hashes[at] != row)
        at = (at + 1) % EDGE_ROWS_SIZE;
    return at;
}

void edge_rows_add(edge_rows *rows, uint64_t row)
{
    if (row == 0 || rows->count >= EDGE_ROWS_MAX)
        return;
    size_t at = place_of(rows, row);
    rows->count += rows->hashes[at] == 0;
    rows->hashes[at] = row;
}

bool edge_rows_has(const edge_rows *rows, uint64_t row)
{
    if (rows->count >= EDGE_ROWS_MAX)
        return true;
    return rows->count > 0 && row != 0 && rows->hashes[place_of(rows, row)] == row;
}
