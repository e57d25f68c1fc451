/* The edge: each request's record, each answer, and that an answer says the truth about the log. */
#include "../record/fixture.h"

#include <unistd.h>

#include "edge/internal.h"
#include "world.h"

enum {
    FILLS_A_PARTITION = 5
}; /* of in_flight_max: its own 1, and 4 of the 8 that may be borrowed */

static const struct {
    const char *line;
    const char *headers;
    const char *body;
    const char *key;
    const char *value;
    const char *op;
} stored[] = {
    {"PUT /apps/7/devices/x", "", "{\"sessions\":1}", "7/x", "{\"sessions\":1}", ""},
    {"PUT /apps/007/devices/%78%2fy", "Content-Type: application/json\r\n",
     " {\"sessions\" : \"1\"} ", "7/x%2Fy", " {\"sessions\" : \"1\"} ", ""},
    {"PUT /apps/7/devices/x?any=1",
     "Content-Type: Application/JSON ; charset=utf-8\r\nContent-Encoding: identity\r\n",
     "{\"sessions\":1,\"app_id\":7}", "7/x", "{\"sessions\":1,\"app_id\":7}", ""},
    {"PATCH /apps/7/devices/x", "", "{\"sessions\":2}", "7/x", "{\"sessions\":2}", "patch"},
    {"PATCH /apps/7/devices/x", "Content-Type: application/merge-patch+json\r\n", "{}", "7/x", "{}",
     "patch"},
    {"DELETE /apps/7/devices/x", "", "", "7/x", "", "delete"},
    {"DELETE /apps/7/devices/x", "Content-Type: text/plain\r\n", "", "7/x", "", "delete"},
    {"DELETE http://a/apps/7/devices/x", "", "", "7/x", "", "delete"},
};

START_TEST(test_stored)
{
    edge_world *world = world_new();
    world_open(world);
    int64_t before_ms = leat_wall_ms();
    send_request(world, stored[_i].line, stored[_i].headers, stored[_i].body);
    const fake_record *record = wait_record(world, 1);
    ck_assert_str_eq(record->key, stored[_i].key);
    ck_assert_str_eq(record->value, stored[_i].value);
    ck_assert_str_eq(record->op, stored[_i].op);
    ck_assert_str_eq(record->route, "");
    ck_assert(!record->value_is_null);
    ck_assert_int_ge(record->accepted_ms, before_ms);
    ck_assert_int_le(record->accepted_ms, leat_wall_ms());
    uint64_t hash = leat_hash(leat_slice_of(stored[_i].key));
    ck_assert_uint_eq(record->partition, (hash >> 32) % 4);
    fake_log_answer(world->log, 0, LEAT_APPENDED, 1234567890123, NULL);
    expect_answer(world, 202);
    char expected[128];
    snprintf(expected, sizeof expected,
             "{\"topic\":\"writes\\\"1\",\"partition\":%u,\"offset\":1234567890123}",
             record->partition);
    ck_assert_str_eq(world->answer.body, expected);
    world_free(world);
}
END_TEST

/* key NULL: refused, with that status and field. */
static const struct {
    const char *tenant;
    const char *line;
    const char *headers;
    const char *body;
    const char *key;
    int status;
    const char *field;
} elsewhere[] = {
    {"body.app_id", "PUT /devices/x", "", "{\"sessions\":1,\"app_id\":7}", "7/x", 0, ""},
    {"body.app_id", "PATCH /devices/a%2fb", "", "{\"app_id\":\"007\"}", "7/a%2Fb", 0, ""},
    {"body.app_id", "DELETE /devices/x?app_id=7", "", "", "7/x", 0, ""},
    {"body.app_id", "DELETE /devices/x?a&app%5Fid=%307&app_id_=8", "", "", "7/x", 0, ""},
    {"header.X-App", "PATCH /devices/x", "X-App: 7\r\n", "{}", "7/x", 0, ""},
    {"header.X-App", "DELETE /devices/x", "x-app: 07\r\n", "", "7/x", 0, ""},
    {"body.app_id", "PUT /devices/x", "", "{\"sessions\":1}", NULL, 422, "app_id"},
    {"body.app_id", "PUT /devices/x?app_id=7", "", "{\"sessions\":1}", NULL, 422, "app_id"},
    {"body.app_id", "PATCH /devices/x", "", "{\"app_id\":\"x\"}", NULL, 422, "app_id"},
    {"body.app_id", "PATCH /devices/x", "", "{\"app_id\":\"\"}", NULL, 422, "app_id"},
    {"body.app_id", "PATCH /devices/x", "", "{\"app_id\":null}", NULL, 422, "app_id"},
    {"body.app_id", "PATCH /devices/x", "", "{\"app_id\":[7]}", NULL, 422, "app_id"},
    {"body.app_id", "PATCH /devices/x", "", "{\"app_id\":7,\"app_id\":7}", NULL, 422, "app_id"},
    {"body.app_id", "PATCH /devices/x", "", "{\"app_id\":7,\"app_id\":8}", NULL, 422, "app_id"},
    {"body.app_id", "PATCH /devices/%4", "", "{\"app_id\":7}", NULL, 422, "device"},
    {"body.app_id", "PATCH /devices/x", "", "{\"app_id\":7,\"no\":1}", NULL, 422, "no"},
    {"body.app_id", "PATCH /devices/x", "", "{\"app_id\":7", NULL, 400, ""},
    {"body.app_id", "PATCH /devices/x", "", "", NULL, 400, ""},
    {"body.app_id", "PATCH /devices/x", "Content-Encoding: gzip\r\n", "{\"app_id\":7}", NULL, 415,
     ""},
    {"body.app_id", "DELETE /devices/x", "", "", NULL, 422, "app_id"},
    {"body.app_id", "DELETE /devices/x?app_id", "", "", NULL, 422, "app_id"},
    {"body.app_id", "DELETE /devices/x?app_id=", "", "", NULL, 422, "app_id"},
    {"body.app_id", "DELETE /devices/x?app_id=%4", "", "", NULL, 422, "app_id"},
    {"body.app_id", "DELETE /devices/x?app_id=7&app_id=7", "", "", NULL, 422, "app_id"},
    {"body.app_id", "DELETE /devices/x?app_id=7", "", "{\"app_id\":7}", NULL, 400, ""},
    {"body.app_id", "POST /devices/x", "", "{\"app_id\":7}", NULL, 405, ""},
    {"header.X-App", "PATCH /devices/x", "", "{\"app_id\":7}", NULL, 422, "x-app"},
    {"header.X-App", "PATCH /devices/x", "X-App: x\r\n", "{}", NULL, 422, "x-app"},
    {"header.X-App", "PATCH /devices/x", "X-App: 7\r\n", "{\"app_id\":8}", NULL, 422, "app_id"},
    {"header.X-App", "PATCH /devices/x", "X-App: 7\r\nX-App: 8\r\n", "{}", NULL, 422, "x-app"},
    {"header.X-App", "PATCH /devices/x", "X-App: 7\r\nx-app: 7\r\n", "{}", NULL, 422, "x-app"},
    {"header.X-App", "DELETE /devices/x", "X-App: 7\r\nX-App:\r\n", "", NULL, 422, "x-app"},
    {"header.X-App", "DELETE /devices/x", "X-App:\r\nX-App: 7\r\n", "", NULL, 422, "x-app"},
};

