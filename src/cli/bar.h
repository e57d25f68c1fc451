/*
 * bar.h - how far a command is, on standard error: on a terminal one line that is written over and
 * over, elsewhere a line now and then. One thread.
 */
#ifndef LEAT_CLI_BAR_H
#define LEAT_CLI_BAR_H

#include <stdbool.h>
#include <stdint.h>

typedef struct leat_bar {
    bool on_terminal;
    bool terminal_only;
    bool has_line; /* on the terminal, now */
    int64_t begun_us, shown_us;
} leat_bar;

typedef struct leat_bar_state {
    double share;     /* that is done, of 1; below 0: not known */
    uint64_t done;    /* since the begin, */
    const char *unit; /* in these: "records" */
    const char *more; /* goes to the end of the line; "": nothing */
} leat_bar_state;

/* `terminal_only`: nothing is shown elsewhere. */
void leat_bar_begin(leat_bar *bar, bool terminal_only);
/* Is it time to show it? Never at once: what is over soon shows nothing. */
bool leat_bar_is_due(const leat_bar *bar);
void leat_bar_show(leat_bar *bar, const leat_bar_state *state);
/* Takes the line off the terminal: before anything else is written there. */
void leat_bar_clear(leat_bar *bar);
/* Since the begin. */
double leat_bar_seconds(const leat_bar *bar);

#endif
