/*
 * Random records through the SQLite shard's rows, and through the naive model of one row: after
 * each of them both hold the same, and what one refuses the other refuses. LEAT_TEST_SEED=n repeats
 * a run, LEAT_TEST_ROUNDS=n makes it longer.
 */
#include "../../lib/setting.h"
#include "../../unit/sink/sqlite/fixture.h"
#include "../record/row_model.h"

#include <inttypes.h>

enum { ROUNDS = 300, RECORDS = 20, COLUMNS = 9, BODY_SIZE = 1024 };

typedef struct column_kind {
    const char *declared;
    const char *default_text; /* as row_model.h has values; NULL: none */
    bool is_json;
} column_kind;

/* Column i + 1 of the table; the first is the key. */
static const column_kind kinds[COLUMNS] = {
    {"int2 DEFAULT 3", "3", false},
    {"int4", NULL, false},
    {"int8 NOT NULL DEFAULT -7", "-7", false},
    {"bool DEFAULT 1", "t", false},
    {"text DEFAULT 'b'", "b", false},
    {"text NOT NULL DEFAULT ''", "", false},
    {"json text", NULL, true},
    {"json text DEFAULT '[1]'", "[1]", true},
    {"json text DEFAULT '{\"a\":1,\"b\":{\"a\":2}}'", "{\"a\":1,\"b\":{\"a\":2}}", true},
};

static sqlite_fixture f;
static leat_sqlite sqlite;
static leat_sqlite_rows *rows;
static leat_prng prng;
static const char *defaults[LEAT_COLUMNS_MAX];
static uint32_t taken, refused;
static leat_buf collected; /* the object that the record's other members make; empty: it has none */

static int below(int bound)
{
    return (int)leat_prng_below(&prng, (uint64_t)bound);
}

static void put_json(leat_buf *out, int depth)
{
    static const char *const leaves[] = {"null", "true", "0", "-1.50", "\"x\"", "\"\\u00e9\""};
    static const char *const names[] = {"a", "b", "c"};
    int kind = depth > 0 ? below(4) : 2;
    if (kind >= 2) {
        leat_buf_text(out, leaves[below(6)]);
        return;
    }
    leat_buf_byte(out, kind == 0 ? '{' : '[');
    for (int i = 0, count = below(4); i < count; i++) {
        leat_buf_text(out, i ? "," : "");
        if (kind == 0)
            leat_buf_printf(out, "\"%s\":", names[below(3)]);
        put_json(out, depth - 1);
    }
    leat_buf_byte(out, kind == 0 ? '}' : ']');
}

/* Numbers at the edges, so that sums go over them. */
static void put_value(leat_buf *out, const leat_column *column)
{
    static const char *const numbers[] = {"0",
                                          "1",
                                          "-1",
                                          "32767",
                                          "-32768",
                                          "2147483647",
                                          "-2147483648",
                                          "9223372036854775807",
                                          "-9223372036854775808"};
    static const char *const texts[] = {"\"\"", "\"a\"", "\"B\"", "\"it's\"", "\"\\u00e9\""};
    int most = column->type == LEAT_TYPE_INT2 ? 5 : column->type == LEAT_TYPE_INT4 ? 7 : 9;
    if (below(8) == 0)
        leat_buf_text(out, "null");
    else if (column->type == LEAT_TYPE_BOOL)
        leat_buf_text(out, below(2) ? "true" : "false");
    else if (column->type == LEAT_TYPE_TEXT)
        leat_buf_text(out, texts[below(5)]);
    else if (column->type == LEAT_TYPE_JSONB)
        put_json(out, 3);
    else
        leat_buf_text(out, numbers[below(most)]);
}

/* Members that are no column: all of them are the value of the column that collects them. */
static void put_other(leat_buf *out, const char *between)
{
    static const char *const names[] = {"x", "y", "C1", "\\u00e9"};
    leat_buf_clear(&collected);
    for (int i = below(3); i >= 0; i--) {
        size_t at = out->size + strlen(between);
        leat_buf_printf(out, "%s\"%s\":", between, names[below(4)]);
        put_json(out, 3);
        leat_buf_byte(&collected, collected.size > 0 ? ',' : '{');
        leat_buf_append(&collected, out->data + at, out->size - at);
        between = ",";
    }
    leat_buf_byte(&collected, '}');
}

