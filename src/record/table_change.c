/*
 * Two readings of one table, compared. Each property that matters has one line in a table here,
 * with its name and its text, so that "equal" and "what has changed" cannot disagree. Properties
 * that one shard may have and another need not (triggers, row security) count between two readings
 * of the same shard, and not between shards.
 */
#include <stdio.h>
#include <string.h>

#include "record/table.h"

typedef const char *column_text(const leat_column *column);
typedef bool table_flag(const leat_table *table);

static const char *type_text(const leat_column *column)
{
    return column->type_name;
}

/* Where the names are equal: a domain may have the name of a type. */
static const char *kind_text(const leat_column *column)
{
    return leat_type_name(column->type);
}

static const char *cast_text(const leat_column *column)
{
    return column->cast_name;
}

static const char *null_text(const leat_column *column)
{
    return column->not_null ? "NOT NULL" : "nullable";
}

static const char *generated_text(const leat_column *column)
{
    return column->generated ? "generated" : "plain";
}

static const char *array_text(const leat_column *column)
{
    return column->is_array ? "array" : "no array";
}

static const char *order_text(const leat_column *column)
{
    return column->by_bytes ? "by bytes" : "by language";
}

/* No expression is this one word. */
static const char *default_text(const leat_column *column)
{
    return column->default_expression ? column->default_expression : "none";
}

/* Of neighbours with one name, the first that differs is reported. */
static const struct {
    const char *name;
    column_text *text;
} column_properties[] = {
    {"type", type_text},        {"type", kind_text},         {"type", cast_text},
    {"nullability", null_text}, {"writing", generated_text}, {"form", array_text},
    {"collation", order_text},  {"default", default_text},
};

static bool is_ordered(const leat_table *table)
{
    return table->is_ordered;
}

static bool deletes_matter(const leat_table *table)
{
    return table->deletes_matter;
}

static bool has_row_security(const leat_table *table)
{
    return table->row_security;
}

static bool drops_inserts(const leat_table *table)
{
    return table->row_triggers & LEAT_ON_INSERT;
}

static bool drops_updates(const leat_table *table)
{
    return table->row_triggers & LEAT_ON_UPDATE;
}

static bool drops_deletes(const leat_table *table)
{
    return table->row_triggers & LEAT_ON_DELETE;
}

static bool precedes_inserts(const leat_table *table)
{
    return table->statement_triggers & LEAT_ON_INSERT;
}

static bool precedes_updates(const leat_table *table)
{
    return table->statement_triggers & LEAT_ON_UPDATE;
}

static bool precedes_deletes(const leat_table *table)
{
    return table->statement_triggers & LEAT_ON_DELETE;
}

static const struct {
    const char *name;
    table_flag *flag;
    bool of_a_shard; /* other shards need not have it */
} table_properties[] = {
    {"further unique constraints", is_ordered, false},
    {"effects of a DELETE", deletes_matter, false},
    {"row security for leat's role", has_row_security, true},
    {"BEFORE INSERT triggers for each row", drops_inserts, true},
    {"BEFORE UPDATE triggers for each row", drops_updates, true},
    {"BEFORE DELETE triggers for each row", drops_deletes, true},
    {"BEFORE INSERT triggers for the statement", precedes_inserts, true},
    {"BEFORE UPDATE triggers for the statement", precedes_updates, true},
    {"BEFORE DELETE triggers for the statement", precedes_deletes, true},
};

enum { COLUMN_PROPERTIES = sizeof column_properties / sizeof *column_properties };
enum { TABLE_PROPERTIES = sizeof table_properties / sizeof *table_properties };

static bool same_column(const leat_column *a, const leat_column *b)
{
    bool same = true;
    for (size_t i = 0; same && i < COLUMN_PROPERTIES; i++)
        same = strcmp(column_properties[i].text(a), column_properties[i].text(b)) == 0;
    return same;
}

static bool same_key(const leat_table *a, const leat_table *b)
{
    bool same = a->key_count == b->key_count;
    for (uint32_t i = 0; same && i < a->key_count; i++)
        same = strcmp(a->columns[a->key_columns[i]].name, b->columns[b->key_columns[i]].name) == 0;
    return same;
}

