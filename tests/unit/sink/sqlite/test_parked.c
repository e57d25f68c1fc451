/* Parked records in a SQLite file: jobs that park, load and take them back, and the tables after
 * each. */
#include "job_fixture.h"
#include "record/chunk.h"

static const leat_engine_job_result *park(uint32_t count, int64_t first_offset)
{
    add_records(count, first_offset);
    part.count = 1;
    part.subpartitions[0] = PLACE;
    part.offsets[0] = first_offset + count - 1;
    job.batch.cut_count = 1;
    job.batch.cuts[0] = (leat_engine_chunk_cut){PLACE, 0, count};
    return run(LEAT_ENGINE_JOB_PARK);
}

static const leat_engine_job_result *load(int64_t above)
{
    job.load = (leat_engine_load){.subpartition = PLACE, .above = above, .claim = claim};
    return run(LEAT_ENGINE_JOB_LOAD);
}

/* Applies `count` records of one chunk. */
static const leat_engine_job_result *unpark(uint32_t count, const leat_engine_chunk_step *step)
{
    add_records(count, step->done + 1);
    job.batch.chunks_of = PLACE;
    job.batch.chunk_count = 1;
    job.batch.chunks[0] = *step;
    return run(LEAT_ENGINE_JOB_BATCH);
}

static void expect_gone(const leat_engine_job_result *result)
{
    ck_assert_int_eq(result->outcome, LEAT_ENGINE_CHUNK_GONE);
    ck_assert_int_eq(result->partition, PARTITION);
    ck_assert_str_eq(result->sqlstate, "LT009");
}

static const char parked_sql[] =
    "SELECT group_concat(subpartition || ':' || first_offset || '-' || last_offset || ' ' || done || ' ' || records ||"
    " ' ' || oldest_ms || ' ' || codec, ', ') FROM leat_parked";

START_TEST(what_is_parked_is_in_the_file_with_its_progress)
{
    const leat_engine_job_result *result = park(3, 10);
    expect_applied(result);
    ck_assert_uint_gt(result->parked_bytes, 0);
    ck_assert_str_eq(sqlite_ask(&f, parked_sql), "5:10-12 9 3 998 1");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM t"), "0");
    ck_assert_str_eq(
        sqlite_ask(&f, "SELECT hex(subpartitions) || ' ' || hex(offsets) FROM leat_progress"),
        "0005 000000000000000C");
    expect_applied(park(1, 20));
    result = take_over();
    ck_assert_uint_eq(result->parked_count, 1);
    const leat_engine_parked *found = &result->parked[0];
    ck_assert(found->subpartition == PLACE && found->chunks == 2 && found->records == 4);
    ck_assert(found->first_offset == 10 && found->done == 9 && found->last_offset == 20);
    ck_assert(found->oldest_ms == 998 && found->bytes > 0);
    ck_assert_int_eq(result->progress->offsets[PLACE], 20);
}
END_TEST

START_TEST(a_load_gives_the_bytes_that_were_parked)
{
    expect_applied(park(2, 10));
    expect_applied(park(2, 30));
    const leat_engine_job_result *result = load(-1);
    expect_applied(result);
    ck_assert(result->chunk->first_offset == 10 && result->chunk->last_offset == 11);
    ck_assert(result->chunk->done == 9 && result->chunk->records == 2);
    leat_slice bytes = {result->chunk->bytes, result->chunk->size}, headers;
    leat_chunk_reader chunk;
    leat_record record;
    ck_assert_int_eq(leat_chunk_open(result->chunk->codec, bytes, &chunk, &f.error), 0);
    ck_assert_int_eq(leat_chunk_next(&chunk, &record, &headers, &f.error), 1);
    ck_assert(record.offset == 10 && leat_slice_equal(headers, items[0].headers));
    free(chunk.raw);
    ck_assert_int_eq(load(10)->chunk->first_offset, 30);
    expect_gone(load(30));
    leat_engine_claim old = claim;
    take_over();
    claim = old;
    ck_assert_int_eq(load(-1)->outcome, LEAT_ENGINE_FENCED);
}
END_TEST

START_TEST(records_leave_their_chunk_in_the_transaction_that_applies_them)
{
    expect_applied(park(3, 10));
    expect_applied(unpark(2, &(leat_engine_chunk_step){.first_offset = 10,
                                                       .last_offset = 12,
                                                       .done = 9,
                                                       .done_after = 11,
                                                       .records_after = 1}));
    ck_assert_str_eq(sqlite_ask(&f, parked_sql), "5:10-12 11 1 998 1");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT c FROM t"), "2");
    expect_applied(
        unpark(1, &(leat_engine_chunk_step){
                      .first_offset = 10, .last_offset = 12, .done = 11, .done_after = 12}));
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM leat_parked"), "0");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT c FROM t"), "3");
    ck_assert_str_eq(
        sqlite_ask(&f, "SELECT group_concat(length(offsets), ',') FROM leat_progress ORDER BY seq"),
        "8,0,0");
}
END_TEST