static leat_route_op random_record(leat_buf *out)
{
    const leat_route *route = &f.routes.routes[0];
    bool has_other = route->other == LEAT_OTHER_COLLECT && below(2) == 0;
    leat_buf_clear(&collected);
    leat_route_op op = below(5) == 0 ? LEAT_DELETE : below(4) == 0 ? LEAT_PUT : LEAT_PATCH;
    leat_buf_printf(out, "%s 1 ", leat_route_op_name(op));
    if (op == LEAT_DELETE)
        return op;
    const char *between = "{";
    for (uint32_t i = 1; i <= COLUMNS; i++) {
        if (below(3) == 0 || (has_other && i == (uint32_t)route->other_column))
            continue;
        leat_buf_printf(out, "%s\"c%u\":", between, i);
        put_value(out, &f.table.columns[i]);
        between = ",";
    }
    if (has_other) {
        put_other(out, between);
        between = ",";
    }
    leat_buf_text(out, *between == '{' ? "{}" : "}");
    return op;
}

static void make_world(void)
{
    leat_buf create = {0};
    leat_buf_text(&create, "CREATE TABLE t (id int PRIMARY KEY");
    for (int i = 0; i < COLUMNS; i++) {
        leat_buf_printf(&create, ", c%d %s", i + 1, kinds[i].declared);
        defaults[i + 1] = kinds[i].default_text;
    }
    leat_buf_byte(&create, ')');
    leat_route *route = sqlite_route(&f, leat_buf_cstr(&create), NULL, LEAT_OP_SET);
    leat_buf_free(&create);
    route->patch_existing = below(4) == 0;
    route->put_merge = !route->patch_existing && below(2) == 0;
    for (uint32_t i = 1; i <= COLUMNS; i++) {
        do
            route->ops[i] = (leat_column_op)below(LEAT_OP_COUNT);
        while (!leat_op_fits(route->ops[i], &f.table.columns[i]));
        bool is_integer = leat_type_is_integer(f.table.columns[i].type);
        route->steps[i] = (leat_step){0};
        if (route->ops[i] == LEAT_OP_MAX && is_integer && below(2) == 0)
            route->steps[i] = (leat_step){.is_set = true, .integer = below(2) ? 2 : 32767};
        if (f.table.columns[i].type == LEAT_TYPE_JSONB &&
            (route->ops[i] == LEAT_OP_SET || route->ops[i] == LEAT_OP_MERGE) && below(2) == 0) {
            route->other = LEAT_OTHER_COLLECT;
            route->other_column = (int8_t)i;
        }
    }
}

static void check_collected(const leat_body *body)
{
    const leat_value *value = &body->values[f.routes.routes[0].other_column];
    char *text = strndup(value->text.data, value->text.size);
    char *found = row_model_json(text), *wanted = row_model_json(leat_buf_cstr(&collected));
    ck_assert_str_eq(found, wanted);
    free(found);
    free(wanted);
    free(text);
}

/* The stored row in the model's form. */
static void expect_value(const model_row *row, uint32_t column, const char *record)
{
    char sql[96];
    bool is_bool = f.table.columns[column].type == LEAT_TYPE_BOOL;
    snprintf(sql, sizeof sql,
             is_bool ? "SELECT iif(c%u, 't', 'f') FROM t WHERE c%u IS NOT NULL"
                     : "SELECT c%u FROM t",
             column, column);
    const char *stored = sqlite_ask(&f, sql);
    const char *none = is_bool ? "(none)" : "(null)";
    char *json = kinds[column - 1].is_json && strcmp(stored, none) != 0 ? row_model_json(stored)
                                                                        : NULL;
    const char *wanted = row->values[column] ? row->values[column] : none;
    bool may_be_behind = f.routes.routes[0].steps[column].is_set && row->values[column] &&
                         strcmp(stored, none) != 0 &&
                         row_model_within_step(&f.routes.routes[0], column, wanted, stored);
    ck_assert_msg(may_be_behind || strcmp(json ? json : stored, wanted) == 0,
                  "%s: c%u (%s) is %s, not %s", record, column,
                  leat_op_name(f.routes.routes[0].ops[column]), json ? json : stored, wanted);
    free(json);
}

