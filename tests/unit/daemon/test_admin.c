/* The admin page: the answer of each path, and that a scrape is fresh. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/admin.h"
#include "unit/http/client.h"

typedef struct admin_world {
    uv_loop_t loop;
    leat_metrics *metrics;
    leat_counter *writes;
    leat_admin *admin;
    bool ready;
    test_reader reader;
    test_answer answer;
} admin_world;

static const leat_metric table[] = {
    {"leat_writes_total", LEAT_METRIC_OF_EDGE, LEAT_METRIC_COUNTER, "", "Writes.", NULL}};

static bool is_ready(void *context, leat_buf *why)
{
    const admin_world *world = context;
    if (!world->ready)
        leat_buf_text(why, "shard \"a\" has no connection");
    return world->ready;
}

static void say_culprits(void *context, leat_buf *out)
{
    (void)context;
    leat_buf_text(out, "{\"partitions\":[]}");
}

static admin_world *world_with(const char *token, bool (*ready)(void *context, leat_buf *why))
{
    admin_world *world = leat_must_calloc(1, sizeof *world);
    ck_assert_int_eq(uv_loop_init(&world->loop), 0);
    world->metrics = leat_metrics_new_of(table, 1);
    world->writes = leat_metrics_counter(world->metrics, "leat_writes_total", NULL);
    leat_http_config config;
    leat_http_config_defaults(&config);
    config.port = 0;
    leat_error error = {""};
    world->admin = leat_admin_new(&world->loop, &config, token, world->metrics, ready, say_culprits,
                                  world, &error);
    ck_assert_msg(world->admin, "%s", error.text);
    world->reader.fd = test_connect(leat_admin_port(world->admin));
    return world;
}

static admin_world *world_new(bool (*ready)(void *context, leat_buf *why))
{
    return world_with(NULL, ready);
}

static void world_free(admin_world *world)
{
    leat_admin_free(world->admin);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&world->loop), 0);
    leat_metrics_free(world->metrics);
    close(world->reader.fd);
    free(world);
}

static void expect_with(admin_world *world, const char *line, const char *headers, int status,
                        const char *body)
{
    test_send_text(&world->loop, world->reader.fd, line);
    test_send_text(&world->loop, world->reader.fd, " HTTP/1.1\r\nHost: a\r\n");
    test_send_text(&world->loop, world->reader.fd, headers);
    test_send_text(&world->loop, world->reader.fd, "\r\n");
    bool head = strncmp(line, "HEAD", 4) == 0;
    ck_assert(test_read_answer(&world->loop, &world->reader, head, &world->answer));
    ck_assert_int_eq(world->answer.status, status);
    ck_assert_str_eq(world->answer.body, body);
}

static void expect(admin_world *world, const char *line, int status, const char *body)
{
    expect_with(world, line, "", status, body);
}

START_TEST(test_metrics)
{
    admin_world *world = world_new(is_ready);
    static const char head[] =
        "# HELP leat_writes_total Writes.\n# TYPE leat_writes_total counter\n";
    char text[256];
    leat_count(world->writes, 1);
    snprintf(text, sizeof text, "%sleat_writes_total 1\n", head);
    expect(world, "GET /metrics", 200, text);
    char room[64];
    ck_assert_str_eq(test_header(&world->answer, "content-type", room, sizeof room),
                     "text/plain; version=0.0.4; charset=utf-8");
    leat_count(world->writes, 1);
    snprintf(text, sizeof text, "%sleat_writes_total 2\n", head);
    expect(world, "GET /metrics?x=y", 200, text);
    expect(world, "HEAD /metrics", 200, "");
    world_free(world);
}
END_TEST

/* As OpenMetrics to whoever asks for it. */
START_TEST(test_open_metrics)
{
    admin_world *world = world_new(is_ready);
    expect_with(world, "GET /metrics",
                "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n", 200,
                "# HELP leat_writes Writes.\n# TYPE leat_writes counter\nleat_writes_total 0\n"
                "# EOF\n");
    char room[80];
    ck_assert_str_eq(test_header(&world->answer, "content-type", room, sizeof room),
                     "application/openmetrics-text; version=1.0.0; charset=utf-8");
    ck_assert_str_eq(test_header(&world->answer, "vary", room, sizeof room), "Accept");
    world_free(world);
}
END_TEST

