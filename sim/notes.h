/*
 * notes.h - leat.idempotency of a simulated database, and what leat.note_keys and
 * leat.check_repeats do there; leat.note_keys_now is in direct.c. Nothing is forgotten: when slots
 * are opened and emptied is tested on real databases.
 */
#ifndef SIM_NOTES_H
#define SIM_NOTES_H

#include "engine/batch.h"
#include "record/direct.h"
#include "record/item.h"

typedef struct sim_world sim_world;
typedef struct sim_pipeline sim_pipeline;
typedef struct sim_command sim_command;
typedef struct sim_answer sim_answer;
struct sim_record;

/* Those of a transaction, or of a database. */
typedef struct sim_notes {
    leat_write_id *all;
    uint32_t count, capacity;
} sim_notes;

/* A key that a statement is to note, or to find. */
typedef struct sim_note {
    uint32_t record; /* of the batch */
    leat_write_id id;
    bool is_conflict; /* to be found as that of a write that says something else */
} sim_note;

void sim_notes_add(sim_notes *notes, const leat_write_id *id);
void sim_notes_free(sim_notes *notes);
/* NULL: it is not noted. */
const leat_write_id *sim_notes_find(const sim_notes *notes, const leat_write_id *id);

/* The statement for the keys of what the batch writes; for those of what it leaves out as repeats.
 * None where there are none. */
void sim_notes_build(sim_world *world, sim_pipeline *pipeline, const leat_engine_batch *batch);
void sim_notes_build_repeats(sim_world *world, sim_pipeline *pipeline,
                             const leat_engine_batch *batch);
/* Its first half: is any of them known (LT010)? Then the answer has which. */
bool sim_notes_look(sim_world *world, const sim_notes *notes, const sim_command *command,
                    sim_answer *answer);
/* Its second half. False: one of them is there by now (23505). */
bool sim_notes_note(const sim_notes *notes, const sim_command *command, sim_notes *tx);
/* The second statement: are some of its keys not there (LT012), or as they should not be? Then the
 * answer has which. `tx`: those of its own transaction. */
bool sim_notes_miss(sim_world *world, const sim_notes *notes, const sim_notes *tx,
                    const sim_command *command, sim_answer *answer);
/* Has the record a key, and which? */
bool sim_notes_identify(const sim_world *world, const struct sim_record *record,
                        leat_write_id *ret);

/* check_repeats.c: a key has one effect, whichever way its writes go, and what counts as a repeat
 * repeats one; before each commit. */
struct sim_state;
struct sim_server;
struct sim_direct_write;
typedef struct sim_commit sim_commit;
void sim_check_repeats(sim_world *world, const struct sim_state *state, const sim_commit *commit);
/* What the client of a write that is in no log is about to hear of the write with its key: it
 * says the same, and no crash takes it back; or it says something else. */
void sim_check_known(sim_world *world, const struct sim_server *server,
                     const struct sim_direct_write *write, leat_direct_outcome outcome);
/* Does a write that is applied have the record's key, and say something else? */
bool sim_check_is_conflict(const sim_world *world, const struct sim_state *state,
                           const sim_commit *commit, uint32_t fate);

#endif
