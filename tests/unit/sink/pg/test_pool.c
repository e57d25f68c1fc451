/* The asynchronous sink against a real server: every outcome a job can have. */
#include "sink_world.h"

/* ---- when all is well ---- */

START_TEST(claim_batch_compaction_claim)
{
    world *w = world_open(2, 1000);
    const leat_engine_progress *first = claim(w, 0);
    ck_assert_int_eq(first->base_seq, 0);
    ck_assert_int_eq(first->next_seq, 1);
    ck_assert_int_eq(first->low, -1);
    claim(w, 1);
    patch(w, "1", "{\"n\":2,\"note\":\"x\"}");
    fixture_add(w->f, NULL, "put", "2", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    add_part(w, 1, 1, 20);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    expect_rows(w, "1:7:x 2:1:");
    patch(w, "1", "{\"n\":1}");
    leat_engine_batch_part *part = add_part(w, 0, 2, 11);
    part->needs[0] = 1;
    part->needs_count = 1;
    part->newest = (leat_engine_newest){11, 66, 3};
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    expect_rows(w, "1:8:x 2:1:");
    const leat_engine_progress *again = claim(w, 0);
    ck_assert_int_eq(again->next_seq, 3);
    ck_assert_int_eq(again->offsets[3], 11);
    ck_assert_int_eq(again->last_seq[3], 2);
    ck_assert_int_eq(again->offsets[4], -1);
    ck_assert_int_eq(again->newest.offset, 11);
    ck_assert_int_eq(again->newest.at_ms, 66);
    ck_assert_int_eq(again->newest.epoch, 3);
    int64_t need = 2, base_offsets[64];
    leat_engine_compaction compaction = {.claim = w->claims[0],
                                         .base_seq = 2,
                                         .low = 9,
                                         .newest = {11, 77, 4},
                                         .needs_count = 1,
                                         .needs = &need,
                                         .subpartitions = 64,
                                         .base_offsets = base_offsets};
    for (int i = 0; i < 64; i++)
        base_offsets[i] = i == 3 ? 11 : 9;
    expect_outcome(compact(w, &compaction), LEAT_ENGINE_APPLIED, "");
    const leat_engine_progress *last = claim(w, 0);
    ck_assert_int_eq(last->base_seq, 2);
    ck_assert_int_eq(last->low, 9);
    ck_assert_int_eq(last->newest.offset, 11);
    ck_assert_int_eq(last->newest.at_ms, 77);
    ck_assert_int_eq(last->newest.epoch, 4);
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
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    expect_rows(w, "1:16:b");
    for (int i = 0; i < 500; i++)
        patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 2, 11);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
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
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    ck_assert_str_eq(fixture_ask(w->f, "SELECT sum(length(note)) FROM things"), "40000000");
    world_free(w);
}
END_TEST

START_TEST(more_shapes_than_are_kept)
{
    enum { COLUMNS = 9, SHAPES = (1 << COLUMNS) - 1 };
    static char bodies[SHAPES][256], keys[SHAPES][16];
    world *w = world_open(1, 5000);
    fixture_sql(
        w->f,
        "CREATE TABLE wide (id int PRIMARY KEY, a int, b int, c int, d int, e int, f int, g int, h int,"
        " i int)");
    fixture_route(w->f, "wide", "/wide/{id}", 0, NULL, NULL);
    world_publish(w);
    claim(w, 0);
    for (int i = 0; i < SHAPES; i++) {
        char *body = bodies[i];
        snprintf(keys[i], sizeof keys[i], "%d", i);
        for (int column = 0; column < COLUMNS; column++)
            if ((i + 1) & (1 << column))
                snprintf(body + strlen(body), sizeof bodies[i] - strlen(body), "%c\"%c\":%d",
                         *body ? ',' : '{', 'a' + column, i);
        strcat(body, "}");
        fixture_add(w->f, "wide", "put", keys[i], body);
        add_part(w, 0, i + 1, i);
        expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    }
    ck_assert_str_eq(
        fixture_ask(w->f, "SELECT count(*) || ' ' || sum(num_nonnulls(a, b, c, d, e, f, g, h, i))"
                          " FROM wide"),
        "511 2304");
    world_free(w);
}
END_TEST

