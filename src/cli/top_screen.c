/*
 * top_screen.c - the terminal of `leat top`. Signals only set flags: poll() ends when one comes,
 * and the loop does the rest where it is safe. A terminal that is stopped (Ctrl-Z) gets its own
 * screen back first.
 */
#include "cli/top_screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Its own screen, without a cursor and without wrapping lines: on a terminal that is narrower than
 * the narrowest frame they are cut. */
#define ENTER "\033[?1049h\033[?25l\033[?7l"
#define LEAVE "\033[0m\033[?7h\033[?25h\033[?1049l"

static struct {
    bool is_taken;
    bool has_colour;
    struct termios before;
} screen;

static volatile sig_atomic_t was_resized, was_ended, was_stopped;

static void on_signal(int number)
{
    if (number == SIGWINCH || number == SIGCONT)
        was_resized = 1;
    else if (number == SIGTSTP)
        was_stopped = 1;
    else
        was_ended = 1;
}

static void write_all(const char *data, size_t size)
{
    while (size > 0) {
        ssize_t done = write(STDOUT_FILENO, data, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            was_ended = 1;
            return;
        }
        data += done;
        size -= (size_t)done;
    }
}

static void take(void)
{
    struct termios raw = screen.before;
    raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    write_all(ENTER, sizeof ENTER - 1);
}

static void give_back(void)
{
    write_all(LEAVE, sizeof LEAVE - 1);
    tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
}

bool leat_top_enter(void)
{
    static const int signals[] = {SIGWINCH, SIGCONT, SIGTSTP, SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    const char *no_colour = getenv("NO_COLOR");
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &screen.before) != 0)
        return false;
    screen.has_colour = !no_colour || !*no_colour;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaction(signals[i], &(struct sigaction){.sa_handler = on_signal}, NULL);
    screen.is_taken = true;
    take();
    return true;
}

void leat_top_leave(void)
{
    if (screen.is_taken)
        give_back();
    screen.is_taken = false;
}

static uint32_t within(uint32_t value, uint32_t low, uint32_t high)
{
    return value < low ? low : value > high ? high : value;
}

void leat_top_size(uint32_t *ret_width, uint32_t *ret_height)
{
    enum { WIDTH = 120, HEIGHT = 40 };
    struct winsize size = {0};
    const char *columns = getenv("COLUMNS");
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        long wanted = columns ? strtol(columns, NULL, 10) : 0;
        size.ws_col = wanted > 0 && wanted <= LEAT_TOP_WIDTH_MAX ? (unsigned short)wanted : WIDTH;
        size.ws_row = HEIGHT;
    }
    *ret_width = within(size.ws_col, LEAT_TOP_WIDTH_MIN, LEAT_TOP_WIDTH_MAX);
    *ret_height = within(size.ws_row, 2, LEAT_TOP_LINES_MAX);
}

void leat_top_show(const leat_top_frame *frame, leat_top_view *view, uint32_t height)
{
    leat_buf out = {0};
    leat_top_render(frame, view, height, screen.has_colour, &out);
    write_all(out.data, out.size);
    leat_buf_free(&out);
}

static void stop(void)
{
    was_stopped = 0;
    give_back();
    raise(SIGSTOP);
    take();
    was_resized = 1;
}

leat_top_event leat_top_wait(int64_t wait_ms, char *ret_key)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (was_stopped)
        stop();
    int ready = was_ended || was_resized ? -1 : poll(&input, 1, (int)wait_ms);
    if (was_ended)
        return LEAT_TOP_END;
    if (was_resized || ready < 0) {
        was_resized = 0;
        return LEAT_TOP_RESIZED;
    }
    if (ready == 0)
        return LEAT_TOP_NOTHING;
    return read(STDIN_FILENO, ret_key, 1) == 1 ? LEAT_TOP_KEY : LEAT_TOP_END;
}
