/* Idempotency keys in a SQLite file: in the jobs of a worker, and in the retry of a held key. */
#include "job_fixture.h"
#include "record/idempotency.h"
#include "sink/held.h"

static const char *const keys[] = {"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"};

/* `count` PATCHes of one row, those with the numbers `from` on, each with its key. */
static void add_keyed(uint32_t count, int64_t first_offset, uint32_t from)
{
    leat_buf scratch = {0};
    add_records(count, first_offset);
    part.count = 1;
    part.subpartitions[0] = PLACE;
    part.offsets[0] = first_offset + count - 1;
    for (uint32_t i = 0; i < count; i++) {
        items[i].record.idempotency = leat_slice_of(keys[from + i]);
        ck_assert(leat_idempotency_identify(source.id, &items[i], &scratch, &items[i].write_id));
    }
    leat_buf_free(&scratch);
}

static void expect_state(const char *row, const char *noted)
{
    ck_assert_str_eq(sqlite_ask(&f, "SELECT c FROM t"), row);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM leat_idempotency"), noted);
}

static void mark(uint32_t index, bool is_conflict)
{
    records[index].skip = records[index].repeat = true;
    records[index].conflict = is_conflict;
    job.batch.skipped++;
    job.batch.repeated++;
}

START_TEST(repeats_are_told_and_then_left_out)
{
    add_keyed(2, 10, 0);
    expect_applied(run(LEAT_ENGINE_JOB_BATCH));
    expect_state("2", "2");
    add_keyed(3, 20, 1);
    items[0].write_id.fingerprint++;
    const leat_engine_job_result *result = run(LEAT_ENGINE_JOB_BATCH);
    ck_assert_int_eq(result->outcome, LEAT_ENGINE_REPEATED);
    ck_assert_str_eq(result->sqlstate, "LT010");
    ck_assert_uint_eq(result->known_count, 1);
    ck_assert_uint_eq(result->known[0].record, 0);
    ck_assert(result->known[0].is_conflict);
    expect_state("2", "2");
    next_seq--;
    add_keyed(3, 20, 1);
    mark(0, true);
    expect_applied(run(LEAT_ENGINE_JOB_BATCH));
    expect_state("4", "4");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT \"offset\" || message FROM leat_dead_letters"),
                     "20its idempotency key is that of another write to this row, which says "
                     "something else");
    add_keyed(1, 30, 3);
    mark(0, false);
    expect_applied(run(LEAT_ENGINE_JOB_BATCH));
    expect_state("4", "4");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM leat_dead_letters"), "1");
}
END_TEST

START_TEST(a_key_goes_with_its_transaction)
{
    add_keyed(1, 10, 0);
    items[0].record.value = LEAT_SLICE("{\"c\": 1000}");
    ck_assert_int_eq(run(LEAT_ENGINE_JOB_BATCH)->outcome, LEAT_ENGINE_BAD_DATA);
    expect_state("(none)", "0");
    next_seq--;
    add_keyed(1, 10, 0);
    expect_applied(run(LEAT_ENGINE_JOB_BATCH));
    expect_state("1", "1");
}
END_TEST

START_TEST(old_keys_are_forgotten_a_few_at_a_time)
{
    runner.idempotency_ms = 1000;
    take_over();
    for (uint32_t i = 0; i < 8; i++) {
        add_keyed(1, 10 + i, i);
        items[0].record.accepted_ms = 1000 * (int64_t)i;
        expect_applied(run(LEAT_ENGINE_JOB_BATCH));
        ck_assert_int_eq(atoi(sqlite_ask(&f, "SELECT count(*) FROM leat_idempotency")),
                         i < 3 ? (int)i + 1 : 3);
    }
    sqlite_sql(&f, "INSERT INTO leat_sources SELECT 9, log_identity, 'other', topic_id, layout,"
                   " tenant_slots, subpartitions, hash, placement, tenant_window, tenant_position,"
                   " 2000 FROM leat_sources");
    add_keyed(1, 18, 0);
    items[0].record.accepted_ms = 8000; /* the other source's lifetime counts */
    expect_applied(run(LEAT_ENGINE_JOB_BATCH));
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM leat_idempotency"), "4");
    sqlite_sql(&f, "UPDATE leat_idempotency SET noted_ms = 0");
    add_keyed(1, 20, 1);
    items[0].record.accepted_ms = INT64_MAX; /* as if it were accepted now */
    expect_applied(run(LEAT_ENGINE_JOB_BATCH));
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM leat_idempotency"), "3");
    ck_assert_int_ge(leat_wall_ms(),
                     atoll(sqlite_ask(&f, "SELECT max(noted_ms) FROM leat_idempotency")));
}
END_TEST

START_TEST(a_retry_by_a_person_notes_and_leaves_out)
{
    static const leat_engine_reason reason = {.sqlstate = "23503", .message = "no parent"};
    leat_held_keys held;
    leat_held_query query = {.topic = "l", .limit = 1};
    leat_slice headers = LEAT_SLICE("\2op\6patch\13idempotency\3k0");
    add_keyed(1, 10, 0);
    records[0].key = leat_item_held_hash(&items[0]);
    items[0].headers = headers;
    job.batch.hold = &reason;
    expect_applied(run(LEAT_ENGINE_JOB_BATCH));
    add_keyed(2, 11, 0);
    for (uint32_t i = 0; i < 2; i++) {
        records[i].key = leat_item_held_hash(&items[i]);
        records[i].keep = true;
        items[i].headers = headers;
    }
    items[1].record.value = LEAT_SLICE("{\"c\": 50}");
    job.batch.kept = 2;
    expect_applied(run(LEAT_ENGINE_JOB_BATCH));
    expect_state("(none)", "0");
    ck_assert_int_eq(leat_shard_held_keys(sqlite_address(&f), &query, &held, &f.error), 0);
    leat_held_work work = {.key = &held.keys[0], .routes = &f.routes, .placement = &test_placement};
    leat_held_result result = {.is_held = true};
    int status = leat_shard_end_hold(sqlite_address(&f), &work, &result, &f.error);
    ck_assert_msg(status == 0, "%s", f.error.text);
    ck_assert(!result.is_held);
    expect_state("1", "1");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT group_concat(\"offset\") FROM leat_dead_letters"),
                     "12");
    leat_held_keys_fini(&held);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notes");
    TCase *tests = tcase_create("notes");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, repeats_are_told_and_then_left_out);
    tcase_add_test(tests, a_key_goes_with_its_transaction);
    tcase_add_test(tests, old_keys_are_forgotten_a_few_at_a_time);
    tcase_add_test(tests, a_retry_by_a_person_notes_and_leaves_out);
    suite_add_tcase(suite, tests);
    SRunner *runner_of_tests = srunner_create(suite);
    srunner_set_tap(runner_of_tests, "-");
    srunner_run_all(runner_of_tests, CK_SILENT);
    srunner_free(runner_of_tests);
    return 0;
}
