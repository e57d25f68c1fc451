/*
 * placement.h - where a record is worked on inside its partition.
 *
 * The count is stored in leat.sources and the rule is part of docs/record-format.md: progress is
 * kept by subpartition, so a program with another rule would skip records that were never applied.
 */
#ifndef LEAT_BASE_PLACEMENT_H
#define LEAT_BASE_PLACEMENT_H

#include <assert.h>
#include <stdint.h>

enum { LEAT_SUBPARTITIONS = 64 }; /* of every partition */

/* The schema keeps a subpartition's number as a smallint, the engine a set of them in 64 bits. */
static_assert(LEAT_SUBPARTITIONS <= INT16_MAX, "subpartitions are stored as smallint");
static_assert(LEAT_SUBPARTITIONS <= 64, "a set of subpartitions is one uint64_t");

/* `hash` is leat_hash() of the record's key. */
static inline uint32_t leat_subpartition_of(uint64_t hash)
{
    return (uint32_t)(hash % LEAT_SUBPARTITIONS);
}

#endif