START_TEST(patches_of_missing_rows_are_counted_when_rows_must_exist)
{
    world *w = world_open(1, 1000);
    w->f->routes.routes[0].patch_existing = true;
    world_publish(w);
    claim(w, 0);
    fixture_sql(w->f, "INSERT INTO things VALUES (1, 1)");
    for (int seq = 1; seq <= 2; seq++) {
        patch(w, "1", "{\"n\":1}");
        patch(w, "2", "{\"n\":1}");
        patch(w, "3", "{\"note\":\"x\"}");
        patch(w, "3", "{\"note\":\"y\"}");
        add_part(w, 0, seq, seq);
        expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
        ck_assert_uint_eq(leat_sink_count(w->sink)->patches_dropped, (uint64_t)seq * 3);
    }
    patch(w, "2", "{\"n\":1}");
    patch(w, "1", "{\"n\":2147483647}");
    add_part(w, 0, 3, 3);
    expect_outcome(run_batch(w), LEAT_ENGINE_BAD_DATA, "22003");
    ck_assert_uint_eq(leat_sink_count(w->sink)->patches_dropped, 6);
    expect_rows(w, "1:3:");
    world_free(w);
}
END_TEST

/* ---- what a job can come to ---- */

START_TEST(fenced_by_another_claim)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    claim(w, 1);
    fixture_sql(w->f, "SELECT leat.take((SELECT id FROM leat.sources), 1, 1000)");
    patch(w, "1", "{}");
    add_part(w, 0, 1, 10);
    add_part(w, 1, 1, 10);
    const leat_engine_job_result *result = run_batch(w);
    expect_outcome(result, LEAT_ENGINE_FENCED, "LT001");
    ck_assert_int_eq(result->partition, 1);
    expect_rows(w, "");
    ck_assert_str_eq(fixture_ask(w->f, "SELECT count(*) FROM leat.progress"), "0");
    result =
        compact(w, &(leat_engine_compaction){.partition = 1, .claim = w->claims[1], .base_seq = 1});
    expect_outcome(result, LEAT_ENGINE_FENCED, "LT001");
    ck_assert_int_eq(result->partition, 1);
    world_free(w);
}
END_TEST

START_TEST(the_database_went_back)
{
    world *w = world_open(1, 1000);
    claim(w, 2);
    patch(w, "1", "{}");
    leat_engine_batch_part *part = add_part(w, 2, 9, 10);
    part->needs[0] = 8;
    part->needs_count = 1;
    const leat_engine_job_result *result = run_batch(w);
    expect_outcome(result, LEAT_ENGINE_WENT_BACK, "LT002");
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
    expect_outcome(run_batch(w), LEAT_ENGINE_CONTENTION, "55P03");
    fixture_run_on(other, "COMMIT");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 2, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    expect_rows(w, "1:2:");
    PQfinish(other);
    world_free(w);
}
END_TEST

START_TEST(a_batch_waits_for_locks_no_longer_than_it_says)
{
    world *w = world_open(1, 600000);
    PGconn *other = other_session(w, "");
    claim(w, 0);
    fixture_run_on(other, "INSERT INTO things VALUES (1); BEGIN; UPDATE things SET n = 1");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    w->f->batch.lock_timeout_ms = 50;
    const leat_engine_job_result *result = run_batch(w);
    expect_outcome(result, LEAT_ENGINE_CONTENTION, "55P03");
    ck_assert(result->from_rows && result->is_lock_wait && !result->timed_out);
    ck_assert_int_eq(result->partition, -1);
    PQfinish(other);
    world_free(w);
}
END_TEST

START_TEST(a_batch_says_which_partition_is_being_claimed)
{
    world *w = world_open(1, 600000);
    PGconn *other = other_session(w, "");
    char sql[128];
    claim(w, 0);
    claim(w, 2);
    snprintf(sql, sizeof sql, "BEGIN; SELECT pg_advisory_xact_lock(1818583412 # %d, 2)",
             w->f->catalog.source.id);
    fixture_run_on(other, sql);
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    add_part(w, 2, 1, 10);
    w->f->batch.lock_timeout_ms = 50;
    const leat_engine_job_result *result = run_batch(w);
    expect_outcome(result, LEAT_ENGINE_CONTENTION, "55P03");
    ck_assert(!result->from_rows && result->is_lock_wait);
    ck_assert_int_eq(result->partition, 2);
    PQfinish(other);
    world_free(w);
}
END_TEST

