/* controls.h - leat_controls of a SQLite file as a set. Not for use outside src/sink. */
#ifndef LEAT_SINK_SQLITE_CONTROLS_H
#define LEAT_SINK_SQLITE_CONTROLS_H

#include "record/controls.h"
#include "sink/sqlite/db.h"

/* The controls of the source that have not ended, in a transaction of the caller's or without one.
 * NULL: `error` has the reason. */
leat_control_set *leat_sqlite_read_controls(leat_sqlite *sqlite, int32_t source_id,
                                            leat_error *error);

#endif
