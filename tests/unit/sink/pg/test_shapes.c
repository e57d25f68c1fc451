/* The set of statements: numbers stay, too many shapes share one, and the set lives as long as
 * somebody holds it. No database. */
#include "sink_fixture.h"

typedef struct set {
    leat_table table;
    leat_route route;
    leat_shapes *shapes;
} set;

static set *open_set(bool patch_existing)
{
    set *s = leat_must_calloc(1, sizeof *s);
    s->table = (leat_table){.schema = "public", .name = "t", .column_count = 16, .key_count = 1};
    for (uint32_t i = 0; i < 16; i++) {
        leat_column *column = &s->table.columns[i];
        *column = (leat_column){.type = LEAT_TYPE_INT4,
                                .type_name = "integer",
                                .type_modifier = -1,
                                .key_position = i == 0 ? 0 : -1};
        snprintf(column->name, sizeof column->name, "c%u", i);
    }
    s->route = (leat_route){.table = &s->table, .patch_existing = patch_existing};
    s->shapes = leat_shapes_new();
    return s;
}

static void close_set(set *s)
{
    leat_shapes_drop(s->shapes);
    leat_table_fini(&s->table);
    free(s);
}

static int find(set *s, leat_route_op op, uint64_t columns, bool uniform, leat_shape *ret)
{
    leat_shape wanted = {.route = &s->route, .op = op, .columns = columns, .uniform = uniform};
    return leat_shapes_find(s->shapes, wanted, ret);
}

START_TEST(a_shape_keeps_its_number)
{
    set *s = open_set(false);
    leat_shape shape;
    ck_assert_int_eq(find(s, LEAT_PATCH, 2, true, &shape), 0);
    ck_assert_int_eq(find(s, LEAT_PATCH, 4, true, &shape), 1);
    ck_assert_int_eq(find(s, LEAT_PATCH, 4, false, &shape), 2);
    ck_assert_int_eq(find(s, LEAT_PUT, 4, true, &shape), 3);
    s->route.ops[2] = LEAT_OP_ADD;
    leat_shape operated = {
        .route = &s->route, .op = LEAT_PATCH, .columns = 4, .operated = 4, .uniform = true};
    ck_assert_int_eq(leat_shapes_find(s->shapes, operated, &shape), 4);
    ck_assert_ptr_nonnull(strstr(leat_shapes_sql(s->shapes, 4), " + s.c2"));
    ck_assert_int_eq(find(s, LEAT_PATCH, 2, true, &shape), 0);
    ck_assert(leat_shape_equal(leat_shapes_shape(s->shapes, 4), &operated));
    close_set(s);
}
END_TEST

START_TEST(too_many_shapes_share_one)
{
    set *s = open_set(false);
    leat_shape shape;
    for (uint32_t i = 0; i < LEAT_SHAPES_MAX; i++)
        ck_assert_int_eq(find(s, LEAT_PATCH, 2 * i, true, &shape), (int)i);
    for (uint32_t i = LEAT_SHAPES_MAX; i < 2 * LEAT_SHAPES_MAX; i++) {
        ck_assert_int_eq(find(s, LEAT_PATCH, 2 * i, true, &shape), LEAT_SHAPES_MAX);
        ck_assert(!shape.uniform);
        ck_assert_uint_eq(shape.columns, 0xfffe);
    }
    ck_assert_int_eq(find(s, LEAT_PATCH, 2, true, &shape), 1);
    ck_assert_int_eq(find(s, LEAT_DELETE, 0, true, &shape), LEAT_SHAPES_MAX + 1);
    close_set(s);
}
END_TEST

START_TEST(patches_that_drop_have_a_statement_that_counts)
{
    set *s = open_set(true);
    leat_shape shape;
    int patch = find(s, LEAT_PATCH, 2, true, &shape);
    int other = find(s, LEAT_PATCH, 4, true, &shape);
    int put = find(s, LEAT_PUT, 2, true, &shape);
    const char *sql = leat_shapes_missing_sql(s->shapes, (uint32_t)patch);
    ck_assert_ptr_nonnull(strstr(sql, "WHERE NOT EXISTS"));
    ck_assert_ptr_eq(leat_shapes_missing_sql(s->shapes, (uint32_t)other), sql);
    ck_assert_ptr_null(leat_shapes_missing_sql(s->shapes, (uint32_t)put));
    close_set(s);
}
END_TEST