/* Or than its session says, if that is shorter. */
START_TEST(a_batch_takes_no_longer_than_it_says)
{
    static const struct {
        const char *session;
        int64_t batch_ms;
    } limits[] = {{"0", 100}, {"1h", 100}, {"100ms", 3600000}};
    world *w = world_prepare();
    char dsn[1024];
    fixture_sql(w->f,
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN PERFORM pg_sleep(3600); RETURN new; END $$;"
                " CREATE TRIGGER slow AFTER INSERT ON things FOR EACH ROW EXECUTE FUNCTION slow()");
    snprintf(dsn, sizeof dsn, "%s options='-c statement_timeout=%s'", w->f->dsn,
             limits[_i].session);
    start_sink(w, dsn, 1, 600000);
    wait_usable(w, 1);
    claim(w, 0);
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    w->f->batch.statement_timeout_ms = limits[_i].batch_ms;
    const leat_engine_job_result *result = run_batch(w);
    expect_outcome(result, LEAT_ENGINE_CONTENTION, "57014");
    ck_assert(result->from_rows && result->timed_out && !result->is_lock_wait);
    world_free(w);
}
END_TEST

/* Worth another try at once. */
static void expect_race(const leat_engine_job_result *result)
{
    expect_outcome(result, LEAT_ENGINE_NOT_YET, "23505");
    ck_assert(result->may_be_race);
}

START_TEST(a_foreign_insert_of_the_key_is_a_race)
{
    world *w = world_open(1, 5000);
    PGconn *other = other_session(w, "");
    claim(w, 0);
    fixture_run_on(other, "BEGIN; INSERT INTO things VALUES (1, 1, 'theirs')");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    submit_batch(w, 1);
    wait_one_waits(w, "transactionid");
    fixture_run_on(other, "COMMIT");
    expect_race(wait_done(w, 1));
    fixture_sql(w->f, "UPDATE things SET code = 'c'");
    patch(w, "2", "{\"code\":\"c\"}");
    add_part(w, 0, 2, 10);
    const leat_engine_job_result *result = run_batch(w);
    expect_outcome(result, LEAT_ENGINE_NOT_YET, "23505");
    ck_assert_int_eq(result->bad_record, -1);
    ck_assert_int_eq(result->catalog_read_us, INT64_MAX);
    expect_rows(w, "1:1:theirs");
    PQfinish(other);
    world_free(w);
}
END_TEST

START_TEST(an_error_of_the_commit_is_a_failure)
{
    world *w = world_open(1, 1000);
    fixture_sql(
        w->f,
        "ALTER TABLE things DROP CONSTRAINT one_code;"
        "ALTER TABLE things ADD CONSTRAINT one_code UNIQUE (code) DEFERRABLE INITIALLY DEFERRED");
    claim(w, 0);
    patch(w, "1", "{\"code\":\"c\"}");
    patch(w, "2", "{\"code\":\"c\"}");
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_NOT_YET, "23505");
    expect_rows(w, "");
    patch(w, "1", "{\"code\":\"c\"}");
    add_part(w, 0, 2, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
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
    const leat_engine_job_result *result = run_batch(w);
    expect_outcome(result, LEAT_ENGINE_BAD_DATA, "22003");
    ck_assert_int_eq(result->catalog_read_us, INT64_MAX);
    ck_assert_uint_eq(w->asked, 0);
    expect_rows(w, "");
    fixture_sql(w->f, "ALTER TABLE things DROP COLUMN note");
    patch(w, "2", "{\"note\":\"x\"}");
    add_part(w, 0, 2, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_DRIFT, "42703");
    ck_assert_uint_eq(w->asked, 1);
    fixture_sql(w->f, "ALTER TABLE things ADD COLUMN note text");
    patch(w, "2", "{\"note\":\"x\"}");
    add_part(w, 0, 3, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    expect_rows(w, "2:5:x");
    ck_assert_uint_eq(leat_sink_count(w->sink)->connects, 1);
    world_free(w);
}
END_TEST

/* An error of leat's own statement, of whatever class, is never held against a record of the
 * batch. */
START_TEST(no_record_is_blamed_for_what_leats_own_statements_meet)
{
    static const struct {
        const char *sqlstate;
        leat_engine_outcome outcome;
    } cases[] = {{"54000", LEAT_ENGINE_OUTAGE},         {"53100", LEAT_ENGINE_OUTAGE},
                 {"22003", LEAT_ENGINE_NOT_UNDERSTOOD}, {"23505", LEAT_ENGINE_NOT_UNDERSTOOD},
                 {"23514", LEAT_ENGINE_NOT_UNDERSTOOD}, {"P0001", LEAT_ENGINE_NOT_UNDERSTOOD},
                 {"42501", LEAT_ENGINE_NOT_UNDERSTOOD}, {"40001", LEAT_ENGINE_CONTENTION}};
    world *w = world_open(1, 1000);
    claim(w, 0);
    fixture_sql(
        w->f,
        "CREATE TABLE says (state text); INSERT INTO says VALUES ('');"
        "CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF (SELECT state FROM public.says) <> '' THEN"
        " RAISE 'no' USING ERRCODE = (SELECT state FROM public.says); END IF; RETURN new; END $$;"
        "CREATE TRIGGER say BEFORE INSERT ON leat.progress FOR EACH ROW EXECUTE FUNCTION say()");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "UPDATE says SET state = '%s'", cases[i].sqlstate);
        fixture_sql(w->f, sql);
        patch(w, "1", "{\"n\":1}");
        add_part(w, 0, 1, 10);
        expect_outcome(run_batch(w), cases[i].outcome, cases[i].sqlstate);
    }
    fixture_sql(w->f, "UPDATE says SET state = ''");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    world_free(w);
}
END_TEST

