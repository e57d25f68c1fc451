#include <uv.h>

#include "base/loop.h"
#include "fixture.h"
#include "sink/sink.h"

enum { TICK_MS = 10, PATIENCE_MS = 20000 };

static sqlite_fixture f;
static leat_source source;
static uv_loop_t loop;
static leat_schema_versions *schema_versions;
static leat_sink *sink;
static uint32_t usable;
static uint32_t done;
static bool claims_again; /* the answer is the next job */
static leat_engine_job_result result;
static leat_engine_claim claim;
static leat_engine_job job;

static void submit_claim(void)
{
    job = (leat_engine_job){.id = 3, .kind = LEAT_ENGINE_JOB_CLAIM, .partition = 1};
    leat_sink_submit(sink, &job);
}

static void on_slots(void *context, uint32_t shard, uint32_t count)
{
    (void)context;
    (void)shard;
    usable = count;
}

static void on_done(void *context, uint32_t job_id, const leat_engine_job_result *from)
{
    (void)context;
    ck_assert_uint_eq(job_id, 3);
    done++;
    result = *from;
    if (from->progress)
        claim = from->progress->claim;
    if (claims_again && done < 20)
        submit_claim();
}

static void on_ask(void *context)
{
    (void)context;
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
}

/* Runs the loop until there are `wanted` answers and slots. */
static void await(uint32_t wanted, uint32_t slots)
{
    uv_timer_t timer;
    int64_t until_us = leat_mono_us() + (int64_t)PATIENCE_MS * 1000;
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, on_tick, TICK_MS, TICK_MS);
    while (done < wanted || usable != slots) {
        ck_assert_msg(leat_mono_us() < until_us, "%u answers, %u slots", done, usable);
        uv_run(&loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
}

static void open_sink(void)
{
    leat_sink_config config = {.shard_name = "a",
                               .at.sqlite = f.file,
                               .owner = "1 test",
                               .connections = 8,
                               .source_id = source.id,
                               .placement = source.placement,
                               .schema_versions = schema_versions,
                               .lock_timeout_ms = 50};
    leat_sink_events events = {.slots = on_slots, .done = on_done};
    sink = leat_sink_new(&loop, &config, &events, &f.error);
    ck_assert_msg(sink, "%s", f.error.text);
    ck_assert_uint_eq(usable, 0);
}

static void set_up(void)
{
    static const char *const names[] = {"a"};
    static const int64_t starts[] = {0, 0};
    leat_layout layout;
    usable = done = 0;
    claims_again = false;
    sqlite_begin(&f);
    source = (leat_source){.log_identity = "built-in",
                           .topic = "l",
                           .topic_id = "1",
                           .hash = "h",
                           .placement = test_placement};
    leat_layout_even(&layout, 2, 1, names);
    ck_assert_int_eq(leat_shard_init(sqlite_address(&f), &source, &layout, 0, starts, &f.error), 0);
    sqlite_route(&f, "CREATE TABLE t (id text PRIMARY KEY, c int)", "c", LEAT_OP_ADD);
    leat_schema_version *version = leat_schema_version_new();
    version->tables = leat_must_calloc(1, sizeof *version->tables);
    version->table_count = 1;
    version->tables[0] = f.table;
    version->routes = f.routes;
    version->routes.routes[0].table = &version->tables[0];
    memset(&f.table, 0, sizeof f.table); /* the schema_versions's now */
    schema_versions = leat_schema_versions_new(1, on_ask, NULL);
    leat_schema_versions_publish(schema_versions, 0, version, 1);
    f.routes = version->routes;
    uv_loop_init(&loop);
}

static void tear_down(void)
{
    leat_loop_end(&loop);
    leat_schema_versions_free(schema_versions);
    sqlite_end(&f);
}

/* A batch of one record, whose memory is written over as soon as it was handed in. */
static void submit_patch(int64_t seq, int64_t offset)
{
    static leat_engine_batch_part part;
    char key[] = "key", value[] = "{\"c\": 2}", op[] = "patch";
    leat_item item = {
        .record = {
            .partition = 1, .offset = offset, .op = {op, 5}, .key = {key, 3}, .value = {value, 8}}};
    leat_engine_batch_record record = {.payload = &item, .offset = offset, .partition = 1};
    ck_assert_int_eq(leat_item_decode(&f.routes, &test_placement, &item), 0);
    part = (leat_engine_batch_part){.partition = 1, .claim = claim, .seq = seq, .count = 1};
    part.offsets[0] = offset;
    job = (leat_engine_job){
        .id = 3,
        .kind = LEAT_ENGINE_JOB_BATCH,
        .batch = {.record_count = 1, .records = &record, .part_count = 1, .parts = &part}};
    leat_sink_submit(sink, &job);
    memset(key, 'x', sizeof key);
    memset(value, 'x', sizeof value);
    memset(op, 'x', sizeof op);
    leat_item_clear(&item);
    memset(&item, 0xff, sizeof item);
    memset(&part, 0xff, sizeof part);
}

START_TEST(a_claim_and_a_batch)
{
    open_sink();
    await(0, 1);
    submit_claim();
    ck_assert_uint_eq(done, 0); /* never inside the call */
    await(1, 1);
    ck_assert_int_eq(result.outcome, LEAT_ENGINE_APPLIED);
    submit_patch(1, 7);
    await(2, 1);
    ck_assert_msg(result.outcome == LEAT_ENGINE_APPLIED, "%s", result.message);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT id || c FROM t"), "key2");
    ck_assert_uint_eq(leat_sink_count(sink)->rows, 1);
    memset(&claim, 0, sizeof claim);
    submit_patch(2, 8);
    await(3, 1);
    ck_assert(result.outcome == LEAT_ENGINE_FENCED && result.partition == 1 &&
              strcmp(result.sqlstate, "LT001") == 0);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT id || c FROM t"), "key2");
    leat_sink_free(sink);
}
END_TEST

START_TEST(an_answer_may_be_the_next_job)
{
    open_sink();
    await(0, 1);
    claims_again = true;
    submit_claim();
    await(20, 1);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT claims FROM leat_partitions WHERE partition = 1"),
                     "20");
    leat_sink_free(sink);
}
END_TEST

