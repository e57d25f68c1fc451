/*
 * config.h - what an engine is told once: how much it may hold, and how long it waits. Times are in
 * microseconds, sizes in bytes.
 */
#ifndef LEAT_ENGINE_CONFIG_H
#define LEAT_ENGINE_CONFIG_H

#include "base/base.h"

typedef struct leat_engine_config {
    uint32_t partition_count; /* of the topic */
    uint32_t subpartitions;   /* of each partition: as stored with the source */
    uint32_t shard_count;
    const uint32_t *shard_of; /* [partition_count], copied */
    uint32_t jobs_max;        /* most jobs in flight, over all shards: connections of this worker */
    uint32_t records_max;     /* held in all; memory is allocated for these at start */
    uint64_t bytes_max; /* payload held in all; as with the records, each of several shards may have
                           half of it (budgets.h) */
    uint32_t batch_records_max;
    uint64_t batch_bytes_max;
    uint32_t deep_records_max; /* of a batch of one subpartition that has more than
                                  batch_records_max; 0: as many as others */
    int64_t age_bound_us; /* a subpartition whose head has waited longer goes before deeper ones */
    int64_t compact_every_us;
    int64_t verify_every_us; /* a partition in which nothing moves is verified in its shard at this
                                interval: it may have lost the last batches, and a sink notices
                                only that another server answers */
    int64_t look_every_us;   /* the same for every partition of a shard where a crash may be hidden
                                (leat_engine_pooled) */
    int64_t commit_every_us;
    int64_t drain_us; /* how long a revoke waits for batches in flight before it gives the partition
                         up */
    int64_t retry_min_us; /* back-off of a failed subpartition, doubled with jitter up to
                             retry_max_us */
    int64_t retry_max_us;
    int64_t lock_timeout_us; /* the most time that a statement of a batch may wait for a lock; most
                                wait for less (contention.h) */
    int64_t patience_us;  /* how long after it was read a record is tried again that is refused only
                             for now (LEAT_ENGINE_NOT_YET); may be 0 */
    uint32_t table_count; /* of leat_engine_record.table; 1 to 65536 */
    uint32_t dead_letters_per_minute; /* of one table in one shard, whatever their share.
                                         0: there are none, refused records wait, and no table is
                                         stopped */
    uint32_t dead_letters_percent; /* beyond that, the largest share of the records decided lately:
                                      a larger one is drift, and refused records wait. 0: none
                                      beyond that */
    int64_t reclaim_min_us; /* jittered delay before a fenced partition is claimed again: [min,
                               2*min) */
    /* [shard_count], copied: how many bytes, as stored, may be parked in each shard. NULL, or 0:
     * nothing is parked there; what is there is still taken back */
    const uint64_t *parked_max_bytes;
    /* [shard_count], copied: a crash of the shard's database may take back the batches that it has
     * acknowledged last (leat_engine_doubted), but no claim and no compaction, and not what those
     * have read or written. NULL: of none */
    const bool *commits_async;
    int64_t park_after_us; /* a subpartition that has been stalled for longer is parked */
    int64_t park_tail_us;  /* what comes after chunks is parked when its oldest record is older than
                              this, and than a hundredth of the stall; or when it fills a chunk */
    /* Of a chunk. It has fewer than that where `records_max` and `bytes_max` are small: the records
     * of two chunks must fit into what one partition may have loaded, so that the next one is
     * loaded while one is applied. One that does not fit is loaded in pieces, and for each of them
     * all of it is read and decoded again. */
    uint32_t chunk_records_max;
    uint64_t chunk_bytes_max; /* as they are parked: without `overhead_bytes` */
    uint64_t park_bytes_max;  /* likewise, of all records that one job parks */
    uint32_t overhead_bytes;  /* of leat_engine_record.bytes: what a record takes in memory only */
    uint32_t held_keys_max;   /* of a partition; at most LEAT_HELD_KEYS_MAX */
    uint32_t held_keys_each_max; /* of a subpartition, so that one does not take the places of all
                                  */
    uint64_t seed;               /* of the jitter */
} leat_engine_config;

/* Defaults for the fields that are not settings: verify_every_us, look_every_us, retry_min_us,
 * retry_max_us, reclaim_min_us, table_count, those of parking and chunks but the first, and seed.
 * All others are 0, and leat_engine_new refuses a 0 where more is needed. */
void leat_engine_config_defaults(leat_engine_config *config);

/* How many records from chunks may be held, beside `records_max`; of bytes as large a part. */
uint32_t leat_engine_loaded_max(const leat_engine_config *config);

#endif
