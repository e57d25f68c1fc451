/* Writes of routes whose writes go to the database: what the edge hands over, and each answer of
 * the database as the client gets it. */
#include "../record/fixture.h"

#include <unistd.h>

#include "edge/internal.h"
#include "world.h"

enum { WRITES_MAX = 64 };

/* The databases, in memory: it keeps what is handed over and answers when the test says so. */
typedef struct fake_direct {
    leat_direct base;
    leat_direct_events events;
    const char *trouble; /* nothing is taken */
    const char *troubles[LEAT_SHARDS_MAX];
    uint32_t count;
    void *tags[WRITES_MAX]; /* NULL: answered */
    char keys[WRITES_MAX][64], bodies[WRITES_MAX][64], idempotency[WRITES_MAX][64];
    uint64_t rows[WRITES_MAX];
    leat_route_op ops[WRITES_MAX];
    uint32_t partitions[WRITES_MAX];
    bool freed;
} fake_direct;

static fake_direct fake;

static void copy(char *ret, leat_slice from)
{
    snprintf(ret, 64, "%.*s", (int)from.size, from.data);
}

static bool take(leat_direct *direct, const leat_direct_write *write, const char **ret_why)
{
    ck_assert_ptr_eq(direct, &fake.base);
    *ret_why = fake.trouble;
    if (fake.trouble)
        return false;
    ck_assert_uint_lt(fake.count, WRITES_MAX);
    copy(fake.keys[fake.count], write->key);
    copy(fake.bodies[fake.count], write->body);
    copy(fake.idempotency[fake.count], write->idempotency);
    fake.rows[fake.count] = write->row;
    fake.ops[fake.count] = write->op;
    fake.partitions[fake.count] = write->partition;
    fake.tags[fake.count++] = write->tag;
    return true;
}

static void answer(uint32_t at, leat_direct_outcome outcome, const char *sqlstate,
                   const char *message)
{
    leat_direct_answer told = {.outcome = outcome};
    void *tag = fake.tags[at];
    ck_assert_ptr_nonnull(tag);
    fake.tags[at] = NULL;
    strcpy(told.sqlstate, sqlstate);
    strcpy(told.message, message);
    const leat_record record = {.partition = fake.partitions[at],
                                .key = leat_slice_of(fake.keys[at]),
                                .value = leat_slice_of(fake.bodies[at]),
                                .idempotency = leat_slice_of(fake.idempotency[at]),
                                .op = leat_slice_of(leat_route_op_name(fake.ops[at]))};
    fake.events.done(fake.events.context, tag, &told, &record);
}

static void free_fake(leat_direct *direct)
{
    ck_assert_ptr_eq(direct, &fake.base);
    fake.freed = true;
    for (uint32_t i = 0; i < fake.count; i++)
        if (fake.tags[i])
            answer(i, LEAT_DIRECT_UNKNOWN, "", "the edge ended");
}

static const char *trouble_of(const leat_direct *direct, uint32_t shard)
{
    ck_assert_ptr_eq(direct, &fake.base);
    return fake.troubles[shard];
}

static const leat_direct_ops fake_ops = {.write = take, .trouble = trouble_of, .free = free_fake};

static leat_direct *open_fake(void *context, uv_loop_t *loop, leat_standstill *standstill,
                              const leat_direct_events *events, leat_error *error)
{
    (void)context, (void)loop, (void)standstill;
    fake = (fake_direct){.base.ops = &fake_ops, .events = *events};
    if (context) {
        leat_fail(error, "%s", (const char *)context);
        return NULL;
    }
    return &fake.base;
}

enum { MINUTE_US = 60 * 1000 * 1000 };

/* All keys go into the log, or all into the database; a lease from then on. */
static void publish(leat_modes *modes, uint32_t version, uint32_t async)
{
    const leat_mode_setting setting = {.version = version, .async = async, .async_before = async};
    leat_modes_publish(modes, 0, &setting, leat_mode_now_us() + MINUTE_US);
}

static edge_world *live_world(leat_modes *modes)
{
    edge_world *world = world_new();
    world->version->routes.routes[0].mode = LEAT_MODE_LIVE;
    world->config.modes = modes;
    world->config.direct = (leat_direct_source){.open = open_fake, .batch_items = 8};
    world_open(world);
    return world;
}

static edge_world *sync_world(void)
{
    edge_world *world = world_new();
    world->version->routes.routes[0].mode = LEAT_MODE_SYNC;
    world->config.direct = (leat_direct_source){.open = open_fake, .batch_items = 8};
    world_open(world);
    return world;
}

