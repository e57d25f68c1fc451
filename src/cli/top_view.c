/*
 * top_view.c - the rows of a terminal, with a dozen escape sequences that every one since the VT220
 * knows.
 */
#include "cli/top_view.h"

#include <stdio.h>

#define HOME       "\033[H"
#define CLEAR_LINE "\033[K"
#define CLEAR_REST "\033[J"
#define BOLD       "\033[1m"
#define RED        "\033[31m"
#define PLAIN      "\033[0m"

static const char keys[] = "q quit  p pause  sort by: l lag  m records  r rows/s  n name";

/* ---- keys ---- */

typedef enum effect { ENDS, PAUSES, SORTS, GOES_DOWN, GOES_UP, GOES_HOME } effect;

static const struct {
    char key;
    effect effect;
    leat_top_sort sort;
} effects[] = {
    {'q', ENDS, 0},
    {'Q', ENDS, 0},
    {'p', PAUSES, 0},
    {' ', PAUSES, 0},
    {'l', SORTS, LEAT_TOP_BY_LAG},
    {'m', SORTS, LEAT_TOP_BY_COUNT},
    {'r', SORTS, LEAT_TOP_BY_ROWS},
    {'n', SORTS, LEAT_TOP_BY_NAME},
    {'j', GOES_DOWN, 0},
    {'B', GOES_DOWN, 0}, /* ESC [ B: the arrow */
    {'k', GOES_UP, 0},
    {'A', GOES_UP, 0},
    {'g', GOES_HOME, 0},
};

static bool take_effect(leat_top_view *view, effect what, leat_top_sort sort)
{
    switch (what) {
    case ENDS:
        return false;
    case PAUSES:
        view->is_paused = !view->is_paused;
        break;
    case SORTS:
        view->sort = sort;
        break;
    case GOES_DOWN:
        view->first += view->first < LEAT_TOP_LINES_MAX;
        break;
    case GOES_UP:
        view->first -= view->first > 0;
        break;
    case GOES_HOME:
        view->first = 0;
        break;
    }
    return true;
}

bool leat_top_take_key(leat_top_view *view, char key)
{
    for (size_t i = 0; i < sizeof effects / sizeof *effects; i++)
        if (effects[i].key == key)
            return take_effect(view, effects[i].effect, effects[i].sort);
    return true;
}

/* ---- rows ---- */

/* It is cleared first: after its last column a terminal would clear that one, too. */
static void put_line(leat_buf *out, const leat_top_line *line, bool has_colour)
{
    const char *before = line->style == LEAT_TOP_HEAD                ? BOLD
                         : line->style == LEAT_TOP_BAD && has_colour ? RED
                                                                     : "";
    leat_buf_text(out, CLEAR_LINE);
    leat_buf_text(out, before);
    leat_buf_append(out, line->text.data ? line->text.data : "", line->text.size);
    leat_buf_text(out, *before ? PLAIN "\n" : "\n");
}

/* The lines that are shown come first: on a narrow terminal the end of the row is cut. */
static void put_last_row(leat_buf *out, const leat_top_frame *frame, uint32_t first, uint32_t shown,
                         uint32_t height)
{
    char text[sizeof keys + 80];
    if (shown < frame->count)
        snprintf(text, sizeof text, "lines %u to %u of %u (j, k)  %s", first + 1, first + shown,
                 frame->count, keys);
    else
        snprintf(text, sizeof text, "%s", keys);
    leat_buf_printf(out, "\033[%u;1H" CLEAR_LINE "%.*s", height, (int)frame->width, text);
}

void leat_top_render(const leat_top_frame *frame, leat_top_view *view, uint32_t height,
                     bool has_colour, leat_buf *out)
{
    LEAT_ASSERT(height >= 2);
    uint32_t rows = height - 1, shown = frame->count < rows ? frame->count : rows;
    if (view->first > frame->count - shown)
        view->first = frame->count - shown;
    leat_buf_text(out, HOME);
    for (uint32_t i = 0; i < shown; i++)
        put_line(out, &frame->lines[view->first + i], has_colour);
    leat_buf_text(out, CLEAR_REST);
    put_last_row(out, frame, view->first, shown, height);
}
