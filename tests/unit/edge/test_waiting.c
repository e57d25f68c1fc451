/* Requests that wait for their write: who is told what, when, and that none is forgotten. The log
 * is a fake one; the test is the worker and the shard. */
#include "../record/fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include "edge/edge.h"
#include "fake_log.h"
#include "unit/http/client.h"

enum { SOURCE = 7, WAITING_MAX = 3, WAIT_MAX_S = 30, OFFSET = 42 };

typedef struct world {
    uv_loop_t loop;
    leat_schema_versions *schema_versions;
    leat_layout layout;
    leat_placement placement;
    leat_metrics *metrics;
    leat_write_waits *waits;
    leat_edge_config config;
    leat_edge *edge;
    leat_log_writer *log;
    bool drained;
    test_reader reader;
    test_answer answer;
    char token[LEAT_WRITE_TOKEN_SIZE + 1];
} world;

static void no_ask(void *context)
{
    (void)context;
}

static leat_schema_version *version_new(void)
{
    leat_schema_version *version = leat_schema_version_new();
    version->table_count = 1;
    version->tables = leat_must_calloc(1, sizeof *version->tables);
    version->tables[0] = fixture_table();
    version->routes.count = 1;
    version->routes.routes[0] =
        fixture_route(&version->tables[0], "/apps/{app_id}/devices/{device}");
    return version;
}

static world *world_with(leat_auth *auth, uint32_t waiting_max)
{
    world *w = leat_must_calloc(1, sizeof *w);
    leat_error error = {""};
    ck_assert_int_eq(uv_loop_init(&w->loop), 0);
    w->schema_versions = leat_schema_versions_new(1, no_ask, w);
    leat_schema_versions_publish(w->schema_versions, 0, version_new(), 1);
    leat_layout_even(&w->layout, 4, 1, (const char *const[]){"a"});
    w->placement = (leat_placement){.version = 1, .subpartitions = 64, .tenant_position = -1};
    w->metrics = leat_metrics_new();
    w->waits = waiting_max > 0 ? leat_write_waits_new(&w->layout, waiting_max) : NULL;
    w->config = (leat_edge_config){
        .log = {.topic = "writes"},
        .layout = &w->layout,
        .schema_versions = w->schema_versions,
        .in_flight_max = 12,
        .ready_age_ms = 5000,
        .batches_max = 1,
        .idempotency_ms = 24 * 3600 * 1000,
        .key_rate = {1, 1000},
        .writes = {SOURCE, &w->placement, w->waits, WAIT_MAX_S},
        .metrics = w->metrics,
        .auth = auth,
    };
    leat_http_config_defaults(&w->config.http);
    w->config.http.port = 0;
    w->edge = leat_edge_new(&w->loop, &w->config, &error);
    ck_assert_msg(w->edge, "%s", error.text);
    w->log = fake_log_last();
    w->reader.fd = test_connect(leat_edge_port(w->edge));
    return w;
}

static world *world_open(void)
{
    return world_with(NULL, WAITING_MAX);
}

static void world_free(world *w)
{
    leat_edge_free(w->edge);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&w->loop), 0);
    for (uint32_t i = 0; w->waits && i < w->layout.partition_count; i++)
        ck_assert(!leat_write_waits_is_wanted(w->waits, i));
    leat_write_waits_free(w->waits);
    fake_log_forget();
    leat_metrics_free(w->metrics);
    leat_schema_versions_free(w->schema_versions);
    close(w->reader.fd);
    free(w);
}

static void send_request(world *w, const char *line, const char *headers)
{
    leat_buf text = {0};
    leat_buf_printf(&text, "%s HTTP/1.1\r\nHost: a\r\n%s\r\n", line, headers);
    test_send(&w->loop, w->reader.fd, text.data, text.size);
    leat_buf_free(&text);
}

