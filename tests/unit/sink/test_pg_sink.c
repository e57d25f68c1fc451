/* The asynchronous sink against a real server: every outcome a job can have, and what happens to connections. */
#include "sink_fixture.h"

#include "sink/sink.h"

enum { JOBS_MAX = 64, WAIT_MS = 20000, NO_PARTITION = -1 };

typedef struct answer {
    bool is_done;
    leat_job_result result;
    leat_progress progress;
    uint32_t usable_then; /* what `slots` had said last */
} answer;

typedef struct world {
    fixture *f;
    uv_loop_t loop;
    uv_timer_t clock; /* keeps the loop turning */
    leat_sink *sink;
    uint32_t usable;
    bool in_call;
    answer answers[JOBS_MAX];
    leat_claim claims[FIXTURE_PARTITIONS];
    leat_batch_part parts[FIXTURE_PARTITIONS];
    leat_job job;
    const leat_job *next;  /* submitted from `done` */
    bool free_when_done;
} world;

/* --- the world --------------------------------------------------------------------------------------------------- */

static void on_slots(void *context, uint32_t shard, uint32_t usable)
{
    world *w = context;
    ck_assert(!w->in_call);
    ck_assert_uint_eq(shard, 0);
    w->usable = usable;
}

static void submit(world *w, const leat_job *job)
{
    bool was_in_call = w->in_call;
    w->in_call = true;
    leat_sink_submit(w->sink, job);
    w->in_call = was_in_call;
}

static void on_done(void *context, uint32_t job_id, const leat_job_result *result)
{
    world *w = context;
    answer *answer = &w->answers[job_id];
    ck_assert(!w->in_call);
    ck_assert(!answer->is_done);
    answer->is_done = true;
    answer->result = *result;
    answer->usable_then = w->usable;
    if (result->progress)
        answer->progress = *result->progress;
    ck_assert(!result->progress || result->outcome == LEAT_APPLIED);
    const leat_job *next = w->next;
    w->next = NULL;
    if (next)
        submit(w, next);
    if (w->free_when_done)
        leat_sink_free(w->sink);
}

static void on_clock(uv_timer_t *timer)
{
    (void)timer;
}

static void start_sink(world *w, const char *dsn, uint32_t connections, int64_t lock_timeout_ms)
{
    leat_error error = {""};
    leat_sink_config config = {.shard_name = "a", .dsn = dsn, .connections = connections, .catalog = &w->f->catalog,
                               .routes = &w->f->routes, .lock_timeout_ms = lock_timeout_ms, .seed = 7};
    leat_sink_events events = {w, on_slots, on_done};
    w->in_call = true;
    w->sink = leat_sink_new(&w->loop, &config, &events, &error);
    w->in_call = false;
    ck_assert_msg(w->sink != NULL, "%s", error.text);
}

static world *world_new(void)
{
    world *w = leat_must_calloc(1, sizeof *w);
    w->f = fixture_new();
    w->f->batch.parts = w->parts;
    uv_loop_init(&w->loop);
    uv_timer_init(&w->loop, &w->clock);
    uv_timer_start(&w->clock, on_clock, 10, 10);
    return w;
}

static void init_source(world *w)
{
    leat_source *source = &w->f->catalog.source;
    leat_error error = {""};
    snprintf(source->log_identity, sizeof source->log_identity, "cluster");
    snprintf(source->topic, sizeof source->topic, "writes");
    snprintf(source->topic_id, sizeof source->topic_id, "topic-id");
    snprintf(source->hash, sizeof source->hash, "xxh3-64");
    source->subpartitions = LEAT_SUBPARTITIONS;
    leat_layout_even(&w->f->catalog.layout, FIXTURE_PARTITIONS, 1, (const char *const[]){"a"});
    ck_assert_msg(leat_postgres_init(w->f->dsn, source, &w->f->catalog.layout, 0, &error) == 0, "%s", error.text);
}

/* A database with table things (n is added to) and a sink on it that has all its connections. */
static void wait_usable(world *w, uint32_t usable);

