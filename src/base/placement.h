/*
 * placement.h - where a record is worked on inside its partition: its subpartition.
 *
 * The numbers are stored with the source and the rule is part of docs/record-format.md: progress is
 * kept by subpartition, so a program with another rule, or with numbers of its own, would skip
 * records that were never applied. So the subpartition follows from the key's bytes and from what
 * is stored, and from nothing else: not from a route's configuration, which may change.
 *
 * Version 2 gives each tenant a window of a few subpartitions, the same ones in every partition. A
 * tenant that floods its own then leaves nearly all of the others alone. (Shuffle sharding, as in
 * AWS's Route 53.)
 */
#ifndef LEAT_BASE_PLACEMENT_H
#define LEAT_BASE_PLACEMENT_H

#include <assert.h>

#include "base/base.h"

enum {
    LEAT_SUBPARTITIONS_MAX = 1024, /* of a partition */
    /* In one batch's part: its row in the shard's journal then stays in one piece, in its page. */
    LEAT_PART_SUBPARTITIONS_MAX = 256,
    /* A window is at most this part of all: larger ones are no protection. */
    LEAT_TENANT_WINDOW_PART = 32,
    LEAT_TENANT_WINDOW_MAX = LEAT_SUBPARTITIONS_MAX / LEAT_TENANT_WINDOW_PART,
};

/* The schema keeps a subpartition's number as a smallint. */
static_assert(LEAT_SUBPARTITIONS_MAX <= INT16_MAX, "subpartitions are stored as smallint");

/* As stored with the source; the same for all its partitions, and for ever. All 0: not known. */
typedef struct leat_placement {
    uint32_t version;        /* of the rule, 1 or 2. Version 1 has no windows */
    uint32_t subpartitions;  /* of every partition: 1 to LEAT_SUBPARTITIONS_MAX */
    uint32_t tenant_window;  /* subpartitions of a tenant; 0: all, by the key's hash alone */
    int32_t tenant_position; /* of the tenant among the key's parts; -1: it has none, and then there
                                is no window */
} leat_placement;

/* Can a program go by it? */
bool leat_placement_is_valid(const leat_placement *placement);
/* The subpartition of a record: `key` is its canonical form, or the raw key of a record that cannot
 * be decoded, and `hash` its leat_hash(). */
uint32_t leat_placement_subpartition(const leat_placement *placement, leat_slice key,
                                     uint64_t hash);
/* The tenant's window, `tenant_window` numbers; `tenant` as it stands in the key. */
void leat_placement_window(const leat_placement *placement, leat_slice tenant,
                           uint16_t ret[LEAT_TENANT_WINDOW_MAX]);

#endif