START_TEST(test_tenant_elsewhere)
{
    edge_world *world = world_new();
    leat_error error = {""};
    leat_route_spec spec = {.path = "/devices/{device}", .tenant = elsewhere[_i].tenant};
    ck_assert_int_eq(leat_route_build(&spec, &world->version->tables[0], 0,
                                      &world->version->routes.routes[0], &error),
                     0);
    world_open(world);
    send_request(world, elsewhere[_i].line, elsewhere[_i].headers, elsewhere[_i].body);
    if (elsewhere[_i].key) {
        ck_assert_str_eq(wait_record(world, 1)->key, elsewhere[_i].key);
        ck_assert_str_eq(world->log->records[0].value, elsewhere[_i].body);
    } else {
        char field[96];
        expect_answer(world, elsewhere[_i].status);
        snprintf(field, sizeof field, *elsewhere[_i].field ? "\"field\":\"%s\"" : "\"field\":null",
                 elsewhere[_i].field);
        ck_assert_msg(strstr(world->answer.body, field), "%s", world->answer.body);
    }
    world_free(world);
}
END_TEST

START_TEST(test_altered_table)
{
    edge_world *world = world_new();
    world_open(world);
    send_request(world, "PUT /apps/7/devices/x", "", "{\"sessions\":1,\"more\":\"x\"}");
    expect_answer(world, 422);
    ck_assert_int_eq(world->asks, 1);
    leat_schema_version *version = version_new();
    fixture_add(&version->tables[0], "more", LEAT_TYPE_TEXT, -1);
    leat_schema_versions_publish(world->schema_versions, 0, version, 2);
    send_request(world, "PUT /apps/7/devices/x", "", "{\"sessions\":1,\"more\":\"x\"}");
    wait_record(world, 1);
    fake_log_answer(world->log, 0, LEAT_APPENDED, 0, NULL);
    expect_answer(world, 202);
    ck_assert_int_eq(world->asks, 1);
    world_free(world);
}
END_TEST

START_TEST(test_body_is_checked_as_its_shard_is)
{
    edge_world *world = world_new();
    leat_layout_even(&world->layout, 4, 2, (const char *const[]){"a", "b"});
    for (uint32_t slot = 0; slot < LEAT_TENANT_SLOTS; slot++)
        world->layout.tenant_slots[slot] = 1;
    leat_schema_versions_free(world->schema_versions);
    world->config.schema_versions = world->schema_versions =
        leat_schema_versions_new(2, on_ask, world);
    for (uint32_t shard = 0; shard < 2; shard++) {
        leat_schema_version *version = version_new();
        version->routes.routes[0].tenant_key_position = 0;
        if (shard == 1)
            fixture_add(&version->tables[0], "more", LEAT_TYPE_TEXT, -1);
        leat_schema_versions_publish(world->schema_versions, shard, version, 1);
    }
    world_open(world);
    send_request(world, "PATCH /apps/7/devices/x", "", "{\"more\":\"x\"}");
    ck_assert_uint_ge(wait_record(world, 1)->partition, 2);
    fake_log_answer(world->log, 0, LEAT_APPENDED, 0, NULL);
    expect_answer(world, 202);
    world_free(world);
}
END_TEST

START_TEST(test_route_header_with_several_routes)
{
    edge_world *world = world_new();
    leat_routes *routes = &world->version->routes;
    routes->count = 2;
    routes->routes[1] = fixture_route(&world->version->tables[0], "/other/{app_id}/{device}");
    routes->routes[1].index = 1;
    snprintf(routes->routes[1].name, sizeof routes->routes[1].name, "other");
    world_open(world);
    send_request(world, "DELETE /other/1/b", "", "");
    ck_assert_str_eq(wait_record(world, 1)->route, "other");
    ck_assert_str_eq(world->log->records[0].key, "1/b");
    world_free(world);
}
END_TEST

/* The header is the draft's, a structured field's string, or the bare text. */
START_TEST(test_idempotency_key)
{
    static const char *const lines[] = {"Idempotency-Key: \"k-1\"\r\n", "idempotency-key: k-1\r\n",
                                        ""};
    edge_world *world = world_new();
    world_open(world);
    for (uint32_t i = 0; i < COUNT_OF(lines); i++) {
        send_request(world, "DELETE /apps/7/devices/x", lines[i], "");
        ck_assert_str_eq(wait_record(world, i + 1)->idempotency, i < 2 ? "k-1" : "");
        fake_log_answer(world->log, i, LEAT_APPENDED, i, NULL);
        expect_answer(world, 202);
    }
    /* Of what it has seen; not of what the log has not taken for certain. */
    for (uint32_t i = 3; i < 5; i++) {
        send_request(world, "PATCH /apps/7/devices/y", "idempotency-key: k-2\r\n",
                     i == 3 ? "{\"sessions\":1}" : "{\"sessions\":2}");
        wait_record(world, i + 1);
        fake_log_answer(world->log, i, i == 3 ? LEAT_APPEND_UNKNOWN : LEAT_APPENDED, i, NULL);
        expect_answer(world, i == 3 ? 504 : 202);
    }
    send_request(world, "PATCH /apps/7/devices/y", "idempotency-key: k-2\r\n", "{\"sessions\":1}");
    expect_answer(world, 422);
    expect_start(world, "{\"error\":\"invalid\",\"field\":\"idempotency-key\",");
    send_request(world, "PATCH /apps/7/devices/z", "idempotency-key: k-2\r\n", "{\"sessions\":1}");
    wait_record(world, 6);
    fake_log_answer(world->log, 5, LEAT_APPENDED, 5, NULL);
    expect_answer(world, 202);
    send_request(world, "POST /batch", "Content-Type: application/json\r\nIdempotency-Key: k-1\r\n",
                 "[]");
    expect_answer(world, 400);
    expect_start(world, "{\"error\":\"bad_request\",\"field\":\"idempotency-key\",");
    world_free(world);
}
END_TEST

/* Two with one key are on their way at once: the first has the effect, so it may be sent again, and
 * the other is the one that is refused. */