static bool metrics_say(const edge_world *world, const char *line)
{
    leat_buf buf = {0};
    leat_metrics_write(world->metrics, LEAT_METRICS_TEXT, &buf);
    bool ret = strstr(leat_buf_cstr(&buf), line) != NULL;
    leat_buf_free(&buf);
    return ret;
}

static void wait_write(edge_world *world, uint32_t count)
{
    for (int i = 0; fake.count < count; i++) {
        test_turn(&world->loop);
        ck_assert_msg(i < 50000, "no write came");
    }
}

static void read_until(edge_world *world, const char *text)
{
    test_reader *reader = &world->reader;
    for (int i = 0; !strstr(reader->data, text); i++) {
        ssize_t got = recv(reader->fd, reader->data + reader->size,
                           sizeof reader->data - 1 - reader->size, MSG_DONTWAIT);
        reader->size += got > 0 ? (size_t)got : 0;
        reader->data[reader->size] = '\0';
        test_turn(&world->loop);
        ck_assert_msg(i < 50000, "%s", reader->data);
    }
}

static const struct {
    leat_direct_outcome outcome;
    const char *sqlstate;
    int status;
    const char *start;
    const char *part; /* somewhere in the body */
} answers[] = {
    {LEAT_DIRECT_APPLIED, "", 200, "{\"state\":\"applied\"}", ""},
    {LEAT_DIRECT_REPEATED, "", 200, "{\"state\":\"applied\",\"message\":\"it \\\"is\\\" so\"}", ""},
    {LEAT_DIRECT_CONFLICT, "", 422,
     "{\"error\":\"invalid\",\"field\":\"idempotency-key\",\"message\":\"it \\\"", ""},
    {LEAT_DIRECT_REFUSED, "23514", 422,
     "{\"error\":\"refused\",\"field\":null,\"message\":\"it \\\"", ",\"sqlstate\":\"23514\"}"},
    {LEAT_DIRECT_REFUSED, "", 422, "{\"error\":\"refused\"", ",\"sqlstate\":null}"},
    {LEAT_DIRECT_NOT_NOW, "55P03", 503, "{\"error\":\"unavailable\"",
     "\"detail\":\"it \\\"is\\\" so\"}"},
    {LEAT_DIRECT_UNKNOWN, "", 504, "{\"error\":\"unknown\"", ""},
};

START_TEST(each_answer)
{
    edge_world *world = sync_world();
    send_request(world, "PATCH /apps/007/devices/x", "", "{\"sessions\":2}");
    wait_write(world, 1);
    ck_assert_str_eq(fake.keys[0], "7/x");
    ck_assert_str_eq(fake.bodies[0], "{\"sessions\":2}");
    ck_assert_int_eq(fake.ops[0], LEAT_PATCH);
    bool is_applied = answers[_i].outcome == LEAT_DIRECT_APPLIED;
    answer(0, answers[_i].outcome, answers[_i].sqlstate, is_applied ? "" : "it \"is\" so");
    expect_answer(world, answers[_i].status);
    expect_start(world, answers[_i].start);
    ck_assert_msg(strstr(world->answer.body, answers[_i].part), "%s", world->answer.body);
    bool is_replayed = strstr(world->answer.head, "Idempotent-Replayed: true") != NULL;
    ck_assert_int_eq(is_replayed, answers[_i].outcome == LEAT_DIRECT_REPEATED);
    ck_assert_uint_eq(world->log->count, 0);
    world_free(world);
    ck_assert(fake.freed);
}
END_TEST

/* What the edge knows itself is answered as ever, and nothing is handed over. */
START_TEST(what_is_not_handed_over)
{
    edge_world *world = sync_world();
    send_request(world, "PATCH /apps/7/devices/x", "", "{\"no_such\":1}");
    expect_answer(world, 422);
    expect_start(world, "{\"error\":\"invalid\"");
    send_request(world, "PATCH /apps/7/devices/x", "idempotency-key: k l\r\n", "{}");
    expect_answer(world, 400);
    expect_start(world, "{\"error\":\"bad_request\",\"field\":\"idempotency-key\"");
    fake.trouble = "too many writes wait for the database";
    send_request(world, "PATCH /apps/7/devices/x", "", "{}");
    expect_answer(world, 503);
    expect_start(world, "{\"error\":\"overloaded\",\"field\":null,\"message\":\"too many");
    ck_assert_uint_eq(fake.count, 0);
    world_free(world);
}
END_TEST

