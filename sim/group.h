/*
 * group.h - the coordinator of the consumer group: members that beat and fall silent, generations,
 * partitions that are taken back and given to others, commits. Cooperative, or eager: then
 * everything is taken back first. A member has the partitions that the group sent to it. A silent
 * member is expelled, and learns of it with its next heartbeat.
 */
#ifndef SIM_GROUP_H
#define SIM_GROUP_H

#include "broker.h"
#include "clock.h"
#include "schema.h"

enum { SIM_NOBODY = -1 };

typedef struct sim_member {
    uint64_t id; /* 0: no member; another with each time it joins */
    int64_t heard_us;
} sim_member;

typedef struct sim_group {
    uint32_t generation;
    sim_member members[SIM_PROCESSES_MAX]; /* by process */
    int32_t owner[SIM_PARTITIONS_MAX];     /* process */
    int32_t target[SIM_PARTITIONS_MAX];
    bool is_revoking[SIM_PARTITIONS_MAX];
    int64_t revoked_us[SIM_PARTITIONS_MAX];
    /* everything up to here, as the members say; -1: nothing */
    int64_t committed[SIM_PARTITIONS_MAX];
} sim_group;

void sim_group_begin(sim_world *world);
/* Shuffles the assignment. */
void sim_group_rebalance(sim_world *world);

/* ---- what members send; each arrives at once: the sender has planned the delay ---- */

uint64_t sim_group_join(sim_world *world, uint32_t process);
void sim_group_leave(sim_world *world, uint32_t process);
/* False: not a member, it was expelled. */
bool sim_group_beat(sim_world *world, uint32_t process, uint64_t member);
void sim_group_give_back(sim_world *world, uint32_t process, uint64_t member, uint32_t partition);
/* False: refused. */
bool sim_group_commit(sim_world *world, uint32_t process, uint64_t member, uint32_t partition,
                      int64_t offset);

#endif
