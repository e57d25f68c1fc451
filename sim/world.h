/*
 * world.h - a whole pipeline in one thread on virtual time: clients and edges, a log, a consumer
 * group, processes with the production worker in them, shards. The implementations of log.h,
 * sink.h, http/http.h and the clock are simulated; edge, worker, engine, fold and progress are the
 * production code. Everything follows from the seed and the options.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "broker.h"
#include "client.h"
#include "clock.h"
#include "edges.h"
#include "group.h"
#include "modes.h"
#include "options.h"
#include "params.h"
#include "process.h"
#include "schema.h"
#include "server.h"
#include "sometimes.h"
#include "story.h"

enum { SIM_SERVERS_MAX = 64 }; /* of one shard, over its failovers */

/* A shard: the server that connections lead to, and the ones before it. */
typedef struct sim_shard {
    sim_server *primary;
    sim_server *old;      /* a primary that lives on beside the new one; NULL: none */
    uint32_t kept;        /* commits that no failover takes back */
    uint64_t parked_size; /* what the table of parked records takes up: disk.h */
    sim_server *all[SIM_SERVERS_MAX];
    uint32_t count;
} sim_shard;

typedef struct sim_list {
    void **items;
    uint32_t count;
    uint32_t capacity;
} sim_list;

struct sim_world {
    uint64_t seed;
    leat_prng prng;
    sim_options options;
    sim_clock clock;
    sim_story story;
    sim_sometimes *sometimes;
    sim_schema schema;
    sim_broker broker;
    sim_group group;
    sim_shard shards[SIM_SHARDS_MAX];
    sim_process processes[SIM_PROCESSES_MAX];
    uint32_t process_count;
    sim_process *starting; /* the owner of logs and sinks that are made now */
    sim_clients clients;
    sim_edges edges;
    sim_floods floods;
    sim_modes modes;
    sim_list pipelines; /* freed with the world, as what follows */
    sim_list commits;
    sim_list garbage;
    bool is_mended;    /* what was stuck all the time no longer is: records that ended their session
                          are written like others, and no row is locked */
    bool is_healing;   /* nothing goes wrong any longer */
    bool is_ending;    /* processes that end are not started again */
    int64_t healed_us; /* how long it took until all was applied */
    uint64_t serial;   /* for everything that needs a unique number */
    uint64_t events;
};

/* Ends with true, or with false and world.story filled. `world` is the caller's memory; it must be
 * given to sim_world_end. */
bool sim_world_run(sim_world *world, uint64_t seed, const sim_options *options,
                   sim_sometimes *sometimes, bool trace);
void sim_world_end(sim_world *world);

/* ---- for the modules ---- */

sim_world *sim_world_running(void);
uint32_t sim_below(sim_world *world, uint32_t bound);
/* With a share in thousandths, never while healing. */
bool sim_chance(sim_world *world, int64_t thousandths);
/* A length of time around `mean`: mostly near, now and then several times as long. */
int64_t sim_around(sim_world *world, int64_t mean);
int64_t sim_latency_us(sim_world *world);
void sim_list_add(sim_list *list, void *item);

uint32_t sim_world_shard_of(const sim_world *world, uint32_t partition);
/* How much longer a statement takes for each row of a tenant, on average, as the server has it when
 * it is not slow. */
int64_t sim_row_us(const sim_world *world, uint32_t app);
/* Everything up to here is applied in every database that the partition's shard could go on
 * with. */
int64_t sim_world_safe_low(const sim_world *world, uint32_t partition);

#endif
