/*
 * workers.h - parts of leat_pg_read_work: the reports of processes, and which sessions wait for
 * which. Not for use outside src/sink.
 */
#ifndef LEAT_SINK_PG_WORKERS_H
#define LEAT_SINK_PG_WORKERS_H

#include "sink/pg/blocking.h"
#include "sink/shard.h"

/* Waits, for a second and more, of sessions whose application_name is `name` or begins with it and
 * a blank. */
int leat_pg_read_waits(leat_pg *pg, const char *name, leat_shard_waits *ret,
                       leat_error *error) LEAT_MUST_CHECK;
/* Fills the workers. */
int leat_pg_read_workers(leat_pg *pg, const char *topic, leat_shard_work *ret,
                         leat_error *error) LEAT_MUST_CHECK;

#endif
