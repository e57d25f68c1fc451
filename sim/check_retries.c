/*
 * check_retries.c - retries: what is kept of held keys is tried again by its owner beside records
 * that nothing is wrong with. So a shard has one such job at a time, these have a quarter of its
 * time, and a key whose records have ended two sessions is left to people.
 */
#include <string.h>

#include "check.h"
#include "engine/state.h"
#include "world.h"

enum {
    TIME_PART = 4,   /* they have one part of a shard's time */
    SLACK_US = 2000, /* deadlines are rounded up to milliseconds */
    ENDED_MAX = 2,   /* sessions, by one key */
};

static sim_retried *find(sim_process *process, uint32_t partition, uint64_t key)
{
    for (uint32_t i = 0; i < SIM_RETRIED_MAX; i++) {
        sim_retried *retried = &process->retries.ended[i];
        if (retried->key == key && retried->partition == partition)
            return retried;
    }
    return NULL;
}

void sim_check_retry(sim_world *world, sim_process *process, uint32_t shard, const sim_retry *retry,
                     uint32_t in_flight)
{
    const sim_retried *retried = find(process, retry->partition, retry->key);
    if (in_flight > 0)
        sim_fail(world, "retries", "process %u has %u retries of held keys at once in shard %u",
                 process->index, in_flight + 1, shard);
    if (leat_worker_now_us(process->worker) + SLACK_US < process->retries.rest_us[shard])
        sim_fail(world, "retries",
                 "process %u tries a held key again in shard %u, of whose time retries have had a "
                 "quarter",
                 process->index, shard);
    if (retry->is_written && retried && retried->sessions >= ENDED_MAX)
        sim_fail(world, "retries",
                 "process %u tries a held key of partition %u again, which has ended %u sessions",
                 process->index, retry->partition, retried->sessions);
}

static void note_ended(sim_process *process, const sim_retry *retry)
{
    sim_retried *retried = find(process, retry->partition, retry->key);
    retried = retried ? retried : find(process, 0, 0);
    if (!retried)
        return; /* so many at once are not followed */
    retried->partition = retry->partition;
    retried->key = retry->key;
    retried->sessions++;
}

static bool is_stale(const sim_process *process, const sim_retry *retry)
{
    return memcmp(&retry->claim, &process->claims[retry->partition], sizeof retry->claim) != 0;
}

void sim_check_retry_done(sim_process *process, uint32_t shard, const sim_retry *retry,
                          int64_t sent_us, leat_engine_outcome outcome)
{
    int64_t now_us = leat_worker_now_us(process->worker);
    int64_t slots = process->worker->engine->shards[shard].slots;
    sim_retried *retried = find(process, retry->partition, retry->key);
    if (slots > 0 && slots < TIME_PART)
        process->retries.rest_us[shard] = now_us + (now_us - sent_us) * (TIME_PART - slots) / slots;
    if (retry->is_batch && outcome == LEAT_ENGINE_APPLIED && retried)
        *retried = (sim_retried){0};
    if (retry->is_written && outcome == LEAT_ENGINE_UNKNOWN && !is_stale(process, retry))
        note_ended(process, retry);
}

void sim_check_retries_claimed(sim_process *process, uint32_t partition,
                               const leat_engine_held *held, uint32_t count)
{
    for (uint32_t i = 0; i < SIM_RETRIED_MAX; i++) {
        sim_retried *retried = &process->retries.ended[i];
        bool is_held = false;
        for (uint32_t k = 0; k < count; k++)
            is_held = is_held || held[k].key == retried->key;
        if (retried->partition == partition && !is_held)
            *retried = (sim_retried){0};
    }
}

void sim_check_assigned(sim_process *process, uint32_t partition)
{
    sim_check_retries_claimed(process, partition, NULL, 0);
}
