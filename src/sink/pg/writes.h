/* writes.h - what a database knows of writes; not for use outside src/sink/pg. */
#ifndef LEAT_SINK_PG_WRITES_H
#define LEAT_SINK_PG_WRITES_H

#include "record/write_waits.h"
#include "sink/pg/blocking.h"

/* leat_shard_reporter_read_writes, in the transaction of `pg`. `source_id` is a number as text;
 * `tells_removed`: it is for an audit. */
int leat_pg_read_writes(leat_pg *pg, const char *source_id, bool tells_removed,
                        const leat_write_question *questions, uint32_t count,
                        leat_write_answer *ret, leat_error *error) LEAT_MUST_CHECK;

#endif