START_TEST(a_lock_of_another_program_is_contention)
{
    open_sink();
    await(0, 1);
    sqlite_sql(&f, "BEGIN IMMEDIATE");
    submit_claim();
    await(1, 1);
    ck_assert_int_eq(result.outcome, LEAT_ENGINE_CONTENTION);
    sqlite_sql(&f, "COMMIT");
    submit_claim();
    await(2, 1);
    ck_assert_int_eq(result.outcome, LEAT_ENGINE_APPLIED);
    leat_sink_free(sink);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_waited_for)
{
    char away[160];
    snprintf(away, sizeof away, "%s.away", f.file);
    ck_assert_int_eq(rename(f.file, away), 0);
    open_sink();
    while (leat_sink_count(sink)->connect_failures == 0)
        uv_run(&loop, UV_RUN_ONCE);
    ck_assert_uint_eq(usable, 0);
    ck_assert_int_eq(rename(away, f.file), 0);
    await(0, 1);
    leat_sink_free(sink);
}
END_TEST

/* After it is freed no callback comes, and work still in the pool does no harm. */
START_TEST(it_may_be_freed_while_something_is_under_way)
{
    open_sink();
    if (_i == 0)
        uv_run(&loop, UV_RUN_NOWAIT); /* it is being opened */
    if (_i == 1)
        await(0, 1);
    if (_i == 1)
        submit_claim();
    leat_sink_free(sink);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_uint_eq(done, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite_sink");
    TCase *tests = tcase_create("sink");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_claim_and_a_batch);
    tcase_add_test(tests, an_answer_may_be_the_next_job);
    tcase_add_test(tests, a_lock_of_another_program_is_contention);
    tcase_add_test(tests, a_file_that_is_not_there_is_waited_for);
    tcase_add_loop_test(tests, it_may_be_freed_while_something_is_under_way, 0, 3);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