static bool same_names(const leat_table *a, const leat_table *b)
{
    bool same = a->column_count == b->column_count;
    for (uint32_t i = 0; same && i < a->column_count; i++)
        same = strcmp(a->columns[i].name, b->columns[i].name) == 0;
    return same;
}

static bool same_place(const leat_table *a, const leat_table *b)
{
    return strcmp(a->schema, b->schema) == 0 && strcmp(a->name, b->name) == 0;
}

bool leat_table_alike(const leat_table *a, const leat_table *b)
{
    bool same = same_place(a, b) && same_names(a, b) && same_key(a, b);
    for (size_t i = 0; same && i < TABLE_PROPERTIES; i++)
        same = table_properties[i].of_a_shard ||
               table_properties[i].flag(a) == table_properties[i].flag(b);
    for (uint32_t i = 0; same && i < a->column_count; i++)
        same = same_column(&a->columns[i], &b->columns[i]);
    return same;
}

bool leat_table_equal(const leat_table *a, const leat_table *b)
{
    bool same = leat_table_alike(a, b);
    for (size_t i = 0; same && i < TABLE_PROPERTIES; i++)
        same = table_properties[i].flag(a) == table_properties[i].flag(b);
    return same;
}

/* ---- description ---- */

static const leat_column *find(const leat_table *table, const char *name)
{
    int index = leat_table_column(table, leat_slice_of(name));
    return index < 0 ? NULL : &table->columns[index];
}

static const char *comma(const leat_buf *out, size_t start)
{
    return out->size > start ? ", " : "";
}

static void describe_column(const leat_column *from, const leat_column *to, size_t start,
                            leat_buf *out)
{
    const char *reported = "";
    for (size_t i = 0; i < COLUMN_PROPERTIES; i++) {
        const char *name = column_properties[i].name;
        const char *old = column_properties[i].text(from);
        const char *new = column_properties[i].text(to);
        if (strcmp(old, new) == 0 || strcmp(name, reported) == 0)
            continue;
        leat_buf_printf(out, "%scolumn %s: %s %s -> %s", comma(out, start), to->name, name, old,
                        new);
        reported = name;
    }
}

/* The columns that stayed; then the order of all of them, if only that is different. */
static void describe_columns(const leat_table *from, const leat_table *to, size_t start,
                             leat_buf *out)
{
    bool same_columns = from->column_count == to->column_count;
    for (uint32_t i = 0; i < from->column_count; i++) {
        const leat_column *found = find(to, from->columns[i].name);
        same_columns = same_columns && found;
        if (!found)
            leat_buf_printf(out, "%scolumn %s: dropped", comma(out, start), from->columns[i].name);
        else
            describe_column(&from->columns[i], found, start, out);
    }
    for (uint32_t i = 0; i < to->column_count; i++)
        if (!find(from, to->columns[i].name))
            leat_buf_printf(out, "%scolumn %s: added", comma(out, start), to->columns[i].name);
    if (same_columns && !same_names(from, to))
        leat_buf_printf(out, "%scolumns: in another order", comma(out, start));
}

static void put_key(const leat_table *table, leat_buf *out)
{
    for (uint32_t i = 0; i < table->key_count; i++)
        leat_buf_printf(out, "%s%s", i > 0 ? ", " : "(",
                        table->columns[table->key_columns[i]].name);
    leat_buf_text(out, table->key_count > 0 ? ")" : "none");
}

static void describe_key(const leat_table *from, const leat_table *to, size_t start, leat_buf *out)
{
    if (same_key(from, to))
        return;
    leat_buf_printf(out, "%sprimary key: ", comma(out, start));
    put_key(from, out);
    leat_buf_text(out, " -> ");
    put_key(to, out);
}

void leat_table_describe_change(const leat_table *from, const leat_table *to, leat_buf *out)
{
    size_t start = out->size;
    if (!same_place(from, to))
        leat_buf_printf(out, "table: %s.%s -> %s.%s", from->schema, from->name, to->schema,
                        to->name);
    describe_columns(from, to, start, out);
    describe_key(from, to, start, out);
    for (size_t i = 0; i < TABLE_PROPERTIES; i++)
        if (table_properties[i].flag(from) != table_properties[i].flag(to))
            leat_buf_printf(out, "%s%s: %s", comma(out, start), table_properties[i].name,
                            table_properties[i].flag(to) ? "now there" : "gone");
}
