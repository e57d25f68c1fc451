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
    LINE_MAX_BYTES = 2048, /* a pipe that is ready takes as many at once */
    ROOM_WAIT_MS = 100,
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* The one process-wide setting: a diagnostic line has no context pointer to carry it. */
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
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    size_t used = strftime(line, LINE_MAX_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    int more = snprintf(line + used, LINE_MAX_BYTES - used, ".%03ldZ %s ", now.tv_nsec / 1000000,
                        level_names[level]);
    return used + (more > 0 ? (size_t)more : 0);
}

/* `wanted`: the bytes of a whole line; what is there of it ends before the room for the newline. */
static void write_line(char line[LINE_MAX_BYTES], size_t wanted)
{
    size_t size =
        leat_printable_line(line, wanted > LINE_MAX_BYTES - 2 ? LINE_MAX_BYTES - 2 : wanted);
    line[size] = '\n';
    ssize_t written = write(STDERR_FILENO, line, size + 1);
    (void)written; /* nowhere left to complain to */
}

/* Lines that standard error had no room for, and that nobody has been told of. */
static atomic_uint lost_lines;

/* Whoever reads it may have stopped, and a loop must not wait for that: once it had no room, it is
 * only asked. */
static bool has_room(void)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&out, 1, atomic_load(&lost_lines) > 0 ? 0 : ROOM_WAIT_MS) != 0;
}

static void tell_lost_lines(void)
{
    char line[LINE_MAX_BYTES];
    uint32_t lost = atomic_load(&lost_lines);
    if (lost == 0 || !has_room() || !atomic_compare_exchange_strong(&lost_lines, &lost, 0))
        return;
    size_t used = start_line(line, LEAT_WARN);
    int more = snprintf(line + used, sizeof line - used,
                        "%u lines are lost: nobody read standard error", lost);
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
    tell_lost_lines();
    if (has_room())
        write_line(line, used + (wanted > 0 ? (size_t)wanted : 0));
    else
        atomic_fetch_add(&lost_lines, 1);
}

void leat_complain(const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    write_line(line, wanted > 0 ? (size_t)wanted : 0);
}
