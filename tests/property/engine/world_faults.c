/*
 * world_faults.c - events of the world: reading, working, and all faults.
 */
#include <stdlib.h>

#include "engine/state.h"
#include "world.h"

static world_worker *worker_at(test_world *world, uint32_t worker)
{
    return &world->workers[worker];
}

/* ---- the log ---- */

/* The offsets before the next record hold none. */
static void read_to(test_world *world, uint32_t worker, uint32_t partition)
{
    const log_partition *log = &world->log[partition];
    uint32_t next = worker_at(world, worker)->readers[partition].next;
    int64_t position = next < log->count ? log->records[next].offset
                                         : log->records[log->count - 1].offset + 3;
    leat_engine_read_to(worker_at(world, worker)->engine, world->now_us, partition, position);
}

leat_engine_record world_record(const log_record *from, uint32_t partition)
{
    int64_t *payload = malloc(sizeof *payload);
    *payload = from->offset;
    return (leat_engine_record){.partition = partition,
                                .offset = from->offset,
                                .accepted_ms = from->at_ms,
                                .epoch = 3,
                                .subpartition = from->subpartition,
                                .table = from->table,
                                .bytes = from->bytes,
                                .key = from->key,
                                .on_refused = from->on_refused,
                                .payload = payload};
}

static void offer(test_world *world, uint32_t worker, uint32_t partition)
{
    world_worker *w = worker_at(world, worker);
    world_reader *reader = &w->readers[partition];
    if (!reader->sought || reader->paused || reader->next >= world->log[partition].readable)
        return;
    const log_record *from = &world->log[partition].records[reader->next];
    leat_engine_record record = world_record(from, partition);
    leat_engine_taken taken = leat_engine_record_read(w->engine, world->now_us, &record);
    LEAT_ASSERT(taken != LEAT_ENGINE_REFUSED);
    if (taken == LEAT_ENGINE_TAKEN) {
        w->payloads++;
        int64_t *read_us = &world->log[partition].records[reader->next].read_us[worker];
        *read_us = *read_us > 0 ? *read_us : world->now_us;
    } else {
        free(record.payload);
    }
    if (taken == LEAT_ENGINE_FULL) {
        world->sometimes->refused_for_room++;
        /* as the log's reader does: it keeps the record and waits for RESUME */
        reader->paused = true;
    } else {
        reader->next++;
    }
    world->sometimes->skipped += taken == LEAT_ENGINE_SKIPPED;
    if (taken != LEAT_ENGINE_FULL && world_below(world, 4) == 0)
        read_to(world, worker, partition);
    if (world_below(world, 4) == 0) /* effects are asked for once a turn of the loop, not after each
                                       event */
        world_settle(world, worker);
}

static void read_some(test_world *world)
{
    uint32_t worker = world_below(world, WORKERS);
    uint32_t partition = world_below(world, world->config.partition_count);
    for (uint32_t i = 1 + world_below(world, 8); i > 0; i--)
        offer(world, worker, partition);
}

static void append_some(test_world *world)
{
    log_partition *log = &world->log[world_below(world, world->config.partition_count)];
    for (uint32_t i = 1 + world_below(world, 10); i > 0 && log->readable < log->count; i--)
        log->readable++;
}

static void heal_one(test_world *world)
{
    log_partition *log = &world->log[world_below(world, world->config.partition_count)];
    log->records[world_below(world, log->count)].poison = LEAT_ENGINE_APPLIED;
}

/* ---- jobs ---- */

static world_job *any_job(test_world *world, uint32_t worker)
{
    world_job *job = &worker_at(world, worker)->jobs[world_below(world, world->config.jobs_max)];
    return job->state == WORLD_JOB_NONE ? NULL : job;
}