START_TEST(test_the_first_write_with_a_key_keeps_it)
{
    static const char *const bodies[] = {"{\"sessions\":1}", "{\"sessions\":2}"};
    edge_world *world = world_new();
    world_open(world);
    for (uint32_t i = 0; i < 2; i++) {
        send_request(world, "PATCH /apps/7/devices/y", "idempotency-key: k\r\n", bodies[i]);
        wait_record(world, i + 1);
    }
    for (uint32_t i = 0; i < 2; i++) {
        fake_log_answer(world->log, i, LEAT_APPENDED, i, NULL);
        expect_answer(world, 202);
    }
    send_request(world, "PATCH /apps/7/devices/y", "idempotency-key: k\r\n", bodies[0]);
    wait_record(world, 3);
    fake_log_answer(world->log, 2, LEAT_APPENDED, 2, NULL);
    expect_answer(world, 202);
    send_request(world, "PATCH /apps/7/devices/y", "idempotency-key: k\r\n", bodies[1]);
    expect_answer(world, 422);
    world_free(world);
}
END_TEST

/* Another write with it is then the shard's to judge, which has forgotten it too. */
START_TEST(test_an_idempotency_key_is_remembered_for_its_lifetime)
{
    static const char *const bodies[] = {"{\"sessions\":1}", "{\"sessions\":2}"};
    edge_world *world = world_new();
    world->config.idempotency_ms = 1;
    world_open(world);
    for (uint32_t i = 0; i < COUNT_OF(bodies); i++) {
        send_request(world, "PATCH /apps/7/devices/y", "idempotency-key: k\r\n", bodies[i]);
        wait_record(world, i + 1);
        fake_log_answer(world->log, i, LEAT_APPENDED, i, NULL);
        expect_answer(world, 202);
        int64_t taken_us = leat_mono_us(); /* or a little earlier */
        while (leat_mono_us() - taken_us <= 1000)
            continue;
    }
    world_free(world);
}
END_TEST

static const struct {
    const char *line;
    const char *headers;
    const char *body;
    int status;
    const char *start; /* of the answer's body */
} refused[] = {
    {"PUT /apps/7", "", "{}", 404, "{\"error\":\"no_route\",\"field\":null,\"message\":\""},
    {"PUT /", "", "{}", 404, "{\"error\":\"no_route\",\"field\":null,"},
    {"GET /apps/7/devices/x", "", "", 405, "{\"error\":\"method_not_allowed\",\"field\":null,"},
    {"POST /apps/7/devices/x", "", "{}", 405, "{\"error\":\"method_not_allowed\",\"field\":null,"},
    {"PURGE /apps/x/devices/x", "", "", 405, "{\"error\":\"method_not_allowed\",\"field\":null,"},
    {"PUT /apps/x/devices/x", "", "{}", 422,
     "{\"error\":\"invalid\",\"field\":\"app_id\",\"message\":\""},
    {"DELETE /apps/99999999999/devices/x", "", "", 422,
     "{\"error\":\"invalid\",\"field\":\"app_id\","},
    {"PUT /apps/7/devices/x", "", "{\"sessions\":1", 400,
     "{\"error\":\"bad_json\",\"field\":null,\"message\":\""},
    {"PUT /apps/7/devices/x", "", "[]", 400, "{\"error\":\"bad_json\",\"field\":null,"},
    {"PUT /apps/7/devices/x", "", "{\"sessions\":\"x\"}", 422,
     "{\"error\":\"invalid\",\"field\":\"sessions\","},
    {"PUT /apps/7/devices/x", "", "{\"sessions\":1,\"nope\":1}", 422,
     "{\"error\":\"invalid\",\"field\":\"nope\","},
    {"PUT /apps/7/devices/x", "", "", 400,
     "{\"error\":\"bad_json\",\"field\":null,\"message\":\"a JSON object is needed"},
    {"PATCH /apps/7/devices/x", "", "", 400, "{\"error\":\"bad_json\",\"field\":null,"},
    {"PUT /apps/7/devices/x", "", "{}", 422, "{\"error\":\"invalid\",\"field\":\"sessions\","},
    {"PUT /apps/7/devices/x", "", "{\"sessions\":1,\"app_id\":8}", 422,
     "{\"error\":\"invalid\",\"field\":\"app_id\","},
    {"DELETE /apps/7/devices/x", "", "{}", 400, "{\"error\":\"bad_request\",\"field\":null,"},
    {"PUT /apps/7/devices/x", "Content-Type: text/plain\r\n", "{\"sessions\":1}", 415,
     "{\"error\":\"unsupported_media_type\",\"field\":null,"},
    {"PUT /apps/7/devices/x", "Content-Type: application/merge-patch+json\r\n", "{\"sessions\":1}",
     415, "{\"error\":\"unsupported_media_type\","},
    {"PUT /apps/7/devices/x", "Content-Type: application/jsonx\r\n", "{\"sessions\":1}", 415,
     "{\"error\":"},
    {"PUT /apps/7/devices/x", "Content-Encoding: gzip\r\n", "{\"sessions\":1}", 415,
     "{\"error\":\"unsupported_media_type\","},
    {"DELETE /apps/7/devices/x", "Content-Encoding: gzip\r\n", "", 415,
     "{\"error\":\"unsupported_media_type\","},
    {"DELETE /apps/7/devices/x", "Idempotency-Key: a b\r\n", "", 400,
     "{\"error\":\"bad_request\",\"field\":\"idempotency-key\",\"message\":\"an idempotency key"},
    {"DELETE /apps/7/devices/x", "Idempotency-Key: a\r\nIdempotency-Key: b\r\n", "", 400,
     "{\"error\":\"bad_request\",\"field\":\"idempotency-key\",\"message\":\"a request has one"},
    {"PUT /healthz", "", "{}", 405, "{\"error\":\"method_not_allowed\",\"field\":null,"},
    {"DELETE /readyz", "", "", 405, "{\"error\":\"method_not_allowed\","},
    {"GET /batch", "", "", 405, "{\"error\":\"method_not_allowed\",\"field\":null,"},
    {"PUT /batch", "", "[]", 405, "{\"error\":\"method_not_allowed\",\"field\":null,"},
};

/* The methods that a path takes. */
static const char *allowed_at(const char *line)
{
    return strstr(line, "z")        ? "GET, HEAD, OPTIONS"
           : strstr(line, "/batch") ? "POST"
                                    : "DELETE, PATCH, PUT";
}

START_TEST(test_refused)
{
    edge_world *world = world_new();
    world_open(world);
    send_request(world, refused[_i].line, refused[_i].headers, refused[_i].body);
    expect_answer(world, refused[_i].status);
    expect_start(world, refused[_i].start);
    ck_assert(!world->answer.closes);
    ck_assert_uint_eq(world->log->count, 0);
    char room[64];
    ck_assert_str_eq(test_header(&world->answer, "content-type", room, sizeof room),
                     "application/problem+json");
    ck_assert_str_eq(test_header(&world->answer, "allow", room, sizeof room),
                     refused[_i].status == 405 ? allowed_at(refused[_i].line) : "");
    world_free(world);
}
END_TEST

