/*
 * top_frame.h - what `leat top` shows at one moment, as lines of text that fit a width: tables
 * whose least important columns are left out first. Foreign text is made harmless. Pure.
 */
#ifndef LEAT_CLI_TOP_FRAME_H
#define LEAT_CLI_TOP_FRAME_H

#include "base/buf.h"
#include "cli/top_fetch.h"

typedef enum leat_top_style { LEAT_TOP_PLAIN, LEAT_TOP_HEAD, LEAT_TOP_BAD } leat_top_style;

enum { LEAT_TOP_LINES_MAX = 400, LEAT_TOP_WIDTH_MIN = 20, LEAT_TOP_WIDTH_MAX = 400 };

typedef struct leat_top_line {
    leat_buf text; /* without its end */
    leat_top_style style;
} leat_top_line;

typedef struct leat_top_frame {
    uint32_t width; /* characters of a line, at most */
    uint32_t count;
    leat_top_line lines[LEAT_TOP_LINES_MAX];
} leat_top_frame;

typedef enum leat_top_sort {
    LEAT_TOP_BY_LAG, /* the shard with the oldest write first */
    LEAT_TOP_BY_NAME,
    LEAT_TOP_BY_COUNT, /* of records that are not applied */
    LEAT_TOP_BY_ROWS,  /* written in a second */
} leat_top_sort;

/* Puts in place of the frame what the processes have said; its `width` is set. The caller frees the
 * frame by leat_top_frame_fini. */
void leat_top_draw(leat_top_frame *frame, const leat_top_sources *all, leat_top_sort sort,
                   const char *clock, bool is_paused);
void leat_top_frame_fini(leat_top_frame *frame);

/* Appends a line, cut to the width. */
void leat_top_put(leat_top_frame *frame, leat_top_style style, const char *format, ...)
    LEAT_PRINTF(3, 4);

/* ---- a table ---- */

enum { LEAT_TOP_COLUMNS_MAX = 16, LEAT_TOP_ROWS_MAX = 64 };

typedef struct leat_top_column {
    const char *title;
    uint8_t rank;   /* the larger, the sooner it is left out; 0: never */
    uint8_t width;  /* at most; 0: whatever is left */
    bool is_number; /* to the right */
} leat_top_column;

typedef struct leat_top_table {
    const leat_top_column *columns;
    uint32_t column_count;
    uint32_t row_count;
    bool is_bad[LEAT_TOP_ROWS_MAX];
    leat_buf cells[LEAT_TOP_ROWS_MAX][LEAT_TOP_COLUMNS_MAX];
} leat_top_table;

/* A new row's cells, to be appended to; NULL: there are LEAT_TOP_ROWS_MAX. */
leat_buf *leat_top_row(leat_top_table *table, bool is_bad);
/* Appends a text of records or servers. */
void leat_top_cell(leat_buf *cell, const char *text);
/* Its title line and its rows, into the frame; frees the cells. */
void leat_top_put_table(leat_top_frame *frame, leat_top_table *table);

#endif
