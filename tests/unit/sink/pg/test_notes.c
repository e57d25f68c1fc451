/* Idempotency keys in the jobs of the asynchronous sink, in writes that are in no log, and in a
 * person's retry of a held key, against a real server. */
#include "sink_world.h"

#include "record/idempotency.h"
#include "sink/held.h"
#include "sink/pg/notes.h"

static const leat_engine_reason reason = {.sqlstate = "23503", .message = "no parent"};

static leat_engine_batch_record *add_keyed(world *w, int64_t offset, const char *key,
                                           const char *body)
{
    leat_engine_batch_record *record = fixture_add(w->f, NULL, "patch", "7", body);
    leat_item *item = record->payload;
    leat_buf scratch = {0};
    record->offset = item->record.offset = offset;
    record->subpartition = 3;
    record->key = leat_item_held_hash(item);
    item->headers = LEAT_SLICE("\2op\6patch\13idempotency\3k1");
    if (key) {
        item->record.idempotency = leat_slice_of(key);
        ck_assert(
            leat_idempotency_identify(w->f->catalog.source.id, item, &scratch, &item->write_id));
    }
    leat_buf_free(&scratch);
    return record;
}

static const leat_engine_job_result *run(world *w, int64_t seq, int64_t offset)
{
    add_part(w, 0, seq, offset);
    submit_batch(w, 1);
    w->f->batch.skipped = w->f->batch.repeated = 0;
    return wait_done(w, 1);
}

static void mark(world *w, leat_engine_batch_record *record, bool is_conflict)
{
    record->skip = record->repeat = true;
    record->conflict = is_conflict;
    w->f->batch.skipped++;
    w->f->batch.repeated++;
}

static void expect_noted(world *w, const char *count)
{
    ck_assert_str_eq(fixture_ask(w->f, "SELECT count(*) FROM leat.idempotency"), count);
}

START_TEST(repeats_are_told_and_then_left_out)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    add_keyed(w, 10, "k1", "{\"n\":1}");
    add_keyed(w, 11, "k2", "{\"n\":1}");
    add_keyed(w, 12, NULL, "{\"n\":1}");
    expect_outcome(run(w, 1, 12), LEAT_ENGINE_APPLIED, "");
    expect_rows(w, "7:8:");
    expect_noted(w, "2");
    add_keyed(w, 20, "k3", "{\"n\":1}");
    add_keyed(w, 21, "k1", "{\"n\":1}");
    add_keyed(w, 22, "k2", "{\"n\":2}");
    const leat_engine_job_result *result = run(w, 2, 22);
    expect_outcome(result, LEAT_ENGINE_REPEATED, "LT010");
    ck_assert_uint_eq(result->known_count, 2);
    for (uint32_t i = 0; i < 2; i++)
        ck_assert_int_eq(result->known[i].is_conflict, result->known[i].record == 2);
    ck_assert_uint_eq(result->known[0].record + result->known[1].record, 3);
    expect_rows(w, "7:8:");
    expect_noted(w, "2");
    add_keyed(w, 20, "k3", "{\"n\":1}");
    mark(w, add_keyed(w, 21, "k1", "{\"n\":1}"), false);
    mark(w, add_keyed(w, 22, "k2", "{\"n\":2}"), true);
    expect_outcome(run(w, 2, 22), LEAT_ENGINE_APPLIED, "");
    expect_rows(w, "7:9:");
    expect_noted(w, "3");
    ck_assert_str_eq(
        fixture_ask(w->f,
                    "SELECT string_agg(\"offset\" || ' ' || message, ',') FROM leat.dead_letters"),
        "22 its idempotency key is that of another write to this row, which says something else");
    mark(w, add_keyed(w, 30, "k3", "{\"n\":1}"), false); /* and nothing else */
    expect_outcome(run(w, 3, 30), LEAT_ENGINE_APPLIED, "");
    expect_rows(w, "7:9:");
    ck_assert_int_eq(claim(w, 0)->offsets[3], 30);
    world_free(w);
}
END_TEST