START_TEST(a_record_that_makes_no_sense_is_named_and_nothing_is_sent)
{
    static const struct {
        const char *op, *key, *body;
        int64_t catalog_read_us;
    } bad[] = {{"patch", "1", "{\"n\":", INT64_MAX},
               {"patch", "1", "{\"m\":1}", WORLD_LOOKED_US},
               {"patch", "x", "{}", INT64_MAX},
               {"hit", "1", "{}", INT64_MAX}};
    world *w = world_open(1, 1000);
    claim(w, 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        patch(w, "5", "{}");
        fixture_add(w->f, NULL, bad[i].op, bad[i].key, bad[i].body);
        patch(w, "6", "{\"n\":\"worse\"}");
        add_part(w, 0, 1, 10);
        const leat_engine_job_result *result = run_batch(w);
        expect_outcome(result, LEAT_ENGINE_BAD_DATA, "");
        ck_assert_int_eq(result->bad_record, 1);
        ck_assert_str_ne(result->message, "");
        ck_assert_int_eq(result->catalog_read_us, bad[i].catalog_read_us);
    }
    ck_assert_uint_eq(w->asked, 1);
    ck_assert_str_eq(fixture_ask(w->f, "SELECT count(*) FROM leat.progress"), "0");
    patch(w, "1", "{}");
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    world_free(w);
}
END_TEST

START_TEST(statements_lost_or_stale_are_prepared_again)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    fixture_sql(
        w->f,
        "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN NULL; END $$;"
        "CREATE TRIGGER forget AFTER INSERT ON things FOR EACH STATEMENT EXECUTE FUNCTION forget()");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 2, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_CONTENTION, "26000");
    ck_assert_uint_eq(w->asked, 0); /* it tells nothing about the table */
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 3, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, ""); /* without names */
    fixture_sql(
        w->f,
        "ALTER TABLE things ADD COLUMN more int DEFAULT 3; ALTER TABLE things ALTER n TYPE bigint");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 4, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    expect_rows(w, "1:8:");
    world_free(w);
}
END_TEST

/* Nothing is freed in the server's session when the tables change: another session takes its
 * place. */
START_TEST(a_connection_that_has_prepared_much_is_replaced)
{
    world *w = world_open(1, 1000);
    int applied = 0;
    claim(w, 0);
    for (int i = 1; leat_sink_count(w->sink)->connects == 1 && i <= 1000; i++) {
        world_publish(w);
        patch(w, "1", "{\"n\":1}");
        add_part(w, 0, i, 10);
        const leat_engine_job_result *result = run_batch(w);
        ck_assert(result->outcome == LEAT_ENGINE_APPLIED || result->outcome == LEAT_ENGINE_OUTAGE);
        applied += result->outcome == LEAT_ENGINE_APPLIED;
    }
    wait_usable(w, 1);
    ck_assert_str_eq(w->slots_reported, "1 0 1");
    ck_assert_uint_eq(leat_sink_count(w->sink)->connects, 2);
    char rows[32];
    snprintf(rows, sizeof rows, "1:%d:", 5 + applied);
    expect_rows(w, rows);
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 2000, 11);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    world_free(w);
}
END_TEST

