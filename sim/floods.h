/*
 * floods.h - whom the edge refuses (429). Workers say of each shard who is loud there, because the
 * shard is late (limits.lag) or full of what is parked; the edge reads that from the shard now and
 * then. Only worlds with a limit of the lag have it.
 */
#ifndef SIM_FLOODS_H
#define SIM_FLOODS_H

#include "broker.h"
#include "edges.h"
#include "record/controls.h"

typedef struct sim_process sim_process;

/* Of those of one kind the words tell which. */
typedef enum sim_loud { LOUD_PARKED, LOUD_LATE, LOUD_KEPT, LOUD_COUNT } sim_loud;

/* What a process has said of a shard last: its row in leat.workers. */
typedef struct sim_said {
    int64_t at_us;
    int64_t wait_s[LOUD_COUNT][SIM_APPS_MAX]; /* 0: the tenant is not loud */
} sim_said;

/* What the edge has read of a tenant in a shard. */
typedef struct sim_refusal {
    int64_t until_us; /* its writes are refused */
    sim_loud why;
} sim_refusal;

typedef struct sim_floods {
    leat_controls *controls; /* NULL: the world has no limit */
    sim_said said[SIM_SHARDS_MAX][SIM_PROCESSES_MAX];
    sim_refusal told[SIM_SHARDS_MAX][SIM_APPS_MAX];
} sim_floods;

/* check_admission.c, of a process: bytes by tenant of what it has read, as its worker has to count
 * them, ... */
typedef struct sim_heard {
    double bytes;
    double of[SIM_APPS_MAX];
    double unclear; /* of them, of records whose tenant the simulator does not know */
    bool has_grown; /* since they were halved last */
} sim_heard;

/* ... and whether a shard is late. */
typedef struct sim_lateness {
    int64_t estimate_ms;
    uint32_t above; /* measures in a row above the limit */
    bool is_late;
    bool was_told[SIM_APPS_MAX]; /* by the report before */
} sim_lateness;

void sim_floods_begin(sim_world *world); /* before the clients */
void sim_floods_end(sim_world *world);   /* after them */
/* The process looks at its shards now and then, from now on. */
void sim_floods_follow(sim_world *world, sim_process *process);
/* Whom a request to this edge is for, and what the edge has been told of it; NULL: nothing, or the
 * request is of no row, or goes into the database. */
struct leat_http_request;
const sim_refusal *sim_floods_find(const sim_world *world, const sim_edge *edge,
                                   const struct leat_http_request *request);
/* Is nobody refused? */
bool sim_floods_are_over(const sim_world *world);

#endif