/* Each for a reason of its own; the first record is a repeat. */
START_TEST(repeats_of_what_is_not_there_are_told)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    add_keyed(w, 10, "k1", "{\"n\":1}");
    expect_outcome(run(w, 1, 10), LEAT_ENGINE_APPLIED, "");
    mark(w, add_keyed(w, 20, "k1", "{\"n\":1}"), false);
    mark(w, add_keyed(w, 21, "k2", "{\"n\":1}"), false);
    mark(w, add_keyed(w, 22, "k1", "{\"n\":1}"), true);
    mark(w, add_keyed(w, 23, "k1", "{\"n\":2}"), false);
    add_keyed(w, 24, "k3", "{\"n\":1}");
    const leat_engine_job_result *result = run(w, 2, 24);
    expect_outcome(result, LEAT_ENGINE_REPEATED, "LT012");
    ck_assert_uint_eq(result->known_count, 3);
    uint32_t named = 0;
    for (uint32_t i = 0; i < 3; i++) {
        ck_assert(result->known[i].is_lost && !result->known[i].is_conflict);
        named |= 1u << result->known[i].record;
    }
    ck_assert_uint_eq(named, 1u << 1 | 1u << 2 | 1u << 3);
    expect_rows(w, "7:6:");
    expect_noted(w, "1");
    add_keyed(w, 20, "k2", "{\"n\":1}"); /* what the batch itself notes is there */
    mark(w, add_keyed(w, 21, "k2", "{\"n\":1}"), false);
    mark(w, add_keyed(w, 22, "k2", "{\"n\":2}"), true);
    expect_outcome(run(w, 2, 22), LEAT_ENGINE_APPLIED, "");
    expect_rows(w, "7:7:");
    world_free(w);
}
END_TEST

START_TEST(a_key_is_not_noted_when_the_row_is_refused)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    add_keyed(w, 10, "k1", "{\"n\":2147483647}");
    add_keyed(w, 11, NULL, "{\"n\":1}");
    ck_assert_int_eq(run(w, 1, 11)->outcome, LEAT_ENGINE_BAD_DATA);
    expect_noted(w, "0");
    world_free(w);
}
END_TEST

START_TEST(an_answer_without_details_is_not_understood)
{
    world *w = world_open(1, 1000);
    fixture_sql(
        w->f,
        "CREATE OR REPLACE FUNCTION leat.note_keys(p_records bigint[], p_a bigint[], p_b bigint[],"
        " p_fingerprints bigint[])"
        " RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'x' USING ERRCODE = 'LT010',"
        " DETAIL = '0= 7='; END $$");
    claim(w, 0);
    add_keyed(w, 10, "k1", "{\"n\":1}");
    expect_outcome(run(w, 1, 10), LEAT_ENGINE_NOT_UNDERSTOOD, "LT010");
    fixture_sql(
        w->f,
        "CREATE OR REPLACE FUNCTION leat.check_repeats(p_records bigint[], p_a bigint[], p_b"
        " bigint[], p_fingerprints bigint[], p_conflicts boolean[])"
        " RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'x' USING ERRCODE = 'LT012'; END $$");
    mark(w, add_keyed(w, 10, "k1", "{\"n\":1}"), false);
    expect_outcome(run(w, 1, 10), LEAT_ENGINE_NOT_UNDERSTOOD, "LT012");
    world_free(w);
}
END_TEST

/* As if another had noted the key between the look-up and the note: the shard does not halt. */
START_TEST(a_key_that_is_noted_meanwhile_is_tried_again)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    add_keyed(w, 10, "k1", "{\"n\":1}");
    expect_outcome(run(w, 1, 10), LEAT_ENGINE_APPLIED, "");
    fixture_sql(
        w->f,
        "CREATE OR REPLACE FUNCTION leat.note_keys(p_records bigint[], p_a bigint[], p_b bigint[],"
        " p_fingerprints bigint[]) RETURNS void LANGUAGE sql AS $$ INSERT INTO leat.idempotency"
        " SELECT k.*, 0 FROM unnest(p_a, p_b, p_fingerprints) AS k $$");
    add_keyed(w, 11, "k1", "{\"n\":1}");
    expect_outcome(run(w, 2, 11), LEAT_ENGINE_CONTENTION, "23505");
    expect_rows(w, "7:6:");
    world_free(w);
}
END_TEST

