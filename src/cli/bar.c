/*
 * bar.c - the line is "[####....]  17%  1200 records  400/s  left 0:14"; the bar and the time that
 * is left are missing while nobody knows how much there is.
 */
#include "cli/bar.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/base.h"

enum { TERMINAL_EVERY_MS = 200, LINE_EVERY_MS = 5000 };

static void print_time(double seconds)
{
    unsigned whole = (unsigned)seconds;
    if (whole >= 3600)
        fprintf(stderr, "%u:%02u:%02u", whole / 3600, whole / 60 % 60, whole % 60);
    else
        fprintf(stderr, "%u:%02u", whole / 60, whole % 60);
}

static void print_share(double share)
{
    enum { WIDTH = 24 };
    char text[WIDTH + 1];
    for (int i = 0; i < WIDTH; i++)
        text[i] = i < (int)(share * WIDTH) ? '#' : '.';
    text[WIDTH] = '\0';
    fprintf(stderr, "[%s] %3d%%  ", text, (int)(share * 100));
}

void leat_bar_begin(leat_bar *bar, bool terminal_only)
{
    *bar = (leat_bar){.on_terminal = isatty(STDERR_FILENO), .terminal_only = terminal_only};
    bar->begun_us = bar->shown_us = leat_mono_us();
}

bool leat_bar_is_due(const leat_bar *bar)
{
    if (bar->terminal_only && !bar->on_terminal)
        return false;
    int64_t every_ms = bar->on_terminal ? TERMINAL_EVERY_MS : LINE_EVERY_MS;
    return leat_mono_us() - bar->shown_us >= every_ms * 1000;
}

void leat_bar_show(leat_bar *bar, const leat_bar_state *state)
{
    double seconds = leat_bar_seconds(bar);
    double share = state->share < 1 ? state->share : 1; /* a file may grow */
    leat_bar_clear(bar);
    if (share >= 0)
        print_share(share);
    fprintf(stderr, "%" PRIu64 " %s  %.0f/s", state->done, state->unit,
            seconds > 0 ? (double)state->done / seconds : 0);
    if (share > 0.01 && share < 1) {
        fputs("  left ", stderr);
        print_time(seconds * (1 - share) / share);
    }
    fprintf(stderr, "%s%s", state->more, bar->on_terminal ? "" : "\n");
    fflush(stderr);
    bar->has_line = bar->on_terminal;
    bar->shown_us = leat_mono_us();
}

void leat_bar_clear(leat_bar *bar)
{
    if (bar->has_line)
        fputs("\r\033[K", stderr);
    bar->has_line = false;
}

double leat_bar_seconds(const leat_bar *bar)
{
    return (double)(leat_mono_us() - bar->begun_us) / 1e6;
}
