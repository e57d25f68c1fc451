/* The admin listener: the answer of each path, that a scrape is fresh, and who may act. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "daemon/admin.h"
#include "unit/http/client.h"

typedef struct admin_world {
    uv_loop_t loop;
    leat_assembly assembly; /* with one shard, a file that nobody can open */
    leat_config_shard shard;
    char shard_name[8], file[32], topic[16];
    leat_metrics *metrics;
    leat_counter *writes;
    leat_admin *admin;
    bool ready;
    test_reader reader;
    test_answer answer;
} admin_world;

static const leat_metric table[] = {
    {"leat_writes_total", LEAT_METRIC_OF_EDGE, LEAT_METRIC_COUNTER, "", "Writes.", NULL}};

static const char *const shards[] = {"a"};

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
    snprintf(world->shard_name, sizeof world->shard_name, "a");
    snprintf(world->file, sizeof world->file, "/nowhere/rows.db");
    snprintf(world->topic, sizeof world->topic, "writes");
    world->shard.name = world->shard_name;
    world->shard.sqlite = world->file;
    world->assembly.config.kafka_topic = world->topic;
    world->assembly.config.shards = &world->shard;
    world->assembly.config.shard_count = 1;
    world->metrics = leat_metrics_new_of(table, 1);
    world->writes = leat_metrics_counter(world->metrics, "leat_writes_total", NULL);
    leat_admin_config config = {.token = token,
                                .metrics = world->metrics,
                                .shards = shards,
                                .shard_count = 1,
                                .ready = ready,
                                .culprits = say_culprits,
                                .context = world,
                                .assembly = &world->assembly};
    leat_http_config_defaults(&config.http);
    config.http.port = 0;
    leat_error error = {""};
    world->admin = leat_admin_new(&world->loop, &config, &error);
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

/* `headers` has the host. */
static void ask(admin_world *world, const char *line, const char *headers, const char *body)
{
    char size[64];
    snprintf(size, sizeof size, "Content-Length: %zu\r\n\r\n", strlen(body));
    test_send_text(&world->loop, world->reader.fd, line);
    test_send_text(&world->loop, world->reader.fd, " HTTP/1.1\r\n");
    test_send_text(&world->loop, world->reader.fd, headers);
    test_send_text(&world->loop, world->reader.fd, size);
    test_send_text(&world->loop, world->reader.fd, body);
    bool head = strncmp(line, "HEAD", 4) == 0;
    ck_assert(test_read_answer(&world->loop, &world->reader, head, &world->answer));
}

static void expect_with(admin_world *world, const char *line, const char *headers, int status,
                        const char *body)
{
    char all[256];
    snprintf(all, sizeof all, "Host: localhost:9464\r\n%s", headers);
    ask(world, line, all, "");
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
#define PAGES                                                                                      \
    "here are /, /metrics, /state, /culprits, /healthz, /readyz, /waiting; and by POST "           \
    "/held/retry, /held/discard, /controls/block, /controls/unblock"
    expect(world, "GET /nothing", 404,
           "{\"error\":\"no_route\",\"field\":null,\"message\":\"" PAGES "\","
           "\"type\":\"urn:leat:error:no_route\",\"title\":\"Not Found\",\"status\":404,"
           "\"detail\":\"" PAGES "\"}");
    world_free(world);
}
END_TEST