/* With its idempotency key, without the quotes; an item of a batch has its own, and hears the same.
 */
START_TEST(an_idempotency_key_is_handed_over)
{
    edge_world *world = sync_world();
    send_request(world, "PATCH /apps/7/devices/x", "Idempotency-Key: \"k-1\"\r\n", "{}");
    wait_write(world, 1);
    ck_assert_str_eq(fake.idempotency[0], "k-1");
    answer(0, LEAT_DIRECT_APPLIED, "", "");
    expect_answer(world, 200);
    send_request(world, "PATCH /apps/7/devices/x", "", "{}");
    wait_write(world, 2);
    ck_assert_str_eq(fake.idempotency[1], "");
    answer(1, LEAT_DIRECT_APPLIED, "", "");
    expect_answer(world, 200);
    send_request(world, "POST /batch", "Content-Type: application/x-ndjson\r\n",
                 "{\"method\":\"PATCH\",\"path\":\"/apps/7/devices/x\",\"body\":{},"
                 "\"idempotency_key\":\"k-2\"}\n"
                 "{\"method\":\"PATCH\",\"path\":\"/apps/7/devices/y\",\"body\":{},"
                 "\"idempotency_key\":\"k-3\"}\n");
    wait_write(world, 4);
    ck_assert_str_eq(fake.idempotency[2], "k-2");
    answer(2, LEAT_DIRECT_REPEATED, "", "it repeats");
    answer(3, LEAT_DIRECT_CONFLICT, "", "it is another");
    read_until(world, "{\"status\":200,\"state\":\"applied\",\"message\":\"it repeats\"}\n");
    read_until(world, "{\"status\":422,\"error\":\"invalid\",\"field\":\"idempotency_key\"");
    world_free(world);
}
END_TEST

/* As a request is; null where the reason is not the database's own. */
START_TEST(an_item_is_told_the_sqlstate)
{
    edge_world *world = sync_world();
    send_request(world, "POST /batch", "Content-Type: application/x-ndjson\r\n",
                 "{\"method\":\"PATCH\",\"path\":\"/apps/7/devices/x\",\"body\":{}}\n"
                 "{\"method\":\"PATCH\",\"path\":\"/apps/7/devices/y\",\"body\":{}}\n");
    wait_write(world, 2);
    answer(0, LEAT_DIRECT_REFUSED, "23514", "too \"small\"");
    answer(1, LEAT_DIRECT_REFUSED, "", "no");
    read_until(world, "{\"status\":422,\"error\":\"refused\",\"field\":null,"
                      "\"message\":\"too \\\"small\\\"\",\"sqlstate\":\"23514\"}\n");
    read_until(world, "{\"status\":422,\"error\":\"refused\",\"field\":null,"
                      "\"message\":\"no\",\"sqlstate\":null}\n");
    ck_assert(metrics_say(world, "leat_requests_total{code=\"422\"} 2\n"));
    world_free(world);
}
END_TEST

/* The log's troubles are not those of the database. */
START_TEST(a_log_in_trouble_is_no_matter)
{
    edge_world *world = sync_world();
    for (uint32_t i = 0; i < 4; i++)
        world->log->trouble[i] = "no leader";
    send_request(world, "DELETE /apps/7/devices/x", "", "");
    wait_write(world, 1);
    ck_assert_int_eq(fake.ops[0], LEAT_DELETE);
    answer(0, LEAT_DIRECT_APPLIED, "", "");
    expect_answer(world, 200);
    world_free(world);
}
END_TEST

static void expect_ready(edge_world *world, int status, const char *body)
{
    send_request(world, "GET /readyz", "", "");
    expect_answer(world, status);
    ck_assert_str_eq(world->answer.body, body);
}

/* One that writes into databases only is ready without the log, and says that it is away. */
START_TEST(without_the_log_an_edge_that_does_not_need_it_is_ready)
{
    edge_world *world = sync_world();
    expect_ready(world, 200, "{\"status\":\"ok\"}");
    world->log->broken = true;
    world->log->oldest_us[1] = 5000 * 1000; /* of a shadow */
    expect_ready(
        world, 200,
        "{\"status\":\"degraded\",\"degraded\":[\"partition 1: a record has waited for the log for "
        "5000 ms\",\"the log cannot be reached\"]}");
    world->log->broken = false;
    expect_ready(
        world, 200,
        "{\"status\":\"degraded\",\"degraded\":[\"partition 1: a record has waited for the log for 5000 ms\"]}");
    world_free(world);
}
END_TEST

