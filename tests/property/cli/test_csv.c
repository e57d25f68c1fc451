/*
 * Rows of CSV are what was written, however their bytes are cut. LEAT_TEST_SEED=n repeats a run,
 * LEAT_TEST_ROUNDS=n makes it longer.
 */
#include "../../lib/setting.h"
#include "../../unit/record/fixture.h"
#include "cli/csv.h"

enum { ROUNDS = 2000 };

static void any_text(leat_prng *prng, bool is_quoted, leat_buf *out)
{
    static const char plain[] = "ab1 ;'\t\\", quoted[] = "ab1 ;,\"\n\r\\";
    for (uint64_t i = leat_prng_below(prng, 6); i > 0; i--)
        leat_buf_byte(out, is_quoted ? quoted[leat_prng_below(prng, sizeof quoted - 1)]
                                     : plain[leat_prng_below(prng, sizeof plain - 1)]);
}

static void write_field(leat_slice text, bool is_quoted, leat_buf *out)
{
    leat_buf_text(out, is_quoted ? "\"" : "");
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            leat_buf_byte(out, '"');
        leat_buf_byte(out, text.data[i]);
    }
    leat_buf_text(out, is_quoted ? "\"" : "");
}

static void tell_field(leat_slice text, bool is_quoted, leat_buf *story)
{
    leat_buf_byte(story, is_quoted ? '<' : '(');
    leat_buf_slice(story, text);
    leat_buf_byte(story, is_quoted ? '>' : ')');
}

/* Any rows, as a file and as a story. */
static void make_rows(leat_prng *prng, leat_buf *file, leat_buf *story)
{
    bool has_cr = leat_prng_below(prng, 2), has_end = leat_prng_below(prng, 2);
    for (uint64_t row = 0, rows = 1 + leat_prng_below(prng, 4); row < rows; row++) {
        for (uint64_t i = 0, count = 2 + leat_prng_below(prng, 3); i < count; i++) {
            leat_buf text = {0};
            bool is_quoted = leat_prng_below(prng, 2);
            any_text(prng, is_quoted, &text);
            leat_slice field = {text.data ? text.data : "", text.size};
            leat_buf_text(file, i > 0 ? "," : "");
            write_field(field, is_quoted, file);
            tell_field(field, is_quoted, story);
            leat_buf_free(&text);
        }
        leat_buf_byte(story, '\n');
        if (row + 1 < rows || has_end)
            leat_buf_text(file, has_cr ? "\r\n" : "\n");
    }
}

static void read_in_pieces(leat_prng *prng, leat_slice file, leat_buf *story)
{
    leat_csv_row row = {0};
    leat_error error = {""};
    size_t from = 0, come = 0, used;
    for (;;) {
        bool is_last = come == file.size;
        int found = leat_csv_read((leat_slice){file.data + from, come - from}, is_last, &row, &used,
                                  &error);
        ck_assert_msg(found >= 0, "%s", error.text);
        if (found == 0 && is_last)
            break;
        if (found == 0) {
            come += 1 + leat_prng_below(prng, 5);
            come = come < file.size ? come : file.size;
            continue;
        }
        from += used;
        for (uint32_t i = 0; i < row.count; i++)
            tell_field(leat_csv_text(&row, i), row.fields[i].is_quoted, story);
        leat_buf_byte(story, '\n');
    }
    ck_assert_uint_eq(from, file.size);
    leat_csv_free(&row);
}

START_TEST(rows_come_out_as_they_were_written)
{
    leat_prng prng = {setting("LEAT_TEST_SEED", 1)};
    for (uint64_t round = setting("LEAT_TEST_ROUNDS", ROUNDS); round > 0; round--) {
        leat_buf file = {0}, written = {0}, read = {0};
        make_rows(&prng, &file, &written);
        read_in_pieces(&prng, (leat_slice){file.data, file.size}, &read);
        ck_assert_msg(strcmp(leat_buf_cstr(&read), leat_buf_cstr(&written)) == 0,
                      "%.*s\nis\n%s\nnot\n%s", (int)file.size, file.data, read.data, written.data);
        leat_buf_free(&file);
        leat_buf_free(&written);
        leat_buf_free(&read);
    }
}
END_TEST

static const struct {
    const char *bytes;
    int found;
    uint32_t count;
    const char *message;
} cases[] = {
    {"", 0, 0, ""},
    {"\n", 1, 0, ""},
    {"\"\"\n", 1, 1, ""},
    {"a", 1, 1, ""},
    {"a,", 1, 2, ""},
    {",\r\n", 1, 2, ""},
    {"a\r", 1, 1, ""},
    {"\"a\"b\n", -1, 0, "a comma or the end of the line must follow a closing quote"},
    {"a\"b\n", -1, 0, "a quote stands inside a field that does not begin with one"},
    {"a\rb\n", -1, 0, "a carriage return stands outside quotes, without a line feed after it"},
    {"\"a\n", -1, 0, "a quoted field has no end"},
};

START_TEST(edges)
{
    leat_csv_row row = {0};
    leat_error error = {""};
    size_t used;
    int found = leat_csv_read(leat_slice_of(cases[_i].bytes), true, &row, &used, &error);
    ck_assert_int_eq(found, cases[_i].found);
    if (found == 1)
        ck_assert_uint_eq(row.count, cases[_i].count);
    ck_assert_str_eq(error.text, cases[_i].message);
    leat_csv_free(&row);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("csv");
    TCase *tests = tcase_create("csv");
    tcase_add_test(tests, rows_come_out_as_they_were_written);
    tcase_add_loop_test(tests, edges, 0, COUNT_OF(cases));
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
