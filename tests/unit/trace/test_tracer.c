/* Which traces are sampled, and what happens to spans that nobody takes. The receiver is a socket
 * of the test, or none. */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/diag.h"
#include "trace/tracer_state.h"

typedef struct world {
    leat_metrics *metrics;
    leat_tracer_config config;
    leat_tracer *tracer;
    int listener;
    char url[64];
} world;

static void open_world(world *w)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    *w = (world){.metrics = leat_metrics_new()};
    w->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(w->listener, (struct sockaddr *)&at, size), 0);
    ck_assert_int_eq(listen(w->listener, 8), 0);
    ck_assert_int_eq(getsockname(w->listener, (struct sockaddr *)&at, &size), 0);
    snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d/v1/traces", ntohs(at.sin_port));
    w->config = (leat_tracer_config){
        .endpoint = w->url, .service = "leat", .sample = 1, .queue = 4, .metrics = w->metrics};
    leat_diag_level(LEAT_ERROR);
}

static void make(world *w)
{
    leat_error error = {0};
    w->tracer = leat_tracer_new(&w->config, &error);
    ck_assert_msg(w->tracer, "%s", error.text);
}

static void close_world(world *w)
{
    leat_tracer_free(w->tracer);
    leat_metrics_free(w->metrics);
    if (w->listener >= 0)
        close(w->listener);
}

static void add_spans(world *w, int count)
{
    leat_trace_context own = leat_trace_root();
    for (int i = 0; i < count; i++)
        leat_tracer_add(w->tracer, leat_span_new(LEAT_SPAN_CLIENT, &own, "x", LEAT_SLICE("y")));
}

