/*
 * limits.h - the largest number of each thing: the configuration enforces it, and arrays are sized
 * by it.
 */
#ifndef LEAT_BASE_LIMITS_H
#define LEAT_BASE_LIMITS_H

enum {
    LEAT_SHARDS_MAX = 64,
    LEAT_ROUTES_MAX = 64,
    LEAT_COLUMNS_MAX = 64, /* of one table that a route may write: presence is one 64-bit mask */
    LEAT_WORKERS_MAX = 64, /* of one process */
};

#endif
