#include "fixture.h"
#include "record/fold.h"

enum { NUMERIC_6_2 = ((6 << 16) | 2) + 4, RECORDS_MAX = 4 };

static leat_body_parser *parser;
static leat_fold *fold;
static leat_table table;
static leat_route route;

static void set_up(void)
{
    parser = leat_body_parser_new();
    fold = leat_fold_new();
    ck_assert(parser && fold);
    table = fixture_empty_table("t");
    fixture_add_key(&table, "id", LEAT_TYPE_INT4, -1);
}

static void tear_down(void)
{
    leat_table_fini(&table);
    leat_fold_free(fold);
    leat_body_parser_free(parser);
}

/* Column 1, "c", and column 2, "other", of the same kind. */
static void make_route(leat_type type, int32_t type_modifier, leat_column_op op, bool has_default)
{
    for (int i = 0; i < 2; i++) {
        leat_column *column = fixture_add(&table, i == 0 ? "c" : "other", type, type_modifier);
        column->by_bytes = true;
        column->default_expression = has_default ? leat_must_strdup("whatever") : NULL;
        ck_assert(leat_op_fits(op, column));
    }
    route = fixture_route(&table, "/t/{id}");
    route.ops[1] = route.ops[2] = op;
}

/* "put {...}", "patch {...}" or "delete". */
static leat_row_write record(const char *text, leat_value *values)
{
    leat_row_write write = {.values = values};
    leat_value key = {.presence = LEAT_PRESENT, .integer = 1};
    leat_route_op op;
    leat_body body;
    leat_body_error error;
    leat_slice name = {text, strcspn(text, " ")};
    ck_assert(leat_route_op_by_name(name, &op));
    leat_slice json = leat_slice_of(text + name.size);
    ck_assert_msg(leat_body_parse(parser, &route, op, json, &key, &body, &error) == LEAT_BODY_OK,
                  "%s: %s", text, error.message);
    ck_assert_int_eq(leat_fold_start(fold, &route, op, &body, &write), 0);
    return write;
}

static leat_fold_outcome fold_record(leat_row_write *write, const char *text)
{
    leat_value values[LEAT_COLUMNS_MAX];
    leat_row_write next = record(text, values);
    return leat_fold_next(fold, &route, write, &next);
}

static void put_value(leat_buf *out, const leat_column *column, const leat_value *value)
{
    if (value->presence == LEAT_NULL)
        leat_buf_text(out, "null");
    else if (leat_value_is_text(column->type))
        leat_buf_slice(out, value->text);
    else if (column->type == LEAT_TYPE_FLOAT8)
        leat_buf_printf(out, "%g", value->real);
    else
        leat_buf_printf(out, "%lld", (long long)value->integer);
}

/* "put c=5 other~7": set to 5, operand 7. */
static void check_write(const leat_row_write *write, const char *expected)
{
    leat_buf found = {0};
    leat_buf_text(&found, leat_route_op_name(write->op));
    for (uint32_t i = 0; i < table.column_count; i++) {
        if (!(write->present >> i & 1))
            continue;
        leat_buf_printf(&found, " %s%s", table.columns[i].name,
                        write->operated >> i & 1 ? "~" : "=");
        put_value(&found, &table.columns[i], &write->values[i]);
    }
    ck_assert_str_eq(leat_buf_cstr(&found), expected);
    leat_buf_free(&found);
}

