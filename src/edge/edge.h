/*
 * edge.h - the write endpoint: a request becomes a record in the log, then 202. The edge checks
 * names and types against the tables, writes the key in canonical form, and chooses the partition.
 * Its answers can be relied on: 202 is durable in the log, 4xx is certainly not stored, 503 is not
 * stored (retry), 504 is unknown. docs/http.md has every answer.
 *
 * One edge is one thread: its own loop, HTTP server and log writer. Nothing is shared with workers.
 */
#ifndef LEAT_EDGE_H
#define LEAT_EDGE_H

#include "auth/auth.h"
#include "http/http.h"
#include "log/log.h"
#include "ops/metrics.h"
#include "record/controls.h"
#include "record/direct.h"
#include "record/mode.h"
#include "record/schema_versions.h"
#include "record/write_waits.h"
#include "trace/tracer.h"

typedef struct leat_edge leat_edge;

/* How often something may write. */
typedef struct leat_edge_rate {
    uint64_t rate;  /* writes a second; 0: as often as it likes */
    uint64_t burst; /* at once; above 0 where the rate is */
} leat_edge_rate;

/* What a client may hear of a write after it was accepted. All of it outlives the edge. */
typedef struct leat_edge_writes {
    uint32_t source;                 /* leat_write_token_source */
    const leat_placement *placement; /* of the source; there where `waits` are */
    leat_write_waits *waits;         /* NULL: nobody waits for a write or asks for it, and a 202 has
                                        no token */
    uint32_t wait_max_s; /* the most that a request may wait; above 0 where there are waits */
} leat_edge_writes;

typedef struct leat_edge_config {
    leat_http_config http;
    leat_log_config log;
    const leat_log_identity *identity; /* the log that was set up; NULL: any log that is found. Used
                                          by leat_edge_new only */
    const leat_layout *layout;         /* outlives the edge, as the schema_versions does */
    leat_schema_versions *schema_versions; /* paths and keys as shard 0 has them, bodies as the
                                              shard that gets the write has them */
    uint32_t in_flight_max;                /* requests waiting for the log, above 0; shared by the
                                              partitions (shares.h); beyond: 503 with Retry-After */
    uint32_t batches_max;                  /* batches being received at once, above 0; a connection
                                              has a quarter of them, or one; beyond: 503 */
    leat_auth *auth;                       /* who may write what; outlives the edge. NULL: everybody
                                              may */
    leat_edge_rate tenant_rate, key_rate;  /* of each tenant, of each row; beyond: 429 with
                                              Retry-After */
    leat_edge_rate token_rate;             /* of each token; only with `auth` */
    int64_t idempotency_ms;                /* lifetime of idempotency keys, above 0 */
    leat_controls *floods; /* tenants whose writes into the log are refused for now: 429, `keep` is
                              Retry-After; outlives the edge. NULL: none are */
    int64_t ready_age_ms;  /* a partition whose record waits longer for the log is in trouble; above
                              0 */
    bool docs;             /* /openapi.json and /docs are there */
    int64_t catalog_stale_ms; /* a shard whose tables were not read for this long is listed by
                                 /readyz; 0: none is */
    leat_edge_writes writes;
    leat_modes *modes;         /* of live routes; outlives the edge. NULL: there are none */
    leat_direct_source direct; /* for routes whose mode is not async */
    leat_tracer *tracer;       /* outlives the edge; NULL: there are no spans */
    leat_metrics *metrics;
    void (*on_failed)(void *context, const char *why); /* the log, which some route needs, does not
                                                          answer and nothing has helped: called
                                                          once; may be NULL */
    void *failed_context;
} leat_edge_config;

leat_edge *leat_edge_new(uv_loop_t *loop, const leat_edge_config *config, leat_error *error);
int leat_edge_port(const leat_edge *edge);
/* Would /readyz answer 200? It does while writes are taken for some partition or, where none goes
 * into the log, by some shard. If not, `why` gets the reason. Loop's thread. */
bool leat_edge_ready(const leat_edge *edge, leat_buf *why);
/* Takes over the certificates of http.tls as they are now; new connections get them. What is bad is
 * reported in the log and changes nothing. Loop's thread. */
void leat_edge_reload(leat_edge *edge);
/* /readyz answers 503 from now on, so that load balancers send their requests elsewhere; whatever
 * comes is served, and each answer closes its connection. leat_edge_drain follows. */
void leat_edge_leave(leat_edge *edge);
/* No new connections; every accepted request is answered; then `on_drained`. */
void leat_edge_drain(leat_edge *edge, void (*on_drained)(void *context), void *context);
/* After drain, or at once: then waiting requests get no answer, and their clients cannot know
 * whether they were written. Its memory is freed when the loop has run the closes. */
void leat_edge_free(leat_edge *edge);

#endif