/* Each page takes its own methods, and says which. */
START_TEST(test_methods)
{
    static const struct {
        const char *line;
        const char *allow;
    } cases[] = {
        {"DELETE /metrics", "GET, HEAD"},     {"POST /", "GET, HEAD"},
        {"PUT /state", "GET, HEAD"},          {"POST /culprits", "GET, HEAD"},
        {"OPTIONS /healthz", "GET, HEAD"},    {"POST /readyz", "GET, HEAD"},
        {"POST /waiting", "GET, HEAD"},       {"GET /held/retry", "POST"},
        {"PUT /held/discard", "POST"},        {"HEAD /controls/block", "POST"},
        {"DELETE /controls/unblock", "POST"},
    };
    admin_world *world = world_new(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char room[32];
        ask(world, cases[i].line, "Host: localhost:9464\r\n", "");
        ck_assert_msg(world->answer.status == 405, "%s: %d", cases[i].line, world->answer.status);
        ck_assert_str_eq(test_header(&world->answer, "allow", room, sizeof room), cases[i].allow);
        ck_assert(*world->answer.body == '\0' ||
                  strstr(world->answer.body, "{\"error\":\"method_not_allowed\""));
    }
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

#define JSON  "Content-Type: application/json\r\n"
#define HOST  "Host: leat:9464\r\n"
#define SHOWN "Authorization: Bearer secret\r\n"

START_TEST(test_names_that_point_here)
{
    /* A page can let its own name point to this machine, and is then of the same origin. Without a
     * token only the machine's own name, and addresses, may be asked for what is not health. */
    static const struct {
        const char *host;
        int status;
    } cases[] = {
        {"localhost", 200},
        {"LocalHost:9464", 200},
        {"127.0.0.1:9464", 200},
        {"127.0.0.1", 200},
        {"10.1.2.3:9464", 200},
        {"[::1]:9464", 200},
        {"[::1]", 200},
        {"[fe80::1]:1", 200},
        {"evil.example:9464", 403},
        {"evil.example", 403},
        {"localhost.evil.example", 403},
        {"127.0.0.1.evil.example", 403},
        {"127.0.0.1.example", 403},
        {"localhos", 403},
        {"a", 403},
    };
    static const char *const paths[] = {"GET /metrics", "GET /state", "GET /culprits"};
    char host[64];
    admin_world *world = world_new(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(host, sizeof host, "Host: %s\r\n", cases[i].host);
        for (size_t k = 0; k < 3; k++) {
            ask(world, paths[k], host, "");
            ck_assert_msg(world->answer.status == cases[i].status, "%s %s: %d", paths[k],
                          cases[i].host, world->answer.status);
        }
        ask(world, "GET /healthz", host, "");
        ck_assert_int_eq(world->answer.status, 200);
    }
    world_free(world);
    world = world_with("secret", NULL);
    ask(world, "GET /metrics", "Host: leat.example\r\n" SHOWN, "");
    ck_assert_int_eq(world->answer.status, 200);
    world_free(world);
}
END_TEST

START_TEST(test_page)
{
    /* It needs no token, as it has nothing in it; a browser may run nothing but its own texts. */
    admin_world *world = world_with("secret", NULL);
    char room[1024], tag[64], headers[128];
    ask(world, "GET /", "Host: a\r\nAccept-Encoding: gzip\r\n", "");
    ck_assert_int_eq(world->answer.status, 200);
    ck_assert_str_eq(test_header(&world->answer, "content-encoding", room, sizeof room), "gzip");
    test_header(&world->answer, "content-security-policy", room, sizeof room);
    ck_assert_ptr_nonnull(strstr(room, "default-src 'none'; script-src 'sha256-"));
    ck_assert_ptr_nonnull(strstr(room, "frame-ancestors 'none'"));
    ck_assert_ptr_null(strstr(room, "unsafe"));
    snprintf(headers, sizeof headers, "Host: a\r\nIf-None-Match: %s\r\n",
             test_header(&world->answer, "etag", tag, sizeof tag));
    ask(world, "GET /", headers, "");
    ck_assert_int_eq(world->answer.status, 304);
    world_free(world);
}
END_TEST

START_TEST(test_state)
{
    admin_world *world = world_with("secret", is_ready);
    ask(world, "GET /state", "Host: a\r\n", "");
    ck_assert_int_eq(world->answer.status, 401);
    ask(world, "GET /state?from=0", "Host: a\r\nAuthorization: Bearer secret\r\n", "");
    ck_assert_int_eq(world->answer.status, 200);
    yyjson_doc *doc = yyjson_read(world->answer.body, world->answer.body_size, 0);
    ck_assert_msg(doc != NULL, "%s", world->answer.body);
    yyjson_val *root = yyjson_doc_get_root(doc);
    ck_assert(!yyjson_get_bool(yyjson_obj_get(root, "is_ready")));
    ck_assert_str_eq(yyjson_get_str(yyjson_obj_get(root, "reason")),
                     "shard \"a\" has no connection");
    ck_assert_str_eq(yyjson_get_str(yyjson_ptr_get(root, "/shards/0/name")), "a");
    yyjson_doc_free(doc);
    world_free(world);
}
END_TEST

START_TEST(test_who_may_act)
{
    /* With the token a program, and the page itself; no page of another site. What may act is told
     * that its empty wish makes no sense, and so does nothing. Without a token in the configuration
     * nobody may: every user of the machine could. */
    static const struct {
        const char *headers;
        int status;
    } cases[] = {
        {HOST SHOWN JSON, 422},
        {HOST SHOWN "Content-Type: application/json; charset=utf-8\r\n", 422},
        {HOST SHOWN JSON "Origin: http://leat:9464\r\nSec-Fetch-Site: same-origin\r\n", 422},
        {HOST SHOWN JSON "Origin: https://LEAT:9464\r\n", 422},
        {HOST SHOWN JSON "Origin: http://leat:9465\r\n", 403},
        {HOST SHOWN JSON "Origin: http://leat:9464.example\r\n", 403},
        {HOST SHOWN JSON "Origin: null\r\n", 403},
        {HOST SHOWN JSON "Sec-Fetch-Site: cross-site\r\n", 403},
        {HOST SHOWN JSON "Sec-Fetch-Site: same-site\r\n", 403},
        {HOST SHOWN, 415},
        {HOST SHOWN "Content-Type: text/plain\r\n", 415},
        {HOST SHOWN "Content-Type: application/jsonish\r\n", 415},
        {HOST JSON, 401},
        {HOST JSON "Authorization: Bearer public\r\n", 401},
    };
    admin_world *world = world_with("secret", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ask(world, "POST /held/discard", cases[i].headers, "{}");
        ck_assert_msg(world->answer.status == cases[i].status, "%s: %d", cases[i].headers,
                      world->answer.status);
    }
    ask(world, "GET /held/discard", HOST SHOWN, "");
    ck_assert_int_eq(world->answer.status, 405);
    ask(world, "GET /waiting", HOST SHOWN "Sec-Fetch-Site: cross-site\r\n", "");
    ck_assert_int_eq(world->answer.status, 403);
    world_free(world);
    world = world_new(NULL);
    ask(world, "POST /held/discard", HOST JSON, "{}");
    ck_assert_int_eq(world->answer.status, 403);
    ask(world, "GET /waiting", HOST, "");
    ck_assert_int_eq(world->answer.status, 403);
    world_free(world);
}
END_TEST

static void expect_wish(admin_world *world, const char *path, const char *wish, int status,
                        const char *message)
{
    char line[64];
    snprintf(line, sizeof line, "POST %s", path);
    ask(world, line, HOST SHOWN JSON, wish);
    ck_assert_msg(world->answer.status == status && strstr(world->answer.body, message),
                  "%s: %d %s", wish, world->answer.status, world->answer.body);
}

START_TEST(test_wishes)
{
    /* What makes no sense is refused before any shard is asked; else the shard's answer comes, here
     * that there is none. */
    admin_world *world = world_with("secret", NULL);
    expect_wish(world, "/held/retry", "{", 400, "no JSON object");
    expect_wish(world, "/held/retry", "[]", 400, "no JSON object");
    expect_wish(world, "/held/retry", "{\"tenant\":\"7\"}", 422, "takes no member tenant");
    expect_wish(world, "/held/retry", "{\"key\":7}", 422, "key must be a text");
    expect_wish(world, "/held/retry", "{\"key\":\"7\\u0000\"}", 422, "key must be a text");
    expect_wish(world, "/held/retry", "{\"shard\":\"b\"}", 422, "there is no shard b");
    expect_wish(world, "/held/retry", "{\"table\":\"t\"}", 422, "belong to key");
    expect_wish(world, "/held/retry", "{}", 503, "shard a: ");
    expect_wish(world, "/held/discard", "{}", 422, "key is needed");
    expect_wish(world, "/held/discard", "{\"key\":\"7\",\"limit\":\"0\"}", 422, "limit must be");
    expect_wish(world, "/controls/block", "{\"tenant\":\"7\"}", 422, "for is needed");
    expect_wish(world, "/controls/block", "{\"for\":\"1h\"}", 422, "give one of tenant and key");
    expect_wish(world, "/controls/block", "{\"tenant\":\"7\",\"for\":\"1h\",\"action\":\"drop\"}",
                422, "hold or skip");
    expect_wish(world, "/controls/block", "{\"tenant\":\"7\",\"for\":\"1h\"}", 503, "shard a: ");
    expect_wish(world, "/controls/unblock", "{\"tenant\":\"7\"}", 503, "shard a: ");
    ask(world, "GET /waiting", HOST SHOWN, "");
    ck_assert_int_eq(world->answer.status, 200);
    ck_assert_ptr_nonnull(strstr(world->answer.body, "\"failures\":[{\"shard\":\"a\",\"error\":"));
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
    tcase_add_test(pages, test_methods);
    tcase_add_test(pages, test_token);
    tcase_add_test(pages, test_names_that_point_here);
    tcase_add_test(pages, test_page);
    tcase_add_test(pages, test_state);
    tcase_add_test(pages, test_who_may_act);
    tcase_add_test(pages, test_wishes);
    suite_add_tcase(suite, pages);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
