/* Dead letters as a table: keys are whole, and a long one moves its own row only. */
#include "../record/fixture.h"
#include "cli/dead.h"

static leat_dead_letter letter_of(const char *key)
{
    return (leat_dead_letter){
        .key = (char *)(uintptr_t)key, .key_size = strlen(key), .op = (char *)(uintptr_t)"patch"};
}

/* Where "patch" stands in the line that has the key; the table has every key in full. */
static size_t op_column(const char *table, const char *key)
{
    const char *found = strstr(table, key);
    ck_assert_msg(found, "%s is not in\n%s", key, table);
    const char *line = found;
    while (line > table && line[-1] != '\n')
        line--;
    return (size_t)(strstr(found, "  patch") - line);
}

START_TEST(keys_are_whole)
{
    enum { UUIDS = 73, LONG = 2048 };
    char two_uuids[UUIDS + 1] = "", longest[LONG + 1] = "", *table = NULL;
    size_t size = 0;
    memset(two_uuids, 'u', UUIDS);
    memset(longest, 'k', LONG);
    leat_dead_letter letters[] = {letter_of("7/1"), letter_of(two_uuids), letter_of(longest)};
    leat_dead_entry entries[COUNT_OF(letters)];
    for (size_t i = 0; i < COUNT_OF(letters); i++)
        entries[i] = (leat_dead_entry){"a", &letters[i]};
    FILE *out = open_memstream(&table, &size);
    ck_assert_ptr_nonnull(out);
    leat_dead_print_table(out, entries, COUNT_OF(letters));
    ck_assert_int_eq(fclose(out), 0);
    op_column(table, longest);
    size_t usual = op_column(table, "7/1");
    ck_assert_uint_lt(usual, 200);
    ck_assert_uint_eq(op_column(table, two_uuids), usual);
    free(table);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli/dead_print");
    TCase *tests = tcase_create("dead_print");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, keys_are_whole);
    return fixture_run(suite);
}
