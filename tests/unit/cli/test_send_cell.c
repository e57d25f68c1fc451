/* A cell of a CSV file is one value of JSON, whatever is in it, and known not to be of its kind. */
#include "../record/fixture.h"

#include <yyjson.h>

#include "cli/send_cell.h"

static const char *const kinds[] = {"text", "number", "bool", "json", "timestamp"};

static leat_send_kind kind_of(const char *name)
{
    leat_send_kind kind = LEAT_SEND_JSON_OR_TEXT;
    ck_assert(leat_send_kind_named(leat_slice_of(name), &kind) || !*name);
    return kind;
}

/* `kind` "": JSON or text. `value`: what it becomes. */
static void expect(const char *kind, const char *cell, const char *value, bool fits)
{
    leat_buf out = {0};
    ck_assert_msg(leat_send_cell_value(&out, kind_of(kind), leat_slice_of(cell)) == fits, "%s: %s",
                  kind, cell);
    ck_assert_str_eq(leat_buf_cstr(&out), value);
    leat_buf_free(&out);
}

START_TEST(what_fits_its_kind_is_sent_as_such)
{
    expect("number", "-1.50e3", "-1.50e3", true);
    expect("number", "123456789012345678901234567890", "123456789012345678901234567890", true);
    expect("bool", "t", "true", true);
    expect("bool", "FALSE", "false", true);
    expect("json", "{\"a\":\n[1]}", "{\"a\": [1]}", true);
    expect("json", "\"a\"", "\"a\"", true);
    expect("json", "null", "null", true);
    expect("", "{\"a\":1}", "{\"a\":1}", true);
    expect("", "{a", "\"{a\"", true);
    expect("", "", "\"\"", true);
    expect("text", "{}", "\"{}\"", true);
    expect("timestamp", "2026-01-02 03:04:05+00", "\"2026-01-02T03:04:05+00:00\"", true);
}
END_TEST

START_TEST(what_does_not_fit_is_a_text_and_said_to_be_one)
{
    expect("number", "true", "\"true\"", false);
    expect("number", "1 2", "\"1 2\"", false);
    expect("number", "01", "\"01\"", false);
    expect("number", "\"1\"", "\"\\\"1\\\"\"", false);
    expect("number", "", "\"\"", false);
    expect("bool", "yes", "\"yes\"", false);
    expect("json", "{", "\"{\"", false);
    expect("json", "", "\"\"", false);
    ck_assert_str_eq(leat_send_kind_words(LEAT_SEND_NUMBER), "a number");
}
END_TEST

/* Whoever writes the cell must not write the rest of the item. */
START_TEST(no_cell_gets_out_of_its_value)
{
    static const char *const cells[] = {
        "{},\"balance\":1000",
        "1,\"balance\":1000",
        "1}",
        "{}}",
        "null}}\n{\"a\":1}",
        "\"a\",\"balance\":1",
        "[1],[2]",
        "1/**/",
        "\",\"balance\":1,\"",
        "t,\"balance\":1000",
        "\\",
        "\"",
        "2026-01-02 03:04:05\",\"balance\":\"1",
        "{} ,",
        "1\n,\"b\":2",
        "{},\"balance\":1000}",
    };
    for (size_t k = 0; k <= COUNT_OF(kinds); k++)
        for (size_t i = 0; i < COUNT_OF(cells); i++) {
            leat_buf out = {0};
            leat_send_kind kind = kind_of(k < COUNT_OF(kinds) ? kinds[k] : "");
            leat_buf_text(&out, "{\"v\":");
            bool fits = leat_send_cell_value(&out, kind, leat_slice_of(cells[i]));
            ck_assert(fits || kind < LEAT_SEND_TIMESTAMP);
            leat_buf_text(&out, ",\"last\":7}");
            yyjson_doc *doc = yyjson_read(out.data, out.size, 0);
            ck_assert_msg(doc != NULL, "%s", leat_buf_cstr(&out));
            yyjson_val *root = yyjson_doc_get_root(doc);
            ck_assert_msg(yyjson_obj_size(root) == 2 && yyjson_obj_get(root, "last"), "%s",
                          leat_buf_cstr(&out));
            ck_assert_ptr_null(memchr(out.data, '\n', out.size));
            yyjson_doc_free(doc);
            leat_buf_free(&out);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("send_cell");
    TCase *tests = tcase_create("send_cell");
    tcase_add_test(tests, what_fits_its_kind_is_sent_as_such);
    tcase_add_test(tests, what_does_not_fit_is_a_text_and_said_to_be_one);
    tcase_add_test(tests, no_cell_gets_out_of_its_value);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
