/*
 * check_locks.c - locks: a row that another session holds delays its own subpartition only. A
 * process is judged by what it was told: what it sends after a wait in vain, and how much at once.
 */
#include "check.h"
#include "engine/state.h"
#include "world.h"

enum {
    LANE_PART = 4,    /* those that wait for locked rows have one part of a shard's time */
    SHORT_US = 50000, /* all that others' short transactions need; */
    LONG_FACTOR = 4,  /* a wait of so many batches is long */
    SLACK_US = 1000,  /* times are rounded up to milliseconds */
};

/* What a process knows of a subpartition since something of it was applied. */
enum {
    MET = 1,   /* a batch that it was in has waited for a row in vain */
    FOUND = 2, /* it was alone in that batch */
    LOST = 4,  /* a session of it has ended: until all that was in that batch is applied, when it is
                  tried again is not the lane's business */
    FLIES = 8, /* a batch of it alone is in flight, and it was FOUND and not LOST */
};

static uint32_t subpartitions_of(const leat_engine_batch_part *parts, uint32_t part_count)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < part_count; i++)
        count += parts[i].count;
    return count;
}

static uint32_t flying(const sim_world *world, const sim_process *process, uint32_t shard)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p < world->broker.partition_count; p++)
        for (uint32_t i = 0; i < LEAT_SUBPARTITIONS_MAX && sim_world_shard_of(world, p) == shard;
             i++)
            count += (process->lock_marks[p][i] & FLIES) != 0;
    return count;
}

static void check_alone(sim_world *world, sim_process *process, uint32_t shard,
                        const leat_engine_batch_part *part, uint32_t connections)
{
    uint8_t *mark = &process->lock_marks[part->partition][part->subpartitions[0]];
    if ((*mark & (FOUND | LOST)) != FOUND)
        return;
    *mark |= FLIES;
    if (leat_worker_now_us(process->worker) + SLACK_US < process->lane_rest_us[shard])
        sim_fail(
            world, "locks",
            "process %u: subpartition %u/%d with a locked row takes shard %u more than a quarter "
            "of the time",
            process->index, part->partition, part->subpartitions[0], shard);
    uint32_t count = flying(world, process, shard);
    world->sometimes->count[SOMETIMES_BLOCKED_BESIDE] += count > 1;
    if (count > 1 && count >= connections)
        sim_fail(world, "locks",
                 "process %u: all %u connections to shard %u try subpartitions with a locked row",
                 process->index, connections, shard);
}

void sim_check_batch_sent(sim_world *world, sim_process *process, uint32_t shard,
                          const leat_engine_batch_part *parts, uint32_t part_count,
                          uint32_t connections)
{
    if (subpartitions_of(parts, part_count) == 1) {
        check_alone(world, process, shard, &parts[0], connections);
        return;
    }
    for (uint32_t i = 0; i < part_count; i++)
        for (uint32_t k = 0; k < parts[i].count; k++)
            if (process->lock_marks[parts[i].partition][parts[i].subpartitions[k]] & MET)
                sim_fail(world, "locks",
                         "process %u: subpartition %u/%d, which a locked row may be of, shares a "
                         "batch",
                         process->index, parts[i].partition, parts[i].subpartitions[k]);
}

void sim_check_wait(sim_world *world, const sim_process *process, uint32_t shard,
                    const leat_engine_batch *batch)
{
    int64_t long_us = LONG_FACTOR * process->services[shard].longest_us;
    long_us = long_us > SHORT_US ? long_us : SHORT_US;
    if (1000 * batch->lock_timeout_ms > long_us + SLACK_US)
        sim_fail(world, "locks",
                 "process %u: a batch that several subpartitions share waits %lld ms for a row in "
                 "shard %u, where the longest one has taken %.3f ms",
                 process->index, (long long)batch->lock_timeout_ms, shard,
                 (double)process->services[shard].longest_us / 1e3);
}

/* It has waited for its row again, in vain. */
static void let_rest(sim_process *process, uint32_t shard, int64_t sent_us)
{
    int64_t now_us = leat_worker_now_us(process->worker);
    int64_t slots = process->worker->engine->shards[shard].slots;
    if (slots == 0 || slots >= LANE_PART)
        return;
    int64_t rest_us = now_us + (now_us - sent_us) * (LANE_PART - slots) / slots;
    if (rest_us > process->lane_rest_us[shard])
        process->lane_rest_us[shard] = rest_us;
}

static bool is_vain(const leat_engine_job_result *result)
{
    return result->outcome == LEAT_ENGINE_CONTENTION && result->is_lock_wait && result->from_rows;
}

/* A claim was made since: it says nothing about a lock. */
static uint8_t stale_mark(uint8_t mark, const leat_engine_job_result *result)
{
    mark &= (uint8_t)~FLIES;
    return result->outcome == LEAT_ENGINE_UNKNOWN ? mark | LOST : mark;
}

static uint8_t next_mark(uint8_t mark, const leat_engine_job_result *result, bool is_alone,
                         bool passes)
{
    mark &= (uint8_t)~FLIES;
    if (result->outcome == LEAT_ENGINE_UNKNOWN)
        return mark | LOST;
    if (result->outcome != LEAT_ENGINE_CONTENTION)
        return passes ? 0 : mark & LOST;
    if (!is_vain(result))
        return mark;
    return mark | MET | (is_alone ? FOUND : 0);
}

void sim_check_batch_done(sim_process *process, uint32_t shard, const leat_engine_batch_part *parts,
                          uint32_t part_count, int64_t sent_us,
                          const leat_engine_job_result *result)
{
    bool is_alone = subpartitions_of(parts, part_count) == 1;
    for (uint32_t i = 0; i < part_count; i++) {
        bool is_stale = memcmp(&parts[i].claim, &process->claims[parts[i].partition],
                               sizeof parts[i].claim) != 0;
        for (uint32_t k = 0; k < parts[i].count; k++) {
            uint8_t *mark = &process->lock_marks[parts[i].partition][parts[i].subpartitions[k]];
            int64_t *lost_to = &process->lost_to[parts[i].partition][parts[i].subpartitions[k]];
            if (result->outcome == LEAT_ENGINE_UNKNOWN && parts[i].offsets[k] > *lost_to)
                *lost_to = parts[i].offsets[k];
            if ((*mark & FLIES) && !is_stale && is_vain(result))
                let_rest(process, shard, sent_us);
            bool passes = result->outcome == LEAT_ENGINE_APPLIED && parts[i].offsets[k] >= *lost_to;
            *mark = is_stale ? stale_mark(*mark, result)
                             : next_mark(*mark, result, is_alone, passes);
        }
    }
}

void sim_check_claim_done(sim_process *process, uint32_t partition,
                          const leat_engine_progress *progress)
{
    process->claims[partition] = progress->claim;
    process->is_claimed[partition] = true;
    for (uint32_t i = 0; i < LEAT_SUBPARTITIONS_MAX; i++)
        process->lock_marks[partition][i] &= FLIES | LOST;
}
