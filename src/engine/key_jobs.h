/*
 * key_jobs.h - makes the jobs of a retry of a held key.
 */
#ifndef LEAT_ENGINE_KEY_JOBS_H
#define LEAT_ENGINE_KEY_JOBS_H

#include "engine/state.h"

enum { LEAT_KEY_JOB_RECORDS_MAX = 1000 };

/* The queue of the subpartition that the retry's records are of, once they are loaded. */
uint32_t leat_key_job_queue(const leat_engine *engine, const leat_partition *partition);
/* Reads the first records that are kept of the partition's key. */
const leat_engine_job *leat_key_job_load(leat_engine *engine, leat_shard *shard,
                                         leat_partition *partition);
/* Writes those that were loaded: its subpartition is in flight until the batch is done. */
const leat_engine_job *leat_key_job_apply(leat_engine *engine, leat_shard *shard,
                                          leat_partition *partition);

#endif