static const struct {
    leat_type type;
    int32_t type_modifier;
    leat_column_op op;
    bool has_default;
    const char *records[RECORDS_MAX];
    const char *folded; /* NULL: the last record stays apart */
} cases[] = {
#define INT4    LEAT_TYPE_INT4, -1
#define INT8    LEAT_TYPE_INT8, -1
#define NUMERIC LEAT_TYPE_NUMERIC, -1
#define PRICE   LEAT_TYPE_NUMERIC, NUMERIC_6_2
#define REAL    LEAT_TYPE_FLOAT8, -1
#define TEXT    LEAT_TYPE_TEXT, -1
#define JSONB   LEAT_TYPE_JSONB, -1
    /* one record */
    {INT4, LEAT_OP_ADD, false, {"put {\"c\":1}"}, "put c=1"},
    {INT4, LEAT_OP_ADD, false, {"patch {\"c\":1}"}, "patch c~1"},
    {INT4, LEAT_OP_ADD, false, {"patch {\"c\":null}"}, "patch c=null"},
    {INT4, LEAT_OP_SET, false, {"patch {\"c\":1}"}, "patch c=1"},
    {INT4, LEAT_OP_ADD, false, {"delete"}, "delete"},
    {PRICE, LEAT_OP_ADD, false, {"patch {\"c\":1.005}"}, "patch c~1.01"},
    {PRICE, LEAT_OP_MAX, false, {"patch {\"c\":-1.005}"}, "patch c~-1.01"},
    {NUMERIC, LEAT_OP_ADD, false, {"patch {\"c\":1.005}"}, "patch c~1.005"},
    {JSONB, LEAT_OP_APPEND, false, {"patch {\"c\":[1]}"}, "patch c~[[1]]"},
    {JSONB, LEAT_OP_APPEND, false, {"put {\"c\":[1]}"}, "put c=[1]"},
    {JSONB, LEAT_OP_MERGE, false, {"patch {\"c\":{\"a\":null}}"}, "patch c~{\"a\":null}"},
    {JSONB, LEAT_OP_MERGE, false, {"patch {\"c\":[1]}"}, "patch c=[1]"},
    /* which operation follows which */
    {INT4, LEAT_OP_ADD, false, {"put {\"c\":1}", "delete"}, "delete"},
    {INT4, LEAT_OP_ADD, false, {"patch {\"c\":1}", "put {\"other\":2}"}, "put other=2"},
    {INT4, LEAT_OP_ADD, false, {"delete", "put {\"c\":2}"}, "put c=2"},
    {INT4, LEAT_OP_ADD, false, {"delete", "delete"}, "delete"},
    {INT4, LEAT_OP_ADD, false, {"delete", "patch {\"c\":2}"}, "put c=2"},
    {INT4, LEAT_OP_ADD, true, {"delete", "patch {\"c\":2}"}, "put c~2"},
    {INT4, LEAT_OP_ADD, true, {"delete", "patch {\"c\":2}", "patch {\"c\":3}"}, "put c~5"},
    {INT4, LEAT_OP_SET, true, {"delete", "patch {\"c\":2}"}, "put c=2"},
    {INT4, LEAT_OP_ADD, true, {"put {}", "patch {\"c\":2}"}, "put c~2"},
    {INT4, LEAT_OP_ADD, false, {"put {}", "patch {\"c\":2}"}, "put c=2"},
    {INT4, LEAT_OP_ADD, true, {"put {\"c\":1}", "patch {\"c\":2,\"other\":3}"}, "put c=3 other~3"},
    {INT4, LEAT_OP_ADD, false, {"patch {\"c\":1}", "patch {\"other\":3}"}, "patch c~1 other~3"},
    {INT4,
     LEAT_OP_ADD,
     false,
     {"patch {\"c\":1}", "patch {\"c\":null}", "patch {\"c\":4}"},
     "patch c=4"},
    {INT4, LEAT_OP_SET, false, {"patch {\"c\":1}", "patch {\"c\":2}"}, "patch c=2"},
    /* add */
    {INT4,
     LEAT_OP_ADD,
     false,
     {"patch {\"c\":2147483647}", "patch {\"c\":-1}"},
     "patch c~2147483646"},
    {INT4, LEAT_OP_ADD, false, {"patch {\"c\":2147483647}", "patch {\"c\":1}"}, NULL},
    {INT4, LEAT_OP_ADD, false, {"put {\"c\":-2147483648}", "patch {\"c\":-1}"}, NULL},
    {INT8, LEAT_OP_ADD, false, {"patch {\"c\":9223372036854775807}", "patch {\"c\":1}"}, NULL},
    {INT8,
     LEAT_OP_ADD,
     false,
     {"patch {\"c\":-9223372036854775807}", "patch {\"c\":-1}"},
     "patch c~-9223372036854775808"},
    {PRICE, LEAT_OP_ADD, false, {"patch {\"c\":0.005}", "patch {\"c\":0.005}"}, "patch c~0.02"},
    {PRICE, LEAT_OP_ADD, false, {"put {\"c\":0.005}", "patch {\"c\":0.005}"}, "put c=0.02"},
    {PRICE, LEAT_OP_ADD, false, {"put {\"c\":9999.99}", "patch {\"c\":0.01}"}, NULL},
    {PRICE,
     LEAT_OP_ADD,
     false,
     {"patch {\"c\":9999.99}", "patch {\"c\":0.01}"},
     "patch c~10000.00"},
    {NUMERIC, LEAT_OP_ADD, false, {"patch {\"c\":1.0}", "patch {\"c\":2.50}"}, "patch c~3.50"},
    {NUMERIC, LEAT_OP_ADD, false, {"put {\"c\":\"NaN\"}", "patch {\"c\":1}"}, NULL},
    {NUMERIC, LEAT_OP_ADD, false, {"patch {\"c\":1e60}", "patch {\"c\":1}"}, NULL},
    {REAL, LEAT_OP_ADD, false, {"patch {\"c\":1}", "patch {\"c\":1}"}, NULL},
    {REAL, LEAT_OP_ADD, false, {"put {\"c\":1}", "patch {\"c\":1}"}, NULL},
    {REAL, LEAT_OP_ADD, false, {"patch {\"c\":1}", "put {\"c\":2}"}, "put c=2"},
    {REAL, LEAT_OP_ADD, false, {"patch {\"c\":1}", "patch {\"c\":null}"}, "patch c=null"},
    {REAL, LEAT_OP_ADD, false, {"put {}", "patch {\"c\":-0.0}"}, "put c=0"},
    /* max, min: of equals the earlier */
    {INT4,
     LEAT_OP_MAX,
     false,
     {"patch {\"c\":1}", "patch {\"c\":2}", "patch {\"c\":1}"},
     "patch c~2"},
    {INT4, LEAT_OP_MIN, false, {"put {\"c\":3}", "patch {\"c\":2}", "patch {\"c\":3}"}, "put c=2"},
    {INT4, LEAT_OP_MIN, false, {"patch {\"c\":null}", "patch {\"c\":2}"}, "patch c=2"},
    {INT4, LEAT_OP_MAX, true, {"delete", "patch {\"c\":2}", "patch {\"c\":3}"}, "put c~3"},
    {NUMERIC, LEAT_OP_MAX, false, {"patch {\"c\":1.0}", "patch {\"c\":1.00}"}, "patch c~1.0"},
    {NUMERIC, LEAT_OP_MIN, false, {"patch {\"c\":1.0}", "patch {\"c\":1.00}"}, "patch c~1.0"},
    {REAL, LEAT_OP_MAX, false, {"patch {\"c\":1}", "patch {\"c\":1.5}"}, "patch c~1.5"},
    {TEXT, LEAT_OP_MAX, false, {"patch {\"c\":\"b\"}", "patch {\"c\":\"ab\"}"}, "patch c~b"},
    /* merge */
    {JSONB,
     LEAT_OP_MERGE,
     false,
     {"put {\"c\":{\"a\":1}}", "patch {\"c\":{\"a\":null,\"b\":2}}"},
     "put c={\"b\":2}"},
    {JSONB,
     LEAT_OP_MERGE,
     false,
     {"put {\"c\":[1]}", "patch {\"c\":{\"b\":2}}"},
     "put c={\"b\":2}"},
    {JSONB,
     LEAT_OP_MERGE,
     false,
     {"patch {\"c\":null}", "patch {\"c\":{\"b\":{\"x\":null}}}"},
     "patch c={\"b\":{}}"},
    {JSONB, LEAT_OP_MERGE, false, {"delete", "patch {\"c\":{\"b\":2}}"}, "put c={\"b\":2}"},
    {JSONB,
     LEAT_OP_MERGE,
     false,
     {"delete", "patch {\"c\":{\"b\":2,\"d\":null}}"},
     "put c={\"b\":2}"},
    {JSONB, LEAT_OP_MERGE, true, {"delete", "patch {\"c\":{\"d\":null}}"}, "put c~{\"d\":null}"},
    {JSONB,
     LEAT_OP_MERGE,
     false,
     {"patch {\"c\":{\"a\":1}}", "patch {\"c\":{\"a\":null}}"},
     "patch c~{\"a\":null}"},
    {JSONB, LEAT_OP_MERGE, false, {"patch {\"c\":{\"a\":1}}", "patch {\"c\":{\"a\":{}}}"}, NULL},
    {JSONB,
     LEAT_OP_MERGE,
     false,
     {"patch {\"c\":{\"a\":1}}", "patch {\"c\":7}", "patch {\"c\":{\"b\":2}}"},
     "patch c={\"b\":2}"},
    /* append */
    {JSONB,
     LEAT_OP_APPEND,
     false,
     {"patch {\"c\":1}", "patch {\"c\":[]}", "patch {\"c\":{\"a\":2}}"},
     "patch c~[1,[],{\"a\":2}]"},
    {JSONB, LEAT_OP_APPEND, false, {"put {\"c\":[]}", "patch {\"c\":1}"}, "put c=[1]"},
    {JSONB, LEAT_OP_APPEND, false, {"put {\"c\":[0]}", "patch {\"c\":1}"}, "put c=[0,1]"},
    {JSONB,
     LEAT_OP_APPEND,
     false,
     {"put {\"c\":{\"a\":0}}", "patch {\"c\":1}"},
     "put c=[{\"a\":0},1]"},
    {JSONB, LEAT_OP_APPEND, false, {"put {\"c\":\"x\"}", "patch {\"c\":1}"}, "put c=[\"x\",1]"},
    {JSONB, LEAT_OP_APPEND, false, {"put {}", "patch {\"c\":1}", "patch {\"c\":2}"}, "put c=[1,2]"},
    {JSONB, LEAT_OP_APPEND, true, {"put {}", "patch {\"c\":1}", "patch {\"c\":2}"}, "put c~[1,2]"},
};