static const struct {
    leat_append_result result;
    const char *why;
    int status;
    const char *body;
    const char *retry_after;
} from_log[] = {
    {LEAT_NOT_APPENDED, "it said \"no\"", 503,
     "{\"error\":\"unavailable\",\"field\":null,\"message\":\"it said \\\"no\\\"\",", "1"},
    {LEAT_NOT_APPENDED, NULL, 503,
     "{\"error\":\"unavailable\",\"field\":null,\"message\":\"the log gave no reason\",", "1"},
    {LEAT_APPEND_UNKNOWN, "timed out", 504,
     "{\"error\":\"unknown\",\"field\":null,\"message\":\"timed out\",", ""},
    {LEAT_APPEND_TOO_LARGE, "too large", 413,
     "{\"error\":\"too_large\",\"field\":null,\"message\":\"too large\",", ""},
};

START_TEST(test_answers_of_the_log)
{
    edge_world *world = world_new();
    world_open(world);
    send_request(world, "DELETE /apps/7/devices/x", "", "");
    wait_record(world, 1);
    fake_log_answer(world->log, 0, from_log[_i].result, -1, from_log[_i].why);
    expect_answer(world, from_log[_i].status);
    expect_start(world, from_log[_i].body);
    char room[16];
    ck_assert_str_eq(test_header(&world->answer, "retry-after", room, sizeof room),
                     from_log[_i].retry_after);
    world_free(world);
}
END_TEST

static const struct {
    int append_result;
    bool broken;
    int status;
    const char *start;
    const char *retry_after;
} at_append[] = {
    {1, false, 503, "{\"error\":\"overloaded\",", "1"},
    {1, true, 503, "{\"error\":\"unavailable\",", "1"},
    {-1, false, 413, "{\"error\":\"too_large\",\"field\":null,\"message\":\"refused\",", ""},
};

START_TEST(test_log_that_takes_nothing)
{
    edge_world *world = world_new();
    world_open(world);
    world->log->append_result = at_append[_i].append_result;
    world->log->broken = at_append[_i].broken;
    send_request(world, "PUT /apps/7/devices/x", "", "{\"sessions\":1}");
    expect_answer(world, at_append[_i].status);
    expect_start(world, at_append[_i].start);
    char room[16];
    ck_assert_str_eq(test_header(&world->answer, "retry-after", room, sizeof room),
                     at_append[_i].retry_after);
    world_free(world);
}
END_TEST

START_TEST(test_in_flight_limit)
{
    edge_world *world = world_new();
    world_open(world);
    for (uint32_t i = 0; i < FILLS_A_PARTITION + 1; i++)
        send_request(world, "DELETE /apps/7/devices/x", "", "");
    wait_record(world, FILLS_A_PARTITION);
    for (int i = 0; i < 50; i++)
        test_turn(&world->loop);
    ck_assert_uint_eq(world->log->count, FILLS_A_PARTITION);
    for (uint32_t i = 0; i < FILLS_A_PARTITION; i++)
        fake_log_answer(world->log, FILLS_A_PARTITION - 1 - i, LEAT_APPENDED,
                        FILLS_A_PARTITION - 1 - i, NULL);
    for (uint32_t i = 0; i < FILLS_A_PARTITION; i++) {
        expect_answer(world, 202);
        char offset[32];
        snprintf(offset, sizeof offset, "\"offset\":%u}", i);
        ck_assert_ptr_nonnull(strstr(world->answer.body, offset));
    }
    expect_answer(world, 503);
    ck_assert_ptr_nonnull(strstr(world->answer.body, "\"overloaded\""));
    ck_assert_ptr_nonnull(strstr(world->answer.body, "of this partition"));
    send_request(world, "DELETE /apps/7/devices/x", "", "");
    wait_record(world, FILLS_A_PARTITION + 1);
    world_free(world);
}
END_TEST

/* One tenant and one row, each in a burst; the others go on. */
START_TEST(test_limits_of_tenants_and_keys)
{
    static const struct {
        const char *path;
        int status;
        const char *message;
    } writes[] = {
        {"/apps/7/devices/x", 202, ""},
        {"/apps/7/devices/x", 202, ""},
        {"/apps/7/devices/x", 429, "limits.key"},
        {"/apps/7/devices/y", 202, ""},
        {"/apps/7/devices/z", 429, "limits.tenant"},
        {"/apps/8/devices/x", 202, ""},
        {"/apps/08/devices/x", 202, ""}, /* another spelling of it */
        {"/apps/8/devices/x", 429, "limits.key"},
    };
    edge_world *world = world_new();
    world->version->routes.routes[0].tenant_key_position = 0;
    world->config.tenant_rate = (leat_edge_rate){1, 3};
    world->config.key_rate = (leat_edge_rate){1, 2};
    world_open(world);
    int64_t begun_us = leat_mono_us();
    for (uint32_t i = 0, taken = 0; i < COUNT_OF(writes); i++) {
        char line[64], room[16];
        snprintf(line, sizeof line, "DELETE %s", writes[i].path);
        send_request(world, line, "", "");
        if (writes[i].status == 202) {
            wait_record(world, ++taken);
            fake_log_answer(world->log, taken - 1, LEAT_APPENDED, taken, NULL);
        }
        ck_assert(test_read_answer(&world->loop, &world->reader, false, &world->answer));
        if (leat_mono_us() - begun_us > 900000)
            break; /* a machine so slow that the rate lets more through */
        ck_assert_msg(world->answer.status == writes[i].status, "%u: %d", i, world->answer.status);
        if (writes[i].status == 202)
            continue;
        expect_start(world, "{\"error\":\"limited\",\"field\":null,");
        ck_assert_ptr_nonnull(strstr(world->answer.body, writes[i].message));
        ck_assert_str_eq(test_header(&world->answer, "retry-after", room, sizeof room), "1");
    }
    world_free(world);
}
END_TEST

/* A file of tokens: "all" may do everything, "app7" tenant 7's rows, "puts" PUT, "other" another
 * route. */
static leat_auth *auth_new(void)
{
    static const char *const rights[][2] = {{"all", "*:*"},
                                            {"app7", "*:* tenant=7"},
                                            {"app07", "*:* tenant=%3007"},
                                            {"puts", "subscriptions:put"},
                                            {"other", "others:*"}};
    char file[] = "/tmp/leat-tokens-XXXXXX", hex[LEAT_DIGEST_HEX_SIZE];
    leat_error error = {""};
    int fd = mkstemp(file);
    ck_assert_int_ge(fd, 0);
    for (size_t i = 0; i < COUNT_OF(rights); i++) {
        leat_digest digest = leat_digest_of(leat_slice_of(rights[i][0]));
        leat_digest_to_hex(&digest, hex);
        ck_assert_int_gt(dprintf(fd, "%s sha256:%s %s\n", rights[i][0], hex, rights[i][1]), 0);
    }
    close(fd);
    leat_auth *auth = leat_auth_new(&(leat_auth_config){.tokens_file = file}, &error);
    ck_assert_msg(auth, "%s", error.text);
    unlink(file);
    return auth;
}

