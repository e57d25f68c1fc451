/* The trace of a request: what goes into its record, and the spans of the edge. They are looked at
 * in the tracer's queue, because no thread of it runs. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/tracer_state.h"
#include "world.h"

#define TRACE  "0af7651916cd43dd8448eb211c80319c"
#define CALLER "b7ad6b7169203331"
#define PATH   "/apps/1/devices/x"
#define BODY   "{\"sessions\":1}"

static edge_world *traced_world(double sample, uint32_t forced)
{
    edge_world *world = world_new();
    leat_error error;
    const leat_tracer_config config = {.endpoint = "http://127.0.0.1:1/",
                                       .service = "leat",
                                       .sample = sample,
                                       .forced_per_second = forced,
                                       .queue = 16,
                                       .metrics = world->metrics};
    world->config.in_flight_max = 1000; /* a partition has a share of it */
    world->config.tracer = leat_tracer_new(&config, &error);
    ck_assert_ptr_nonnull(world->config.tracer);
    world_open(world);
    return world;
}

static void end_world(edge_world *world)
{
    leat_tracer *tracer = world->config.tracer;
    leat_edge_free(world->edge);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    world->edge = NULL;
    leat_tracer_free(tracer);
    world_free(world);
}

static const fake_record *put(edge_world *world, const char *headers, uint32_t count)
{
    send_request(world, "PUT " PATH, headers, BODY);
    const fake_record *record = wait_record(world, count);
    fake_log_answer(world->log, count - 1, LEAT_APPENDED, 7, NULL);
    expect_answer(world, 202);
    return record;
}

/* Takes the oldest span out of the queue. */
static leat_span *next_span(edge_world *world)
{
    leat_tracer *tracer = world->config.tracer;
    leat_span *span = tracer->first;
    ck_assert_ptr_nonnull(span);
    tracer->first = span->next;
    tracer->last = tracer->first ? tracer->last : NULL;
    tracer->count--;
    return span;
}

static void hex(const uint8_t *bytes, size_t size, char *ret)
{
    for (size_t i = 0; i < size; i++)
        sprintf(ret + 2 * i, "%02x", bytes[i]);
}

static void expect_ids(const leat_span *span, const char *trace, const char *parent)
{
    char found[33];
    hex(span->own.trace_id, 16, found);
    ck_assert_str_eq(found, trace);
    ck_assert_int_eq(span->has_parent, parent != NULL);
    hex(span->parent, 8, found);
    ck_assert(!parent || strcmp(found, parent) == 0);
}

static void expect_attribute(const leat_span *span, const char *key, const char *value)
{
    for (uint32_t i = 0; i < span->attribute_count; i++) {
        const leat_span_attribute *a = &span->attributes[i];
        char found[256];
        if (strcmp(a->key, key) != 0)
            continue;
        if (a->kind == LEAT_SPAN_TEXT)
            snprintf(found, sizeof found, "%.*s", (int)a->size, span->text + a->at);
        else
            snprintf(found, sizeof found, "%lld", (long long)a->integer);
        ck_assert_str_eq(found, value);
        return;
    }
    ck_abort_msg("no attribute %s", key);
}

static void expect_name(const leat_span *span, const char *name)
{
    ck_assert_msg(leat_slice_is(span->name, name), "%.*s", (int)span->name.size, span->name.data);
}

