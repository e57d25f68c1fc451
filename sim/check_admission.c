/*
 * check_admission.c - admission: who is answered 429. Whose records are read and parked is counted
 * here by tenant; how long what waits will take is the worker's figure, because the rule is about
 * that. What the edge knows, it goes by, at each request.
 */
#include "check.h"
#include "floods.h"
#include "world.h"

enum {
    LATE_MEASURES = 3,
    FADED = 2, /* bytes that halving several numbers, and not their sum, makes of difference */
};

/* ---- what is counted ---- */

static void hear(const sim_world *world, sim_process *process, sim_loud why,
                 const sim_record *record)
{
    uint32_t shard = sim_world_shard_of(world, record->record.partition);
    sim_heard *heard = &process->heard[why][shard];
    uint64_t bytes = record->record.key.size + record->record.value.size;
    heard->has_grown = true;
    heard->bytes += bytes;
    if (record->row < 0)
        heard->unclear += bytes;
    else
        heard->of[sim_schema_app(&world->schema, (uint32_t)record->row)] += bytes;
}

void sim_check_read(const sim_world *world, sim_process *process, const sim_record *record)
{
    hear(world, process, LOUD_LATE, record);
}

void sim_check_parks(const sim_world *world, sim_process *process, const leat_engine_batch *batch)
{
    for (uint32_t i = 0; i < batch->record_count; i++)
        hear(world, process, LOUD_PARKED,
             sim_broker_read(&world->broker, batch->records[i].payload));
}

static void fade(sim_heard *heard)
{
    if (!heard->has_grown)
        return;
    heard->has_grown = false;
    heard->bytes /= 2;
    heard->unclear /= 2;
    for (uint32_t app = 0; app < SIM_APPS_MAX; app++)
        heard->of[app] /= 2;
}

static void measure(const leat_late *late, int64_t limit_ms, sim_lateness *own)
{
    own->estimate_ms = late->backlog == 0 ? 0
                       : late->per_s > 0  ? (int64_t)((double)late->backlog * 1000 / late->per_s)
                                          : -1;
    own->above = own->estimate_ms > limit_ms ? own->above + 1 : 0;
    if (own->above >= LATE_MEASURES)
        own->is_late = true;
    else if (2 * own->estimate_ms <= limit_ms)
        own->is_late = false;
}

void sim_check_measured(const sim_world *world, sim_process *process, bool is_measured,
                        bool is_faded)
{
    const leat_worker *worker = process->worker;
    for (uint32_t shard = 0; shard < worker->shard_count; shard++) {
        if (is_measured)
            measure(&worker->shards[shard].late, world->options.values[OPT_LAG_LIMIT_MS],
                    &process->lateness[shard]);
        for (sim_loud why = 0; is_faded && why < LOUD_COUNT; why++)
            fade(&process->heard[why][shard]);
    }
}

/* ---- what a worker says ---- */

static bool is_half_full(const sim_world *world, const sim_process *process, uint32_t shard,
                         uint64_t *ret_records)
{
    bool half = false;
    *ret_records = 0;
    for (uint32_t p = 0; p < world->broker.partition_count; p++) {
        leat_engine_partition_view view;
        if (sim_world_shard_of(world, p) != shard)
            continue;
        leat_engine_partition(process->worker->engine, p, &view);
        if (view.state == LEAT_ENGINE_UNASSIGNED)
            continue;
        *ret_records += view.parked_records;
        half = half || (view.parked_records > 0 && view.parked_max_bytes > 0 &&
                        view.parked_bytes >= view.parked_max_bytes / 2);
    }
    return half;
}

static void check_parked(sim_world *world, sim_process *process, uint32_t shard,
                         const sim_said *said)
{
    sim_heard *heard = &process->heard[LOUD_PARKED][shard];
    uint64_t records;
    bool half = is_half_full(world, process, shard, &records);
    if (records == 0)
        *heard = (sim_heard){0};
    for (uint32_t app = 0; app < world->schema.apps; app++) {
        bool is_loud = heard->of[app] + heard->unclear + FADED > heard->bytes / 4;
        if (said->wait_s[LOUD_PARKED][app] > 0 && (!half || !is_loud))
            sim_fail(world, "admission",
                     "process %u, shard %u: a%u is refused for what is parked, and %s",
                     process->index, shard, app,
                     half ? "most of that is others'" : "there is room");
        if (said->wait_s[LOUD_PARKED][app] == 0 && half && heard->of[app] > heard->bytes / 4)
            sim_fail(
                world, "admission",
                "process %u, shard %u is full of what is parked: a%u is not refused, with %llu "
                "bytes of %llu",
                process->index, shard, app, (unsigned long long)heard->of[app],
                (unsigned long long)heard->bytes);
    }
}

static void check_late(sim_world *world, sim_process *process, uint32_t shard, const sim_said *said)
{
    const sim_heard *heard = &process->heard[LOUD_LATE][shard];
    sim_lateness *own = &process->lateness[shard];
    bool is_twice = own->estimate_ms > 2 * world->options.values[OPT_LAG_LIMIT_MS];
    for (uint32_t app = 0; app < world->schema.apps; app++) {
        bool is_told = said->wait_s[LOUD_LATE][app] > 0;
        uint64_t parts = (is_twice ? 8u : 4u) * (own->was_told[app] ? 2u : 1u);
        uint64_t least = heard->bytes / parts;
        if (is_told && !own->is_late)
            sim_fail(world, "admission",
                     "process %u, shard %u is not late, what waits takes %lld ms: a%u is refused",
                     process->index, shard, (long long)own->estimate_ms, app);
        if (is_told && heard->of[app] + heard->unclear + FADED <= least)
            sim_fail(world, "admission",
                     "process %u, shard %u is late: a%u is refused, with %llu bytes of %llu",
                     process->index, shard, app, (unsigned long long)heard->of[app],
                     (unsigned long long)heard->bytes);
        if (!is_told && own->is_late && heard->of[app] > least)
            sim_fail(world, "admission",
                     "process %u, shard %u is late: a%u is not refused, with %llu bytes of %llu",
                     process->index, shard, app, (unsigned long long)heard->of[app],
                     (unsigned long long)heard->bytes);
        own->was_told[app] = is_told;
    }
}

void sim_check_said(sim_world *world, sim_process *process, uint32_t shard, const sim_said *said)
{
    check_parked(world, process, shard, said);
    check_late(world, process, shard, said);
}

/* ---- what the edge does ---- */

void sim_check_admitted(sim_world *world, const sim_request *request, const sim_refusal *told)
{
    bool is_refused = request->status == 429;
    if (is_refused && !told)
        sim_fail(world, "admission", "request %u (%s) is answered 429, and its tenant is not loud",
                 request->index, request->path);
    if (told && (request->status == 0 || request->status == 202))
        sim_fail(world, "admission", "request %u (%s) is taken, and its tenant is loud",
                 request->index, request->path);
    if (is_refused)
        world->sometimes
            ->count[told->why == LOUD_LATE ? SOMETIMES_REFUSED_LATE : SOMETIMES_REFUSED_PARKED]++;
}