static void prepare_database(world *w)
{
    static const char *const names[] = {"n"};
    static const leat_column_op ops[] = {LEAT_OP_ADD};
    fixture_open_database(w->f);
    init_source(w);
    fixture_sql(w->f, "CREATE TABLE things (id int PRIMARY KEY, n int DEFAULT 5, note text, code text,"
                      " CONSTRAINT one_code UNIQUE (code) DEFERRABLE INITIALLY IMMEDIATE)");
    fixture_route(w->f, "things", "/things/{id}", 1, names, ops);
}

static world *world_open(uint32_t connections, int64_t lock_timeout_ms)
{
    world *w = world_new();
    prepare_database(w);
    start_sink(w, w->f->dsn, connections, lock_timeout_ms);
    wait_usable(w, connections);
    return w;
}

static void world_free(world *w)
{
    if (!w->free_when_done)
        leat_sink_free(w->sink);
    uv_close((uv_handle_t *)&w->clock, NULL);
    w->in_call = true; /* nothing is reported any more */
    while (uv_run(&w->loop, UV_RUN_ONCE))
        ;
    ck_assert_int_eq(uv_loop_close(&w->loop), 0);
    fixture_free(w->f);
    free(w);
}

static void turn(world *w, uint64_t since_ms, const char *what)
{
    uv_run(&w->loop, UV_RUN_ONCE);
    ck_assert_msg(uv_now(&w->loop) - since_ms < WAIT_MS, "waited in vain: %s", what);
}

static void wait_usable(world *w, uint32_t usable)
{
    uv_update_time(&w->loop);
    for (uint64_t since = uv_now(&w->loop); w->usable != usable;)
        turn(w, since, "connections");
}

static const leat_job_result *wait_done(world *w, uint32_t job_id)
{
    uv_update_time(&w->loop);
    for (uint64_t since = uv_now(&w->loop); !w->answers[job_id].is_done;)
        turn(w, since, "a job");
    w->answers[job_id].is_done = false;
    return &w->answers[job_id].result;
}

/* Until the database says `expected`. */
static void wait_database(world *w, const char *sql, const char *expected)
{
    uv_update_time(&w->loop);
    for (uint64_t since = uv_now(&w->loop); strcmp(fixture_ask(w->f, sql), expected) != 0;)
        turn(w, since, sql);
}

/* --- jobs -------------------------------------------------------------------------------------------------------- */

static void submit_claim(world *w, uint32_t job_id, uint32_t partition)
{
    leat_job job = {.id = job_id, .kind = LEAT_JOB_CLAIM, .partition = partition};
    submit(w, &job);
}

static const leat_progress *claim(world *w, uint32_t partition)
{
    submit_claim(w, 0, partition);
    const leat_job_result *result = wait_done(w, 0);
    ck_assert_msg(result->outcome == LEAT_APPLIED, "%s %s", result->sqlstate, result->message);
    w->claims[partition] = w->answers[0].progress.claim;
    return &w->answers[0].progress;
}

/* A part of the batch that moves subpartition 3 to `offset`. */
static leat_batch_part *add_part(world *w, uint32_t partition, int64_t seq, int64_t offset)
{
    leat_batch_part *part = &w->parts[w->f->batch.part_count++];
    *part = (leat_batch_part){.partition = partition, .claim = w->claims[partition], .seq = seq, .count = 1};
    part->subpartitions[0] = 3;
    part->offsets[0] = offset;
    return part;
}

/* What was added to the fixture as one job; the batch is gone when submit returns, as the contract allows. */
static void submit_batch(world *w, uint32_t job_id)
{
    leat_job job = {.id = job_id, .kind = LEAT_JOB_BATCH, .batch = w->f->batch};
    submit(w, &job);
    fixture_clear(w->f);
    memset(w->parts, 0xee, sizeof w->parts);
    w->f->batch.part_count = 0;
}

