/* A table of `leat top`: what is left out of a narrow one, and what is cut. */
#include "top.h"

#include <stdio.h>

enum { ROWS = 2, COLUMNS = 4 };

static const leat_top_column columns[COLUMNS] = {
    {"NAME", 0, 10, false}, {"FIRST", 2, 0, true}, {"SECOND", 1, 0, true}, {"REASON", 3, 0, false}};

/* Draws the table on this width. */
static char *drawn(uint32_t width, const char *name, const char *reason)
{
    leat_top_frame *frame = leat_must_calloc(1, sizeof *frame);
    leat_top_table *table = leat_must_calloc(1, sizeof *table);
    frame->width = width;
    table->columns = columns;
    table->column_count = COLUMNS;
    for (int row = 0; row < ROWS; row++) {
        leat_buf *cell = leat_top_row(table, row > 0);
        leat_top_cell(cell++, row == 0 ? name : "b");
        leat_top_cell(cell++, row == 0 ? "1" : "22222");
        leat_top_cell(cell++, NULL);
        leat_top_cell(cell, row == 0 ? reason : "none");
    }
    leat_top_put_table(frame, table);
    ck_assert_uint_eq(table->row_count, 0);
    for (uint32_t i = 0; i < frame->count; i++)
        ck_assert_uint_le(characters(&frame->lines[i].text), width);
    char *ret = text_of(frame);
    leat_top_frame_fini(frame);
    free(frame);
    free(table);
    return ret;
}

#define EXPECT(width, name, reason, text)                                                          \
    do {                                                                                           \
        char *found = drawn(width, name, reason);                                                  \
        ck_assert_str_eq(found, text);                                                             \
        free(found);                                                                               \
    } while (0)

START_TEST(numbers_stand_to_the_right_and_what_is_not_known_is_a_dash)
{
    EXPECT(80, "a", "it waits",
           "#NAME  FIRST  SECOND  REASON\n"
           " a         1       -  it waits\n"
           "!b     22222       -  none\n");
}
END_TEST

/* The last column is cut while a dozen characters of it are left; then columns go by their rank,
 * and the name stays. */
START_TEST(a_narrow_one_has_the_most_important_columns)
{
    const char *reason = "it waits for a lock";
    EXPECT(36, "a", reason,
           "#NAME  FIRST  SECOND  REASON\n"
           " a         1       -  it waits for...\n"
           "!b     22222       -  none\n");
    EXPECT(30, "a", reason,
           "#NAME  FIRST  SECOND\n"
           " a         1       -\n"
           "!b     22222       -\n");
    EXPECT(20, "abcdefghij", reason,
           "#NAME        SECOND\n"
           " abcdefghij       -\n"
           "!b                -\n");
}
END_TEST

/* Numbers stay whole. */
START_TEST(of_what_must_stay_the_widest_text_is_cut)
{
    static const leat_top_column must[] = {{"KEY", 0, 60, false}, {"RECORDS/S", 0, 0, true}};
    leat_top_frame *frame = leat_must_calloc(1, sizeof *frame);
    leat_top_table *table = leat_must_calloc(1, sizeof *table);
    frame->width = 24;
    table->columns = must;
    table->column_count = 2;
    leat_buf *cell = leat_top_row(table, false);
    leat_top_cell(cell++, "0193b8f0-0000-7000-8000/7");
    leat_top_cell(cell, "12345");
    leat_top_put_table(frame, table);
    char *found = text_of(frame);
    ck_assert_str_eq(found, "#KEY            RECORDS/S\n"
                            " 0193b8f0-0...      12345\n");
    free(found);
    leat_top_frame_fini(frame);
    free(frame);
    free(table);
}
END_TEST

START_TEST(a_text_is_bounded_and_harmless)
{
    EXPECT(80, "a\033[31mred\nline", "x",
           "#NAME        FIRST  SECOND  REASON\n"
           " a\\x1b[3...      1       -  x\n"
           "!b           22222       -  none\n");
    EXPECT(80, "\xc3\xa4\xc3\xb6\xc3\xbc", "x",
           "#NAME  FIRST  SECOND  REASON\n"
           " \xc3\xa4\xc3\xb6\xc3\xbc       1       -  x\n"
           "!b     22222       -  none\n");
}
END_TEST

START_TEST(rows_and_lines_are_bounded)
{
    leat_top_frame *frame = leat_must_calloc(1, sizeof *frame);
    leat_top_table *table = leat_must_calloc(1, sizeof *table);
    frame->width = LEAT_TOP_WIDTH_MAX;
    table->columns = columns;
    table->column_count = 1;
    for (int i = 0; i < LEAT_TOP_LINES_MAX / LEAT_TOP_ROWS_MAX + 1; i++) {
        for (int row = 0; row < LEAT_TOP_ROWS_MAX; row++)
            ck_assert_ptr_nonnull(leat_top_row(table, false));
        ck_assert_ptr_null(leat_top_row(table, false));
        leat_top_put_table(frame, table);
    }
    ck_assert_uint_eq(frame->count, LEAT_TOP_LINES_MAX);
    leat_top_frame_fini(frame);
    free(frame);
    free(table);
}
END_TEST

RUN("top_table", numbers_stand_to_the_right_and_what_is_not_known_is_a_dash,
    a_narrow_one_has_the_most_important_columns, of_what_must_stay_the_widest_text_is_cut,
    a_text_is_bounded_and_harmless, rows_and_lines_are_bounded)
