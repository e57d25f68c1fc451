/*
 * batch.h - the work an engine hands to a sink: claims, batches, compactions; and their results.
 * Plain data; the engine owns all of it until the job is reported done.
 */
#ifndef LEAT_ENGINE_BATCH_H
#define LEAT_ENGINE_BATCH_H

#include "engine/progress.h"

typedef struct leat_engine_batch_record {
    void *payload; /* opaque to the engine; the worker's leat_item */
    int64_t offset;
    uint32_t partition;
    uint16_t subpartition;
} leat_engine_batch_record;

/* The arguments of leat.advance for one partition. */
typedef struct leat_engine_batch_part {
    uint32_t partition;
    uint32_t incarnation; /* the engine's own: a completion for an older one is stale */
    leat_engine_claim claim;
    int64_t seq;
    uint32_t count; /* of subpartitions moved */
    int16_t subpartitions[LEAT_SUBPARTITIONS];
    int64_t offsets[LEAT_SUBPARTITIONS]; /* where each is after the batch */
    leat_engine_newest newest;           /* the record at the greatest of these */
    uint32_t needs_count;
    int64_t needs[LEAT_SUBPARTITIONS]; /* seqs that must be there: else the database went
                                                 back */
} leat_engine_batch_part;

/* The reason why a record is refused for good. */
typedef struct leat_engine_reason {
    char sqlstate[6]; /* "": leat itself could not make sense of it */
    char message[256];
} leat_engine_reason;

/* Records are grouped by partition, then by subpartition, then in offset order; parts ascend. */
typedef struct leat_engine_batch {
    uint32_t record_count;
    leat_engine_batch_record *records;
    uint32_t part_count;
    leat_engine_batch_part *parts;
    const leat_engine_reason *dead; /* NULL, or: the only record is not applied but kept as a dead
                                letter, in the transaction that moves its progress. Valid as long as
                                the job */
} leat_engine_batch;

typedef struct leat_engine_compaction {
    uint32_t partition;
    leat_engine_claim claim;
    int64_t base_seq; /* the new one */
    int64_t base_offsets[LEAT_SUBPARTITIONS];
    int64_t low;
    leat_engine_newest newest;
    uint32_t needs_count;
    int64_t needs[LEAT_SUBPARTITIONS]; /* last applied seqs: memory must not outlive a lost
                                                 commit */
} leat_engine_compaction;

typedef enum leat_engine_job_kind {
    LEAT_ENGINE_JOB_NONE,
    LEAT_ENGINE_JOB_CLAIM,
    LEAT_ENGINE_JOB_BATCH,
    LEAT_ENGINE_JOB_COMPACT
} leat_engine_job_kind;

typedef struct leat_engine_job {
    uint32_t id; /* small, reused once the job is done */
    leat_engine_job_kind kind;
    uint32_t shard;
    uint32_t partition; /* claim and compaction */
    uint32_t incarnation;
    leat_engine_batch batch;
    leat_engine_compaction compaction;
} leat_engine_job;

/* The outcome of a job. Only an ERROR on the job's own connection is a failure. Everything else but
 * success is unknown. */
typedef enum leat_engine_outcome {
    LEAT_ENGINE_APPLIED,      /* its Sync arrived without error */
    LEAT_ENGINE_CONTENTION,   /* failed: 40*, 55P03, 57014, 23505 on the primary key, stale plan.
                                 Worth another try */
    LEAT_ENGINE_OUTAGE,       /* failed: the database is unwell (53*, 25006, ...). To be tried again
                                 when it is better */
    LEAT_ENGINE_BAD_DATA,     /* failed: 22, 23, 44, 54, 21, P0, or a record that makes no sense */
    LEAT_ENGINE_NOT_YET,      /* failed: 23503, or 23505 on another key than the primary: bad data,
                                 unless the row that it waits for comes */
    LEAT_ENGINE_DRIFT,        /* failed: 42, 0A, 55, ...: the record does not fit the table, or an
                                 object that the table depends on */
    LEAT_ENGINE_RECORD_ERROR, /* failed: a code that a trigger raised in the database's name, an
                                 unknown code, XX000. The record's own error if others of its
                                 table get through meanwhile, else the table's */
    LEAT_ENGINE_NOT_UNDERSTOOD, /* failed: XX001, XX002, an error of leat's own statements. The
                                   shard's error */
    LEAT_ENGINE_FENCED,         /* LT001: another worker has claimed the partition */
    LEAT_ENGINE_WENT_BACK,      /* LT002: the database lost a commit that was acknowledged */
    LEAT_ENGINE_UNKNOWN,        /* it may have been applied, or still be: connection lost, FATAL */
    LEAT_ENGINE_OUTCOME_COUNT,
} leat_engine_outcome;

typedef struct leat_engine_job_result {
    leat_engine_outcome outcome;
    int32_t bad_record; /* index in the batch when the culprit is known, else -1 */
    bool from_rows;     /* OUTAGE: the error came from a statement with the data of records, so it
                           may be one record's */
    bool may_be_race;   /* NOT_YET: an insert beside ours may be the only reason: worth another try
                           at once */
    int32_t partition;  /* FENCED, WENT_BACK: which one, else -1 */
    int64_t catalog_read_us; /* BAD_DATA: when the catalog read that the refusal relies on began, by
                                the clock of the events. It counts only if that was after the record
                                was first refused alone. INT64_MAX: the refusal relies on none (it
                                is the database's, or the record's key is malformed) */
    bool timed_out;          /* a time limit cut it short: fewer records might pass */
    char sqlstate[6];
    char message[256]; /* for people */
    /* an applied claim: what it read. Borrowed for the call */
    const leat_engine_progress *progress;
} leat_engine_job_result;

const char *leat_engine_outcome_name(leat_engine_outcome outcome);

#endif