START_TEST(records_fold_into_one_write)
{
    leat_value values[LEAT_COLUMNS_MAX];
    make_route(cases[_i].type, cases[_i].type_modifier, cases[_i].op, cases[_i].has_default);
    leat_row_write write = record(cases[_i].records[0], values);
    leat_fold_outcome last = LEAT_FOLD_DONE;
    for (int i = 1; i < RECORDS_MAX && cases[_i].records[i]; i++) {
        ck_assert_int_eq(last, LEAT_FOLD_DONE);
        last = fold_record(&write, cases[_i].records[i]);
    }
    ck_assert_int_eq(last, cases[_i].folded ? LEAT_FOLD_DONE : LEAT_FOLD_APART);
    if (cases[_i].folded)
        check_write(&write, cases[_i].folded);
}
END_TEST

START_TEST(what_stays_apart_leaves_the_write_as_it_was)
{
    leat_value values[LEAT_COLUMNS_MAX];
    make_route(INT4, LEAT_OP_ADD, false);
    leat_row_write write = record("patch {\"c\":1,\"other\":2147483647}", values);
    ck_assert_int_eq(fold_record(&write, "patch {\"c\":1,\"other\":1}"), LEAT_FOLD_APART);
    check_write(&write, "patch c~1 other~2147483647");
}
END_TEST

