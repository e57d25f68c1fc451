/*
 * A sink on a database of its own, and a loop that is turned until something has happened: what the
 * tests of the asynchronous sink share. Table things (id, n, note, code): a PATCH adds to n.
 */
#ifndef SINK_WORLD_H
#define SINK_WORLD_H

#include "sink_fixture.h"

#include "sink/sink.h"

enum { JOBS_MAX = 64, WAIT_MS = 20000, WORLD_LOOKED_US = 1000 };

typedef struct job_answer {
    bool is_done;
    leat_engine_job_result result;
    leat_engine_progress progress;
    leat_engine_parked parked[4];
    leat_engine_held held[4];  /* the first ones */
    leat_engine_chunk kept[8]; /* without bytes */
    leat_engine_chunk chunk;   /* its bytes are the test's from here on */
    uint32_t usable_then;      /* the last value that `slots` reported */
} job_answer;

typedef struct world {
    fixture *f;
    uv_loop_t loop;
    uv_timer_t clock; /* keeps the loop turning */
    leat_standstill standstill;
    leat_sink *sink;
    leat_schema_versions *schema_versions;
    uint32_t asked;     /* for reading the tables */
    bool commits_async; /* of the sink that is started next */
    uint32_t doubts;    /* how often it has reported one */
    bool is_pooled;     /* as it has reported */
    uint32_t usable;
    char slots_reported[256]; /* all that `slots` has reported: "1 2" */
    bool in_call;
    job_answer answers[JOBS_MAX];
    leat_engine_claim claims[FIXTURE_PARTITIONS];
    leat_engine_batch_part parts[FIXTURE_PARTITIONS];
    leat_engine_job job;
    const leat_engine_job *next; /* submitted from `done` */
    bool free_when_done;
} world;

/* ---- the world ---- */

static inline void on_slots(void *context, uint32_t shard, uint32_t usable)
{
    world *w = context;
    ck_assert(!w->in_call);
    ck_assert_uint_eq(shard, 0);
    w->usable = usable;
    size_t size = strlen(w->slots_reported);
    snprintf(w->slots_reported + size, sizeof w->slots_reported - size, "%s%u", size > 0 ? " " : "",
             usable);
}

static inline void on_doubted(void *context, uint32_t shard)
{
    world *w = context;
    ck_assert(!w->in_call && w->commits_async && w->usable > 0);
    ck_assert_uint_eq(shard, 0);
    w->doubts++;
}

static inline void on_pooled(void *context, uint32_t shard, bool is_pooled)
{
    world *w = context;
    ck_assert(!w->in_call && w->commits_async && is_pooled != w->is_pooled);
    ck_assert_uint_eq(shard, 0);
    w->is_pooled = is_pooled;
}

static inline void submit(world *w, const leat_engine_job *job)
{
    bool was_in_call = w->in_call;
    w->in_call = true;
    leat_sink_submit(w->sink, job);
    w->in_call = was_in_call;
}

static inline void on_done(void *context, uint32_t job_id, const leat_engine_job_result *result)
{
    world *w = context;
    job_answer *answer = &w->answers[job_id];
    ck_assert(!w->in_call);
    ck_assert(!answer->is_done);
    answer->is_done = true;
    answer->result = *result;
    answer->usable_then = w->usable;
    if (result->progress)
        answer->progress = *result->progress;
    ck_assert(!result->progress || result->outcome == LEAT_ENGINE_APPLIED);
    ck_assert_uint_le(result->parked_count, 4);
    for (uint32_t i = 0; i < result->parked_count; i++)
        answer->parked[i] = result->parked[i];
    for (uint32_t i = 0; i < result->held_count && i < 4; i++)
        answer->held[i] = result->held[i];
    ck_assert_uint_le(result->kept_count, 8);
    for (uint32_t i = 0; i < result->kept_count; i++) {
        answer->kept[i] = result->kept[i];
        answer->kept[i].bytes = NULL;
    }
    if (result->chunk) {
        answer->chunk = *result->chunk;
        answer->chunk.bytes = memcpy(leat_must_calloc(1, result->chunk->size), result->chunk->bytes,
                                     result->chunk->size);
    }
    const leat_engine_job *next = w->next;
    w->next = NULL;
    if (next)
        submit(w, next);
    if (w->free_when_done)
        leat_sink_free(w->sink);
}

static inline void on_clock(uv_timer_t *timer)
{
    (void)timer;
}