START_TEST(a_caller_that_samples_gets_two_spans_and_the_record_the_second)
{
    edge_world *world = traced_world(0, 1);
    const fake_record *record =
        put(world,
            "traceparent: 00-" TRACE "-" CALLER "-01\r\ntracestate: a=1\r\ntracestate: b=2\r\n", 1);
    leat_span *send = next_span(world), *accept = next_span(world);
    char id[17], wanted[64];
    hex(accept->own.span_id, 8, id);
    expect_name(accept, "PUT /apps/{app_id}/devices/{device}");
    ck_assert_int_eq(accept->kind, LEAT_SPAN_SERVER);
    expect_ids(accept, TRACE, CALLER);
    ck_assert(accept->is_parent_remote && !accept->failed);
    expect_attribute(accept, "http.response.status_code", "202");
    expect_attribute(accept, "http.route", "/apps/{app_id}/devices/{device}");
    expect_name(send, "send writes\"1");
    ck_assert_int_eq(send->kind, LEAT_SPAN_PRODUCER);
    expect_ids(send, TRACE, id);
    ck_assert(!send->is_parent_remote);
    expect_attribute(send, "messaging.kafka.offset", "7");
    ck_assert_int_le(accept->start_ns, send->start_ns);
    ck_assert_int_le(send->end_ns, accept->end_ns);
    hex(send->own.span_id, 8, id);
    snprintf(wanted, sizeof wanted, "00-" TRACE "-%s-01", id);
    ck_assert_str_eq(record->traceparent, wanted);
    ck_assert_str_eq(record->tracestate, "a=1,b=2");
    leat_span_free(send);
    leat_span_free(accept);
    record = put(world, "traceparent: 00-" TRACE "-" CALLER "-01\r\n", 2); /* beyond the rate */
    ck_assert_str_eq(record->traceparent, "00-" TRACE "-" CALLER "-00");
    ck_assert_ptr_null(world->config.tracer->first);
    end_world(world);
}
END_TEST

START_TEST(what_is_not_sampled_passes_on_what_came_and_nothing_else)
{
    static const struct {
        const char *headers, *traceparent, *tracestate;
    } rows[] = {
        {"", "", ""},
        {"traceparent: 00-" TRACE "-" CALLER "-00\r\ntracestate: a=1\r\n",
         "00-" TRACE "-" CALLER "-00", "a=1"},
        {"traceparent: 00-" TRACE "-" CALLER "-02\r\ntracestate: a=1,\r\ntracestate: a=2\r\n",
         "00-" TRACE "-" CALLER "-02", ""},
        {"traceparent: rubbish\r\ntracestate: a=1\r\n", "", ""},
        {"traceparent: 00-" TRACE "-" CALLER "-01\r\ntraceparent: 00-" TRACE "-" CALLER "-01\r\n",
         "", ""},
        {"tracestate: a=1\r\n", "", ""},
    };
    edge_world *world = traced_world(0, 100);
    for (uint32_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const fake_record *record = put(world, rows[i].headers, i + 1);
        ck_assert_str_eq(record->traceparent, rows[i].traceparent);
        ck_assert_str_eq(record->tracestate, rows[i].tracestate);
    }
    ck_assert_ptr_null(world->config.tracer->first);
    end_world(world);
}
END_TEST

START_TEST(a_new_trace_begins_without_a_caller)
{
    edge_world *world = traced_world(1, 0);
    const fake_record *record = put(world, "", 1);
    leat_span *send = next_span(world), *accept = next_span(world);
    char trace[33];
    hex(accept->own.trace_id, 16, trace);
    expect_ids(accept, trace, NULL);
    ck_assert(strncmp(record->traceparent + 3, trace, 32) == 0);
    ck_assert(strcmp(record->traceparent + 53, "03") == 0);
    leat_span_free(send);
    leat_span_free(accept);
    end_world(world);
}
END_TEST

START_TEST(a_write_that_is_refused_has_an_accept_span_alone)
{
    edge_world *world = traced_world(1, 0);
    send_request(world, "PUT " PATH, "", "[]");
    expect_answer(world, 400);
    leat_span *accept = next_span(world);
    expect_attribute(accept, "http.response.status_code", "400");
    ck_assert(!accept->failed);
    leat_span_free(accept);
    send_request(world, "PUT /nowhere", "", "{}");
    expect_answer(world, 404);
    accept = next_span(world);
    expect_name(accept, "PUT");
    leat_span_free(accept);
    end_world(world);
}
END_TEST

