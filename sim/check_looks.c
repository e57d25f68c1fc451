/*
 * check_looks.c - looks, turns: what was acknowledged and may be gone is looked at, at once after
 * the loss of a connection, and regularly where a pooler may hide a crash. A compaction that is
 * neither urgent nor late goes after batches.
 */
#include "check.h"
#include "engine/fair.h"
#include "engine/state.h"
#include "world.h"

enum { SLACK_US = 2000 }; /* of deadlines that are rounded up, and of two clocks */

static bool moves(const leat_engine_job *job)
{
    return job->kind == LEAT_ENGINE_JOB_BATCH || job->kind == LEAT_ENGINE_JOB_PARK;
}

static bool is_here(const sim_world *world, const sim_process *process, uint32_t shard, uint32_t p)
{
    return sim_world_shard_of(world, p) == shard &&
           process->worker->engine->partitions[p].state == LEAT_ENGINE_READING;
}

void sim_check_doubted(const sim_world *world, sim_process *process, uint32_t shard)
{
    for (uint32_t p = 0; p < world->broker.partition_count; p++)
        if (is_here(world, process, shard, p) &&
            !process->worker->engine->partitions[p].compact_running)
            process->looks.is_due[p] = true;
}

void sim_check_pooled(sim_process *process, uint32_t shard)
{
    process->looks.is_pooled[shard] = true;
}

/* ---- what is asked ---- */

/* No later than this after the last one, a compaction has its turn, and so late again it goes
 * first. */
static int64_t latest_us(const sim_process *process, uint32_t shard)
{
    const leat_engine_config *config = &process->worker->config.engine;
    return 2 * (process->looks.is_pooled[shard] ? config->look_every_us : config->verify_every_us);
}

/* The last part of what a batch builds on may be gone without a sign. */
static void check_regular(sim_world *world, const sim_process *process, uint32_t shard)
{
    const sim_looks *looks = &process->looks;
    int64_t now_us = leat_worker_now_us(process->worker);
    for (uint32_t p = 0; looks->is_pooled[shard] && p < world->broker.partition_count; p++) {
        const leat_partition *partition = &process->worker->engine->partitions[p];
        if (is_here(world, process, shard, p) && !partition->compact_running &&
            !partition->in_doubt && looks->looked_us[p] > 0 &&
            now_us - looks->looked_us[p] > latest_us(process, shard) + SLACK_US)
            sim_fail(world, "looks",
                     "shard %u has a batch, and behind the pooler nobody has looked at partition "
                     "%u for %.3f s",
                     shard, p, (double)(now_us - looks->looked_us[p]) / 1e6);
    }
}

static void check_urgent(sim_world *world, const sim_process *process, const leat_engine_job *job)
{
    const sim_looks *looks = &process->looks;
    int64_t now_us = leat_worker_now_us(process->worker);
    for (uint32_t i = 0; i < job->batch.part_count; i++) {
        uint32_t at = job->batch.parts[i].partition;
        if (looks->is_due[at] || (looks->look_by_us[at] > 0 && now_us > looks->look_by_us[at]))
            sim_fail(world, "looks", "partition %u has a batch before it is looked at", at);
    }
}

/* Neither is it made for the loss of a connection, nor has it waited for long. */
static void check_turn(sim_world *world, const sim_process *process, uint32_t shard,
                       const leat_engine_compaction *compaction)
{
    const leat_engine *engine = process->worker->engine;
    uint32_t p = compaction->partition;
    int64_t write_us = 2 * engine->config.compact_every_us, look_us = latest_us(process, shard);
    int64_t least_us = write_us < look_us ? write_us : look_us;
    int64_t since_us = leat_worker_now_us(process->worker) - process->looks.looked_us[p];
    if (compaction->is_look || !is_here(world, process, shard, p) ||
        process->looks.looked_us[p] == 0 || since_us + SLACK_US >= least_us)
        return;
    if (leat_fair_lead(&engine->shards[shard]) != LEAT_PAIRING_NONE)
        sim_fail(world, "turns",
                 "process %u compacts partition %u %.3f s after the last time, while a batch could "
                 "run",
                 process->index, p, (double)since_us / 1e6);
}

/* A claim looks at all that there is. A halted shard runs its probe only. */
void sim_check_look(sim_world *world, sim_process *process, uint32_t shard,
                    const leat_engine_job *job)
{
    bool is_halted = process->worker->engine->shards[shard].probe != LEAT_INDEX_NONE;
    if (job->kind == LEAT_ENGINE_JOB_COMPACT || job->kind == LEAT_ENGINE_JOB_CLAIM) {
        uint32_t at = job->kind == LEAT_ENGINE_JOB_COMPACT ? job->compaction.partition
                                                           : job->partition;
        process->looks.is_due[at] = false;
        process->looks.look_by_us[at] = 0;
    }
    if (job->kind == LEAT_ENGINE_JOB_COMPACT && !is_halted)
        check_turn(world, process, shard, &job->compaction);
    if (!moves(job) || is_halted)
        return;
    check_urgent(world, process, job);
    check_regular(world, process, shard);
}

/* ---- what is answered ---- */

/* It has seen nothing; not of a partition that was dropped meanwhile. */
static bool is_to_be_made_again(const leat_engine *engine, const leat_engine_job *job,
                                leat_engine_outcome outcome)
{
    const leat_partition *partition = &engine->partitions[job->partition];
    return job->kind == LEAT_ENGINE_JOB_COMPACT && job->compaction.is_look &&
           outcome != LEAT_ENGINE_APPLIED && outcome != LEAT_ENGINE_FENCED &&
           outcome != LEAT_ENGINE_WENT_BACK && outcome != LEAT_ENGINE_UNKNOWN &&
           partition->incarnation == job->incarnation && partition->state == LEAT_ENGINE_READING;
}

void sim_check_looked(sim_process *process, uint32_t job_id, leat_engine_outcome outcome)
{
    const leat_engine *engine = process->worker->engine;
    const leat_engine_job *job = &engine->jobs[job_id].job;
    int64_t now_us = leat_worker_now_us(process->worker);
    if (job->kind != LEAT_ENGINE_JOB_COMPACT && job->kind != LEAT_ENGINE_JOB_CLAIM)
        return;
    if (job->kind == LEAT_ENGINE_JOB_CLAIM ||
        engine->partitions[job->partition].incarnation == job->incarnation)
        process->looks.looked_us[job->partition] = now_us;
    if (is_to_be_made_again(engine, job, outcome))
        process->looks.look_by_us[job->partition] = now_us + engine->config.retry_max_us;
}
