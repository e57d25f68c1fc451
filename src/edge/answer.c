/*
 * answer.c - the edge's answers. The body of a 202 is built by hand: every write gets one, it is
 * two numbers after a fixed text, and a JSON writer would cost more than the rest of the answer. An
 * answer for which there is no memory goes out without its body: the status still tells the truth,
 * and that is what a client goes by.
 */
#include "edge/trace.h"

#include <inttypes.h>
#include <stdio.h>

static leat_slice text_of(const leat_edge *edge)
{
    if (edge->text.failed)
        return (leat_slice){"", 0};
    return (leat_slice){edge->text.data, edge->text.size};
}

/* Counts it, and gives the text as its body. */
static void answer(leat_edge *edge, leat_http_request *request, leat_http_code code,
                   const char *headers)
{
    LEAT_ASSERT(code < LEAT_HTTP_CODE_COUNT && edge->metrics.answers[code]);
    leat_count(edge->metrics.answers[code], 1);
    edge_trace_answered(edge, request, code);
    leat_http_answer(request, code, leat_http_body_type(code), text_of(edge), headers);
}

void edge_answer_prepare(leat_edge *edge)
{
    leat_buf *head = &edge->accepted_head;
    leat_buf_text(head, "\"topic\":");
    leat_buf_json_string(head, leat_slice_of(edge->config.log.topic));
    leat_buf_text(head, ",\"partition\":");
    LEAT_ASSERT(!head->failed);
}

void edge_write_token(const leat_edge *edge, leat_buf *text, const leat_write_place *place)
{
    char token[LEAT_WRITE_TOKEN_SIZE];
    if (!edge->config.writes.waits)
        return;
    leat_write_token_write(edge->config.writes.source, place, token);
    leat_buf_slice(text, LEAT_SLICE(",\"token\":\""));
    leat_buf_append(text, token, sizeof token);
    leat_buf_byte(text, '"');
}

/* `"topic":...,"partition":...,"offset":...` and the token, after a brace or comma. */
static void write_place(leat_edge *edge, const leat_write_place *place)
{
    leat_buf *text = &edge->text;
    LEAT_ASSERT(place->partition < edge->partition_count && edge->accepted_head.size > 0);
    leat_buf_append(text, edge->accepted_head.data, edge->accepted_head.size);
    leat_buf_uint(text, place->partition);
    leat_buf_slice(text, LEAT_SLICE(",\"offset\":"));
    leat_buf_uint(text, (uint64_t)place->offset);
    edge_write_token(edge, text, place);
}

/* RateLimit fields as of draft-ietf-httpapi-ratelimit-headers-10: q is the quota, w its window in
 * seconds, r what is left, t when there will be more. Returns their size. */
static int write_rate(const edge_policy *policy, uint64_t left, int64_t after_s, char *ret,
                      size_t size)
{
    return snprintf(
        ret, size, "RateLimit-Policy: \"%s\";q=%llu;w=%llu\r\nRateLimit: \"%s\";r=%llu;t=%lld\r\n",
        policy->name, (unsigned long long)policy->quota, (unsigned long long)policy->window_s,
        policy->name, (unsigned long long)left, (long long)after_s);
}

enum { LEFT_SIZE = 256 };

/* The headers of the limit that is nearest; NULL: there is none. */
static const char *write_left(const leat_edge *edge, const edge_left *left, char ret[LEFT_SIZE])
{
    if (!left->is_limited)
        return NULL;
    edge_policy policy = edge_admission_policy(edge, left->limit);
    int size = write_rate(&policy, left->count, left->full_s, ret, LEFT_SIZE);
    LEAT_ASSERT(size > 0 && size < LEFT_SIZE);
    return ret;
}

void edge_answer_accepted(leat_edge *edge, leat_http_request *request,
                          const leat_write_place *place, const edge_left *left)
{
    char headers[LEFT_SIZE];
    leat_buf *text = &edge->text;
    leat_buf_clear(text);
    leat_buf_byte(text, '{');
    write_place(edge, place);
    leat_buf_byte(text, '}');
    answer(edge, request, LEAT_HTTP_ACCEPTED, write_left(edge, left, headers));
}

void edge_write_message(leat_buf *text, const char *message)
{
    if (!*message)
        return;
    leat_buf_slice(text, LEAT_SLICE(",\"message\":"));
    leat_buf_json_string(text, leat_slice_of(message));
}

#define REPEAT_HEADER "Idempotent-Replayed: true\r\n"

void edge_answer_applied(leat_edge *edge, leat_http_request *request, const edge_left *left,
                         const char *message)
{
    char limits[LEFT_SIZE], headers[LEFT_SIZE + sizeof REPEAT_HEADER];
    const char *nearest = write_left(edge, left, limits);
    snprintf(headers, sizeof headers, "%s%s", *message ? REPEAT_HEADER : "",
             nearest ? nearest : "");
    leat_buf_clear(&edge->text);
    leat_buf_slice(&edge->text, LEAT_SLICE("{\"state\":\"applied\""));
    edge_write_message(&edge->text, message);
    leat_buf_byte(&edge->text, '}');
    answer(edge, request, LEAT_HTTP_OK, *headers ? headers : NULL);
}

