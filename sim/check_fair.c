/*
 * check_fair.c - fairness, turns, limits: whose records a shard's next batch has, and how many
 * batches it is given. What a batch takes is known here, so nothing that the engine has learned or
 * charged is believed; what it thinks a record costs is taken from it, because its rules are about
 * that.
 */
#include <string.h>

#include "check.h"
#include "engine/fair.h"
#include "record/item.h"
#include "world.h"

enum {
    OTHER_LANES = 4,   /* beside the one of shared batches */
    LEAST_LIMIT = 2,   /* batches at once, where there are as many connections */
    ROOM_US = 2000000, /* what one may be ahead of another, */
    ROOM_BATCHES = 8,  /* and so many of the longest batches: estimates err, many run at once */
};

#define ALIKE       4.0004 /* costs that differ by no more than this are alike, */
#define ALIKE_USUAL 8.0008 /* and those that are no more than so many usual ones */
#define SHORT       1.0001 /* all records of a short batch, of its fixed part */

static double cost_of(const leat_tenants *tenants, const leat_engine_batch_record *record)
{
    leat_slice tenant = leat_item_tenant(record->payload);
    return tenants->at[leat_tenants_find(tenants, tenant.size > 0 ? leat_hash(tenant) : 0)].row_us;
}

static void fair_fail(sim_world *world, const sim_process *process, uint32_t shard,
                      const char *what)
{
    sim_fail(world, "fairness", "process %u, shard %u: %s", process->index, shard, what);
}

/* ---- what is in a batch ---- */

static bool is_head(const leat_engine_batch *batch, uint32_t i)
{
    const leat_engine_batch_record *record = &batch->records[i];
    return i == 0 || record->partition != record[-1].partition ||
           record->subpartition != record[-1].subpartition;
}

static void check_alike(sim_world *world, const sim_process *process, uint32_t shard,
                        const leat_engine_batch *batch)
{
    const leat_tenants *tenants = &process->worker->engine->shards[shard].ready.tenants;
    double usual_us = ALIKE_USUAL * tenants->cost.usual_us;
    double least_us = cost_of(tenants, &batch->records[0]), all_us = 0;
    if (leat_tenants_is_one(tenants))
        return;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        double us = cost_of(tenants, &batch->records[i]);
        all_us += us;
        if (is_head(batch, i) && us < least_us)
            least_us = us;
    }
    if (all_us <= SHORT * tenants->cost.fixed_us)
        return;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        double us = cost_of(tenants, &batch->records[i]);
        if (us > usual_us && us > ALIKE * least_us)
            fair_fail(world, process, shard, "cheap records share a batch with expensive ones");
    }
}

/* Half of the slots are for others. */
static void check_slow(sim_world *world, const sim_process *process, uint32_t shard)
{
    const leat_engine *engine = process->worker->engine;
    uint32_t slots = engine->shards[shard].slots, slow = 0;
    for (uint32_t i = 0; i < engine->config.jobs_max; i++)
        slow += engine->jobs[i].state == LEAT_JOB_RUNNING && engine->jobs[i].job.shard == shard &&
                engine->jobs[i].slow;
    if (slow > (slots >= 2 ? slots / 2 : 1))
        fair_fail(world, process, shard, "slow batches have more than half of the connections");
}

/* A tenant that was to run in a small group has done so now. */
static void check_company(sim_world *world, const sim_process *process, uint32_t shard,
                          const leat_bill *bill)
{
    const leat_tenants *tenants = &process->worker->engine->shards[shard].ready.tenants;
    for (uint32_t i = 0; i < bill->count; i++)
        if (tenants->at[bill->charges[i].at].company != 0)
            fair_fail(world, process, shard, "a tenant goes on to run in a small group");
}

/* ---- who is next ---- */

static uint32_t app_of(const sim_world *world, const leat_engine_batch_record *record)
{
    leat_slice tenant = leat_item_tenant(record->payload);
    uint32_t app = tenant.size == 2 && tenant.data[0] == 'a' ? (uint32_t)(tenant.data[1] - '0')
                                                             : SIM_APPS_MAX;
    return app < world->schema.apps ? app : SIM_APPS_MAX;
}

static bool can_run(const sim_process *process, uint32_t shard, uint32_t app)
{
    char text[] = {'a', (char)('0' + app)};
    const leat_tenants *tenants = &process->worker->engine->shards[shard].ready.tenants;
    uint32_t at = leat_tenants_find(tenants, leat_hash((leat_slice){text, sizeof text}));
    return at != LEAT_TENANT_OTHERS && tenants->at[at].ready > 0;
}

static void note_waiting(const sim_world *world, sim_process *process, uint32_t shard)
{
    sim_service *service = &process->services[shard];
    for (uint32_t app = 0; app < world->schema.apps; app++) {
        bool waits = can_run(process, shard, app);
        if (waits && !service->waits[app])
            memcpy(service->then_us[app], service->shared_us, sizeof service->shared_us);
        service->waits[app] = waits;
    }
}

static void note_records(const sim_world *world, const leat_engine_batch *batch, sim_served *ret)
{
    for (uint32_t i = 0; i < batch->record_count; i++) {
        uint32_t app = app_of(world, &batch->records[i]);
        if (app < SIM_APPS_MAX)
            ret->parts[app] += sim_row_us(world, app) > 0 ? (double)sim_row_us(world, app) : 1;
    }
}

