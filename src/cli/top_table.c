/*
 * top_table.c - a table of a frame. A terminal may be narrow, so columns have a rank and go one
 * after the other until the rest fits; the names of things are never left out.
 */
#include <stdarg.h>
#include <string.h>

#include "base/printable.h"
#include "base/utf8.h"
#include "cli/top_frame.h"

enum { GAP = 2, CELL_MAX = 200 };

static leat_top_line *new_line(leat_top_frame *frame, leat_top_style style)
{
    if (frame->count == LEAT_TOP_LINES_MAX)
        return NULL;
    leat_top_line *line = &frame->lines[frame->count++];
    line->style = style;
    leat_buf_clear(&line->text);
    return line;
}

void leat_top_put(leat_top_frame *frame, leat_top_style style, const char *format, ...)
{
    leat_buf text = {0};
    leat_top_line *line = new_line(frame, style);
    va_list args;
    if (!line)
        return;
    va_start(args, format);
    leat_buf_vprintf(&text, format, args);
    va_end(args);
    leat_buf_printable(&line->text, (leat_slice){text.data, text.size}, frame->width, false);
    leat_buf_free(&text);
}

void leat_top_frame_fini(leat_top_frame *frame)
{
    for (uint32_t i = 0; i < LEAT_TOP_LINES_MAX; i++)
        leat_buf_free(&frame->lines[i].text);
    frame->count = 0;
}

leat_buf *leat_top_row(leat_top_table *table, bool is_bad)
{
    if (table->row_count == LEAT_TOP_ROWS_MAX)
        return NULL;
    table->is_bad[table->row_count] = is_bad;
    return table->cells[table->row_count++];
}

void leat_top_cell(leat_buf *cell, const char *text)
{
    leat_buf_printable(cell, leat_slice_of(text ? text : "-"), CELL_MAX, false);
}

/* Cells have been made printable, so each character of theirs takes one place. */
static size_t width_of(const leat_buf *cell)
{
    size_t count = 0;
    for (size_t i = 0; i < cell->size; i++)
        count += ((unsigned char)cell->data[i] & 0xc0) != 0x80;
    return count;
}

typedef struct shape {
    bool is_shown[LEAT_TOP_COLUMNS_MAX];
    size_t widths[LEAT_TOP_COLUMNS_MAX];
} shape;

static size_t width_of_all(const leat_top_table *table, const shape *of)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < table->column_count; i++)
        sum += of->is_shown[i] ? of->widths[i] + (sum > 0 ? GAP : 0) : 0;
    return sum;
}

/* Leaves out the shown column of the highest rank. False: there is none that may go. */
static bool leave_one_out(const leat_top_table *table, shape *of)
{
    uint32_t worst = table->column_count;
    for (uint32_t i = 0; i < table->column_count; i++)
        if (of->is_shown[i] && table->columns[i].rank > 0 &&
            (worst == table->column_count || table->columns[i].rank >= table->columns[worst].rank))
            worst = i;
    if (worst == table->column_count)
        return false;
    of->is_shown[worst] = false;
    return true;
}

/* Where none may go any more, the widest text is cut: a number that is cut says nothing. */
static void squeeze(const leat_top_table *table, shape *of, size_t width)
{
    enum { LEAST = 8 };
    size_t all = width_of_all(table, of), *widest = NULL;
    for (uint32_t i = 0; i < table->column_count; i++)
        if (of->is_shown[i] && !table->columns[i].is_number && (!widest || of->widths[i] > *widest))
            widest = &of->widths[i];
    if (widest && all > width && *widest > LEAST)
        *widest -= all - width < *widest - LEAST ? all - width : *widest - LEAST;
}

/* The widest cell of each column, within its own bound; the last one is cut rather than left out
 * where it can have a dozen characters. */
static shape make_shape(const leat_top_table *table, size_t width)
{
    enum { LAST_LEAST = 12 };
    shape ret = {{0}, {0}};
    for (uint32_t i = 0; i < table->column_count; i++) {
        ret.is_shown[i] = true;
        ret.widths[i] = strlen(table->columns[i].title);
        for (uint32_t row = 0; row < table->row_count; row++) {
            size_t of_cell = width_of(&table->cells[row][i]);
            ret.widths[i] = of_cell > ret.widths[i] ? of_cell : ret.widths[i];
        }
        if (table->columns[i].width > 0 && ret.widths[i] > table->columns[i].width)
            ret.widths[i] = table->columns[i].width;
    }
    for (;;) {
        size_t all = width_of_all(table, &ret);
        size_t *last = &ret.widths[table->column_count - 1];
        if (all > width && ret.is_shown[table->column_count - 1] &&
            *last >= all - width + LAST_LEAST) {
            *last -= all - width;
            all = width;
        }
        if (all > width && leave_one_out(table, &ret))
            continue;
        squeeze(table, &ret, width);
        return ret;
    }
}

static void put_cell(leat_buf *out, leat_slice text, size_t width, bool to_the_right)
{
    leat_buf cut = {0};
    size_t size = leat_buf_printable(&cut, text, width, false);
    for (size_t i = size; to_the_right && i < width; i++)
        leat_buf_byte(out, ' ');
    leat_buf_append(out, cut.data, cut.size);
    for (size_t i = size; !to_the_right && i < width; i++)
        leat_buf_byte(out, ' ');
    leat_buf_free(&cut);
}

/* `cells` NULL: the titles. */
static void put_row(leat_top_frame *frame, const leat_top_table *table, const shape *of,
                    const leat_buf *cells, leat_top_style style)
{
    leat_buf text = {0};
    leat_top_line *line = new_line(frame, style);
    for (uint32_t i = 0; line && i < table->column_count; i++) {
        if (!of->is_shown[i])
            continue;
        if (text.size > 0)
            leat_buf_text(&text, "  ");
        put_cell(&text,
                 cells ? (leat_slice){cells[i].data ? cells[i].data : "", cells[i].size}
                       : leat_slice_of(table->columns[i].title),
                 of->widths[i], table->columns[i].is_number);
    }
    while (text.size > 0 && text.data[text.size - 1] == ' ')
        text.size--;
    if (line)
        leat_buf_printable(&line->text, (leat_slice){text.data, text.size}, frame->width, false);
    leat_buf_free(&text);
}

void leat_top_put_table(leat_top_frame *frame, leat_top_table *table)
{
    LEAT_ASSERT(table->column_count > 0 && table->column_count <= LEAT_TOP_COLUMNS_MAX);
    shape of = make_shape(table, frame->width);
    put_row(frame, table, &of, NULL, LEAT_TOP_HEAD);
    for (uint32_t row = 0; row < table->row_count; row++) {
        put_row(frame, table, &of, table->cells[row],
                table->is_bad[row] ? LEAT_TOP_BAD : LEAT_TOP_PLAIN);
        for (uint32_t i = 0; i < table->column_count; i++)
            leat_buf_free(&table->cells[row][i]);
    }
    table->row_count = 0;
}
