/*
 * story.h - the output of a world: readable lines when a trace is wanted, and the one violation
 * that ends it.
 */
#ifndef SIM_STORY_H
#define SIM_STORY_H

#include <setjmp.h>

#include "clock.h"

typedef struct sim_story {
    bool trace;
    jmp_buf failed; /* where sim_fail goes */
    char checker[32];
    char message[512];
} sim_story;

/* A line of the trace, with the virtual time before it. */
void sim_trace(sim_world *world, const char *format, ...) LEAT_PRINTF(2, 3);
/* A promise is broken: ends the world. `checker`: the checker that found it. */
_Noreturn void sim_fail(sim_world *world, const char *checker, const char *format, ...)
    LEAT_PRINTF(3, 4);

/*
 * The world that runs. Production code reads the time, logs and asserts without a context that
 * could carry a world, so these three find it here; the simulator links them in place of src/base's
 * (--wrap). One thread.
 */
void sim_world_enter(sim_world *world);

#endif
