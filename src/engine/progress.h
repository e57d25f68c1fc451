/*
 * progress.h - a worker's knowledge of one partition's progress in its shard, from a claim on. Pure
 * data.
 *
 * Progress lives in the shard, one inserted row a batch and partition, fenced by a random claim
 * token. A claim reads base and rows into this structure; the engine keeps it current as batches
 * are applied; a compaction writes it back as the new base. docs/design/progress.md has the
 * protocol, and the failure that each rule prevents.
 */
#ifndef LEAT_ENGINE_PROGRESS_H
#define LEAT_ENGINE_PROGRESS_H

#include "base/base.h"
#include "base/placement.h"

typedef struct leat_engine_claim {
    uint8_t token[16];
} leat_engine_claim;

/* The highest record that is applied. It shows whether the log is still the same: a log is cut off
 * at its end, so a cut that is rewritten has removed this record too, and new records have a higher
 * leader epoch. Records above it that were read and not applied need no such mark: a claim skips
 * none of them. */
typedef struct leat_engine_newest {
    int64_t offset; /* -1: none was ever applied */
    int64_t at_ms;  /* its timestamp; 0: unknown */
    int32_t epoch;  /* its leader epoch; -1: unknown */
} leat_engine_newest;

typedef struct leat_engine_progress {
    leat_engine_claim claim;
    int64_t epoch;    /* for people */
    int64_t base_seq; /* every batch up to here is in base_offsets */
    int64_t next_seq; /* numbers the next send; a failed one is never used again */
    int64_t low; /* a position: all up to this offset is applied, whether or not it has a record.
                    -1: nothing yet */
    leat_engine_newest newest;
    uint32_t subpartitions; /* of the partition */
    int64_t *offsets;       /* [subpartitions]: last applied offset, never below `low` */
    int64_t *last_seq; /* [subpartitions]: the batch that took it there; 0: it came from base or
                          low */
} leat_engine_progress;

/* Gives the structure its arrays: `memory` has room for twice as many numbers as there are
 * subpartitions, and stays the caller's. */
void leat_engine_progress_init(leat_engine_progress *progress, int64_t *memory,
                               uint32_t subpartitions);
/* Copies all of it into the arrays that `to` has; both are of as many subpartitions. */
void leat_engine_progress_copy(leat_engine_progress *to, const leat_engine_progress *from);

/* Starts from the row of leat.partitions. `base_offsets` has one offset a subpartition, -1:
 * none. */
void leat_engine_progress_begin(leat_engine_progress *progress, leat_engine_claim claim,
                                int64_t epoch, int64_t base_seq, const int64_t *base_offsets,
                                int64_t low, leat_engine_newest newest);
/* Takes in one row of leat.progress, in any order of seq; timestamp and leader epoch are of the
 * record at the greatest of `offsets`. Returns -1 when a subpartition is out of range. */
int leat_engine_progress_row(leat_engine_progress *progress, int64_t seq,
                             const int16_t *subpartitions, const int64_t *offsets, uint32_t count,
                             int64_t at_ms, int32_t leader_epoch) LEAT_MUST_CHECK;
/* The record was applied: it may be the newest one. */
void leat_engine_progress_applied(leat_engine_progress *progress, leat_engine_newest record);
/* The offset to read the log from, -1: its start. This is the one after `low`, or the newest record
 * if it is before that: then its timestamp is compared, and a record between it and `low` shows
 * that the log was rewritten, because none was there before. */
int64_t leat_engine_progress_read_from(const leat_engine_progress *progress);
/* The highest offset any subpartition has: records lost from the log up to here may have been
 * applied. */
int64_t leat_engine_progress_high(const leat_engine_progress *progress);

#endif
