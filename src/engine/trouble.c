/*
 * trouble.c - which queues have a head that fails, since when and why. It decides nothing: it is
 * for people. A mark stays from the first failure until something of the queue is applied, whether
 * the queue waits meanwhile or is being tried.
 */
#include "engine/trouble.h"

#include <string.h>

#include "engine/park.h"

void leat_trouble_mark(leat_engine *engine, uint32_t queue, int64_t since_us,
                       leat_engine_outcome outcome)
{
    leat_queue_mark *mark = &engine->marks[queue];
    if (!mark->is_set) {
        leat_partition *partition = &engine->partitions[leat_queue_partition(engine, queue)];
        partition->troubled++;
        *mark = (leat_queue_mark){.is_set = true, .since_us = since_us};
        leat_park_plan(engine, partition);
    }
    mark->outcome = outcome;
    mark->attempts += mark->attempts < UINT32_MAX;
}

void leat_trouble_reason(leat_engine *engine, uint32_t queue, const leat_engine_job_result *result)
{
    leat_engine_reason *reason = &engine->reasons[queue];
    if (engine->queues[queue].retry.dead)
        return;
    memcpy(reason->sqlstate, result->sqlstate, sizeof reason->sqlstate);
    memcpy(reason->message, result->message, sizeof reason->message);
}

void leat_trouble_record(leat_engine *engine, uint32_t queue, int64_t since_us,
                         const leat_engine_job_result *result)
{
    leat_trouble_mark(engine, queue, since_us, result->outcome);
    leat_trouble_reason(engine, queue, result);
}

void leat_trouble_clear(leat_engine *engine, uint32_t queue)
{
    leat_queue_mark *mark = &engine->marks[queue];
    if (!mark->is_set)
        return;
    mark->is_set = false;
    leat_partition *partition = &engine->partitions[leat_queue_partition(engine, queue)];
    LEAT_ASSERT(partition->troubled > 0);
    partition->troubled--;
}

/* ---- looking ---- */

static leat_engine_trouble describe(const leat_engine *engine, uint32_t id)
{
    const leat_queue *queue = &engine->queues[id];
    const leat_head_record head = leat_queue_head(engine, id);
    const leat_partition *partition = &engine->partitions[leat_queue_partition(engine, id)];
    int64_t accepted_ms = queue->count > 0 ? engine->pool.slots[queue->head].at_ms
                                           : engine->chunks[id].oldest_ms;
    return (leat_engine_trouble){
        .outcome = engine->marks[id].outcome,
        .sqlstate = engine->reasons[id].sqlstate,
        .message = engine->reasons[id].message,
        .partition = leat_queue_partition(engine, id),
        .subpartition = leat_queue_subpartition(engine, id),
        .offset = head.offset,
        .table = head.table,
        .payload = head.payload,
        .accepted_ms = accepted_ms,
        .since_us = engine->marks[id].since_us,
        .claimed_us = partition->held_us,
        .attempts = engine->marks[id].attempts,
        .count = 1,
        .parked = queue->parked ? engine->chunks[id].records : 0,
        .halts = engine->shards[partition->shard].probe == id,
        .is_guarded = queue->retry.guarded,
        .no_room = engine->marks[id].no_room,
        .held_keys = partition->held.of[leat_queue_subpartition(engine, id)]};
}

static bool is_same_cause(const leat_engine_trouble *a, const leat_engine_trouble *b)
{
    return a->outcome == b->outcome && a->table == b->table && a->no_room == b->no_room &&
           strcmp(a->sqlstate, b->sqlstate) == 0;
}

static void add(leat_engine_trouble *into, const leat_engine_trouble *from)
{
    uint32_t count = into->count + 1;
    uint64_t parked = into->parked + from->parked;
    bool halts = into->halts || from->halts, is_guarded = into->is_guarded || from->is_guarded;
    if (from->since_us < into->since_us)
        *into = *from;
    into->count = count;
    into->parked = parked;
    into->halts = halts;
    into->is_guarded = is_guarded;
}

/* Returns how many there are now. */
static uint32_t put(leat_engine_trouble *ret, uint32_t found, uint32_t max,
                    const leat_engine_trouble *trouble)
{
    uint32_t at = 0;
    while (at < found && !is_same_cause(&ret[at], trouble))
        at++;
    if (at < found)
        add(&ret[at], trouble);
    else if (found < max)
        ret[found++] = *trouble;
    return found;
}

uint32_t leat_engine_troubles(const leat_engine *engine, uint32_t shard, leat_engine_trouble *ret,
                              uint32_t max)
{
    uint32_t found = 0;
    const leat_shard *of = &engine->shards[shard];
    for (uint32_t i = 0; i < of->partition_count; i++) {
        uint32_t first = leat_queue_id(engine, of->partitions[i], 0);
        uint32_t left = engine->partitions[of->partitions[i]].troubled;
        for (uint32_t id = first; left > 0; id++) {
            if (!engine->marks[id].is_set)
                continue;
            left--;
            leat_engine_trouble trouble = describe(engine, id);
            found = put(ret, found, max, &trouble);
        }
    }
    return found;
}
