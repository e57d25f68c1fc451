/*
 * world_effects.c - the worker: carries out its engine's effects, and checks that each is allowed.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/state.h"
#include "world.h"

static void check_batch(const test_world *world, const leat_engine_batch *batch)
{
    uint32_t most = world->config.batch_records_max;
    if (batch->chunk_count > 0 && world->config.chunk_records_max > most)
        most = world->config.chunk_records_max;
    bool is_one = batch->part_count == 1 && leat_batch_touches(batch, &batch->parts[0]) == 1;
    if (is_one && world->config.deep_records_max > most)
        most = world->config.deep_records_max;
    LEAT_ASSERT(batch->record_count > 0 && batch->record_count <= most);
    LEAT_ASSERT(batch->chunk_count == 0 || batch->part_count == 1);
    uint32_t at = 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < batch->part_count; i++) {
        const leat_engine_batch_part *part = &batch->parts[i];
        LEAT_ASSERT(i == 0 || batch->parts[i - 1].partition < part->partition);
        LEAT_ASSERT(world->shard_of[part->partition] == world->shard_of[batch->parts[0].partition]);
        LEAT_ASSERT((part->count == 0) == (batch->chunk_count > 0 || batch->retry_key != 0));
        for (uint32_t j = 0; j < leat_batch_touches(batch, part); j++) {
            LEAT_ASSERT(j == 0 || part->subpartitions[j - 1] < part->subpartitions[j]);
            int64_t offset = -1;
            for (; at < batch->record_count && batch->records[at].partition == part->partition &&
                   batch->records[at].subpartition == part->subpartitions[j];
                 at++) {
                LEAT_ASSERT(batch->records[at].offset > offset);
                offset = batch->records[at].offset;
                bytes += world->log[part->partition]
                             .records[database_index(&world->db, part->partition, offset)]
                             .bytes;
            }
            LEAT_ASSERT(offset == part->offsets[j] || batch->retry_key != 0);
        }
    }
    LEAT_ASSERT(at == batch->record_count);
    LEAT_ASSERT(bytes <= world->config.batch_bytes_max || batch->record_count == 1 ||
                batch->retry_key != 0);
}

/* One batch in flight a subpartition under one claim; numbers only go up; nothing after an unknown
 * outcome. */
static void check_part(test_world *world, uint32_t worker, const leat_engine_batch_part *part)
{
    uint32_t id = part->partition;
    const world_worker *w = &world->workers[worker];
    LEAT_ASSERT(w->held[id] == HELD_ASSIGNED);
    bool same = memcmp(&world->sent_claim[worker][id], &part->claim, sizeof part->claim) == 0;
    LEAT_ASSERT(!same || part->seq > world->sent_seq[worker][id]);
    LEAT_ASSERT(!same || !world->dead_claim[worker][id]);
    world->sent_seq[worker][id] = part->seq;
    world->sent_claim[worker][id] = part->claim;
    world->dead_claim[worker][id] = false;
    for (uint32_t i = 0; i < WORLD_JOBS; i++) {
        const world_job *job = &w->jobs[i];
        if (job->state == WORLD_JOB_NONE || job->record_count == 0)
            continue;
        for (uint32_t j = 0; j < job->record_count; j++) {
            bool mine = job->records[j].partition == id;
            uint32_t touched = part->count > 0 ? part->count : 1;
            for (uint32_t k = 0; mine && k < touched && same; k++)
                LEAT_ASSERT(job->records[j].subpartition != part->subpartitions[k] ||
                            memcmp(&job->parts[0].claim, &part->claim, sizeof part->claim) != 0);
        }
    }
}

static void note_batch(test_world *world, uint32_t worker, const leat_engine_job *job)
{
    uint32_t limited = 0;
    uint32_t queues = 0;
    bool alone = false;
    if (job->batch.retry_key != 0)
        return;
    for (uint32_t i = 0; i < job->batch.part_count; i++) {
        const leat_engine_batch_part *part = &job->batch.parts[i];
        uint32_t touched = leat_batch_touches(&job->batch, part);
        queues += touched;
        for (uint32_t j = 0; j < touched; j++) {
            const leat_queue *queue = leat_queue_at(world->workers[worker].engine, part->partition,
                                                    (uint32_t)part->subpartitions[j]);
            limited += queue->retry.limit > 0;
            alone = alone || queue->retry.alone;
            LEAT_ASSERT(queue->retry.dead == (job->batch.dead || job->batch.hold));
        }
    }
    LEAT_ASSERT(!alone || queues == 1);
    world->sometimes->alone += alone;
    world->sometimes->limited += limited > 0;
    world->sometimes->shared_parts += job->batch.part_count > 1;
}

