/*
 * sql_writer.h - shared by the writers of a row statement's text: its rows (statement_rows.c), the
 * new values of columns (statement_values.c, statement_step.c), and the statement itself
 * (statement.c). In the text
 * the table is t and the rows are s: s.k0 is the first key column, s.c3 column 3, s.p and s.o the
 * masks of the columns that a row names and of those it changes by an operand. Not for use
 * elsewhere.
 */
#ifndef LEAT_SINK_PG_SQL_WRITER_H
#define LEAT_SINK_PG_SQL_WRITER_H

#include "sink/pg/shape.h"

/* The starting point of a row: columns that are not named stay so, and operations change it. */
typedef enum leat_row_base { LEAT_FROM_STORED, LEAT_FROM_DEFAULTS } leat_row_base;

/* One statement being written. */
typedef struct leat_sql_writer {
    const leat_shape *shape;
    const leat_table *table;
    leat_buf *out;
} leat_sql_writer;

static inline bool leat_sql_is_named(const leat_sql_writer *writer, uint32_t column)
{
    return (writer->shape->columns & leat_shape_bit(column)) != 0;
}

static inline bool leat_sql_is_operated(const leat_sql_writer *writer, uint32_t column)
{
    return (writer->shape->operated & leat_shape_bit(column)) != 0;
}

/* Types whose modifier rounds. varchar(n) is not one of them: a cast would cut the text
 * silently. */
static inline bool leat_sql_is_rounded(const leat_column *column)
{
    bool can_round = column->type == LEAT_TYPE_NUMERIC || column->type == LEAT_TYPE_TIME ||
                     column->type == LEAT_TYPE_TIMESTAMP || column->type == LEAT_TYPE_TIMESTAMPTZ;
    return can_round && column->type_modifier >= 0;
}

/* ---- sql_writer.c ---- */

/* "schema"."table" AS t. */
void leat_sql_put_table(const leat_sql_writer *writer);
/* t."column". */
void leat_sql_put_stored(const leat_sql_writer *writer, uint32_t column);
/* "Does this row name the column?" by mask p, "has it an operand?" by mask o. */
void leat_sql_put_row_has(const leat_sql_writer *writer, char mask, uint32_t column);
void leat_sql_put_literal(leat_buf *out, const char *text);
/* The table as a value, and the statement's possible operations on it. */
void leat_sql_put_target(const leat_sql_writer *writer);

/* ---- statement_rows.c ---- */

/* The keys' arrays, side by side; returns the number of the next parameter. */
uint32_t leat_sql_put_keys(const leat_sql_writer *writer);
/* The same, then those of the columns and the masks. */
void leat_sql_put_arrays(const leat_sql_writer *writer);
/* t.key = s.k0 AND ... */
void leat_sql_put_key_match(const leat_sql_writer *writer);
/* Does any named column travel as text and need to be read as its type first? */
bool leat_sql_is_any_text_read(const leat_sql_writer *writer);
/* s.c3, which travels as text, read as this type: NULL in a row that does not name the column. */
void leat_sql_put_read_text(const leat_sql_writer *writer, uint32_t column, const char *type);
/* The WITH query r: the rows with their texts read. */
void leat_sql_put_read_rows(const leat_sql_writer *writer);
/* The rows, with the checks that come before the first one, as a subquery. */
void leat_sql_put_rows(const leat_sql_writer *writer);

/* ---- statement_step.c ---- */

/* True where the operand is at least the column's step above what is stored, or NULL is stored. */
void leat_sql_put_step_reached(const leat_sql_writer *writer, uint32_t column);

/* ---- statement_values.c ---- */

/* The column's value after the write. */
void leat_sql_put_new(const leat_sql_writer *writer, uint32_t column, leat_row_base base);
/* The first column from `column` on that the write touches; column_count: none. */
uint32_t leat_sql_next_written(const leat_sql_writer *writer, uint32_t column);
/* True where some touched column from `first` on would change. */
void leat_sql_put_any_differs(const leat_sql_writer *writer, uint32_t first, leat_row_base base);

#endif
