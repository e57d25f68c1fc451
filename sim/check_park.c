/*
 * check_park.c - scope, turns: what is parked, when, and how often. Parking is for others: it comes
 * where some get through, in chunks worth a commit, and of what is deep only where that fills the
 * partition and holds others up. It leaves most of a shard's time to them, and so do the first
 * tries after a claim.
 */
#include "check.h"
#include "engine/deep.h"
#include "engine/state.h"
#include "world.h"

enum {
    OTHERS_US = 1000000,
    DEEP_LONGER = 2,         /* so many times as long as others, */
    DEEP_LONGER_US = 250000, /* and so much more, what holds them up has waited */
    LOOK_US = 100000,        /* what was found is as old as that, when it is parked */
    TIME_PART = 4,           /* parks have one part of a shard's time */
    SLACK_US = 2000,         /* deadlines are rounded up to milliseconds */
    TRIES = 10, /* so many first tries are not within such a part of their time, by chance: */
    TRIES_PART = 8,
    DEEP_SHARES = 4,
    DEEP_PERCENT = 75, /* of what the partition may hold, all deep ones together */
};

/* ---- who is held up ---- */

static bool is_deep_run(const leat_engine *engine, uint32_t p, leat_run memory)
{
    const leat_partition *partition = &engine->partitions[p];
    uint64_t active = leat_deep_active(partition);
    return memory.count * active > DEEP_SHARES * (uint64_t)partition->room.records ||
           memory.bytes * active > DEEP_SHARES * partition->room.bytes;
}

/* By those that have more than DEEP_SHARES of what the partition may hold. Where no other waits
 * they may be alone soon, so that is enough. */
static bool are_held_up(const leat_engine *engine, uint32_t p)
{
    int64_t deep_us = 0, others_us = 0;
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        uint32_t id = leat_queue_id(engine, p, i);
        leat_run memory = leat_queue_memory(&engine->queues[id]);
        bool is_deep = is_deep_run(engine, p, memory);
        if (memory.count == 0 ||
            (!is_deep && (engine->marks[id].is_set || engine->queues[id].parked)))
            continue;
        int64_t us = engine->now_us - engine->pool.slots[memory.head].read_us;
        int64_t *longest = is_deep ? &deep_us : &others_us;
        *longest = us > *longest ? us : *longest;
    }
    return others_us == 0 || deep_us > DEEP_LONGER * others_us + DEEP_LONGER_US;
}

/* Else the others do, and what is deep is so by chance. */
static bool do_fill(const leat_engine *engine, uint32_t p)
{
    const leat_partition *partition = &engine->partitions[p];
    uint64_t records = 0, bytes = 0;
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        leat_run memory = leat_queue_memory(&engine->queues[leat_queue_id(engine, p, i)]);
        bool is_deep = is_deep_run(engine, p, memory);
        records += is_deep ? memory.count : 0;
        bytes += is_deep ? memory.bytes : 0;
    }
    return 100 * records >= DEEP_PERCENT * (uint64_t)partition->room.records ||
           100 * bytes >= DEEP_PERCENT * partition->room.bytes;
}

static bool may_be_deep(const leat_engine *engine, uint32_t p)
{
    const leat_partition *partition = &engine->partitions[p];
    if (!partition->paused_for_room || !do_fill(engine, p))
        return false;
    return engine->shards[partition->shard].ready.tenants.ready == 0 || are_held_up(engine, p);
}

/* What the worker finds at the begin of a step is what it was at the end of the one before. */
static void note_held_up(sim_process *process, uint32_t partition_count)
{
    const leat_engine *engine = process->worker->engine;
    for (uint32_t p = 0; p < partition_count; p++) {
        if (process->held_up[p])
            process->held_up_to_us[p] = engine->now_us;
        process->held_up[p] = may_be_deep(engine, p);
    }
}

static bool is_stalled(const leat_engine *engine, uint32_t id)
{
    const leat_queue_mark *mark = &engine->marks[id];
    return mark->is_set && engine->now_us - mark->since_us >= engine->config.park_after_us;
}

/* ---- what is parked ---- */

/* Paused, and most of those that were offered records lately hold none that fail. */
static bool only_few_fail(const leat_engine *engine, uint32_t p)
{
    const leat_partition *partition = &engine->partitions[p];
    uint32_t failing = 0, active = 0;
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        uint32_t id = leat_queue_id(engine, p, i);
        bool fails = engine->marks[id].is_set;
        if (!fails && leat_queue_has_head(&engine->queues[id]))
            return false;
        failing += fails;
        uint32_t span = engine->queues[id].span;
        active += span > 0 && span + 1 >= partition->span;
    }
    return partition->paused_for_room && 2 * failing <= active;
}

