/*
 * direct.h - writes that are in no log: what an edge hands over to a database, there statement by
 * statement in a transaction of its own, as in src/sink/direct.c and schema.sql. The end of an edge
 * is not the end of what it has sent.
 */
#ifndef SIM_DIRECT_H
#define SIM_DIRECT_H

#include "notes.h"
#include "record/direct.h"

typedef struct sim_world sim_world;
typedef struct sim_server sim_server;
typedef struct sim_direct_job sim_direct_job;

/* A write that is in no log, as a commit has it. */
typedef struct sim_direct_write {
    uint32_t row;
    uint32_t position; /* so many records of its row were applied before */
    leat_route_op op;
    const leat_record *record; /* with the idempotency key that its client has sent */
} sim_direct_write;

/* All that is not answered yet or has a transaction, in the order of the calls. */
typedef struct sim_directs {
    sim_direct_job **jobs;
    uint32_t count, capacity;
} sim_directs;

/* How an edge comes by its way to the databases. */
leat_direct_source sim_direct_source(sim_world *world);
void sim_directs_end(sim_world *world);

/* Of the transactions that this server has now. One that has been let through writes the row; */
bool sim_directs_write(const sim_server *server, uint32_t row);
/* has written it, and is not over; */
bool sim_directs_have_row(const sim_server *server, uint32_t row);
/* has noted that key, and is not over; */
bool sim_directs_have_noted(const sim_server *server, const leat_write_id *id);
/* has the lock of that version of leat.modes. */
bool sim_directs_have_version(const sim_server *server, uint32_t version);

#endif
