/*
 * modes.h - a route whose keys go into the log or into the database, and change that while they are
 * written (docs/design/modes.md): `ordered`, in worlds with the option `mode`. The rows of
 * leat.modes, edges that read them now and then, and the command that moves keys. The edges are the
 * production edge, with its leases; what they hand over to the database is direct.h.
 */
#ifndef SIM_MODES_H
#define SIM_MODES_H

#include "direct.h"
#include "edges.h"
#include "record/mode.h"

/* A row of leat.modes. */
typedef struct sim_mode {
    leat_mode_setting setting;
    uint32_t before; /* the version that it took the place of; 0: none */
} sim_mode;

typedef enum sim_mode_step {
    STEP_ACKNOWLEDGED, /* what it has begun is committed, and it knows */
    STEP_LOCKS,        /* waits for writes to the database */
    STEP_LOG,          /* and for the log */
    STEP_SETTLE,
} sim_mode_step;

/* `leat mode set` at work in a shard. */
typedef struct sim_mode_command {
    uint64_t life; /* 0: nobody is at it */
    sim_mode wanted;
    int64_t *ends; /* of the log, by partition; the world's */
} sim_mode_command;

typedef struct sim_modes {
    sim_mode_command *commands; /* by shard */
    sim_directs directs;
} sim_modes;

void sim_modes_begin(sim_world *world);
void sim_modes_end(sim_world *world);
/* Is a route of this world live? Is this one? */
bool sim_modes_are_on(const sim_world *world);
bool sim_modes_is_live(const sim_world *world, const char *route);
/* What an edge has before it has read anything, the caller's to free; NULL: no route is live. And
 * it begins to read. */
leat_modes *sim_modes_board(const sim_world *world);
void sim_modes_watch(sim_world *world, sim_edge *edge);
/* Somebody gives the command, or gives it up and gives another one. */
void sim_modes_change(sim_world *world);
/* By how much a message to the log, its answer, a read of the row or a statement of such a write is
 * late now and then. */
int64_t sim_modes_late_us(sim_world *world);

/* check_modes.c: the checker `modes`: what goes to the database finds nothing of its row in the log
 * that somebody was told of and that is not applied; and whoever is told that a write is in the log
 * has none of its row in the database. */
void sim_check_let_through(sim_world *world, const sim_server *server, uint32_t row);
void sim_check_told_logged(sim_world *world, uint32_t row);
/* So many records of the row are applied there. */
uint32_t sim_check_applied_of_row(const sim_world *world, const sim_server *server, uint32_t row);

#endif
