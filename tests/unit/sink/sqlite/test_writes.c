/* What a SQLite file says became of a write. */
#include "fixture.h"

#include "../writes_story.h"

/* An array of big-endian numbers, as SQL: "x'...'". */
static void append_be(leat_buf *sql, int size, uint64_t value)
{
    for (int i = size - 1; i >= 0; i--)
        leat_buf_printf(sql, "%02x", (unsigned)(value >> (8 * i) & 0xff));
}

static void prepare(sqlite_fixture *f, int32_t source_id)
{
    leat_buf sql = {0};
    leat_buf_text(&sql, "UPDATE leat_partitions SET low = CASE partition WHEN 0 THEN 10 ELSE 5 END,"
                        " base_offsets = x'");
    for (int i = 0; i < 64; i++)
        append_be(&sql, 8, i == 3 ? 20 : UINT64_MAX);
    leat_buf_text(
        &sql, "'; UPDATE leat_partitions SET base_offsets = zeroblob(512) WHERE partition = 1;");
    leat_buf_printf(&sql, "INSERT INTO leat_progress VALUES (%d, 0, 5, x'", source_id);
    append_be(&sql, 2, 3);
    append_be(&sql, 2, 4);
    leat_buf_text(&sql, "', x'");
    append_be(&sql, 8, 30);
    append_be(&sql, 8, 25);
    leat_buf_text(&sql, "', 0, -1);");
    leat_buf_printf(
        &sql,
        "INSERT INTO leat_parked VALUES (%d, 0, 3, 22, 26, 23, 2, 0, 1, x'00'),"
        " (%d, 0, 3, 28, 29, 27, 2, 0, 1, x'00');"
        "INSERT INTO leat_held VALUES (%d, 0, 77, 'public.t', x'37', 0, 0, 0, '23503', 'no parent');"
        "INSERT INTO leat_parked_keys VALUES (%d, 0, 77, 21, 0, 1, x'00');"
        "INSERT INTO leat_dead_letters (source, partition, \"offset\", sqlstate, message, accepted_at, control)"
        " VALUES (%d, 0, 15, '23514', 'n is negative', '', NULL), (%d, 0, 16, NULL, 'skipped', '', 4),"
        " (%d, 0, 17, NULL, 'no route', '', NULL);"
        "INSERT INTO leat_removed_letters VALUES (%d, 0, 15, ''), (%d, 0, 18, '2026-02-03T04:05:06.789Z')",
        source_id, source_id, source_id, source_id, source_id, source_id, source_id, source_id,
        source_id);
    sqlite_sql(f, leat_buf_cstr(&sql));
    leat_buf_free(&sql);
}

START_TEST(each_write_has_one_answer)
{
    static const char *const names[] = {"a"};
    static const int64_t starts[] = {0, 0};
    sqlite_fixture f;
    leat_layout layout;
    sqlite_begin(&f);
    leat_source source = {.log_identity = "built-in",
                          .topic = "l",
                          .topic_id = "1",
                          .hash = "h",
                          .placement = test_placement};
    leat_layout_even(&layout, 2, 1, names);
    ck_assert_int_eq(leat_shard_init(sqlite_address(&f), &source, &layout, 0, starts, &f.error), 0);
    prepare(&f, source.id);
    writes_story_tell(sqlite_address(&f), source.id);
    sqlite_end(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("writes");
    TCase *tests = tcase_create("writes");
    tcase_add_test(tests, each_write_has_one_answer);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
