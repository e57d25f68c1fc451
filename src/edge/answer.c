#include "edge/internal.h"

#include <stdio.h>
#include <string.h>

static const char json_type[] = "application/json";

static const struct {
    int status;
    const char *word;
    const char *headers;
} codes[EDGE_CODE_COUNT] = {
    [EDGE_BAD_REQUEST] = {400, "bad_request", NULL},
    [EDGE_BAD_JSON] = {400, "bad_json", NULL},
    [EDGE_NO_ROUTE] = {404, "no_route", NULL},
    [EDGE_METHOD_NOT_ALLOWED] = {405, "method_not_allowed", NULL},
    [EDGE_TOO_LARGE] = {413, "too_large", NULL},
    [EDGE_UNSUPPORTED_MEDIA_TYPE] = {415, "unsupported_media_type", NULL},
    [EDGE_INVALID] = {422, "invalid", NULL},
    [EDGE_OVERLOADED] = {503, "overloaded", "Retry-After: 1\r\n"},
    [EDGE_UNAVAILABLE] = {503, "unavailable", "Retry-After: 1\r\n"},
    [EDGE_UNKNOWN] = {504, "unknown", NULL},
};

/* ---- metrics ---- */

static void register_answer(edge_metrics *metrics, leat_metrics *registry, int status)
{
    for (uint32_t i = 0; i < metrics->answer_count; i++)
        if (metrics->answers[i].status == status)
            return;
    LEAT_ASSERT(metrics->answer_count < EDGE_STATUSES_MAX);
    char label[16];
    snprintf(label, sizeof label, "code=\"%d\"", status);
    metrics->answers[metrics->answer_count].status = status;
    metrics->answers[metrics->answer_count++].counter =
        leat_metrics_counter(registry, "leat_requests_total",
                             "Write requests by the status code of their answer.", label);
}

void edge_metrics_register(edge_metrics *metrics, leat_metrics *registry)
{
    register_answer(metrics, registry, 202); /* first: it is looked up by a walk, and nearly every
                                                answer is one */
    for (int i = 0; i < EDGE_CODE_COUNT; i++)
        register_answer(metrics, registry, codes[i].status);
    metrics->durable =
        leat_metrics_histogram(registry, "leat_accept_to_durable_seconds",
                               "From a request's last byte to its record being durable.", NULL);
    metrics->in_flight = leat_metrics_gauge(registry, "leat_edge_in_flight",
                                            "Requests that wait for the log.", NULL, 1);
    metrics->connections =
        leat_metrics_gauge(registry, "leat_edge_connections", "Open client connections.", NULL, 1);
    metrics->log_silent_ms =
        leat_metrics_gauge(registry, "leat_edge_log_silent_seconds",
                           "How long no broker has answered the edge; 0: they answer.", NULL, 1000);
    metrics->log_renewals =
        leat_metrics_counter(registry, "leat_edge_log_clients_renewed_total",
                             "Clients of the log that another one took the place of.", NULL);
    metrics->accepted = leat_metrics_counter(registry, "leat_edge_connections_accepted_total",
                                             "Client connections accepted.", NULL);
    metrics->refused =
        leat_metrics_counter(registry, "leat_edge_connections_refused_total",
                             "Client connections refused because there were too many.", NULL);
    metrics->malformed = leat_metrics_counter(registry, "leat_edge_malformed_total",
                                              "Requests refused for breaking HTTP or its limits.",
                                              NULL);
    metrics->timeouts = leat_metrics_counter(registry, "leat_edge_timeouts_total",
                                             "Clients cut off because they were too slow.", NULL);
    for (leat_log_refusal cause = 0; cause < LEAT_REFUSAL_COUNT; cause++) {
        char label[64];
        snprintf(label, sizeof label, "cause=\"%s\"", leat_log_refusal_name(cause));
        metrics->refusals[cause] =
            leat_metrics_counter(registry, "leat_log_refusals_total",
                                 "Records that the log did not take, by cause.", label);
    }
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
    show_log(edge);
    const leat_http_counters *count = leat_http_count(edge->http);
    leat_gauge_set(edge->metrics.connections, (int64_t)count->open);
    leat_count_to(edge->metrics.accepted, count->connections);
    leat_count_to(edge->metrics.refused, count->refused);
    leat_count_to(edge->metrics.malformed, count->malformed);
    leat_count_to(edge->metrics.timeouts, count->timeouts);
    for (leat_log_refusal cause = 0; cause < LEAT_REFUSAL_COUNT; cause++)
        leat_count_to(edge->metrics.refusals[cause], leat_log_writer_refusals(edge->writer, cause));
}

