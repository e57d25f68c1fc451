/*
 * backlog.c - the chunks of each subpartition, and their sums in the partition. A subpartition with
 * chunks takes them before anything that was read from the log; when the last one is empty it goes
 * on with what it has in memory.
 */
#include "engine/backlog.h"

#include "engine/effects.h"
#include "engine/schedule.h"
#include "engine/subpartition.h"

static leat_partition *partition_of(leat_engine *engine, uint32_t queue)
{
    return &engine->partitions[leat_queue_partition(engine, queue)];
}

/* A partition that has used up its share is paused until a quarter of it is free. */
static void check_full(leat_engine *engine, leat_partition *partition)
{
    uint64_t share = leat_shard_of(engine, partition)->parked_share;
    uint64_t limit = partition->parked_full ? share / 4 * 3 : share;
    bool is_full = share > 0 && partition->parked_bytes > 0 && partition->parked_bytes >= limit;
    if (is_full == partition->parked_full)
        return;
    partition->parked_full = is_full;
    leat_emit(engine, partition, 0);
}

static void sum_changed(leat_engine *engine, uint32_t queue, uint64_t bytes_before)
{
    leat_partition *partition = partition_of(engine, queue);
    partition->parked_bytes = partition->parked_bytes - bytes_before + engine->chunks[queue].bytes;
    check_full(engine, partition);
}

/* ---- a claim ---- */

bool leat_backlog_claimed(leat_engine *engine, leat_partition *partition,
                          const leat_engine_parked *parked, uint32_t count)
{
    LEAT_ASSERT(partition->parked == 0 && partition->parked_bytes == 0);
    for (uint32_t i = 0; i < count; i++) {
        if (parked[i].subpartition >= engine->config.subpartitions ||
            (i > 0 && parked[i].subpartition <= parked[i - 1].subpartition) ||
            !leat_chunks_make_sense(&parked[i],
                                    partition->progress.offsets[parked[i].subpartition]))
            return false;
    }
    uint32_t first = leat_queue_id(engine, leat_partition_id(engine, partition), 0);
    for (uint32_t i = 0, at = 0; i < engine->config.subpartitions; i++) {
        bool has = at < count && parked[at].subpartition == i;
        leat_chunks_claimed(&engine->chunks[first + i], has ? &parked[at] : NULL, engine->now_us);
        if (!has)
            continue;
        at++;
        leat_queue_park(&engine->queues[first + i]);
        partition->parked++;
        sum_changed(engine, first + i, 0);
    }
    return true;
}

/* Most of them may be stalled, and each try holds a connection: all at once they would keep it from
 * those that are not. */
int64_t leat_backlog_spread(leat_engine *engine, leat_partition *partition)
{
    const leat_engine_config *config = &engine->config;
    uint32_t first = leat_queue_id(engine, leat_partition_id(engine, partition), 0);
    int64_t over_us = partition->parked * config->retry_min_us;
    if (over_us > config->retry_max_us)
        over_us = config->retry_max_us;
    for (uint32_t i = 0; partition->parked > 0 && i < engine->config.subpartitions; i++) {
        const leat_queue *queue = &engine->queues[first + i];
        if (!queue->parked)
            continue;
        int64_t delay_us = 1 + (int64_t)leat_prng_below(&engine->prng, (uint64_t)over_us);
        if (leat_narrow_on_trial(&queue->narrow)) /* its trials are apart already */
            delay_us = 1;
        leat_subpartition_delay(engine, partition, i, delay_us);
    }
    return over_us;
}

/* ---- chunks that come and go ---- */

void leat_backlog_add(leat_engine *engine, uint32_t queue, const leat_engine_parked *parked)
{
    leat_chunks *chunks = &engine->chunks[queue];
    leat_queue *of = &engine->queues[queue];
    uint64_t before = of->parked ? chunks->bytes : 0;
    if (!of->parked) {
        leat_queue_keep_head(engine, queue);
        leat_queue_park(of);
        partition_of(engine, queue)->parked++;
        chunks->count = 0;
        chunks->bytes = 0;
    }
    leat_chunks_parked(chunks, parked, engine->now_us);
    sum_changed(engine, queue, before);
}

