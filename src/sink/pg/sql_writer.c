/*
 * sql_writer.c - names and literals in the text of a row statement. Every name comes from the
 * catalog and is quoted, and literals are E'...' strings: their meaning then depends on no setting
 * of the session (standard_conforming_strings).
 */
#include "sink/pg/sql_writer.h"

#include "sink/identifier.h"

void leat_sql_put_table(const leat_sql_writer *writer)
{
    leat_put_identifier(writer->out, writer->table->schema);
    leat_buf_byte(writer->out, '.');
    leat_put_identifier(writer->out, writer->table->name);
    leat_buf_text(writer->out, " AS t");
}

void leat_sql_put_stored(const leat_sql_writer *writer, uint32_t column)
{
    LEAT_ASSERT(column < writer->table->column_count);
    leat_buf_text(writer->out, "t.");
    leat_put_identifier(writer->out, writer->table->columns[column].name);
}

/* "Does this row name the column?" by mask p, "has it an operand?" by mask o. Quoted, because a
 * bare 9223372036854775808 would be a numeric. */
void leat_sql_put_row_has(const leat_sql_writer *writer, char mask, uint32_t column)
{
    LEAT_ASSERT((mask == 'p' || mask == 'o') && column < LEAT_COLUMNS_MAX);
    leat_buf_printf(writer->out, "(s.%c & '%lld'::int8) <> 0", mask,
                    (long long)leat_shape_bit(column));
}

void leat_sql_put_literal(leat_buf *out, const char *text)
{
    leat_buf_text(out, "E'");
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            leat_buf_byte(out, *text);
        leat_buf_byte(out, *text);
    }
    leat_buf_byte(out, '\'');
}

/* The table as a value, and the statement's possible operations on it. */
void leat_sql_put_target(const leat_sql_writer *writer)
{
    leat_buf name = {0};
    leat_put_identifier(&name, writer->table->schema);
    leat_buf_byte(&name, '.');
    leat_put_identifier(&name, writer->table->name);
    const char *text = leat_buf_cstr(&name);
    leat_sql_put_literal(writer->out, text ? text : "");
    writer->out->failed = writer->out->failed || !text;
    leat_buf_free(&name);
    leat_buf_printf(writer->out, "::pg_catalog.regclass, %d", leat_shape_events(writer->shape));
}
