#include "fixture.h"

typedef void change_function(leat_table *table);

static leat_column *column_of(leat_table *table, const char *name)
{
    int index = leat_table_column(table, leat_slice_of(name));
    ck_assert_int_ge(index, 0);
    return &table->columns[index];
}

static void set_default(leat_table *table, const char *text)
{
    leat_column *column = column_of(table, "level");
    free(column->default_expression);
    column->default_expression = text ? leat_must_strdup(text) : NULL;
}

static void change_nothing(leat_table *table)
{
    column_of(table, "note")->type_oid = 12345;
}

static void add_column(leat_table *table)
{
    fixture_add(table, "extra", LEAT_TYPE_TEXT, -1);
}

static void drop_column(leat_table *table)
{
    leat_column *column = column_of(table, "level");
    free(column->default_expression);
    table->column_count--;
}

static void rename_column(leat_table *table)
{
    snprintf(column_of(table, "note")->name, sizeof table->columns->name, "remark");
}

static void retype(leat_table *table)
{
    leat_column *column = column_of(table, "small");
    column->type = LEAT_TYPE_INT8;
    snprintf(column->type_name, sizeof column->type_name, "bigint");
}

static void rename_type(leat_table *table)
{
    column_of(table, "small")->type = LEAT_TYPE_OTHER;
}

static void lengthen(leat_table *table)
{
    snprintf(column_of(table, "note")->type_name, sizeof table->columns->type_name,
             "character varying(20)");
}

static void move_type(leat_table *table)
{
    snprintf(column_of(table, "note")->cast_name, sizeof table->columns->cast_name,
             "elsewhere.kind");
}

static void require(leat_table *table)
{
    column_of(table, "note")->not_null = true;
}

static void generate(leat_table *table)
{
    column_of(table, "note")->generated = true;
}

static void make_array(leat_table *table)
{
    column_of(table, "note")->is_array = true;
}

static void collate(leat_table *table)
{
    column_of(table, "note")->by_bytes = true;
}

static void change_default(leat_table *table)
{
    set_default(table, "6");
}

static void drop_default(leat_table *table)
{
    set_default(table, NULL);
}

static void swap_columns(leat_table *table)
{
    leat_column first = table->columns[3];
    table->columns[3] = table->columns[4];
    table->columns[4] = first;
}

static void shorten_key(leat_table *table)
{
    table->columns[table->key_columns[1]].key_position = -1;
    table->key_count = 1;
}

static void swap_key(leat_table *table)
{
    uint32_t first = table->key_columns[0];
    table->key_columns[0] = table->key_columns[1];
    table->key_columns[1] = first;
}

static void constrain(leat_table *table)
{
    table->is_ordered = true;
}

static void refer(leat_table *table)
{
    table->deletes_matter = true;
}

static void secure(leat_table *table)
{
    table->row_security = true;
}

static void watch_rows(leat_table *table)
{
    table->row_triggers = LEAT_ON_INSERT | LEAT_ON_UPDATE | LEAT_ON_DELETE;
}

static void watch_statements(leat_table *table)
{
    table->statement_triggers = LEAT_ON_INSERT | LEAT_ON_UPDATE | LEAT_ON_DELETE;
}

static void move_table(leat_table *table)
{
    snprintf(table->schema, sizeof table->schema, "other");
}

static void change_two(leat_table *table)
{
    require(table);
    add_column(table);
}

static const struct {
    change_function *change;
    const char *words, *words_back;
} changes[] = {
    {change_nothing, "", ""},
    {add_column, "column extra: added", "column extra: dropped"},
    {drop_column, "column level: dropped", "column level: added"},
    {rename_column, "column note: dropped, column remark: added",
     "column remark: dropped, column note: added"},
    {retype, "column small: type int2 -> bigint", "column small: type bigint -> int2"},
    {rename_type, "column small: type int2 -> other", "column small: type other -> int2"},
    {lengthen, "column note: type text -> character varying(20)",
     "column note: type character varying(20) -> text"},
    {move_type, "column note: type text -> elsewhere.kind",
     "column note: type elsewhere.kind -> text"},
    {require, "column note: nullability nullable -> NOT NULL",
     "column note: nullability NOT NULL -> nullable"},
    {generate, "column note: writing plain -> generated",
     "column note: writing generated -> plain"},
    {make_array, "column note: form no array -> array", "column note: form array -> no array"},
    {collate, "column note: collation by language -> by bytes",
     "column note: collation by bytes -> by language"},
    {change_default, "column level: default 5 -> 6", "column level: default 6 -> 5"},
    {drop_default, "column level: default 5 -> none", "column level: default none -> 5"},
    {swap_columns, "columns: in another order", "columns: in another order"},
    {shorten_key, "primary key: (app_id, device) -> (app_id)",
     "primary key: (app_id) -> (app_id, device)"},
    {swap_key, "primary key: (app_id, device) -> (device, app_id)",
     "primary key: (device, app_id) -> (app_id, device)"},
    {constrain, "further unique constraints: now there", "further unique constraints: gone"},
    {refer, "effects of a DELETE: now there", "effects of a DELETE: gone"},
    {secure, "row security for leat's role: now there", "row security for leat's role: gone"},
    {watch_rows,
     "BEFORE INSERT triggers for each row: now there, BEFORE UPDATE triggers for each row: now there, "
     "BEFORE DELETE triggers for each row: now there",
     "BEFORE INSERT triggers for each row: gone, BEFORE UPDATE triggers for each row: gone, "
     "BEFORE DELETE triggers for each row: gone"},
    {watch_statements,
     "BEFORE INSERT triggers for the statement: now there, BEFORE UPDATE triggers for the statement: now there, "
     "BEFORE DELETE triggers for the statement: now there",
     "BEFORE INSERT triggers for the statement: gone, BEFORE UPDATE triggers for the statement: gone, "
     "BEFORE DELETE triggers for the statement: gone"},
    {move_table, "table: public.subscriptions -> other.subscriptions",
     "table: other.subscriptions -> public.subscriptions"},
    {change_two, "column note: nullability nullable -> NOT NULL, column extra: added",
     "column note: nullability NOT NULL -> nullable, column extra: dropped"},
};

static void check_words(const leat_table *from, const leat_table *to, const char *words)
{
    leat_buf out = {0};
    leat_buf_text(&out, "changed: ");
    leat_table_describe_change(from, to, &out);
    ck_assert_str_eq(leat_buf_cstr(&out) + strlen("changed: "), words);
    ck_assert_int_eq(leat_table_equal(from, to), words[0] == '\0');
    leat_buf_free(&out);
}

START_TEST(what_counts_is_seen_and_named)
{
    leat_table before = fixture_table();
    leat_table after = fixture_table();
    changes[_i].change(&after);
    check_words(&before, &after, changes[_i].words);
    check_words(&after, &before, changes[_i].words_back);
    leat_table_fini(&before);
    leat_table_fini(&after);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/table_change");
    TCase *tests = tcase_create("table_change");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, what_counts_is_seen_and_named, 0, (int)COUNT_OF(changes));
    return fixture_run(suite);
}
