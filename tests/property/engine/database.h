/*
 * database.h - a model of a shard: the progress protocol's tables and, as the written rows, how
 * often each record of the log was applied. Transactions are atomic and checked as the real ones
 * are; what they must never do is asserted.
 */
#ifndef LEAT_TEST_DATABASE_H
#define LEAT_TEST_DATABASE_H

#include "engine/batch.h"

enum {
    DB_PARTITIONS = 4,
    DB_RECORDS = 48,  /* of a partition, at most */
    DB_ROWS = 256,    /* progress rows of a partition */
    DB_ROW_SUBS = 8,  /* subpartitions in use */
    DB_SNAPSHOTS = 3, /* states a failover may go back to */
};

/* The log of one partition. */
typedef struct log_record {
    int64_t offset;
    int64_t at_ms;
    uint64_t hash;
    uint32_t bytes;
    /* what a batch with it in fails with; LEAT_ENGINE_APPLIED: nothing */
    leat_engine_outcome poison;
    bool poison_known; /* the database names the record */
    bool poison_looks; /* BAD_DATA: it is leat's own refusal, by its last read of the tables */
    uint32_t table;
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

typedef struct db_partition {
    leat_engine_claim claim;
    int64_t epoch;
    int64_t base_seq;
    int64_t base_offsets[LEAT_SUBPARTITIONS];
    int64_t low;
    leat_engine_newest newest;
    db_row rows[DB_ROWS];
    uint32_t row_count;
    bool applied[DB_RECORDS]; /* or kept as a dead letter: */
    bool dead[DB_RECORDS];
} db_partition;

/* All partitions of the world; a shard is those that belong to it. */
typedef struct database {
    db_partition partitions[DB_PARTITIONS];
    db_partition snapshots[DB_SNAPSHOTS][DB_PARTITIONS];
    uint32_t snapshot_count[DB_PARTITIONS]; /* by shard */
    bool ever_applied[DB_PARTITIONS][DB_RECORDS];
    log_partition *log;
    const uint32_t *shard_of;
    uint32_t partition_count;
} database;

/* A job as the sink sent it. */
typedef struct db_batch_record {
    uint32_t partition;
    uint16_t subpartition;
    int64_t offset;
} db_batch_record;

void database_init(database *db, log_partition *log, const uint32_t *shard_of,
                   uint32_t partition_count);
uint32_t database_index(const database *db, uint32_t partition, int64_t offset);
log_record *database_log(const database *db, const db_batch_record *record);
/* The transactions. `ret` gets outcome, partition, bad_record; all or nothing. `dead`: the record
 * is kept as a dead letter. `catalog_read_us`: the read that leat's own refusals rely on. */
void database_batch(database *db, const leat_engine_batch_part *parts, uint32_t part_count,
                    const db_batch_record *records, uint32_t record_count, bool dead,
                    int64_t catalog_read_us, leat_engine_job_result *ret);
void database_claim(database *db, uint32_t partition, leat_engine_claim claim,
                    leat_engine_progress *ret);
void database_compact(database *db, const leat_engine_compaction *compaction,
                      leat_engine_job_result *ret);
/* Remembers the shard's state for a failover. */
void database_snapshot(database *db, uint32_t shard, leat_prng *prng);
/* Back to a remembered state; false: there is none. */
bool database_failover(database *db, uint32_t shard, leat_prng *prng);
/* Is every record of the partition up to `offset` applied? `ever`: at any time, failovers apart. */
bool database_has_all(const database *db, uint32_t partition, int64_t offset, bool ever);

#endif
