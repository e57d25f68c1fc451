/* What a terminal shows of a frame, and what keys change. */
#include "top.h"

#include <stdio.h>

#include "cli/top_view.h"

/* A terminal: it draws what it is sent, and scrolls if it must. Of escape sequences it knows those
 * that leat top uses; any other fails the test. */
enum { ROWS_MAX = 30, WIDTH = 40 };

typedef struct terminal {
    uint32_t height, row, column;
    bool has_scrolled, is_red;
    char rows[ROWS_MAX][WIDTH + 1];
    bool red[ROWS_MAX];
} terminal;

static void clear_row(terminal *on, uint32_t row, uint32_t from)
{
    memset(on->rows[row] + from, ' ', WIDTH - from);
}

/* Its end. */
static const char *obey(terminal *on, const char *sequence)
{
    char *end;
    long number = strtol(sequence, &end, 10);
    switch (*end) {
    case ';':
        ck_assert(strncmp(end, ";1H", 3) == 0 && number >= 1 && number <= on->height);
        on->row = (uint32_t)number - 1;
        on->column = 0;
        return end + 3;
    case 'H':
        on->row = on->column = 0;
        break;
    case 'J':
        for (uint32_t row = on->row + 1; row < on->height; row++)
            clear_row(on, row, 0);
        clear_row(on, on->row, on->column);
        break;
    case 'K': /* behind the last column it stays there */
        clear_row(on, on->row, on->column < WIDTH ? on->column : WIDTH - 1);
        break;
    case 'm':
        ck_assert(number == 0 || number == 1 || number == 31);
        on->is_red = number == 31;
        break;
    default:
        ck_abort_msg("a sequence that is not known: %.8s", sequence);
    }
    return end + 1;
}

static void write_to(terminal *on, const leat_buf *text)
{
    const char *at = text->data, *end = text->data + text->size;
    while (at < end) {
        if (at[0] == '\033' && at[1] == '[') {
            at = obey(on, at + 2);
        } else if (*at == '\n') {
            on->has_scrolled = on->has_scrolled || on->row + 1 == on->height;
            on->row += on->row + 1 < on->height;
            on->column = 0;
            at++;
        } else {
            ck_assert_uint_lt(on->column, WIDTH);
            on->red[on->row] = on->is_red;
            on->rows[on->row][on->column++] = *at++;
        }
    }
}

static leat_top_frame *make_frame(uint32_t lines)
{
    leat_top_frame *frame = leat_must_calloc(1, sizeof *frame);
    frame->width = WIDTH;
    for (uint32_t i = 0; i < lines; i++)
        leat_top_put(frame, i == 1 ? LEAT_TOP_BAD : LEAT_TOP_PLAIN, "line %u", i);
    return frame;
}

static void free_frame(leat_top_frame *frame)
{
    leat_top_frame_fini(frame);
    free(frame);
}

/* Draws over what is there already. */
static void show(terminal *on, const leat_top_frame *frame, leat_top_view *view, bool has_colour)
{
    leat_buf out = {0};
    leat_top_render(frame, view, on->height, has_colour, &out);
    write_to(on, &out);
    leat_buf_free(&out);
    ck_assert(!on->has_scrolled);
}

static terminal make_terminal(uint32_t height)
{
    terminal ret = {.height = height};
    for (uint32_t row = 0; row < ROWS_MAX; row++)
        memset(ret.rows[row], '#', WIDTH); /* what was there before */
    return ret;
}

static void expect_row(const terminal *on, uint32_t row, const char *text)
{
    char wanted[WIDTH + 1];
    snprintf(wanted, sizeof wanted, "%-*.*s", WIDTH, WIDTH, text);
    ck_assert_str_eq(on->rows[row], wanted);
}

