/*
 * check_room.c - room: how much is parked, by what its bounds were when the worker decided. What
 * the chunks take up is the worker's figure, which is an estimate between two claims.
 */
#include "check.h"
#include "disk.h"
#include "engine/state.h"
#include "world.h"

enum { SUBPARTITION_PARTS = 2 };

_Noreturn static void room_fail(sim_world *world, const sim_process *process, uint32_t partition,
                                const char *why)
{
    sim_fail(world, "room", "process %u parks records of partition %u, %s", process->index,
             partition, why);
}

static bool is_stalled(const sim_process *process, uint32_t queue)
{
    const leat_engine *engine = process->worker->engine;
    const leat_queue_mark *mark = &engine->marks[queue];
    return mark->is_set &&
           leat_worker_now_us(process->worker) - mark->since_us >= engine->config.park_after_us;
}

static void check_cuts(sim_world *world, const sim_process *process, uint32_t shard,
                       const leat_engine_batch *batch)
{
    const leat_engine *engine = process->worker->engine;
    uint32_t p = batch->parts[0].partition;
    uint64_t most = sim_disk_share(world, shard) / SUBPARTITION_PARTS;
    bool is_swollen = process->parked_size[shard] >= sim_disk_most(world, shard);
    world->sometimes->count[SOMETIMES_PARKED_SWOLLEN] += is_swollen;
    for (uint32_t i = 0; i < batch->cut_count; i++) {
        uint32_t queue = leat_queue_id(engine, p, batch->cuts[i].subpartition);
        if (is_swollen && !is_stalled(process, queue))
            room_fail(world, process, p, "which are not stalled, and the table is swollen");
        if (engine->queues[queue].parked && engine->chunks[queue].bytes > most)
            room_fail(world, process, p, "and their subpartition's part is used up");
    }
}

void sim_check_room(sim_world *world, const sim_process *process, uint32_t shard,
                    const leat_engine_job *job)
{
    const leat_engine_batch *batch = &job->batch;
    uint32_t p = batch->parts[0].partition;
    if (process->worker->engine->partitions[p].parked_bytes >= sim_disk_share(world, shard))
        room_fail(world, process, p, "whose share is used up");
    if (process->parked_size[shard] >= 2 * sim_disk_most(world, shard))
        room_fail(world, process, p, "and the table takes up the disk");
    check_cuts(world, process, shard, batch);
}

void sim_check_kept_room(sim_world *world, const sim_process *process, uint32_t shard,
                         const leat_engine_batch *batch)
{
    uint64_t share = sim_disk_share(world, shard);
    for (uint32_t i = 0; (batch->hold || batch->kept > 0) && i < batch->record_count; i++) {
        uint32_t p = batch->records[i].partition;
        const leat_shard_held_count *kept = &process->kept[p];
        bool is_full = kept->bytes >= share ||
                       (kept->most_bytes >= share / SUBPARTITION_PARTS && kept->most_bytes > 0 &&
                        kept->most == batch->records[i].subpartition);
        if (is_full && (batch->hold || leat_engine_batch_keeps(&batch->records[i])))
            sim_fail(world, "room",
                     "process %u keeps offset %lld of subpartition %u/%u, which has used up its "
                     "share of held_max",
                     process->index, (long long)batch->records[i].offset, p,
                     batch->records[i].subpartition);
    }
}
