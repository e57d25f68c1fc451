#include "fixture.h"
#include "sink/sqlite/progress.h"

static sqlite_fixture f;
static leat_sqlite sqlite;
static leat_source source;
static leat_engine_progress progress;

static void set_up(void)
{
    static const char *const names[] = {"a"};
    static const int64_t starts[] = {0, 0};
    static int64_t progress_memory[2 * 64];
    leat_layout layout;
    leat_engine_progress_init(&progress, progress_memory, 64);
    sqlite_begin(&f);
    source = (leat_source){.log_identity = "built-in",
                           .topic = "l",
                           .topic_id = "1",
                           .hash = "h",
                           .placement = test_placement};
    leat_layout_even(&layout, 2, 1, names);
    ck_assert_int_eq(leat_shard_init(sqlite_address(&f), &source, &layout, 0, starts, &f.error), 0);
    ck_assert_int_eq(leat_sqlite_open(&sqlite, f.file, 100, &f.error), 0);
}

static void tear_down(void)
{
    leat_sqlite_close(&sqlite);
    sqlite_end(&f);
}

static leat_engine_claim claim(void)
{
    ck_assert_int_eq(leat_sqlite_claim(&sqlite, source.id, 1, &progress), LEAT_SQLITE_STANDS);
    return progress.claim;
}

/* A batch that takes one subpartition to `offset`, building upon `need` (0: nothing). */
static leat_sqlite_standing advance(leat_engine_claim by, int64_t seq, int16_t subpartition,
                                    int64_t offset, int64_t need)
{
    leat_engine_batch_part part = {.partition = 1,
                                   .claim = by,
                                   .seq = seq,
                                   .count = 1,
                                   .newest = {offset, 100 * seq, 7},
                                   .needs_count = need ? 1 : 0};
    part.subpartitions[0] = subpartition;
    part.offsets[0] = offset;
    part.needs[0] = need;
    return leat_sqlite_advance(&sqlite, source.id, &part);
}

static leat_sqlite_standing compact(leat_engine_claim by, int64_t base_seq, int64_t low,
                                    int64_t need)
{
    leat_engine_compaction compaction = {.partition = 1,
                                         .claim = by,
                                         .base_seq = base_seq,
                                         .low = low,
                                         .newest = {low, 5, 6},
                                         .needs_count = need ? 1 : 0};
    int64_t base_offsets[64];
    for (int i = 0; i < 64; i++)
        base_offsets[i] = low;
    compaction.subpartitions = 64;
    compaction.base_offsets = base_offsets;
    compaction.needs = &need;
    return leat_sqlite_compact(&sqlite, source.id, &compaction);
}

START_TEST(a_claim_reads_what_batches_said)
{
    leat_engine_claim first = claim();
    ck_assert_int_eq(progress.low, -1);
    ck_assert_int_eq(progress.next_seq, 1);
    ck_assert_int_eq(advance(first, 1, 3, 17, 0), LEAT_SQLITE_STANDS);
    ck_assert_int_eq(advance(first, 2, 63, 9, 0), LEAT_SQLITE_STANDS);
    claim();
    ck_assert(memcmp(&first, &progress.claim, sizeof first) != 0);
    ck_assert_int_eq(progress.epoch, 2);
    ck_assert_int_eq(progress.offsets[3], 17);
    ck_assert_int_eq(progress.offsets[63], 9);
    ck_assert_int_eq(progress.last_seq[3], 1);
    ck_assert_int_eq(progress.next_seq, 3);
    ck_assert_int_eq(progress.newest.offset, 17);
    ck_assert_int_eq(progress.newest.at_ms, 100);
    ck_assert_int_eq(progress.newest.epoch, 7);
}
END_TEST

START_TEST(an_older_claim_is_fenced)
{
    leat_engine_claim first = claim();
    leat_engine_claim second = claim();
    ck_assert_int_eq(advance(first, 1, 0, 1, 0), LEAT_SQLITE_FENCED);
    ck_assert_int_eq(compact(first, 1, 1, 0), LEAT_SQLITE_FENCED);
    ck_assert_int_eq(advance(second, 1, 0, 1, 0), LEAT_SQLITE_STANDS);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT count(*) FROM leat_progress"), "1");
}
END_TEST

