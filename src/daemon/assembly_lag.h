/*
 * assembly_lag.h - the lag (lag.h) of the log and the shards of a configuration, for the commands
 * that watch a deployment from outside.
 */
#ifndef LEAT_DAEMON_ASSEMBLY_LAG_H
#define LEAT_DAEMON_ASSEMBLY_LAG_H

#include "daemon/assemble.h"
#include "watch/lag.h"

/* `assembly` has its configuration. Tries the log once; -1: it cannot be read, or it is not the one
 * that was set up. The shards are read in any case. `ret` is large: keep it off the stack.
 * leat_lag_fini in any case. */
int leat_assembly_read_lag(leat_assembly *assembly, leat_lag_work work, leat_lag *ret,
                           leat_error *error) LEAT_MUST_CHECK;

#endif