/* The error names the partition's own copy of the primary key, which a partition of a partition has
 * too. */
START_TEST(the_key_of_a_partitioned_table_is_its_key)
{
    world *w = world_open(1, 5000);
    PGconn *other = other_session(w, "");
    fixture_sql(
        w->f,
        "DROP TABLE things;"
        "CREATE TABLE things (id int PRIMARY KEY, n int DEFAULT 5, note text, code text)"
        " PARTITION BY RANGE (id);"
        "CREATE TABLE few (id int NOT NULL, note text, n int DEFAULT 5, code text)"
        " PARTITION BY LIST (id);"
        "CREATE TABLE one PARTITION OF few (CONSTRAINT odd PRIMARY KEY (id)) FOR VALUES IN (1);"
        "CREATE TABLE more PARTITION OF few (CONSTRAINT one_note UNIQUE (note)) DEFAULT;"
        "ALTER TABLE things ATTACH PARTITION few FOR VALUES FROM (0) TO (100)");
    claim(w, 0);
    fixture_run_on(other, "BEGIN; INSERT INTO things VALUES (1, 1, 'theirs')");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    submit_batch(w, 1);
    wait_one_waits(w, "transactionid");
    fixture_run_on(other, "COMMIT");
    expect_race(wait_done(w, 1));
    fixture_sql(w->f, "INSERT INTO things VALUES (2, 1, 'taken')");
    patch(w, "3", "{\"note\":\"taken\"}");
    add_part(w, 0, 2, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_NOT_YET, "23505");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 3, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    expect_rows(w, "1:2:theirs 2:1:taken");
    PQfinish(other);
    world_free(w);
}
END_TEST

START_TEST(the_key_of_a_table_that_a_trigger_writes_is_not_ours)
{
    world *w = world_open(1, 1000);
    fixture_sql(w->f,
                "CREATE TABLE seen (note text PRIMARY KEY); INSERT INTO seen VALUES ('x');"
                "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN INSERT INTO seen VALUES (NEW.note); RETURN NEW; END $$;"
                "CREATE TRIGGER see AFTER INSERT ON things FOR EACH ROW EXECUTE FUNCTION see()");
    claim(w, 0);
    patch(w, "1", "{\"note\":\"x\"}");
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_NOT_YET, "23505");
    world_free(w);
}
END_TEST

/* ---- dead letters ---- */

static const char letter_sql[] =
    "SELECT concat_ws('|', partition, \"offset\", coalesce(route, 'NULL'), coalesce(encode(key, 'escape'), 'NULL'),"
    " coalesce(op, 'NULL'), coalesce(headers::text, 'NULL'), coalesce(encode(body, 'escape'), 'NULL'),"
    " coalesce(sqlstate, 'NULL'), message, extract(epoch FROM accepted_at)::numeric(20,3),"
    " source = (SELECT id FROM leat.sources)) FROM leat.dead_letters ORDER BY \"offset\" DESC LIMIT 1";

static const char letter_count_sql[] = "SELECT count(*) FROM leat.dead_letters";

/* The only record of the batch is kept with this reason instead. */
static const leat_engine_job_result *run_dead(world *w, const char *sqlstate, const char *message)
{
    leat_engine_reason reason;
    snprintf(reason.sqlstate, sizeof reason.sqlstate, "%s", sqlstate);
    snprintf(reason.message, sizeof reason.message, "%s", message);
    w->f->batch.dead = &reason;
    submit_batch(w, 1);
    w->f->batch.dead = NULL;
    return wait_done(w, 1);
}

START_TEST(a_dead_letter_is_kept_as_the_record_was)
{
    world *w = world_open(1, 1000);
    claim(w, 2);
    leat_engine_batch_record *record = fixture_add(w->f, NULL, "patch", "1", "{\"n\": 1e999}");
    record->partition = 2;
    record->offset = 77;
    leat_item *item = record->payload;
    item->record.accepted_ms = 1700000000123;
    item->headers = LEAT_SLICE("\2op\6patch\7a\\u0000\2\0");
    add_part(w, 2, 1, 77);
    expect_outcome(run_dead(w, "22003", "out of \xff range"), LEAT_ENGINE_APPLIED, "");
    ck_assert_str_eq(
        fixture_ask(w->f, letter_sql),
        "2|77|things|1|patch|{\"op\": \"patch\", \"a\\\\u0000\": {\"base64\": \"AA==\"}}|{\"n\": 1e999}|22003|"
        "out of \xef\xbf\xbd range|1700000000.123|t");
    expect_rows(w, "");
    ck_assert_str_eq(
        fixture_ask(w->f, "SELECT partition || ' ' || offsets::text FROM leat.progress"), "2 {77}");
    ck_assert_uint_eq(leat_sink_count(w->sink)->rows, 0);
    world_free(w);
}
END_TEST

