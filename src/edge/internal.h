/*
 * internal.h - what the edge's files share: edge.c decides what a request means, answer.c writes
 * the answers, metrics.c counts them, health.c knows whether writes are taken, admission.c who
 * writes too often.
 */
#ifndef LEAT_EDGE_INTERNAL_H
#define LEAT_EDGE_INTERNAL_H

#include "base/shares.h"
#include "edge/buckets.h"
#include "edge/edge.h"
#include "ops/health.h"
#include "record/body.h"

typedef struct edge_metrics {
    leat_counter *answers[LEAT_HTTP_CODE_COUNT]; /* NULL: not an answer to a write */
    leat_histogram *durable;
    leat_gauge *in_flight;
    leat_gauge *connections;
    leat_gauge *log_silent_ms;
    leat_counter *log_renewals;
    leat_counter *accepted;
    leat_counter *refused;
    leat_counter *malformed;
    leat_counter *timeouts;
    leat_counter *http_1, *http_2; /* connections */
    leat_counter *streams;
    leat_counter *tls_handshakes, *tls_resumed, *tls_failures;
    leat_counter *refusals[LEAT_REFUSAL_COUNT];
    leat_counter *limited_tenant, *limited_key, *limited_parked, *limited_lag;
} edge_metrics;

/* Texts of names that were refused; a later one may take the place of an earlier one. */
enum { EDGE_REFUSED_NAMES = 16 };
typedef struct edge_refused_name {
    uint64_t name;
    uint32_t size;
    char text[128]; /* cut */
} edge_refused_name;
typedef struct edge_refused {
    edge_refused_name names[EDGE_REFUSED_NAMES];
} edge_refused;

/* The tenants of a shard that are refused for now. */
typedef struct edge_floods {
    leat_control_set *set; /* held; NULL: none yet */
    uint32_t version;
} edge_floods;

typedef struct edge_admission {
    edge_floods floods[LEAT_SHARDS_MAX];
    leat_buckets tenants, keys;
    edge_refused refused_tenants, refused_keys;
    int64_t reported_us;
} edge_admission;

/* Its life; edge.c has the legal edges. */
typedef enum edge_state {
    EDGE_OPEN,
    EDGE_DRAINING,  /* no new connections */
    EDGE_ANSWERING, /* no connections, but records of clients that went away still wait */
    EDGE_DRAINED,   /* and the owner knows */
    EDGE_FREED,     /* its handles are being closed */
} edge_state;

struct leat_edge {
    leat_edge_config config;
    leat_http_server *http;
    leat_log_writer *writer;
    uv_timer_t tick;
    uint32_t in_flight;
    uint32_t partition_count;
    uint64_t *in_flight_of; /* by partition */
    leat_shares shares;     /* of in_flight_max */
    int64_t begun_us;
    int64_t taken_us; /* when the log last took a record; 0: never */
    edge_state state;
    bool is_failure_reported;
    void (*on_drained)(void *context);
    void *drained_context;
    leat_body_parser *parser;
    edge_admission admission;
    edge_metrics metrics;
    leat_buf text;          /* of the answer being written */
    leat_buf accepted_head; /* the start of every 202: {"topic":"...","partition": */
    /* Of the request that is being handled; here because they are large for a stack frame. */
    leat_key key;
    leat_body body;
};

void edge_metrics_register(edge_metrics *metrics, leat_metrics *registry);
void edge_metrics_show(leat_edge *edge);

void edge_answer_prepare(leat_edge *edge);
void edge_answer_accepted(leat_edge *edge, leat_http_request *request, uint32_t partition,
                          int64_t offset);
/* `field` NULL or "": it is not about one field. */
void edge_answer_error(leat_edge *edge, leat_http_request *request, leat_http_code code,
                       const char *field, const char *message);
/* 429; `after_s`: when it may come again. */
void edge_answer_limited(leat_edge *edge, leat_http_request *request, const char *message,
                         int64_t after_s);
void edge_answer_method(leat_edge *edge, leat_http_request *request, const char *allow);
#define EDGE_HEALTH_METHODS "GET, HEAD, OPTIONS"
/* /healthz and /readyz; not counted. */
void edge_answer_health(leat_edge *edge, leat_http_request *request, const leat_health *health);

void edge_admission_init(leat_edge *edge);
void edge_admission_fini(leat_edge *edge);
/* May the write of edge->key be taken by the limits of its key and its tenant? Answers it and
 * returns false when not. */
bool edge_admission_admit(leat_edge *edge, leat_http_request *request, const leat_route *route,
                          uint32_t partition);
/* Logs who was refused most often, once a minute. */
void edge_admission_report(leat_edge *edge);

/* Fills it in: is the edge ready, and which partitions and shards are in trouble all the same? */
void edge_health_check(const leat_edge *edge, leat_health *health);

#endif