static void check_others(sim_world *world, const sim_process *process, uint32_t p)
{
    int64_t now_us = leat_worker_now_us(process->worker);
    if (now_us - process->rows_us[p] > OTHERS_US && !only_few_fail(process->worker->engine, p))
        sim_fail(
            world, "scope",
            "process %u parks records of partition %u, where nothing else was applied for %.3f s",
            process->index, p, (double)(now_us - process->rows_us[p]) / 1e6);
}

static void check_deep(sim_world *world, const sim_process *process, uint32_t p, uint32_t id)
{
    const leat_engine *engine = process->worker->engine;
    if (is_stalled(engine, id))
        return;
    world->sometimes->count[SOMETIMES_PARKED_DEEP]++;
    if (!process->held_up[p] && engine->now_us - process->held_up_to_us[p] > LOOK_US + SLACK_US)
        sim_fail(world, "scope",
                 "process %u parks subpartition %u/%u, which is not stalled, and holds nobody up "
                 "or does not fill the partition",
                 process->index, p, leat_queue_subpartition(engine, id));
}

static void check_tail(sim_world *world, const sim_process *process, uint32_t p, uint32_t id)
{
    const leat_engine *engine = process->worker->engine;
    leat_run tail = leat_queue_memory(&engine->queues[id]);
    uint64_t raw = tail.bytes - tail.count * sizeof(leat_item);
    bool is_whole = tail.count >= engine->chunk_max.records ||
                    tail.bytes >= engine->chunk_max.bytes || raw >= engine->config.chunk_bytes_max;
    int64_t age_us = leat_worker_now_us(process->worker) - engine->pool.slots[tail.head].read_us;
    if (!is_whole && age_us <= engine->config.park_tail_us &&
        !engine->partitions[p].paused_for_room)
        sim_fail(world, "scope", "process %u parks %u new records of partition %u after its chunks",
                 process->index, tail.count, p);
}

/* ---- how often ---- */

static void check_time(sim_world *world, const sim_process *process, uint32_t shard,
                       uint32_t in_flight)
{
    uint32_t slots = process->worker->engine->shards[shard].slots;
    uint32_t most = slots > TIME_PART ? slots / TIME_PART : 1;
    if (in_flight >= most)
        sim_fail(world, "turns",
                 "process %u parks by %u jobs at once in shard %u, by %u connections",
                 process->index, in_flight + 1, shard, slots);
    if (leat_worker_now_us(process->worker) + SLACK_US < process->park_rest_us[shard])
        sim_fail(world, "turns",
                 "process %u parks again in shard %u, of whose time parks have had a quarter",
                 process->index, shard);
}

void sim_check_park(sim_world *world, const sim_process *process, uint32_t shard,
                    const leat_engine_job *job, uint32_t in_flight)
{
    const leat_engine *engine = process->worker->engine;
    uint32_t p = job->batch.parts[0].partition;
    check_time(world, process, shard, in_flight);
    check_others(world, process, p);
    for (uint32_t i = 0; i < job->batch.cut_count; i++) {
        uint32_t id = leat_queue_id(engine, p, job->batch.cuts[i].subpartition);
        if (engine->queues[id].parked)
            check_tail(world, process, p, id);
        else
            check_deep(world, process, p, id);
    }
}

void sim_check_park_done(sim_process *process, uint32_t shard, int64_t sent_us)
{
    int64_t now_us = leat_worker_now_us(process->worker);
    int64_t slots = process->worker->engine->shards[shard].slots;
    if (slots > 0 && slots < TIME_PART)
        process->park_rest_us[shard] = now_us + (now_us - sent_us) * (TIME_PART - slots) / slots;
}

/* ---- the first tries after a claim ---- */

/* All that a claim has found parked waits, each for another time. */
static void check_spread(sim_world *world, const sim_process *process, uint32_t p)
{
    const leat_engine *engine = process->worker->engine;
    int64_t over_us = engine->partitions[p].parked * engine->config.retry_min_us, last_us = 0;
    uint32_t waiting = 0;
    if (over_us > engine->config.retry_max_us)
        over_us = engine->config.retry_max_us;
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        const leat_queue *queue = &engine->queues[leat_queue_id(engine, p, i)];
        if (!queue->parked || leat_narrow_on_trial(&queue->narrow))
            continue;
        waiting++;
        last_us = queue->due_us > last_us ? queue->due_us : last_us;
    }
    if (waiting >= TRIES && last_us - engine->now_us < over_us / TRIES_PART)
        sim_fail(world, "turns",
                 "process %u tries all %u subpartitions with parked records that its claim of "
                 "partition %u has found within %.6f s",
                 process->index, waiting, p, (double)(last_us - engine->now_us) / 1e6);
}

void sim_check_parking(sim_world *world, sim_process *process)
{
    const leat_engine *engine = process->worker->engine;
    uint32_t count = world->broker.partition_count;
    note_held_up(process, count);
    for (uint32_t p = 0; p < count; p++) {
        if (process->is_claimed[p] && engine->partitions[p].state == LEAT_ENGINE_READING)
            check_spread(world, process, p);
        process->is_claimed[p] = false;
    }
}
