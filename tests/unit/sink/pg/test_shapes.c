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

int main(void)
{
    Suite *suite = suite_create("shapes");
    TCase *tests = tcase_create("shapes");
    tcase_add_test(tests, a_shape_keeps_its_number);
    tcase_add_test(tests, too_many_shapes_share_one);
    tcase_add_test(tests, patches_that_drop_have_a_statement_that_counts);
    tcase_add_test(tests, a_set_lives_while_it_is_held);
    suite_add_tcase(suite, tests);
    return fixture_main(suite);
}