static void last_chunk_gone(leat_engine *engine, uint32_t queue)
{
    leat_partition *partition = partition_of(engine, queue);
    leat_queue_unpark(&engine->queues[queue]);
    LEAT_ASSERT(partition->parked > 0);
    partition->parked--;
}

bool leat_backlog_applied(leat_engine *engine, uint32_t queue, const leat_engine_batch *batch,
                          uint32_t records)
{
    leat_chunks *chunks = &engine->chunks[queue];
    uint64_t before = chunks->bytes;
    bool fits = leat_chunks_applied(chunks, &engine->chunk_pool, batch->chunks, batch->chunk_count,
                                    records);
    engine->counters.records_unparked += records;
    engine->shards[engine->partitions[leat_queue_partition(engine, queue)].shard].unparked +=
        records;
    engine->queues[queue].parked_last = false;
    sum_changed(engine, queue, before);
    if (chunks->count == 0)
        last_chunk_gone(engine, queue);
    return fits;
}

/* ---- loaded records ---- */

void leat_backlog_feed(leat_engine *engine)
{
    if (!engine->load_starved)
        return;
    engine->load_starved = false;
    for (uint32_t i = 0; i < engine->config.shard_count; i++) {
        leat_shard *shard = &engine->shards[i];
        if (shard->loads[0].head != LEAT_INDEX_NONE || shard->loads[1].head != LEAT_INDEX_NONE)
            leat_schedule_shard(engine, shard);
    }
}

bool leat_backlog_has_room(const leat_engine *engine, const leat_partition *partition,
                           const leat_engine_record *record)
{
    const leat_holding *shard = &engine->shards[partition->shard].loaded;
    leat_holding room = leat_budgets_room(&engine->loaded, shard, &partition->loaded);
    bool fits = room.records > 0 && record->bytes <= room.bytes;
    return engine->pool.free_count > 0 && (fits || engine->loaded.total.records == 0);
}

void leat_backlog_take(leat_engine *engine, leat_partition *partition, leat_queue *queue,
                       const leat_engine_record *record, int64_t read_us)
{
    leat_shard *shard = leat_shard_of(engine, partition);
    uint32_t at = leat_pool_take(&engine->pool);
    leat_record_slot_fill(&engine->pool.slots[at], record, read_us);
    leat_tenants_saw(&shard->ready.tenants, record->tenant);
    leat_queue_push(queue, &engine->pool, at);
    leat_budgets_add(&engine->loaded, &shard->loaded, &partition->loaded, record->bytes);
}

void leat_backlog_release(leat_engine *engine, leat_partition *partition, leat_queue *queue,
                          uint32_t records)
{
    uint64_t bytes = leat_queue_release(queue, &engine->pool, records);
    leat_budgets_remove(&engine->loaded, &leat_shard_of(engine, partition)->loaded,
                        &partition->loaded, records, bytes);
    leat_backlog_feed(engine);
}

void leat_backlog_unload(leat_engine *engine, uint32_t queue)
{
    leat_queue *of = &engine->queues[queue];
    LEAT_ASSERT(of->parked && of->in_flight == 0);
    if (of->count == 0)
        return;
    leat_queue_keep_head(engine, queue);
    leat_backlog_release(engine, partition_of(engine, queue), of, of->count);
    leat_chunks_unload(&engine->chunks[queue], &engine->chunk_pool);
    leat_backlog_feed(engine);
}

void leat_backlog_dropped(leat_engine *engine, uint32_t queue)
{
    leat_chunks *chunks = &engine->chunks[queue];
    LEAT_ASSERT(engine->queues[queue].parked);
    leat_chunks_unload(chunks, &engine->chunk_pool);
    uint64_t before = chunks->bytes;
    chunks->count = 0;
    chunks->bytes = 0;
    sum_changed(engine, queue, before);
    last_chunk_gone(engine, queue);
    leat_backlog_feed(engine);
}

int64_t leat_backlog_applied_to(const leat_engine *engine, uint32_t queue)
{
    const leat_partition *partition = &engine->partitions[leat_queue_partition(engine, queue)];
    return engine->queues[queue].parked
               ? engine->chunks[queue].to
               : partition->progress.offsets[leat_queue_subpartition(engine, queue)];
}
