/*
 * kept.h - what all kinds of shards have in common about held keys (held.h). Not for use
 * outside src/sink.
 */
#ifndef LEAT_SINK_KEPT_H
#define LEAT_SINK_KEPT_H

#include "sink/held.h"

/* Reads a record as it is kept, and decodes it; its memory is the item's. -1: it is not one record
 * of that offset, or out of memory; then the item has nothing. */
int leat_kept_read(const leat_held_work *work, int64_t offset, int codec, leat_slice bytes,
                   leat_item *ret, leat_error *error) LEAT_MUST_CHECK;
/* Would a worker hold it against the record, as it is now? */
bool leat_kept_is_refusal(leat_engine_outcome outcome);
/* Where the records of a held key are in the order: `key` as leat.held has it. */
uint16_t leat_kept_subpartition(const leat_placement *placement, leat_slice key);
/* Adds up what is kept, key by key, with the keys of a partition after each other. */
typedef struct leat_kept_tally {
    const leat_placement *placement;
    uint32_t partition_count;
    leat_shard_held_count *ret;             /* [partition_count], zeroed */
    int64_t partition;                      /* of the last key */
    uint64_t bytes[LEAT_SUBPARTITIONS_MAX]; /* in it, by subpartition */
} leat_kept_tally;
void leat_kept_tally_begin(leat_kept_tally *tally, const leat_placement *placement,
                           uint32_t partition_count, leat_shard_held_count *ret);
/* One of another partition than there are is passed over. */
void leat_kept_tally_add(leat_kept_tally *tally, int64_t partition, leat_slice key,
                         uint64_t records, uint64_t bytes);
/* Why a record of a discarded key is a dead letter. */
leat_engine_reason leat_kept_letter_reason(const leat_shard_held_key *key, int64_t offset);
/* Is this refusal one that time does not mend? NULL: leat itself could not make sense of it, or was
 * told to hold it. "": there was none. */
bool leat_kept_is_final(const char *sqlstate);
/* Ascending by key, as the engine wants them; databases have the same numbers with a sign. */
void leat_kept_sort(leat_engine_held *held, uint32_t count);

#endif
