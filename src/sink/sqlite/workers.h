/* workers.h - the part of leat_shard_read_work that reads leat_workers. Not for use outside
 * src/sink. */
#ifndef LEAT_SINK_SQLITE_WORKERS_H
#define LEAT_SINK_SQLITE_WORKERS_H

#include "sink/sqlite/db.h"
#include "sink/shard.h"

int leat_sqlite_read_workers(leat_sqlite *sqlite, const char *topic, leat_shard_work *ret,
                             leat_error *error) LEAT_MUST_CHECK;

#endif
