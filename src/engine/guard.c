/*
 * guard.c - how many records of a table may become dead letters: so many a minute and no more. A table of which more are
 * refused has changed; its data is not bad, and waits.
 */
#include "engine/engine_state.h"

#define MINUTE_US (60 * INT64_C(1000000))

static leat_table *table_of(leat_engine *engine, const leat_queue *queue)
{
    LEAT_ASSERT(queue->count > 0);
    return &engine->tables[engine->pool.slots[queue->head].table];
}

static void hold(leat_table *table, leat_queue *queue)
{
    table->held += !queue->retry.guarded;
    queue->retry.guarded = true;
}

static bool has_room(leat_engine *engine, leat_table *table)
{
    if (table->count == 0 || engine->now_us - table->since_us >= MINUTE_US) {
        table->since_us = engine->now_us;
        table->count = 0;
    }
    return table->count < engine->config.dead_letters_per_minute;
}

leat_guard_word leat_guard_ask(leat_engine *engine, leat_queue *queue)
{
    leat_table *table = table_of(engine, queue);
    if (!table->stopped && has_room(engine, table)) {
        leat_guard_let_go(engine, queue, false);
        table->count++;
        return LEAT_GUARD_GIVES_UP;
    }
    hold(table, queue);
    if (table->stopped || engine->config.dead_letters_per_minute == 0)
        return LEAT_GUARD_HOLDS;
    table->stopped = true;
    engine->counters.tables_stopped++;
    return LEAT_GUARD_STOPS;
}

void leat_guard_take_back(leat_engine *engine, leat_queue *queue)
{
    leat_table *table = table_of(engine, queue);
    table->count -= table->count > 0; /* it may have been counted in the minute before */
}

void leat_guard_let_go(leat_engine *engine, leat_queue *queue, bool applied)
{
    if (!queue->retry.guarded)
        return;
    leat_table *table = table_of(engine, queue);
    LEAT_ASSERT(table->held > 0);
    queue->retry.guarded = false;
    table->held--;
    if (applied)
        table->count = 0;
    if (!table->stopped || (!applied && table->held > 0))
        return;
    table->stopped = false;
    LEAT_ASSERT(engine->counters.tables_stopped > 0);
    engine->counters.tables_stopped--;
}