#define INVALID                                                                                    \
    "Bearer realm=\"leat\", error=\"invalid_token\", error_description=\"the token is not known here\""
#define TWICE                                                                                      \
    "Bearer realm=\"leat\", error=\"invalid_token\", error_description=\"there is more than one "  \
    "Authorization header\""
#define NO_SCOPE "Bearer realm=\"leat\", error=\"insufficient_scope\""

static const struct {
    const char *token; /* NULL: none */
    const char *line;
    int status;
    const char *message, *challenge;
} visits[] = {
    {"all", "DELETE /apps/7/devices/x", 202, "", ""},
    {"app7", "DELETE /apps/7/devices/x", 202, "", ""},
    {"app7", "DELETE /apps/07/devices/x", 202, "", ""},
    {"app07", "DELETE /apps/7/devices/x", 202, "", ""},
    {"puts", "PUT /apps/7/devices/x", 202, "", ""},
    {NULL, "DELETE /apps/7/devices/x", 401, "a token is needed (Authorization: Bearer TOKEN)",
     "Bearer realm=\"leat\""},
    {NULL, "GET /nothing", 401, "a token is needed", "Bearer realm=\"leat\""},
    {"nobody", "DELETE /apps/7/devices/x", 401, "the token is not known here", INVALID},
    {"all,", "DELETE /apps/7/devices/x", 401, "the token is not known here", INVALID},
    {"all\r\nAuthorization: Bearer app7", "DELETE /apps/7/devices/x", 401, "more than one", TWICE},
    {"nobody\r\nAuthorization: Bearer all", "DELETE /apps/7/devices/x", 401, "more than one",
     TWICE},
    {"all\r\nAuthorization:", "DELETE /apps/7/devices/x", 401, "more than one", TWICE},
    {"puts", "DELETE /apps/7/devices/x", 403, "the token has no scope subscriptions:delete",
     NO_SCOPE ", scope=\"subscriptions:delete\""},
    {"other", "PUT /apps/7/devices/x", 403, "the token has no scope subscriptions:put",
     NO_SCOPE ", scope=\"subscriptions:put\""},
    {"app7", "DELETE /apps/8/devices/x", 403, "the token is for another tenant", NO_SCOPE},
    {"all", "GET /nothing", 404, "no route", ""},
    {NULL, "GET /healthz", 200, "", ""},
    {NULL, "GET /readyz", 200, "", ""},
};

START_TEST(test_who_may_write)
{
    edge_world *world = world_new();
    world->version->routes.routes[0].tenant_key_position = 0;
    world->config.auth = auth_new();
    world_open(world);
    uint32_t taken = 0;
    for (size_t i = 0; i < COUNT_OF(visits); i++) {
        char field[64] = "", room[256];
        if (visits[i].token)
            snprintf(field, sizeof field, "authorization: Bearer %s\r\n", visits[i].token);
        send_request(world, visits[i].line, field,
                     strncmp(visits[i].line, "PUT", 3) == 0 ? "{\"sessions\":1}" : "");
        if (visits[i].status == 202) {
            wait_record(world, ++taken);
            fake_log_answer(world->log, taken - 1, LEAT_APPENDED, taken, NULL);
        }
        expect_answer(world, visits[i].status);
        ck_assert_ptr_nonnull(strstr(world->answer.body, visits[i].message));
        ck_assert_str_eq(test_header(&world->answer, "www-authenticate", room, sizeof room),
                         visits[i].challenge);
    }
    leat_auth *auth = world->config.auth;
    world_free(world);
    leat_auth_free(auth);
}
END_TEST

/* Its record would have the token's own tenant, but the row is found by the device alone. */
START_TEST(test_a_token_for_one_tenant_writes_no_route_where_the_tenant_leads)
{
    edge_world *world = world_new();
    leat_error error = {""};
    leat_route_spec spec = {.path = "/apps/{app_id}/devices/{device}", .tenant = "body.small"};
    ck_assert_int_eq(leat_route_build(&spec, &world->version->tables[0], 0,
                                      &world->version->routes.routes[0], &error),
                     0);
    world->config.auth = auth_new();
    world_open(world);
    send_request(world, "PATCH /apps/8/devices/x", "Authorization: Bearer app7\r\n",
                 "{\"small\":7}");
    expect_answer(world, 403);
    ck_assert_ptr_nonnull(strstr(world->answer.body, "would write any tenant's row"));
    send_request(world, "PATCH /apps/8/devices/x", "Authorization: Bearer all\r\n",
                 "{\"small\":7}");
    wait_record(world, 1);
    leat_auth *auth = world->config.auth;
    world_free(world);
    leat_auth_free(auth);
}
END_TEST

START_TEST(test_a_token_for_one_tenant_writes_no_route_without_tenants)
{
    edge_world *world = world_new();
    world->config.auth = auth_new();
    world_open(world);
    send_request(world, "DELETE /apps/7/devices/x", "Authorization: bearer app7\r\n", "");
    expect_answer(world, 403);
    ck_assert_ptr_nonnull(strstr(world->answer.body, "the rows of this route belong to none"));
    send_request(world, "DELETE /apps/7/devices/x", "Authorization: Basic YTpi\r\n", "");
    expect_answer(world, 401);
    ck_assert_ptr_nonnull(strstr(world->answer.body, "is not Bearer and a token"));
    leat_auth *auth = world->config.auth;
    world_free(world);
    leat_auth_free(auth);
}
END_TEST

/* Two requests on two connections, the headers of both before the body of either: each is answered
 * by its own token, and one without a good one before it has sent its body. */
START_TEST(test_a_token_is_asked_for_before_the_body)
{
    static const char body[] = "{\"sessions\":1}";
    static const char *const tokens[] = {"all", "app7", "nobody"};
    edge_world *world = world_new();
    world->version->routes.routes[0].tenant_key_position = 0;
    world->config.auth = auth_new();
    world_open(world);
    test_reader *readers = leat_must_calloc(COUNT_OF(tokens), sizeof *readers);
    for (size_t i = 0; i < COUNT_OF(tokens); i++) {
        char head[256];
        readers[i].fd = test_connect(leat_edge_port(world->edge));
        snprintf(head, sizeof head,
                 "PUT /apps/8/devices/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"
                 "Expect: 100-continue\r\nContent-Length: %zu\r\n\r\n",
                 tokens[i], sizeof body - 1);
        test_send_text(&world->loop, readers[i].fd, head);
        ck_assert(test_read_answer(&world->loop, &readers[i], true, &world->answer));
        ck_assert_int_eq(world->answer.status, i == 2 ? 401 : 100);
    }
    for (size_t i = 0; i < 2; i++)
        test_send_text(&world->loop, readers[i].fd, body);
    wait_record(world, 1);
    fake_log_answer(world->log, 0, LEAT_APPENDED, 1, NULL);
    for (size_t i = 0; i < 2; i++) {
        ck_assert(test_read_answer(&world->loop, &readers[i], false, &world->answer));
        ck_assert_int_eq(world->answer.status, i == 0 ? 202 : 403);
    }
    for (size_t i = 0; i < COUNT_OF(tokens); i++)
        close(readers[i].fd);
    free(readers);
    leat_auth *auth = world->config.auth;
    world_free(world);
    leat_auth_free(auth);
}
END_TEST

