/*
 * diag.c - a line is formatted on the stack of its caller and written at once: no lock, no thread,
 * nothing to flush when the process dies, and lines of several threads do not mix, because a pipe
 * takes LINE_MAX_BYTES in one piece. Standard error is often a pipe to a log collector, and one
 * that hangs would stop every loop. So before a write poll(2) asks for room: for ROOM_WAIT_MS at
 * most, and not at all once a line was dropped.
 */
#include "base/diag.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <stdatomic.h>

#include "base/printable.h"

enum {
    LINE_MAX_BYTES = 2048, /* a pipe that is ready takes this many at once */
    ROOM_WAIT_MS = 100,
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* The one setting of the whole process: a line has no context pointer that could carry it. */
static atomic_int lowest_level = LEAT_INFO;

void leat_diag_level(leat_level level)
{
    atomic_store_explicit(&lowest_level, (int)level, memory_order_relaxed);
}

bool leat_diag_parse_level(const char *name, leat_level *ret_level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof *level_names; i++) {
        if (strcmp(name, level_names[i]) == 0) {
            *ret_level = (leat_level)i;
            return true;
        }
    }
    return false;
}

static size_t start_line(char *line, leat_level level)
{
    LEAT_ASSERT(level <= LEAT_ERROR);
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t used = strftime(line, LINE_MAX_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    int more = snprintf(line + used, LINE_MAX_BYTES - used, ".%03ldZ %s ", now.tv_nsec / 1000000,
                        level_names[level]);
    return used + (more > 0 ? (size_t)more : 0);
}

/* `wanted`: the bytes of the whole line, which may have been cut to leave room for the newline. */
static void write_line(char line[LINE_MAX_BYTES], size_t wanted)
{
    size_t size =
        leat_printable_line(line, wanted > LINE_MAX_BYTES - 2 ? LINE_MAX_BYTES - 2 : wanted);
    line[size] = '\n';
    ssize_t written = write(STDERR_FILENO, line, size + 1);
    (void)written; /* an error here cannot be reported anywhere */
}

/* Lines dropped since the last report of them. */
static atomic_uint dropped_lines;

/* Waits only while nothing was dropped: a stalled reader costs ROOM_WAIT_MS once. */
static bool has_room(void)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, atomic_load(&dropped_lines) > 0 ? 0 : ROOM_WAIT_MS) != 0;
}

static void report_dropped_lines(void)
{
    char line[LINE_MAX_BYTES];
    uint32_t dropped = atomic_load(&dropped_lines);
    if (dropped == 0 || !has_room() || !atomic_compare_exchange_strong(&dropped_lines, &dropped, 0))
        return;
    size_t used = start_line(line, LEAT_WARN);
    int more = snprintf(line + used, sizeof line - used,
                        "log lines were dropped count=%u reason=\"nobody read standard error\"",
                        dropped);
    write_line(line, used + (more > 0 ? (size_t)more : 0));
}

void leat_diag(leat_level level, const char *format, ...)
{
    if ((int)level < atomic_load_explicit(&lowest_level, memory_order_relaxed))
        return;
    char line[LINE_MAX_BYTES];
    size_t used = start_line(line, level);
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(line + used, sizeof line - used - 1, format, args);
    va_end(args);
    report_dropped_lines();
    if (has_room())
        write_line(line, used + (wanted > 0 ? (size_t)wanted : 0));
    else
        atomic_fetch_add(&dropped_lines, 1);
}

void leat_print_error(const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    write_line(line, wanted > 0 ? (size_t)wanted : 0);
}