static void work_some(test_world *world)
{
    uint32_t worker = world_below(world, WORKERS);
    for (uint32_t i = 0; i < 4; i++) {
        world_job *job = any_job(world, worker);
        if (!job)
            continue;
        if (job->state == WORLD_JOB_SENT)
            world_execute(world, worker, job);
        else
            world_answer(world, worker, job, &job->result);
    }
}

static void fail_one(test_world *world)
{
    uint32_t worker = world_below(world, WORKERS);
    world_job *job = any_job(world, worker);
    if (!job || job->state != WORLD_JOB_SENT)
        return;
    leat_engine_job_result result = {.outcome = world_chance(world, 3) ? LEAT_ENGINE_OUTAGE
                                                                       : LEAT_ENGINE_CONTENTION,
                                     .bad_record = -1,
                                     .partition = -1};
    result.is_lock_wait = result.outcome == LEAT_ENGINE_CONTENTION && world_chance(world, 2);
    result.from_rows = world_chance(world, 2);
    result.timed_out = !result.is_lock_wait && world_chance(world, 3);
    if (result.is_lock_wait && !result.from_rows)
        result.partition = (int32_t)world_below(world, world->config.partition_count);
    /* Dead letters can be refused too, and so can what is kept. */
    if ((job->dead || job->hold) && world_chance(world, 2))
        result.outcome = LEAT_ENGINE_DRIFT;
    world_answer(world, worker, job, &result);
}

static void break_one(test_world *world)
{
    uint32_t worker = world_below(world, WORKERS);
    world_job *job = any_job(world, worker);
    if (job)
        world_break(world, worker, job);
}

static void ghost_one(test_world *world)
{
    world_job *ghost = &world->ghosts[world_below(world, GHOSTS)];
    if (ghost->state != WORLD_JOB_NONE)
        world_ghost(world, ghost);
}

/* ---- shards ---- */

static void set_slots(test_world *world, uint32_t worker, uint32_t shard, uint32_t slots)
{
    world_worker *w = worker_at(world, worker);
    bool jobs_first = world_chance(world, 2);
    if (!jobs_first) {
        w->slots[shard] = slots;
        leat_engine_slots(w->engine, world->now_us, shard, slots);
    }
    uint32_t running = 0;
    for (uint32_t i = 0; i < WORLD_JOBS; i++) {
        world_job *job = &w->jobs[i];
        if (job->state != WORLD_JOB_NONE && job->shard == shard && ++running > slots)
            world_break(world, worker, job);
    }
    w->slots[shard] = slots;
    leat_engine_slots(w->engine, world->now_us, shard, slots);
    world->sometimes->shards_down += slots == 0;
    world_settle(world, worker);
}

static void change_slots(test_world *world)
{
    uint32_t slots = world_chance(world, 4) ? 0 : 1 + world_below(world, 3);
    set_slots(world, world_below(world, WORKERS), world_below(world, world->config.shard_count),
              slots);
}

static void fail_over(test_world *world)
{
    uint32_t shard = world_below(world, world->config.shard_count);
    if (!database_failover(&world->db, shard, &world->prng))
        return;
    world->sometimes->failovers++;
    world->failed_over[shard] = true;
    for (uint32_t i = 0; i < GHOSTS; i++) {
        if (world->ghosts[i].shard == shard)
            world->ghosts[i].state = WORLD_JOB_NONE;
    }
    for (uint32_t worker = 0; worker < WORKERS; worker++) {
        for (uint32_t i = 0; i < WORLD_JOBS; i++) {
            world_job *job = &worker_at(world, worker)->jobs[i];
            /* Commands sent to the old primary do not reach the new one. */
            bool calm = world->calm;
            world->calm = true;
            if (job->state == WORLD_JOB_SENT && job->shard == shard)
                world_break(world, worker, job);
            world->calm = calm;
        }
    }
}

/* Somebody looks at what is held. */
static void person(test_world *world)
{
    uint32_t partition = world_below(world, world->config.partition_count);
    db_person did = database_person(&world->db, partition, &world->prng, 1 + world_below(world, 4));
    world->sometimes->person_retried += did.has_applied;
    world->sometimes->person_discarded += did.has_discarded;
    world->sometimes->person_let_go += did.has_let_go;
}

