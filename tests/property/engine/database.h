/*
 * database.h - a model of a shard: the progress protocol's tables and, as the written rows, how
 * often each record of the log was applied. Transactions are atomic and checked as the real ones
 * are; what they must never do is asserted.
 */
#ifndef LEAT_TEST_DATABASE_H
#define LEAT_TEST_DATABASE_H

#include "../../lib/engine_limits.h"
#include "engine/batch.h"

enum {
    DB_PARTITIONS = 4,
    DB_RECORDS = 48, /* of a partition, at most */
    DB_ROWS = 256,   /* progress rows of a partition */
    DB_ROW_SUBS = 8, /* subpartitions in use */
    DB_CHUNKS = DB_RECORDS,
    DB_KEYS = DB_RECORDS,
    DB_SNAPSHOTS = 3, /* states a failover may go back to */
};

/* The log of one partition. */
typedef struct log_record {
    int64_t offset;
    int64_t at_ms;
    uint32_t subpartition;
    uint32_t bytes;
    /* what a batch with it in fails with; LEAT_ENGINE_APPLIED: nothing */
    leat_engine_outcome poison;
    bool poison_known; /* the database names the record */
    bool poison_looks; /* BAD_DATA: it is leat's own refusal, by its last read of the tables */
    uint32_t table;
    uint64_t key; /* of its row: one subpartition and one table have all records of it */
    leat_engine_on_refused on_refused;
    bool refused; /* alone in its batch, at `refused_us` for the first time */
    bool may_die; /* refused so that it may become a dead letter */
    int64_t refused_us;
    int64_t read_us[2]; /* by each worker, for the first time */
} log_record;

typedef struct log_partition {
    log_record records[DB_RECORDS];
    uint32_t count;
    uint32_t readable; /* appended so far */
} log_partition;

typedef struct db_row {
    int64_t seq;
    uint32_t count;
    int16_t subpartitions[DB_ROW_SUBS];
    int64_t offsets[DB_ROW_SUBS];
    leat_engine_newest newest;
} db_row;

typedef struct db_chunk {
    uint16_t subpartition;
    int64_t first_offset, last_offset;
    int64_t done;
    uint32_t records; /* still parked */
} db_chunk;

typedef struct db_held {
    uint64_t key;
    int64_t since_us;
    bool is_final;
} db_held;

typedef struct db_partition {
    leat_engine_claim claim;
    int64_t epoch;
    int64_t base_seq;
    int64_t base_offsets[TEST_SUBPARTITIONS];
    int64_t low;
    leat_engine_newest newest;
    db_row rows[DB_ROWS];
    uint32_t row_count;
    bool applied[DB_RECORDS]; /* or kept as a dead letter: */
    bool dead[DB_RECORDS];
    bool parked[DB_RECORDS];
    db_chunk chunks[DB_CHUNKS]; /* in no order */
    uint32_t chunk_count;
    bool kept[DB_RECORDS];
    db_held held[DB_KEYS]; /* keys, ascending */
    uint32_t held_count;
} db_partition;

/* All partitions of the world; a shard is those that belong to it. */
typedef struct database {
    db_partition partitions[DB_PARTITIONS];
    db_partition snapshots[DB_SNAPSHOTS][DB_PARTITIONS];
    uint32_t snapshot_count[DB_PARTITIONS];    /* by shard */
    bool ever_done[DB_PARTITIONS][DB_RECORDS]; /* applied, parked or kept */
    uint32_t held_keys_max;                    /* of a partition */
    log_partition *log;
    const uint32_t *shard_of;
    uint32_t partition_count;
} database;

/* A job as the sink sent it. */
typedef struct db_batch_record {
    uint32_t partition;
    uint16_t subpartition;
    int64_t offset;
    bool keep; /* not written: its key is held */
} db_batch_record;

/* What a batch is apart from its parts and records. */
typedef struct db_terms {
    bool dead;               /* its only record is kept as a dead letter */
    bool hold;               /* or makes its key held */
    bool is_look;            /* none of its records is written: they are left out */
    int64_t catalog_read_us; /* the read that leat's own refusals rely on */
    int64_t now_us;
} db_terms;

void database_init(database *db, log_partition *log, const uint32_t *shard_of,
                   uint32_t partition_count, uint32_t held_keys_max);
uint32_t database_index(const database *db, uint32_t partition, int64_t offset);
log_record *database_log(const database *db, const db_batch_record *record);
/* The transactions. `ret` gets outcome, partition, bad_record; all or nothing. */
void database_batch(database *db, const leat_engine_batch_part *parts, uint32_t part_count,
                    const db_batch_record *records, uint32_t record_count, const db_terms *terms,
                    leat_engine_job_result *ret);
/* The same for a batch of one partition that takes parked records, or parks some. */
void database_unpark(database *db, const leat_engine_batch_part *part, uint16_t subpartition,
                     const leat_engine_chunk_step *steps, uint32_t step_count,
                     const db_batch_record *records, uint32_t record_count, const db_terms *terms,
                     leat_engine_job_result *ret);
/* And for the owner's retry of a held key; `ret` gets `is_held`, too. */
void database_retry(database *db, const leat_engine_batch_part *part, uint64_t key,
                    const db_batch_record *records, uint32_t record_count, const db_terms *terms,
                    leat_engine_job_result *ret);
void database_park(database *db, const leat_engine_batch_part *part,
                   const leat_engine_chunk_cut *cuts, uint32_t cut_count,
                   const db_batch_record *records, uint32_t record_count,
                   leat_engine_job_result *ret);
/* `records`: those of the chunk that are still parked, or the first that are kept of the key, as
 * indices in the log; DB_RECORDS of them at most. `result` has outcome, partition, and how many in
 * `loaded_count`. */
void database_load(const database *db, uint32_t partition, const leat_engine_load *load,
                   leat_engine_chunk *ret_chunk, uint32_t *records, leat_engine_job_result *result);
/* What a claim shows of the chunks, by subpartition; returns how many. */
uint32_t database_parked(const database *db, uint32_t partition, leat_engine_parked *ret);
/* And which keys are held, ascending. */
uint32_t database_held(const database *db, uint32_t partition, int64_t now_us,
                       leat_engine_held *ret);

/* What a person has done with a held key. */
typedef struct db_person {
    bool has_applied, has_discarded, has_let_go;
} db_person;
/* Takes what is kept of a key, if one is held: up to `most` records as far as they are accepted, or
 * gives the first one up if it is not. */
db_person database_person(database *db, uint32_t partition, leat_prng *prng, uint32_t most);

/* Is progress, as the next claim would read it, what is applied, parked or kept? Asserted. */
void database_check(const database *db, uint32_t partition);
void database_claim(database *db, uint32_t partition, leat_engine_claim claim,
                    leat_engine_progress *ret);
void database_compact(database *db, const leat_engine_compaction *compaction,
                      leat_engine_job_result *ret);
/* Remembers the shard's state for a failover. */
void database_snapshot(database *db, uint32_t shard, leat_prng *prng);
/* Back to a remembered state; false: there is none. */
bool database_failover(database *db, uint32_t shard, leat_prng *prng);
/* Is every record of the partition up to `offset` applied? `ever`: was it applied, parked or kept
 * at any time, failovers apart? */
bool database_has_all(const database *db, uint32_t partition, int64_t offset, bool ever);

#endif
