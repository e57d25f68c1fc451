/*
 * The text of a table's statements. An upsert is, for a table t (id, a, b):
 *
 *   INSERT INTO main."t" AS t ("id", "a", "b") VALUES (?, ?, ?) ON CONFLICT ("id")
 *   DO UPDATE SET "a" = excluded."a", "b" = excluded."b"
 *   WHERE t."a" COLLATE BINARY IS NOT excluded."a" OR t."b" COLLATE BINARY IS NOT excluded."b"
 *
 * COLLATE BINARY, because in a NOCASE column 'A' and 'a' are equal, and the old one would stay.
 * Column and table names are quoted, and main. keeps a TEMP table of that name out.
 */
#include "sink/sqlite/sql.h"

#include "sink/identifier.h"

bool leat_sqlite_is_written(const leat_column *column)
{
    return column->key_position < 0 && !column->generated;
}

/* Writes each column that is written by `put`, and `otherwise` when there is none. */
static void put_columns(leat_buf *out, const leat_table *table, const char *between,
                        const char *otherwise, void (*put)(leat_buf *, const leat_column *))
{
    const char *separator = "";
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!leat_sqlite_is_written(&table->columns[i]))
            continue;
        leat_buf_text(out, separator);
        put(out, &table->columns[i]);
        separator = between;
    }
    if (!*separator)
        leat_buf_text(out, otherwise);
}

static void put_column(leat_buf *out, const leat_column *column)
{
    leat_put_identifier(out, column->name);
}

static void put_default(leat_buf *out, const leat_column *column)
{
    if (column->default_expression)
        leat_buf_printf(out, "(%s)", column->default_expression);
    else
        leat_buf_text(out, "NULL");
}

static void put_assignment(leat_buf *out, const leat_column *column)
{
    LEAT_ASSERT(leat_sqlite_is_written(column));
    leat_put_identifier(out, column->name);
    leat_buf_text(out, " = excluded.");
    leat_put_identifier(out, column->name);
}

/* By bytes, whatever the column's collation. */
static void put_difference(leat_buf *out, const leat_column *column)
{
    LEAT_ASSERT(leat_sqlite_is_written(column));
    leat_buf_text(out, "t.");
    leat_put_identifier(out, column->name);
    leat_buf_text(out, " COLLATE BINARY IS NOT excluded.");
    leat_put_identifier(out, column->name);
}

static void put_keys(leat_buf *out, const leat_table *table)
{
    LEAT_ASSERT(table->key_count > 0);
    for (uint32_t i = 0; i < table->key_count; i++) {
        leat_buf_text(out, i > 0 ? ", " : "");
        leat_put_identifier(out, table->columns[table->key_columns[i]].name);
    }
}

static void put_match(leat_buf *out, const leat_table *table)
{
    LEAT_ASSERT(table->key_count > 0);
    for (uint32_t i = 0; i < table->key_count; i++) {
        leat_buf_text(out, i > 0 ? " AND " : " WHERE ");
        leat_put_identifier(out, table->columns[table->key_columns[i]].name);
        leat_buf_printf(out, " = ?%u", i + 1);
    }
}

static uint32_t written_count(const leat_table *table)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < table->column_count; i++)
        count += leat_sqlite_is_written(&table->columns[i]);
    return count;
}

static void put_select(leat_buf *out, const leat_table *table)
{
    leat_buf_text(out, "SELECT ");
    put_columns(out, table, ", ", "1", put_column);
    leat_buf_text(out, " FROM main.");
    leat_put_identifier(out, table->name);
    put_match(out, table);
}

static void put_defaults(leat_buf *out, const leat_table *table)
{
    leat_buf_text(out, "SELECT ");
    put_columns(out, table, ", ", "1", put_default);
}

static void put_upsert(leat_buf *out, const leat_table *table)
{
    uint32_t written = written_count(table);
    leat_buf_text(out, "INSERT INTO main.");
    leat_put_identifier(out, table->name);
    leat_buf_text(out, " AS t (");
    put_keys(out, table);
    leat_buf_text(out, written > 0 ? ", " : "");
    put_columns(out, table, ", ", "", put_column);
    leat_buf_text(out, ") VALUES (?");
    for (uint32_t i = 1; i < table->key_count + written; i++)
        leat_buf_text(out, ", ?");
    leat_buf_text(out, ") ON CONFLICT (");
    put_keys(out, table);
    leat_buf_text(out, written > 0 ? ") DO UPDATE SET " : ") DO NOTHING");
    put_columns(out, table, ", ", "", put_assignment);
    leat_buf_text(out, written > 0 ? " WHERE " : "");
    put_columns(out, table, " OR ", "", put_difference);
}

static void put_delete(leat_buf *out, const leat_table *table)
{
    leat_buf_text(out, "DELETE FROM main.");
    leat_put_identifier(out, table->name);
    put_match(out, table);
}

static void put_is_there(leat_buf *out, const leat_table *table)
{
    uint32_t parameter = table->key_count;
    leat_buf_text(out, "SELECT 1 FROM main.");
    leat_put_identifier(out, table->name);
    put_match(out, table);
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!leat_sqlite_is_written(&table->columns[i]))
            continue;
        leat_buf_text(out, " AND ");
        leat_put_identifier(out, table->columns[i].name);
        leat_buf_printf(out, " COLLATE BINARY IS ?%u", ++parameter);
    }
}

void leat_sqlite_sql(leat_sqlite_statement which, const leat_table *table, leat_buf *out)
{
    static void (*const put[LEAT_SQLITE_STATEMENT_COUNT])(leat_buf *, const leat_table *) = {
        [LEAT_SQLITE_SELECT] = put_select,     [LEAT_SQLITE_DEFAULTS] = put_defaults,
        [LEAT_SQLITE_UPSERT] = put_upsert,     [LEAT_SQLITE_DELETE] = put_delete,
        [LEAT_SQLITE_IS_THERE] = put_is_there,
    };
    LEAT_ASSERT(which < LEAT_SQLITE_STATEMENT_COUNT && put[which]);
    put[which](out, table);
}