/* A live route needs it once a share of its keys goes there. */
START_TEST(a_live_route_may_need_the_log)
{
    leat_modes *modes = leat_modes_new(1, 1);
    edge_world *world = live_world(modes);
    world->log->broken = true;
    expect_ready(world, 200,
                 "{\"status\":\"degraded\",\"degraded\":[\"the log cannot be reached\"]}");
    publish(modes, 1, 0);
    expect_ready(world, 200,
                 "{\"status\":\"degraded\",\"degraded\":[\"the log cannot be reached\"]}");
    publish(modes, 2, 1);
    expect_ready(world, 503, "{\"status\":\"unready\",\"reason\":\"the log cannot be reached\"}");
    world->log->broken = false;
    fake.troubles[0] = "has no connection";
    expect_ready(world, 503,
                 "{\"status\":\"unready\",\"reason\":\"no shard takes writes\","
                 "\"degraded\":[\"shard a has no connection\"]}");
    world_free(world);
    leat_modes_free(modes);
}
END_TEST

/* Shards without a connection are named; without any the edge is unready, unless it has a route
 * that does without them. */
START_TEST(shards_that_are_away_are_named)
{
    edge_world *world = world_new();
    leat_layout_even(&world->layout, 4, 2, (const char *const[]){"a", "b"});
    leat_schema_versions_free(world->schema_versions);
    world->schema_versions = leat_schema_versions_new(2, on_ask, world);
    world->config.schema_versions = world->schema_versions;
    for (uint32_t shard = 0; shard < 2; shard++) {
        leat_schema_version *version = version_new();
        leat_route *routes = version->routes.routes;
        routes[0].mode = LEAT_MODE_SYNC;
        if (_i == 1) {
            routes[1] = fixture_route(&version->tables[0], "/others/{app_id}/{device}");
            strcpy(routes[1].name, "others");
            routes[1].index = 1;
            version->routes.count = 2;
        }
        leat_schema_versions_publish(world->schema_versions, shard, version, 1);
    }
    world->config.direct = (leat_direct_source){.open = open_fake, .batch_items = 2};
    world_open(world);
    fake.troubles[1] = "does not answer";
    expect_ready(world, 200,
                 "{\"status\":\"degraded\",\"degraded\":[\"shard b does not answer\"]}");
    fake.troubles[0] = "has no connection";
    expect_ready(world, _i == 0 ? 503 : 200,
                 _i == 0
                     ? "{\"status\":\"unready\",\"reason\":\"no shard takes writes\",\"degraded\":"
                       "[\"shard a has no connection\",\"shard b does not answer\"]}"
                     : "{\"status\":\"degraded\",\"degraded\":"
                       "[\"shard a has no connection\",\"shard b does not answer\"]}");
    fake.troubles[0] = fake.troubles[1] = NULL;
    expect_ready(world, 200, "{\"status\":\"ok\"}");
    world_free(world);
}
END_TEST

/* Of a batch, an item that was not applied ends those of its row that wait, and no others. */
START_TEST(a_batch_keeps_the_order_of_a_row)
{
    edge_world *world = sync_world();
    send_request(world, "POST /batch", "Content-Type: application/x-ndjson\r\n",
                 "{\"method\":\"PATCH\",\"path\":\"/apps/7/devices/x\",\"body\":{}}\n"
                 "{\"method\":\"PATCH\",\"path\":\"/apps/7/devices/x\",\"body\":{}}\n"
                 "{\"method\":\"PATCH\",\"path\":\"/apps/7/devices/y\",\"body\":{}}\n");
    wait_write(world, 3);
    ck_assert_uint_eq(fake.rows[0], fake.rows[1]);
    ck_assert_uint_ne(fake.rows[0], fake.rows[2]);
    answer(0, LEAT_DIRECT_NOT_NOW, "", "the row is locked");
    ck_assert(!fake.events.starts(fake.events.context, fake.tags[1]));
    fake.tags[1] = NULL;
    ck_assert(fake.events.starts(fake.events.context, fake.tags[2]));
    answer(2, LEAT_DIRECT_APPLIED, "", "");
    read_until(world, "{\"status\":200,\"state\":\"applied\"}\n");
    ck_assert_msg(strstr(world->reader.data, "{\"status\":503,\"error\":\"overloaded\""), "%s",
                  world->reader.data);
    world_free(world);
}
END_TEST

