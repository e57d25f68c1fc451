/*
 * parked.h - leat.parked of the simulated databases: chunks with the bytes of the production codec.
 * The statements of parks, loads and unparks, as the functions of schema leat have them, and the
 * pipelines that carry them.
 */
#ifndef SIM_PARKED_H
#define SIM_PARKED_H

#include "engine/batch.h"

typedef struct sim_world sim_world;
typedef struct sim_pipeline sim_pipeline;
typedef struct sim_command sim_command;
typedef struct sim_commit sim_commit;
typedef struct sim_answer sim_answer;
typedef struct sim_partition_state sim_partition_state;

/* A row of leat.parked. */
typedef struct sim_chunk {
    uint32_t partition;
    uint16_t subpartition;
    int64_t first_offset, last_offset;
    int64_t done;
    uint32_t records;        /* still parked */
    leat_engine_claim claim; /* that it was parked under */
    int64_t oldest_ms;
    const char *bytes; /* the world's */
    size_t size;
} sim_chunk;

/* Adds the statement of a park, whose records have their headers. */
void sim_parked_build(sim_world *world, sim_pipeline *pipeline, const leat_engine_batch *batch);

/* What the statements do to a transaction and its answer. NULL, or the SQLSTATE they fail with. */
const char *sim_parked_park(const sim_partition_state *partition, const sim_command *command,
                            sim_commit *tx, sim_answer *answer);
const char *sim_parked_check(const sim_partition_state *partition, const sim_command *command,
                             sim_commit *tx);
const char *sim_parked_load(const sim_partition_state *partition, const sim_command *command,
                            sim_answer *answer);
/* What a claim reads. */
void sim_parked_read(sim_world *world, const sim_partition_state *partition, sim_answer *answer);

/* The commit's chunks come and go. */
void sim_parked_apply(sim_partition_state *partition, const sim_commit *commit);

/* check_parked.c: each parked record is in one chunk, and the chunks hold nothing else; after each
 * commit. */
struct sim_state;
void sim_check_parked(sim_world *world, const struct sim_state *state, uint32_t partition);

#endif