/* A write whose record is in the log's hands. */
static uint32_t begin_write(world *w, const char *headers)
{
    uint32_t before = w->log->count;
    send_request(w, "DELETE /apps/7/devices/x", headers);
    for (int i = 0; w->log->count == before; i++) {
        test_turn(&w->loop);
        ck_assert_msg(i < 100000, "no record came");
    }
    return w->log->records[before].partition;
}

static uint32_t write_and_append(world *w, const char *headers)
{
    uint32_t partition = begin_write(w, headers);
    fake_log_answer(w->log, w->log->count - 1, LEAT_APPENDED, OFFSET, NULL);
    return partition;
}

static void tell(world *w, uint32_t partition, leat_write_state state)
{
    bool has_reason = state == LEAT_WRITE_DEAD_LETTER || state == LEAT_WRITE_HELD;
    leat_write_waits_begin(w->waits);
    leat_write_waits_tell(w->waits, partition, OFFSET, state, has_reason ? "23514" : NULL,
                          has_reason ? "it is \"negative\"" : NULL);
    leat_write_waits_end(w->waits);
}

static void expect_answer(world *w, int status, const char *preference, const char *part)
{
    char room[64];
    ck_assert_msg(test_read_answer(&w->loop, &w->reader, false, &w->answer), "no answer");
    ck_assert_msg(w->answer.status == status, "%d, not %d: %s", w->answer.status, status,
                  w->answer.body);
    ck_assert_str_eq(test_header(&w->answer, "preference-applied", room, sizeof room), preference);
    ck_assert_msg(strstr(w->answer.body, part), "%s: %s", part, w->answer.body);
    const char *token = strstr(w->answer.body, "\"token\":\"");
    if (token)
        snprintf(w->token, sizeof w->token, "%s", token + sizeof "\"token\":\"" - 1);
}

/* Nobody waits for a write of this partition any more. */
static void turn_until_unwanted(world *w, uint32_t partition)
{
    for (int i = 0; leat_write_waits_is_wanted(w->waits, partition); i++) {
        test_turn(&w->loop);
        usleep(100);
        ck_assert_msg(i < 50000, "it is still waited for");
    }
}

/* Its client is gone, without doubt. */
static void reset(world *w)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(w->reader.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(w->reader.fd);
    w->reader.fd = test_connect(leat_edge_port(w->edge));
}

static void shut(world *w)
{
    shutdown(w->reader.fd, SHUT_WR);
}

/* ---- writes ---- */

START_TEST(a_202_says_where_the_write_is)
{
    world *w = world_open();
    uint32_t source, partition = write_and_append(w, ""),
                     subpartition = (uint32_t)(leat_hash(leat_slice_of("7/x")) % 64);
    leat_write_place place;
    expect_answer(w, 202, "", "{\"topic\":\"writes\",\"partition\":");
    ck_assert_int_eq(leat_write_token_read(leat_slice_of(w->token), &source, &place), 0);
    ck_assert_uint_eq(source, SOURCE);
    ck_assert_uint_eq(place.partition, partition);
    ck_assert_uint_eq(place.subpartition,
                      leat_placement_subpartition(&w->placement, leat_slice_of("7/x"),
                                                  leat_hash(leat_slice_of("7/x"))));
    ck_assert_uint_eq(place.subpartition, subpartition);
    ck_assert_int_eq(place.offset, OFFSET);
    const leat_route *route = &leat_schema_versions_newest(w->schema_versions, 0)->routes.routes[0];
    ck_assert_uint_eq(place.key, leat_route_held_hash(route, leat_slice_of("7/x")));
    ck_assert(!leat_write_waits_is_wanted(w->waits, partition));
    world_free(w);
}
END_TEST