static inline void start_sink(world *w, const char *dsn, uint32_t connections,
                              int64_t lock_timeout_ms)
{
    leat_error error = {""};
    leat_sink_config config = {.shard_name = "a",
                               .at.dsn = dsn,
                               .owner = "1 test",
                               .connections = connections,
                               .source_id = w->f->catalog.source.id,
                               .placement = test_placement,
                               .schema_versions = w->schema_versions,
                               .lock_timeout_ms = lock_timeout_ms,
                               .commits_async = w->commits_async,
                               .seed = 7,
                               .standstill = &w->standstill};
    leat_sink_events events = {.context = w,
                               .slots = on_slots,
                               .doubted = on_doubted,
                               .pooled = on_pooled,
                               .done = on_done};
    w->in_call = true;
    w->sink = leat_sink_new(&w->loop, &config, &events, &error);
    w->in_call = false;
    ck_assert_msg(w->sink != NULL, "%s", error.text);
}

static inline void count_ask(void *context)
{
    world *w = context;
    w->asked++;
}

/* Makes the fixture's routes the newest version. */
static inline void world_publish(world *w)
{
    leat_schema_version *version = leat_schema_version_new();
    version->routes = w->f->routes;
    leat_schema_versions_publish(w->schema_versions, 0, version, WORLD_LOOKED_US);
}

static inline world *world_new(void)
{
    world *w = leat_must_calloc(1, sizeof *w);
    w->f = fixture_new();
    w->f->batch.parts = w->parts;
    w->schema_versions = leat_schema_versions_new(1, count_ask, w);
    uv_loop_init(&w->loop);
    leat_standstill_watch(&w->standstill, &w->loop, "the test");
    uv_timer_init(&w->loop, &w->clock);
    uv_timer_start(&w->clock, on_clock, 10, 10);
    return w;
}

static inline void init_database(world *w, const char *dsn)
{
    static const int64_t starts[FIXTURE_PARTITIONS] = {0};
    leat_error error = {""};
    int status = leat_shard_init((leat_shard_address){.dsn = dsn}, &w->f->catalog.source,
                                 &w->f->catalog.layout, 0, starts, &error);
    ck_assert_msg(status == 0, "%s", error.text);
}

static inline void init_source(world *w)
{
    leat_source *source = &w->f->catalog.source;
    snprintf(source->log_identity, sizeof source->log_identity, "cluster");
    snprintf(source->topic, sizeof source->topic, "writes");
    snprintf(source->topic_id, sizeof source->topic_id, "topic-id");
    snprintf(source->hash, sizeof source->hash, "xxh3-64");
    source->placement = test_placement;
    leat_layout_even(&w->f->catalog.layout, FIXTURE_PARTITIONS, 1, (const char *const[]){"a"});
    init_database(w, w->f->dsn);
}

static inline void wait_usable(world *w, uint32_t usable);

static inline void prepare_database(world *w)
{
    static const char *const names[] = {"n"};
    static const leat_column_op ops[] = {LEAT_OP_ADD};
    fixture_open_database(w->f);
    init_source(w);
    fixture_sql(w->f,
                "CREATE TABLE things (id int PRIMARY KEY, n int DEFAULT 5, note text, code text,"
                " CONSTRAINT one_code UNIQUE (code))");
    fixture_route(w->f, "things", "/things/{id}", 1, names, ops);
    world_publish(w);
}

/* With a database that has table things (n is added to), and without a sink. */
static inline world *world_prepare(void)
{
    world *w = world_new();
    prepare_database(w);
    return w;
}

/* A sink that has all its connections to that database. */
static inline void world_start(world *w, uint32_t connections, int64_t lock_timeout_ms)
{
    start_sink(w, w->f->dsn, connections, lock_timeout_ms);
    wait_usable(w, connections);
}

static inline world *world_open(uint32_t connections, int64_t lock_timeout_ms)
{
    world *w = world_prepare();
    world_start(w, connections, lock_timeout_ms);
    return w;
}

static inline void world_free(world *w)
{
    if (!w->free_when_done)
        leat_sink_free(w->sink);
    uv_close((uv_handle_t *)&w->clock, NULL);
    leat_standstill_close(&w->standstill);
    w->in_call = true; /* nothing is reported any longer */
    while (uv_run(&w->loop, UV_RUN_ONCE))
        ;
    ck_assert_int_eq(uv_loop_close(&w->loop), 0);
    leat_schema_versions_free(w->schema_versions);
    fixture_free(w->f);
    free(w);
}

static inline void turn(world *w, uint64_t since_ms, const char *what)
{
    uv_run(&w->loop, UV_RUN_ONCE);
    ck_assert_msg(uv_now(&w->loop) - since_ms < WAIT_MS, "waited in vain: %s", what);
}

static inline void wait_usable(world *w, uint32_t usable)
{
    uv_update_time(&w->loop);
    for (uint64_t since = uv_now(&w->loop); w->usable != usable;)
        turn(w, since, "connections");
}

static inline const leat_engine_job_result *wait_done(world *w, uint32_t job_id)
{
    uv_update_time(&w->loop);
    for (uint64_t since = uv_now(&w->loop); !w->answers[job_id].is_done;)
        turn(w, since, "a job");
    w->answers[job_id].is_done = false;
    return &w->answers[job_id].result;
}

