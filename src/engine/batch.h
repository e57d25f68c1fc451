/*
 * batch.h - the work an engine hands to a sink: claims, batches, compactions, and what parks
 * records in their shard and brings them back; and their results. Plain data; the engine owns all
 * of it until the job is reported done.
 *
 * Parked records. A record that cannot be applied for a while is kept in its shard, in a *chunk*: a
 * row with records of one subpartition, in offset order. From then on progress counts it as done
 * ("in the tables or parked"), and its subpartition takes its chunks, first one first, before any
 * record that it has in memory.
 */
#ifndef LEAT_ENGINE_BATCH_H
#define LEAT_ENGINE_BATCH_H

#include "engine/progress.h"

typedef struct leat_engine_batch_record {
    void *payload; /* opaque to the engine; the worker's leat_item */
    int64_t offset;
    uint32_t partition;
    uint16_t subpartition;
    bool skip;   /* its progress moves, but it is not written: leat_engine_skip */
    bool keep;   /* its key is held: it is kept behind the key's other records instead of written */
    bool repeat; /* beside `skip`: it is the repeat of a write that was applied: leat_engine_repeat
                  */
    bool conflict; /* beside `repeat`: it says something else, and is kept as a dead letter */
    uint64_t key;  /* of table and key; meaningful with `keep`, or in a `hold` or retry */
} leat_engine_batch_record;

/* One that is left out is not kept either. */
static inline bool leat_engine_batch_keeps(const leat_engine_batch_record *record)
{
    return record->keep && !record->skip;
}

/* The arguments of leat.advance for one partition. */
typedef struct leat_engine_batch_part {
    uint32_t partition;
    uint32_t incarnation; /* the engine's own: a completion for an older one is stale */
    leat_engine_claim claim;
    int64_t seq;
    uint32_t count; /* of subpartitions moved */
    int16_t subpartitions[LEAT_PART_SUBPARTITIONS_MAX];
    int64_t offsets[LEAT_PART_SUBPARTITIONS_MAX]; /* where each is after the batch */
    leat_engine_newest newest;                    /* the record at the greatest of these */
    uint32_t needs_count;
    int64_t needs[LEAT_PART_SUBPARTITIONS_MAX]; /* seqs that must be there: else the database went
                                                 back */
} leat_engine_batch_part;

/* The reason why a record is refused for good. */
typedef struct leat_engine_reason {
    char sqlstate[6]; /* "": leat itself could not make sense of it */
    char message[256];
} leat_engine_reason;

/* A chunk that a batch takes records from, as the worker believes it to be: the row of which
 * `first_offset`, `last_offset` and `done` are these. If there is no such row the whole batch fails
 * with LEAT_ENGINE_CHUNK_GONE, before any row of a table is written. */
typedef struct leat_engine_chunk_step {
    int64_t first_offset, last_offset;
    int64_t done;           /* its records up to here are no longer parked; before the first: any
                               lower offset */
    int64_t done_after;     /* after the batch; `last_offset`: the row is deleted */
    uint32_t records_after; /* how many of its records are still parked then */
} leat_engine_chunk_step;

/* Records of the batch, one after the other and of one subpartition, that become one chunk. */
typedef struct leat_engine_chunk_cut {
    uint16_t subpartition;
    uint32_t first_record, record_count;
} leat_engine_chunk_cut;

enum { LEAT_BATCH_CHUNKS_MAX = 8, LEAT_BATCH_CUTS_MAX = 16 };

/* Records are grouped by partition, then by subpartition, then in offset order; parts ascend.
 *
 * JOB_BATCH with `chunk_count` > 0, an *unpark*: its records come from those chunks, which are of
 * one subpartition and in order; all but the last are emptied by it. It has one part, which moves
 * no subpartition (`count` is 0): their offset moved when they were parked, and a row of the
 * journal that said it again would survive a failover that loses the park. `dead` may be set as for
 * others.
 *
 * JOB_PARK: its records are not applied, each cut becomes a chunk. It has one part, which moves
 * subpartitions as if the records were applied. */
