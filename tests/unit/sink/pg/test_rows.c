/* A batch's records as row statements: grouping, order, faults, and the binary arrays byte by byte.
 * No database. */
#include "sink_fixture.h"

static leat_table make_table(const char *name)
{
    leat_table table = {.schema = "public", .column_count = 4, .key_count = 1};
    snprintf(table.name, sizeof table.name, "%s", name);
    table.columns[0] = (leat_column){.name = "id",
                                     .type = LEAT_TYPE_INT4,
                                     .type_name = "integer",
                                     .type_modifier = -1,
                                     .not_null = true};
    table.columns[1] = (leat_column){.name = "n",
                                     .type = LEAT_TYPE_INT2,
                                     .type_name = "smallint",
                                     .type_modifier = -1,
                                     .key_position = -1};
    table.columns[2] = (leat_column){.name = "note",
                                     .type = LEAT_TYPE_TEXT,
                                     .type_name = "text",
                                     .type_modifier = -1,
                                     .key_position = -1};
    table.columns[3] = (leat_column){.name = "list",
                                     .type = LEAT_TYPE_JSONB,
                                     .type_name = "jsonb",
                                     .type_modifier = -1,
                                     .key_position = -1};
    return table;
}

static void add_route(fixture *f, const char *name, const char *path, uint32_t table)
{
    leat_error error = {""};
    leat_route_spec spec = {.name = name, .path = path};
    uint32_t at = f->routes.count++;
    int built =
        leat_route_build(&spec, &f->catalog.tables[table], table, &f->routes.routes[at], &error);
    ck_assert_msg(built == 0, "%s", error.text);
    f->routes.routes[at].index = at;
}

/* Routes a and b on table one, c on table two. */
static fixture *open_routes(void)
{
    fixture *f = fixture_new();
    f->catalog.tables = leat_must_calloc(2, sizeof(leat_table));
    f->catalog.table_count = 2;
    f->catalog.tables[0] = make_table("one");
    f->catalog.tables[1] = make_table("two");
    add_route(f, "a", "/a/{id}", 0);
    add_route(f, "b", "/b/{id}", 0);
    add_route(f, "c", "/c/{id}", 1);
    return f;
}

static leat_rows *build(fixture *f)
{
    leat_rows *rows = leat_rows_new();
    leat_rows_fault fault;
    ck_assert_msg(leat_rows_build(rows, &f->batch, &f->routes, &fault) == 0, "%s",
                  fault.error.text);
    return rows;
}

/* "patch a 1110 uniform 2" for each statement: operation, route, columns by ascending index,
 * rows. */
static void expect_statements(leat_rows *rows, const char *expected)
{
    char text[2048] = "";
    for (uint32_t i = 0; i < leat_rows_statement_count(rows); i++) {
        leat_shape shape = leat_rows_shape(rows, i);
        leat_row_statement statement;
        ck_assert_int_eq(leat_rows_statement(rows, i, shape, &statement), 0);
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s %s ", used ? ", " : "",
                 leat_route_op_name(shape.op), shape.route->name);
        for (uint32_t column = 0; column < shape.route->table->column_count; column++)
            strcat(text, shape.columns & ((uint64_t)1 << column) ? "1" : "0");
        used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s %u", shape.uniform ? "" : " mixed",
                 statement.row_count);
    }
    ck_assert_str_eq(text, expected);
}

