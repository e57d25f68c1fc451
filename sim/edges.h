/*
 * edges.h - the edges that clients write through: the production edge on a simulated HTTP server
 * and log writer (http.c, writer.c), with a way of its own to the database (direct.c) and what it
 * has read of leat.modes (modes.c). An edge may end at any moment, and another one takes its place
 * at once: who waits for an answer gets none, and what was sent is under way all the same.
 */
#ifndef SIM_EDGES_H
#define SIM_EDGES_H

#include "edge/edge.h"

typedef struct sim_world sim_world;

enum { SIM_EDGES_MAX = 2 };

/* The life of one. Kept until the world ends. */
typedef struct sim_edge {
    uint32_t index;
    bool is_alive;
    leat_edge *edge;
    leat_http_server *server;
    leat_modes *board; /* NULL: no route of this world is live */
    leat_metrics *metrics;
} sim_edge;

typedef struct sim_edges {
    uv_loop_t loop; /* of all of them; run only to close it */
    uint32_t count;
    sim_edge *at[SIM_EDGES_MAX];
    sim_edge *starting; /* the owner of what is made now */
    sim_edge **lives;
    uint32_t life_count;
} sim_edges;

void sim_edges_begin(sim_world *world);
void sim_edges_end(sim_world *world);
/* One of them, as a load balancer has it. */
sim_edge *sim_edges_any(sim_world *world);
/* One ends at once. */
void sim_edges_crash(sim_world *world);

#endif