typedef struct leat_engine_batch {
    uint32_t record_count;
    uint32_t skipped;   /* of them; never of a dead letter */
    uint32_t repeated;  /* of these */
    uint32_t conflicts; /* of these */
    leat_engine_batch_record *records;
    uint32_t part_count;
    leat_engine_batch_part *parts;
    const leat_engine_reason *dead; /* NULL, or: the only record is not applied but kept as a dead
                                letter, in the transaction that moves its progress. Valid as long as
                                the job */
    const leat_engine_reason *hold; /* NULL, or: the only record is not applied; its key is held
                                       from now on, beginning with it. As `dead`, and never both */
    uint32_t kept;                  /* of the records; never of a dead letter or a `hold` */
    uint64_t retry_key; /* 0, or: a *retry* of this held key. Its records are the first of those
                           that are kept of it: they are written, and kept no longer, or the batch
                           fails with LEAT_ENGINE_KEY_TURNED. If there are none left then the key is
                           no longer held. One part, as an unpark has it */
    bool is_look;       /* a retry of which each record is to be left out (leat_engine_skip). Where
                           one of them is not, it is not run but answered as CONTENTION */
    uint16_t chunks_of; /* the subpartition of `chunks`; meaningful while there are any */
    uint32_t chunk_count;
    leat_engine_chunk_step chunks[LEAT_BATCH_CHUNKS_MAX];
    uint32_t cut_count;                              /* PARK; else 0 */
    leat_engine_chunk_cut cuts[LEAT_BATCH_CUTS_MAX]; /* in the order of the records */
    bool is_durable; /* its commit waits for the disk although its shard's do not: somebody will be
                        told of it (leat_engine_make_durable) */
    int64_t lock_timeout_ms;      /* the most time that a statement of it may wait for a lock; 0: as
                                     long as the sink is configured to wait */
    int64_t statement_timeout_ms; /* the most time that a statement of it may take; 0: no limit of
                                     its own */
} leat_engine_batch;

/* Reads a chunk; only under the claim, or it is answered with LEAT_ENGINE_FENCED: an older copy of
 * the database may have cut the chunks otherwise. */
typedef struct leat_engine_load {
    uint16_t subpartition; /* of the job's partition */
    int64_t above;         /* the chunk with the smallest first offset above this one */
    leat_engine_claim claim;
    /* 0, or: instead of a chunk, the first records that are kept of this held key, at most `most`.
     * Whoever answers need not ask for the claim: the batch that takes them shows whether they are
     * the first. */
    uint64_t key;
    uint32_t most;
} leat_engine_load;

typedef struct leat_engine_compaction {
    uint32_t partition;
    bool is_look; /* of one in doubt (durable.h) */
    leat_engine_claim claim;
    int64_t base_seq;       /* the new one */
    uint32_t subpartitions; /* of the partition */
    int64_t *base_offsets;  /* [subpartitions] */
    int64_t low;
    leat_engine_newest newest;
    uint32_t needs_count;
    int64_t *needs; /* last applied seqs: memory must not outlive a lost
                                                 commit */
} leat_engine_compaction;

typedef enum leat_engine_job_kind {
    LEAT_ENGINE_JOB_NONE,
    LEAT_ENGINE_JOB_CLAIM,
    LEAT_ENGINE_JOB_BATCH,
    LEAT_ENGINE_JOB_COMPACT,
    LEAT_ENGINE_JOB_PARK,
    LEAT_ENGINE_JOB_LOAD,
    LEAT_ENGINE_JOB_KIND_COUNT
} leat_engine_job_kind;

typedef struct leat_engine_job {
    uint32_t id; /* small, reused once the job is done */
    leat_engine_job_kind kind;
    uint32_t shard;
    uint32_t partition; /* claim, compaction and load */
    uint32_t incarnation;
    leat_engine_batch batch; /* BATCH and PARK */
    leat_engine_compaction compaction;
    leat_engine_load load;
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
    LEAT_ENGINE_FENCED, /* LT001: another worker has claimed the partition. LT011, of a write that
                           no engine sends: its key goes another way */
    LEAT_ENGINE_WENT_BACK,  /* LT002: the database lost a commit that was acknowledged */
    LEAT_ENGINE_CHUNK_GONE, /* LT009: what is parked is not what the worker believes */
    LEAT_ENGINE_KEY_TURNED, /* LT007: a key of it is not held, as the worker believes, or it is: a
                               claim of `partition` tells */
    LEAT_ENGINE_REPEATED,   /* failed: LT010, LT012: some of its records (`known`) are repeats of
                               writes that are applied, or are none, other than it says. Nothing is
                               wrong, and it is sent again */
    LEAT_ENGINE_UNKNOWN,    /* it may have been applied, or still be: connection lost, FATAL */
    LEAT_ENGINE_OUTCOME_COUNT,
} leat_engine_outcome;

/* What a claim has found parked in one subpartition, all chunks together. */
typedef struct leat_engine_parked {
    uint16_t subpartition;
    uint32_t chunks;
    int64_t first_offset; /* of the first chunk, as is `done` */
    int64_t done;
    int64_t last_offset; /* of the last one */
    uint64_t records;    /* still parked */
    uint64_t bytes;      /* as stored */
    int64_t oldest_ms;   /* the smallest timestamp of a record, or less */
} leat_engine_parked;

