/* Held keys in the jobs of the asynchronous sink, against a real server. */
#include "sink_world.h"

#include "record/chunk.h"

static const leat_engine_reason reason = {.sqlstate = "23503", .message = "no parent"};

/* ---- jobs ---- */

static void add_kept(world *w, uint32_t partition, int64_t offset, const char *key)
{
    add_record(w, partition, offset, key, "{\"n\":1}")->keep = true;
    w->f->batch.kept++;
}

static const leat_engine_job_result *run(world *w)
{
    leat_engine_batch *batch = &w->f->batch;
    submit_batch(w, 1);
    batch->hold = NULL;
    batch->kept = 0;
    batch->retry_key = 0;
    return wait_done(w, 1);
}

static const leat_engine_job_result *hold(world *w, int64_t seq, int64_t offset, const char *key)
{
    add_record(w, 0, offset, key, "{\"n\":1}");
    add_part(w, 0, seq, offset);
    w->f->batch.hold = &reason;
    return run(w);
}

static uint64_t hash_of(world *w, const char *key)
{
    uint64_t hash = add_record(w, 0, 0, key, "{}")->key;
    fixture_clear(w->f);
    return hash;
}

static const leat_engine_job_result *load(world *w, const char *key, uint32_t most)
{
    leat_engine_job job = {.id = 3, .kind = LEAT_ENGINE_JOB_LOAD, .partition = 0};
    job.load = (leat_engine_load){.subpartition = 3,
                                  .above = -1,
                                  .claim = w->claims[0],
                                  .key = hash_of(w, key),
                                  .most = most};
    submit(w, &job);
    return wait_done(w, 3);
}

/* Retries a key with the records at these offsets, ended by -1. */
static const leat_engine_job_result *retry(world *w, int64_t seq, const char *key,
                                           const int64_t *offsets)
{
    for (; *offsets >= 0; offsets++)
        add_record(w, 0, *offsets, key, "{\"n\":1}");
    add_part(w, 0, seq, 0)->count = 0;
    w->f->batch.retry_key = w->f->records[0].key;
    return run(w);
}

/* "7@10+12 8@11": held keys, with the offsets that are kept of each. */
static void expect_held(world *w, const char *expected)
{
    ck_assert_str_eq(
        fixture_ask(
            w->f,
            "SELECT coalesce(string_agg(t, ' ' ORDER BY t), '') FROM ("
            "  SELECT convert_from(h.key, 'UTF8') || '@' || coalesce(string_agg(\"offset\"::text, '+'"
            "         ORDER BY \"offset\"), '') FROM leat.held AS h LEFT JOIN leat.parked_keys AS k"
            "   USING (source, partition, hash) GROUP BY h.partition, h.hash, h.key) AS s (t)"),
        expected);
}

static void expect_turned(const leat_engine_job_result *result, int32_t partition)
{
    expect_outcome(result, LEAT_ENGINE_KEY_TURNED, "LT007");
    ck_assert_int_eq(result->partition, partition);
}

/* ---- the owner's part ---- */

START_TEST(a_key_is_held_with_the_record_that_was_refused)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    ck_assert_uint_eq(w->answers[0].result.held_count, 0);
    expect_outcome(hold(w, 1, 10, "7"), LEAT_ENGINE_APPLIED, "");
    expect_held(w, "7@10");
    expect_rows(w, "");
    ck_assert_str_eq(fixture_ask(w->f, "SELECT concat_ws(' ', \"table\", sqlstate, message, tries)"
                                       " FROM leat.held"),
                     "public.things 23503 no parent 0");
    ck_assert_int_eq(claim(w, 0)->offsets[3], 10);
    expect_turned(hold(w, 2, 11, "7"), 0);
    expect_held(w, "7@10");
    world_free(w);
}
END_TEST

START_TEST(a_claim_tells_which_keys_are_held)
{
    world *w = world_open(1, 1000);
    static const char *const keys[] = {"1", "2", "3", "4"};
    claim(w, 0);
    for (int64_t i = 0; i < 4; i++)
        expect_outcome(hold(w, 1 + i, 10 + i, keys[i]), LEAT_ENGINE_APPLIED, "");
    fixture_sql(w->f, "UPDATE leat.held SET since = now() - interval '1 minute' WHERE key = '2'");
    fixture_sql(w->f, "UPDATE leat.held SET sqlstate = NULL WHERE key = '3'");
    fixture_sql(w->f, "UPDATE leat.held SET sqlstate = '22003' WHERE key = '4'");
    claim(w, 1);
    ck_assert_uint_eq(w->answers[0].result.held_count, 0);
    claim(w, 0);
    const leat_engine_held *held = w->answers[0].held;
    ck_assert_uint_eq(w->answers[0].result.held_count, 4);
    uint64_t sum = 0;
    for (size_t i = 0; i < 4; i++) {
        bool is_old = held[i].key == hash_of(w, "2");
        sum += held[i].key - hash_of(w, keys[i]);
        ck_assert(i == 0 || held[i - 1].key < held[i].key);
        ck_assert((held[i].since_ms >= 60000) == is_old);
        bool is_final = held[i].key == hash_of(w, "3") || held[i].key == hash_of(w, "4");
        for (size_t k = 0; k < 4; k++)
            if (held[i].key == hash_of(w, keys[k]))
                ck_assert_uint_eq(held[i].subpartition, leat_placement_subpartition(
                                                            &test_placement, leat_slice_of(keys[k]),
                                                            leat_hash(leat_slice_of(keys[k]))));
        ck_assert_int_eq(held[i].is_final, is_final);
    }
    ck_assert_uint_eq(sum, 0);
    world_free(w);
}
END_TEST

