/*
 * keys.c - a refused record is given up, waits, or its key is held: then it and each later record
 * of the key is kept in the shard, and the rest of its subpartition goes on.
 *
 * Only the owner of a partition makes a key held, and only in a batch whose number the next batch
 * of the subpartition needs. So whatever a failover takes back, a key that is held in the shard is
 * held here too. The opposite may be wrong, because people let keys go without a claim: then a
 * record that is to be kept fails, and a claim reads the truth. That claim comes after what has let
 * the key go: a failover that loses the one loses the other, and with it the token that a batch
 * needs. So nothing of the key is written before what was kept of it.
 */
#include "engine/keys.h"

#include "engine/key_retry.h"
#include "engine/outcome.h"

/* A claim whether there is room again comes after so many of the longest back-offs. */
enum { LOOK_BACKOFFS = 6 };

static const leat_record_slot *head_of(const leat_engine *engine, uint32_t queue)
{
    LEAT_ASSERT(engine->queues[queue].count > 0);
    return &engine->pool.slots[engine->queues[queue].head];
}

static const leat_held *held_of(const leat_engine *engine, uint32_t queue)
{
    return &engine->partitions[leat_queue_partition(engine, queue)].held;
}

/* Not that of its subpartition: there one batch at most is about to hold a key, its own. */
static bool is_full_of(const leat_engine *engine, uint32_t queue)
{
    return leat_held_is_full_of(held_of(engine, queue), leat_queue_subpartition(engine, queue));
}

/* With those that are about to be held. */
static bool is_full(const leat_engine *engine, uint32_t queue)
{
    const leat_partition *partition = &engine->partitions[leat_queue_partition(engine, queue)];
    return partition->held.count + partition->holding_keys >= partition->held.max ||
           is_full_of(engine, queue);
}

/* It would be held, if there is room. */
static bool is_to_be_held(const leat_engine *engine, uint32_t queue,
                          const leat_engine_job_result *result)
{
    const leat_record_slot *head = head_of(engine, queue);
    return (head->on_refused == LEAT_ENGINE_REFUSED_HOLD || result->is_hold) && head->key != 0 &&
           !leat_held_has(held_of(engine, queue), head->key);
}

/* What is known of the retries of a key outlives the claim: one that has ended its session would be
 * tried again with each of the claims that follow. */
static void claimed_key(leat_engine *engine, leat_partition *partition,
                        const leat_engine_held *found)
{
    leat_held *held = &partition->held;
    int64_t since_us = engine->now_us - 1000 * found->since_ms;
    if (leat_held_has(held, found->key))
        return;
    LEAT_ASSERT(found->subpartition < engine->config.subpartitions);
    leat_held_place *place = leat_held_add(held, found->key, found->subpartition, since_us);
    if (engine->shards[partition->shard].looks)
        leat_held_set_look(held, place, engine->now_us);
    if (!found->is_final && engine->now_us - since_us < engine->config.patience_us)
        leat_held_set_due(held, place, engine->now_us + leat_jobs_backoff_us(engine, 1));
}

bool leat_keys_claimed(leat_engine *engine, leat_partition *partition, const leat_engine_held *held,
                       uint32_t count)
{
    partition->held_us = engine->now_us;
    leat_held_keep_only(&partition->held, held, count);
    if (count > partition->held.max)
        return false;
    for (uint32_t i = 0; i < count; i++)
        claimed_key(engine, partition, &held[i]);
    return true;
}

bool leat_keys_may_hold(const leat_engine *engine, uint32_t queue,
                        const leat_engine_job_result *result)
{
    return is_to_be_held(engine, queue, result) && !is_full(engine, queue);
}

bool leat_keys_lacks_room(const leat_engine *engine, uint32_t queue,
                          const leat_engine_job_result *result)
{
    return result->no_room || (is_to_be_held(engine, queue, result) && is_full(engine, queue));
}

bool leat_keys_is_outdated(const leat_engine *engine, uint32_t queue)
{
    const leat_retry *retry = &engine->queues[queue].retry;
    return leat_held_has(held_of(engine, queue), head_of(engine, queue)->key) ||
           (retry->holds && is_full(engine, queue));
}

void leat_keys_begin(leat_engine *engine, uint32_t queue)
{
    engine->partitions[leat_queue_partition(engine, queue)].holding_keys++;
}

void leat_keys_ended(leat_partition *partition, const leat_engine_batch *batch)
{
    LEAT_ASSERT(partition->holding_keys >= (batch->hold != NULL));
    partition->holding_keys -= batch->hold != NULL;
}

/* One that was to be kept was not tried, so it was not refused: the error is about something
 * else. */
leat_keys_fate leat_keys_fate_of(const leat_engine *engine, uint32_t queue,
                                 const leat_engine_batch *batch,
                                 const leat_engine_job_result *result)
{
    if (batch->records[0].keep)
        return LEAT_KEYS_WAITS;
    if (leat_keys_may_hold(engine, queue, result))
        return LEAT_KEYS_HELD;
    bool may_give_up = head_of(engine, queue)->on_refused == LEAT_ENGINE_REFUSED_SKIP &&
                       !result->is_hold;
    return may_give_up ? LEAT_KEYS_LETTER : LEAT_KEYS_WAITS;
}

/* People may have let keys go meanwhile, which nothing tells as long as no record of these comes. A
 * claim does, but it has the partition read again. */
bool leat_keys_may_look(const leat_engine *engine, uint32_t queue,
                        const leat_engine_job_result *result)
{
    const leat_partition *partition = &engine->partitions[leat_queue_partition(engine, queue)];
    bool lacks_room = is_to_be_held(engine, queue, result) &&
                      (leat_held_is_full(&partition->held) || is_full_of(engine, queue));
    return (lacks_room || result->keys_gone) &&
           engine->now_us - partition->held_us >= LOOK_BACKOFFS * engine->config.retry_max_us;
}

void leat_keys_hold(leat_engine *engine, uint32_t queue)
{
    leat_partition *partition = &engine->partitions[leat_queue_partition(engine, queue)];
    const leat_retry *retry = &engine->queues[queue].retry;
    leat_held_place *place = leat_held_add(&partition->held, head_of(engine, queue)->key,
                                           (uint16_t)leat_queue_subpartition(engine, queue),
                                           engine->now_us);
    if (engine->shards[partition->shard].looks)
        leat_held_set_look(&partition->held, place, engine->now_us);
    if (retry->dead_by != LEAT_ENGINE_BAD_DATA && engine->config.patience_us > 0)
        leat_held_set_due(&partition->held, place,
                          engine->now_us + leat_jobs_backoff_us(engine, 1));
    engine->counters.keys_held++;
    engine->counters.records_kept++;
    leat_key_retry_plan(engine, partition);
}
