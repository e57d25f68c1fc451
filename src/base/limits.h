/*
 * limits.h - the largest number of each thing, and of bytes in a name: the configuration enforces
 * it, and arrays are sized by it.
 */
#ifndef LEAT_BASE_LIMITS_H
#define LEAT_BASE_LIMITS_H

enum {
    LEAT_SHARDS_MAX = 64,
    LEAT_ROUTES_MAX = 64,
    LEAT_COLUMNS_MAX = 64, /* of one table that a route may write: presence is one 64-bit mask */
    LEAT_WORKERS_MAX = 64, /* of one process */
};

/* Bytes in the name of a column, a table, a schema, a shard, a route: PostgreSQL's NAMEDATALEN - 1.
 * A macro, because help texts quote it. */
#define LEAT_NAME_MAX 63

#endif