/* Nothing but a claim and the probe runs in a shard that is halted. */
static void check_halt(test_world *world, uint32_t worker, const leat_engine_job *job)
{
    uint32_t probe = world->workers[worker].engine->shards[job->shard].probe;
    if (probe == LEAT_INDEX_NONE || job->kind == LEAT_ENGINE_JOB_CLAIM)
        return;
    LEAT_ASSERT(job->kind == LEAT_ENGINE_JOB_BATCH && job->batch.part_count == 1 &&
                leat_batch_touches(&job->batch, &job->batch.parts[0]) == 1);
    LEAT_ASSERT(job->batch.records[0].partition * TEST_SUBPARTITIONS +
                    job->batch.records[0].subpartition ==
                probe);
    world->sometimes->probed++;
}

/* A dead letter is one record that was refused for good when it was alone. */
static void check_dead(test_world *world, const leat_engine_batch *batch)
{
    LEAT_ASSERT(batch->record_count == 1 && batch->part_count == 1 &&
                leat_batch_touches(batch, &batch->parts[0]) == 1);
    const leat_engine_batch_record *record = &batch->records[0];
    const db_batch_record is = {record->partition, record->subpartition, record->offset, false};
    LEAT_ASSERT(database_log(&world->db, &is)->may_die &&
                database_log(&world->db, &is)->on_refused == LEAT_ENGINE_REFUSED_SKIP &&
                world->config.dead_letters_per_minute > 0);
    world->sometimes->buried++;
}

/* The same of one that makes its key held, which its route wants. */
static void check_hold(test_world *world, uint32_t worker, const leat_engine_batch *batch)
{
    LEAT_ASSERT(batch->record_count == 1 && batch->part_count == 1 && !batch->dead);
    const leat_engine_batch_record *record = &batch->records[0];
    const db_batch_record is = {record->partition, record->subpartition, record->offset, false};
    const log_record *from = database_log(&world->db, &is);
    LEAT_ASSERT(from->refused && from->on_refused == LEAT_ENGINE_REFUSED_HOLD && !record->keep);
    leat_engine_partition_view view;
    leat_engine_partition(world->workers[worker].engine, record->partition, &view);
    LEAT_ASSERT(view.held_keys < world->config.held_keys_max);
}

/* What is kept is written only when the key's own retry is due, whatever looks there are. As a
 * caller must, of a look all is left out. */
static void check_retry(test_world *world, uint32_t worker, const leat_engine_job *job)
{
    leat_engine *engine = world->workers[worker].engine;
    const leat_engine_batch *batch = &job->batch;
    const leat_held *held = &engine->partitions[batch->parts[0].partition].held;
    LEAT_ASSERT(batch->is_look ||
                leat_held_find(held, batch->retry_key)->retry_us <= world->now_us);
    for (uint32_t i = 0; batch->is_look && i < batch->record_count; i++)
        leat_engine_skip(engine, job->id, i);
}

/* While the disk is full of what was parked: what has stalled for long enough, or nothing. */
static void check_park_is_wanted(test_world *world, uint32_t worker,
                                 const leat_engine_batch_part *part)
{
    const leat_engine *engine = world->workers[worker].engine;
    const leat_shard *shard = &engine->shards[world->shard_of[part->partition]];
    LEAT_ASSERT(shard->parks_what != LEAT_ENGINE_PARKS_NOTHING);
    if (shard->parks_what == LEAT_ENGINE_PARKS)
        return;
    for (uint32_t i = 0; i < part->count; i++) {
        const leat_queue_mark *mark =
            &engine
                 ->marks[leat_queue_id(engine, part->partition, (uint32_t)part->subpartitions[i])];
        LEAT_ASSERT(mark->is_set && world->now_us - mark->since_us >= world->config.park_after_us);
    }
    world->sometimes->parks_stalled++;
}

static void check_park(test_world *world, uint32_t worker, const leat_engine_batch *batch)
{
    uint32_t at = 0;
    uint64_t half_of_loaded = (world->config.bytes_max / 4 + 1) / 2;
    LEAT_ASSERT(batch->part_count == 1 && batch->cut_count > 0 && batch->record_count <= BATCH_MAX);
    const leat_engine_batch_part *part = &batch->parts[0];
    for (uint32_t i = 0; i < batch->cut_count; i++) {
        const leat_engine_chunk_cut *cut = &batch->cuts[i];
        uint64_t bytes = 0;
        LEAT_ASSERT(cut->first_record == at && cut->record_count > 0 &&
                    cut->record_count <= world->config.chunk_records_max);
        for (; at < cut->first_record + cut->record_count; at++) {
            const leat_engine_batch_record *record = &batch->records[at];
            LEAT_ASSERT(record->partition == part->partition &&
                        record->subpartition == cut->subpartition);
            bytes += world->log[part->partition]
                         .records[database_index(&world->db, part->partition, record->offset)]
                         .bytes;
        }
        LEAT_ASSERT(cut->record_count == 1 ||
                    (bytes <= world->config.chunk_bytes_max && bytes <= half_of_loaded));
    }
    LEAT_ASSERT(at == batch->record_count);
    check_park_is_wanted(world, worker, part);
    check_part(world, worker, part);
}

