/*
 * log_wait.h - for commands that go on once what is in the log now is in the tables.
 */
#ifndef LEAT_CLI_LOG_WAIT_H
#define LEAT_CLI_LOG_WAIT_H

#include "daemon/assembly_lag.h"

/* Of a configured shard, or of all (UINT32_MAX). Waits for as long as it takes, and says on
 * standard error what for, now and then. Parked records count as not applied; held keys do not
 * count: they are people's to decide about. Whoever applies must be running. Once it could look, it
 * goes on looking when it cannot, for 5 minutes. 0, or -1 with a message. */
int leat_wait_for_log(leat_assembly *assembly, uint32_t shard, leat_error *error) LEAT_MUST_CHECK;

#endif
