/*
 * lock.h - which process has the write lock of a SQLite file. SQLite does not report it, the
 * kernel does: the lock is a POSIX lock on byte 120 of FILE-shm, as SQLite's description of its
 * write-ahead log has it (www.sqlite.org/walformat.html). Not for use outside src/sink.
 */
#ifndef LEAT_SINK_SQLITE_LOCK_H
#define LEAT_SINK_SQLITE_LOCK_H

#include "sink/shard.h"

/* Adds a wait to `work` when one other process, none of `work->workers`, has had the lock in every
 * sample for LEAT_SQLITE_LOCK_MS; returns at once when nobody has it. Sets `is_closed` where
 * FILE-shm is gone: who closes the file last removes it. `file` as sqlite3_db_filename gives it.
 * This process must not have a connection to the file: closing the descriptor of the sample would
 * drop its locks. */
enum { LEAT_SQLITE_LOCK_MS = 2000 };
void leat_sqlite_find_lock(const char *file, leat_shard_work *work);

#endif
