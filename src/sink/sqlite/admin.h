/*
 * admin.h - shard.h and the sink for a SQLite file: the same functions under the same terms, by the
 * file's path. For shard.c, sink.c and tests.
 *
 * The file and its tables are the user's; leat adds tables named leat_*. A table's columns are
 * understood by the first word of their declared type, whatever its case:
 *
 *   bool, boolean                        bool, kept as 0 and 1
 *   smallint, int2                       int2
 *   int4                                 int4
 *   int, integer, bigint, int8           int8
 *   real, double, float, float8,         float8: SQLite has no decimal numbers
 *     numeric, decimal
 *   text, varchar(n), character, char    text, of at most n characters
 *   uuid, date, time, timestamp          kept as the canonical text, as is timestamptz, datetime
 * (both timestamptz) blob, bytea                          bytea json, jsonb jsonb, kept as JSON
 * text; "json text" keeps a number at the top as it is written
 *
 * Anything else, and a column without a type, cannot be written by leat: it must be nullable or
 * have a default. Keys must be compared by BINARY, as leat compares them.
 */
#ifndef LEAT_SINK_SQLITE_ADMIN_H
#define LEAT_SINK_SQLITE_ADMIN_H

#include "sink/shard.h"

int leat_sqlite_read_tables(const char *file, const char *const *labels, uint32_t count,
                            leat_table *ret, leat_error *error) LEAT_MUST_CHECK;
int leat_sqlite_read_source(const char *file, const char *topic, leat_source *ret_source,
                            leat_layout *ret_layout, leat_error *error) LEAT_MUST_CHECK;
int leat_sqlite_read_self(const char *file, const char *topic, leat_shard_self *ret,
                          leat_error *error) LEAT_MUST_CHECK;
int leat_sqlite_init(const char *file, leat_source *source, const leat_layout *layout,
                     uint32_t shard, const int64_t *starts, leat_error *error) LEAT_MUST_CHECK;
int leat_sqlite_rehearse_init(const char *file, leat_source *source, const leat_layout *layout,
                              uint32_t shard, const int64_t *starts,
                              leat_error *error) LEAT_MUST_CHECK;
int leat_sqlite_refuse_others(const char *file, const leat_source *source, const char *group,
                              leat_error *error) LEAT_MUST_CHECK;
int leat_sqlite_read_server(const char *file, leat_shard_server *ret,
                            leat_error *error) LEAT_MUST_CHECK;
int leat_sqlite_missing_privileges(const char *file, const leat_table *tables, uint32_t count,
                                   leat_buf *ret_missing, leat_buf *ret_grants,
                                   leat_error *error) LEAT_MUST_CHECK;
int leat_sqlite_read_progress(const char *file, const char *topic, leat_shard_partition **ret,
                              uint32_t *ret_count, leat_error *error) LEAT_MUST_CHECK;
int leat_sqlite_read_work(const char *file, const char *topic, leat_shard_work *ret,
                          leat_error *error) LEAT_MUST_CHECK;
int leat_sqlite_dead_letters(const char *file, const leat_dead_query *query, leat_dead_letters *ret,
                             leat_error *error) LEAT_MUST_CHECK;
leat_shard_reporter *leat_sqlite_reporter_new(const char *file, int32_t source_id);

#endif
