/*
 * top_view.h - what of a frame a terminal shows, and what keys change of that. Pure: the bytes for
 * the terminal are appended to a buffer.
 */
#ifndef LEAT_CLI_TOP_VIEW_H
#define LEAT_CLI_TOP_VIEW_H

#include "cli/top_frame.h"

typedef struct leat_top_view {
    leat_top_sort sort;
    bool is_paused;
    uint32_t first; /* line of the frame at the top; leat_top_render keeps it within the frame */
} leat_top_view;

/* False: that is the end. A key that means nothing changes nothing; of the sequence that an arrow
 * key sends its last character is the key. */
bool leat_top_take_key(leat_top_view *view, char key);

/*
 * Appends what shows the frame from `view->first` on, on a terminal of `height` rows (at least 2).
 * The last row has the keys and, where the frame has more lines than fit, which of them are shown.
 * Every row is written over and what was left of it cleared, so nothing flickers; no row is wider
 * than the frame, and the terminal never scrolls.
 */
void leat_top_render(const leat_top_frame *frame, leat_top_view *view, uint32_t height,
                     bool has_colour, leat_buf *out);

#endif
