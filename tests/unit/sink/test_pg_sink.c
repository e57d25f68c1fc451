/* The asynchronous sink against a real server: every outcome a job can have. */
#include "sink_world.h"

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
    fixture_sql(w->f, "ALTER TABLE things DROP CONSTRAINT one_code;"
                      "ALTER TABLE things ADD CONSTRAINT one_code UNIQUE (code) DEFERRABLE INITIALLY DEFERRED");
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
    return fixture_main(suite);
}