static void set_looks(test_world *world, uint32_t worker, uint32_t shard, bool is_wanted)
{
    leat_engine *engine = worker_at(world, worker)->engine;
    uint64_t queued = 0, left = 0;
    for (uint32_t i = 0; i < world->config.partition_count; i++)
        queued += engine->partitions[i].retry.step == LEAT_KEY_RETRY_WANTED;
    leat_engine_look(engine, world->now_us, shard, is_wanted);
    for (uint32_t i = 0; i < world->config.partition_count; i++)
        left += engine->partitions[i].retry.step == LEAT_KEY_RETRY_WANTED;
    world->sometimes->called_off += left < queued;
    world_settle(world, worker);
}

/* Controls come and go. */
static void change_looks(test_world *world)
{
    set_looks(world, world_below(world, WORKERS), world_below(world, world->config.shard_count),
              world_chance(world, 2));
}

static void set_parked_size(test_world *world, uint32_t worker, uint32_t shard, uint64_t bytes)
{
    world_settle(world, worker);
    leat_engine_parked_size(worker_at(world, worker)->engine, world->now_us, shard, bytes);
    world_settle(world, worker);
}

/* Less than the first bound, from that on, or from the second on. */
static void change_parked_size(test_world *world)
{
    set_parked_size(world, world_below(world, WORKERS),
                    world_below(world, world->config.shard_count),
                    world_below(world, 3) * LEAT_ENGINE_PARKED_SIZE_LEAST);
}

/* ---- the group ---- */

static void assign(test_world *world, uint32_t worker, uint32_t partition)
{
    world_worker *w = worker_at(world, worker);
    LEAT_ASSERT(w->held[partition] == HELD_NOT && world->owner[partition] < 0);
    world->owner[partition] = (int)worker;
    w->held[partition] = HELD_ASSIGNED;
    w->readers[partition] = (world_reader){0};
    leat_engine_assigned(w->engine, world->now_us, partition);
    world_settle(world, worker);
}

static void lose(test_world *world, uint32_t worker, uint32_t partition)
{
    world_worker *w = worker_at(world, worker);
    w->held[partition] = HELD_NOT;
    w->readers[partition] = (world_reader){0};
    if (world->owner[partition] == (int)worker)
        world->owner[partition] = -1;
    leat_engine_lost(w->engine, world->now_us, partition);
    world->sometimes->lost++;
    world_settle(world, worker);
}

static void revoke(test_world *world, uint32_t worker, uint32_t partition)
{
    world_worker *w = worker_at(world, worker);
    for (uint32_t i = 0; i < WORLD_JOBS; i++)
        world->sometimes->waited_claim += w->jobs[i].state != WORLD_JOB_NONE &&
                                          w->jobs[i].kind == LEAT_ENGINE_JOB_CLAIM &&
                                          w->jobs[i].partition == partition;
    w->held[partition] = HELD_REVOKING;
    leat_engine_revoked(w->engine, world->now_us, partition);
    world->sometimes->revoked++;
    world_settle(world, worker);
}

static void rebalance(test_world *world)
{
    uint32_t worker = world_below(world, WORKERS);
    uint32_t partition = world_below(world, world->config.partition_count);
    world_held held = worker_at(world, worker)->held[partition];
    bool owns = world->owner[partition] == (int)worker;
    if (held != HELD_NOT && !owns) {
        lose(world, worker, partition);
    } else if (held == HELD_NOT) {
        if (world->owner[partition] < 0)
            assign(world, worker, partition);
    } else if (world_chance(world, 3)) {
        /* The group thinks it is gone and gives the partition to somebody else; it hears of that
         * later. */
        world->sometimes->zombies++;
        world->owner[partition] = -1;
        if (worker_at(world, 1 - worker)->held[partition] == HELD_NOT)
            assign(world, 1 - worker, partition);
    } else if (world_chance(world, 4)) {
        lose(world, worker, partition);
    } else if (held == HELD_ASSIGNED) {
        revoke(world, worker, partition);
    }
}

