/*
 * story.c - the trace, the violation that ends a world, and the three functions of src/base that
 * must not be real here: time, lines of the log, and failed assertions. A violation leaves by
 * longjmp, because it is found deep inside production code that must not go on.
 */
#include <stdarg.h>
#include <stdio.h>

#include "base/diag.h"
#include "world.h"

static sim_world *running;

void sim_world_enter(sim_world *world)
{
    running = world;
}

sim_world *sim_world_running(void)
{
    LEAT_ASSERT(running);
    return running;
}

static void write_trace(sim_world *world, const char *format, va_list args)
{
    printf("%10.6f  ", (double)(world->clock.now_us) / 1e6);
    vprintf(format, args);
    putchar('\n');
}

void sim_trace(sim_world *world, const char *format, ...)
{
    if (!world->story.trace)
        return;
    va_list args;
    va_start(args, format);
    write_trace(world, format, args);
    va_end(args);
}

void sim_fail(sim_world *world, const char *checker, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(world->story.message, sizeof world->story.message, format, args);
    va_end(args);
    snprintf(world->story.checker, sizeof world->story.checker, "%s", checker);
    sim_trace(world, "VIOLATION %s: %s", checker, world->story.message);
    longjmp(world->story.failed, 1);
}

/* ---- in place of src/base's ---- */

int64_t __wrap_leat_mono_us(void);
int64_t __wrap_leat_wall_ms(void);
int64_t __wrap_leat_mode_now_us(void);
void __wrap_leat_diag(leat_level level, const char *format, ...);
_Noreturn void __wrap_leat_assert_failed(const char *condition, const char *file, int line);
_Noreturn void __real_leat_assert_failed(const char *condition, const char *file, int line);

int64_t __wrap_leat_mono_us(void)
{
    return running ? running->clock.now_us : 1;
}

int64_t __wrap_leat_wall_ms(void)
{
    return SIM_WALL_MS + (running ? running->clock.now_us / 1000 : 0);
}

int64_t __wrap_leat_mode_now_us(void)
{
    return __wrap_leat_mono_us();
}

void __wrap_leat_diag(leat_level level, const char *format, ...)
{
    if (!running || !running->story.trace || level == LEAT_DEBUG)
        return;
    va_list args;
    va_start(args, format);
    fputs("            ", stdout);
    write_trace(running, format, args);
    va_end(args);
}

void __wrap_leat_assert_failed(const char *condition, const char *file, int line)
{
    if (running)
        sim_fail(running, "assertion", "%s at %s:%d", condition, file, line);
    __real_leat_assert_failed(condition, file, line);
}