/* ---- what became of a write ---- */

enum { PREFERENCE_SIZE = 96 };

/* Empty where nothing was waited for. */
static const char *preference(uint32_t wait_s, const char *more, char ret[PREFERENCE_SIZE])
{
    int size = wait_s > 0 ? snprintf(ret, PREFERENCE_SIZE,
                                     "%sPreference-Applied: wait=%" PRIu32 "\r\n", more, wait_s)
                          : snprintf(ret, PREFERENCE_SIZE, "%s", more);
    LEAT_ASSERT(size >= 0 && size < PREFERENCE_SIZE);
    return ret;
}

static void write_text_or_null(leat_buf *text, const char *value)
{
    if (*value)
        leat_buf_json_string(text, leat_slice_of(value));
    else
        leat_buf_slice(text, LEAT_SLICE("null"));
}

/* `,"state":"..."`, with an SQLSTATE where one may be. */
static void write_state(leat_edge *edge, const leat_write_answer *state)
{
    leat_buf *text = &edge->text;
    leat_buf_slice(text, LEAT_SLICE(",\"state\":\""));
    leat_buf_text(text, leat_write_state_name(state->state));
    leat_buf_byte(text, '"');
    if (state->state == LEAT_WRITE_PENDING || state->state == LEAT_WRITE_APPLIED)
        return;
    leat_buf_slice(text, LEAT_SLICE(",\"sqlstate\":"));
    write_text_or_null(text, state->sqlstate);
}

static void write_report(leat_edge *edge, const leat_write_place *place,
                         const leat_write_answer *state)
{
    leat_buf *text = &edge->text;
    leat_buf_clear(text);
    leat_buf_byte(text, '{');
    write_place(edge, place);
    write_state(edge, state);
    edge_write_message(text, state->message);
    leat_buf_byte(text, '}');
}

void edge_answer_waited(leat_edge *edge, leat_http_request *request, const leat_write_place *place,
                        const leat_write_answer *state, uint32_t wait_s)
{
    char header[PREFERENCE_SIZE];
    bool is_applied = state->state == LEAT_WRITE_APPLIED;
    write_report(edge, place, state);
    answer(edge, request, is_applied ? LEAT_HTTP_OK : LEAT_HTTP_ACCEPTED,
           preference(wait_s, is_applied && *state->message ? REPEAT_HEADER : "", header));
}

void edge_answer_state(leat_edge *edge, leat_http_request *request, const leat_write_place *place,
                       const leat_write_answer *state, uint32_t wait_s)
{
    char header[PREFERENCE_SIZE];
    write_report(edge, place, state);
    answer(edge, request, LEAT_HTTP_OK, preference(wait_s, "Cache-Control: no-store\r\n", header));
}

/* An object that is whole takes a further member. */
static void reopen(leat_buf *object)
{
    if (object->failed)
        return;
    LEAT_ASSERT(object->size > 0 && object->data[object->size - 1] == '}');
    object->data[object->size - 1] = ',';
}

/* An error as any other, with what a client needs to find the dead letter. */
void edge_answer_dead_letter(leat_edge *edge, leat_http_request *request,
                             const leat_write_place *place, const leat_write_answer *state,
                             uint32_t wait_s)
{
    char header[PREFERENCE_SIZE];
    leat_buf *text = &edge->text;
    leat_buf_clear(text);
    leat_http_error_body(text, LEAT_HTTP_DEAD_LETTER, NULL,
                         *state->message ? state->message : "the database refused the write");
    reopen(text);
    write_place(edge, place);
    write_state(edge, state);
    leat_buf_byte(text, '}');
    answer(edge, request, LEAT_HTTP_DEAD_LETTER, preference(wait_s, "", header));
}

void edge_add_sqlstate(leat_buf *object, const char *sqlstate)
{
    reopen(object);
    leat_buf_slice(object, LEAT_SLICE("\"sqlstate\":"));
    write_text_or_null(object, sqlstate);
    leat_buf_byte(object, '}');
}

void edge_answer_refused(leat_edge *edge, leat_http_request *request, const leat_direct_answer *why)
{
    leat_buf *text = &edge->text;
    leat_buf_clear(text);
    leat_http_error_body(text, LEAT_HTTP_REFUSED, NULL, why->message);
    edge_add_sqlstate(text, why->sqlstate);
    answer(edge, request, LEAT_HTTP_REFUSED, NULL);
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

void edge_answer_refusal(leat_edge *edge, leat_http_request *request, const edge_refusal *refusal)
{
    answer_error(edge, request, refusal->code, NULL, refusal->message, refusal->headers);
}

void edge_answer_limited(leat_edge *edge, leat_http_request *request, const char *message,
                         int64_t after_s, const edge_policy *policy)
{
    char headers[256];
    int size = snprintf(headers, sizeof headers, "Retry-After: %lld\r\n", (long long)after_s);
    if (policy)
        size += write_rate(policy, 0, after_s, headers + size, sizeof headers - (size_t)size);
    LEAT_ASSERT(size > 0 && (size_t)size < sizeof headers);
    answer_error(edge, request, LEAT_HTTP_LIMITED, NULL, message, headers);
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