START_TEST(a_dead_letter_of_a_record_that_is_no_text)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    leat_engine_batch_record *record = fixture_add(w->f, "no\xff", "h\xc3", "k\xff", NULL);
    leat_item *item = record->payload;
    ck_assert_ptr_null(item->route);
    item->record.value_is_null = true;
    item->record.accepted_ms = -1;
    add_part(w, 0, 1, 0);
    expect_outcome(run_dead(w, "", "no route"), LEAT_ENGINE_APPLIED, "");
    ck_assert_str_eq(fixture_ask(w->f, letter_sql),
                     "0|0|NULL|k\\377|NULL|NULL|NULL|NULL|no route|0.000|t");
    item = fixture_add(w->f, NULL, "", "x", "")->payload;
    item->record.accepted_ms = INT64_MAX;
    item->record.key = LEAT_SLICE("a\0b");
    w->f->records[0].offset = 1;
    add_part(w, 0, 2, 1);
    expect_outcome(run_dead(w, "", "no key"), LEAT_ENGINE_APPLIED, "");
    ck_assert_str_eq(fixture_ask(w->f, letter_sql),
                     "0|1|NULL|a\\000b|NULL|NULL||NULL|no key|253402300799.999|t");
    world_free(w);
}
END_TEST

START_TEST(a_fenced_dead_letter_is_not_kept)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    fixture_sql(w->f, "SELECT leat.take((SELECT id FROM leat.sources), 0, 1000)");
    patch(w, "1", "{}");
    add_part(w, 0, 1, 0);
    expect_outcome(run_dead(w, "22003", "bad"), LEAT_ENGINE_FENCED, "LT001");
    ck_assert_str_eq(fixture_ask(w->f, letter_count_sql), "0");
    claim(w, 0);
    /* the letter may be there from a commit that was unknown */
    for (int seq = 1; seq <= 2; seq++) {
        patch(w, "1", "{}");
        add_part(w, 0, seq, 0);
        expect_outcome(run_dead(w, "22003", "bad"), LEAT_ENGINE_APPLIED, "");
        ck_assert_str_eq(fixture_ask(w->f, letter_count_sql), "1");
    }
    fixture_sql(w->f, "ALTER TABLE leat.dead_letters ADD CONSTRAINT none CHECK (false) NOT VALID");
    patch(w, "1", "{}");
    w->f->records[0].offset = 5;
    add_part(w, 0, 3, 5);
    /* Nothing is wrong with a record because of that. */
    expect_outcome(run_dead(w, "22003", "bad"), LEAT_ENGINE_DRIFT, "23514");
    ck_assert_str_eq(
        fixture_ask(w->f, "SELECT string_agg(seq::text, ' ' ORDER BY seq) FROM leat.progress"),
        "1 2");
    world_free(w);
}
END_TEST

/* ---- tables that change ---- */

/* Publishes table things as it is now. */
static void look_again(world *w, int64_t catalog_read_us)
{
    static const char *const names[] = {"n"}, *const label = "things";
    static const leat_column_op ops[] = {LEAT_OP_ADD};
    leat_error error = {""};
    leat_route_spec spec = {
        .path = "/things/{id}", .column_count = 1, .column_names = names, .column_ops = ops};
    leat_schema_version *version = leat_schema_version_new();
    version->tables = leat_must_calloc(1, sizeof *version->tables);
    version->table_count = 1;
    version->routes.count = 1;
    ck_assert_int_eq(leat_shard_read_tables(pg_address(w->f), &label, 1, version->tables, &error),
                     0);
    ck_assert_int_eq(
        leat_route_build(&spec, version->tables, 0, &version->routes.routes[0], &error), 0);
    leat_schema_versions_publish(w->schema_versions, 0, version, catalog_read_us);
}