static void expect_outcome(const leat_job_result *result, leat_outcome outcome, const char *sqlstate)
{
    ck_assert_msg(result->outcome == outcome && strcmp(result->sqlstate, sqlstate) == 0, "%s (%s): %s",
                  leat_outcome_name(result->outcome), result->sqlstate, result->message);
}

static const leat_job_result *run_batch(world *w)
{
    submit_batch(w, 1);
    return wait_done(w, 1);
}

static void patch(world *w, const char *key, const char *body)
{
    fixture_add(w->f, NULL, "patch", key, body);
}

static void expect_rows(world *w, const char *expected)
{
    ck_assert_str_eq(fixture_ask(w->f, "SELECT coalesce(string_agg(format('%s:%s:%s', id, n, note), ' ' ORDER BY id),"
                                       " '') FROM things"),
                     expected);
}

static PGconn *other_session(world *w, const char *options)
{
    char dsn[1200];
    snprintf(dsn, sizeof dsn, "%s %s", w->f->dsn, options);
    PGconn *pg = PQconnectdb(dsn);
    ck_assert_int_eq(PQstatus(pg), CONNECTION_OK);
    return pg;
}

/* --- when all is well -------------------------------------------------------------------------------------------- */

START_TEST(claim_batch_compaction_claim)
{
    world *w = world_open(2, 1000);
    const leat_progress *first = claim(w, 0);
    ck_assert_int_eq(first->base_seq, 0);
    ck_assert_int_eq(first->next_seq, 1);
    ck_assert_int_eq(first->low, -1);
    claim(w, 1);
    patch(w, "1", "{\"n\":2,\"note\":\"x\"}");
    fixture_add(w->f, NULL, "put", "2", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    add_part(w, 1, 1, 20);
    expect_outcome(run_batch(w), LEAT_APPLIED, "");
    expect_rows(w, "1:7:x 2:1:");
    patch(w, "1", "{\"n\":1}");
    leat_batch_part *part = add_part(w, 0, 2, 11);
    part->needs[0] = 1;
    part->needs_count = 1;
    expect_outcome(run_batch(w), LEAT_APPLIED, "");
    expect_rows(w, "1:8:x 2:1:");
    const leat_progress *again = claim(w, 0);
    ck_assert_int_eq(again->next_seq, 3);
    ck_assert_int_eq(again->offsets[3], 11);
    ck_assert_int_eq(again->last_seq[3], 2);
    ck_assert_int_eq(again->offsets[4], -1);
    leat_job compact = {.id = 5, .kind = LEAT_JOB_COMPACT, .partition = 0};
    leat_compaction *compaction = &compact.compaction;
    *compaction = (leat_compaction){.claim = w->claims[0], .base_seq = 2, .low = 9, .low_at_ms = 77, .needs_count = 1,
                                    .needs = {2}};
    for (int i = 0; i < LEAT_PROGRESS_SUBPARTITIONS; i++)
        compaction->base_offsets[i] = i == 3 ? 11 : 9;
    submit(w, &compact);
    expect_outcome(wait_done(w, 5), LEAT_APPLIED, "");
    const leat_progress *last = claim(w, 0);
    ck_assert_int_eq(last->base_seq, 2);
    ck_assert_int_eq(last->low, 9);
    ck_assert_int_eq(last->low_at_ms, 77);
    ck_assert_int_eq(last->offsets[3], 11);
    ck_assert_int_eq(last->last_seq[3], 0);
    ck_assert_uint_eq(leat_sink_count(w->sink)->rows, 3);
    ck_assert_uint_eq(leat_sink_count(w->sink)->statements, 3);
    ck_assert_uint_eq(leat_sink_count(w->sink)->connects, 2);
    world_free(w);
}
END_TEST

START_TEST(writes_to_one_key_keep_their_order)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    patch(w, "1", "{\"n\":2}");
    fixture_add(w->f, NULL, "put", "2", "{\"note\":\"a\"}");
    fixture_add(w->f, NULL, "delete", "1", NULL);
    patch(w, "1", "{\"n\":10,\"note\":\"b\"}");
    patch(w, "1", "{\"n\":1}");
    fixture_add(w->f, NULL, "delete", "2", NULL);
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_APPLIED, "");
    expect_rows(w, "1:16:b");
    for (int i = 0; i < 500; i++)
        patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 2, 11);
    expect_outcome(run_batch(w), LEAT_APPLIED, "");
    expect_rows(w, "1:516:b");
    world_free(w);
}
END_TEST

