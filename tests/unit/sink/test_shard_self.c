/* Which database is which shard's: what is said of any mix of three shards and what their databases
 * say of themselves. */
#include "sink/shard_source.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {"a", "b", "c"};

static const struct {
    const char *selves; /* for each shard a database, a digit, and the shard it is set up for or
                           '-'; "--" is not known */
    const char *said;   /* of the first shard that is refused; NULL: of none */
} cases[] = {
    {"1- 2- 3-", NULL},
    {"1a 2b 3c", NULL},
    {"1a -- 3-", NULL},
    {"-- -- --", NULL},
    {"1x 2y 3z", NULL}, /* another set of names: leat_shard_check_source has the words */
    {"1- 1- 3-", "shards a and b lead to one database (db1, db1): give each its own"},
    {"1- 2- 1-", "shards a and c lead to one database"},
    {"1b 2- 1b", "shards a and c lead to one database"},
    {"1b 2a 3c",
     "shards a and b are swapped: db1 holds the partitions of shard b, and db2 those of shard a"},
    {"1a 2c 3b", "shards b and c are swapped"},
    {"1b 2c 3a",
     "shard a: db1 holds the partitions of shard b: it is that shard's database, or a copy of it"},
    {"1a 2a 3c", "shard b: db2 holds the partitions of shard a"},
    {"1a 2b 3b", "shard c: db3 holds the partitions of shard b"},
    {"1a -- 3b", "shard c: db3 holds the partitions of shard b"},
};

static void read_selves(const char *text, leat_shard_self *selves)
{
    for (uint32_t i = 0; i < 3; i++, text += 3) {
        if (text[0] == '-')
            continue;
        snprintf(selves[i].database, sizeof selves[i].database, "%c", text[0]);
        snprintf(selves[i].where, sizeof selves[i].where, "db%c", text[0]);
        if (text[1] != '-')
            snprintf(selves[i].shard, sizeof selves[i].shard, "%c", text[1]);
    }
}

START_TEST(each_mix_has_its_words)
{
    leat_shard_self selves[3] = {0};
    leat_error error = {0};
    read_selves(cases[_i].selves, selves);
    int status = 0;
    for (uint32_t shard = 0; status == 0 && shard < 3; shard++)
        status = leat_shard_check_self(names, selves, 3, shard, &error);
    ck_assert_msg((status != 0) == (cases[_i].said != NULL), "%s: %s", cases[_i].selves,
                  error.text);
    ck_assert_msg(!cases[_i].said ||
                      strncmp(error.text, cases[_i].said, strlen(cases[_i].said)) == 0,
                  "%s: %s", cases[_i].selves, error.text);
}
END_TEST

static const struct {
    uint32_t first, last;
    const char *name; /* NULL: of no one shard */
} held[] = {
    {0, 3, "a"},  {0, 0, "a"},  {3, 3, "a"},   {4, 6, "b"},    {7, 9, "c"},
    {0, 4, NULL}, {3, 4, NULL}, {9, 10, NULL}, {10, 12, NULL},
};

START_TEST(partitions_name_their_shard)
{
    leat_layout layout = {
        .partition_count = 10, .shard_count = 3, .shards = {{"a", 0, 4}, {"b", 4, 3}, {"c", 7, 3}}};
    char name[LEAT_NAME_MAX + 1] = "";
    leat_error error = {0};
    int status = leat_layout_name_shard(&layout, held[_i].first, held[_i].last, "db", name, &error);
    ck_assert_int_eq(status, held[_i].name ? 0 : -1);
    ck_assert_str_eq(name, held[_i].name ? held[_i].name : "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shard_self");
    TCase *tests = tcase_create("shard_self");
    tcase_add_loop_test(tests, each_mix_has_its_words, 0, sizeof cases / sizeof *cases);
    tcase_add_loop_test(tests, partitions_name_their_shard, 0, sizeof held / sizeof *held);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
