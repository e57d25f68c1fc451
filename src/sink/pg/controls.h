/*
 * controls.h - leat.controls of a PostgreSQL shard as a set. Not for use outside src/sink.
 */
#ifndef LEAT_SINK_PG_CONTROLS_H
#define LEAT_SINK_PG_CONTROLS_H

#include <libpq-fe.h>

#include "record/controls.h"
#include "sink/pg/blocking.h"

/* The controls of source $1 that have not ended, the oldest first. Its columns are texts, so that
 * the answer is the same in either format. */
extern const char leat_pg_controls_sql[];
/* Its answer, to a query that was sent at `read_us` (leat_mono_us). */
leat_control_set *leat_pg_controls_take(const PGresult *answer, int64_t read_us);
/* Asks it over a connection that is open. NULL: `error` has the reason. */
leat_control_set *leat_pg_controls_read(leat_pg *pg, const char *source_id, leat_error *error);

#endif