START_TEST(records_of_held_keys_are_kept_and_the_others_are_written)
{
    world *w = world_open(2, 1000);
    claim(w, 0);
    claim(w, 1);
    expect_outcome(hold(w, 1, 10, "7"), LEAT_ENGINE_APPLIED, "");
    for (int64_t seq = 2; seq <= 3; seq++) { /* the second time with statements that are prepared */
        int64_t offset = 10 * seq;
        add_record(w, 0, offset, "8", "{\"n\":1}");
        add_kept(w, 0, offset + 1, "7");
        add_record(w, 0, offset + 2, "8", "{\"n\":1}");
        add_kept(w, 0, offset + 3, "7");
        add_record(w, 1, offset, "9", "{\"n\":1}");
        add_part(w, 0, seq, offset + 3);
        add_part(w, 1, seq, offset);
        expect_outcome(run(w), LEAT_ENGINE_APPLIED, "");
    }
    expect_held(w, "7@10+21+23+31+33");
    expect_rows(w, "8:9: 9:7:");
    ck_assert_int_eq(claim(w, 0)->offsets[3], 33);
    world_free(w);
}
END_TEST

START_TEST(what_a_control_leaves_out_is_not_kept)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    expect_outcome(hold(w, 1, 10, "7"), LEAT_ENGINE_APPLIED, "");
    add_kept(w, 0, 11, "7");
    w->f->records[0].skip = true;
    w->f->batch.skipped = 1;
    add_part(w, 0, 2, 11);
    expect_outcome(run(w), LEAT_ENGINE_APPLIED, "");
    w->f->batch.skipped = 0;
    expect_held(w, "7@10");
    expect_rows(w, "");
    world_free(w);
}
END_TEST

START_TEST(the_whole_batch_fails_where_a_key_has_turned)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    claim(w, 1);
    add_record(w, 0, 10, "8", "{\"n\":1}");
    add_kept(w, 1, 11, "7");
    add_part(w, 0, 1, 10);
    add_part(w, 1, 1, 11);
    expect_turned(run(w), 1);
    expect_outcome(hold(w, 1, 10, "7"), LEAT_ENGINE_APPLIED, "");
    expect_rows(w, "");
    expect_held(w, "7@10");
    world_free(w);
}
END_TEST

/* Another session's retry has the key: a wait as for a row. */
START_TEST(a_key_that_is_locked)
{
    world *w = world_open(1, 50);
    claim(w, 0);
    expect_outcome(hold(w, 1, 10, "7"), LEAT_ENGINE_APPLIED, "");
    PGconn *other = other_session(w, "");
    fixture_run_on(other, "BEGIN; SELECT FROM leat.held FOR UPDATE");
    add_kept(w, 0, 11, "7");
    add_part(w, 0, 2, 11);
    const leat_engine_job_result *result = run(w);
    expect_outcome(result, LEAT_ENGINE_CONTENTION, "55P03");
    ck_assert(result->is_lock_wait && result->from_rows);
    result = retry(w, 2, "7", (const int64_t[]){10, -1});
    expect_outcome(result, LEAT_ENGINE_CONTENTION, "55P03");
    ck_assert(result->is_lock_wait && result->from_rows);
    PQfinish(other);
    expect_rows(w, "");
    world_free(w);
}
END_TEST

START_TEST(another_owner_fences_all_of_it)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    expect_outcome(hold(w, 1, 10, "7"), LEAT_ENGINE_APPLIED, "");
    fixture_sql(w->f, "SELECT leat.take((SELECT id FROM leat.sources), 0, 1000)");
    expect_outcome(hold(w, 2, 11, "8"), LEAT_ENGINE_FENCED, "LT001");
    add_kept(w, 0, 12, "7");
    add_part(w, 0, 2, 12);
    expect_outcome(run(w), LEAT_ENGINE_FENCED, "LT001");
    expect_outcome(retry(w, 2, "7", (const int64_t[]){10, -1}), LEAT_ENGINE_FENCED, "LT001");
    expect_held(w, "7@10");
    expect_rows(w, "");
    world_free(w);
}
END_TEST