START_TEST(a_batch_larger_than_any_socket_buffer)
{
    enum { SIZE = 20000 };
    world *w = world_open(1, 1000);
    static char bodies[SIZE + 64], keys[FIXTURE_RECORDS_MAX][16];
    claim(w, 0);
    snprintf(bodies, sizeof bodies, "{\"note\":\"%0*d\"}", SIZE, 0);
    for (int i = 0; i < FIXTURE_RECORDS_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "%d", i);
        patch(w, keys[i], bodies);
    }
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_APPLIED, "");
    ck_assert_str_eq(fixture_ask(w->f, "SELECT sum(length(note)) FROM things"), "40000000");
    world_free(w);
}
END_TEST

START_TEST(more_shapes_than_are_kept)
{
    enum { COLUMNS = 9, SHAPES = (1 << COLUMNS) - 1 };
    static char bodies[SHAPES][256], keys[SHAPES][16];
    world *w = world_open(1, 5000);
    fixture_sql(w->f, "CREATE TABLE wide (id int PRIMARY KEY, a int, b int, c int, d int, e int, f int, g int, h int,"
                      " i int)");
    fixture_route(w->f, "wide", "/wide/{id}", 0, NULL, NULL);
    claim(w, 0);
    for (int i = 0; i < SHAPES; i++) {
        char *body = bodies[i];
        snprintf(keys[i], sizeof keys[i], "%d", i);
        for (int column = 0; column < COLUMNS; column++)
            if ((i + 1) & (1 << column))
                snprintf(body + strlen(body), sizeof bodies[i] - strlen(body), "%c\"%c\":%d", *body ? ',' : '{',
                         'a' + column, i);
        strcat(body, "}");
        fixture_add(w->f, "wide", "put", keys[i], body);
        add_part(w, 0, i + 1, i);
        expect_outcome(run_batch(w), LEAT_APPLIED, "");
    }
    ck_assert_str_eq(fixture_ask(w->f, "SELECT count(*) || ' ' || sum(num_nonnulls(a, b, c, d, e, f, g, h, i))"
                                       " FROM wide"),
                     "511 2304");
    world_free(w);
}
END_TEST

/* --- what a job can come to -------------------------------------------------------------------------------------- */

START_TEST(fenced_by_another_claim)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    claim(w, 1);
    fixture_sql(w->f, "SELECT leat.claim((SELECT id FROM leat.sources), 1, 1000)");
    patch(w, "1", "{}");
    add_part(w, 0, 1, 10);
    add_part(w, 1, 1, 10);
    const leat_job_result *result = run_batch(w);
    expect_outcome(result, LEAT_FENCED, "LT001");
    ck_assert_int_eq(result->partition, 1);
    expect_rows(w, "");
    ck_assert_str_eq(fixture_ask(w->f, "SELECT count(*) FROM leat.progress"), "0");
    leat_job compact = {.id = 5, .kind = LEAT_JOB_COMPACT, .partition = 1};
    compact.compaction = (leat_compaction){.partition = 1, .claim = w->claims[1], .base_seq = 1};
    submit(w, &compact);
    result = wait_done(w, 5);
    expect_outcome(result, LEAT_FENCED, "LT001");
    ck_assert_int_eq(result->partition, 1);
    world_free(w);
}
END_TEST