static const struct {
    const char *detail;
    uint32_t count;
} details[] = {{"0=", 1},  {"9!", 1}, {"0= 9!", 2},  {"", 0},      {"10=", 0},
               {"1", 0},   {"1?", 0}, {"= 1=", 0},   {"1= ", 0},   {"1= 2", 0},
               {"-1=", 0}, {"x", 0},  {"1=, 2=", 0}, {"0- 3-", 2}, {"-", 0}};

START_TEST(a_detail)
{
    leat_engine_known known[LEAT_PG_KNOWN_MAX];
    leat_buf many = {0};
    ck_assert_uint_eq(leat_pg_known_read(details[_i].detail, 10, known), details[_i].count);
    for (int i = 0; i <= LEAT_PG_KNOWN_MAX; i++)
        leat_buf_text(&many, i == 0 ? "1=" : " 1=");
    ck_assert_uint_eq(leat_pg_known_read(leat_buf_cstr(&many), 10, known), 0);
    leat_buf_free(&many);
}
END_TEST

/* ---- writes that are in no log ---- */

static void submit_write(world *w)
{
    leat_engine_batch_record *record = add_keyed(w, -1, "k1", "{\"n\":1}");
    leat_item *item = record->payload;
    const leat_sink_direct direct = {.key = record->key,
                                     .table = "things",
                                     .row_key = item->canonical_key,
                                     .timeout_ms = WAIT_MS};
    w->in_call = true;
    leat_sink_write(w->sink, 1, item, &direct);
    w->in_call = false;
    fixture_clear(w->f);
}

static const leat_engine_job_result *write_now(world *w)
{
    submit_write(w);
    return wait_done(w, 1);
}

static world *prepare_async(void)
{
    world *w = world_prepare();
    w->commits_async = true;
    return w;
}

/* The write that it names is nowhere. */
static void pretend_known(world *w)
{
    fixture_sql(
        w->f,
        "CREATE OR REPLACE FUNCTION leat.note_keys(p_records bigint[], p_a bigint[], p_b bigint[],"
        " p_fingerprints bigint[])"
        " RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'x' USING ERRCODE = 'LT010',"
        " DETAIL = '0='; END $$");
}

START_TEST(a_repeat_is_told_once_it_is_durable)
{
    world *w = prepare_async();
    world_start(w, 1, 1000);
    expect_outcome(write_now(w), LEAT_ENGINE_APPLIED, "");
    const leat_engine_job_result *result = write_now(w);
    expect_outcome(result, LEAT_ENGINE_REPEATED, "LT010");
    ck_assert(result->known_count == 1 && !result->known[0].is_conflict);
    expect_rows(w, "7:6:");
    world_free(w);
}
END_TEST

START_TEST(a_repeat_that_a_crash_takes_back_is_none)
{
    world *w = prepare_async();
    pretend_known(w);
    world_start(w, 1, 1000);
    expect_outcome(write_now(w), LEAT_ENGINE_CONTENTION, "");
    world_free(w);
}
END_TEST

/* Nobody knows then whether the write that it repeats stays. */
START_TEST(a_repeat_that_cannot_be_made_durable_is_not_told)
{
    char role[80], sql[1200];
    world *w = prepare_async();
    snprintf(role, sizeof role, "%s_writer", w->f->name);
    snprintf(sql, sizeof sql,
             "SET client_min_messages = error; DROP ROLE IF EXISTS %s; CREATE ROLE %s LOGIN;"
             "GRANT USAGE ON SCHEMA leat TO %s;"
             "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA leat, public TO %s;"
             "DO $$DECLARE f regprocedure; BEGIN"
             " FOR f IN SELECT oid FROM pg_proc WHERE proname = 'pg_logical_emit_message' LOOP"
             "  EXECUTE format('REVOKE EXECUTE ON FUNCTION %%s FROM PUBLIC', f);"
             " END LOOP; END$$",
             role, role, role, role);
    fixture_sql(w->f, sql);
    snprintf(sql, sizeof sql, "%s user=%s", w->f->dsn, role);
    start_sink(w, sql, 1, 1000);
    wait_usable(w, 1);
    expect_outcome(write_now(w), LEAT_ENGINE_APPLIED, "");
    expect_outcome(write_now(w), LEAT_ENGINE_NOT_UNDERSTOOD, "42501");
    expect_rows(w, "7:6:");
    snprintf(sql, sizeof sql, "DROP OWNED BY %s; DROP ROLE %s", role, role);
    fixture_sql(w->f, sql);
    world_free(w);
}
END_TEST