/* Ends the tracer; then a scrape has the line. */
static void expect_metrics(world *w, const char *const *lines, size_t count)
{
    leat_buf text = {0};
    leat_tracer_free(w->tracer);
    w->tracer = NULL;
    leat_metrics_write(w->metrics, LEAT_METRICS_TEXT, &text);
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(strstr(leat_buf_cstr(&text), lines[i]), "no %s in\n%s", lines[i], text.data);
    leat_buf_free(&text);
}
#define EXPECT_METRICS(w, ...)                                                                     \
    expect_metrics(w, (const char *const[]){__VA_ARGS__},                                          \
                   sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* ---- decisions ---- */

START_TEST(a_share_of_the_traces_that_begin_here_is_sampled)
{
    static const double shares[] = {0, 0.25, 1};
    for (size_t i = 0; i < 3; i++) {
        world w;
        leat_trace_context own;
        int sampled = 0;
        open_world(&w);
        w.config.sample = shares[i];
        make(&w);
        for (int n = 0; n < 4000; n++) {
            bool is = leat_tracer_decide(w.tracer, NULL, &own);
            ck_assert_int_eq(is, leat_trace_is_sampled(&own));
            sampled += is;
        }
        ck_assert_int_ge(sampled, (int)(shares[i] * 4000) - (i == 1 ? 300 : 0));
        ck_assert_int_le(sampled, (int)(shares[i] * 4000) + (i == 1 ? 300 : 0));
        close_world(&w);
    }
}
END_TEST

START_TEST(a_caller_that_samples_is_followed_up_to_a_rate)
{
    world w;
    leat_trace_context caller = leat_trace_root(), own;
    open_world(&w);
    w.config.sample = 0;
    w.config.forced_per_second = 3;
    make(&w);
    w.tracer->second_us = INT64_MAX / 2; /* this second never ends */
    for (int n = 0; n < 5; n++) {
        ck_assert_int_eq(leat_tracer_decide(w.tracer, &caller, &own), n < 3);
        ck_assert_int_eq(leat_trace_is_sampled(&own), n < 3);
        ck_assert_mem_eq(own.trace_id, caller.trace_id, sizeof own.trace_id);
        ck_assert_int_eq(memcmp(own.span_id, caller.span_id, sizeof own.span_id) == 0, n >= 3);
        ck_assert(own.flags & LEAT_TRACE_RANDOM);
    }
    w.tracer->second_us = 0; /* another one begins */
    ck_assert(leat_tracer_decide(w.tracer, &caller, &own));
    EXPECT_METRICS(&w, "leat_trace_forced_cut_total 2\n");
    close_world(&w);
}
END_TEST

START_TEST(a_caller_that_does_not_sample_is_followed_always)
{
    world w;
    leat_trace_context caller = leat_trace_root(), own;
    caller.flags = 0;
    open_world(&w);
    w.config.forced_per_second = 3;
    make(&w);
    ck_assert(!leat_tracer_decide(w.tracer, &caller, &own));
    ck_assert_mem_eq(&own, &caller, sizeof own);
    close_world(&w);
}
END_TEST

/* ---- the way out ---- */

START_TEST(what_does_not_fit_into_the_queue_is_dropped_and_counted)
{
    world w;
    open_world(&w);
    make(&w);
    leat_tracer_add(w.tracer, NULL);
    add_spans(&w, 10);
    ck_assert_uint_eq(w.tracer->count, 4);
    EXPECT_METRICS(&w, "leat_trace_spans_dropped_total{reason=\"queue_full\"} 6\n");
    close_world(&w);
}
END_TEST

typedef struct receiver {
    int listener;
    const char *answer;
    char request[16384];
} receiver;

static void *serve(void *context)
{
    receiver *r = context;
    size_t used = 0;
    int fd = accept(r->listener, NULL, NULL);
    while (used < sizeof r->request - 1 && !strstr(r->request, "}]}]}]}")) {
        ssize_t size = read(fd, r->request + used, sizeof r->request - 1 - used);
        if (size <= 0)
            break;
        used += (size_t)size;
    }
    ssize_t written = write(fd, r->answer, strlen(r->answer));
    (void)written;
    close(fd);
    return NULL;
}

static void send_two(world *w, receiver *r, const char *answer)
{
    static const leat_tracer_header header = {"Authorization", "Bearer s"};
    pthread_t thread;
    leat_error error;
    open_world(w);
    w->config.headers = &header;
    w->config.header_count = 1;
    *r = (receiver){.listener = w->listener, .answer = answer};
    make(w);
    ck_assert_int_eq(pthread_create(&thread, NULL, serve, r), 0);
    add_spans(w, 2);
    ck_assert_int_eq(leat_tracer_start(w->tracer, &error), 0);
    pthread_join(thread, NULL);
}

#define ANSWER(status, body)                                                                       \
    "HTTP/1.1 " status "\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n" body

START_TEST(spans_are_sent_as_one_request_and_counted)
{
    world w;
    receiver r;
    send_two(&w, &r, ANSWER("200 OK", "{\"partialSuccess\":{}}"));
    EXPECT_METRICS(&w, "leat_trace_spans_exported_total 2\n",
                   "leat_trace_spans_dropped_total{reason=\"rejected\"} 0\n");
    ck_assert(strncmp(r.request, "POST /v1/traces HTTP/1.1\r\n", 26) == 0);
    ck_assert(strstr(r.request, "\r\nContent-Type: application/json\r\n"));
    ck_assert(strstr(r.request, "\r\nAuthorization: Bearer s\r\n"));
    ck_assert(!strstr(r.request, "Expect:"));
    close_world(&w);
}
END_TEST

START_TEST(what_the_receiver_rejects_or_refuses_is_counted)
{
    world w;
    receiver r;
    send_two(
        &w, &r,
        ANSWER("200 OK", "{\"partialSuccess\":{\"rejectedSpans\":\"1\",\"errorMessage\":\"no\"}}"));
    EXPECT_METRICS(&w, "leat_trace_spans_exported_total 1\n",
                   "leat_trace_spans_dropped_total{reason=\"rejected\"} 1\n");
    close_world(&w);
    send_two(&w, &r, ANSWER("400 Bad Request", "no"));
    EXPECT_METRICS(&w, "leat_trace_spans_exported_total 0\n",
                   "leat_trace_spans_dropped_total{reason=\"refused\"} 2\n");
    close_world(&w);
}
END_TEST

START_TEST(the_end_does_not_wait_for_a_receiver_that_is_silent)
{
    world w;
    leat_error error;
    open_world(&w);
    make(&w);
    add_spans(&w, 2);
    ck_assert_int_eq(leat_tracer_start(w.tracer, &error), 0);
    EXPECT_METRICS(&w, "leat_trace_spans_dropped_total{reason=\"ended\"} 2\n");
    close_world(&w);
}
END_TEST

START_TEST(the_end_does_not_wait_for_a_receiver_that_is_not_there)
{
    world w;
    leat_error error;
    open_world(&w);
    close(w.listener);
    w.listener = -1;
    make(&w);
    add_spans(&w, 2);
    ck_assert_int_eq(leat_tracer_start(w.tracer, &error), 0);
    EXPECT_METRICS(&w, "leat_trace_spans_dropped_total{reason=\"ended\"} 2\n");
    close_world(&w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tracer");
    TCase *tests = tcase_create("tracer");
    tcase_add_test(tests, a_share_of_the_traces_that_begin_here_is_sampled);
    tcase_add_test(tests, a_caller_that_samples_is_followed_up_to_a_rate);
    tcase_add_test(tests, a_caller_that_does_not_sample_is_followed_always);
    tcase_add_test(tests, what_does_not_fit_into_the_queue_is_dropped_and_counted);
    tcase_add_test(tests, spans_are_sent_as_one_request_and_counted);
    tcase_add_test(tests, what_the_receiver_rejects_or_refuses_is_counted);
    tcase_add_test(tests, the_end_does_not_wait_for_a_receiver_that_is_silent);
    tcase_add_test(tests, the_end_does_not_wait_for_a_receiver_that_is_not_there);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