START_TEST(a_patch_that_is_counted_where_the_row_is_missing_stays_apart)
{
    leat_value values[LEAT_COLUMNS_MAX];
    make_route(INT4, LEAT_OP_ADD, false);
    route.patch_existing = true;
    leat_row_write write = record("patch {\"c\":1}", values);
    ck_assert_int_eq(fold_record(&write, "put {\"c\":1}"), LEAT_FOLD_APART);
    ck_assert_int_eq(fold_record(&write, "delete"), LEAT_FOLD_APART);
    ck_assert_int_eq(fold_record(&write, "patch {\"c\":1}"), LEAT_FOLD_DONE);
    write = record("delete", values);
    ck_assert_int_eq(fold_record(&write, "patch {\"c\":1}"), LEAT_FOLD_APART);
    ck_assert_int_eq(fold_record(&write, "put {\"c\":1}"), LEAT_FOLD_DONE);
    ck_assert_int_eq(fold_record(&write, "patch {\"c\":1}"), LEAT_FOLD_DONE);
    check_write(&write, "put c=2");
}
END_TEST

START_TEST(a_delete_that_matters_stays_apart_from_what_brings_the_row_back)
{
    leat_value values[LEAT_COLUMNS_MAX];
    make_route(INT4, LEAT_OP_ADD, false);
    table.deletes_matter = true;
    leat_row_write write = record("delete", values);
    ck_assert_int_eq(fold_record(&write, "put {\"c\":1}"), LEAT_FOLD_APART);
    ck_assert_int_eq(fold_record(&write, "patch {\"c\":1}"), LEAT_FOLD_APART);
    ck_assert_int_eq(fold_record(&write, "delete"), LEAT_FOLD_DONE);
    write = record("put {\"c\":1}", values);
    ck_assert_int_eq(fold_record(&write, "delete"), LEAT_FOLD_DONE);
}
END_TEST

