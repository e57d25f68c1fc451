/* writes.h - what a SQLite file knows of writes; not for use outside src/sink/sqlite. */
#ifndef LEAT_SINK_SQLITE_WRITES_H
#define LEAT_SINK_SQLITE_WRITES_H

#include "record/write_waits.h"
#include "sink/sqlite/db.h"

/* leat_shard_reporter_read_writes, in a transaction of its own. */
int leat_sqlite_read_writes(leat_sqlite *sqlite, int32_t source_id,
                            const leat_write_question *questions, uint32_t count,
                            leat_write_answer *ret, leat_error *error) LEAT_MUST_CHECK;

/* The same inside a transaction of the caller's. `tells_removed`: it is for an audit. */
int leat_sqlite_answer_writes(leat_sqlite *sqlite, int32_t source_id, bool tells_removed,
                              const leat_write_question *questions, uint32_t count,
                              leat_write_answer *ret, leat_error *error) LEAT_MUST_CHECK;

#endif
