/* Held keys in a SQLite file: jobs that hold, keep and retry, and `leat dead` beside them.
 */
#include "job_fixture.h"
#include "record/chunk.h"
#include "sink/held.h"

static const leat_engine_reason reason = {.sqlstate = "23503", .message = "no parent \xff"};

/* ---- jobs ---- */

static uint64_t hash(void)
{
    return leat_item_held_hash(&items[0]);
}

/* A batch of `count` records of row `key`; those from `first` on are kept. */
static void begin_batch(uint32_t count, int64_t first_offset)
{
    add_records(count, first_offset);
    part.count = 1;
    part.subpartitions[0] = PLACE;
    part.offsets[0] = first_offset + count - 1;
    for (uint32_t i = 0; i < count; i++)
        records[i].key = hash();
}

static const leat_engine_job_result *hold(int64_t offset)
{
    begin_batch(1, offset);
    job.batch.hold = &reason;
    return run(LEAT_ENGINE_JOB_BATCH);
}

static const leat_engine_job_result *keep(uint32_t count, int64_t first_offset)
{
    begin_batch(count, first_offset);
    for (uint32_t i = 0; i < count; i++)
        records[i].keep = true;
    job.batch.kept = count;
    return run(LEAT_ENGINE_JOB_BATCH);
}

static const leat_engine_job_result *load(uint32_t most)
{
    begin_batch(1, 0);
    next_seq--;
    job.load =
        (leat_engine_load){.subpartition = PLACE, .claim = claim, .key = hash(), .most = most};
    return run(LEAT_ENGINE_JOB_LOAD);
}

static const leat_engine_job_result *retry(uint32_t count, int64_t first_offset)
{
    begin_batch(count, first_offset);
    part.count = 0;
    job.batch.retry_key = hash();
    return run(LEAT_ENGINE_JOB_BATCH);
}

static void expect_turned(const leat_engine_job_result *result)
{
    ck_assert_msg(result->outcome == LEAT_ENGINE_KEY_TURNED, "%s", result->message);
    ck_assert_str_eq(result->sqlstate, "LT007");
    ck_assert_int_eq(result->partition, PARTITION);
}

/* Offsets that are kept, and the row. */
static void expect_state(const char *kept, const char *row)
{
    ck_assert_str_eq(sqlite_ask(&f, "SELECT coalesce(group_concat(\"offset\", '+'), '') FROM"
                                    " (SELECT \"offset\" FROM leat_parked_keys ORDER BY 1)"),
                     kept);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT c FROM t"), row);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM leat_held"), *kept ? "1" : "0");
}

/* ---- a worker ---- */

START_TEST(a_key_is_held_and_what_follows_is_kept)
{
    ck_assert_uint_eq(take_over()->held_count, 0);
    expect_applied(hold(10));
    ck_assert_str_eq(
        sqlite_ask(
            &f,
            "SELECT \"table\" || ' ' || CAST(key AS text) || ' ' || tries || ' ' || sqlstate FROM leat_held"),
        "main.t key 0 23503");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT message FROM leat_held"), "no parent \xef\xbf\xbd");
    expect_applied(keep(2, 20));
    expect_state("10+20+21", "(none)");
    expect_turned(hold(30));
    expect_state("10+20+21", "(none)");
    sqlite_sql(&f, "UPDATE leat_held SET since_ms = since_ms - 60000");
    const leat_engine_job_result *result = take_over();
    ck_assert_uint_eq(result->held_count, 1);
    ck_assert_uint_eq(result->held[0].key, hash());
    ck_assert_uint_eq(result->held[0].subpartition,
                      leat_placement_subpartition(&test_placement, LEAT_SLICE("key"),
                                                  leat_hash(LEAT_SLICE("key"))));
    ck_assert_int_ge(result->held[0].since_ms, 60000);
    ck_assert(!result->held[0].is_final);
    ck_assert_int_eq(result->progress->offsets[PLACE], 21);
    sqlite_sql(&f, "UPDATE leat_held SET sqlstate = NULL");
    ck_assert(take_over()->held[0].is_final);
}
END_TEST

/* What that means for the partition is the engine's to say. */
START_TEST(more_held_keys_than_a_partition_may_have)
{
    for (uint32_t more = 0; more < 3; more++) {
        char sql[400];
        snprintf(sql, sizeof sql,
                 "DELETE FROM leat_held; INSERT INTO leat_held (source, partition, hash, \"table\","
                 " key, since_ms, at_ms, message) WITH RECURSIVE g (n) AS (SELECT 1 UNION ALL"
                 " SELECT n + 1 FROM g WHERE n < %u) SELECT id, %d, n, 't', x'', 0, 0, ''"
                 " FROM leat_sources, g",
                 LEAT_HELD_KEYS_MAX + more, PARTITION);
        sqlite_sql(&f, sql);
        ck_assert_uint_eq(take_over()->held_count, LEAT_HELD_KEYS_MAX + (more > 0));
    }
}
END_TEST

