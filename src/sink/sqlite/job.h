/*
 * job.h - one job of the engine on a SQLite file, as one transaction. A job is taken on the loop's
 * thread, which copies everything that the engine lends for that call only, and run on any other
 * thread: nothing else touches it meanwhile.
 */
#ifndef LEAT_SINK_SQLITE_JOB_H
#define LEAT_SINK_SQLITE_JOB_H

#include "record/controls.h"
#include "record/schema_versions.h"
#include "sink/sqlite/rows.h"

typedef struct leat_sqlite_job leat_sqlite_job;

/* The needs of a running job. */
typedef struct leat_sqlite_runner {
    leat_sqlite sqlite;
    leat_sqlite_rows *rows;
    leat_schema_versions *schema_versions;
    leat_controls *controls; /* NULL: claims read none */
    uint32_t shard;
    int32_t source_id;
    leat_placement placement;
    int64_t idempotency_ms; /* the lifetime of idempotency keys */
} leat_sqlite_runner;

/* `subpartitions`: of each partition. */
leat_sqlite_job *leat_sqlite_job_new(uint32_t subpartitions);
void leat_sqlite_job_free(leat_sqlite_job *job);
/* Copies. -1: out of memory. */
int leat_sqlite_job_take(leat_sqlite_job *job, const leat_engine_job *from) LEAT_MUST_CHECK;
/* Runs it: afterwards it is committed, rolled back, or its outcome is unknown. */
void leat_sqlite_job_run(leat_sqlite_job *job, leat_sqlite_runner *runner);

uint32_t leat_sqlite_job_id(const leat_sqlite_job *job);
/* Of a job that has run; the target of `progress` lives until the job is taken again. */
const leat_engine_job_result *leat_sqlite_job_result(const leat_sqlite_job *job);
/* Of one that was applied; zero of any other. */
const leat_sqlite_counts *leat_sqlite_job_counts(const leat_sqlite_job *job);

#endif
