/*
 * metrics.c - the edge's metrics. Numbers that the HTTP server and the log's writer keep by
 * themselves are copied a few times a second: neither knows of metrics, and scrapes are rarer than
 * that. Answers are counted as they are given.
 */
#include "edge/internal.h"

#include <stdio.h>

/* Those that a write request can get from the edge; the server's own refusals are not counted as
 * requests. */
static const leat_http_code counted[] = {
    LEAT_HTTP_OK,
    LEAT_HTTP_ACCEPTED,
    LEAT_HTTP_BAD_REQUEST,
    LEAT_HTTP_BAD_JSON,
    LEAT_HTTP_UNAUTHORIZED,
    LEAT_HTTP_FORBIDDEN,
    LEAT_HTTP_NO_ROUTE,
    LEAT_HTTP_NO_WRITE,
    LEAT_HTTP_METHOD_NOT_ALLOWED,
    LEAT_HTTP_TOO_LARGE,
    LEAT_HTTP_UNSUPPORTED_MEDIA_TYPE,
    LEAT_HTTP_INVALID,
    LEAT_HTTP_DEAD_LETTER,
    LEAT_HTTP_REFUSED,
    LEAT_HTTP_LIMITED,
    LEAT_HTTP_OVERLOADED,
    LEAT_HTTP_UNAVAILABLE,
    LEAT_HTTP_UNKNOWN,
};

/* One counter for each status: codes that share a status share it. */
static void register_answers(edge_metrics *metrics, leat_metrics *registry)
{
    for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
        int status = leat_http_codes[counted[i]].status;
        leat_counter *counter = NULL;
        for (size_t k = 0; k < i && !counter; k++)
            if (leat_http_codes[counted[k]].status == status)
                counter = metrics->answers[counted[k]];
        char label[16];
        snprintf(label, sizeof label, "code=\"%d\"", status);
        if (!counter)
            counter = leat_metrics_counter(registry, "leat_requests_total", label);
        metrics->answers[counted[i]] = counter;
    }
}

static void register_waits(edge_metrics *metrics, leat_metrics *registry)
{
    metrics->waiting = leat_metrics_gauge(registry, "leat_edge_waiting", NULL);
    for (leat_write_state state = 0; state < LEAT_WRITE_STATE_COUNT; state++) {
        char label[64];
        snprintf(label, sizeof label, "outcome=\"%s\"", leat_write_state_name(state));
        metrics->waits[state] = leat_metrics_counter(registry, "leat_edge_waits_total", label);
    }
    metrics->waits_refused =
        leat_metrics_counter(registry, "leat_edge_waits_total", "outcome=\"refused\"");
    metrics->questions = leat_metrics_counter(registry, "leat_edge_write_questions_total", NULL);
    metrics->waited = leat_metrics_histogram(registry, "leat_edge_wait_seconds", NULL);
}

static void register_sync(edge_metrics *metrics, leat_metrics *registry)
{
    static const char *const labels[LEAT_DIRECT_OUTCOME_COUNT] = {
        [LEAT_DIRECT_APPLIED] = "outcome=\"applied\"",
        [LEAT_DIRECT_REPEATED] = "outcome=\"repeated\"",
        [LEAT_DIRECT_CONFLICT] = "outcome=\"conflict\"",
        [LEAT_DIRECT_REFUSED] = "outcome=\"refused\"",
        [LEAT_DIRECT_NOT_NOW] = "outcome=\"not_now\"",
        [LEAT_DIRECT_UNKNOWN] = "outcome=\"unknown\""};
    for (leat_direct_outcome i = 0; i < LEAT_DIRECT_OUTCOME_COUNT; i++)
        metrics->sync_writes[i] =
            leat_metrics_counter(registry, "leat_sync_writes_total", labels[i]);
    metrics->shadow_appended =
        leat_metrics_counter(registry, "leat_shadow_writes_total", "outcome=\"appended\"");
    metrics->shadow_lost =
        leat_metrics_counter(registry, "leat_shadow_writes_total", "outcome=\"lost\"");
    metrics->sync_waiting = leat_metrics_gauge(registry, "leat_sync_waiting", NULL);
    metrics->sync_took = leat_metrics_histogram(registry, "leat_sync_seconds", NULL);
}

static void register_limits(edge_metrics *metrics, leat_metrics *registry)
{
    static const char name[] = "leat_edge_limited_total";
    static const char *const labels[] = {[EDGE_LIMIT_TENANT] = "by=\"tenant\"",
                                         [EDGE_LIMIT_KEY] = "by=\"key\"",
                                         [EDGE_LIMIT_TOKEN] = "by=\"token\""};
    for (edge_limit i = 0; i < EDGE_LIMIT_COUNT; i++)
        metrics->limited[i] = leat_metrics_counter(registry, name, labels[i]);
    metrics->limited_parked = leat_metrics_counter(registry, name, "by=\"parked\"");
    metrics->limited_lag = leat_metrics_counter(registry, name, "by=\"lag\"");
}

static void register_refusals(edge_metrics *metrics, leat_metrics *registry)
{
    for (leat_log_refusal cause = 0; cause < LEAT_REFUSAL_COUNT; cause++) {
        char label[64];
        snprintf(label, sizeof label, "cause=\"%s\"", leat_log_refusal_name(cause));
        metrics->refusals[cause] = leat_metrics_counter(registry, "leat_log_refusals_total", label);
    }
}