/* As JSON; behind the token, since it has keys. */
START_TEST(test_culprits)
{
    admin_world *world = world_with("secret", NULL);
    expect_with(world, "GET /culprits", "Authorization: Bearer secret\r\n", 200,
                "{\"partitions\":[]}");
    char room[64];
    ck_assert_str_eq(test_header(&world->answer, "content-type", room, sizeof room),
                     "application/json");
    test_send_text(&world->loop, world->reader.fd, "GET /culprits HTTP/1.1\r\nHost: a\r\n\r\n");
    ck_assert(test_read_answer(&world->loop, &world->reader, false, &world->answer));
    ck_assert_int_eq(world->answer.status, 401);
    world_free(world);
}
END_TEST

START_TEST(test_health)
{
    admin_world *world = world_new(is_ready);
    expect(world, "GET /healthz", 200, "{\"status\":\"ok\"}");
    expect(world, "GET /readyz", 503,
           "{\"status\":\"unready\",\"reason\":\"shard \\\"a\\\" has no connection\"}");
    world->ready = true;
    expect(world, "GET /readyz", 200, "{\"status\":\"ok\"}");
    expect(world, "HEAD /readyz", 200, "");
    world_free(world);
}
END_TEST

START_TEST(test_others)
{
    admin_world *world = world_new(NULL);
    expect(world, "GET /readyz", 200, "{\"status\":\"ok\"}");
    expect(
        world, "GET /", 404,
        "{\"error\":\"no_route\",\"field\":null,\"message\":\"/metrics, /culprits, /healthz and /readyz are here\","
        "\"type\":\"urn:leat:error:no_route\",\"title\":\"Not Found\",\"status\":404,"
        "\"detail\":\"/metrics, /culprits, /healthz and /readyz are here\"}");
    expect(
        world, "DELETE /metrics", 405,
        "{\"error\":\"method_not_allowed\",\"field\":null,\"message\":\"this path takes GET, HEAD\","
        "\"type\":\"urn:leat:error:method_not_allowed\",\"title\":\"Method Not Allowed\","
        "\"status\":405,\"detail\":\"this path takes GET, HEAD\"}");
    char room[32];
    ck_assert_str_eq(test_header(&world->answer, "allow", room, sizeof room), "GET, HEAD");
    world_free(world);
}
END_TEST

START_TEST(test_token)
{
    admin_world *world = world_with("secret", NULL);
    char room[64];
    expect(
        world, "GET /metrics", 401,
        "{\"error\":\"unauthorized\",\"field\":null,\"message\":\"a token is needed (Authorization: Bearer TOKEN; admin_token)\","
        "\"type\":\"urn:leat:error:unauthorized\",\"title\":\"Unauthorized\",\"status\":401,"
        "\"detail\":\"a token is needed (Authorization: Bearer TOKEN; admin_token)\"}");
    ck_assert_str_eq(test_header(&world->answer, "www-authenticate", room, sizeof room),
                     "Bearer realm=\"leat\"");
    static const char *const wrong[] = {"Bearer secre", "Bearer secret2", "Bearer SECRET"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(room, sizeof room, "Authorization: %s\r\n", wrong[i]);
        expect_with(
            world, "GET /metrics", room, 401,
            "{\"error\":\"unauthorized\",\"field\":null,\"message\":\"the token is not admin_token's\","
            "\"type\":\"urn:leat:error:unauthorized\",\"title\":\"Unauthorized\",\"status\":401,"
            "\"detail\":\"the token is not admin_token's\"}");
    }
    expect_with(
        world, "GET /metrics", "Authorization: Bearer secret\r\n", 200,
        "# HELP leat_writes_total Writes.\n# TYPE leat_writes_total counter\nleat_writes_total 0\n");
    expect(world, "GET /healthz", 200, "{\"status\":\"ok\"}");
    expect(world, "GET /readyz", 200, "{\"status\":\"ok\"}");
    world_free(world);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("admin");
    TCase *pages = tcase_create("pages");
    tcase_add_test(pages, test_metrics);
    tcase_add_test(pages, test_open_metrics);
    tcase_add_test(pages, test_culprits);
    tcase_add_test(pages, test_health);
    tcase_add_test(pages, test_others);
    tcase_add_test(pages, test_token);
    suite_add_tcase(suite, pages);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