START_TEST(a_parked_record_is_held)
{
    world *w = world_open(1, 1000);
    leat_engine_batch *batch = &w->f->batch;
    claim(w, 0);
    add_record(w, 0, 10, "7", "{\"n\":1}");
    batch->cuts[batch->cut_count++] = (leat_engine_chunk_cut){3, 0, 1};
    add_part(w, 0, 1, 10);
    leat_engine_job job = {.id = 2, .kind = LEAT_ENGINE_JOB_PARK, .batch = *batch};
    submit(w, &job);
    fixture_clear(w->f);
    batch->part_count = batch->cut_count = 0;
    expect_outcome(wait_done(w, 2), LEAT_ENGINE_APPLIED, "");
    add_record(w, 0, 10, "7", "{\"n\":1}");
    add_part(w, 0, 2, 0)->count = 0;
    batch->hold = &reason;
    batch->chunks_of = 3;
    batch->chunks[batch->chunk_count++] = (leat_engine_chunk_step){10, 10, 9, 10, 0};
    expect_outcome(run(w), LEAT_ENGINE_APPLIED, "");
    batch->chunk_count = 0;
    expect_held(w, "7@10");
    ck_assert_str_eq(fixture_ask(w->f, "SELECT count(*) FROM leat.parked"), "0");
    world_free(w);
}
END_TEST

/* ---- its retry ---- */

START_TEST(what_is_kept_is_loaded_and_written)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    expect_outcome(load(w, "7", 5), LEAT_ENGINE_APPLIED, "");
    ck_assert_uint_eq(w->answers[3].result.kept_count, 0);
    ck_assert_ptr_null(w->answers[3].result.chunk);
    expect_outcome(hold(w, 1, 10, "7"), LEAT_ENGINE_APPLIED, "");
    add_kept(w, 0, 11, "7");
    add_kept(w, 0, 12, "7");
    add_part(w, 0, 2, 12);
    expect_outcome(run(w), LEAT_ENGINE_APPLIED, "");
    expect_outcome(load(w, "7", 2), LEAT_ENGINE_APPLIED, "");
    ck_assert_uint_eq(w->answers[3].result.kept_count, 2);
    for (int64_t i = 0; i < 2; i++) {
        const leat_engine_chunk *kept = &w->answers[3].kept[i];
        ck_assert_int_eq(kept->first_offset, 10 + i);
        ck_assert_int_eq(kept->last_offset, 10 + i);
        ck_assert_int_eq(kept->done, 9 + i);
        ck_assert_uint_eq(kept->records, 1);
        ck_assert_uint_gt(kept->size, 10);
        ck_assert_int_eq(kept->codec, LEAT_CHUNK_FORMAT);
    }
    const leat_engine_job_result *result = retry(w, 3, "7", (const int64_t[]){10, 11, -1});
    expect_outcome(result, LEAT_ENGINE_APPLIED, "");
    ck_assert(result->is_held);
    expect_held(w, "7@12");
    result = retry(w, 4, "7", (const int64_t[]){12, -1});
    expect_outcome(result, LEAT_ENGINE_APPLIED, "");
    ck_assert(!result->is_held);
    expect_held(w, "");
    expect_rows(w, "7:8:");
    ck_assert_int_eq(claim(w, 0)->offsets[3], 12);
    world_free(w);
}
END_TEST

START_TEST(a_retry_of_what_is_not_first_or_gone)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    expect_outcome(hold(w, 1, 10, "7"), LEAT_ENGINE_APPLIED, "");
    add_kept(w, 0, 11, "7");
    add_part(w, 0, 2, 11);
    expect_outcome(run(w), LEAT_ENGINE_APPLIED, "");
    expect_turned(retry(w, 3, "7", (const int64_t[]){11, -1}), 0);
    expect_turned(retry(w, 3, "7", (const int64_t[]){9, 10, -1}), 0);
    expect_turned(retry(w, 3, "8", (const int64_t[]){10, -1}), 0);
    expect_rows(w, "");
    expect_held(w, "7@10+11");
    world_free(w);
}
END_TEST

START_TEST(a_retry_that_is_refused_leaves_all_as_it_was)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    expect_outcome(hold(w, 1, 10, "7"), LEAT_ENGINE_APPLIED, "");
    fixture_sql(w->f, "ALTER TABLE things ADD CHECK (n < 6)");
    const leat_engine_job_result *result = retry(w, 2, "7", (const int64_t[]){10, -1});
    expect_outcome(result, LEAT_ENGINE_BAD_DATA, "23514");
    expect_held(w, "7@10");
    expect_rows(w, "");
    world_free(w);
}
END_TEST

/* ---- refusals ---- */