START_TEST(the_database_went_back)
{
    world *w = world_open(1, 1000);
    claim(w, 2);
    patch(w, "1", "{}");
    leat_batch_part *part = add_part(w, 2, 9, 10);
    part->needs[0] = 8;
    part->needs_count = 1;
    const leat_job_result *result = run_batch(w);
    expect_outcome(result, LEAT_WENT_BACK, "LT002");
    ck_assert_int_eq(result->partition, 2);
    expect_rows(w, "");
    world_free(w);
}
END_TEST

START_TEST(a_lock_held_is_contention)
{
    world *w = world_open(1, 200);
    PGconn *other = other_session(w, "");
    claim(w, 0);
    fixture_run_on(other, "INSERT INTO things VALUES (1); BEGIN; UPDATE things SET n = 1");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_CONTENTION, "55P03");
    fixture_run_on(other, "COMMIT");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 2, 10);
    expect_outcome(run_batch(w), LEAT_APPLIED, "");
    expect_rows(w, "1:2:");
    PQfinish(other);
    world_free(w);
}
END_TEST

START_TEST(a_foreign_insert_of_the_key_is_contention)
{
    world *w = world_open(1, 5000);
    PGconn *other = other_session(w, "");
    claim(w, 0);
    fixture_run_on(other, "BEGIN; INSERT INTO things VALUES (1, 1, 'theirs')");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    submit_batch(w, 1);
    wait_database(w, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid'", "1");
    fixture_run_on(other, "COMMIT");
    expect_outcome(wait_done(w, 1), LEAT_CONTENTION, "23505");
    fixture_sql(w->f, "UPDATE things SET code = 'c'");
    patch(w, "2", "{\"code\":\"c\"}");
    add_part(w, 0, 2, 10);
    const leat_job_result *result = run_batch(w);
    expect_outcome(result, LEAT_BAD_DATA, "23505");
    ck_assert_int_eq(result->bad_record, -1);
    expect_rows(w, "1:1:theirs");
    PQfinish(other);
    world_free(w);
}
END_TEST

START_TEST(an_error_of_the_commit_is_a_failure)
{
    world *w = world_open(1, 1000);
    fixture_sql(w->f, "ALTER TABLE things ALTER CONSTRAINT one_code DEFERRABLE INITIALLY DEFERRED");
    claim(w, 0);
    patch(w, "1", "{\"code\":\"c\"}");
    patch(w, "2", "{\"code\":\"c\"}");
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_BAD_DATA, "23505");
    expect_rows(w, "");
    patch(w, "1", "{\"code\":\"c\"}");
    add_part(w, 0, 2, 10);
    expect_outcome(run_batch(w), LEAT_APPLIED, "");
    world_free(w);
}
END_TEST

START_TEST(bad_data_and_drift_fail_whole_and_leave_the_connection_well)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    patch(w, "1", "{\"n\":2147483647}");
    patch(w, "2", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_BAD_DATA, "22003");
    expect_rows(w, "");
    fixture_sql(w->f, "ALTER TABLE things DROP COLUMN note");
    patch(w, "2", "{\"note\":\"x\"}");
    add_part(w, 0, 2, 10);
    expect_outcome(run_batch(w), LEAT_DRIFT, "42703");
    fixture_sql(w->f, "ALTER TABLE things ADD COLUMN note text");
    patch(w, "2", "{\"note\":\"x\"}");
    add_part(w, 0, 3, 10);
    expect_outcome(run_batch(w), LEAT_APPLIED, "");
    expect_rows(w, "2:5:x");
    ck_assert_uint_eq(leat_sink_count(w->sink)->connects, 1);
    world_free(w);
}
END_TEST

