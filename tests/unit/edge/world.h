/* world.h - an edge with one table, between a client's socket and a fake log. */
#ifndef TESTS_EDGE_WORLD_H
#define TESTS_EDGE_WORLD_H

#include "edge/edge.h"
#include "fake_log.h"
#include "unit/http/client.h"

typedef struct edge_world {
    uv_loop_t loop;
    leat_schema_versions *schema_versions;
    leat_schema_version *version; /* of the only shard, before the edge opens */
    leat_layout layout;
    int asks; /* for reading the tables */
    leat_metrics *metrics;
    leat_edge_config config;
    leat_edge *edge;
    leat_log_writer *log;
    bool drained;
    test_reader reader;
    test_answer answer;
} edge_world;

/* The fixture's table, on the route /apps/{app_id}/devices/{device}. */
leat_schema_version *version_new(void);
/* Counts a wish for a new reading of the tables; the context is the world. */
void on_ask(void *context);
/* Change world->config and world->version, then open. */
edge_world *world_new(void);
/* And connects. */
void world_open(edge_world *world);
void world_connect(edge_world *world);
void world_free(edge_world *world);
/* `headers`: whole lines; "PUT /a", "", "{}". */
void send_request(edge_world *world, const char *line, const char *headers, const char *body);
void expect_answer(edge_world *world, int status);
void expect_start(const edge_world *world, const char *start);
/* The record number `count`, once the log has got it. */
const fake_record *wait_record(edge_world *world, uint32_t count);

#endif