/* The address sanitizer sees a set that is freed too early or never. */
START_TEST(a_set_lives_while_it_is_held)
{
    set *s = open_set(false);
    leat_shape shape;
    leat_shapes *held = leat_shapes_hold(s->shapes);
    ck_assert_ptr_eq(held, s->shapes);
    leat_shapes_drop(s->shapes);
    int number = find(s, LEAT_PUT, 2, true, &shape);
    ck_assert_str_ne(leat_shapes_sql(held, (uint32_t)number), "");
    close_set(s);
    leat_shapes_drop(NULL);
}
END_TEST

/* ---- the examples in statement.c ---- */

/* The file without blanks and without what makes it a comment. */
static char *read_squeezed(const char *path)
{
    static char text[65536];
    FILE *file = fopen(path, "r");
    size_t size = 0;
    ck_assert_msg(file != NULL, "%s", path);
    for (int c; (c = fgetc(file)) != EOF && size + 1 < sizeof text;)
        if (!strchr(" \n*", c))
            text[size++] = (char)c;
    text[size] = '\0';
    fclose(file);
    return text;
}

static void assert_shown(const char *source, const char *sql)
{
    char squeezed[4096];
    size_t size = 0;
    for (const char *at = sql; *at && size + 1 < sizeof squeezed; at++)
        if (!strchr(" \n*", *at))
            squeezed[size++] = *at;
    squeezed[size] = '\0';
    ck_assert_msg(strstr(source, squeezed) != NULL, "statement.c does not show:\n%s", sql);
}

static void assert_shape_shown(const char *source, const leat_shape *shape)
{
    leat_buf sql = {0};
    leat_statement_build(shape, &sql);
    assert_shown(source, leat_buf_cstr(&sql));
    leat_buf_free(&sql);
}

/* Table counters (id int PRIMARY KEY, n int, note text), where a PATCH adds to n. */
static leat_route *example_route(leat_table *table, leat_route *route)
{
    static const char *const names[] = {"id", "n", "note"};
    *table =
        (leat_table){.schema = "public", .name = "counters", .column_count = 3, .key_count = 1};
    for (uint32_t i = 0; i < 3; i++) {
        table->columns[i] = (leat_column){.type = i == 2 ? LEAT_TYPE_TEXT : LEAT_TYPE_INT4,
                                          .type_name = "integer",
                                          .type_modifier = -1,
                                          .key_position = i == 0 ? 0 : -1};
        snprintf(table->columns[i].name, sizeof table->columns[i].name, "%s", names[i]);
    }
    *route = (leat_route){.table = table};
    route->ops[1] = LEAT_OP_ADD;
    return route;
}

START_TEST(the_examples_in_the_source_are_what_is_built)
{
    char path[1024];
    leat_table table;
    leat_route made, *route = example_route(&table, &made);
    const char *root = getenv("LEAT_SOURCE_ROOT");
    ck_assert_ptr_nonnull(root);
    snprintf(path, sizeof path, "%s/src/sink/pg/statement.c", root);
    const char *source = read_squeezed(path);
    leat_shape patch = {
        .route = route, .op = LEAT_PATCH, .uniform = true, .columns = 2, .operated = 2};
    leat_shape mixed = {.route = route, .op = LEAT_PATCH, .columns = 2 | 4};
    leat_shape put = {.route = route, .op = LEAT_PUT, .uniform = true, .columns = 4};
    leat_shape removal = {.route = route, .op = LEAT_DELETE, .uniform = true};
    assert_shape_shown(source, &patch);
    assert_shape_shown(source, &mixed);
    assert_shape_shown(source, &put);
    assert_shape_shown(source, &removal);
    table.row_triggers = LEAT_ON_UPDATE;
    assert_shape_shown(source, &patch);
    leat_buf missing = {0};
    route->patch_existing = true;
    leat_statement_build_missing(&patch, &missing);
    assert_shown(source, leat_buf_cstr(&missing));
    leat_buf_free(&missing);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shapes");
    TCase *tests = tcase_create("shapes");
    tcase_add_test(tests, a_shape_keeps_its_number);
    tcase_add_test(tests, too_many_shapes_share_one);
    tcase_add_test(tests, patches_that_drop_have_a_statement_that_counts);
    tcase_add_test(tests, a_set_lives_while_it_is_held);
    tcase_add_test(tests, the_examples_in_the_source_are_what_is_built);
    suite_add_tcase(suite, tests);
    return fixture_main(suite);
}