START_TEST(a_record_that_makes_no_sense_is_named_and_nothing_is_sent)
{
    static const struct {
        const char *op, *key, *body;
    } bad[] = {{"patch", "1", "{\"n\":"}, {"patch", "1", "{\"m\":1}"}, {"patch", "x", "{}"}, {"hit", "1", "{}"}};
    world *w = world_open(1, 1000);
    claim(w, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        patch(w, "5", "{}");
        fixture_add(w->f, NULL, bad[i].op, bad[i].key, bad[i].body);
        patch(w, "6", "{\"n\":\"worse\"}");
        add_part(w, 0, 1, 10);
        const leat_job_result *result = run_batch(w);
        expect_outcome(result, LEAT_BAD_DATA, "");
        ck_assert_int_eq(result->bad_record, 1);
        ck_assert_str_ne(result->message, "");
    }
    ck_assert_str_eq(fixture_ask(w->f, "SELECT count(*) FROM leat.progress"), "0");
    patch(w, "1", "{}");
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_APPLIED, "");
    world_free(w);
}
END_TEST

START_TEST(statements_lost_or_stale_are_prepared_again)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    fixture_sql(w->f, "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS"
                      " $$ BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN NULL; END $$;"
                      "CREATE TRIGGER forget AFTER INSERT ON things FOR EACH STATEMENT EXECUTE FUNCTION forget()");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_APPLIED, "");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 2, 10);
    expect_outcome(run_batch(w), LEAT_CONTENTION, "26000");
    fixture_sql(w->f, "DROP TRIGGER forget ON things");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 3, 10);
    expect_outcome(run_batch(w), LEAT_APPLIED, "");
    fixture_sql(w->f, "ALTER TABLE things ADD COLUMN more int DEFAULT 3; ALTER TABLE things ALTER n TYPE bigint");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 4, 10);
    expect_outcome(run_batch(w), LEAT_APPLIED, "");
    expect_rows(w, "1:8:");
    world_free(w);
}
END_TEST

/* --- connections ------------------------------------------------------------------------------------------------- */

static const char end_all_sql[] = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                                  " WHERE application_name LIKE 'leat %' AND datname = current_database()";

START_TEST(a_lost_connection_leaves_the_outcome_unknown)
{
    world *w = world_open(1, 10000);
    PGconn *other = other_session(w, "");
    claim(w, 0);
    fixture_run_on(other, "INSERT INTO things VALUES (1); BEGIN; UPDATE things SET n = 1");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    submit_batch(w, 1);
    wait_database(w, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid'", "1");
    ck_assert_str_eq(fixture_ask(w->f, end_all_sql), "1");
    expect_outcome(wait_done(w, 1), LEAT_UNKNOWN, "57P01");
    ck_assert_uint_eq(w->answers[1].usable_then, 1); /* first the job, then the slots */
    wait_usable(w, 0);
    wait_usable(w, 1);
    fixture_run_on(other, "COMMIT");
    claim(w, 0);
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_APPLIED, "");
    expect_rows(w, "1:2:");
    PQfinish(other);
    world_free(w);
}
END_TEST