/* A held key that a claim has found: its records are kept in the shard, and no later one may be
 * applied before them. */
typedef struct leat_engine_held {
    uint64_t key;          /* leat_engine_record.key */
    uint16_t subpartition; /* of its records */
    int64_t since_ms;      /* for how long it has been held */
    bool is_final; /* its first record was refused for good: people try it again, nobody else */
} leat_engine_held;

/* Of one partition, and of one subpartition. A refusal of one key more stops its subpartition as
 * `stop` does. A tenant has eight subpartitions unless it was set up otherwise (log.tenant_window):
 * with all their places it has half of those of the partition. */
enum { LEAT_HELD_KEYS_MAX = 4096, LEAT_HELD_KEYS_EACH_MAX = LEAT_HELD_KEYS_MAX / 16 };

/* A chunk as it was read. */
typedef struct leat_engine_chunk {
    int64_t first_offset, last_offset;
    int64_t done;     /* as in leat_engine_chunk_step */
    uint32_t records; /* still parked */
    const void *bytes;
    size_t size;
    int codec;
} leat_engine_chunk;

/* A record of a batch that repeats a write which is applied; or that was left out for that, and
 * does not. */
typedef struct leat_engine_known {
    uint32_t record;  /* index in the batch */
    bool is_conflict; /* it has that write's idempotency key, but says something else */
    bool is_lost;     /* the latter: the write that the caller knew of is not there any more */
} leat_engine_known;

struct leat_engine_record;

typedef struct leat_engine_job_result {
    leat_engine_outcome outcome;
    int32_t bad_record; /* index in the batch when the culprit is known, else -1 */
    bool from_rows;     /* OUTAGE, CONTENTION: the error came from a statement with the data of
                           records, so it may be one record's */
    bool is_lock_wait;  /* CONTENTION: a wait for a lock was too long. With `from_rows` another
                           session holds a row, else a claim waits for the partition */
    bool may_be_race;   /* NOT_YET: an insert beside ours may be the only reason: worth another try
                           at once */
    int32_t partition; /* FENCED, WENT_BACK, CHUNK_GONE, KEY_TURNED; CONTENTION where `is_lock_wait`
                          and not `from_rows`:  which one, else -1 */
    int64_t catalog_read_us; /* BAD_DATA: when the catalog read that the refusal relies on began, by
                                the clock of the events. It counts only if that was after the record
                                was first refused alone. INT64_MAX: the refusal relies on none (it
                                is the database's, or the record's key is malformed) */
    bool timed_out;          /* a time limit cut it short: fewer records might pass */
    bool is_hold;   /* BAD_DATA of the caller's own: the key of `bad_record` is to be held, whatever
                       its `on_refused` is */
    bool is_unsent; /* the caller's own answer, whatever it is: nothing was sent to the shard, so it
                       says nothing of how well that is */
    bool no_room;   /* BAD_DATA of the caller's own: `bad_record` was to be kept of a held key, and
                       there is no room for more; the message says so */
    bool keys_gone; /* no_room: and its shard holds fewer keys than are known here, so the record's
                       may be one that is no longer held */
    char sqlstate[6];
    char message[256]; /* for people */
    /* an applied claim: what it read, `parked` by subpartition, ascending. Borrowed for the call,
     * as are all that follow */
    const leat_engine_progress *progress;
    const leat_engine_parked *parked;
    uint32_t parked_count;
    const leat_engine_held *held; /* ascending by key. One more than LEAT_HELD_KEYS_MAX is enough to
                                     say that they are too many: no sink reads more */
    uint32_t held_count;
    uint64_t parked_bytes; /* an applied PARK: the stored size of its chunks, all together */
    /* An applied LOAD: the sink answers with the chunk (it has no NULL: without one the outcome is
     * CHUNK_GONE); the worker decodes it and passes its records after `done` on to the engine, in
     * order. If it cannot: LEAT_ENGINE_NOT_UNDERSTOOD, with a message. */
    const leat_engine_chunk *chunk;
    /* The same for records of a held key: each is a chunk of its own. None: it has none, or is not
     * held. */
    const leat_engine_chunk *kept;
    uint32_t kept_count;
    const struct leat_engine_record *loaded;
    uint32_t loaded_count;
    uint32_t left_out; /* records of a held key: so many of them, the first ones, the caller would
                          leave out (leat_engine_look) */
    bool is_held;      /* an applied retry: the key still is, because it has more records */
    /* REPEATED: some of them, at least one. The caller knows them when the batch is run again. */
    const leat_engine_known *known;
    uint32_t known_count;
} leat_engine_job_result;

const char *leat_engine_outcome_name(leat_engine_outcome outcome);

#endif
