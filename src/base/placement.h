/*
 * placement.h - where a record is worked on inside its partition: its subpartition.
 *
 * The numbers are stored in leat.sources and the rule is part of docs/record-format.md: progress is
 * kept by subpartition, so a program with another rule, or with numbers of its own, would skip
 * records that were never applied.
 */
#ifndef LEAT_BASE_PLACEMENT_H
#define LEAT_BASE_PLACEMENT_H

#include <assert.h>

#include "base/base.h"

enum {
    LEAT_SUBPARTITIONS_MAX = 1024, /* of a partition */
    /* In one batch's part: its row in the shard's journal then stays in one piece, in its page. */
    LEAT_PART_SUBPARTITIONS_MAX = 256,
};

/* The schema keeps a subpartition's number as a smallint. */
static_assert(LEAT_SUBPARTITIONS_MAX <= INT16_MAX, "subpartitions are stored as smallint");

/* As stored with the source; the same for all its partitions, and for ever. */
typedef struct leat_placement {
    uint32_t version;
    uint32_t subpartitions;  /* of every partition: 1 to LEAT_SUBPARTITIONS_MAX */
    uint32_t tenant_window;  /* subpartitions of a tenant in each partition; 0: as many as there are
                              */
    int32_t tenant_position; /* of the tenant among the key's parts; -1: it has none */
} leat_placement;

/* The subpartition of a record: `key` is its canonical form, or the raw key of a record that cannot
 * be decoded, and `hash` its leat_hash(). */
static inline uint32_t leat_placement_subpartition(const leat_placement *placement, leat_slice key,
                                                   uint64_t hash)
{
    (void)key;
    return (uint32_t)(hash % placement->subpartitions);
}

#endif
