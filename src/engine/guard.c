/*
 * guard.c - how many records of a table may become dead letters. A table of which a large share is
 * refused has changed; its data is not bad, and waits. A small share is bad data, however many
 * records that is in a minute.
 *
 * The share is taken over the records decided last, not over a time: after a million good records
 * in a fast minute, a table that refuses everything would give up hundreds of thousands before
 * their share is large. Two spans are kept, the current one and the full one before it; a minute
 * also ends a span. Dead letters come in bursts, because records in line wait together: after
 * trouble each subpartition may give up its head at the same moment. So a span has room for several
 * records of each subpartition.
 *
 * Everything is counted by table and shard: a column that is missing in one of ten shards would be
 * only a tenth of the whole table.
 */
#include "engine/guard.h"

#define MINUTE_US (60 * INT64_C(1000000))

enum {
    SPAN_LEAST = 500, /* records */
    SPAN_A_SUBPARTITION = 5,
};

static leat_table_state *table_of(leat_engine *engine, uint32_t queue, uint32_t table)
{
    uint32_t shard = engine->partitions[leat_queue_partition(engine, queue)].shard;
    return &engine->tables[(size_t)shard * engine->config.table_count + table];
}

leat_table_state *leat_guard_table(leat_engine *engine, uint32_t queue)
{
    return table_of(engine, queue, leat_queue_head(engine, queue).table);
}

/* ---- the share ---- */

leat_refused_share leat_guard_share(const leat_table_state *table)
{
    return (leat_refused_share){table->now.given_up + table->before.given_up,
                                table->now.of + table->before.of};
}

static void next_span(const leat_engine *engine, leat_table_state *table)
{
    uint32_t size = SPAN_LEAST +
                    SPAN_A_SUBPARTITION * engine->config.subpartitions * engine->assigned;
    bool old = engine->now_us - table->share_us >= MINUTE_US;
    if (table->now.of < size && !old)
        return;
    /* After a minute without any decision the old ones no longer tell anything about the
     * present. */
    bool idle = engine->now_us - table->share_us >= 2 * MINUTE_US;
    table->before = idle ? (leat_refused_share){0} : table->now;
    table->now = (leat_refused_share){0};
    table->share_us = engine->now_us;
}

void leat_guard_applied(leat_engine *engine, uint32_t queue, uint32_t records,
                        const leat_engine_batch_record *in_batch)
{
    uint32_t at = engine->queues[queue].head;
    leat_table_state *tables = table_of(engine, queue, 0);
    for (uint32_t i = 0; i < records; i++, at = engine->pool.slots[at].next) {
        if (in_batch && (in_batch[i].skip || in_batch[i].keep))
            continue;
        leat_table_state *table = &tables[engine->pool.slots[at].table];
        next_span(engine, table);
        table->now.of++;
        table->applied++;
    }
}

static void reset_share(const leat_engine *engine, leat_table_state *table)
{
    table->minute_us = engine->now_us;
    table->in_minute = 0;
    table->share_us = engine->now_us;
    table->now = (leat_refused_share){0};
    table->before = (leat_refused_share){0};
}

/* With one more given up. */
static bool is_small(const leat_engine *engine, const leat_table_state *table)
{
    leat_refused_share share = leat_guard_share(table);
    return 100 * ((uint64_t)share.given_up + 1) <=
           engine->config.dead_letters_percent * ((uint64_t)share.of + 1);
}

static bool has_room(const leat_engine *engine, leat_table_state *table)
{
    if (table->in_minute == 0 || engine->now_us - table->minute_us >= MINUTE_US) {
        table->minute_us = engine->now_us;
        table->in_minute = 0;
    }
    next_span(engine, table);
    if (engine->config.dead_letters_per_minute == 0)
        return false;
    return table->in_minute < engine->config.dead_letters_per_minute || is_small(engine, table);
}

/* ---- what it comes to ---- */

static void hold(leat_table_state *table, leat_queue *queue)
{
    table->held += !queue->retry.guarded;
    queue->retry.guarded = true;
}

leat_guard_verdict leat_guard_decide(leat_engine *engine, uint32_t queue)
{
    leat_table_state *table = leat_guard_table(engine, queue);
    if (!table->stopped && has_room(engine, table)) {
        leat_guard_release(engine, queue, false);
        table->in_minute++;
        table->now.given_up++;
        table->now.of++;
        return LEAT_GUARD_ALLOW;
    }
    hold(table, &engine->queues[queue]);
    if (table->stopped || engine->config.dead_letters_per_minute == 0)
        return LEAT_GUARD_HOLD;
    table->stopped = true;
    engine->counters.tables_stopped++;
    return LEAT_GUARD_STOP_TABLE;
}

/* It may have been counted in the minute and the span before. */
void leat_guard_retract(leat_engine *engine, uint32_t queue)
{
    const leat_retry *retry = &engine->queues[queue].retry;
    if (!retry->dead || retry->holds)
        return;
    leat_table_state *table = leat_guard_table(engine, queue);
    table->in_minute -= table->in_minute > 0;
    leat_refused_share *share = table->now.given_up > 0 ? &table->now : &table->before;
    if (share->given_up == 0)
        return;
    share->given_up--;
    share->of--;
}

void leat_guard_release(leat_engine *engine, uint32_t queue, bool applied)
{
    leat_retry *retry = &engine->queues[queue].retry;
    if (!retry->guarded)
        return;
    leat_table_state *table = leat_guard_table(engine, queue);
    LEAT_ASSERT(table->held > 0);
    retry->guarded = false;
    table->held--;
    if (applied)
        reset_share(engine, table);
    if (!table->stopped || (!applied && table->held > 0))
        return;
    table->stopped = false;
    LEAT_ASSERT(engine->counters.tables_stopped > 0);
    engine->counters.tables_stopped--;
}
