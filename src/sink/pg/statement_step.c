/*
 * statement_step.c - the condition that keeps a "last seen" column from writing its row: the new
 * value must be a step above the stored one. With v the operand, t the stored value and s the step
 * it is, by the type of the column,
 *
 *   numbers            t IS NULL OR CASE WHEN v <= t THEN false
 *                                        WHEN v >= 0 THEN t <= v - s ELSE t + s <= v END
 *   dates, timestamps  t IS NULL OR t <= v - s
 *   time               t IS NULL OR v - t >= s
 *
 * No part of it can overflow. Numbers: from 0 up there is room below v, and below 0 there is room
 * above t, which is less than v. Dates: v is of the years 1 to 9999, and PostgreSQL's begin 4712
 * years before them; infinity minus a step is itself, while a difference of infinities is an error.
 * Times of day subtract to an interval, where v - s would go round midnight.
 */
#include "sink/pg/sql_writer.h"

/* The operand as the column will have it. */
static void put_operand(const leat_sql_writer *writer, uint32_t column)
{
    const leat_column *of = &writer->table->columns[column];
    if (leat_sql_is_rounded(of))
        leat_buf_printf(writer->out, "(s.c%u)::%s", column, of->type_name);
    else
        leat_buf_printf(writer->out, "s.c%u", column);
}

static void put_step(const leat_sql_writer *writer, uint32_t column)
{
    const leat_step *step = &writer->shape->route->steps[column];
    leat_type type = writer->table->columns[column].type;
    if (type == LEAT_TYPE_DATE || leat_type_is_integer(type))
        leat_buf_printf(writer->out, "%lld", (long long)step->integer);
    else if (type == LEAT_TYPE_NUMERIC || leat_type_is_float(type))
        leat_buf_printf(writer->out, "'%s'::%s", step->number, leat_type_name(type));
    else
        leat_buf_printf(writer->out, "'%lld microseconds'::interval", (long long)step->integer);
}

static void put_number_reached(const leat_sql_writer *writer, uint32_t column)
{
    leat_buf_text(writer->out, "CASE WHEN ");
    put_operand(writer, column);
    leat_buf_text(writer->out, " <= ");
    leat_sql_put_stored(writer, column);
    leat_buf_text(writer->out, " THEN false WHEN ");
    put_operand(writer, column);
    leat_buf_text(writer->out, " >= 0 THEN ");
    leat_sql_put_stored(writer, column);
    leat_buf_text(writer->out, " <= ");
    put_operand(writer, column);
    leat_buf_text(writer->out, " - ");
    put_step(writer, column);
    leat_buf_text(writer->out, " ELSE ");
    leat_sql_put_stored(writer, column);
    leat_buf_text(writer->out, " + ");
    put_step(writer, column);
    leat_buf_text(writer->out, " <= ");
    put_operand(writer, column);
    leat_buf_text(writer->out, " END");
}

static void put_time_reached(const leat_sql_writer *writer, uint32_t column)
{
    put_operand(writer, column);
    leat_buf_text(writer->out, " - ");
    leat_sql_put_stored(writer, column);
    leat_buf_text(writer->out, " >= ");
    put_step(writer, column);
}

static void put_date_reached(const leat_sql_writer *writer, uint32_t column)
{
    leat_sql_put_stored(writer, column);
    leat_buf_text(writer->out, " <= ");
    put_operand(writer, column);
    leat_buf_text(writer->out, " - ");
    put_step(writer, column);
}

void leat_sql_put_step_reached(const leat_sql_writer *writer, uint32_t column)
{
    LEAT_ASSERT(leat_sql_is_operated(writer, column));
    LEAT_ASSERT(writer->shape->route->ops[column] == LEAT_OP_MAX);
    leat_type type = writer->table->columns[column].type;
    leat_buf_byte(writer->out, '(');
    leat_sql_put_stored(writer, column);
    leat_buf_text(writer->out, " IS NULL OR ");
    if (type == LEAT_TYPE_TIME)
        put_time_reached(writer, column);
    else if (type == LEAT_TYPE_NUMERIC || leat_type_is_integer(type) || leat_type_is_float(type))
        put_number_reached(writer, column);
    else
        put_date_reached(writer, column);
    leat_buf_byte(writer->out, ')');
}
