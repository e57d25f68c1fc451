/*
 * top_screen.h - a frame on a terminal, again and again, and the keys pressed meanwhile. Written
 * with a dozen escape sequences (top_view.c) rather than with ncurses: there are no windows, no
 * fields and no cursor here, only lines that are written over, and without a library `leat top` is
 * in every build and package, and in a container without terminfo. One thread.
 */
#ifndef LEAT_CLI_TOP_SCREEN_H
#define LEAT_CLI_TOP_SCREEN_H

#include "cli/top_view.h"

/* Takes the terminal: its own screen, no echo, signals noticed. False: standard input or output is
 * no terminal. What was there before comes back by leat_top_leave, also after a signal. */
bool leat_top_enter(void);
void leat_top_leave(void);

void leat_top_size(uint32_t *ret_width, uint32_t *ret_height);
/* The view is kept within the frame. */
void leat_top_show(const leat_top_frame *frame, leat_top_view *view, uint32_t height);

typedef enum leat_top_event {
    LEAT_TOP_NOTHING, /* the time is over */
    LEAT_TOP_KEY,
    LEAT_TOP_RESIZED, /* or something else that asks for the frame to be drawn again */
    LEAT_TOP_END,     /* a signal, or the terminal is gone */
} leat_top_event;
/* Waits at most so long. */
leat_top_event leat_top_wait(int64_t wait_ms, char *ret_key);

#endif