START_TEST(a_chunk_that_is_not_as_it_was_read_is_left_alone)
{
    static const leat_engine_chunk_step steps[] = {
        {.first_offset = 10, .last_offset = 12, .done = 10, .done_after = 12},
        {.first_offset = 10, .last_offset = 13, .done = 9, .done_after = 13},
        {.first_offset = 11, .last_offset = 12, .done = 10, .done_after = 12},
        {.first_offset = 10, .last_offset = 12, .done = 10, .done_after = 11, .records_after = 1},
    };
    expect_applied(park(3, 10));
    expect_gone(unpark(1, &steps[_i]));
    ck_assert_str_eq(sqlite_ask(&f, parked_sql), "5:10-12 9 3 998 1");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM t"), "0");
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM leat_progress"), "1");
}
END_TEST

START_TEST(a_refused_record_leaves_its_chunk_as_it_was)
{
    sqlite_sql(&f, "INSERT INTO t VALUES ('key', 99)");
    expect_applied(park(1, 10));
    const leat_engine_job_result *result =
        unpark(1, &(leat_engine_chunk_step){
                      .first_offset = 10, .last_offset = 10, .done = 9, .done_after = 10});
    ck_assert_int_eq(result->outcome, LEAT_ENGINE_BAD_DATA);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM leat_parked"), "1");
}
END_TEST

START_TEST(a_dead_letter_comes_out_of_a_chunk_with_its_headers)
{
    leat_engine_reason reason = {"23514", "too large"};
    expect_applied(park(2, 10));
    add_records(1, 10);
    job.batch.dead = &reason;
    job.batch.chunks_of = PLACE;
    job.batch.chunk_count = 1;
    job.batch.chunks[0] = (leat_engine_chunk_step){
        .first_offset = 10, .last_offset = 11, .done = 9, .done_after = 10, .records_after = 1};
    expect_applied(run(LEAT_ENGINE_JOB_BATCH));
    ck_assert_str_eq(sqlite_ask(&f, "SELECT \"offset\" || headers FROM leat_dead_letters"),
                     "10{\"op\":\"patch\",\"trace\":\"x\"}");
    ck_assert_str_eq(sqlite_ask(&f, parked_sql), "5:10-11 10 1 999 1");
}
END_TEST

START_TEST(chunks_come_in_order_and_never_twice)
{
    expect_applied(park(2, 10));
    expect_gone(park(2, 10));
    expect_gone(park(2, 9));
    ck_assert_str_eq(sqlite_ask(&f, parked_sql), "5:10-11 9 2 999 1");
}
END_TEST

START_TEST(an_old_claim_parks_nothing)
{
    leat_engine_claim old = claim;
    take_over();
    claim = old;
    ck_assert_int_eq(park(1, 10)->outcome, LEAT_ENGINE_FENCED);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM leat_parked"), "0");
}
END_TEST

START_TEST(a_partition_with_parked_records_is_not_forgotten)
{
    expect_applied(park(1, 10));
    ck_assert_int_eq(sqlite3_exec(f.db, "DELETE FROM leat_partitions", NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
    sqlite_sql(&f, "DELETE FROM leat_partitions WHERE partition = 0");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite_parked");
    TCase *tests = tcase_create("parked");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, what_is_parked_is_in_the_file_with_its_progress);
    tcase_add_test(tests, a_load_gives_the_bytes_that_were_parked);
    tcase_add_test(tests, records_leave_their_chunk_in_the_transaction_that_applies_them);
    tcase_add_loop_test(tests, a_chunk_that_is_not_as_it_was_read_is_left_alone, 0, 4);
    tcase_add_test(tests, a_refused_record_leaves_its_chunk_as_it_was);
    tcase_add_test(tests, a_dead_letter_comes_out_of_a_chunk_with_its_headers);
    tcase_add_test(tests, chunks_come_in_order_and_never_twice);
    tcase_add_test(tests, an_old_claim_parks_nothing);
    tcase_add_test(tests, a_partition_with_parked_records_is_not_forgotten);
    suite_add_tcase(suite, tests);
    SRunner *runner_of_tests = srunner_create(suite);
    srunner_set_tap(runner_of_tests, "-");
    srunner_run_all(runner_of_tests, CK_SILENT);
    srunner_free(runner_of_tests);
    return 0;
}