static const struct {
    const char *wish;
    leat_write_state state;
    int status;
    const char *preference;
    const char *part; /* of the body */
} ends[] = {
    {"wait=5", LEAT_WRITE_APPLIED, 200, "wait=5", "\"state\":\"applied\"}"},
    {"wait=31", LEAT_WRITE_APPLIED, 200, "wait=30", "\"token\":\""},
    {"x, wait=\"5\"", LEAT_WRITE_SKIPPED, 202, "wait=5",
     "\"state\":\"skipped\",\"sqlstate\":null}"},
    {"wait=5", LEAT_WRITE_HELD, 202, "wait=5",
     "\"state\":\"held\",\"sqlstate\":\"23514\",\"message\":\"it is \\\"negative\\\"\"}"},
    {"wait=5", LEAT_WRITE_DEAD_LETTER, 422, "wait=5", "\"state\":\"dead_letter\""},
    {"wait=5", LEAT_WRITE_DEAD_LETTER, 422, "wait=5", "\"error\":\"dead_letter\""},
    {"wait=5", LEAT_WRITE_DEAD_LETTER, 422, "wait=5", "\"message\":\"it is \\\"negative\\\"\""},
};

START_TEST(a_write_is_waited_for)
{
    world *w = world_open();
    char header[64];
    snprintf(header, sizeof header, "Prefer: %s\r\n", ends[_i].wish);
    uint32_t partition = write_and_append(w, header);
    test_turn(&w->loop);
    ck_assert(leat_write_waits_is_wanted(w->waits, partition));
    tell(w, partition, ends[_i].state);
    expect_answer(w, ends[_i].status, ends[_i].preference, ends[_i].part);
    world_free(w);
}
END_TEST

START_TEST(a_worker_may_be_faster_than_the_log_s_answer)
{
    world *w = world_open();
    uint32_t partition = begin_write(w, "Prefer: wait=5\r\n");
    tell(w, partition, LEAT_WRITE_APPLIED);
    fake_log_answer(w->log, 0, LEAT_APPENDED, OFFSET, NULL);
    expect_answer(w, 200, "wait=5", "\"state\":\"applied\"");
    world_free(w);
}
END_TEST

START_TEST(time_passes_first)
{
    world *w = world_open();
    write_and_append(w, "Prefer: respond-async\r\nPrefer: wait=1\r\n");
    expect_answer(w, 202, "wait=1", "\"state\":\"pending\"}");
    world_free(w);
}
END_TEST

START_TEST(a_write_that_is_not_stored_is_not_waited_for)
{
    world *w = world_open();
    uint32_t partition = begin_write(w, "Prefer: wait=5\r\n");
    fake_log_answer(w->log, 0, LEAT_NOT_APPENDED, -1, "no");
    expect_answer(w, 503, "", "\"unavailable\"");
    w->log->append_result = 1;
    send_request(w, "DELETE /apps/7/devices/x", "Prefer: wait=5\r\n");
    expect_answer(w, 503, "", "\"overloaded\"");
    ck_assert(!leat_write_waits_is_wanted(w->waits, partition));
    world_free(w);
}
END_TEST

START_TEST(too_many_wait)
{
    world *w = world_open();
    int64_t waiting = WAITING_MAX;
    int fds[WAITING_MAX];
    for (int i = 0; i < waiting; i++) {
        write_and_append(w, "Prefer: wait=20\r\n");
        fds[i] = w->reader.fd;
        w->reader.fd = test_connect(leat_edge_port(w->edge));
    }
    uint32_t partition = write_and_append(w, "Prefer: wait=20\r\n");
    expect_answer(w, 202, "", "\"offset\":42,\"token\":\"");
    char room[64]; /* nothing was waited for, so it says what is left of a limit */
    ck_assert_str_eq(test_header(&w->answer, "ratelimit-policy", room, sizeof room),
                     "\"key\";q=1000;w=1000");
    leat_buf line = {0};
    leat_buf_printf(&line, "GET /writes/%s", w->token);
    send_request(w, leat_buf_cstr(&line), "");
    leat_buf_free(&line);
    expect_answer(w, 503, "", "\"overloaded\"");
    for (int i = 0; i < waiting; i++) /* their places are free again */
        close(fds[i]);
    turn_until_unwanted(w, partition);
    tell(w, write_and_append(w, "Prefer: wait=20\r\n"), LEAT_WRITE_APPLIED);
    expect_answer(w, 200, "wait=20", "\"applied\"");
    world_free(w);
}
END_TEST

