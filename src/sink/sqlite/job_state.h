/*
 * job_state.h - the inside of a job, shared by taking it (job_take.c) and running it (job.c). Not
 * for use elsewhere.
 */
#ifndef LEAT_SINK_SQLITE_JOB_STATE_H
#define LEAT_SINK_SQLITE_JOB_STATE_H

#include "record/arena.h"
#include "sink/sqlite/dead_letter.h"
#include "sink/sqlite/job.h"
#include "sink/sqlite/keys.h"
#include "sink/sqlite/notes.h"
#include "sink/sqlite/parked.h"

enum { LEAT_SQLITE_KNOWN_MAX = 256 };

/* A record of the batch, copied. */
typedef struct job_record {
    leat_engine_batch_record at;
    leat_item item;
    uint32_t index;               /* in the engine's batch */
    leat_kept_letter kept;        /* of one that is left out */
    leat_sqlite_kept kept_record; /* of one that is kept behind a held key, or holds it */
    leat_sqlite_held_key held;    /* of one that holds its key */
} job_record;

struct leat_sqlite_job {
    uint32_t id;
    leat_engine_job_kind kind;
    uint32_t partition;
    leat_engine_compaction compaction; /* its arrays are the job's, for all subpartitions */
    leat_engine_batch_part *parts;
    uint32_t part_count;
    job_record *records;
    uint32_t record_count;
    bool is_dead; /* the only record is kept as a dead letter */
    bool is_hold; /* or with its key, from now on */
    leat_engine_reason reason;
    uint64_t retry_key;
    int64_t *offsets;    /* of a retry's records */
    leat_buf kept_bytes; /* of records that are kept */
    uint16_t chunks_of;
    uint32_t chunk_count;
    leat_engine_chunk_step steps[LEAT_BATCH_CHUNKS_MAX];
    uint32_t cut_count;
    leat_engine_parked cuts[LEAT_BATCH_CUTS_MAX]; /* one chunk each, in `chunks` */
    leat_sink_chunks chunks;
    leat_engine_load load;
    leat_arena texts;

    leat_engine_job_result result;
    leat_engine_known known[LEAT_SQLITE_KNOWN_MAX];
    leat_engine_progress progress;
    leat_sqlite_parked parked;
    leat_sqlite_keys keys;
    int64_t *numbers; /* of the arrays of compaction and progress */
    leat_sqlite_counts counts;
};

#endif