/* A batch leaves room for others: it goes on when some of its items are done. */
START_TEST(a_batch_takes_no_more_than_its_part)
{
    edge_world *world = sync_world();
    leat_buf body = {0};
    for (int i = 0; i < 20; i++)
        leat_buf_printf(&body,
                        "{\"method\":\"PATCH\",\"path\":\"/apps/7/devices/%d\",\"body\":{}}\n", i);
    send_request(world, "POST /batch", "Content-Type: application/x-ndjson\r\n",
                 leat_buf_cstr(&body));
    leat_buf_free(&body);
    wait_write(world, 8);
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    ck_assert_uint_eq(fake.count, 8);
    for (uint32_t i = 0; i < 20; i++)
        answer(i, LEAT_DIRECT_APPLIED, "", "");
    ck_assert_uint_eq(fake.count, 20);
    world_free(world);
}
END_TEST

static void add_shadow(leat_routes *routes)
{
    leat_route *of = &routes->routes[0], *shadow = &routes->routes[1];
    *shadow = *of;
    strcpy(shadow->name, "other.shadow");
    shadow->index = 1;
    shadow->is_shadow = true;
    of->shadow = 1;
    routes->count = 2;
    routes->shadow_count = 1;
}

static edge_world *shadow_world(void)
{
    edge_world *world = world_new();
    add_shadow(&world->version->routes);
    world->version->routes.routes[0].mode = LEAT_MODE_SHADOW;
    world->config.direct = (leat_direct_source){.open = open_fake, .batch_items = 8};
    world_open(world);
    return world;
}

/* What goes into the log for a shadow counts among what is in flight there, and is as old as it is.
 */
START_TEST(a_record_for_a_shadow_has_its_age)
{
    edge_world *world = shadow_world();
    send_request(world, "PATCH /apps/7/devices/x", "idempotency-key: k\r\n", "{}");
    wait_write(world, 1);
    answer(0, LEAT_DIRECT_APPLIED, "", "");
    expect_answer(world, 200);
    send_request(world, "PATCH /apps/7/devices/x", "idempotency-key: k\r\n", "{}");
    wait_write(world, 2);
    answer(1, LEAT_DIRECT_REPEATED, "", "it repeats"); /* nothing was written */
    expect_answer(world, 200);
    ck_assert_uint_eq(world->log->count, 1);
    ck_assert_str_eq(world->log->records[0].idempotency, "");
    int64_t until_us = leat_mono_us() + TEST_WAIT_MS * 1000;
    while (metrics_say(world, "leat_edge_oldest_in_flight_seconds 0\n")) {
        uv_run(&world->loop, UV_RUN_ONCE);
        ck_assert(leat_mono_us() < until_us);
    }
    ck_assert(metrics_say(world, "leat_edge_oldest_in_flight_seconds 0.") ||
              metrics_say(world, "leat_edge_oldest_in_flight_seconds 1."));
    fake_log_answer(world->log, 0, LEAT_APPENDED, 1, NULL);
    world_free(world);
}
END_TEST

/* It may be applied; its repeat is none of the shadow's writes. */
START_TEST(a_write_whose_answer_is_lost_is_lost_to_the_shadow)
{
    edge_world *world = shadow_world();
    send_request(world, "PATCH /apps/7/devices/x", "idempotency-key: k\r\n", "{}");
    wait_write(world, 1);
    answer(0, LEAT_DIRECT_UNKNOWN, "", "the connection is gone");
    expect_answer(world, 504);
    send_request(world, "PATCH /apps/7/devices/x", "idempotency-key: k\r\n", "{}");
    wait_write(world, 2);
    answer(1, LEAT_DIRECT_REPEATED, "", "it repeats");
    expect_answer(world, 200);
    ck_assert_uint_eq(world->log->count, 0);
    ck_assert(metrics_say(world, "leat_shadow_writes_total{outcome=\"lost\"} 1\n"));
    world_free(world);
}
END_TEST

/* ---- tenants that are refused for what waits of them behind the log ---- */

static leat_controls *floods_of(const char *tenant, const char *kind)
{
    leat_controls *floods = leat_controls_new(1);
    leat_control_set *set = leat_control_set_new();
    const leat_control flood = {
        .what = tenant, .keep = 5, .until_us = leat_mono_us() + MINUTE_US, .reason = kind};
    ck_assert_int_eq(leat_control_set_add(set, &flood), 0);
    leat_controls_publish(floods, 0, set, 1);
    return floods;
}

