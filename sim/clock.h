/*
 * clock.h - virtual time and its planned events. Events of one moment happen in the order in which
 * they were planned. An event for an object that may have ended by then carries the object's life,
 * and compares it.
 */
#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include "base/base.h"

typedef struct sim_world sim_world;

typedef void (*sim_event_fn)(sim_world *world, void *object, uint64_t argument);

typedef struct sim_event {
    int64_t at_us;
    uint64_t order;
    sim_event_fn fn;
    void *object;
    uint64_t argument;
} sim_event;

typedef struct sim_clock {
    int64_t now_us; /* monotonic, from 1 s on */
    uint64_t order;
    sim_event *heap;
    uint32_t count;
    uint32_t capacity;
} sim_clock;

#define SIM_WALL_MS INT64_C(1750000000000) /* the wall clock at virtual time 0 */

void sim_clock_begin(sim_clock *clock);
void sim_clock_end(sim_clock *clock);
/* `at_us` in the past: now. */
void sim_clock_plan(sim_clock *clock, int64_t at_us, sim_event_fn fn, void *object,
                    uint64_t argument);
/* Takes the next event and moves time to it; false: nothing is planned. */
bool sim_clock_next(sim_clock *clock, sim_event *ret);

#endif
