#include "base/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <stdatomic.h>

#include "base/line.h"

enum { LINE_MAX_BYTES = 2048 };

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
    int more = snprintf(line + used, LINE_MAX_BYTES - used, ".%03ldZ %s ", now.tv_nsec / 1000000, level_names[level]);
    return used + (more > 0 ? (size_t)more : 0);
}

/* `wanted`: the bytes of a whole line; what is there of it ends before the room for the newline. */
static void write_line(char line[LINE_MAX_BYTES], size_t wanted)
{
    size_t size = leat_line_clean(line, wanted > LINE_MAX_BYTES - 2 ? LINE_MAX_BYTES - 2 : wanted);
    line[size] = '\n';
    ssize_t written = write(STDERR_FILENO, line, size + 1);
    (void)written; /* nowhere left to complain to */
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
    write_line(line, used + (wanted > 0 ? (size_t)wanted : 0));
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