START_TEST(a_new_version_is_used_from_the_next_batch_on)
{
    world *w = world_open(2, 5000);
    PGconn *other = other_session(w, "");
    claim(w, 0);
    claim(w, 1);
    fixture_sql(
        w->f,
        "ALTER TABLE things DROP COLUMN note; ALTER TABLE things ADD COLUMN more int, ADD COLUMN note text");
    fixture_run_on(other, "BEGIN; INSERT INTO things (id, n) VALUES (1, 1)");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    submit_batch(w, 2);
    wait_one_waits(w, "transactionid");
    patch(w, "2", "{\"more\":7}");
    add_part(w, 1, 1, 10);
    const leat_engine_job_result *result = run_batch(w);
    expect_outcome(result, LEAT_ENGINE_BAD_DATA, "");
    ck_assert_int_eq(result->catalog_read_us, WORLD_LOOKED_US);
    ck_assert_uint_eq(w->asked, 1);
    look_again(w, 2000);
    patch(w, "2", "{\"more\":7,\"note\":\"x\"}");
    add_part(w, 1, 2, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    fixture_run_on(other, "COMMIT"); /* the job from before the look asks about its own table */
    expect_race(wait_done(w, 2));
    for (int seq = 2; seq <= 3; seq++) { /* on both connections */
        patch(w, "1", "{\"n\":1,\"more\":8}");
        add_part(w, 0, seq, 10 + seq);
        submit_batch(w, 2);
        patch(w, "2", "{\"more\":9}");
        add_part(w, 1, seq + 1, 10 + seq);
        submit_batch(w, 3);
        expect_outcome(wait_done(w, 2), LEAT_ENGINE_APPLIED, "");
        expect_outcome(wait_done(w, 3), LEAT_ENGINE_APPLIED, "");
    }
    ck_assert_str_eq(
        fixture_ask(
            w->f, "SELECT string_agg(id || ':' || n || ':' || more, ' ' ORDER BY id) FROM things"),
        "1:3:8 2:5:9");
    patch(w, "1", "{\"most\":8}");
    add_part(w, 0, 4, 20);
    result = run_batch(w);
    expect_outcome(result, LEAT_ENGINE_BAD_DATA, "");
    ck_assert_int_eq(result->catalog_read_us, 2000);
    PQfinish(other);
    world_free(w);
}
END_TEST

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
    tcase_add_test(well, patches_of_missing_rows_are_counted_when_rows_must_exist);
    TCase *outcomes = add_case(suite, "outcomes");
    tcase_add_test(outcomes, fenced_by_another_claim);
    tcase_add_test(outcomes, the_database_went_back);
    tcase_add_test(outcomes, a_lock_held_is_contention);
    tcase_add_test(outcomes, a_batch_waits_for_locks_no_longer_than_it_says);
    tcase_add_test(outcomes, a_batch_says_which_partition_is_being_claimed);
    tcase_add_loop_test(outcomes, a_batch_takes_no_longer_than_it_says, 0, 3);
    tcase_add_test(outcomes, a_foreign_insert_of_the_key_is_a_race);
    tcase_add_test(outcomes, an_error_of_the_commit_is_a_failure);
    tcase_add_test(outcomes, bad_data_and_drift_fail_whole_and_leave_the_connection_well);
    tcase_add_test(outcomes, no_record_is_blamed_for_what_leats_own_statements_meet);
    tcase_add_test(outcomes, a_record_that_makes_no_sense_is_named_and_nothing_is_sent);
    tcase_add_test(outcomes, statements_lost_or_stale_are_prepared_again);
    tcase_add_test(outcomes, a_connection_that_has_prepared_much_is_replaced);
    tcase_add_test(outcomes, the_key_of_a_partitioned_table_is_its_key);
    tcase_add_test(outcomes, the_key_of_a_table_that_a_trigger_writes_is_not_ours);
    TCase *dead = add_case(suite, "dead letters");
    tcase_add_test(dead, a_dead_letter_is_kept_as_the_record_was);
    tcase_add_test(dead, a_dead_letter_of_a_record_that_is_no_text);
    tcase_add_test(dead, a_fenced_dead_letter_is_not_kept);
    TCase *changes = add_case(suite, "changes");
    tcase_add_test(changes, a_new_version_is_used_from_the_next_batch_on);
    return fixture_main(suite);
}
