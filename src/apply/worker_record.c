/*
 * worker_record.c - what the engine is told of a record: its route, key and place by the newest
 * schema version, its tenant, and what happens if it is refused.
 */
#include "apply/worker_state.h"

/* 0: it has none, or none that can be told. */
static uint64_t tenant_of(const leat_item *item)
{
    leat_slice tenant = leat_item_tenant(item);
    return tenant.data ? leat_hash(tenant) : 0;
}

/* A record that is of no key cannot be held. */
static leat_engine_on_refused on_refused_of(const leat_item *item, uint64_t key)
{
    static const leat_engine_on_refused engines[LEAT_ON_REFUSED_COUNT] = {
        [LEAT_ON_REFUSED_SKIP] = LEAT_ENGINE_REFUSED_SKIP,
        [LEAT_ON_REFUSED_HOLD] = LEAT_ENGINE_REFUSED_HOLD,
        [LEAT_ON_REFUSED_STOP] = LEAT_ENGINE_REFUSED_STOP};
    leat_on_refused on_refused = item->route ? item->route->on_refused : LEAT_ON_REFUSED_SKIP;
    return key == 0 && on_refused == LEAT_ON_REFUSED_HOLD ? LEAT_ENGINE_REFUSED_SKIP
                                                          : engines[on_refused];
}

_Static_assert(sizeof(void *) != 8 || sizeof(leat_item) == 528,
               "the documents of apply.memory and leat plan say so");

leat_engine_record leat_worker_record_of(const leat_worker *worker, leat_item *item)
{
    size_t bytes = item->record.key.size + item->record.value.size + item->record.header_bytes +
                   sizeof *item;
    uint64_t key = leat_item_held_hash(item);
    return (leat_engine_record){
        .partition = item->record.partition,
        .offset = item->record.offset,
        .accepted_ms = item->record.accepted_ms,
        .epoch = item->record.epoch,
        .subpartition = item->subpartition,
        .tenant = tenant_of(item),
        .table = item->route ? item->route->table_index : leat_worker_table_count(worker),
        .key = key,
        .on_refused = on_refused_of(item, key),
        .bytes = (uint32_t)bytes,
        .payload = item,
    };
}

void leat_worker_decode_item(leat_worker *worker, leat_item *item)
{
    const leat_schema_version *version = leat_schema_versions_newest(
        worker->config.schema_versions, worker->shard_of[item->record.partition]);
    int decoded =
        leat_item_decode(&version->routes, &worker->config.catalog->source.placement, item);
    LEAT_ASSERT(decoded == 0);
    worker->repeats.has_keys = worker->repeats.has_keys || item->record.idempotency.size > 0;
    int placed = leat_item_check_place(&worker->config.catalog->layout, item);
    LEAT_ASSERT(placed == 0);
}