START_TEST(a_key_that_is_not_held)
{
    expect_turned(keep(1, 10));
    expect_state("", "(none)");
}
END_TEST

START_TEST(only_what_is_kept_is_not_written)
{
    expect_applied(hold(10));
    begin_batch(3, 11);
    records[0].keep = records[2].keep = true;
    records[2].skip = true; /* by a control */
    job.batch.kept = job.batch.skipped = 1;
    expect_applied(run(LEAT_ENGINE_JOB_BATCH));
    expect_state("10+11", "1");
}
END_TEST

START_TEST(what_is_kept_is_retried_from_the_first_on)
{
    ck_assert_uint_eq(load(5)->kept_count, 0);
    expect_applied(hold(10));
    expect_applied(keep(2, 11));
    const leat_engine_job_result *result = load(2);
    expect_applied(result);
    ck_assert_uint_eq(result->kept_count, 2);
    leat_slice bytes = {result->kept[1].bytes, result->kept[1].size}, headers;
    leat_chunk_reader chunk;
    leat_record record;
    ck_assert_int_eq(leat_chunk_open(result->kept[1].codec, bytes, &chunk, &f.error), 0);
    ck_assert_int_eq(leat_chunk_next(&chunk, &record, &headers, &f.error), 1);
    ck_assert(record.offset == 11 && result->kept[1].first_offset == 11);
    ck_assert(leat_slice_equal(headers, items[0].headers));
    free(chunk.raw);
    expect_turned(retry(1, 11));
    expect_turned(retry(2, 9));
    expect_state("10+11+12", "(none)");
    result = retry(2, 10);
    expect_applied(result);
    ck_assert(result->is_held);
    expect_state("12", "2");
    result = retry(1, 12);
    expect_applied(result);
    ck_assert(!result->is_held);
    expect_state("", "3");
}
END_TEST

START_TEST(an_old_claim_changes_nothing)
{
    expect_applied(hold(10));
    leat_engine_claim old = claim;
    take_over();
    claim = old;
    ck_assert_int_eq(keep(1, 11)->outcome, LEAT_ENGINE_FENCED);
    ck_assert_int_eq(retry(1, 10)->outcome, LEAT_ENGINE_FENCED);
    expect_state("10", "(none)");
}
END_TEST

START_TEST(a_retry_that_is_refused_leaves_all_as_it_was)
{
    sqlite_sql(&f, "INSERT INTO t VALUES ('key', 99)");
    expect_applied(hold(10));
    ck_assert_int_eq(retry(1, 10)->outcome, LEAT_ENGINE_BAD_DATA);
    expect_state("10", "99");
}
END_TEST

