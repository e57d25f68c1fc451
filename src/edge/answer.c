/*
 * answer.c - the edge's answers, and its metrics, most of which count answers.
 *
 * The body of a 202 is put together by hand: there is one for every write, it is two numbers behind
 * a text that never changes, and a JSON writer would cost more than all of the rest of the answer.
 */
#include "edge/internal.h"

#include <stdio.h>

/* Those that a write request can get from the edge; the server's own refusals are not counted as
 * requests. */
static const leat_http_code counted[] = {
    LEAT_HTTP_ACCEPTED,
    LEAT_HTTP_BAD_REQUEST,
    LEAT_HTTP_BAD_JSON,
    LEAT_HTTP_NO_ROUTE,
    LEAT_HTTP_METHOD_NOT_ALLOWED,
    LEAT_HTTP_TOO_LARGE,
    LEAT_HTTP_UNSUPPORTED_MEDIA_TYPE,
    LEAT_HTTP_INVALID,
    LEAT_HTTP_OVERLOADED,
    LEAT_HTTP_UNAVAILABLE,
    LEAT_HTTP_UNKNOWN,
};

/* ---- metrics ---- */

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
            counter = leat_metrics_counter(registry, "leat_requests_total",
                                           "Write requests by the status code of their answer.",
                                           label);
        metrics->answers[counted[i]] = counter;
    }
}

void edge_metrics_register(edge_metrics *metrics, leat_metrics *registry)
{
    register_answers(metrics, registry);
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

/* ---- answers ---- */

static leat_slice text_of(const leat_edge *edge)
{
    if (edge->text.failed) /* the status still tells the truth */
        return (leat_slice){"", 0};
    return (leat_slice){edge->text.data, edge->text.size};
}

/* Counts it, and gives the text as its body. */
static void answer(leat_edge *edge, leat_http_request *request, leat_http_code code,
                   const char *headers)
{
    LEAT_ASSERT(code < LEAT_HTTP_CODE_COUNT && edge->metrics.answers[code]);
    leat_count(edge->metrics.answers[code], 1);
    leat_http_answer(request, code, LEAT_HTTP_JSON, text_of(edge), headers);
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
    LEAT_ASSERT(partition < edge->partition_count && edge->accepted_head.size > 0);
    leat_buf_clear(text);
    leat_buf_append(text, edge->accepted_head.data, edge->accepted_head.size);
    leat_buf_uint(text, partition);
    leat_buf_slice(text, LEAT_SLICE(",\"offset\":"));
    leat_buf_uint(text, (uint64_t)offset);
    leat_buf_byte(text, '}');
    answer(edge, request, LEAT_HTTP_ACCEPTED, NULL);
}

static void answer_error(leat_edge *edge, leat_http_request *request, leat_http_code code,
                         const char *field, const char *message, const char *headers)
{
    leat_buf_clear(&edge->text);
    leat_http_error_body(&edge->text, code, field, message);
    answer(edge, request, code, headers);
}

void edge_answer_error(leat_edge *edge, leat_http_request *request, leat_http_code code,
                       const char *field, const char *message)
{
    answer_error(edge, request, code, field, message, NULL);
}

void edge_answer_method(leat_edge *edge, leat_http_request *request, const char *allow)
{
    char header[64];
    int size = snprintf(header, sizeof header, "Allow: %s\r\n", allow);
    LEAT_ASSERT(size > 0 && (size_t)size < sizeof header);
    char message[96];
    snprintf(message, sizeof message, "this path takes %s", allow);
    answer_error(edge, request, LEAT_HTTP_METHOD_NOT_ALLOWED, NULL, message, header);
}

void edge_answer_health(leat_edge *edge, leat_http_request *request, const leat_health *health)
{
    leat_buf_clear(&edge->text);
    leat_health_write(health, &edge->text);
    bool asks_options = leat_http_request_method(request) == LEAT_HTTP_OPTIONS;
    leat_http_answer(request, health->unready ? LEAT_HTTP_UNREADY : LEAT_HTTP_OK, LEAT_HTTP_JSON,
                     text_of(edge), asks_options ? "Allow: " EDGE_HEALTH_METHODS "\r\n" : NULL);
}