static void submit(test_world *world, uint32_t worker, const leat_engine_job *job)
{
    world_worker *w = &world->workers[worker];
    uint32_t running = 0;
    for (uint32_t i = 0; i < WORLD_JOBS; i++)
        running += w->jobs[i].state != WORLD_JOB_NONE && w->jobs[i].shard == job->shard;
    LEAT_ASSERT(running < w->slots[job->shard]);
    LEAT_ASSERT(job->id < world->config.jobs_max);
    world_job *copy = &w->jobs[job->id];
    LEAT_ASSERT(copy->state == WORLD_JOB_NONE);
    check_halt(world, worker, job);
    if (job->batch.dead)
        check_dead(world, &job->batch);
    if (job->batch.hold)
        check_hold(world, worker, &job->batch);
    if (job->kind == LEAT_ENGINE_JOB_BATCH) {
        check_batch(world, &job->batch);
        for (uint32_t i = 0; i < job->batch.part_count; i++)
            check_part(world, worker, &job->batch.parts[i]);
        note_batch(world, worker, job);
        if (job->batch.retry_key != 0)
            check_retry(world, worker, job);
    } else if (job->kind == LEAT_ENGINE_JOB_PARK) {
        check_park(world, worker, &job->batch);
    } else if (job->kind == LEAT_ENGINE_JOB_LOAD) {
        LEAT_ASSERT(w->held[job->partition] == HELD_ASSIGNED);
    } else {
        LEAT_ASSERT(w->held[job->partition] != HELD_NOT);
        LEAT_ASSERT(job->kind == LEAT_ENGINE_JOB_COMPACT ||
                    w->held[job->partition] == HELD_ASSIGNED);
        if (w->held[job->partition] == HELD_REVOKING)
            world->sometimes->last_compaction++;
    }
    *copy = (world_job){.state = WORLD_JOB_SENT,
                        .kind = job->kind,
                        .id = job->id,
                        .shard = job->shard,
                        .partition = job->partition,
                        .compaction = job->compaction,
                        .dead = job->batch.dead != NULL,
                        .hold = job->batch.hold != NULL,
                        .is_look = job->batch.is_look,
                        .retry_key = job->batch.retry_key};
    copy->load = job->load;
    copy->chunks_of = job->batch.chunks_of;
    copy->chunk_count = job->batch.chunk_count;
    copy->cut_count = job->batch.cut_count;
    memcpy(copy->chunks, job->batch.chunks, sizeof copy->chunks);
    memcpy(copy->cuts, job->batch.cuts, sizeof copy->cuts);
    world_job_own(copy);
    if (job->kind == LEAT_ENGINE_JOB_COMPACT) {
        memcpy(copy->base_offsets, job->compaction.base_offsets, sizeof copy->base_offsets);
        memcpy(copy->needs, job->compaction.needs,
               job->compaction.needs_count * sizeof *copy->needs);
    }
    copy->part_count = job->batch.part_count;
    copy->record_count = job->batch.record_count;
    for (uint32_t i = 0; i < copy->part_count; i++)
        copy->parts[i] = job->batch.parts[i];
    for (uint32_t i = 0; i < copy->record_count; i++) {
        const leat_engine_batch_record *record = &job->batch.records[i];
        /* Reads the payload: it must be there still. */
        LEAT_ASSERT(*(const int64_t *)record->payload == record->offset);
        copy->records[i] = (db_batch_record){record->partition, record->subpartition,
                                             record->offset, record->keep};
    }
    world->claims++;
    memcpy(copy->claim.token, &world->claims, sizeof world->claims);
}

static void seek(test_world *world, world_reader *reader, const leat_engine_effect *effect)
{
    const log_partition *log = &world->log[effect->partition];
    int64_t from = effect->offset;
    LEAT_ASSERT(effect->offset <= effect->low + 1 && effect->high >= effect->low);
    /* Sometimes retention removes applied records. */
    if (world_chance(world, 4))
        from = effect->low + 1;
    uint32_t before = reader->next;
    *reader = (world_reader){.sought = true, .paused = reader->paused};
    while (reader->next < log->count && log->records[reader->next].offset < from)
        reader->next++;
    world->sometimes->rewound += reader->next < before;
}

