/*
 * faults.h - the faults, each kind with a rate of its own, until the world heals.
 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "clock.h"

void sim_faults_begin(sim_world *world);
/* Nothing goes wrong from now on; databases are well again, and processes that are frozen or cut
 * off are soon. */
void sim_faults_heal(sim_world *world);
/* Nothing is stuck any longer either. */
void sim_faults_mend(sim_world *world);

/* Perhaps a failover comes in a moment, behind a pooler that hides it, and the shard loses what was
 * committed from that commit on. */
void sim_faults_lose_soon(sim_world *world, uint32_t shard, uint32_t commit);

/* controls.c: skips or holds a tenant or a row for a while. */
void sim_controls_block(sim_world *world);

#endif
