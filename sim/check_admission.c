/*
 * check_admission.c - admission: who is answered 429. Whose records are read is counted here by
 * tenant; how long what waits will take is the worker's figure, because the rule is about that.
 * Whose records are parked is looked up in the database, and so is which of them were parked before
 * the claim: those the worker knows by number only. What the edge knows, it goes by, at each
 * request.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "engine/state.h"
#include "floods.h"
#include "record/chunk.h"
#include "world.h"

enum {
    LATE_MEASURES = 3,
    FOUND_PARTS = 16, /* by so much what a claim has found may be taken for larger, or smaller */
};

/* ---- what is read ---- */

static uint64_t bytes_of(const leat_record *record)
{
    return record->key.size + record->value.size;
}

void sim_check_read(const sim_world *world, sim_process *process, const sim_record *record)
{
    sim_heard *heard = &process->heard[sim_world_shard_of(world, record->record.partition)];
    double bytes = (double)bytes_of(&record->record);
    heard->has_grown = true;
    heard->bytes += bytes;
    if (record->row < 0)
        heard->unclear += bytes;
    else
        heard->of[sim_schema_app(&world->schema, (uint32_t)record->row)] += bytes;
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
        if (is_faded)
            fade(&process->heard[shard]);
    }
}

static bool is_half_full(const sim_world *world, const sim_process *process, uint32_t shard)
{
    bool half = false;
    for (uint32_t p = 0; p < world->broker.partition_count; p++) {
        leat_engine_partition_view view;
        if (sim_world_shard_of(world, p) != shard)
            continue;
        leat_engine_partition(process->worker->engine, p, &view);
        if (view.state == LEAT_ENGINE_UNASSIGNED)
            continue;
        half = half || (view.parked_records > 0 && view.parked_max_bytes > 0 &&
                        view.parked_bytes >= view.parked_max_bytes / 2);
    }
    return half;
}

/* ---- what is parked ---- */

/* What a database has parked of the partitions of a process, by tenant, in bytes. */
typedef struct parked_sum {
    double of[SIM_APPS_MAX]; /* parked under its claims, as are the next two */
    double unclear;          /* of records whose tenant the simulator does not know */
    double bytes;            /* all together */
    double found;            /* before these claims */
} parked_sum;

/* Of one subpartition. They come at its end and go at its begin, so this tells which they are. */
typedef struct parked_range {
    uint64_t records;
    int64_t last_offset;
} parked_range;

static void widen(parked_range *range, const sim_chunk *chunk)
{
    if (range->records == 0 || chunk->last_offset > range->last_offset)
        range->last_offset = chunk->last_offset;
    range->records += chunk->records;
}

static bool is_of_claim(const leat_engine_claim *one, const leat_engine_claim *other)
{
    return memcmp(one->token, other->token, sizeof one->token) == 0;
}

/* Is what the worker knows to be parked in the partition what is parked there? An answer may be
 * under way, or the claim be another's. */
static bool knows_parked(const leat_engine *engine, uint32_t p, const sim_partition_state *there)
{
    parked_range ranges[LEAT_SUBPARTITIONS_MAX] = {0};
    for (uint32_t i = 0; i < there->chunk_count; i++)
        widen(&ranges[there->chunks[i].subpartition], &there->chunks[i]);
    for (uint32_t i = 0; i < engine->config.subpartitions; i++) {
        uint32_t id = leat_queue_id(engine, p, i);
        const leat_chunks *own = &engine->chunks[id];
        uint64_t records = engine->queues[id].parked ? own->records : 0;
        if (records != ranges[i].records ||
            (records > 0 && own->last_offset != ranges[i].last_offset))
            return false;
    }
    return is_of_claim(&engine->partitions[p].progress.claim, &there->claim);
}

static void add_record(const sim_world *world, const leat_record *record, bool is_found,
                       parked_sum *sum)
{
    const leat_item item = {.record = *record};
    const sim_record *read = sim_broker_read(&world->broker, &item);
    double bytes = (double)bytes_of(record);
    if (is_found) {
        sum->found += bytes;
        return;
    }
    sum->bytes += bytes;
    if (read->row < 0)
        sum->unclear += bytes;
    else
        sum->of[sim_schema_app(&world->schema, (uint32_t)read->row)] += bytes;
}

static void add_chunk(const sim_world *world, const sim_chunk *chunk, bool is_found,
                      parked_sum *sum)
{
    leat_chunk_reader from;
    leat_record record;
    leat_slice headers;
    leat_error error;
    int opened =
        leat_chunk_open(LEAT_CHUNK_FORMAT, (leat_slice){chunk->bytes, chunk->size}, &from, &error);
    LEAT_ASSERT(opened == 0);
    while (leat_chunk_next(&from, &record, &headers, &error) > 0) {
        record.partition = chunk->partition;
        if (record.offset > chunk->done)
            add_record(world, &record, is_found, sum);
    }
    free(from.raw);
}

