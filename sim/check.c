/* check.c - which checker runs when. */
#include "check.h"
#include "notes.h"

#include "world.h"

enum { VALIDATE_ONE_IN = 32 };

void sim_check_before_commit(sim_world *world, const sim_state *state, const sim_commit *commit)
{
    sim_check_effects(world, state, commit);
    sim_check_order(world, state, commit);
    sim_check_keys(world, state, commit);
    sim_check_repeats(world, state, commit);
    sim_check_dead_letters(world, state, commit);
}

void sim_check_after_commit(sim_world *world, const sim_state *state, const sim_commit *commit)
{
    for (uint32_t i = 0; i < commit->progress_count; i++)
        sim_check_progress(world, state, commit->progress[i].partition);
    if (commit->parked_count > 0 || commit->step_count > 0)
        sim_check_parked(world, state, commit->progress[0].partition);
    for (uint32_t p = 0; p < world->broker.partition_count; p++)
        if (commit->kept_count > 0 || commit->retry_key != 0)
            sim_check_held(world, state, p);
    if (commit->compaction)
        sim_check_progress(world, state, commit->partition);
}

void sim_check_process(sim_world *world, sim_process *process)
{
    sim_check_memory(world, process);
    sim_check_parking(world, process);
    if (world->events % VALIDATE_ONE_IN == 0)
        leat_engine_validate(process->worker->engine);
}

void sim_check_claim(sim_world *world, uint32_t partition, const leat_engine_progress *progress)
{
    if (progress->low < world->group.committed[partition])
        world->sometimes->count[SOMETIMES_REWOUND]++;
}

void sim_check_end(sim_world *world)
{
    for (uint32_t shard = 0; shard < world->schema.catalog.layout.shard_count; shard++)
        sim_check_tables(world, shard);
    sim_check_acknowledged(world);
}