static void carry_out(test_world *world, uint32_t worker, const leat_engine_effect *effect)
{
    world_worker *w = &world->workers[worker];
    world_reader *reader = &w->readers[effect->partition];
    switch (effect->kind) {
    case LEAT_ENGINE_RUN:
        submit(world, worker, effect->job);
        break;
    case LEAT_ENGINE_SEEK:
        LEAT_ASSERT(w->held[effect->partition] == HELD_ASSIGNED);
        seek(world, reader, effect);
        break;
    case LEAT_ENGINE_COMMIT:
        LEAT_ASSERT(w->held[effect->partition] != HELD_NOT);
        LEAT_ASSERT(database_has_all(&world->db, effect->partition, effect->offset, true));
        break;
    case LEAT_ENGINE_PAUSE:
        LEAT_ASSERT(reader->sought && !reader->paused);
        reader->paused = true;
        world->sometimes->paused++;
        break;
    case LEAT_ENGINE_RESUME:
        LEAT_ASSERT(reader->sought && reader->paused);
        reader->paused = false;
        break;
    case LEAT_ENGINE_CONFIRM:
        w->confirm_since = world->now_us;
        break;
    case LEAT_ENGINE_REVOKED:
        LEAT_ASSERT(w->held[effect->partition] == HELD_REVOKING);
        w->held[effect->partition] = HELD_NOT;
        if (world->owner[effect->partition] == (int)worker)
            world->owner[effect->partition] = -1;
        *reader = (world_reader){0};
        break;
    case LEAT_ENGINE_STALLED:
        LEAT_ASSERT(effect->result->outcome != LEAT_ENGINE_APPLIED);
        world->sometimes->held++;
        break;
    case LEAT_ENGINE_DEAD_LETTERED:
        LEAT_ASSERT(effect->result->outcome == LEAT_ENGINE_BAD_DATA ||
                    effect->result->outcome == LEAT_ENGINE_NOT_YET ||
                    effect->result->outcome == LEAT_ENGINE_RECORD_ERROR);
        LEAT_ASSERT(*(const int64_t *)effect->payload == effect->offset);
        world->sometimes->dead_lettered++;
        break;
    case LEAT_ENGINE_KEY_HELD:
        LEAT_ASSERT(*(const int64_t *)effect->payload == effect->offset);
        world->sometimes->key_held++;
        break;
    case LEAT_ENGINE_KEY_LEFT:
        LEAT_ASSERT(effect->key != 0 && effect->result->outcome != LEAT_ENGINE_APPLIED);
        LEAT_ASSERT(!effect->payload || *(const int64_t *)effect->payload == effect->offset);
        world->sometimes->key_left++;
        break;
    case LEAT_ENGINE_TABLE_STOPPED:
        LEAT_ASSERT(effect->table < world->config.table_count &&
                    world->config.dead_letters_per_minute > 0);
        world->sometimes->table_stopped++;
        break;
    case LEAT_ENGINE_SHARD_HALTED:
        LEAT_ASSERT(effect->result->outcome == LEAT_ENGINE_NOT_UNDERSTOOD);
        world->sometimes->halted++;
        break;
    case LEAT_ENGINE_PARK_FAILED:
        LEAT_ASSERT(effect->result->outcome != LEAT_ENGINE_APPLIED);
        break;
    case LEAT_ENGINE_DRAINED:
        LEAT_ASSERT(w->draining && !w->drained);
        w->drained = true;
        break;
    }
}

static size_t give_back(world_worker *w, size_t (*released)(leat_engine *, void **, size_t))
{
    void *payloads[3];
    size_t count = released(w->engine, payloads, 3);
    for (size_t i = 0; i < count; i++)
        free(payloads[i]);
    w->payloads -= (int64_t)count;
    return count;
}

void world_settle(test_world *world, uint32_t worker)
{
    world_worker *w = &world->workers[worker];
    leat_engine_effect effect;
    size_t count;
    do { /* what is released may be the room that something waits for */
        count = 0;
        while (leat_engine_next(w->engine, &effect)) {
            if (effect.kind == LEAT_ENGINE_RUN)
                count += give_back(w, leat_engine_released_early);
            carry_out(world, worker, &effect);
        }
        count += give_back(w, leat_engine_released);
    } while (count > 0);
    leat_engine_validate(w->engine);
    for (uint32_t i = 0; i < world->config.partition_count; i++) {
        leat_engine_partition_view view;
        leat_engine_partition(w->engine, i, &view);
        world->sometimes->keys_full += view.held_keys == world->config.held_keys_max;
    }
    LEAT_ASSERT(leat_engine_deadline(w->engine) > world->now_us);
}