static const struct {
    const char *headers;
    void (*leave)(world *w);
} leaves[] = {
    {"Prefer: wait=20\r\n", shut},
    {"Prefer: wait=20\r\n", reset},
    {"Prefer: wait=20\r\nConnection: close\r\n", shut},
    {"Prefer: wait=20\r\nConnection: close\r\n", reset},
};

/* It gives its place back at once; and if it has only shut its side, it hears what is known. */
START_TEST(a_client_that_leaves_does_not_wait)
{
    world *w = world_open();
    uint32_t partition = write_and_append(w, leaves[_i].headers);
    test_turn(&w->loop);
    ck_assert(leat_write_waits_is_wanted(w->waits, partition));
    leaves[_i].leave(w);
    turn_until_unwanted(w, partition);
    if (leaves[_i].leave == shut)
        expect_answer(w, 202, "wait=20", "\"state\":\"pending\"");
    world_free(w);
}
END_TEST

/* It has left before the log has its write: nothing is waited for. */
START_TEST(a_client_that_has_left_does_not_begin_to_wait)
{
    world *w = world_open();
    uint32_t partition = begin_write(w, "Prefer: wait=20\r\n");
    leaves[_i].leave(w);
    for (int i = 0; i < 50; i++) {
        test_turn(&w->loop);
        usleep(100);
    }
    fake_log_answer(w->log, 0, LEAT_APPENDED, OFFSET, NULL);
    ck_assert(!leat_write_waits_is_wanted(w->waits, partition));
    if (leaves[_i].leave == shut)
        expect_answer(w, 202, "", "\"token\":\"");
    world_free(w);
}
END_TEST

static void on_drained(void *context)
{
    ((world *)context)->drained = true;
}

START_TEST(a_drain_answers_who_waits)
{
    world *w = world_open();
    write_and_append(w, "Prefer: wait=20\r\n");
    test_turn(&w->loop);
    leat_edge_drain(w->edge, on_drained, w);
    expect_answer(w, 202, "wait=20", "\"state\":\"pending\"");
    ck_assert(w->answer.closes);
    test_turn_until(&w->loop, &w->drained);
    world_free(w);
}
END_TEST

START_TEST(a_write_that_is_stored_during_a_drain_is_not_waited_for)
{
    world *w = world_open();
    begin_write(w, "Prefer: wait=20\r\n");
    leat_edge_drain(w->edge, on_drained, w);
    fake_log_answer(w->log, 0, LEAT_APPENDED, OFFSET, NULL);
    expect_answer(w, 202, "", "\"token\":\"");
    test_turn_until(&w->loop, &w->drained);
    world_free(w);
}
END_TEST

START_TEST(an_edge_ends_while_requests_wait)
{
    world *w = world_open();
    write_and_append(w, "Prefer: wait=20\r\n");
    world_free(w);
}
END_TEST

/* ---- questions ---- */

static void ask(world *w, uint32_t source, uint32_t partition, const char *headers)
{
    char line[128] = "GET /writes/";
    leat_write_place place = {
        .partition = partition, .subpartition = 3, .offset = OFFSET, .key = 9};
    leat_write_token_write(source, &place, line + strlen(line));
    send_request(w, line, headers);
}

/* The shard's answer to the only question. */
static void answer_question(world *w, leat_write_state state)
{
    leat_write_question asked;
    leat_write_answer answer = {.state = state, .sqlstate = "23503", .message = ""};
    if (w->config.auth) /* the only test whose answer has more than its state */
        strcpy(answer.message, "a value of somebody");
    uint32_t count = 0;
    for (int i = 0; count == 0; i++) {
        test_turn(&w->loop);
        count = leat_write_waits_next(w->waits, 0, &asked, 1, 100);
        ck_assert_msg(i < 100000, "no question came");
    }
    ck_assert_uint_eq(asked.place.subpartition, 3);
    ck_assert_uint_eq(asked.place.key, 9);
    leat_write_waits_answer(w->waits, &asked, &answer, 1);
}