/* False: the worker does not know yet what is parked. */
static bool sum_parked(const sim_world *world, const sim_process *process, uint32_t shard,
                       parked_sum *ret)
{
    const sim_state *state = sim_server_view_of(world->shards[shard].primary).state;
    *ret = (parked_sum){0};
    for (uint32_t p = 0; p < world->broker.partition_count; p++) {
        const sim_partition_state *there = &state->partitions[p];
        leat_engine_partition_view view;
        leat_engine_partition(process->worker->engine, p, &view);
        if (sim_world_shard_of(world, p) != shard || view.parked_records == 0)
            continue;
        if (!knows_parked(process->worker->engine, p, there))
            return false;
        for (uint32_t i = 0; i < there->chunk_count; i++)
            add_chunk(world, &there->chunks[i],
                      !is_of_claim(&there->chunks[i].claim, &there->claim), ret);
    }
    return true;
}

static void check_loud(sim_world *world, const sim_process *process, uint32_t shard,
                       const parked_sum *sum, uint32_t app, bool is_told)
{
    double least = (sum->bytes + sum->found / FOUND_PARTS) / 4,
           most = (sum->bytes + sum->found * FOUND_PARTS) / 4, own = sum->of[app];
    if (is_told ? own + sum->unclear <= least : own > most)
        sim_fail(world, "admission",
                 "process %u, shard %u is full of what is parked: a%u is %s, with %.0f bytes of "
                 "%.0f, beside %.0f that were there before",
                 process->index, shard, app, is_told ? "refused" : "not refused", own, sum->bytes,
                 sum->found);
}

static void check_parked(sim_world *world, sim_process *process, uint32_t shard,
                         const sim_said *said)
{
    parked_sum sum;
    bool half = is_half_full(world, process, shard);
    for (uint32_t app = 0; app < world->schema.apps && !half; app++)
        if (said->wait_s[LOUD_PARKED][app] > 0)
            sim_fail(world, "admission",
                     "process %u, shard %u: a%u is refused for what is parked, and there is room",
                     process->index, shard, app);
    if (!half || !sum_parked(world, process, shard, &sum))
        return;
    for (uint32_t app = 0; app < world->schema.apps; app++)
        check_loud(world, process, shard, &sum, app, said->wait_s[LOUD_PARKED][app] > 0);
}

/* The worker's own sum: it is as of its last metrics. */
static void check_kept(sim_world *world, const sim_process *process, uint32_t shard,
                       const sim_said *said)
{
    const leat_held_sum *sum = &process->worker->shards[shard].held.sum;
    for (uint32_t app = 0; app < world->schema.apps; app++)
        if (said->wait_s[LOUD_KEPT][app] > 0 && sum->half == 0)
            sim_fail(world, "admission",
                     "process %u, shard %u: a%u is refused for what is kept, and there is room",
                     process->index, shard, app);
}

/* ---- what a worker says ---- */

static void check_late(sim_world *world, sim_process *process, uint32_t shard, const sim_said *said)
{
    const sim_heard *heard = &process->heard[shard];
    sim_lateness *own = &process->lateness[shard];
    bool is_twice = own->estimate_ms > 2 * world->options.values[OPT_LAG_LIMIT_MS];
    for (uint32_t app = 0; app < world->schema.apps; app++) {
        bool is_told = said->wait_s[LOUD_LATE][app] > 0;
        double least = heard->bytes / ((is_twice ? 8 : 4) * (own->was_told[app] ? 2 : 1));
        if (is_told && !own->is_late)
            sim_fail(world, "admission",
                     "process %u, shard %u is not late, what waits takes %lld ms: a%u is refused",
                     process->index, shard, (long long)own->estimate_ms, app);
        if (is_told && heard->of[app] + heard->unclear <= least)
            sim_fail(world, "admission",
                     "process %u, shard %u is late: a%u is refused, with %.0f bytes of %.0f",
                     process->index, shard, app, heard->of[app], heard->bytes);
        if (!is_told && own->is_late && heard->of[app] > least)
            sim_fail(world, "admission",
                     "process %u, shard %u is late: a%u is not refused, with %.0f bytes of %.0f",
                     process->index, shard, app, heard->of[app], heard->bytes);
        own->was_told[app] = is_told;
    }
}

void sim_check_said(sim_world *world, sim_process *process, uint32_t shard, const sim_said *said)
{
    check_parked(world, process, shard, said);
    check_kept(world, process, shard, said);
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
