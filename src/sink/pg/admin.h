/*
 * admin.h - shard.h for PostgreSQL: the same functions under the same terms, by DSN. For shard.c,
 * tests and benches.
 */
#ifndef LEAT_SINK_PG_ADMIN_H
#define LEAT_SINK_PG_ADMIN_H

#include "sink/shard.h"

int leat_pg_check_dsn(const char *dsn, leat_error *error) LEAT_MUST_CHECK;
int leat_pg_read_tables(const char *dsn, const char *const *labels, uint32_t count, leat_table *ret,
                        leat_error *error) LEAT_MUST_CHECK;
int leat_pg_read_source(const char *dsn, const char *topic, leat_source *ret_source,
                        leat_layout *ret_layout, leat_error *error) LEAT_MUST_CHECK;
int leat_pg_read_self(const char *dsn, const char *topic, leat_shard_self *ret,
                      leat_error *error) LEAT_MUST_CHECK;
int leat_pg_init(const char *dsn, leat_source *source, const leat_layout *layout, uint32_t shard,
                 const int64_t *starts, leat_error *error) LEAT_MUST_CHECK;
int leat_pg_rehearse_init(const char *dsn, leat_source *source, const leat_layout *layout,
                          uint32_t shard, const int64_t *starts, leat_error *error) LEAT_MUST_CHECK;
int leat_pg_refuse_others(const char *dsn, const leat_source *source, const char *group,
                          leat_error *error) LEAT_MUST_CHECK;
int leat_pg_read_server(const char *dsn, leat_shard_server *ret, leat_error *error) LEAT_MUST_CHECK;
int leat_pg_missing_privileges(const char *dsn, const leat_table *tables, uint32_t count,
                               leat_buf *ret_missing, leat_buf *ret_grants,
                               leat_error *error) LEAT_MUST_CHECK;
int leat_pg_read_progress(const char *dsn, const char *topic, leat_shard_partition **ret,
                          uint32_t *ret_count, leat_error *error) LEAT_MUST_CHECK;
int leat_pg_read_work(const char *dsn, const char *topic, leat_shard_work *ret,
                      leat_error *error) LEAT_MUST_CHECK;
int leat_pg_dead_letters(const char *dsn, const leat_dead_query *query, leat_dead_letters *ret,
                         leat_error *error) LEAT_MUST_CHECK;
leat_shard_reporter *leat_pg_reporter_new(const char *dsn, int32_t source_id);

#endif
