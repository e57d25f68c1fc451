/*
 * edges.c - the edges' lives. Those that wait when an edge ends are answered 504, which says as
 * much as no answer.
 */
#include "edges.h"

#include <stdlib.h>

#include "base/loop.h"
#include "direct.h"
#include "world.h"

static sim_edge *new_life(sim_world *world, uint32_t index)
{
    sim_edges *edges = &world->edges;
    sim_edge *edge = leat_must_calloc(1, sizeof *edge);
    *edge = (sim_edge){.index = index,
                       .is_alive = true,
                       .board = sim_modes_board(world),
                       .metrics = leat_metrics_new()};
    edges->lives = realloc(edges->lives, (edges->life_count + 1) * sizeof(sim_edge *));
    LEAT_ASSERT(edges->lives);
    edges->lives[edges->life_count++] = edge;
    return edge;
}

static void start(sim_world *world, uint32_t index)
{
    sim_edge *edge = new_life(world, index);
    leat_edge_config config = {
        .log = {.topic = "writes"},
        .layout = &world->schema.catalog.layout,
        .schema_versions = world->schema.schema_versions,
        .in_flight_max = 20000,
        .batches_max = 1,
        .idempotency_ms = 24 * 3600 * 1000,
        .ready_age_ms = 5000,
        .floods = world->floods.controls,
        .modes = edge->board,
        .direct = sim_direct_source(world),
        .metrics = edge->metrics,
    };
    leat_error error;
    world->edges.starting = edge;
    edge->edge = leat_edge_new(&world->edges.loop, &config, &error);
    LEAT_ASSERT(edge->edge);
    world->edges.starting = NULL;
    world->edges.at[index] = edge;
    sim_modes_watch(world, edge);
}

sim_edge *sim_edges_any(sim_world *world)
{
    uint32_t count = world->edges.count;
    return world->edges.at[count > 1 ? sim_below(world, count) : 0];
}

void sim_edges_crash(sim_world *world)
{
    sim_edge *edge = sim_edges_any(world);
    sim_trace(world, "edge %u ends, and another one takes its place", edge->index);
    world->sometimes->count[SOMETIMES_EDGE_CRASHED]++;
    edge->is_alive = false;
    world->edges.at[edge->index] = NULL; /* a checker may end the world before there is another */
    leat_edge_free(edge->edge);
    start(world, edge->index);
}

void sim_edges_begin(sim_world *world)
{
    uv_loop_init(&world->edges.loop);
    world->edges.count = (uint32_t)world->options.values[OPT_EDGES];
    for (uint32_t i = 0; i < world->edges.count; i++)
        start(world, i);
}

void sim_edges_end(sim_world *world)
{
    sim_edges *edges = &world->edges;
    for (uint32_t i = 0; i < edges->count; i++)
        leat_edge_free(edges->at[i] ? edges->at[i]->edge : NULL);
    leat_loop_end(&edges->loop);
    for (uint32_t i = 0; i < edges->life_count; i++) {
        leat_modes_free(edges->lives[i]->board);
        leat_metrics_free(edges->lives[i]->metrics);
        free(edges->lives[i]);
    }
    free(edges->lives);
}
