/*
 * clock.c - a binary heap of events by time and number. The number makes events of one moment run
 * in the order in which they were planned: a seed must lead to the same world on every machine.
 */
#include "clock.h"

#include <stdlib.h>

static bool is_before(const sim_event *a, const sim_event *b)
{
    return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

void sim_clock_begin(sim_clock *clock)
{
    *clock = (sim_clock){.now_us = 1000000, .capacity = 256};
    clock->heap = leat_must_calloc(clock->capacity, sizeof *clock->heap);
}

void sim_clock_end(sim_clock *clock)
{
    free(clock->heap);
    *clock = (sim_clock){0};
}

static void make_room(sim_clock *clock)
{
    if (clock->count < clock->capacity)
        return;
    clock->capacity *= 2;
    clock->heap = realloc(clock->heap, clock->capacity * sizeof *clock->heap);
    LEAT_ASSERT(clock->heap);
}

void sim_clock_plan(sim_clock *clock, int64_t at_us, sim_event_fn fn, void *object,
                    uint64_t argument)
{
    make_room(clock);
    sim_event event = {at_us > clock->now_us ? at_us : clock->now_us, clock->order++, fn, object,
                       argument};
    uint32_t at = clock->count++;
    for (; at > 0 && is_before(&event, &clock->heap[(at - 1) / 2]); at = (at - 1) / 2)
        clock->heap[at] = clock->heap[(at - 1) / 2];
    clock->heap[at] = event;
}

static void sift_down(sim_clock *clock, sim_event event)
{
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child + 1 < clock->count && is_before(&clock->heap[child + 1], &clock->heap[child]))
            child++;
        if (child >= clock->count || !is_before(&clock->heap[child], &event))
            break;
        clock->heap[at] = clock->heap[child];
        at = child;
    }
    clock->heap[at] = event;
}

bool sim_clock_next(sim_clock *clock, sim_event *ret)
{
    if (clock->count == 0)
        return false;
    *ret = clock->heap[0];
    clock->now_us = ret->at_us;
    sim_event last = clock->heap[--clock->count];
    if (clock->count > 0)
        sift_down(clock, last);
    return true;
}
