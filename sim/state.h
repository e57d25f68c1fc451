/*
 * state.h - the content of one database: the rows, schema leat, and, unknown to a real database,
 * which records of the log are in it. Changed by commits only. A commit is kept whole, so that a
 * replica that lacks the last few is made by applying the others again.
 */
#ifndef SIM_STATE_H
#define SIM_STATE_H

#include "../tests/property/record/row_model.h"
#include "broker.h"
#include "engine/batch.h"
#include "held.h"
#include "modes.h"
#include "notes.h"
#include "parked.h"

typedef enum sim_fate {
    FATE_NONE,
    FATE_APPLIED,
    FATE_DEAD,
    FATE_PARKED,
    FATE_LEFT_OUT,
    FATE_KEPT,   /* of a held key */
    FATE_REPEAT, /* of a write that is applied */
} sim_fate;

/* A row of leat.progress. */
typedef struct sim_progress_row {
    uint32_t partition;
    int64_t seq;
    uint32_t count;
    int16_t *subpartitions; /* of the commit that inserted it */
    int64_t *offsets;
    leat_engine_newest newest;
} sim_progress_row;

struct sim_partition_state {
    leat_engine_claim claim;
    int64_t epoch;
    int64_t base_seq;
    int64_t *base_offsets; /* [subpartitions] */
    int64_t low;
    leat_engine_newest newest;
    sim_progress_row *rows; /* by seq, in the order they came */
    uint32_t row_count;
    uint32_t row_capacity;
    uint8_t *fates; /* sim_fate by index of the record in the log */
    uint32_t fate_count;
    sim_chunk *chunks; /* leat.parked, in no order */
    uint32_t chunk_count;
    uint32_t chunk_capacity;
    sim_held_key *held; /* leat.held and leat.parked_keys, likewise */
    uint32_t held_count;
    sim_kept *kept;
    uint32_t kept_count;
    uint32_t kept_capacity;
};

typedef struct sim_state {
    uint32_t row_count;
    model_row *rows;
    uint32_t partition_count;
    uint32_t subpartitions;
    sim_partition_state *partitions;
    sim_notes notes;
    sim_mode mode;            /* the only row of leat.modes */
    sim_direct_write *direct; /* the writes that were in no log, in their order */
    uint32_t direct_count, direct_capacity;
} sim_state;

typedef struct sim_row_image {
    uint32_t row;
    model_row after;
} sim_row_image;

typedef struct sim_record_fate {
    sim_record *record;
    sim_fate fate;
} sim_record_fate;

typedef enum sim_commit_kind {
    COMMIT_BATCH,
    COMMIT_CLAIM,
    COMMIT_COMPACTION,
    COMMIT_MODE,
    COMMIT_DIRECT, /* a write that is in no log */
} sim_commit_kind;

/* The changes of a transaction. */
struct sim_commit {
    sim_commit_kind kind;
    bool is_async; /* it does not wait for the disk */
    uint32_t image_count, image_capacity;
    sim_row_image *images; /* of one row the last counts */
    uint32_t progress_count;
    sim_progress_row progress[SIM_PARTITIONS_MAX];
    uint32_t fate_count;
    sim_record_fate *fates;
    uint32_t partition; /* of a claim, a compaction or a retry */
    leat_engine_claim claim;
    leat_engine_compaction *compaction; /* NULL: overtaken by a newer one, it changes nothing */
    uint32_t parked_count;
    sim_chunk parked[LEAT_BATCH_CUTS_MAX];
    uint32_t step_count; /* > 0: its records come from chunks */
    uint16_t steps_of;   /* subpartition */
    leat_engine_chunk_step steps[LEAT_BATCH_CHUNKS_MAX];
    sim_held_key hold; /* begins to be held, with `kept`; key 0: none does */
    uint32_t kept_count;
    sim_kept *kept;
    uint64_t locked_key; /* 0, or: by a retry */
    uint64_t retry_key;  /* 0, or: its records were kept of this key */
    bool lets_go;        /* and it is no longer held */
    sim_notes notes;
    sim_mode mode;           /* COMMIT_MODE */
    sim_direct_write direct; /* COMMIT_DIRECT */
};

void sim_state_begin(sim_state *state, const sim_schema *schema, const sim_broker *broker);
void sim_state_end(sim_state *state);
void sim_state_apply(sim_state *state, const sim_commit *commit);
sim_fate sim_state_fate(const sim_state *state, const sim_record *record);
/* Up to which offset each subpartition is applied, as leat.rows would show a claim: the caller's to
 * free. */
int64_t *sim_state_offsets(const sim_state *state, uint32_t partition);
bool sim_state_has_seq(const sim_state *state, uint32_t partition, int64_t seq);

sim_commit *sim_commit_new(sim_commit_kind kind);
void sim_commit_free(sim_commit *commit);
/* The row as the transaction sees it. */
const model_row *sim_commit_row(const sim_commit *commit, const sim_state *state, uint32_t row);
/* Takes `after` over. */
void sim_commit_put_row(sim_commit *commit, uint32_t row, model_row after);
void sim_commit_put_progress(sim_commit *commit, const leat_engine_batch_part *part);
void sim_commit_put_fate(sim_commit *commit, sim_record *record, sim_fate fate);

#endif