START_TEST(the_kind_of_merge_fits_all_patches)
{
    leat_value values[LEAT_COLUMNS_MAX];
    make_route(JSONB, LEAT_OP_MERGE, false);
    leat_row_write write = record("patch {\"c\":{\"a\":1},\"other\":{\"a\":null}}", values);
    ck_assert_int_eq(write.merge, LEAT_MERGE_STRIP);
    ck_assert_int_eq(fold_record(&write, "patch {\"c\":{\"b\":{}}}"), LEAT_FOLD_DONE);
    ck_assert_int_eq(write.merge, LEAT_MERGE_DEEP);
    ck_assert_int_eq(fold_record(&write, "patch {\"c\":{\"b\":2},\"other\":{\"a\":1}}"),
                     LEAT_FOLD_DONE);
    ck_assert_int_eq(write.merge, LEAT_MERGE_CONCAT);
    ck_assert_int_eq(fold_record(&write, "patch {\"c\":{\"b\":null}}"), LEAT_FOLD_DONE);
    ck_assert_int_eq(write.merge, LEAT_MERGE_STRIP);
    ck_assert_int_eq(fold_record(&write, "patch {\"c\":1,\"other\":null}"), LEAT_FOLD_DONE);
    ck_assert_int_eq(write.merge, LEAT_MERGE_CONCAT);
    ck_assert_int_eq(fold_record(&write, "patch {\"c\":{\"b\":{}}}"), LEAT_FOLD_DONE);
    ck_assert_int_eq(write.merge, LEAT_MERGE_CONCAT); /* a value by now */
    check_write(&write, "patch c={\"b\":{}} other=null");
}
END_TEST

START_TEST(a_text_made_by_folding_has_a_limit_and_a_records_own_has_none)
{
    leat_value values[LEAT_COLUMNS_MAX];
    char body[LEAT_FOLD_TEXT_MAX + 64];
    make_route(JSONB, LEAT_OP_APPEND, false);
    leat_row_write write = record("patch {\"c\":1}", values);
    snprintf(body, sizeof body, "patch {\"c\":\"%0*d\"}", LEAT_FOLD_TEXT_MAX - 6, 1); /* [1,""]
                                                                                         around it
                                                                                       */
    ck_assert_int_eq(fold_record(&write, body), LEAT_FOLD_DONE);
    ck_assert_uint_eq(write.values[1].text.size, LEAT_FOLD_TEXT_MAX);
    ck_assert_int_eq(fold_record(&write, "patch {\"c\":1}"), LEAT_FOLD_APART);
    snprintf(body, sizeof body, "put {\"c\":\"%0*d\"}", LEAT_FOLD_TEXT_MAX, 1);
    ck_assert_int_eq(fold_record(&write, body), LEAT_FOLD_DONE);
    ck_assert_uint_eq(write.values[1].text.size, LEAT_FOLD_TEXT_MAX + 2);
    ck_assert_int_eq(fold_record(&write, "patch {\"c\":1}"), LEAT_FOLD_APART);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/write");
    TCase *tests = tcase_create("write");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, records_fold_into_one_write, 0, (int)COUNT_OF(cases));
    tcase_add_test(tests, what_stays_apart_leaves_the_write_as_it_was);
    tcase_add_test(tests, a_patch_that_is_counted_where_the_row_is_missing_stays_apart);
    tcase_add_test(tests, a_delete_that_matters_stays_apart_from_what_brings_the_row_back);
    tcase_add_test(tests, the_kind_of_merge_fits_all_patches);
    tcase_add_test(tests, a_text_made_by_folding_has_a_limit_and_a_records_own_has_none);
    return fixture_run(suite);
}
