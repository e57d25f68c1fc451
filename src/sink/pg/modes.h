/* modes.h - leat.modes over a connection that is open. Not for use outside src/sink. */
#ifndef LEAT_SINK_PG_MODES_H
#define LEAT_SINK_PG_MODES_H

#include "sink/modes.h"
#include "sink/pg/blocking.h"

int leat_pg_read_modes(leat_pg *pg, const char *source_id, leat_mode_rows *ret,
                       leat_error *error) LEAT_MUST_CHECK;

#endif