static const struct {
    leat_mode mode;
    uint32_t async, shadow; /* of a live route */
    bool is_log, is_shadow;
} ways[] = {
    {LEAT_MODE_ASYNC, 0, 0, true, false},  {LEAT_MODE_SYNC, 0, 0, false, false},
    {LEAT_MODE_SHADOW, 0, 0, false, true}, {LEAT_MODE_LIVE, LEAT_MODE_POINTS, 0, true, false},
    {LEAT_MODE_LIVE, 0, 0, false, false},  {LEAT_MODE_LIVE, 0, LEAT_MODE_POINTS, false, true}};

static edge_world *world_of_way(uint32_t way, leat_modes *modes, leat_controls *floods)
{
    const leat_mode_setting settings[2] = {{.version = 1, /* the shadow has none of its own */
                                            .async = ways[way].async,
                                            .async_before = ways[way].async,
                                            .shadow = ways[way].shadow}};
    edge_world *world = world_new();
    leat_routes *routes = &world->version->routes;
    routes->routes[0].mode = ways[way].mode;
    routes->routes[0].tenant_key_position = 0;
    add_shadow(routes);
    leat_modes_publish(modes, 0, settings, leat_mode_now_us() + MINUTE_US);
    world->config.modes = modes;
    world->config.floods = floods;
    world->config.direct = (leat_direct_source){.open = open_fake, .batch_items = 8};
    world_open(world);
    return world;
}

/* A write of another tenant, however many writes and records there were before. */
static void expect_taken(edge_world *world, uint32_t way, uint32_t writes)
{
    send_request(world, "PATCH /apps/8/devices/x", "", "{}");
    if (ways[way].is_log) {
        wait_record(world, 1);
    } else {
        wait_write(world, writes + 1);
        answer(writes, LEAT_DIRECT_APPLIED, "", "");
        expect_answer(world, 200);
    }
    ck_assert_uint_eq(world->log->count, ways[way].is_log || ways[way].is_shadow);
    if (world->log->count > 0)
        fake_log_answer(world->log, 0, LEAT_APPENDED, 1, NULL);
    if (ways[way].is_log)
        expect_answer(world, 202);
}

/* It is refused where its write goes into the log, and there only: the shadow goes without. */
START_TEST(a_flood_is_no_matter_of_the_database)
{
    static const char *const kinds[][2] = {{LEAT_FLOOD_KIND, "parked"}, {LEAT_LATE_KIND, "lag"}};
    uint32_t way = (uint32_t)_i / 2, kind = (uint32_t)_i % 2;
    leat_modes *modes = leat_modes_new(1, 2);
    leat_controls *floods = floods_of("7", kinds[kind][0]);
    edge_world *world = world_of_way(way, modes, floods);
    char line[96];
    send_request(world, "PATCH /apps/7/devices/x", "", "{}");
    if (!ways[way].is_log) {
        wait_write(world, 1);
        answer(0, LEAT_DIRECT_APPLIED, "", "");
    }
    expect_answer(world, ways[way].is_log ? 429 : 200);
    ck_assert_uint_eq(world->log->count, 0);
    ck_assert_uint_eq(fake.count, !ways[way].is_log);
    snprintf(line, sizeof line, "leat_shadow_writes_total{outcome=\"lost\"} %d\n",
             ways[way].is_shadow);
    ck_assert(metrics_say(world, line));
    snprintf(line, sizeof line, "leat_edge_limited_total{by=\"%s\"} %d\n", kinds[kind][1],
             ways[way].is_log);
    ck_assert(metrics_say(world, line));
    expect_taken(world, way, fake.count);
    world_free(world);
    leat_controls_free(floods);
    leat_modes_free(modes);
}
END_TEST

#define EMOJI "%F0%9F%98%80"
#define FIVE  EMOJI EMOJI EMOJI EMOJI EMOJI