START_TEST(rows_of_one_operation_share_a_statement)
{
    fixture *f = open_routes();
    fixture_add(f, "a", "patch", "1", "{\"n\":1,\"note\":\"x\"}");
    fixture_add(f, "a", "put", "2", "{\"n\":1}");
    fixture_add(f, "a", "patch", "3", "{\"note\":\"x\",\"n\":null}");
    fixture_add(f, "a", "delete", "4", NULL);
    fixture_add(f, "a", "put", "5", "{\"list\":[]}");
    fixture_add(f, "c", "patch", "1", "{}");
    leat_rows *rows = build(f);
    expect_statements(rows, "patch a 0110 2, put a 0101 mixed 2, delete a 0000 1, patch c 0000 1");
    ck_assert_uint_eq(leat_rows_count(rows), 6);
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(writes_that_do_not_fold_go_in_rounds)
{
    fixture *f = open_routes();
    fixture_add(f, "a", "patch", "1", "{\"n\":1}");
    fixture_add(f, "a", "patch", "2", "{\"n\":1}");
    fixture_add(f, "b", "patch", "01", "{\"note\":\"x\"}"); /* the same key by another route, not
                                                               canonical */
    fixture_add(f, "c", "patch", "1", "{\"note\":\"x\"}");  /* another table's */
    fixture_add(f, "a", "delete", "1", NULL);
    fixture_add(f, "a", "patch", "2", "{\"n\":1}");
    leat_rows *rows = build(f);
    expect_statements(rows, "patch a 0100 2, patch c 0010 1, patch b 0010 1, delete a 0000 1");
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

/* A statement may have a row only once, and here the row is less than the key. */
START_TEST(two_tenants_that_write_one_row_meet_in_it)
{
    fixture *f = open_routes();
    leat_error error = {""};
    leat_route_spec spec = {.name = "a", .path = "/a/{id}", .tenant = "body.note"};
    ck_assert_int_eq(
        leat_route_build(&spec, &f->catalog.tables[0], 0, &f->routes.routes[0], &error), 0);
    fixture_add(f, "a", "patch", "x/1", "{\"n\":1}");
    fixture_add(f, "a", "patch", "x/2", "{\"n\":1}");
    fixture_add(f, "a", "patch", "y/01", "{\"list\":[]}");
    fixture_add(f, "a", "delete", "y/2", NULL);
    leat_rows *rows = build(f);
    expect_statements(rows, "patch a 0111 1, delete a 0000 1");
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(writes_to_one_key_become_one)
{
    fixture *f = open_routes();
    fixture_add(f, "a", "patch", "1", "{\"n\":1}");
    fixture_add(f, "a", "patch", "2", "{\"n\":1}");
    fixture_add(f, "a", "put", "01", "{\"note\":\"x\"}"); /* not canonical */
    fixture_add(f, "a", "patch", "1", "{\"list\":[]}");
    fixture_add(f, "a", "patch", "2", "{\"note\":\"x\"}");
    leat_rows *rows = build(f);
    expect_statements(rows, "put a 0011 1, patch a 0110 1");
    ck_assert_uint_eq(leat_rows_count(rows), 2);
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(a_route_may_keep_records_apart)
{
    fixture *f = open_routes();
    f->routes.routes[0].fold = false;
    for (int i = 0; i < 3; i++)
        fixture_add(f, "a", "patch", "1", "{\"n\":1}");
    fixture_add(f, "a", "patch", "2", "{\"n\":1}");
    leat_rows *rows = build(f);
    expect_statements(rows, "patch a 0100 2, patch a 0100 1, patch a 0100 1");
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

/* The ids of the rows, statement by statement. */
static void expect_ids(leat_rows *rows, const char *expected)
{
    char text[256] = "";
    for (uint32_t i = 0; i < leat_rows_statement_count(rows); i++) {
        leat_row_statement statement;
        ck_assert_int_eq(leat_rows_statement(rows, i, leat_rows_shape(rows, i), &statement), 0);
        for (uint32_t row = 0; row < statement.row_count; row++)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d",
                     row > 0 ? "+"
                     : *text ? " "
                             : "",
                     statement.values[0][20 + 8 * row + 7]);
    }
    ck_assert_str_eq(text, expected);
}

START_TEST(rows_of_a_statement_are_in_the_order_of_the_key)
{
    fixture *f = open_routes();
    static const char *const ids[] = {"9", "1", "10", "7", "2", "100"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        fixture_add(f, "a", i % 2 == 0 ? "patch" : "delete", ids[i],
                    i % 2 == 0 ? "{\"n\":1}" : NULL);
    fixture_add(f, "a", "delete", "9", NULL);
    leat_rows *rows = build(f);
    expect_ids(rows, "1+7+9+100 2+10"); /* the delete has taken the first patch in */
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

/* Route d on a table with the key (a int8, b text). */
static fixture *open_pairs(void)
{
    fixture *f = fixture_new();
    f->catalog.tables = leat_must_calloc(1, sizeof(leat_table));
    f->catalog.table_count = 1;
    leat_table *table = &f->catalog.tables[0];
    *table = make_table("pairs");
    table->columns[0].type = LEAT_TYPE_INT8;
    table->columns[2].not_null = true;
    table->columns[2].key_position = 1;
    table->key_columns[1] = 2;
    table->key_count = 2;
    add_route(f, "d", "/d/{id}/{note}", 0);
    return f;
}

static int64_t scattered(uint32_t i)
{
    return (int64_t)(i * UINT64_C(0x9e3779b97f4a7c15) >> 4);
}

static int64_t beside_one_far_off(uint32_t i)
{
    return i == 3 ? INT64_MAX : i % 2 ? (int64_t)i : -(int64_t)i;
}

static int64_t all_the_same(uint32_t i)
{
    (void)i;
    return 7;
}

static int64_t few_and_falling(uint32_t i)
{
    return 5 - (int64_t)(i / 100);
}

static int64_t be64_at(const char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return (int64_t)be64toh(value);
}

static leat_slice take_text(const char **at)
{
    uint32_t size;
    memcpy(&size, *at, sizeof size);
    leat_slice text = {*at + sizeof size, be32toh(size)};
    *at = text.data + text.size;
    return text;
}

static void expect_ascending(leat_rows *rows, uint32_t count)
{
    leat_row_statement statement;
    ck_assert_uint_eq(leat_rows_statement_count(rows), 1);
    ck_assert_int_eq(leat_rows_statement(rows, 0, leat_rows_shape(rows, 0), &statement), 0);
    ck_assert_uint_eq(statement.row_count, count);
    const char *texts = statement.values[1] + 20;
    leat_slice text = take_text(&texts);
    for (uint32_t i = 1; i < count; i++) {
        int64_t before = be64_at(statement.values[0] + 20 + 12 * (i - 1) + 4);
        int64_t number = be64_at(statement.values[0] + 20 + 12 * i + 4);
        leat_slice next = take_text(&texts);
        size_t least = text.size < next.size ? text.size : next.size;
        int order = memcmp(text.data, next.data, least);
        bool is_later = order < 0 || (order == 0 && text.size < next.size);
        ck_assert_msg(before < number || (before == number && is_later), "row %u of %u", i, count);
        text = next;
    }
}

START_TEST(many_rows_are_in_the_order_of_their_keys)
{
    static int64_t (*const numbers[])(uint32_t) = {scattered, beside_one_far_off, all_the_same,
                                                   few_and_falling};
    static const uint32_t counts[] = {1, 2, 3, 12, 13, 14, 100, 1024, 1500};
    static char keys[FIXTURE_RECORDS_MAX][64];
    fixture *f = open_pairs();
    leat_rows *rows = leat_rows_new();
    for (size_t kind = 0; kind < sizeof numbers / sizeof *numbers; kind++) {
        for (size_t at = 0; at < sizeof counts / sizeof *counts; at++) {
            leat_rows_fault fault;
            for (uint32_t i = 0; i < counts[at]; i++) {
                /* The first eight bytes of many texts are the same. */
                snprintf(keys[i], sizeof keys[i], "%lld/%s%u", (long long)numbers[kind](i),
                         i % 3 ? "a-long-name-" : "", i * 7919 % 3001);
                fixture_add(f, "d", "patch", keys[i], "{\"n\":1}");
            }
            ck_assert_int_eq(leat_rows_build(rows, &f->batch, &f->routes, &fault), 0);
            expect_ascending(rows, counts[at]);
            fixture_clear(f);
        }
    }
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(ordered_tables_are_written_in_the_order_of_the_log)
{
    static const struct {
        const char *route, *key;
        uint32_t partition;
        uint16_t subpartition;
        int64_t offset;
    } records[] = {
        {"a", "1", 0, 3, 10}, {"c", "9", 0, 3, 11}, {"b", "1", 0, 3, 17},
        {"a", "2", 0, 5, 4},  {"a", "3", 0, 5, 12}, {"c", "8", 0, 5, 13},
        {"a", "4", 1, 0, 2},  {"a", "4", 1, 0, 5},  {"a", "5", 1, 1, 3},
    };
    fixture *f = open_routes();
    f->catalog.tables[0].is_ordered = true;
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        leat_engine_batch_record *record =
            fixture_add(f, records[i].route, "patch", records[i].key, "{\"n\":1}");
        record->partition = records[i].partition;
        record->subpartition = records[i].subpartition;
        record->offset = records[i].offset;
    }
    leat_rows *rows = build(f);
    expect_ids(rows, "8+9 2 1 3 1 4 5 4");
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(masks_and_the_least_merge_of_mixed_rows)
{
    static const unsigned char operated[] = {0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 8, 0, 0,
                                             0, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0,  0, 0, 0, 0, 0, 0};
    fixture *f = open_routes();
    leat_row_statement statement;
    f->routes.routes[0].ops[1] = LEAT_OP_ADD;
    f->routes.routes[0].ops[3] = LEAT_OP_MERGE;
    fixture_add(f, "a", "patch", "1", "{\"n\":1,\"list\":{\"a\":1}}");
    fixture_add(f, "a", "patch", "2", "{\"n\":null,\"list\":{\"a\":null}}");
    fixture_add(f, "a", "patch", "3", "{\"note\":\"x\"}");
    leat_rows *rows = build(f);
    leat_shape shape = leat_rows_shape(rows, 0);
    ck_assert_uint_eq(shape.columns, 14);
    ck_assert_uint_eq(shape.operated, 10);
    ck_assert_int_eq(shape.merge, LEAT_MERGE_STRIP);
    ck_assert(!shape.uniform);
    ck_assert_int_eq(leat_rows_statement(rows, 0, shape, &statement), 0);
    ck_assert_uint_eq(statement.param_count, 6);
    ck_assert_uint_eq((size_t)statement.sizes[5], 20 + sizeof operated);
    ck_assert_mem_eq(statement.values[5] + 20, operated, sizeof operated);
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(dropped_records_are_counted_by_record)
{
    static const unsigned char counts[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0,
                                           0, 1, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0,  0, 4, 0, 0, 0, 1};
    fixture *f = open_routes();
    leat_row_statement statement;
    f->routes.routes[0].patch_existing = true;
    for (int i = 0; i < 3; i++)
        fixture_add(f, "a", "patch", "1", "{\"n\":1}");
    fixture_add(f, "a", "patch", "2", "{\"n\":1}");
    leat_rows *rows = build(f);
    ck_assert_int_eq(leat_rows_missing(rows, 0, &statement), 0);
    ck_assert_uint_eq(statement.param_count, 2);
    ck_assert_uint_eq((size_t)statement.sizes[1], sizeof counts);
    ck_assert_mem_eq(statement.values[1], counts, sizeof counts);
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

/* Items decoded by an older version: names, types and keys are those of the version that the batch
 * is built with. */
START_TEST(the_newest_version_of_the_tables_counts)
{
    fixture *f = open_routes();
    leat_rows *rows = leat_rows_new();
    leat_rows_fault fault;
    leat_table narrow = make_table("one");
    leat_routes *newer = leat_must_calloc(1, sizeof *newer);
    *newer = f->routes;
    narrow.columns[0].type = LEAT_TYPE_INT2;
    snprintf(narrow.columns[1].name, sizeof narrow.columns[1].name, "m");
    for (uint32_t i = 0; i < 2; i++)
        newer->routes[i].table = &narrow;
    fixture_add(f, "a", "patch", "1", "{\"m\":1}");
    ck_assert_int_eq(leat_rows_build(rows, &f->batch, newer, &fault), 0);
    leat_shape shape = leat_rows_shape(rows, 0);
    ck_assert_ptr_eq(shape.route, &newer->routes[0]);
    fixture_clear(f);
    fixture_add(f, "a", "delete", "70000", NULL);
    ck_assert_int_eq(leat_rows_build(rows, &f->batch, newer, &fault), -1);
    ck_assert(fault.relies_on_table);
    ck_assert_int_eq(fault.bad_record, 0);
    leat_rows_free(rows);
    free(newer);
    fixture_free(f);
}
END_TEST

START_TEST(a_fault_says_whether_it_relies_on_the_table)
{
    static const struct {
        const char *route, *key, *body;
        bool relies;
    } bad[] = {
        {"a", "1", "{\"n\":1", false},     {"a", "1", "[]", false}, {"a", "1", "{\"m\":1}", true},
        {"a", "1", "{\"n\":70000}", true}, {"z", "1", "{}", false}, {"a", "x", "{}", false},
    };
    fixture *f = open_routes();
    leat_rows *rows = leat_rows_new();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        leat_rows_fault fault;
        fixture_add(f, bad[i].route, "patch", bad[i].key, bad[i].body);
        ck_assert_int_eq(leat_rows_build(rows, &f->batch, &f->routes, &fault), -1);
        ck_assert_int_eq(fault.outcome, LEAT_ENGINE_BAD_DATA);
        ck_assert_msg(fault.relies_on_table == bad[i].relies, "%s %s", bad[i].key, bad[i].body);
        fixture_clear(f);
    }
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(a_builder_forgets_the_batch_before)
{
    static char keys[300][16];
    fixture *f = open_routes();
    leat_rows *rows = leat_rows_new();
    leat_rows_fault fault;
    for (int size = 1; size < 300; size += 37) {
        for (int i = 0; i < size; i++) {
            snprintf(keys[i], sizeof keys[i], "%d", i);
            fixture_add(f, "a", "patch", keys[i], "{\"n\":1}");
        }
        ck_assert_int_eq(leat_rows_build(rows, &f->batch, &f->routes, &fault), 0);
        ck_assert_uint_eq(leat_rows_statement_count(rows), 1);
        ck_assert_uint_eq(leat_rows_count(rows), (uint32_t)size);
        fixture_clear(f);
    }
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(a_batch_may_be_empty)
{
    fixture *f = open_routes();
    leat_rows *rows = build(f);
    expect_statements(rows, "");
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(arrays_are_in_binary_form)
{
    static const unsigned char ids[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 23, 0, 0, 0, 2, 0, 0,
                                        0, 1, 0, 0, 0, 4, 0, 0, 0, 7, 0, 0,  0, 4, 0, 0, 0, 8};
    static const unsigned char ns[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0,   0,   21,  0,   0,   0,
                                       2, 0, 0, 0, 1, 0, 0, 0, 2, 255, 254, 255, 255, 255, 255};
    static const unsigned char lists[] = {0,   0,   0, 1, 0, 0, 0, 1,   0,   0,   14,
                                          218, 0,   0, 0, 2, 0, 0, 0,   1,   255, 255,
                                          255, 255, 0, 0, 0, 4, 1, '[', '1', ']'};
    static const unsigned char named[] = {0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0,
                                          2, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0,  0, 0, 0,
                                          0, 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0,  0, 10};
    static const struct {
        const void *bytes;
        size_t size;
    } expected[] = {
        {ids, sizeof ids}, {ns, sizeof ns}, {lists, sizeof lists}, {named, sizeof named}};
    fixture *f = open_routes();
    leat_row_statement statement;
    fixture_add(f, "a", "patch", "7", "{\"n\":-2}");
    fixture_add(f, "a", "patch", "8", "{\"list\":[1],\"n\":null}");
    leat_rows *rows = build(f);
    ck_assert_int_eq(leat_rows_statement(rows, 0, leat_rows_shape(rows, 0), &statement), 0);
    ck_assert_uint_eq(statement.param_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert_uint_eq((size_t)statement.sizes[i], expected[i].size);
        ck_assert_mem_eq(statement.values[i], expected[i].bytes, expected[i].size);
    }
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(the_shape_of_any_has_every_column)
{
    fixture *f = open_routes();
    leat_row_statement statement;
    fixture_add(f, "a", "patch", "7", "{\"note\":\"x\"}");
    leat_rows *rows = build(f);
    leat_shape any = leat_shape_of_any(&f->routes.routes[0], LEAT_PATCH);
    ck_assert_uint_eq(any.columns, 14);
    ck_assert_int_eq(leat_rows_statement(rows, 0, any, &statement), 0);
    ck_assert_uint_eq(statement.param_count, 5);
    ck_assert_mem_eq(statement.values[1] + 20, "\xff\xff\xff\xff", 4);
    ck_assert_mem_eq(statement.values[2] + 20, "\0\0\0\1x", 5);
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

START_TEST(the_first_record_without_sense_is_named)
{
    static const struct {
        const char *route, *op, *key, *body, *message;
    } bad[] = {
        {"a", "patch", "1", "{\"n\":1", NULL},
        {"a", "patch", "1", "{\"m\":1}", NULL},
        {"a", "put", "1", "{\"n\":99999}", NULL},
        {"a", "patch", "x", "{}", NULL},
        {"z", "patch", "1", "{}", "there is no route \"z\""},
        {"a", "hit", "1", "{}", "there is no operation \"hit\""},
    };
    fixture *f = open_routes();
    leat_rows *rows = leat_rows_new();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        leat_rows_fault fault = {0};
        fixture_add(f, "a", "patch", "1", "{\"n\":1}");
        fixture_add(f, "a", "delete", "2", "{broken, and nobody looks");
        fixture_add(f, bad[i].route, bad[i].op, bad[i].key, bad[i].body);
        fixture_add(f, "a", "patch", "9", "[");
        ck_assert_int_eq(leat_rows_build(rows, &f->batch, &f->routes, &fault), -1);
        ck_assert_int_eq(fault.outcome, LEAT_ENGINE_BAD_DATA);
        ck_assert_int_eq(fault.bad_record, 2);
        ck_assert_str_ne(fault.error.text, "");
        if (bad[i].message)
            ck_assert_str_eq(fault.error.text, bad[i].message);
        fixture_clear(f);
    }
    fixture_add(f, "a", "patch", "1", "{\"n\":1}");
    leat_rows_fault fault;
    ck_assert_int_eq(leat_rows_build(rows, &f->batch, &f->routes, &fault), 0);
    leat_rows_free(rows);
    fixture_free(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rows");
    TCase *tests = tcase_create("rows");
    tcase_add_test(tests, rows_of_one_operation_share_a_statement);
    tcase_add_test(tests, writes_that_do_not_fold_go_in_rounds);
    tcase_add_test(tests, two_tenants_that_write_one_row_meet_in_it);
    tcase_add_test(tests, writes_to_one_key_become_one);
    tcase_add_test(tests, a_route_may_keep_records_apart);
    tcase_add_test(tests, rows_of_a_statement_are_in_the_order_of_the_key);
    tcase_add_test(tests, many_rows_are_in_the_order_of_their_keys);
    tcase_add_test(tests, ordered_tables_are_written_in_the_order_of_the_log);
    tcase_add_test(tests, masks_and_the_least_merge_of_mixed_rows);
    tcase_add_test(tests, dropped_records_are_counted_by_record);
    tcase_add_test(tests, the_newest_version_of_the_tables_counts);
    tcase_add_test(tests, a_fault_says_whether_it_relies_on_the_table);
    tcase_add_test(tests, a_builder_forgets_the_batch_before);
    tcase_add_test(tests, a_batch_may_be_empty);
    tcase_add_test(tests, arrays_are_in_binary_form);
    tcase_add_test(tests, the_shape_of_any_has_every_column);
    tcase_add_test(tests, the_first_record_without_sense_is_named);
    suite_add_tcase(suite, tests);
    return fixture_main(suite);
}