START_TEST(a_record_that_the_log_does_not_take_fails_both_spans)
{
    edge_world *world = traced_world(1, 0);
    send_request(world, "PUT " PATH, "", BODY);
    wait_record(world, 1);
    fake_log_answer(world->log, 0, LEAT_APPEND_UNKNOWN, -1, "no answer");
    expect_answer(world, 504);
    leat_span *send = next_span(world), *accept = next_span(world);
    ck_assert(send->failed && accept->failed);
    expect_attribute(send, "error.type", "unknown");
    expect_attribute(accept, "error.type", "504");
    leat_span_free(send);
    leat_span_free(accept);
    end_world(world);
}
END_TEST

START_TEST(the_items_of_a_batch_share_its_spans)
{
    static const char body[] =
        "{\"method\":\"PUT\",\"path\":\"" PATH "\",\"body\":{\"sessions\":1}}\n"
        "{\"method\":\"PUT\",\"path\":\"/nowhere\",\"body\":{\"sessions\":1}}\n"
        "{\"method\":\"PUT\",\"path\":\"" PATH "2\",\"body\":{\"sessions\":1}}\n";
    edge_world *world = traced_world(1, 0);
    send_request(world, "POST /batch", "Content-Type: application/x-ndjson\r\n", body);
    const fake_record *second = wait_record(world, 2), *first = second - 1;
    fake_log_answer(world->log, 0, LEAT_APPENDED, 1, NULL);
    fake_log_answer(world->log, 1, LEAT_APPENDED, 2, NULL);
    expect_answer(world, 207);
    leat_span *send = next_span(world), *accept = next_span(world);
    char id[17];
    hex(send->own.span_id, 8, id);
    ck_assert(strncmp(first->traceparent + 36, id, 16) == 0);
    ck_assert_str_eq(first->traceparent, second->traceparent);
    expect_name(accept, "POST /batch");
    expect_attribute(accept, "http.response.status_code", "207");
    expect_attribute(send, "messaging.batch.message_count", "2");
    ck_assert_ptr_null(world->config.tracer->first);
    leat_span_free(send);
    leat_span_free(accept);
    end_world(world);
}
END_TEST

START_TEST(the_first_records_of_a_batch_alone_are_sampled)
{
    enum { ITEMS = 40, SAMPLED = 32 };
    leat_buf body = {0};
    for (int i = 0; i < ITEMS; i++)
        leat_buf_text(&body, "{\"method\":\"PUT\",\"path\":\"" PATH "\",\"body\":" BODY "}\n");
    edge_world *world = traced_world(0, 1);
    send_request(world, "POST /batch",
                 "Content-Type: application/x-ndjson\r\ntraceparent: 00-" TRACE "-" CALLER
                 "-01\r\ntracestate: a=1\r\n",
                 leat_buf_cstr(&body));
    const fake_record *first = wait_record(world, 1);
    for (uint32_t i = 0; i < ITEMS; i++) {
        const fake_record *record = wait_record(world, i + 1);
        ck_assert(strncmp(record->traceparent, first->traceparent, 53) == 0);
        ck_assert_str_eq(record->traceparent + 53, i < SAMPLED ? "01" : "00");
        ck_assert_str_eq(record->tracestate, "a=1");
        fake_log_answer(world->log, i, LEAT_APPENDED, i, NULL);
    }
    expect_answer(world, 207);
    leat_span *send = next_span(world), *accept = next_span(world);
    expect_attribute(send, "messaging.batch.message_count", "40");
    leat_span_free(send);
    leat_span_free(accept);
    leat_buf_free(&body);
    end_world(world);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace");
    TCase *tests = tcase_create("trace");
    tcase_add_test(tests, a_caller_that_samples_gets_two_spans_and_the_record_the_second);
    tcase_add_test(tests, what_is_not_sampled_passes_on_what_came_and_nothing_else);
    tcase_add_test(tests, a_new_trace_begins_without_a_caller);
    tcase_add_test(tests, a_write_that_is_refused_has_an_accept_span_alone);
    tcase_add_test(tests, a_record_that_the_log_does_not_take_fails_both_spans);
    tcase_add_test(tests, the_items_of_a_batch_share_its_spans);
    tcase_add_test(tests, the_first_records_of_a_batch_alone_are_sampled);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