/* What a limit refuses says so in the header fields too, and counts against no other limit. */
START_TEST(test_limits_of_tokens)
{
    edge_world *world = world_new();
    world->version->routes.routes[0].tenant_key_position = 0;
    world->config.auth = auth_new();
    world->config.token_rate = (leat_edge_rate){1, 2};
    world->config.tenant_rate = (leat_edge_rate){1, 3};
    world_open(world);
    static const struct {
        const char *token;
        int status;
    } writes[] = {{"all", 202}, {"all", 202}, {"all", 429}, {"all", 429}, {"app7", 202}};
    int64_t begun_us = leat_mono_us();
    for (uint32_t i = 0, taken = 0; i < COUNT_OF(writes); i++) {
        char field[64], room[64];
        snprintf(field, sizeof field, "Authorization: Bearer %s\r\n", writes[i].token);
        send_request(world, "DELETE /apps/7/devices/x", field, "");
        if (writes[i].status == 202) {
            wait_record(world, ++taken);
            fake_log_answer(world->log, taken - 1, LEAT_APPENDED, taken, NULL);
        }
        ck_assert(test_read_answer(&world->loop, &world->reader, false, &world->answer));
        if (leat_mono_us() - begun_us > 900000)
            break; /* a machine so slow that the rate lets more through */
        ck_assert_msg(world->answer.status == writes[i].status, "%u: %d", i, world->answer.status);
        if (writes[i].status == 202) { /* the limit that is nearest, and what it has left */
            static const char *const left[] = {"\"token\";r=1;t=1", "\"token\";r=0;t=2", "", "",
                                               "\"tenant\";r=0;t=3"};
            ck_assert_str_eq(test_header(&world->answer, "ratelimit", room, sizeof room), left[i]);
            continue;
        }
        ck_assert_ptr_nonnull(strstr(world->answer.body, "limits.token"));
        ck_assert_str_eq(test_header(&world->answer, "retry-after", room, sizeof room), "1");
        ck_assert_str_eq(test_header(&world->answer, "ratelimit-policy", room, sizeof room),
                         "\"token\";q=2;w=2");
        ck_assert_str_eq(test_header(&world->answer, "ratelimit", room, sizeof room),
                         "\"token\";r=0;t=1");
    }
    leat_auth *auth = world->config.auth;
    world_free(world);
    leat_auth_free(auth);
}
END_TEST

/* A device whose writes are in that partition. */
static void line_of_partition(const edge_world *world, uint32_t partition, char *ret, size_t size)
{
    leat_key key;
    for (uint32_t device = 0;; device++) {
        char path[64], field[LEAT_NAME_MAX + 1];
        const leat_route *route;
        leat_error error;
        snprintf(path, sizeof path, "/apps/7/devices/%u", device);
        ck_assert_int_eq(leat_routes_match(&world->version->routes, leat_slice_of(path), &route,
                                           &key, field, &error),
                         LEAT_MATCH_OK);
        if (leat_layout_partition_of_key(&world->layout, route, &key) != partition)
            continue;
        snprintf(ret, size, "DELETE %s", path);
        return;
    }
}

/* The log answers nothing of partition 0, which takes what it may; each of the others still has its
 * part. */
START_TEST(test_a_partition_that_hangs_leaves_the_others_their_part)
{
    edge_world *world = world_new();
    world_open(world);
    char line[96];
    uint32_t expected = 0;
    for (uint32_t p = 0; p < 4; p++) {
        world_connect(world);
        line_of_partition(world, p, line, sizeof line);
        for (uint32_t i = 0; i < (p == 0 ? 9 : 2); i++)
            send_request(world, line, "", "");
        expected += p == 0 ? FILLS_A_PARTITION : 2;
        wait_record(world, expected);
        ck_assert_uint_eq(world->log->records[expected - 1].partition, p);
    }
    for (int i = 0; i < 50; i++)
        test_turn(&world->loop);
    ck_assert_uint_eq(world->log->count, expected);
    world_free(world);
}
END_TEST

/* Only its keys are refused, at once; the rest flows, and /readyz says what is wrong and 200. */
START_TEST(test_a_partition_without_a_leader)
{
    edge_world *world = world_new();
    world_open(world);
    char line[96], room[16];
    world->log->trouble[2] = "partition 2 has no leader since then";
    line_of_partition(world, 2, line, sizeof line);
    send_request(world, line, "", "");
    expect_answer(world, 503);
    expect_start(
        world,
        "{\"error\":\"unavailable\",\"field\":null,\"message\":\"partition 2 has no leader since then\",");
    ck_assert_str_eq(test_header(&world->answer, "retry-after", room, sizeof room), "1");
    line_of_partition(world, 1, line, sizeof line);
    send_request(world, line, "", "");
    wait_record(world, 1);
    fake_log_answer(world->log, 0, LEAT_APPENDED, 0, NULL);
    expect_answer(world, 202);
    send_request(world, "GET /readyz", "", "");
    expect_answer(world, 200);
    ck_assert_str_eq(
        world->answer.body,
        "{\"status\":\"degraded\",\"degraded\":[\"partition 2 has no leader since then\"]}");
    world_free(world);
}
END_TEST