static const struct {
    leat_write_state state;
    const char *part;
} states[] = {
    {LEAT_WRITE_PENDING, "\"state\":\"pending\"}"},
    {LEAT_WRITE_APPLIED, "\"state\":\"applied\"}"},
    {LEAT_WRITE_DEAD_LETTER, "\"state\":\"dead_letter\",\"sqlstate\":\"23503\"}"},
    {LEAT_WRITE_HELD, "\"state\":\"held\",\"sqlstate\":\"23503\"}"},
    {LEAT_WRITE_SKIPPED, "\"state\":\"skipped\",\"sqlstate\":\"23503\"}"},
};

START_TEST(a_question_is_answered)
{
    world *w = world_open();
    ask(w, SOURCE, 2, "");
    answer_question(w, states[_i].state);
    expect_answer(w, 200, "", states[_i].part);
    world_free(w);
}
END_TEST

/* Its connection is there for as long as it takes. */
START_TEST(a_drain_waits_for_the_answer_to_a_question)
{
    world *w = world_open();
    ask(w, SOURCE, 2, "");
    while (!leat_write_waits_is_wanted(w->waits, 2))
        test_turn(&w->loop);
    leat_edge_leave(w->edge);
    leat_edge_drain(w->edge, on_drained, w);
    answer_question(w, LEAT_WRITE_APPLIED);
    expect_answer(w, 200, "", "\"state\":\"applied\"}");
    test_turn_until(&w->loop, &w->drained);
    world_free(w);
}
END_TEST

START_TEST(a_request_may_wait_while_the_edge_leaves)
{
    world *w = world_open();
    leat_edge_leave(w->edge);
    uint32_t partition = write_and_append(w, "Prefer: wait=20\r\n");
    test_turn(&w->loop);
    tell(w, partition, LEAT_WRITE_APPLIED);
    expect_answer(w, 200, "wait=20", "\"applied\"");
    world_free(w);
}
END_TEST

/* The write may be another tenant's, and the reason may have its values. */
START_TEST(a_token_for_one_tenant_hears_no_reason)
{
    static const char *const tenants[] = {"", " tenant=7"};
    char file[] = "/tmp/leat-tokens-XXXXXX", hex[LEAT_DIGEST_HEX_SIZE];
    leat_error error = {""};
    leat_digest digest = leat_digest_of(LEAT_SLICE("t"));
    int fd = mkstemp(file);
    ck_assert_int_ge(fd, 0);
    leat_digest_to_hex(&digest, hex);
    ck_assert_int_gt(dprintf(fd, "t sha256:%s *:*%s\n", hex, tenants[_i]), 0);
    close(fd);
    leat_auth *auth = leat_auth_new(&(leat_auth_config){.tokens_file = file}, &error);
    ck_assert_msg(auth, "%s", error.text);
    unlink(file);
    world *w = world_with(auth, WAITING_MAX);
    ask(w, SOURCE, 2, "Authorization: Bearer t\r\n");
    answer_question(w, LEAT_WRITE_DEAD_LETTER);
    expect_answer(w, 200, "", "\"state\":\"dead_letter\",\"sqlstate\":\"23503\"");
    ck_assert((strstr(w->answer.body, "a value of somebody") != NULL) == (_i == 0));
    ask(w, SOURCE, 2, "");
    ck_assert(test_read_answer(&w->loop, &w->reader, false, &w->answer));
    ck_assert_int_eq(w->answer.status, 401);
    world_free(w);
    leat_auth_free(auth);
}
END_TEST

START_TEST(a_question_may_wait)
{
    world *w = world_open();
    ask(w, SOURCE, 2, "Prefer: wait=10\r\n");
    answer_question(w, LEAT_WRITE_PENDING);
    answer_question(w, LEAT_WRITE_APPLIED);
    expect_answer(w, 200, "wait=10", "\"state\":\"applied\"}");
    ask(w, SOURCE, 2, "Prefer: wait=1\r\n");
    expect_answer(w, 200, "wait=1", "\"state\":\"pending\"}");
    world_free(w);
}
END_TEST