/* The set has only the begin of its text, and a hash. */
START_TEST(a_flood_may_have_a_long_name)
{
    static const char path[] = "PATCH /apps/7/devices/" FIVE FIVE FIVE FIVE,
                      other[] = "PATCH /apps/7/devices/" FIVE FIVE FIVE FIVE "x";
    leat_slice tenant = leat_slice_of(FIVE FIVE FIVE FIVE);
    char room[LEAT_FLOOD_NAME_SIZE];
    ck_assert_uint_lt(leat_flood_name(tenant, room).size, tenant.size);
    leat_controls *floods = floods_of(room, LEAT_FLOOD_KIND);
    edge_world *world = world_new();
    world->version->routes.routes[0].tenant_key_position = 1;
    world->version->tables[0].columns[2].type_modifier = -1;
    world->config.floods = floods;
    world_open(world);
    send_request(world, path, "", "{}");
    expect_answer(world, 429);
    send_request(world, other, "", "{}");
    wait_record(world, 1);
    fake_log_answer(world->log, 0, LEAT_APPENDED, 1, NULL);
    expect_answer(world, 202);
    world_free(world);
    leat_controls_free(floods);
}
END_TEST

/* Once the lease that let a write into the log is over, its client is told so only if its key
 * cannot have been anywhere else since. */
START_TEST(a_key_that_came_back_is_not_accepted_by_an_old_lease)
{
    leat_modes *modes = leat_modes_new(1, 1);
    edge_world *world = live_world(modes);
    const leat_route *route = &world->version->routes.routes[0];
    const edge_lease over = {.version = 1, .point = 5},
                     open = {.version = 1, .point = 5, .until_us = INT64_MAX};
    publish(modes, 1, LEAT_MODE_POINTS);
    ck_assert(edge_way_may_accept(world->edge, route, 0, &over));
    publish(modes, 2, 0);
    ck_assert(!edge_way_may_accept(world->edge, route, 0, &over));
    ck_assert(edge_way_may_accept(world->edge, route, 0, &open));
    publish(modes, 3, LEAT_MODE_POINTS);
    ck_assert(!edge_way_may_accept(world->edge, route, 0, &over));
    const leat_mode_setting closed = {.version = 1, .async_before = LEAT_MODE_POINTS};
    leat_modes_publish(modes, 0, &closed, leat_mode_now_us() + MINUTE_US);
    ck_assert(!edge_way_may_accept(world->edge, route, 0, &over));
    world_free(world);
    leat_modes_free(modes);
}
END_TEST

/* A key that went into the log while a write of it waits for the database: a later one does not
 * overtake it. */
START_TEST(the_log_waits_for_earlier_writes_of_a_row)
{
    leat_modes *modes = leat_modes_new(1, 1);
    edge_world *world = live_world(modes);
    publish(modes, 1, 0);
    send_request(world, "PATCH /apps/7/devices/x", "", "{}");
    wait_write(world, 1);
    publish(modes, 2, LEAT_MODE_POINTS);
    send_request(world, "PATCH /apps/7/devices/x", "", "{}");
    send_request(world, "PATCH /apps/7/devices/y", "", "{}");
    ck_assert_str_eq(wait_record(world, 1)->key, "7/y");
    answer(0, LEAT_DIRECT_NOT_NOW, "LT011", "another way");
    expect_answer(world, 503);
    expect_answer(world, 503);
    ck_assert_msg(strstr(world->answer.body, "an earlier write of this key"), "%s",
                  world->answer.body);
    fake_log_answer(world->log, 0, LEAT_APPENDED, 1, NULL);
    expect_answer(world, 202);
    send_request(world, "PATCH /apps/7/devices/x", "", "{}");
    ck_assert_str_eq(wait_record(world, 2)->key, "7/x");
    fake_log_answer(world->log, 1, LEAT_APPENDED, 2, NULL);
    expect_answer(world, 202);
    world_free(world);
    leat_modes_free(modes);
}
END_TEST