/* Until the database returns `expected`. */
static inline void wait_database(world *w, const char *sql, const char *expected)
{
    uv_update_time(&w->loop);
    for (uint64_t since = uv_now(&w->loop); strcmp(fixture_ask(w->f, sql), expected) != 0;)
        turn(w, since, sql);
}

/* Until one session of this test's database waits for that: other tests share the server. */
static inline void wait_one_waits(world *w, const char *event)
{
    char sql[160];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM pg_stat_activity"
             " WHERE wait_event = '%s' AND datname = current_database()",
             event);
    wait_database(w, sql, "1");
}

static inline void wait_failures(world *w, uint64_t count)
{
    uv_update_time(&w->loop);
    for (uint64_t since = uv_now(&w->loop); leat_sink_count(w->sink)->connect_failures < count;)
        turn(w, since, "failures");
}

/* ---- jobs ---- */

static inline void submit_claim(world *w, uint32_t job_id, uint32_t partition)
{
    leat_engine_job job = {.id = job_id, .kind = LEAT_ENGINE_JOB_CLAIM, .partition = partition};
    submit(w, &job);
}

static inline const leat_engine_progress *claim(world *w, uint32_t partition)
{
    submit_claim(w, 0, partition);
    const leat_engine_job_result *result = wait_done(w, 0);
    ck_assert_msg(result->outcome == LEAT_ENGINE_APPLIED, "%s %s", result->sqlstate,
                  result->message);
    w->claims[partition] = w->answers[0].progress.claim;
    return &w->answers[0].progress;
}

/* A part of the batch that moves subpartition 3 to `offset`. */
static inline leat_engine_batch_part *add_part(world *w, uint32_t partition, int64_t seq,
                                               int64_t offset)
{
    leat_engine_batch_part *part = &w->parts[w->f->batch.part_count++];
    *part = (leat_engine_batch_part){
        .partition = partition, .claim = w->claims[partition], .seq = seq, .count = 1};
    part->subpartitions[0] = 3;
    part->offsets[0] = offset;
    return part;
}

/* What was added to the fixture as one job; the batch is gone when submit returns, as the contract
 * allows. */
static inline void submit_batch(world *w, uint32_t job_id)
{
    leat_engine_job job = {.id = job_id, .kind = LEAT_ENGINE_JOB_BATCH, .batch = w->f->batch};
    submit(w, &job);
    fixture_clear(w->f);
    memset(w->parts, 0xee, sizeof w->parts);
    w->f->batch.part_count = 0;
    w->f->batch.lock_timeout_ms = w->f->batch.statement_timeout_ms = 0;
}

static inline void expect_outcome(const leat_engine_job_result *result, leat_engine_outcome outcome,
                                  const char *sqlstate)
{
    ck_assert_msg(result->outcome == outcome && strcmp(result->sqlstate, sqlstate) == 0,
                  "%s (%s): %s", leat_engine_outcome_name(result->outcome), result->sqlstate,
                  result->message);
}

static inline const leat_engine_job_result *run_batch(world *w)
{
    submit_batch(w, 1);
    return wait_done(w, 1);
}

static inline void patch(world *w, const char *key, const char *body)
{
    fixture_add(w->f, NULL, "patch", key, body);
}

/* A PATCH as the record at `offset`, of subpartition 3. */
static inline leat_engine_batch_record *add_record(world *w, uint32_t partition, int64_t offset,
                                                   const char *key, const char *body)
{
    leat_engine_batch_record *record = fixture_add(w->f, NULL, "patch", key, body);
    leat_item *item = record->payload;
    record->partition = item->record.partition = partition;
    record->offset = item->record.offset = offset;
    record->subpartition = 3;
    record->key = leat_item_held_hash(item);
    item->record.accepted_ms = 1000 + offset;
    item->headers = LEAT_SLICE("\2op\6patch");
    return record;
}

static inline const leat_engine_job_result *compact(world *w,
                                                    const leat_engine_compaction *compaction)
{
    leat_engine_job job = {.id = 5,
                           .kind = LEAT_ENGINE_JOB_COMPACT,
                           .partition = compaction->partition,
                           .compaction = *compaction};
    submit(w, &job);
    return wait_done(w, 5);
}

static inline void expect_rows(world *w, const char *expected)
{
    ck_assert_str_eq(
        fixture_ask(w->f,
                    "SELECT coalesce(string_agg(format('%s:%s:%s', id, n, note), ' ' ORDER BY id),"
                    " '') FROM things"),
        expected);
}

static inline PGconn *other_session(world *w, const char *options)
{
    char dsn[1200];
    snprintf(dsn, sizeof dsn, "%s %s", w->f->dsn, options);
    PGconn *pg = PQconnectdb(dsn);
    ck_assert_int_eq(PQstatus(pg), CONNECTION_OK);
    return pg;
}

static inline TCase *add_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return tests;
}

#endif
