/*
 * parked.h - parked records on their way back: a worker reads the chunk that a sink has loaded and
 * gives its records to the engine. Records of a chunk stay in its memory, which goes with the last
 * of them. For src/apply only; on the worker's thread.
 */
#ifndef LEAT_APPLY_PARKED_H
#define LEAT_APPLY_PARKED_H

#include "apply/worker_state.h"

/* Remembers what a load is for, until its answer comes. */
void leat_worker_note_load(leat_worker *worker, const leat_engine_job *job);

/* Records read from a chunk. */
typedef struct leat_worker_chunk leat_worker_chunk;

/* Reads the chunk of an answered load, or the records of a held key: `result` gets those that are
 * still parked or, if they make no sense, is made a failure with a message. NULL: there are none.
 */
leat_worker_chunk *leat_worker_read_chunk(leat_worker *worker, uint32_t job_id,
                                          leat_engine_job_result *result);
/* The engine has taken the first `taken` of them; the others are dropped. NULL: does nothing. */
void leat_worker_keep_chunk(leat_worker_chunk *chunk, uint32_t taken);
/* One of those that it has taken is given back. */
void leat_worker_release_parked(leat_item *item);

#endif
