/* Versions are seen as published, in every shard on its own; which may follow which. */
#include "fixture.h"
#include "record/schema_versions.h"

static leat_schema_version *make_version(void)
{
    leat_schema_version *version = leat_schema_version_new();
    version->table_count = 1;
    version->tables = leat_must_calloc(1, sizeof *version->tables);
    version->tables[0] = fixture_table();
    return version;
}

static void count_ask(void *context)
{
    ++*(int *)context;
}

START_TEST(newest_of_each_shard)
{
    leat_schema_versions *schema_versions = leat_schema_versions_new(2, count_ask, NULL);
    leat_schema_version *first = make_version(), *other = make_version(), *second = make_version();
    leat_schema_versions_publish(schema_versions, 0, first, 0);
    leat_schema_versions_publish(schema_versions, 1, other, 5);
    ck_assert_ptr_eq(leat_schema_versions_newest(schema_versions, 0), first);
    ck_assert_int_eq(leat_schema_versions_read_us(schema_versions, 0), 0);
    leat_schema_versions_publish(schema_versions, 0, second, 7);
    ck_assert_ptr_eq(leat_schema_versions_newest(schema_versions, 0), second);
    ck_assert_ptr_eq(leat_schema_versions_newest(schema_versions, 1), other);
    ck_assert_int_eq(leat_schema_versions_read_us(schema_versions, 0), 7);
    ck_assert_int_eq(leat_schema_versions_read_us(schema_versions, 1), 5);
    ck_assert_str_eq(first->tables[0].name, "subscriptions"); /* an old version lives on */
    leat_schema_versions_free(schema_versions);
}
END_TEST

START_TEST(confirmed)
{
    leat_schema_versions *schema_versions = leat_schema_versions_new(1, count_ask, NULL);
    leat_schema_version *version = make_version();
    leat_schema_versions_publish(schema_versions, 0, version, 3);
    leat_schema_versions_confirm(schema_versions, 0, 9);
    ck_assert_ptr_eq(leat_schema_versions_newest(schema_versions, 0), version);
    ck_assert_int_eq(leat_schema_versions_read_us(schema_versions, 0), 9);
    leat_schema_versions_free(schema_versions);
}
END_TEST

START_TEST(asked)
{
    int count = 0;
    leat_schema_versions *schema_versions = leat_schema_versions_new(1, count_ask, &count);
    leat_schema_versions_request_read(schema_versions);
    leat_schema_versions_request_read(schema_versions);
    ck_assert_int_eq(count, 2);
    leat_schema_versions_free(schema_versions);
}
END_TEST

static void make_bigger(leat_table *table)
{
    table->columns[table->key_columns[0]].type = LEAT_TYPE_INT8;
}

static void add_column(leat_table *table)
{
    fixture_add(table, "more", LEAT_TYPE_TEXT, -1);
}

static void retype_key(leat_table *table)
{
    table->columns[table->key_columns[0]].type = LEAT_TYPE_TEXT;
}

static void turn_key(leat_table *table)
{
    uint32_t first = table->key_columns[0];
    table->key_columns[0] = table->key_columns[1];
    table->key_columns[1] = first;
}

static void shorten_key(leat_table *table)
{
    table->key_count = 1;
}

static const struct {
    void (*alter)(leat_table *table);
    const char *refused; /* NULL: it may follow */
} changes[] = {
    {make_bigger, NULL},
    {add_column, NULL},
    {retype_key, "column app_id of its primary key is"},
    {turn_key, "has column device where app_id was"},
    {shorten_key, "another number of columns"},
};

START_TEST(what_may_follow)
{
    leat_schema_version *from = make_version(), *to = make_version();
    leat_error error = {""};
    changes[_i].alter(&to->tables[0]);
    int status = leat_schema_version_follows(from, to, &error);
    ck_assert_int_eq(status, changes[_i].refused ? -1 : 0);
    if (changes[_i].refused)
        ck_assert_msg(strstr(error.text, changes[_i].refused) && strstr(error.text, "restart"),
                      "%s", error.text);
    leat_schema_version_free(from);
    leat_schema_version_free(to);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("board");
    TCase *tests = tcase_create("board");
    tcase_add_test(tests, newest_of_each_shard);
    tcase_add_test(tests, confirmed);
    tcase_add_test(tests, asked);
    tcase_add_loop_test(tests, what_may_follow, 0, COUNT_OF(changes));
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