/* An error of leat's own statement is about no record. */
START_TEST(errors_about_the_tables_of_held_keys)
{
    static const struct {
        const char *sqlstate;
        leat_engine_outcome outcome;
    } errors[] = {{"23514", LEAT_ENGINE_NOT_UNDERSTOOD},
                  {"42501", LEAT_ENGINE_NOT_UNDERSTOOD},
                  {"53100", LEAT_ENGINE_OUTAGE},
                  {"40001", LEAT_ENGINE_CONTENTION}};
    world *w = world_open(1, 1000);
    claim(w, 0);
    expect_outcome(hold(w, 1, 10, "7"), LEAT_ENGINE_APPLIED, "");
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        char sql[400];
        snprintf(sql, sizeof sql,
                 "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                 " RAISE EXCEPTION 'no' USING ERRCODE = '%s'; END $$;"
                 "DROP TRIGGER IF EXISTS refuse ON leat.parked_keys;"
                 "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR DELETE ON leat.parked_keys %s"
                 " FOR EACH ROW EXECUTE FUNCTION refuse()",
                 errors[i].sqlstate, i % 2 ? "DEFERRABLE INITIALLY DEFERRED" : "");
        fixture_sql(w->f, sql);
        expect_outcome(hold(w, 2, 11, "8"), errors[i].outcome, errors[i].sqlstate);
        add_kept(w, 0, 11, "7");
        add_part(w, 0, 2, 11);
        expect_outcome(run(w), errors[i].outcome, errors[i].sqlstate);
    }
    expect_held(w, "7@10");
    world_free(w);
}
END_TEST

START_TEST(a_row_that_makes_no_sense)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    expect_outcome(hold(w, 1, 10, "7"), LEAT_ENGINE_APPLIED, "");
    fixture_sql(w->f, "DELETE FROM leat.parked_keys; UPDATE leat.held SET hash = 0");
    submit_claim(w, 0, 0);
    expect_outcome(wait_done(w, 0), LEAT_ENGINE_NOT_UNDERSTOOD, "");
    fixture_sql(w->f, "DELETE FROM leat.held");
    claim(w, 0);
    world_free(w);
}
END_TEST

/* What that means for the partition is the engine's to say. */
START_TEST(more_held_keys_than_a_partition_may_have)
{
    static const struct {
        uint32_t there, told;
    } cases[] = {{LEAT_HELD_KEYS_MAX, LEAT_HELD_KEYS_MAX},
                 {LEAT_HELD_KEYS_MAX + 1, LEAT_HELD_KEYS_MAX + 1},
                 {LEAT_HELD_KEYS_MAX + 50, LEAT_HELD_KEYS_MAX + 1}};
    world *w = world_open(1, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char sql[300];
        snprintf(sql, sizeof sql,
                 "DELETE FROM leat.held; INSERT INTO leat.held (source, partition, hash, \"table\","
                 " key, message) SELECT id, 0, g - 2000, 't', '', '' FROM leat.sources,"
                 " generate_series(1, %u) AS g WHERE g <> 2000",
                 cases[i].there + 1);
        fixture_sql(w->f, sql);
        claim(w, 0);
        const leat_engine_job_result *result = &w->answers[0].result;
        ck_assert_uint_eq(result->held_count, cases[i].told);
        for (uint32_t k = 1; k < 4; k++)
            ck_assert(w->answers[0].held[k - 1].key < w->answers[0].held[k].key);
    }
    world_free(w);
}
END_TEST

int main(void)
{
    if (!fixture_server()) {
        puts("1..0 # SKIP PG_DSN_1 is not set");
        return 0;
    }
    Suite *suite = suite_create("held keys in jobs");
    TCase *tests = tcase_create("keys");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_key_is_held_with_the_record_that_was_refused);
    tcase_add_test(tests, a_claim_tells_which_keys_are_held);
    tcase_add_test(tests, records_of_held_keys_are_kept_and_the_others_are_written);
    tcase_add_test(tests, what_a_control_leaves_out_is_not_kept);
    tcase_add_test(tests, the_whole_batch_fails_where_a_key_has_turned);
    tcase_add_test(tests, a_key_that_is_locked);
    tcase_add_test(tests, another_owner_fences_all_of_it);
    tcase_add_test(tests, a_parked_record_is_held);
    tcase_add_test(tests, what_is_kept_is_loaded_and_written);
    tcase_add_test(tests, a_retry_of_what_is_not_first_or_gone);
    tcase_add_test(tests, a_retry_that_is_refused_leaves_all_as_it_was);
    tcase_add_test(tests, errors_about_the_tables_of_held_keys);
    tcase_add_test(tests, a_row_that_makes_no_sense);
    tcase_add_test(tests, more_held_keys_than_a_partition_may_have);
    suite_add_tcase(suite, tests);
    return fixture_main(suite);
}