START_TEST(a_repeat_whose_connection_is_lost_is_unknown)
{
    world *w = prepare_async();
    pretend_known(w);
    world_start(w, 1, 1000);
    PGconn *other = other_session(w, "");
    fixture_run_on(other, "BEGIN; LOCK TABLE leat.idempotency");
    submit_write(w);
    wait_one_waits(w, "relation"); /* the question, as note_keys has read nothing */
    fixture_ask(w->f, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                      " WHERE wait_event = 'relation' AND datname = current_database()");
    ck_assert_int_eq(wait_done(w, 1)->outcome, LEAT_ENGINE_UNKNOWN);
    PQfinish(other);
    world_free(w);
}
END_TEST

/* ---- held keys ---- */

/* Kept: k1, its repeat, and a conflict; k0 is known already. */
START_TEST(a_retry_by_a_person_notes_and_leaves_out)
{
    world *w = world_open(1, 1000);
    leat_held_keys held;
    leat_held_query query = {.topic = w->f->catalog.source.topic, .limit = 1};
    leat_error error = {""};
    claim(w, 0);
    add_keyed(w, 10, "k1", "{\"n\":1}");
    w->f->batch.hold = &reason;
    expect_outcome(run(w, 1, 10), LEAT_ENGINE_APPLIED, "");
    w->f->batch.hold = NULL;
    add_keyed(w, 11, "k1", "{\"n\":1}")->keep = true;
    add_keyed(w, 12, "k1", "{\"n\":5}")->keep = true;
    w->f->batch.kept = 2;
    expect_outcome(run(w, 2, 12), LEAT_ENGINE_APPLIED, "");
    w->f->batch.kept = 0;
    ck_assert_int_eq(leat_shard_held_keys(pg_address(w->f), &query, &held, &error), 0);
    leat_held_work work = {
        .key = &held.keys[0], .routes = &w->f->routes, .placement = &test_placement, .most = 1};
    for (int step = 0; step < 2; step++) { /* the first alone, then those that repeat it */
        leat_held_result result = {.is_held = true};
        int status = leat_shard_end_hold(pg_address(w->f), &work, &result, &error);
        ck_assert_msg(status == 0, "%s", error.text);
        ck_assert(!result.refused && result.is_held == (step == 0));
        work.most = 0;
    }
    expect_rows(w, "7:6:");
    expect_noted(w, "1");
    ck_assert_str_eq(
        fixture_ask(w->f, "SELECT string_agg(\"offset\"::text, ',') FROM leat.dead_letters"), "12");
    leat_held_keys_fini(&held);
    world_free(w);
}
END_TEST

int main(void)
{
    if (!fixture_server()) {
        printf("1..0 # SKIP PG_DSN_1 is not set\n");
        return 0;
    }
    Suite *suite = suite_create("notes");
    TCase *tests = tcase_create("notes");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, repeats_are_told_and_then_left_out);
    tcase_add_test(tests, repeats_of_what_is_not_there_are_told);
    tcase_add_test(tests, a_key_is_not_noted_when_the_row_is_refused);
    tcase_add_test(tests, an_answer_without_details_is_not_understood);
    tcase_add_test(tests, a_key_that_is_noted_meanwhile_is_tried_again);
    tcase_add_loop_test(tests, a_detail, 0, sizeof details / sizeof *details);
    tcase_add_test(tests, a_repeat_is_told_once_it_is_durable);
    tcase_add_test(tests, a_repeat_that_a_crash_takes_back_is_none);
    tcase_add_test(tests, a_repeat_that_cannot_be_made_durable_is_not_told);
    tcase_add_test(tests, a_repeat_whose_connection_is_lost_is_unknown);
    tcase_add_test(tests, a_retry_by_a_person_notes_and_leaves_out);
    suite_add_tcase(suite, tests);
    return fixture_main(suite);
}