START_TEST(a_batch_that_is_gone_is_missed)
{
    leat_engine_claim by = claim();
    ck_assert_int_eq(advance(by, 1, 0, 1, 0), LEAT_SQLITE_STANDS);
    ck_assert_int_eq(advance(by, 2, 0, 2, 1), LEAT_SQLITE_STANDS);
    sqlite_sql(&f, "DELETE FROM leat_progress WHERE seq = 2");
    ck_assert_int_eq(advance(by, 3, 0, 3, 2), LEAT_SQLITE_WENT_BACK);
    ck_assert_int_eq(compact(by, 2, 2, 2), LEAT_SQLITE_WENT_BACK);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT group_concat(seq) FROM leat_progress"), "1");
}
END_TEST

START_TEST(a_partition_without_batches_is_looked_at)
{
    leat_engine_claim first = claim();
    ck_assert_int_eq(compact(first, 0, -1, 0), LEAT_SQLITE_STANDS);
    claim();
    ck_assert_int_eq(progress.low, -1);
    ck_assert_int_eq(progress.next_seq, 1);
    ck_assert_int_eq(compact(first, 0, -1, 0), LEAT_SQLITE_FENCED);
}
END_TEST

START_TEST(a_compaction_stands_for_the_rows_it_deletes)
{
    leat_engine_claim by = claim();
    for (int seq = 1; seq <= 3; seq++)
        ck_assert_int_eq(advance(by, seq, 0, seq, seq - 1), LEAT_SQLITE_STANDS);
    ck_assert_int_eq(compact(by, 2, 2, 3), LEAT_SQLITE_STANDS);
    ck_assert_str_eq(sqlite_ask(&f, "SELECT group_concat(seq) FROM leat_progress"), "3");
    ck_assert_int_eq(compact(by, 1, 1, 0), LEAT_SQLITE_STANDS); /* overtaken: it does nothing */
    ck_assert_str_eq(
        sqlite_ask(&f, "SELECT base_seq || ' ' || low FROM leat_partitions WHERE partition = 1"),
        "2 2");
    ck_assert_int_eq(advance(by, 4, 0, 4, 2), LEAT_SQLITE_STANDS); /* what the base stands for is
                                                                      there */
    claim();
    ck_assert_int_eq(progress.low, 2);
    ck_assert_int_eq(progress.newest.offset, 4);
    ck_assert_int_eq(progress.newest.at_ms, 400);
    ck_assert_int_eq(progress.newest.epoch, 7);
    ck_assert_int_eq(progress.offsets[0], 4);
    ck_assert_int_eq(progress.offsets[1], 2);
    ck_assert_int_eq(progress.base_seq, 2);
}
END_TEST

START_TEST(a_partition_of_another_file)
{
    ck_assert_int_eq(leat_sqlite_claim(&sqlite, source.id, 7, &progress), LEAT_SQLITE_ABSENT);
    ck_assert_int_eq(leat_sqlite_claim(&sqlite, source.id + 1, 1, &progress), LEAT_SQLITE_ABSENT);
}
END_TEST

START_TEST(progress_that_makes_no_sense_is_no_progress)
{
    claim();
    sqlite_sql(
        &f,
        "INSERT INTO leat_progress SELECT source, 1, 1, x'0000', x'01', 0, -1 FROM leat_partitions WHERE partition = 1");
    ck_assert_int_eq(leat_sqlite_claim(&sqlite, source.id, 1, &progress), LEAT_SQLITE_FAILED);
    sqlite_sql(&f, "DELETE FROM leat_progress; UPDATE leat_partitions SET base_offsets = x''");
    ck_assert_int_eq(leat_sqlite_claim(&sqlite, source.id, 1, &progress), LEAT_SQLITE_FAILED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite_progress");
    TCase *tests = tcase_create("protocol");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_claim_reads_what_batches_said);
    tcase_add_test(tests, an_older_claim_is_fenced);
    tcase_add_test(tests, a_batch_that_is_gone_is_missed);
    tcase_add_test(tests, a_partition_without_batches_is_looked_at);
    tcase_add_test(tests, a_compaction_stands_for_the_rows_it_deletes);
    tcase_add_test(tests, a_partition_of_another_file);
    tcase_add_test(tests, progress_that_makes_no_sense_is_no_progress);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
