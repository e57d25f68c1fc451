/*
 * Versions are published by one thread and read by all without a lock: a pointer is stored with
 * release and loaded with acquire, and nothing is freed before the end, so a reader needs no
 * reference count. Old versions are few, one for each migration while the process lives. The time
 * of the read is published after the version: a reader that loads the time first gets a version at
 * least that new.
 */
#include "record/schema_versions.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"

/* A version that was published, newest first. */
typedef struct published {
    leat_schema_version *version;
    struct published *older;
} published;

typedef struct shard_versions {
    _Atomic(const leat_schema_version *) newest;
    _Atomic int64_t catalog_read_us;
    published *all; /* the publishing thread's */
} shard_versions;

struct leat_schema_versions {
    uint32_t shard_count;
    shard_versions *shards;
    void (*request_read)(void *context);
    void *context;
};

/* ---- versions ---- */

leat_schema_version *leat_schema_version_new(void)
{
    return leat_must_pages(1, sizeof(leat_schema_version));
}

void leat_schema_version_free(leat_schema_version *version)
{
    if (!version)
        return;
    leat_tables_free(version->tables, version->table_count);
    leat_pages_free(version, sizeof *version);
}

static int key_follows(const leat_table *from, const leat_table *to, leat_error *error)
{
    if (from->key_count != to->key_count)
        return leat_fail(error,
                         "table %s: its primary key has another number of columns; restart leat",
                         to->label);
    for (uint32_t i = 0; i < to->key_count; i++) {
        const leat_column *old = &from->columns[from->key_columns[i]],
                          *new = &to->columns[to->key_columns[i]];
        if (strcmp(old->name, new->name) != 0)
            return leat_fail(error,
                             "table %s: its primary key has column %s where %s was; restart leat",
                             to->label, new->name, old->name);
        if (old->type != new->type &&
            !(leat_type_is_integer(old->type) && leat_type_is_integer(new->type)))
            return leat_fail(
                error, "table %s: column %s of its primary key is %s now and was %s; restart leat",
                to->label, new->name, new->type_name, old->type_name);
    }
    return 0;
}

/* A tenant that leads is part of the key too, by its column. */
static int tenant_follows(const leat_route *from, const leat_route *to, leat_error *error)
{
    if (!from->tenant_leads || (from->tenant_column < 0 && to->tenant_column < 0))
        return 0;
    if (from->tenant_column < 0 || to->tenant_column < 0)
        return leat_fail(error, "table %s: column %s, its tenant's, was %s; restart leat",
                         to->table->label, to->tenant_name,
                         from->tenant_column < 0 ? "added" : "dropped");
    uint32_t last = from->table->key_count;
    const leat_column *old = leat_route_value_column(from, last),
                      *new = leat_route_value_column(to, last);
    if (old->type == new->type ||
        (leat_type_is_integer(old->type) && leat_type_is_integer(new->type)))
        return 0;
    return leat_fail(error, "table %s: column %s, its tenant's, is %s now and was %s; restart leat",
                     to->table->label, to->tenant_name, new->type_name, old->type_name);
}

int leat_schema_version_follows(const leat_schema_version *from, const leat_schema_version *to,
                                leat_error *error)
{
    LEAT_ASSERT(from->table_count == to->table_count);
    for (uint32_t i = 0; i < to->table_count; i++)
        if (key_follows(&from->tables[i], &to->tables[i], error) != 0)
            return -1;
    for (uint32_t i = 0; i < to->routes.count && i < from->routes.count; i++)
        if (tenant_follows(&from->routes.routes[i], &to->routes.routes[i], error) != 0)
            return -1;
    return 0;
}

/* ---- publishing ---- */

leat_schema_versions *leat_schema_versions_new(uint32_t shard_count,
                                               void (*request_read)(void *context), void *context)
{
    leat_schema_versions *schema_versions = leat_must_calloc(1, sizeof *schema_versions);
    *schema_versions = (leat_schema_versions){
        shard_count, leat_must_calloc(shard_count, sizeof *schema_versions->shards), request_read,
        context};
    return schema_versions;
}

void leat_schema_versions_free(leat_schema_versions *schema_versions)
{
    if (!schema_versions)
        return;
    for (uint32_t i = 0; i < schema_versions->shard_count; i++) {
        for (published *at = schema_versions->shards[i].all, *older; at; at = older) {
            older = at->older;
            leat_schema_version_free(at->version);
            free(at);
        }
    }
    free(schema_versions->shards);
    free(schema_versions);
}

const leat_schema_version *leat_schema_versions_newest(const leat_schema_versions *schema_versions,
                                                       uint32_t shard)
{
    LEAT_ASSERT(shard < schema_versions->shard_count);
    const leat_schema_version *newest =
        atomic_load_explicit(&schema_versions->shards[shard].newest, memory_order_acquire);
    LEAT_ASSERT(newest);
    return newest;
}

int64_t leat_schema_versions_read_us(const leat_schema_versions *schema_versions, uint32_t shard)
{
    LEAT_ASSERT(shard < schema_versions->shard_count);
    return atomic_load_explicit(&schema_versions->shards[shard].catalog_read_us,
                                memory_order_acquire);
}

void leat_schema_versions_request_read(leat_schema_versions *schema_versions)
{
    schema_versions->request_read(schema_versions->context);
}

void leat_schema_versions_publish(leat_schema_versions *schema_versions, uint32_t shard,
                                  leat_schema_version *version, int64_t catalog_read_us)
{
    LEAT_ASSERT(shard < schema_versions->shard_count);
    shard_versions *at = &schema_versions->shards[shard];
    published *entry = leat_must_calloc(1, sizeof *entry);
    *entry = (published){version, at->all};
    at->all = entry;
    atomic_store_explicit(&at->newest, version, memory_order_release);
    leat_schema_versions_confirm(schema_versions, shard, catalog_read_us);
}

void leat_schema_versions_confirm(leat_schema_versions *schema_versions, uint32_t shard,
                                  int64_t catalog_read_us)
{
    LEAT_ASSERT(shard < schema_versions->shard_count);
    atomic_store_explicit(&schema_versions->shards[shard].catalog_read_us, catalog_read_us,
                          memory_order_release);
}
