/* What a worker reports of a shard: whom edges refuse comes first, and it keeps to its part. */
#include "../record/fixture.h"

#include "apply/worker_state.h"

static leat_worker worker;
static leat_worker_shard_state shard;
static leat_worker_shard shard_config = {.name = "a", .connections = 1};
static leat_gauge full;
static leat_engine *engine;

/* A worker of one shard that is late, whose records are two tenants', and of which the log has
 * trouble. */
static void set_up(void)
{
    static uint32_t shard_of[1];
    leat_error error = {""};
    leat_engine_config config;
    leat_engine_config_defaults(&config);
    config.partition_count = config.subpartitions = config.shard_count = config.jobs_max = 1;
    config.shard_of = shard_of;
    config.records_max = config.batch_records_max = 1000;
    config.bytes_max = config.batch_bytes_max = 1000000;
    config.age_bound_us = config.compact_every_us = config.commit_every_us = config.drain_us =
        config.lock_timeout_us = 1000000;
    config.held_keys_max = 1;
    engine = leat_engine_new(&config, &error);
    ck_assert_msg(engine, "%s", error.text);
    shard = (leat_worker_shard_state){.late = {.is_late = true, .backlog = 5000, .per_s = 10}};
    shard.held.full = &full;
    worker = (leat_worker){.engine = engine, .shard_count = 1, .shards = &shard};
    worker.config.shards = &shard_config;
    worker.config.lag_limit_ms = 1000000;
    worker.log_health = (leat_log_health){.since_ms = 5, .why = "no answer"};
    leat_flood_add(&shard.read, LEAT_SLICE("7"), 60);
    leat_flood_add(&shard.read, LEAT_SLICE("8"), 40);
    ck_assert_int_eq(pthread_mutex_init(&worker.report_lock, NULL), 0);
    leat_worker_update_reports(&worker);
}

static void tear_down(void)
{
    leat_facts_free(&shard.report.facts);
    leat_buf_free(&shard.report.partitions);
    pthread_mutex_destroy(&worker.report_lock);
    leat_engine_free(engine);
}

START_TEST(whom_edges_refuse_comes_first)
{
    leat_facts facts = {0};
    leat_buf partitions = {0};
    ck_assert_uint_eq(shard.report.facts.count, 3);
    leat_worker_append_report(&worker, 0, &partitions, &facts, LEAT_FACTS_BYTES_MAX);
    const char *text = leat_buf_cstr(&facts.json);
    const char *loud = strstr(text, "\"tenant\":\"7\""), *next = strstr(text, "\"tenant\":\"8\""),
               *log = strstr(text, "\"kind\":\"log\"");
    ck_assert_msg(loud && next && log && loud < next && next < log, "%s", text);
    ck_assert_uint_eq(facts.left_out, 0);
    leat_facts_free(&facts);
    leat_buf_free(&partitions);
}
END_TEST

START_TEST(what_has_no_room_is_cut_fact_by_fact)
{
    leat_facts facts = {0};
    leat_buf partitions = {0};
    size_t one = shard.report.facts.ends[0] + 1;
    leat_worker_append_report(&worker, 0, &partitions, &facts, one);
    ck_assert_uint_eq(facts.count, 1);
    ck_assert_uint_eq(facts.left_out, 2);
    ck_assert_ptr_nonnull(strstr(leat_buf_cstr(&facts.json), "\"tenant\":\"7\""));
    leat_facts_free(&facts);
    leat_buf_free(&partitions);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("report");
    TCase *tests = tcase_create("report");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, whom_edges_refuse_comes_first);
    tcase_add_test(tests, what_has_no_room_is_cut_fact_by_fact);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
