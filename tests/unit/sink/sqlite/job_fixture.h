/*
 * Jobs on a SQLite file, for the tests of what they do beside writing rows: a file with two
 * partitions and table t (id, c), of which PARTITION is claimed.
 */
#ifndef LEAT_TEST_SQLITE_JOB_FIXTURE_H
#define LEAT_TEST_SQLITE_JOB_FIXTURE_H

#include "fixture.h"
#include "sink/sqlite/job.h"

enum { RECORDS_MAX = 8, PARTITION = 1, PLACE = 5 };

static sqlite_fixture f;
static leat_source source;
static leat_schema_versions *schema_versions;
static leat_sqlite_runner runner;
static leat_sqlite_job *sqlite_job;
static leat_engine_claim claim;
static leat_engine_job job;
static leat_engine_batch_part part;
static leat_item items[RECORDS_MAX];
static leat_engine_batch_record records[RECORDS_MAX];
static int64_t next_seq;

static inline void on_ask(void *context)
{
    (void)context;
}

static inline const leat_engine_job_result *run(leat_engine_job_kind kind)
{
    job.kind = kind;
    job.partition = PARTITION;
    ck_assert_int_eq(leat_sqlite_job_take(sqlite_job, &job), 0);
    leat_sqlite_job_run(sqlite_job, &runner);
    return leat_sqlite_job_result(sqlite_job);
}

static inline const leat_engine_job_result *take_over(void)
{
    const leat_engine_job_result *result = run(LEAT_ENGINE_JOB_CLAIM);
    ck_assert_msg(result->outcome == LEAT_ENGINE_APPLIED, "%s", result->message);
    claim = result->progress->claim;
    return result;
}

static inline void set_up(void)
{
    static const char *const names[] = {"a"};
    static const int64_t starts[] = {0, 0};
    leat_layout layout;
    sqlite_begin(&f);
    source = (leat_source){.log_identity = "built-in",
                           .topic = "l",
                           .topic_id = "1",
                           .hash = "h",
                           .placement = test_placement};
    leat_layout_even(&layout, 2, 1, names);
    ck_assert_int_eq(leat_shard_init(sqlite_address(&f), &source, &layout, 0, starts, &f.error), 0);
    sqlite_route(&f, "CREATE TABLE t (id text PRIMARY KEY, c int CHECK (c < 100))", "c",
                 LEAT_OP_ADD);
    leat_schema_version *version = leat_schema_version_new();
    version->tables = leat_must_calloc(1, sizeof *version->tables);
    version->table_count = 1;
    version->tables[0] = f.table;
    version->routes = f.routes;
    version->routes.routes[0].table = &version->tables[0];
    memset(&f.table, 0, sizeof f.table); /* the version's now */
    schema_versions = leat_schema_versions_new(1, on_ask, NULL);
    leat_schema_versions_publish(schema_versions, 0, version, 1);
    f.routes = version->routes;
    runner = (leat_sqlite_runner){.rows = leat_sqlite_rows_new(),
                                  .schema_versions = schema_versions,
                                  .source_id = source.id,
                                  .placement = test_placement};
    ck_assert_int_eq(leat_sqlite_open(&runner.sqlite, f.file, 100, &f.error), 0);
    sqlite_job = leat_sqlite_job_new(test_placement.subpartitions);
    next_seq = 1;
    take_over();
}

static inline void tear_down(void)
{
    leat_sqlite_job_free(sqlite_job);
    leat_sqlite_rows_free(runner.rows);
    leat_sqlite_close(&runner.sqlite);
    leat_schema_versions_free(schema_versions);
    sqlite_end(&f);
}

/* `count` PATCHes of the row `key`, each adding 1, at these offsets. */
static inline void add_records(uint32_t count, int64_t first_offset)
{
    for (uint32_t i = 0; i < count; i++) {
        leat_item *item = &items[i];
        *item = (leat_item){.record = {.partition = PARTITION,
                                       .offset = first_offset + i,
                                       .accepted_ms = 1000 - (int64_t)i,
                                       .op = LEAT_SLICE("patch"),
                                       .key = LEAT_SLICE("key"),
                                       .value = LEAT_SLICE("{\"c\": 1}")},
                            .headers = LEAT_SLICE("\2op\6patch\5trace\2x")};
        ck_assert_int_eq(leat_item_decode(&f.routes, &test_placement, item), 0);
        records[i] = (leat_engine_batch_record){.payload = item,
                                                .offset = first_offset + i,
                                                .partition = PARTITION,
                                                .subpartition = PLACE};
    }
    part = (leat_engine_batch_part){.partition = PARTITION, .claim = claim, .seq = next_seq++};
    job.batch = (leat_engine_batch){
        .record_count = count, .records = records, .part_count = 1, .parts = &part};
}

static inline void expect_applied(const leat_engine_job_result *result)
{
    ck_assert_msg(result->outcome == LEAT_ENGINE_APPLIED, "%s %s", result->sqlstate,
                  result->message);
}

#endif
