/* What a database says became of a write. */
#include "sink_fixture.h"

#include "../writes_story.h"

static void prepare(fixture *f, leat_source *source)
{
    static const char *const names[] = {"a"};
    static const int64_t starts[] = {0, 0};
    leat_layout layout;
    leat_error error = {""};
    *source = (leat_source){.log_identity = "c",
                            .topic = "writes",
                            .topic_id = "1",
                            .hash = "xxh3-64",
                            .placement = test_placement};
    leat_layout_even(&layout, 2, 1, names);
    ck_assert_msg(leat_shard_init(pg_address(f), source, &layout, 0, starts, &error) == 0, "%s",
                  error.text);
    fixture_sql(
        f,
        "UPDATE leat.partitions SET low = CASE partition WHEN 0 THEN 10 ELSE 5 END,"
        "       base_offsets = (SELECT array_agg(CASE i WHEN 3 THEN 20 ELSE -1 END ORDER BY i)"
        "                         FROM generate_series(0, 63) AS i);"
        "UPDATE leat.partitions SET base_offsets = array_fill(-1::bigint, ARRAY[64]) WHERE partition = 1;"
        "INSERT INTO leat.progress (source, partition, seq, subpartitions, offsets)"
        " SELECT id, 0, 5, '{3,4}', '{30,25}' FROM leat.sources;"
        "INSERT INTO leat.parked SELECT id, 0, 3, c.first, c.last, c.done, 2, 0, 1, '\\x00' FROM leat.sources,"
        " (VALUES (22, 26, 23), (28, 29, 27)) AS c (first, last, done);"
        "INSERT INTO leat.held (source, partition, hash, \"table\", key, sqlstate, message)"
        " SELECT id, 0, 77, 'public.t', '7', '23503', 'no parent' FROM leat.sources;"
        "INSERT INTO leat.parked_keys SELECT id, 0, 77, 21, 0, 1, '\\x00' FROM leat.sources;"
        "INSERT INTO leat.dead_letters (source, partition, \"offset\", sqlstate, message, accepted_at, control)"
        " SELECT id, 0, d.* FROM leat.sources, (VALUES (15, '23514', 'n is negative', now(), NULL),"
        "   (16, NULL, 'skipped', now(), 4), (17, NULL, 'no route', now(), NULL)) AS d;"
        "INSERT INTO leat.removed_letters SELECT id, 0, r, '2026-02-03 04:05:06.789Z', 'a person' FROM leat.sources,"
        " unnest('{15,18}'::bigint[]) AS r");
}

START_TEST(each_write_has_one_answer)
{
    fixture *f = fixture_new();
    leat_source source;
    fixture_open_database(f);
    prepare(f, &source);
    writes_story_tell(pg_address(f), source.id);
    fixture_free(f);
}
END_TEST

/* What is not committed is not there, and a question waits for nobody. */
START_TEST(only_what_is_committed_is_applied)
{
    fixture *f = fixture_new();
    leat_source source;
    leat_error error = {""};
    leat_write_question asked = {1, {.partition = 0, .subpartition = 3, .offset = 40, .key = 1}};
    leat_write_answer answer;
    fixture_open_database(f);
    prepare(f, &source);
    leat_shard_reporter *reporter = leat_shard_reporter_new(pg_address(f), source.id);
    for (int step = 0; step < 3; step++) {
        static const char *const steps[] = {
            "SELECT 1",
            "BEGIN; SELECT leat.advance(id, 0, claim, 6, '{3}', '{40}', 0, 0, '{}', 1000)"
            "  FROM leat.sources JOIN leat.partitions ON source = id AND partition = 0",
            "COMMIT",
        };
        fixture_sql(f, steps[step]);
        ck_assert_msg(leat_shard_reporter_read_writes(reporter, true, &asked, 1, &answer, &error) ==
                          0,
                      "%s", error.text);
        ck_assert_int_eq(answer.state, step < 2 ? LEAT_WRITE_PENDING : LEAT_WRITE_APPLIED);
    }
    leat_shard_reporter_free(reporter);
    fixture_free(f);
}
END_TEST

int main(void)
{
    if (!fixture_server()) {
        puts("1..0 # SKIP PG_DSN_1 is not set");
        return 0;
    }
    Suite *suite = suite_create("writes");
    TCase *tests = tcase_create("writes");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, each_write_has_one_answer);
    tcase_add_test(tests, only_what_is_committed_is_applied);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