START_TEST(a_partition_with_held_keys_is_not_forgotten)
{
    expect_applied(hold(10));
    ck_assert_int_eq(sqlite3_exec(f.db, "DELETE FROM leat_partitions", NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
    sqlite_sql(&f, "DELETE FROM leat_partitions WHERE partition = 0");
}
END_TEST

/* ---- people ---- */

static leat_held_keys read_keys(const leat_table *table, const char *key)
{
    leat_held_keys keys;
    leat_held_query query = {.topic = "l", .table = table, .key = leat_slice_of(key), .limit = 10};
    ck_assert_msg(leat_shard_held_keys(sqlite_address(&f), &query, &keys, &f.error) == 0, "%s",
                  f.error.text);
    return keys;
}

static int end_hold(bool discard, uint32_t most, leat_held_result *ret)
{
    leat_held_keys keys = read_keys(NULL, "");
    ck_assert_uint_eq(keys.count, 1);
    leat_held_work work = {.key = &keys.keys[0],
                           .routes = &f.routes,
                           .placement = &test_placement,
                           .discard = discard,
                           .most = most};
    int status = leat_shard_end_hold(sqlite_address(&f), &work, ret, &f.error);
    leat_held_keys_fini(&keys);
    return status;
}

START_TEST(held_keys_are_listed)
{
    ck_assert_uint_eq(read_keys(NULL, "").count, 0);
    expect_applied(hold(10));
    expect_applied(keep(2, 11));
    leat_held_keys keys = read_keys(NULL, "");
    ck_assert_uint_eq(keys.count, 1);
    const leat_shard_held_key *key = &keys.keys[0];
    ck_assert_str_eq(key->table, "main.t");
    ck_assert_str_eq(key->key, "key");
    ck_assert_str_eq(key->sqlstate, "23503");
    ck_assert_int_eq(key->hash, (int64_t)hash());
    ck_assert_uint_eq(strlen(key->since), strlen("2026-01-01T00:00:00.000Z"));
    ck_assert(key->records == 3 && key->first_offset == 10 && key->bytes > 30);
    leat_held_keys_fini(&keys);
    keys = read_keys(f.routes.routes[0].table, "key");
    ck_assert_uint_eq(keys.count, 1);
    leat_held_keys_fini(&keys);
    ck_assert_uint_eq(read_keys(f.routes.routes[0].table, "other").count, 0);
}
END_TEST

START_TEST(a_person_retries_as_far_as_the_file_takes_it)
{
    leat_held_result result;
    sqlite_sql(&f, "INSERT INTO t VALUES ('key', 97)"); /* 99 is the most */
    expect_applied(hold(10));
    expect_applied(keep(4, 11));
    ck_assert_msg(end_hold(false, 0, &result) == 0, "%s", f.error.text);
    ck_assert(result.done == 2 && result.is_held && result.refused);
    ck_assert_int_eq(result.refused_offset, 12);
    ck_assert_str_eq(result.reason.sqlstate, "23514");
    expect_state("12+13+14", "99");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT tries || ' ' || sqlstate FROM leat_held"), "1 23514");
    sqlite_sql(&f, "UPDATE t SET c = 0");
    ck_assert_int_eq(end_hold(false, 0, &result), 0);
    ck_assert(result.done == 3 && !result.is_held && !result.refused);
    expect_state("", "3");
    expect_turned(keep(1, 20));
}
END_TEST

START_TEST(a_deferred_constraint_is_a_refusal_too)
{
    leat_held_result result;
    sqlite_sql(&f, "CREATE TABLE parents (id int PRIMARY KEY); INSERT INTO parents VALUES (1);"
                   "INSERT INTO parents VALUES (2); DROP TABLE t;"
                   "CREATE TABLE t (id text PRIMARY KEY,"
                   " c int REFERENCES parents DEFERRABLE INITIALLY DEFERRED)");
    expect_applied(hold(10));
    expect_applied(keep(4, 11));
    ck_assert_msg(end_hold(false, 0, &result) == 0, "%s", f.error.text);
    ck_assert_str_eq(result.reason.sqlstate, "23503");
    ck_assert(result.done == 2 && result.is_held && result.refused_offset == 12);
    expect_state("12+13+14", "2");
}
END_TEST

START_TEST(a_person_gives_up_the_first_records)
{
    leat_held_result result;
    expect_applied(hold(10));
    expect_applied(keep(2, 11));
    ck_assert_int_eq(end_hold(true, 2, &result), 0);
    ck_assert(result.done == 2 && result.is_held);
    expect_state("12", "(none)");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT '<' || sqlstate || message || '>' FROM leat_held"),
                     "<>"); /* it was said of 10 */
    ck_assert(!take_over()->held[0].is_final);
    ck_assert_str_eq(
        sqlite_ask(
            &f,
            "SELECT group_concat(\"offset\" || ' ' || coalesce(sqlstate, '-') || ' ' || message, '; ')"
            " FROM leat_dead_letters"),
        "10 23503 no parent \xef\xbf\xbd; 11 - its key was held and discarded: no parent \xef\xbf\xbd");
    ck_assert_int_eq(end_hold(true, 0, &result), 0);
    ck_assert(result.done == 1 && !result.is_held);
    expect_state("", "(none)");
    ck_assert_str_eq(
        sqlite_ask(&f, "SELECT coalesce(sqlstate, '-') || ' ' || message FROM leat_dead_letters"
                       " WHERE \"offset\" = 12"),
        "- its key was held and discarded");
}
END_TEST

START_TEST(damage_is_an_error_and_stays)
{
    leat_held_result result;
    expect_applied(hold(10));
    sqlite_sql(&f, "UPDATE leat_parked_keys SET record = substr(record, 1, 20)");
    ck_assert_int_eq(end_hold(false, 0, &result), -1);
    ck_assert_msg(strncmp(f.error.text, "offset 10: ", 11) == 0, "%s", f.error.text);
    expect_state("10", "(none)");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite_keys");
    TCase *tests = tcase_create("keys");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_key_is_held_and_what_follows_is_kept);
    tcase_add_test(tests, more_held_keys_than_a_partition_may_have);
    tcase_add_test(tests, a_key_that_is_not_held);
    tcase_add_test(tests, only_what_is_kept_is_not_written);
    tcase_add_test(tests, what_is_kept_is_retried_from_the_first_on);
    tcase_add_test(tests, an_old_claim_changes_nothing);
    tcase_add_test(tests, a_retry_that_is_refused_leaves_all_as_it_was);
    tcase_add_test(tests, a_partition_with_held_keys_is_not_forgotten);
    tcase_add_test(tests, held_keys_are_listed);
    tcase_add_test(tests, a_person_retries_as_far_as_the_file_takes_it);
    tcase_add_test(tests, a_deferred_constraint_is_a_refusal_too);
    tcase_add_test(tests, a_person_gives_up_the_first_records);
    tcase_add_test(tests, damage_is_an_error_and_stays);
    suite_add_tcase(suite, tests);
    SRunner *runner_of_tests = srunner_create(suite);
    srunner_set_tap(runner_of_tests, "-");
    srunner_run_all(runner_of_tests, CK_SILENT);
    srunner_free(runner_of_tests);
    return 0;
}