START_TEST(test_health)
{
    edge_world *world = world_new();
    world_open(world);
    send_request(world, "GET /healthz", "", "");
    expect_answer(world, 200);
    ck_assert_str_eq(world->answer.body, "{\"status\":\"ok\"}");
    send_request(world, "GET /readyz", "", "");
    expect_answer(world, 200);
    send_request(world, "HEAD /readyz", "", "");
    ck_assert(test_read_answer(&world->loop, &world->reader, true, &world->answer));
    ck_assert_int_eq(world->answer.status, 200);
    world->log->oldest_us[1] = 4999 * 1000;
    send_request(world, "GET /readyz", "", "");
    expect_answer(world, 200);
    world->log->oldest_us[1] = 5000 * 1000;
    send_request(world, "GET /readyz", "", "");
    expect_answer(world, 503);
    ck_assert_str_eq(
        world->answer.body,
        "{\"status\":\"unready\",\"reason\":\"partition 1: a record has waited for the log for 5000 ms, and none was "
        "taken meanwhile\",\"degraded\":[\"partition 1: a record has waited for the log for 5000 ms\"]}");
    send_request(world, "DELETE /apps/7/devices/x", "", "");
    wait_record(world, 1);
    fake_log_answer(world->log, 0, LEAT_APPENDED, 0, NULL);
    expect_answer(world, 202);
    send_request(world, "GET /readyz", "", ""); /* something is taken */
    expect_answer(world, 200);
    ck_assert_str_eq(
        world->answer.body,
        "{\"status\":\"degraded\",\"degraded\":[\"partition 1: a record has waited for the log for 5000 ms\"]}");
    world->log->trouble[0] = world->log->trouble[2] = world->log->trouble[3] = "no leader";
    send_request(world, "GET /readyz", "", ""); /* but by none that could go on */
    expect_answer(world, 503);
    memset(world->log->trouble, 0, sizeof world->log->trouble);
    world->log->oldest_us[1] = 0;
    world->log->refusals[LEAT_REFUSED_POLICY] = 3;
    world->log->refusal_reason[LEAT_REFUSED_POLICY] = "a policy";
    send_request(world, "GET /readyz", "", "");
    expect_answer(world, 200);
    ck_assert_str_eq(
        world->answer.body,
        "{\"status\":\"degraded\",\"degraded\":[\"writes were refused within the last minute "
        "(cause=policy, 3 in all): a policy\"]}");
    world->log->refusal_reason[LEAT_REFUSED_POLICY] = NULL;
    world->log->broken = true;
    send_request(world, "GET /readyz", "", "");
    expect_answer(world, 503);
    ck_assert_str_eq(world->answer.body,
                     "{\"status\":\"unready\",\"reason\":\"the log cannot be reached\"}");
    send_request(world, "GET /healthz", "", "");
    expect_answer(world, 200);
    world_free(world);
}
END_TEST

/* The default requests of load balancers: readiness. */
START_TEST(test_default_checks_of_load_balancers)
{
    static const char *const checks[] = {"OPTIONS / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
                                         "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
                                         "OPTIONS /readyz HTTP/1.1\r\nHost: a\r\n\r\n"};
    edge_world *world = world_new();
    world_open(world);
    for (size_t i = 0; i < COUNT_OF(checks); i++) {
        for (int broken = 0; broken < 2; broken++) {
            world_connect(world);
            world->log->broken = broken;
            test_send_text(&world->loop, world->reader.fd, checks[i]);
            expect_answer(world, broken ? 503 : 200);
            expect_start(world, broken ? "{\"status\":\"unready\"" : "{\"status\":\"ok\"}");
        }
    }
    char room[64];
    ck_assert_str_eq(test_header(&world->answer, "allow", room, sizeof room), "GET, HEAD, OPTIONS");
    world_free(world);
}
END_TEST

/* Clients that ask for the description again and again and read nothing: what is kept for them has
 * a bound. Writes go on, and so does whoever has the description already. */
START_TEST(test_descriptions_that_are_not_read)
{
    enum { CLIENTS = 8, REQUESTS = 1000 };
    edge_world *world = world_new();
    world->config.docs = true;
    world_open(world);
    leat_buf requests = {0};
    char etag[64], known[96];
    send_request(world, "GET /openapi.json", "", "");
    expect_answer(world, 200);
    snprintf(known, sizeof known, "If-None-Match: %s\r\n",
             test_header(&world->answer, "etag", etag, sizeof etag));
    close(world->reader.fd);
    for (int i = 0; i < REQUESTS; i++)
        leat_buf_text(&requests, "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n");
    leat_buf_printf(&requests, "GET /openapi.json HTTP/1.1\r\nHost: a\r\n%s\r\n", known);
    int greedy[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        world->reader.fd = -1;
        world_connect(world);
        greedy[i] = world->reader.fd;
        test_send(&world->loop, greedy[i], requests.data, requests.size);
        for (int turn = 0; turn < 20; turn++)
            test_turn(&world->loop);
    }
    bool was_refused = false;
    for (int i = 0; i < REQUESTS; i++) { /* of the last client */
        ck_assert(test_read_answer(&world->loop, &world->reader, false, &world->answer));
        if (world->answer.status != 200) {
            ck_assert_int_eq(world->answer.status, 503);
            expect_start(world, "{\"error\":\"overloaded\",");
            was_refused = true;
        }
    }
    ck_assert(was_refused);
    expect_answer(world, 304);
    world->reader.fd = -1;
    world_connect(world);
    send_request(world, "DELETE /apps/7/devices/x", "", "");
    wait_record(world, 1);
    fake_log_answer(world->log, 0, LEAT_APPENDED, 1, NULL);
    expect_answer(world, 202);
    for (int i = 0; i < CLIENTS; i++)
        close(greedy[i]);
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    do { /* what waits is counted now and then */
        send_request(world, "GET /openapi.json", "", "");
        ck_assert(test_read_answer(&world->loop, &world->reader, false, &world->answer));
        ck_assert(leat_mono_us() < until);
    } while (world->answer.status != 200);
    expect_start(world, "{\"openapi\":\"3.1.");
    leat_buf_free(&requests);
    world_free(world);
}
END_TEST

static void on_drained(void *context)
{
    edge_world *world = context;
    ck_assert(!world->drained);
    world->drained = true;
}

static bool metrics_say(edge_world *world, const char *line)
{
    leat_buf text = {0};
    leat_metrics_write(world->metrics, LEAT_METRICS_TEXT, &text);
    bool found = strstr(leat_buf_cstr(&text), line) != NULL;
    leat_buf_free(&text);
    return found;
}

/* Not ready, but it takes writes, also of new connections; then it drains. */
START_TEST(test_leave)
{
    edge_world *world = world_new();
    world_open(world);
    leat_edge_leave(world->edge);
    send_request(world, "GET /readyz", "", "");
    expect_answer(world, 503);
    expect_start(world, "{\"status\":\"unready\",\"reason\":\"shutting down\"}");
    ck_assert(world->answer.closes);
    world_connect(world);
    send_request(world, "DELETE /apps/7/devices/x", "", "");
    wait_record(world, 1);
    fake_log_answer(world->log, 0, LEAT_APPENDED, 1, NULL);
    expect_answer(world, 202);
    ck_assert(world->answer.closes);
    close(world->reader.fd);
    world->reader.fd = -1;
    leat_edge_drain(world->edge, on_drained, world);
    test_turn_until(&world->loop, &world->drained);
    world_free(world);
}
END_TEST

/* The client has gone; its record is still waited for. */
START_TEST(test_drain_waits_for_the_log)
{
    edge_world *world = world_new();
    world_open(world);
    send_request(world, "DELETE /apps/7/devices/x", "", "");
    wait_record(world, 1);
    leat_edge_drain(world->edge, on_drained, world);
    leat_buf why = {0};
    ck_assert(!leat_edge_ready(world->edge, &why));
    ck_assert_str_eq(leat_buf_cstr(&why), "shutting down");
    leat_buf_free(&why);
    for (int i = 0; i < 100; i++)
        test_turn(&world->loop);
    ck_assert(!world->drained);
    fake_log_answer(world->log, 0, LEAT_APPENDED, 1, NULL);
    ck_assert(!world->drained); /* not from inside the log's callback */
    expect_answer(world, 202);
    ck_assert(world->answer.closes);
    ck_assert(test_read_eof(&world->loop, &world->reader));
    close(world->reader.fd);
    world->reader.fd = -1;
    test_turn_until(&world->loop, &world->drained);
    world_free(world);
}
END_TEST