static void expect_row(const model_row *row, const char *record)
{
    ck_assert_msg(strcmp(sqlite_ask(&f, "SELECT count(*) FROM t"), row->exists ? "1" : "0") == 0,
                  "%s", record);
    for (uint32_t i = 1; row->exists && i <= COLUMNS; i++)
        expect_value(row, i, record);
}

/* A body that the edge would refuse is not a record. */
static bool parse(leat_body_parser *parser, leat_route_op op, const char *record, leat_body *ret)
{
    leat_body_error error;
    leat_value key = {.presence = LEAT_PRESENT, .integer = 1};
    const char *body = strchr(record, ' ') + 2;
    return op == LEAT_DELETE ||
           leat_body_parse(parser, &f.routes.routes[0], op, leat_slice_of(body), &key, ret,
                           &error) == LEAT_BODY_OK;
}

static void run_record(leat_body_parser *parser, model_row *row)
{
    leat_buf text = {0};
    static leat_body body;
    leat_sqlite_counts counts = {0};
    leat_sqlite_fault fault;
    leat_route_op op = random_record(&text);
    const char *record = leat_buf_cstr(&text);
    if (parse(parser, op, record, &body)) {
        if (collected.size > 0)
            check_collected(&body);
        bool is_taken = row_model_apply(row, &f.routes.routes[0], defaults, op, &body);
        int status = sqlite_write(&f, rows, &sqlite, record, &counts, &fault);
        ck_assert_msg((status == 0) == is_taken, "%s: %s", record,
                      status == 0 ? "taken, the model refuses it" : fault.error.text);
        ck_assert(status == 0 || fault.outcome == LEAT_ENGINE_BAD_DATA);
        expect_row(row, record);
        taken += is_taken;
        refused += !is_taken;
    }
    leat_buf_free(&text);
}

START_TEST(a_row_is_what_the_model_says)
{
    uint64_t seed = setting("LEAT_TEST_SEED", (uint64_t)leat_wall_ms() / 1000);
    leat_body_parser *parser = leat_body_parser_new();
    for (uint64_t i = 0, rounds = setting("LEAT_TEST_ROUNDS", ROUNDS); i < rounds; i++) {
        printf("# LEAT_TEST_SEED=%" PRIu64 " LEAT_TEST_ROUNDS=1\r", seed + i);
        prng = (leat_prng){seed + i};
        model_row row = {0};
        sqlite_begin(&f);
        sqlite_sql(&f, "PRAGMA synchronous = OFF");
        make_world();
        rows = leat_sqlite_rows_new();
        ck_assert(rows && leat_sqlite_open(&sqlite, f.file, 100, &f.error) == 0 &&
                  leat_sqlite_run(&sqlite, "PRAGMA synchronous = OFF", &f.error) == 0);
        for (int r = 0; r < RECORDS; r++)
            run_record(parser, &row);
        leat_body_parser_reset(parser);
        model_row_clear(&row);
        leat_sqlite_rows_free(rows);
        leat_sqlite_close(&sqlite);
        sqlite_end(&f);
    }
    printf("\n# %u taken, %u refused\n", taken, refused);
    ck_assert(taken > refused && refused > 0);
    leat_body_parser_free(parser);
    leat_buf_free(&collected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite fold");
    TCase *tests = tcase_create("rows");
    suite_add_tcase(suite, tests);
    tcase_set_timeout(tests, 240);
    tcase_add_test(tests, a_row_is_what_the_model_says);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
