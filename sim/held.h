/*
 * held.h - leat.held and leat.parked_keys of a simulated database, and what the statements on them
 * do: as in schema.sql, statement by statement. persons.c has the people who retry and discard.
 */
#ifndef SIM_HELD_H
#define SIM_HELD_H

#include "engine/batch.h"

struct sim_record;
typedef struct sim_world sim_world;
typedef struct sim_pipeline sim_pipeline;
typedef struct sim_command sim_command;
typedef struct sim_commit sim_commit;
typedef struct sim_answer sim_answer;
typedef struct sim_partition_state sim_partition_state;

/* A row of leat.held. */
typedef struct sim_held_key {
    uint64_t key;
    int64_t since_us;
    uint32_t subpartition;
} sim_held_key;

/* A row of leat.parked_keys. */
typedef struct sim_kept {
    uint64_t key;
    struct sim_record *record;
    const char *bytes; /* the world's; a chunk with the record */
    size_t size;
} sim_kept;

enum { SIM_KEYS_RETRIED_MAX = 1000 };

/* Does another session's transaction, which is not over, keep records of the key, or take some
 * away? It has locked the key's row then. */
struct sim_server;
struct sim_session;
bool sim_held_is_locked(const struct sim_server *server, const struct sim_session *except,
                        uint32_t partition, uint64_t key, bool *ret_by_retry);

/* The statement that keeps the batch's records of held keys in this partition, or begins to hold
 * the key of its only one; for records[i] of the pipeline. None where there are none. */
void sim_held_build(sim_world *world, sim_pipeline *pipeline, const leat_engine_batch *batch,
                    uint32_t partition);

/* What the statements do to a transaction and its answer. NULL, or the SQLSTATE they fail with. */
const char *sim_held_hold(const sim_partition_state *partition, const sim_command *command,
                          sim_commit *tx, int64_t now_us);
const char *sim_held_keep(const sim_partition_state *partition, const sim_command *command,
                          sim_commit *tx);
const char *sim_held_retry(const sim_partition_state *partition, const sim_command *command,
                           sim_commit *tx, sim_answer *answer);
/* What a load of the key reads. */
void sim_held_load(sim_world *world, const sim_partition_state *partition,
                   const sim_command *command, sim_answer *answer);
/* What a claim reads. */
void sim_held_read(sim_world *world, const sim_partition_state *partition, sim_answer *answer);

/* The first records that are kept of the key, in order; how many, at most `max`. */
uint32_t sim_held_records(const sim_partition_state *partition, uint64_t key, sim_kept *ret,
                          uint32_t max);
bool sim_held_has(const sim_partition_state *partition, uint64_t key);

/* The commit's keys and their records come and go. */
struct sim_state;
void sim_held_apply(struct sim_state *state, const sim_commit *commit);

/* A person retries or discards what is kept of some key, if there is one. */
void sim_persons_act(sim_world *world);
/* And comes again, until the world ends. */
void sim_persons_begin(sim_world *world);

/* check_held.c: what is kept is kept for a held key, and nothing else is there; after each commit.
 */
void sim_check_held(sim_world *world, const struct sim_state *state, uint32_t partition);
/* No record is applied before an earlier one of its key that is kept; before each commit. */
void sim_check_keys(sim_world *world, const struct sim_state *state, const sim_commit *commit);

#endif