/* As many batches of others come between two shared ones as there are kinds of them. */
void sim_check_turn(sim_world *world, sim_process *process, const leat_engine_job *job)
{
    sim_service *service = &process->services[job->shard];
    const leat_shard *at = &process->worker->engine->shards[job->shard];
    bool is_passed = !process->worker->engine->jobs[job->id].shared &&
                     at->probe == LEAT_INDEX_NONE && leat_fair_lead(at) != LEAT_PAIRING_NONE;
    service->passed = is_passed ? service->passed + 1 : 0;
    if (service->passed > OTHER_LANES)
        sim_fail(world, "turns",
                 "process %u, shard %u: %u batches of subpartitions that must be alone in a row, "
                 "while others could run",
                 process->index, job->shard, service->passed);
}

/* The one that is expensive is not protected from others: half of the connections are kept from
 * it. */
static void check_served(sim_world *world, const sim_process *process, uint32_t shard)
{
    const sim_service *service = &process->services[shard];
    double room_us = ROOM_US + ROOM_BATCHES * (double)service->longest_us;
    for (uint32_t app = 0; app < world->schema.apps; app++)
        for (uint32_t other = 0; other < world->schema.apps; other++) {
            double us = service->shared_us[other] - service->then_us[app][other];
            if (service->waits[app] && sim_row_us(world, app) == 0 && other != app &&
                us > service->served_us[app] + room_us)
                sim_fail(world, "fairness",
                         "process %u, shard %u: tenant a%u waits, was served %.3f s ever, and a%u "
                         "was served %.3f s since",
                         process->index, shard, app, service->served_us[app] / 1e6, other,
                         us / 1e6);
        }
}

/* ---- how many batches ---- */

static void check_limit(sim_world *world, const sim_process *process, uint32_t shard)
{
    const leat_shard *at = &process->worker->engine->shards[shard];
    uint32_t limit = leat_concurrency_limit(&at->fair.concurrency, at->slots);
    world->sometimes->count[SOMETIMES_LIMITED] += limit < at->slots;
    if (limit < LEAST_LIMIT && limit < at->slots)
        sim_fail(world, "limits", "process %u gives shard %u at most %u batches at once",
                 process->index, shard, limit);
}

/* Of the connections that all may have it takes its part by the partitions that it owns, and at
 * least one. */
void sim_check_allowed(sim_world *world, const sim_process *process, uint32_t shard,
                       uint32_t connections)
{
    uint64_t total = (uint64_t)world->options.values[OPT_CONNECTIONS_TOTAL];
    uint32_t owned = 0, count = 0;
    for (uint32_t p = 0; p < world->broker.partition_count; p++) {
        bool is_here = sim_world_shard_of(world, p) == shard;
        count += is_here;
        owned += is_here && process->reader && sim_reader_holds(process->reader, p, true);
    }
    uint64_t part = total * owned / count;
    world->sometimes->count[SOMETIMES_SHARED_OUT] += owned > 0 && part < total;
    if (total == 0 || connections > (part > 1 ? part : 1))
        sim_fail(world, "limits",
                 "process %u may have %u connections to shard %u, where it owns %u of %u "
                 "partitions and all together may have %llu",
                 process->index, connections, shard, owned, count, (unsigned long long)total);
}

bool sim_check_is_sample(const leat_engine_job *job)
{
    return job->kind == LEAT_ENGINE_JOB_BATCH && job->batch.record_count > 1 &&
           job->batch.chunk_count == 0 && job->batch.retry_key == 0;
}

void sim_check_sampled(sim_world *world, const sim_process *process, uint32_t shard,
                       const leat_concurrency *before, bool may_be)
{
    const leat_concurrency *after = &process->worker->engine->shards[shard].fair.concurrency;
    if (!may_be && (before->samples != after->samples || before->limit != after->limit ||
                    before->window.next != after->window.next))
        sim_fail(world, "limits",
                 "process %u goes by a batch that says nothing about how much shard %u can do",
                 process->index, shard);
}

/* ---- jobs ---- */

void sim_check_fair_sent(sim_world *world, sim_process *process, uint32_t shard,
                         const leat_engine_job *job, sim_served *ret)
{
    const leat_job_slot *slot = &process->worker->engine->jobs[job->id];
    *ret = (sim_served){.sent_us = leat_worker_now_us(process->worker), .shared = slot->shared};
    check_limit(world, process, shard);
    if (job->kind != LEAT_ENGINE_JOB_BATCH)
        return;
    note_records(world, &job->batch, ret);
    note_waiting(world, process, shard);
    if (job->batch.retry_key == 0)
        sim_check_turn(world, process, job);
    if (!slot->shared)
        return;
    sim_check_wait(world, process, shard, &job->batch);
    check_alike(world, process, shard, &job->batch);
    check_company(world, process, shard, &slot->bill);
    if (slot->slow)
        check_slow(world, process, shard);
    world->sometimes->count[SOMETIMES_SLOW_BATCH] += slot->slow;
    world->sometimes->count[SOMETIMES_TENANT_ALONE] += slot->alone;
}

void sim_check_fair_done(sim_world *world, sim_process *process, uint32_t shard,
                         const sim_served *served)
{
    sim_service *service = &process->services[shard];
    int64_t took_us = leat_worker_now_us(process->worker) - served->sent_us;
    double sum = 0;
    for (uint32_t app = 0; app < SIM_APPS_MAX; app++)
        sum += served->parts[app];
    if (sum == 0)
        return;
    service->longest_us = took_us > service->longest_us ? took_us : service->longest_us;
    for (uint32_t app = 0; app < SIM_APPS_MAX; app++) {
        service->served_us[app] += served->parts[app] > 0 ? (double)took_us : 0;
        if (served->shared)
            service->shared_us[app] += (double)took_us * served->parts[app] / sum;
    }
    check_served(world, process, shard);
}
