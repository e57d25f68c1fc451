/*
 * group.c - the coordinator. Like the real one it knows what it sent to each member, not what the
 * member believes: a silent member is expelled and its partitions go to others while it may still
 * work on them. The claim token exists for this overlap, so it is never avoided here.
 */
#include "group.h"

#include "world.h"

enum {
    REVOKE_PATIENCE = 4
}; /* session timeouts until a member that does not give back is expelled */

static int64_t session_timeout_us(const sim_world *world)
{
    return 1000 * world->options.values[OPT_SESSION_TIMEOUT_MS];
}

static uint32_t partition_count(const sim_world *world)
{
    return world->broker.partition_count + world->broker.grown;
}

static void assign(sim_world *world, uint32_t partition)
{
    sim_group *group = &world->group;
    int32_t target = group->target[partition];
    if (group->owner[partition] != SIM_NOBODY || target == SIM_NOBODY)
        return;
    group->owner[partition] = target;
    sim_reader_tell(world, (uint32_t)target, group->members[target].id, READER_ASSIGNED, partition);
}

static bool anything_revoking(const sim_world *world)
{
    for (uint32_t p = 0; p < partition_count(world); p++)
        if (world->group.is_revoking[p])
            return true;
    return false;
}

static void assign_free(sim_world *world)
{
    if (world->options.values[OPT_EAGER] && anything_revoking(world))
        return;
    for (uint32_t p = 0; p < partition_count(world); p++)
        assign(world, p);
}

static void take_back(sim_world *world, uint32_t partition)
{
    sim_group *group = &world->group;
    int32_t owner = group->owner[partition];
    if (owner == SIM_NOBODY || group->is_revoking[partition])
        return;
    if (owner == group->target[partition] && !world->options.values[OPT_EAGER])
        return;
    group->is_revoking[partition] = true;
    group->revoked_us[partition] = world->clock.now_us;
    sim_reader_tell(world, (uint32_t)owner, group->members[owner].id, READER_REVOKED, partition);
}

void sim_group_rebalance(sim_world *world)
{
    sim_group *group = &world->group;
    uint32_t members[SIM_PROCESSES_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < world->process_count; i++)
        if (group->members[i].id)
            members[count++] = i;
    group->generation++;
    uint32_t turn = sim_below(world, SIM_PROCESSES_MAX);
    for (uint32_t p = 0; p < partition_count(world); p++) {
        group->target[p] = count ? (int32_t)members[(p + turn) % count] : SIM_NOBODY;
        take_back(world, p);
    }
    assign_free(world);
}

static void take_all(sim_world *world, uint32_t process)
{
    sim_group *group = &world->group;
    for (uint32_t p = 0; p < SIM_PARTITIONS_MAX; p++) {
        if (group->owner[p] != (int32_t)process)
            continue;
        group->owner[p] = SIM_NOBODY;
        group->is_revoking[p] = false;
    }
    group->members[process].id = 0;
    sim_group_rebalance(world);
}

uint64_t sim_group_join(sim_world *world, uint32_t process)
{
    sim_member *member = &world->group.members[process];
    if (member->id)
        take_all(world, process);
    *member = (sim_member){++world->serial, world->clock.now_us};
    sim_trace(world, "group: process %u joins", process);
    sim_group_rebalance(world);
    return member->id;
}

void sim_group_leave(sim_world *world, uint32_t process)
{
    if (!world->group.members[process].id)
        return;
    sim_trace(world, "group: process %u leaves", process);
    take_all(world, process);
}

bool sim_group_beat(sim_world *world, uint32_t process, uint64_t member)
{
    if (world->group.members[process].id != member)
        return false;
    world->group.members[process].heard_us = world->clock.now_us;
    return true;
}

void sim_group_give_back(sim_world *world, uint32_t process, uint64_t member, uint32_t partition)
{
    sim_group *group = &world->group;
    if (group->members[process].id != member || group->owner[partition] != (int32_t)process)
        return;
    group->owner[partition] = SIM_NOBODY;
    group->is_revoking[partition] = false;
    assign_free(world);
}

bool sim_group_commit(sim_world *world, uint32_t process, uint64_t member, uint32_t partition,
                      int64_t offset)
{
    sim_group *group = &world->group;
    if (group->members[process].id != member || group->owner[partition] != (int32_t)process)
        return false;
    group->committed[partition] = offset;
    return true;
}

static bool is_overdue(const sim_world *world, uint32_t process)
{
    const sim_group *group = &world->group;
    if (world->clock.now_us - group->members[process].heard_us > session_timeout_us(world))
        return true;
    for (uint32_t p = 0; p < SIM_PARTITIONS_MAX; p++)
        if (group->is_revoking[p] && group->owner[p] == (int32_t)process &&
            world->clock.now_us - group->revoked_us[p] >
                REVOKE_PATIENCE * session_timeout_us(world) +
                    2000 * world->options.values[OPT_DRAIN_MS])
            return true;
    return false;
}

static void on_check(sim_world *world, void *object, uint64_t argument)
{
    (void)object;
    (void)argument;
    for (uint32_t i = 0; i < world->process_count; i++) {
        if (!world->group.members[i].id || !is_overdue(world, i))
            continue;
        sim_trace(world, "group: process %u is expelled", i);
        world->sometimes->count[SOMETIMES_EXPELLED]++;
        take_all(world, i);
    }
    sim_clock_plan(&world->clock, world->clock.now_us + session_timeout_us(world) / 4, on_check,
                   NULL, 0);
}

void sim_group_begin(sim_world *world)
{
    for (uint32_t p = 0; p < SIM_PARTITIONS_MAX; p++) {
        world->group.owner[p] = world->group.target[p] = SIM_NOBODY;
        world->group.committed[p] = -1;
    }
    sim_clock_plan(&world->clock, world->clock.now_us, on_check, NULL, 0);
}