START_TEST(one_dead_connection_of_two)
{
    world *w = world_open(2, 10000);
    PGconn *other = other_session(w, "");
    claim(w, 0);
    claim(w, 1);
    fixture_run_on(other, "INSERT INTO things VALUES (1); BEGIN; UPDATE things SET n = 1");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    submit_batch(w, 1);
    wait_database(w, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'transactionid'", "1");
    patch(w, "2", "{\"n\":1}");
    add_part(w, 1, 1, 10);
    submit_batch(w, 2);
    expect_outcome(wait_done(w, 2), LEAT_APPLIED, "");
    fixture_sql(w->f, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'transactionid'");
    expect_outcome(wait_done(w, 1), LEAT_UNKNOWN, "57P01");
    patch(w, "3", "{\"n\":1}");
    add_part(w, 1, 2, 11);
    expect_outcome(run_batch(w), LEAT_APPLIED, "");
    wait_usable(w, 2);
    PQfinish(other);
    world_free(w);
}
END_TEST

START_TEST(a_job_for_a_connection_just_lost)
{
    world *w = world_open(1, 10000);
    leat_job again = {.id = 3, .kind = LEAT_JOB_CLAIM, .partition = 1};
    PGconn *other = other_session(w, "");
    fixture_run_on(other, "BEGIN; SELECT * FROM leat.claim((SELECT id FROM leat.sources), 0, 1000)");
    submit_claim(w, 2, 0);
    wait_database(w, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'", "1");
    w->next = &again; /* from `done`, when `slots` has not been told yet */
    fixture_ask(w->f, end_all_sql);
    expect_outcome(wait_done(w, 2), LEAT_UNKNOWN, "57P01");
    expect_outcome(wait_done(w, 3), LEAT_OUTAGE, "");
    PQfinish(other);
    wait_usable(w, 1);
    claim(w, 1);
    world_free(w);
}
END_TEST

START_TEST(a_frozen_holder_is_ended)
{
    world *w = world_open(1, 200);
    char sql[256];
    claim(w, 0);
    PGconn *frozen = other_session(w, "application_name='leat frozen'");
    ck_assert(PQenterPipelineMode(frozen));
    snprintf(sql, sizeof sql, "SELECT leat.advance(%d, 0, (SELECT claim FROM leat.partitions WHERE partition = 0), 1,"
                              " '{3}', '{10}', '{}', 1000)", w->f->catalog.source.id);
    ck_assert(PQsendQueryParams(frozen, sql, 0, NULL, NULL, NULL, NULL, 0));
    ck_assert(PQsendFlushRequest(frozen)); /* and no Sync: it holds the lock for ever */
    PQflush(frozen);
    wait_database(w, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'", "1");
    submit_claim(w, 1, 0);
    expect_outcome(wait_done(w, 1), LEAT_CONTENTION, "55P03");
    ck_assert_uint_eq(leat_sink_count(w->sink)->holders_terminated, 1);
    claim(w, 0);
    ck_assert_str_eq(fixture_ask(w->f, "SELECT count(*) FROM leat.progress"), "0");
    PQfinish(frozen);
    world_free(w);
}
END_TEST

START_TEST(a_database_that_comes_later)
{
    world *w = world_new();
    char dsn[1024], sql[128];
    prepare_database(w);
    snprintf(dsn, sizeof dsn, "%s dbname=%s_later", fixture_server(), w->f->name);
    start_sink(w, dsn, 2, 1000);
    uv_update_time(&w->loop);
    for (uint64_t since = uv_now(&w->loop); leat_sink_count(w->sink)->connect_failures < 2;)
        turn(w, since, "failures");
    ck_assert_uint_eq(w->usable, 0);
    snprintf(sql, sizeof sql, "CREATE DATABASE %s_later", w->f->name);
    fixture_sql(w->f, sql);
    wait_usable(w, 2);
    submit_claim(w, 1, 0); /* without the schema */
    ck_assert_int_eq(wait_done(w, 1)->outcome, LEAT_DRIFT);
    snprintf(sql, sizeof sql, "DROP DATABASE %s_later WITH (FORCE)", w->f->name);
    fixture_sql(w->f, sql);
    wait_usable(w, 0);
    world_free(w);
}
END_TEST

START_TEST(a_read_only_server_is_left)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    fixture_sql(w->f, "CREATE FUNCTION demote() RETURNS trigger LANGUAGE plpgsql AS"
                      " $$ BEGIN RAISE EXCEPTION 'read-only' USING ERRCODE = '25006'; END $$;"
                      "CREATE TRIGGER demote BEFORE INSERT ON things EXECUTE FUNCTION demote()");
    patch(w, "1", "{}");
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_OUTAGE, "25006");
    wait_usable(w, 0);
    wait_usable(w, 1);
    ck_assert_uint_eq(leat_sink_count(w->sink)->connects, 2);
    world_free(w);
}
END_TEST

START_TEST(the_server_sees_our_name)
{
    world *w = world_open(1, 1000);
    char expected[128], host[32] = "";
    gethostname(host, sizeof host - 1);
    snprintf(expected, sizeof expected, "leat %s %d", host, (int)getpid());
    ck_assert_str_eq(fixture_ask(w->f, "SELECT application_name FROM pg_stat_activity"
                                       " WHERE application_name <> '' AND datname = current_database()"), expected);
    world_free(w);
}
END_TEST

START_TEST(freed_with_a_job_open)
{
    world *w = world_open(2, 10000);
    PGconn *other = other_session(w, "");
    fixture_run_on(other, "BEGIN; SELECT * FROM leat.claim((SELECT id FROM leat.sources), 0, 1000)");
    submit_claim(w, 2, 0);
    wait_database(w, "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'", "1");
    PQfinish(other);
    world_free(w);
}
END_TEST

START_TEST(freed_from_done)
{
    world *w = world_open(2, 1000);
    w->free_when_done = true;
    submit_claim(w, 2, _i == 0 ? 0 : 99);
    expect_outcome(wait_done(w, 2), _i == 0 ? LEAT_APPLIED : LEAT_NOT_UNDERSTOOD, _i == 0 ? "" : "LT004");
    world_free(w);
}
END_TEST

START_TEST(freed_from_done_of_a_refused_batch)
{
    world *w = world_open(1, 1000);
    w->free_when_done = true;
    patch(w, "1", "{");
    submit_batch(w, 1);
    expect_outcome(wait_done(w, 1), LEAT_BAD_DATA, "");
    world_free(w);
}
END_TEST

START_TEST(a_dsn_that_is_none)
{
    uv_loop_t loop;
    leat_error error = {""};
    leat_catalog catalog = {0};
    leat_sink_config config = {.shard_name = "b", .dsn = "host=h secret", .connections = 1, .catalog = &catalog};
    leat_sink_events events = {0};
    uv_loop_init(&loop);
    ck_assert_ptr_null(leat_sink_new(&loop, &config, &events, &error));
    ck_assert_str_eq(error.text, "shard b: the dsn is no valid connection string");
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *tests = tcase_create(name);
    tcase_set_timeout(tests, 60);
    suite_add_tcase(suite, tests);
    return tests;
}

int main(void)
{
    if (!fixture_server()) {
        puts("1..0 # SKIP PG_DSN_1 is not set");
        return 0;
    }
    Suite *suite = suite_create("pg_sink");
    TCase *well = add_case(suite, "well");
    tcase_add_test(well, claim_batch_compaction_claim);
    tcase_add_test(well, writes_to_one_key_keep_their_order);
    tcase_add_test(well, a_batch_larger_than_any_socket_buffer);
    tcase_add_test(well, more_shapes_than_are_kept);
    TCase *outcomes = add_case(suite, "outcomes");
    tcase_add_test(outcomes, fenced_by_another_claim);
    tcase_add_test(outcomes, the_database_went_back);
    tcase_add_test(outcomes, a_lock_held_is_contention);
    tcase_add_test(outcomes, a_foreign_insert_of_the_key_is_contention);
    tcase_add_test(outcomes, an_error_of_the_commit_is_a_failure);
    tcase_add_test(outcomes, bad_data_and_drift_fail_whole_and_leave_the_connection_well);
    tcase_add_test(outcomes, a_record_that_makes_no_sense_is_named_and_nothing_is_sent);
    tcase_add_test(outcomes, statements_lost_or_stale_are_prepared_again);
    TCase *connections = add_case(suite, "connections");
    tcase_add_test(connections, a_lost_connection_leaves_the_outcome_unknown);
    tcase_add_test(connections, one_dead_connection_of_two);
    tcase_add_test(connections, a_job_for_a_connection_just_lost);
    tcase_add_test(connections, a_frozen_holder_is_ended);
    tcase_add_test(connections, a_database_that_comes_later);
    tcase_add_test(connections, a_read_only_server_is_left);
    tcase_add_test(connections, the_server_sees_our_name);
    tcase_add_test(connections, freed_with_a_job_open);
    tcase_add_loop_test(connections, freed_from_done, 0, 2);
    tcase_add_test(connections, freed_from_done_of_a_refused_batch);
    tcase_add_test(connections, a_dsn_that_is_none);
    return fixture_main(suite);
}