START_TEST(test_free_with_requests_waiting)
{
    edge_world *world = world_new();
    world_open(world);
    for (int i = 0; i < 3; i++)
        send_request(world, "DELETE /apps/7/devices/x", "", "");
    wait_record(world, 3);
    leat_edge_free(world->edge);
    ck_assert(world->log->freed);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    ck_assert(test_read_eof(&world->loop, &world->reader));
    ck_assert(metrics_say(world, "leat_requests_total{code=\"504\"} 3\n"));
    ck_assert(metrics_say(world, "leat_edge_in_flight 0\n"));
    world->edge = NULL;
    world_free(world);
}
END_TEST

START_TEST(test_metrics)
{
    edge_world *world = world_new();
    world_open(world);
    send_request(world, "DELETE /apps/7/devices/x", "", "");
    wait_record(world, 1);
    ck_assert(metrics_say(world, "leat_edge_in_flight 1\n"));
    while (metrics_say(world, "leat_edge_oldest_in_flight_seconds 0\n"))
        uv_run(&world->loop, UV_RUN_ONCE);
    fake_log_answer(world->log, 0, LEAT_APPENDED, 1, NULL);
    expect_answer(world, 202);
    send_request(world, "DELETE /nowhere", "", "");
    expect_answer(world, 404);
    ck_assert(metrics_say(world, "leat_requests_total{code=\"202\"} 1\n"));
    ck_assert(metrics_say(world, "leat_requests_total{code=\"404\"} 1\n"));
    ck_assert(metrics_say(world, "leat_requests_total{code=\"503\"} 0\n"));
    ck_assert(
        metrics_say(world, "leat_accept_to_durable_seconds_count{route=\"subscriptions\"} 1\n"));
    while (!metrics_say(world, "leat_edge_oldest_in_flight_seconds 0\n"))
        uv_run(&world->loop, UV_RUN_ONCE);
    ck_assert(metrics_say(world, "leat_edge_in_flight 0\n"));
    test_send_text(&world->loop, world->reader.fd, "junk\r\n\r\n");
    expect_answer(world, 400);
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    while (!metrics_say(world, "leat_edge_malformed_total 1\n")) {
        uv_run(&world->loop, UV_RUN_ONCE);
        ck_assert(leat_mono_us() < until);
    }
    ck_assert(metrics_say(world, "leat_edge_connections_accepted_total 1\n"));
    world_free(world);
}
END_TEST

START_TEST(test_a_refusal_hides_none_that_waits)
{
    edge_world *world = world_new();
    world_open(world);
    send_request(world, "DELETE /apps/7/devices/x", "", "");
    uint32_t partition = wait_record(world, 1)->partition;
    int64_t oldest_us = edge_oldest_us(world->edge);
    send_request(world, "DELETE /apps/7/devices/x", "", "");
    wait_record(world, 2);
    world->log->oldest_us[partition] = leat_mono_us(); /* the first one still waits */
    fake_log_answer(world->log, 1, LEAT_NOT_APPENDED, -1, "too large");
    ck_assert_int_eq(edge_oldest_us(world->edge), oldest_us);
    fake_log_answer(world->log, 0, LEAT_APPENDED, 0, NULL);
    expect_answer(world, 202);
    expect_answer(world, 503);
    ck_assert_int_eq(edge_oldest_us(world->edge), INT64_MAX);
    world_free(world);
}
END_TEST

START_TEST(test_failing_starts)
{
    edge_world *world = world_new();
    world_open(world);
    leat_error error = {""};
    leat_edge_config config = world->config;
    config.http.port = leat_edge_port(world->edge);
    ck_assert_ptr_null(leat_edge_new(&world->loop, &config, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "address in use"));
    config.http.port = 0;
    fake_log_fail_next();
    ck_assert_ptr_null(leat_edge_new(&world->loop, &config, &error));
    ck_assert_str_eq(error.text, "no log today");
    world_free(world);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("edge");
    TCase *records = tcase_create("records");
    tcase_add_loop_test(records, test_stored, 0, COUNT_OF(stored));
    tcase_add_loop_test(records, test_tenant_elsewhere, 0, COUNT_OF(elsewhere));
    tcase_add_test(records, test_altered_table);
    tcase_add_test(records, test_body_is_checked_as_its_shard_is);
    tcase_add_test(records, test_route_header_with_several_routes);
    suite_add_tcase(s, records);
    TCase *answers = tcase_create("answers");
    tcase_add_test(answers, test_idempotency_key);
    tcase_add_test(answers, test_the_first_write_with_a_key_keeps_it);
    tcase_add_test(answers, test_an_idempotency_key_is_remembered_for_its_lifetime);
    tcase_add_loop_test(answers, test_refused, 0, COUNT_OF(refused));
    tcase_add_loop_test(answers, test_answers_of_the_log, 0, COUNT_OF(from_log));
    tcase_add_loop_test(answers, test_log_that_takes_nothing, 0, COUNT_OF(at_append));
    tcase_add_test(answers, test_in_flight_limit);
    tcase_add_test(answers, test_limits_of_tenants_and_keys);
    tcase_add_test(answers, test_who_may_write);
    tcase_add_test(answers, test_a_token_for_one_tenant_writes_no_route_without_tenants);
    tcase_add_test(answers, test_a_token_for_one_tenant_writes_no_route_where_the_tenant_leads);
    tcase_add_test(answers, test_a_token_is_asked_for_before_the_body);
    tcase_add_test(answers, test_limits_of_tokens);
    tcase_add_test(answers, test_a_partition_that_hangs_leaves_the_others_their_part);
    tcase_add_test(answers, test_a_partition_without_a_leader);
    tcase_add_test(answers, test_health);
    tcase_add_test(answers, test_default_checks_of_load_balancers);
    tcase_add_test(answers, test_descriptions_that_are_not_read);
    suite_add_tcase(s, answers);
    TCase *life = tcase_create("life");
    tcase_add_test(life, test_leave);
    tcase_add_test(life, test_drain_waits_for_the_log);
    tcase_add_test(life, test_free_with_requests_waiting);
    tcase_add_test(life, test_metrics);
    tcase_add_test(life, test_a_refusal_hides_none_that_waits);
    tcase_add_test(life, test_failing_starts);
    suite_add_tcase(s, life);
    return s;
}

int main(void)
{
    return fixture_run(suite());
}