static void count_answer(leat_edge *edge, int status)
{
    for (uint32_t i = 0; i < edge->metrics.answer_count; i++) {
        if (edge->metrics.answers[i].status == status) {
            leat_count(edge->metrics.answers[i].counter, 1);
            return;
        }
    }
}

/* ---- answers ---- */

static leat_slice text_of(const leat_edge *edge)
{
    if (edge->text.failed) /* the status still tells the truth */
        return (leat_slice){"", 0};
    return (leat_slice){edge->text.data, edge->text.size};
}

void edge_answer_prepare(leat_edge *edge)
{
    leat_buf *head = &edge->accepted_head;
    leat_buf_text(head, "{\"topic\":");
    leat_buf_json_string(head, leat_slice_of(edge->config.log.topic));
    leat_buf_text(head, ",\"partition\":");
    LEAT_ASSERT(!head->failed);
}

void edge_answer_accepted(leat_edge *edge, leat_http_request *request, uint32_t partition,
                          int64_t offset)
{
    leat_buf *text = &edge->text;
    leat_buf_clear(text);
    leat_buf_append(text, edge->accepted_head.data, edge->accepted_head.size);
    leat_buf_uint(text, partition);
    leat_buf_slice(text, LEAT_SLICE(",\"offset\":"));
    leat_buf_uint(text, (uint64_t)offset);
    leat_buf_byte(text, '}');
    count_answer(edge, 202);
    leat_http_answer(request, 202, json_type, text_of(edge), NULL);
}

static void write_error(leat_edge *edge, edge_code code, const char *field, const char *message)
{
    leat_buf *text = &edge->text;
    leat_buf_clear(text);
    leat_buf_text(text, "{\"error\":\"");
    leat_buf_text(text, codes[code].word);
    leat_buf_text(text, "\",\"field\":");
    if (field && *field)
        leat_buf_json_string(text, leat_slice_of(field));
    else
        leat_buf_text(text, "null");
    leat_buf_text(text, ",\"message\":");
    leat_buf_json_string(text, leat_slice_of(message));
    leat_buf_byte(text, '}');
}

void edge_answer_error(leat_edge *edge, leat_http_request *request, edge_code code,
                       const char *field, const char *message)
{
    write_error(edge, code, field, message);
    count_answer(edge, codes[code].status);
    leat_http_answer(request, codes[code].status, json_type, text_of(edge), codes[code].headers);
}

void edge_answer_method(leat_edge *edge, leat_http_request *request, const char *allow)
{
    char header[64];
    int size = snprintf(header, sizeof header, "Allow: %s\r\n", allow);
    LEAT_ASSERT(size > 0 && (size_t)size < sizeof header);
    char message[96];
    snprintf(message, sizeof message, "this path takes %s", allow);
    write_error(edge, EDGE_METHOD_NOT_ALLOWED, NULL, message);
    count_answer(edge, codes[EDGE_METHOD_NOT_ALLOWED].status);
    leat_http_answer(request, codes[EDGE_METHOD_NOT_ALLOWED].status, json_type, text_of(edge),
                     header);
}

void edge_answer_health(leat_edge *edge, leat_http_request *request, bool fine, leat_slice reason,
                        leat_slice degraded)
{
    leat_buf *text = &edge->text;
    leat_buf_clear(text);
    leat_buf_printf(text, "{\"status\":\"%s\"",
                    !fine               ? "unready"
                    : degraded.size > 0 ? "degraded"
                                        : "ok");
    if (!fine) {
        leat_buf_text(text, ",\"reason\":");
        leat_buf_json_string(text, reason);
    }
    if (degraded.size > 0) {
        leat_buf_text(text, ",\"degraded\":[");
        leat_buf_slice(text, degraded);
        leat_buf_byte(text, ']');
    }
    leat_buf_byte(text, '}');
    bool asks_options = leat_http_request_method(request) == LEAT_HTTP_OPTIONS;
    leat_http_answer(request, fine ? 200 : 503, json_type, text_of(edge),
                     asks_options ? "Allow: " edge_health_methods "\r\n" : NULL);
}
