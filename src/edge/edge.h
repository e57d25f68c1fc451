/*
 * edge.h - the write endpoint: a request becomes a record in the log, then 202. It checks names and
 * types against the tables, writes the key in canonical form, chooses the partition, and tells the
 * truth: 202 is durable in the log, 4xx certainly not stored, 503 not stored (retry), 504 unknown.
 * docs/http.md has every answer.
 *
 * One edge is one thread: its own loop, HTTP server and log writer. Nothing is shared with workers.
 */
#ifndef LEAT_EDGE_H
#define LEAT_EDGE_H

#include "http/http.h"
#include "log/log.h"
#include "ops/metrics.h"
#include "record/schema_versions.h"

typedef struct leat_edge leat_edge;

typedef struct leat_edge_config {
    leat_http_config http;
    leat_log_config log;
    const leat_log_identity *identity; /* the log that was set up; NULL: whatever is found. Used by
                                          leat_edge_new only */
    const leat_layout *layout;         /* outlives the edge, as the schema_versions does */
    leat_schema_versions *schema_versions; /* paths and keys as shard 0 has them, bodies as the
                                              shard that will get the write has */
    uint32_t in_flight_max;                /* requests waiting for the log, above 0; shared by the
                                              partitions (shares.h); beyond: 503 with Retry-After */
    int64_t ready_age_ms;     /* a record that waits longer for the log is trouble of its partition;
                                 above 0 */
    int64_t catalog_stale_ms; /* a shard whose tables were not looked at for so long is listed by
                                 /readyz; 0: none is */
    leat_metrics *metrics;
    void (*on_failed)(void *context, const char *why); /* the log answers nothing and nothing has
                                                          helped: once; may be NULL */
    void *failed_context;
} leat_edge_config;

leat_edge *leat_edge_new(uv_loop_t *loop, const leat_edge_config *config, leat_error *error);
int leat_edge_port(const leat_edge *edge);
/* Would /readyz say 200? Else `why` gets the reason. It would while writes are taken for some
 * partition. Loop's thread. */
bool leat_edge_ready(const leat_edge *edge, leat_buf *why);
/* No new connections; every accepted request is answered; then `on_drained`. */
void leat_edge_drain(leat_edge *edge, void (*on_drained)(void *context), void *context);
/* After drain or at once (then waiting requests are dropped without an answer: unknown to their
 * clients). Its memory goes when the loop has run the closes. */
void leat_edge_free(leat_edge *edge);

#endif