static bool is_zombie(const test_world *world, uint32_t worker)
{
    for (uint32_t i = 0; i < world->config.partition_count; i++) {
        if (world->workers[worker].held[i] != HELD_NOT && world->owner[i] != (int)worker)
            return true;
    }
    return false;
}

static void confirm(test_world *world, uint32_t worker)
{
    world_worker *w = worker_at(world, worker);
    if (w->confirm_since < 0 || is_zombie(world, worker))
        return;
    leat_engine_confirmed(w->engine, world->now_us, w->confirm_since);
    w->confirm_since = -1;
    world->sometimes->confirms++;
    world_settle(world, worker);
}

/* Events for things that do not exist: harmless. */
static void noise(test_world *world)
{
    uint32_t worker = world_below(world, WORKERS);
    uint32_t partition = world_below(world, world->config.partition_count);
    world_worker *w = worker_at(world, worker);
    if (w->held[partition] != HELD_NOT)
        return;
    int64_t payload = 0;
    leat_engine_record record = {.partition = partition, .bytes = 1, .payload = &payload};
    LEAT_ASSERT(leat_engine_record_read(w->engine, world->now_us, &record) == LEAT_ENGINE_SKIPPED);
    leat_engine_lost(w->engine, world->now_us, partition);
    leat_engine_stopped(w->engine, world->now_us, partition, "nobody is there");
    leat_engine_confirmed(w->engine, world->now_us, world->now_us);
    world_settle(world, worker);
}

/* ---- time ---- */

static void tick(test_world *world, uint32_t worker)
{
    leat_engine_tick(worker_at(world, worker)->engine, world->now_us);
    world_settle(world, worker);
}

static void pass_time(test_world *world)
{
    if (world_chance(world, 2)) {
        world->now_us += 1 + world_below(world, 200);
    } else {
        int64_t deadline =
            leat_engine_deadline(worker_at(world, world_below(world, WORKERS))->engine);
        if (deadline != INT64_MAX && deadline > world->now_us)
            world->now_us = deadline;
    }
    if (world->calm || world_chance(world, 4))
        world->catalog_read_us = world->now_us;
    for (uint32_t i = 0; i < WORKERS; i++)
        tick(world, i);
}

void world_step(test_world *world)
{
    uint32_t dice = world_below(world, 105);
    if (dice < 26)
        read_some(world);
    else if (dice < 60)
        work_some(world);
    else if (dice < 72)
        pass_time(world);
    else if (dice < 76)
        append_some(world);
    else if (dice < 80)
        fail_one(world);
    else if (dice < 84)
        break_one(world);
    else if (dice < 88)
        ghost_one(world);
    else if (dice < 91)
        change_slots(world);
    else if (dice < 95)
        rebalance(world);
    else if (dice < 97)
        confirm(world, world_below(world, WORKERS));
    else if (dice < 98)
        heal_one(world);
    else if (dice < 99)
        noise(world);
    else if (dice < 101)
        person(world);
    else if (dice < 103)
        change_looks(world);
    else if (dice < 104)
        change_parked_size(world);
    else
        fail_over(world);
}

/* ---- the end ---- */

static void heal_record(const test_world *world, log_record *record)
{
    bool bad = record->poison == LEAT_ENGINE_BAD_DATA || record->poison == LEAT_ENGINE_NOT_YET;
    if (!bad || !world->bad_stays_bad)
        record->poison = LEAT_ENGINE_APPLIED;
}