static void register_connections(edge_metrics *metrics, leat_metrics *registry)
{
    const struct {
        const char *name;
        const char *labels;
        leat_counter **counter;
    } counters[] = {
        {"leat_edge_connections_accepted_total", NULL, &metrics->accepted},
        {"leat_edge_connections_refused_total", NULL, &metrics->refused},
        {"leat_edge_malformed_total", NULL, &metrics->malformed},
        {"leat_edge_timeouts_total", NULL, &metrics->timeouts},
        {"leat_edge_protocol_connections_total", "protocol=\"http/1.1\"", &metrics->http_1},
        {"leat_edge_protocol_connections_total", "protocol=\"h2\"", &metrics->http_2},
        {"leat_edge_streams_total", NULL, &metrics->streams},
        {"leat_edge_tls_handshakes_total", NULL, &metrics->tls_handshakes},
        {"leat_edge_tls_resumed_total", NULL, &metrics->tls_resumed},
        {"leat_edge_tls_failures_total", NULL, &metrics->tls_failures},
    };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++)
        *counters[i].counter = leat_metrics_counter(registry, counters[i].name, counters[i].labels);
    metrics->connections = leat_metrics_gauge(registry, "leat_edge_connections", NULL);
}

static void register_routes(edge_metrics *metrics, leat_metrics *registry,
                            const leat_routes *routes)
{
    for (uint32_t i = 0; i < routes->count; i++) {
        leat_buf label = {0};
        leat_metrics_label(&label, "route", routes->routes[i].name);
        metrics->durable[i] = leat_metrics_histogram(registry, "leat_accept_to_durable_seconds",
                                                     leat_buf_cstr(&label));
        leat_buf_free(&label);
    }
}

static void register_most(const leat_edge_config *config)
{
    const struct {
        const char *labels;
        uint32_t most;
    } limits[] = {{"of=\"in_flight\"", config->in_flight_max},
                  {"of=\"batches\"", config->batches_max},
                  {"of=\"connections\"", config->http.connections_max}};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        leat_gauge_set(leat_metrics_gauge(config->metrics, "leat_edge_limit", limits[i].labels),
                       limits[i].most);
}

void edge_metrics_register(edge_metrics *metrics, const leat_edge_config *config,
                           const leat_routes *routes)
{
    leat_metrics *registry = config->metrics;
    register_most(config);
    register_routes(metrics, registry, routes);
    register_answers(metrics, registry);
    register_waits(metrics, registry);
    register_sync(metrics, registry);
    register_limits(metrics, registry);
    register_refusals(metrics, registry);
    register_connections(metrics, registry);
    metrics->oldest_ms = leat_metrics_gauge(registry, "leat_edge_oldest_in_flight_seconds", NULL);
    metrics->in_flight = leat_metrics_gauge(registry, "leat_edge_in_flight", NULL);
    metrics->batches = leat_metrics_counter(registry, "leat_edge_batches_total", NULL);
    metrics->batches_open = leat_metrics_gauge(registry, "leat_edge_batches_open", NULL);
    metrics->log_silent_ms = leat_metrics_gauge(registry, "leat_edge_log_silent_seconds", NULL);
    metrics->log_renewals =
        leat_metrics_counter(registry, "leat_edge_log_clients_renewed_total", NULL);
    metrics->tokens_verified =
        leat_metrics_counter(registry, "leat_edge_tokens_verified_total", NULL);
}

static void show_log(leat_edge *edge)
{
    leat_log_health health;
    leat_log_writer_health(edge->writer, &health);
    leat_gauge_set(edge->metrics.log_silent_ms, health.silent_ms);
    leat_count_to(edge->metrics.log_renewals, health.renewals);
}

void edge_metrics_show(leat_edge *edge)
{
    int64_t oldest_us = edge_oldest_us(edge);
    leat_gauge_set(edge->metrics.oldest_ms,
                   oldest_us < INT64_MAX ? (leat_mono_us() - oldest_us) / 1000 : 0);
    show_log(edge);
    if (edge->config.writes.waits)
        leat_count_to(edge->metrics.questions,
                      leat_write_waits_questions(edge->config.writes.waits));
    const leat_http_counters *count = leat_http_count(edge->http);
    leat_gauge_set(edge->metrics.connections, (int64_t)count->open);
    leat_count_to(edge->metrics.accepted, count->connections);
    leat_count_to(edge->metrics.refused, count->refused);
    leat_count_to(edge->metrics.malformed, count->malformed);
    leat_count_to(edge->metrics.timeouts, count->timeouts);
    leat_count_to(edge->metrics.http_1, count->http_1);
    leat_count_to(edge->metrics.http_2, count->http_2);
    leat_count_to(edge->metrics.streams, count->streams);
    leat_count_to(edge->metrics.tls_handshakes, count->tls_handshakes);
    leat_count_to(edge->metrics.tls_resumed, count->tls_resumed);
    leat_count_to(edge->metrics.tls_failures, count->tls_failures);
    for (leat_log_refusal cause = 0; cause < LEAT_REFUSAL_COUNT; cause++)
        leat_count_to(edge->metrics.refusals[cause], leat_log_writer_refusals(edge->writer, cause));
}
