/* held.h - what the two files about held keys share. Not for use outside src/sink/pg. */
#ifndef LEAT_SINK_PG_HELD_H
#define LEAT_SINK_PG_HELD_H

#include "sink/held.h"

/* leat_shard_held_ops.end */
int leat_pg_end_hold(const char *dsn, const leat_held_work *work, leat_held_result *ret,
                     leat_error *error) LEAT_MUST_CHECK;

#endif