static void heal(test_world *world)
{
    world->calm = true;
    for (uint32_t i = 0; i < GHOSTS; i++) {
        if (world->ghosts[i].state != WORLD_JOB_NONE)
            world_ghost(world, &world->ghosts[i]);
    }
    for (uint32_t i = 0; i < world->config.partition_count; i++) {
        world->log[i].readable = world->log[i].count;
        for (uint32_t j = 0; j < world->log[i].count; j++)
            heal_record(world, &world->log[i].records[j]);
    }
    for (uint32_t worker = 0; worker < WORKERS; worker++) {
        for (uint32_t shard = 0; shard < world->config.shard_count; shard++) {
            /* A worker with nothing left to write learns of a lost commit only when its connections
             * are lost too. Not done otherwise: a claim would hide a partition that is stuck. */
            if (world->failed_over[shard])
                set_slots(world, worker, shard, 0);
            set_slots(world, worker, shard, 1 + world_below(world, 2));
            set_looks(world, worker, shard, false);
            set_parked_size(world, worker, shard, 0);
        }
        for (uint32_t i = 0; i < world->config.partition_count; i++) {
            if (worker_at(world, worker)->held[i] != HELD_NOT && world->owner[i] != (int)worker)
                lose(world, worker, i);
        }
    }
}

/* A record refused to the end is a dead letter by now. */
static void check_bad(const test_world *world)
{
    for (uint32_t i = 0; i < world->config.partition_count; i++) {
        for (uint32_t j = 0; j < world->log[i].count; j++)
            LEAT_ASSERT(world->log[i].records[j].poison == LEAT_ENGINE_APPLIED ||
                        world->db.partitions[i].dead[j]);
    }
}

static void check_nothing_is_left(const test_world *world)
{
    for (uint32_t i = 0; i < world->config.partition_count; i++)
        LEAT_ASSERT(world->db.partitions[i].chunk_count == 0 &&
                    world->db.partitions[i].held_count == 0);
}

static bool all_applied(const test_world *world)
{
    for (uint32_t i = 0; i < world->config.partition_count; i++) {
        if (!database_has_all(&world->db, i, INT64_MAX, false))
            return false;
    }
    return true;
}

/* One round of a world without faults. */
static void calm_round(test_world *world)
{
    for (uint32_t worker = 0; worker < WORKERS; worker++) {
        world_worker *w = worker_at(world, worker);
        confirm(world, worker);
        for (uint32_t i = 0; i < world->config.partition_count; i++) {
            if (world->owner[i] < 0 && w->held[i] == HELD_NOT && !w->draining)
                assign(world, worker, i);
            for (uint32_t j = 0; j < 4; j++)
                offer(world, worker, i);
        }
        for (uint32_t i = 0; i < WORLD_JOBS; i++) {
            world_job *job = &w->jobs[i];
            if (job->state == WORLD_JOB_SENT)
                world_execute(world, worker, job);
            if (job->state == WORLD_JOB_EXECUTED)
                world_answer(world, worker, job, &job->result);
        }
    }
    pass_time(world);
    if (world_chance(world, 8))
        person(world);
}

void world_heal_and_finish(test_world *world)
{
    heal(world);
    uint32_t rounds = 0;
    while (!all_applied(world)) {
        LEAT_ASSERT(++rounds < 20000);
        calm_round(world);
    }
    for (uint32_t worker = 0; worker < WORKERS; worker++) {
        world_worker *w = worker_at(world, worker);
        w->draining = true;
        for (uint32_t i = 0; i < world->config.partition_count; i++) {
            if (w->held[i] == HELD_ASSIGNED)
                w->held[i] = HELD_REVOKING;
        }
        leat_engine_drain(w->engine, world->now_us);
        world_settle(world, worker);
    }
    for (rounds = 0; !world->workers[0].drained || !world->workers[1].drained; rounds++) {
        LEAT_ASSERT(rounds < 2000);
        calm_round(world);
    }
    world->sometimes->drained++;
    LEAT_ASSERT(all_applied(world));
    check_nothing_is_left(world);
    check_bad(world);
}
