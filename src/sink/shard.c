/* The blocking half of the sink seam: each call goes to whatever database the shard is. */
#include "sink/shard.h"

#include "sink/sqlite/admin.h"
#include "sink/pg/admin.h"
#include "sink/reporter_ops.h"

typedef struct shard_ops {
    int (*read_tables)(const char *where, const char *const *labels, uint32_t count,
                       leat_table *ret, leat_error *error);
    int (*read_source)(const char *where, const char *topic, leat_source *ret_source,
                       leat_layout *ret_layout, leat_error *error);
    int (*read_self)(const char *where, const char *topic, leat_shard_self *ret, leat_error *error);
    int (*init)(const char *where, leat_source *source, const leat_layout *layout, uint32_t shard,
                const int64_t *starts, leat_error *error);
    int (*rehearse_init)(const char *where, leat_source *source, const leat_layout *layout,
                         uint32_t shard, const int64_t *starts, leat_error *error);
    int (*refuse_others)(const char *where, const leat_source *source, const char *group,
                         leat_error *error);
    int (*read_server)(const char *where, leat_shard_server *ret, leat_error *error);
    int (*missing_privileges)(const char *where, const leat_table *tables, uint32_t count,
                              leat_buf *ret_missing, leat_buf *ret_grants, leat_error *error);
    int (*read_progress)(const char *where, const char *topic, leat_shard_partition **ret,
                         uint32_t *ret_count, leat_error *error);
    int (*read_work)(const char *where, const char *topic, leat_shard_work *ret, leat_error *error);
    int (*dead_letters)(const char *where, const leat_dead_query *query, leat_dead_letters *ret,
                        leat_error *error);
    leat_shard_reporter *(*teller_new)(const char *where, int32_t source_id);
} shard_ops;

static const shard_ops postgres = {
    .read_tables = leat_pg_read_tables,
    .read_source = leat_pg_read_source,
    .read_self = leat_pg_read_self,
    .init = leat_pg_init,
    .rehearse_init = leat_pg_rehearse_init,
    .refuse_others = leat_pg_refuse_others,
    .read_server = leat_pg_read_server,
    .missing_privileges = leat_pg_missing_privileges,
    .read_progress = leat_pg_read_progress,
    .read_work = leat_pg_read_work,
    .dead_letters = leat_pg_dead_letters,
    .teller_new = leat_pg_reporter_new,
};

static const shard_ops lite = {
    .read_tables = leat_sqlite_read_tables,
    .read_source = leat_sqlite_read_source,
    .read_self = leat_sqlite_read_self,
    .init = leat_sqlite_init,
    .rehearse_init = leat_sqlite_rehearse_init,
    .refuse_others = leat_sqlite_refuse_others,
    .read_server = leat_sqlite_read_server,
    .missing_privileges = leat_sqlite_missing_privileges,
    .read_progress = leat_sqlite_read_progress,
    .read_work = leat_sqlite_read_work,
    .dead_letters = leat_sqlite_dead_letters,
    .teller_new = leat_sqlite_reporter_new,
};

static const shard_ops *ops_of(leat_shard_address at)
{
    return at.sqlite ? &lite : &postgres;
}

static const char *where(leat_shard_address at)
{
    return at.sqlite ? at.sqlite : at.dsn;
}

int leat_shard_check_address(leat_shard_address at, leat_error *error)
{
    return at.sqlite ? 0 : leat_pg_check_dsn(at.dsn, error);
}

int leat_shard_read_tables(leat_shard_address at, const char *const *labels, uint32_t count,
                           leat_table *ret, leat_error *error)
{
    return ops_of(at)->read_tables(where(at), labels, count, ret, error);
}

int leat_shard_read_source(leat_shard_address at, const char *topic, leat_source *ret_source,
                           leat_layout *ret_layout, leat_error *error)
{
    return ops_of(at)->read_source(where(at), topic, ret_source, ret_layout, error);
}

int leat_shard_read_self(leat_shard_address at, const char *topic, leat_shard_self *ret,
                         leat_error *error)
{
    return ops_of(at)->read_self(where(at), topic, ret, error);
}

int leat_shard_init(leat_shard_address at, leat_source *source, const leat_layout *layout,
                    uint32_t shard, const int64_t *starts, leat_error *error)
{
    return ops_of(at)->init(where(at), source, layout, shard, starts, error);
}

int leat_shard_rehearse_init(leat_shard_address at, leat_source *source, const leat_layout *layout,
                             uint32_t shard, const int64_t *starts, leat_error *error)
{
    return ops_of(at)->rehearse_init(where(at), source, layout, shard, starts, error);
}

int leat_shard_refuse_others(leat_shard_address at, const leat_source *source, const char *group,
                             leat_error *error)
{
    return ops_of(at)->refuse_others(where(at), source, group, error);
}

int leat_shard_read_server(leat_shard_address at, leat_shard_server *ret, leat_error *error)
{
    return ops_of(at)->read_server(where(at), ret, error);
}

int leat_shard_missing_privileges(leat_shard_address at, const leat_table *tables, uint32_t count,
                                  leat_buf *ret_missing, leat_buf *ret_grants, leat_error *error)
{
    return ops_of(at)->missing_privileges(where(at), tables, count, ret_missing, ret_grants, error);
}

int leat_shard_read_progress(leat_shard_address at, const char *topic, leat_shard_partition **ret,
                             uint32_t *ret_count, leat_error *error)
{
    return ops_of(at)->read_progress(where(at), topic, ret, ret_count, error);
}

int leat_shard_read_work(leat_shard_address at, const char *topic, leat_shard_work *ret,
                         leat_error *error)
{
    return ops_of(at)->read_work(where(at), topic, ret, error);
}

int leat_shard_dead_letters(leat_shard_address at, const leat_dead_query *query,
                            leat_dead_letters *ret, leat_error *error)
{
    return ops_of(at)->dead_letters(where(at), query, ret, error);
}

leat_shard_reporter *leat_shard_reporter_new(leat_shard_address at, int32_t source_id)
{
    return ops_of(at)->teller_new(where(at), source_id);
}

int leat_shard_reporter_send(leat_shard_reporter *reporter, const leat_shard_report *report,
                             leat_error *error)
{
    return reporter->ops->tell(reporter, report, error);
}

int leat_shard_reporter_remove(leat_shard_reporter *reporter, const char *instance,
                               leat_error *error)
{
    return reporter->ops->untell(reporter, instance, error);
}

int leat_shard_reporter_read_waits(leat_shard_reporter *reporter, const char *name,
                                   leat_shard_waits *ret, leat_error *error)
{
    ret->count = 0;
    return reporter->ops->ask_waits ? reporter->ops->ask_waits(reporter, name, ret, error) : 0;
}

void leat_shard_reporter_free(leat_shard_reporter *reporter)
{
    if (reporter)
        reporter->ops->free(reporter);
}