START_TEST(a_frame_that_fits_is_shown_whole_and_nothing_of_the_last_one_is_left)
{
    terminal screen = make_terminal(6);
    leat_top_view view = {.first = 3};
    leat_top_frame *frame = make_frame(3);
    show(&screen, frame, &view, true);
    ck_assert_uint_eq(view.first, 0);
    expect_row(&screen, 0, "line 0");
    expect_row(&screen, 1, "line 1");
    expect_row(&screen, 2, "line 2");
    expect_row(&screen, 3, "");
    expect_row(&screen, 4, "");
    expect_row(&screen, 5, "q quit  p pause  sort by: l lag  m recor");
    ck_assert(!screen.red[0] && screen.red[1] && !screen.red[5]);
    free_frame(frame);
}
END_TEST

START_TEST(of_a_frame_that_does_not_fit_it_says_what_is_shown)
{
    terminal screen = make_terminal(5);
    leat_top_view view = {0};
    leat_top_frame *frame = make_frame(12);
    show(&screen, frame, &view, false);
    expect_row(&screen, 0, "line 0");
    expect_row(&screen, 3, "line 3");
    expect_row(&screen, 4, "lines 1 to 4 of 12 (j, k)  q quit  p pause");
    ck_assert(!screen.red[1]);
    for (int i = 0; i < 20; i++)
        ck_assert(leat_top_take_key(&view, i % 2 ? 'j' : 'B'));
    show(&screen, frame, &view, false);
    expect_row(&screen, 0, "line 8");
    expect_row(&screen, 3, "line 11");
    expect_row(&screen, 4, "lines 9 to 12 of 12 (j, k)  q quit  p pause");
    leat_top_take_key(&view, 'k');
    show(&screen, frame, &view, false);
    expect_row(&screen, 0, "line 7");
    leat_top_take_key(&view, 'g');
    show(&screen, frame, &view, false);
    expect_row(&screen, 0, "line 0");
    free_frame(frame);
}
END_TEST

START_TEST(any_height_will_do)
{
    for (uint32_t height = 2; height < ROWS_MAX; height++) {
        for (uint32_t lines = 0; lines < ROWS_MAX + 2; lines++) {
            terminal screen = make_terminal(height);
            leat_top_view view = {.first = lines / 2};
            leat_top_frame *frame = make_frame(lines);
            show(&screen, frame, &view, true);
            ck_assert_ptr_nonnull(strstr(screen.rows[height - 1], "q quit"));
            for (uint32_t row = 0; row < height; row++)
                ck_assert_ptr_null(strchr(screen.rows[row], '#'));
            free_frame(frame);
        }
    }
}
END_TEST

START_TEST(keys_do_what_the_last_row_says)
{
    leat_top_view view = {0};
    ck_assert(leat_top_take_key(&view, 'n') && view.sort == LEAT_TOP_BY_NAME);
    ck_assert(leat_top_take_key(&view, 'm') && view.sort == LEAT_TOP_BY_COUNT);
    ck_assert(leat_top_take_key(&view, 'r') && view.sort == LEAT_TOP_BY_ROWS);
    ck_assert(leat_top_take_key(&view, 'l') && view.sort == LEAT_TOP_BY_LAG);
    ck_assert(leat_top_take_key(&view, 'p') && view.is_paused);
    ck_assert(leat_top_take_key(&view, ' ') && !view.is_paused);
    ck_assert(leat_top_take_key(&view, 'k') && view.first == 0);
    const leat_top_view before = view;
    for (int key = 0; key < 256; key++)
        if (!strchr("qQp lmrnjkgAB", key) || key == 0)
            ck_assert(leat_top_take_key(&view, (char)key));
    ck_assert(view.sort == before.sort && view.first == before.first && !view.is_paused);
    ck_assert(!leat_top_take_key(&view, 'q') && !leat_top_take_key(&view, 'Q'));
}
END_TEST

RUN("top_view", a_frame_that_fits_is_shown_whole_and_nothing_of_the_last_one_is_left,
    of_a_frame_that_does_not_fit_it_says_what_is_shown, any_height_will_do,
    keys_do_what_the_last_row_says)
