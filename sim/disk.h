/*
 * disk.h - what the table of parked records takes up in a shard, of which workers hear now and
 * then. It is set and not counted: from 64 MiB on it matters, and a world parks less than that.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "process.h"

/* What a partition of the shard may park, in bytes. */
uint64_t sim_disk_share(const sim_world *world, uint32_t shard);
/* From this size on only what stalls may be parked, from twice that on nothing. */
uint64_t sim_disk_most(const sim_world *world, uint32_t shard);
/* Somebody's old snapshot keeps what was parked and deleted, for a while. */
void sim_disk_swell(sim_world *world);
/* The process measures it now and then, from now on. */
void sim_disk_follow(sim_world *world, sim_process *process);

#endif