/* Who asks for what is known, and shuts its side, is answered as ever; who would wait does not. */
START_TEST(a_client_that_has_left_may_ask)
{
    world *w = world_open();
    ask(w, SOURCE, 2, _i == 0 ? "" : "Prefer: wait=20\r\n");
    shutdown(w->reader.fd, SHUT_WR);
    if (_i == 0)
        answer_question(w, LEAT_WRITE_APPLIED);
    expect_answer(w, 200, _i == 0 ? "" : "wait=20",
                  _i == 0 ? "\"state\":\"applied\"" : "\"state\":\"pending\"");
    world_free(w);
}
END_TEST

/* A question is nobody's once its client is gone. */
START_TEST(a_question_of_a_client_that_is_gone)
{
    world *w = world_open();
    ask(w, SOURCE, 2, "");
    while (!leat_write_waits_is_wanted(w->waits, 2))
        test_turn(&w->loop);
    reset(w);
    turn_until_unwanted(w, 2);
    world_free(w);
}
END_TEST

START_TEST(what_is_no_question)
{
    world *w = world_open();
    ask(w, SOURCE + 1, 2, "");
    expect_answer(w, 404, "", "\"no_write\"");
    ask(w, SOURCE, 4, "");
    expect_answer(w, 404, "", "\"no_write\"");
    send_request(w, "GET /writes/abc", "");
    expect_answer(w, 400, "", "\"bad_request\"");
    send_request(w, "GET /writes/", "");
    expect_answer(w, 404, "", "\"no_route\"");
    send_request(w, "DELETE /writes/AQAAAAcAAAADAQIAAAAAAAAAKgAAAAAAAAAJ", "");
    expect_answer(w, 404, "", "\"no_route\"");
    world_free(w);
}
END_TEST

/* Nobody could ask by it. */
START_TEST(without_waits_a_202_has_no_token)
{
    world *w = world_with(NULL, 0);
    write_and_append(w, "Prefer: wait=5\r\n");
    expect_answer(w, 202, "", "\"offset\":42}");
    send_request(w, "GET /writes/AQAAAAcAAAADAQIAAAAAAAAAKgAAAAAAAAAJ", "");
    expect_answer(w, 404, "", "\"no_route\"");
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("waiting");
    TCase *tests = tcase_create("waiting");
    tcase_add_test(tests, a_202_says_where_the_write_is);
    tcase_add_loop_test(tests, a_write_is_waited_for, 0, COUNT_OF(ends));
    tcase_add_test(tests, a_worker_may_be_faster_than_the_log_s_answer);
    tcase_add_test(tests, time_passes_first);
    tcase_add_test(tests, a_write_that_is_not_stored_is_not_waited_for);
    tcase_add_test(tests, too_many_wait);
    tcase_add_loop_test(tests, a_client_that_leaves_does_not_wait, 0, COUNT_OF(leaves));
    tcase_add_loop_test(tests, a_client_that_has_left_does_not_begin_to_wait, 0, 2);
    tcase_add_test(tests, a_drain_answers_who_waits);
    tcase_add_test(tests, a_write_that_is_stored_during_a_drain_is_not_waited_for);
    tcase_add_test(tests, an_edge_ends_while_requests_wait);
    tcase_add_loop_test(tests, a_question_is_answered, 0, COUNT_OF(states));
    tcase_add_test(tests, a_drain_waits_for_the_answer_to_a_question);
    tcase_add_test(tests, a_request_may_wait_while_the_edge_leaves);
    tcase_add_loop_test(tests, a_token_for_one_tenant_hears_no_reason, 0, 2);
    tcase_add_test(tests, a_question_may_wait);
    tcase_add_loop_test(tests, a_client_that_has_left_may_ask, 0, 2);
    tcase_add_test(tests, a_question_of_a_client_that_is_gone);
    tcase_add_test(tests, what_is_no_question);
    tcase_add_test(tests, without_waits_a_202_has_no_token);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