/* It looks at the shards that it writes to, and at no other. */
START_TEST(a_batch_does_not_wait_for_another_shard)
{
    enum { FIRST = 24, ITEMS = 4 };
    edge_world *world = world_new();
    leat_layout_even(&world->layout, 4, 2, (const char *const[]){"a", "b"});
    leat_schema_versions_free(world->schema_versions);
    world->schema_versions = leat_schema_versions_new(2, on_ask, world);
    world->config.schema_versions = world->schema_versions;
    for (uint32_t shard = 0; shard < 2; shard++) {
        leat_schema_version *version = version_new();
        leat_route *route = &version->routes.routes[0];
        route->mode = LEAT_MODE_SYNC;
        route->tenant_key_position = 0;
        leat_schema_versions_publish(world->schema_versions, shard, version, 1);
    }
    world->config.direct = (leat_direct_source){.open = open_fake, .batch_items = 2};
    world_open(world);
    for (uint32_t i = 0; i < FIRST; i++) {
        char line[64];
        snprintf(line, sizeof line, "PATCH /apps/%u/devices/x", i);
        send_request(world, line, "", "{}");
        wait_write(world, i + 1);
    }
    leat_buf body = {0};
    uint32_t waiting = 0, items = 0;
    for (uint32_t i = 0; i < FIRST; i++) {
        if (leat_layout_shard_of_partition(&world->layout, fake.partitions[i]) == 0) {
            waiting++;
            continue;
        }
        answer(i, LEAT_DIRECT_APPLIED, "", "");
        if (items++ < ITEMS)
            leat_buf_printf(
                &body, "{\"method\":\"PATCH\",\"path\":\"/apps/%u/devices/x\",\"body\":{}}\n", i);
    }
    ck_assert(waiting > 2 && items > ITEMS);
    world_connect(world);
    send_request(world, "POST /batch", "Content-Type: application/x-ndjson\r\n",
                 leat_buf_cstr(&body));
    leat_buf_free(&body);
    wait_write(world, FIRST + 2);
    for (uint32_t i = FIRST; i < FIRST + ITEMS; i++)
        answer(i, LEAT_DIRECT_APPLIED, "", "");
    ck_assert_uint_eq(fake.count, FIRST + ITEMS);
    world_free(world);
}
END_TEST

static void on_drained(void *context)
{
    ((edge_world *)context)->drained = true;
}

START_TEST(a_drain_waits_for_the_database)
{
    edge_world *world = sync_world();
    send_request(world, "PATCH /apps/7/devices/x", "", "{}");
    wait_write(world, 1);
    leat_edge_drain(world->edge, on_drained, world);
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    ck_assert(!world->drained);
    answer(0, LEAT_DIRECT_APPLIED, "", "");
    expect_answer(world, 200);
    ck_assert(test_read_eof(&world->loop, &world->reader));
    close(world->reader.fd);
    world->reader.fd = -1;
    test_turn_until(&world->loop, &world->drained);
    world_free(world);
}
END_TEST

START_TEST(freed_with_a_write_on_its_way)
{
    edge_world *world = sync_world();
    send_request(world, "PATCH /apps/7/devices/x", "", "{}");
    wait_write(world, 1);
    world_free(world);
    ck_assert(fake.freed);
}
END_TEST

START_TEST(a_start_that_fails)
{
    edge_world *world = world_new();
    leat_error error = {""};
    world->config.direct =
        (leat_direct_source){.open = open_fake, .context = (void *)(uintptr_t)"no such shard"};
    ck_assert_ptr_null(leat_edge_new(&world->loop, &world->config, &error));
    ck_assert_str_eq(error.text, "no such shard");
    world_free(world);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("direct");
    TCase *tests = tcase_create("direct");
    tcase_add_loop_test(tests, each_answer, 0, COUNT_OF(answers));
    tcase_add_test(tests, what_is_not_handed_over);
    tcase_add_test(tests, an_idempotency_key_is_handed_over);
    tcase_add_test(tests, an_item_is_told_the_sqlstate);
    tcase_add_test(tests, a_log_in_trouble_is_no_matter);
    tcase_add_test(tests, without_the_log_an_edge_that_does_not_need_it_is_ready);
    tcase_add_test(tests, a_live_route_may_need_the_log);
    tcase_add_loop_test(tests, shards_that_are_away_are_named, 0, 2);
    tcase_add_test(tests, a_batch_keeps_the_order_of_a_row);
    tcase_add_test(tests, a_batch_takes_no_more_than_its_part);
    tcase_add_test(tests, a_record_for_a_shadow_has_its_age);
    tcase_add_test(tests, a_write_whose_answer_is_lost_is_lost_to_the_shadow);
    tcase_add_loop_test(tests, a_flood_is_no_matter_of_the_database, 0, 2 * COUNT_OF(ways));
    tcase_add_test(tests, a_flood_may_have_a_long_name);
    tcase_add_test(tests, a_key_that_came_back_is_not_accepted_by_an_old_lease);
    tcase_add_test(tests, the_log_waits_for_earlier_writes_of_a_row);
    tcase_add_test(tests, a_batch_does_not_wait_for_another_shard);
    tcase_add_test(tests, a_drain_waits_for_the_database);
    tcase_add_test(tests, freed_with_a_write_on_its_way);
    tcase_add_test(tests, a_start_that_fails);
    suite_add_tcase(s, tests);
    return s;
}

int main(void)
{
    return fixture_run(suite());
}
