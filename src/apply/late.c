/*
 * late.c - the estimate, and a state with two limits: it begins above one and ends below half of
 * it, or whoever is refused for it would be taken and refused in turn.
 */
#include "apply/late.h"

#include "sink/shard.h"

#define ESTIMATE_MAX_MS LEAT_CATCH_UP_NEVER_MS
#define LEAST_SURPLUS   0.01 /* of the rate: with less it is not known which of the two is larger */

static int64_t within(double ms)
{
    return ms < (double)ESTIMATE_MAX_MS ? (int64_t)ms : ESTIMATE_MAX_MS;
}

int64_t leat_late_estimate_ms(const leat_late *late)
{
    if (late->backlog == 0)
        return 0;
    return late->per_s > 0 ? within((double)late->backlog * 1000 / late->per_s) : -1;
}

double leat_late_drain_per_s(const leat_late *late)
{
    if (late->idle == LEAT_LATE_IDLE)
        return 0;
    return late->per_s > 0 ? late->per_s : -1;
}

int64_t leat_late_catch_up_ms(const leat_late *late)
{
    if (late->is_stopped || late->idle == LEAT_LATE_IDLE)
        return LEAT_CATCH_UP_NEVER_MS;
    int64_t estimate_ms = leat_late_estimate_ms(late);
    if (estimate_ms <= LEAT_CATCH_UP_LEAST_MS)
        return estimate_ms;
    if (late->end_measures < LEAT_LATE_ENDS_LEAST)
        return -1;
    double surplus = late->per_s - late->arrivals_per_s;
    return surplus > LEAST_SURPLUS * late->per_s ? within((double)late->backlog * 1000 / surplus)
                                                 : LEAT_CATCH_UP_NEVER_MS;
}

/* A log's end can go back: it is another one's then, or was not known for a moment. */
static void learn_arrivals(leat_late *late, const leat_late_sample *now, int64_t passed_us)
{
    bool is_same = now->counted == late->counted && now->end >= late->end;
    if (!is_same)
        late->end_measures = 0;
    else if (passed_us > 0) {
        double per_s = (double)(now->end - late->end) * 1e6 / (double)passed_us;
        late->end_measures += late->end_measures < LEAT_LATE_ENDS;
        late->arrivals_per_s = late->end_measures == 1 ? 0 : late->arrivals_per_s;
        late->arrivals_per_s += (per_s - late->arrivals_per_s) / late->end_measures;
    }
    late->end = now->end;
    late->counted = now->counted;
}

static void learn_rate(leat_late *late, const leat_late_sample *now, int64_t passed_us)
{
    uint64_t done = now->done - late->done;
    bool was_busy = now->backlog > 0 && late->backlog >= done;
    if (was_busy && done > 0 && passed_us > 0) {
        double per_s = (double)done * 1e6 / (double)passed_us;
        late->per_s = late->per_s > 0 ? (late->per_s + per_s) / 2 : per_s;
    }
    bool is_idle = done == 0 && now->backlog + now->held_up > 0;
    late->idle = !is_idle ? 0 : late->idle < LEAT_LATE_IDLE ? late->idle + 1 : late->idle;
    late->done = now->done;
    late->backlog = now->backlog;
    late->is_stopped = now->is_stopped;
}

void leat_late_measure(leat_late *late, const leat_late_sample *now, int64_t passed_us,
                       int64_t limit_ms)
{
    LEAT_ASSERT(now->done >= late->done);
    learn_rate(late, now, passed_us);
    learn_arrivals(late, now, passed_us);
    int64_t estimate_ms = leat_late_estimate_ms(late);
    bool is_above = limit_ms > 0 && estimate_ms > limit_ms;
    late->above = !is_above ? 0 : late->above < LEAT_LATE_MEASURES ? late->above + 1 : late->above;
    if (late->above == LEAT_LATE_MEASURES)
        late->is_late = true;
    else if (2 * estimate_ms <= limit_ms)
        late->is_late = false;
}

leat_drain leat_drain_of(const leat_late *late)
{
    bool knows_arrivals = late->end_measures >= LEAT_LATE_ENDS_LEAST;
    double drain_per_s = leat_late_drain_per_s(late);
    return (leat_drain){.waiting = late->backlog,
                        .drained_per_s = drain_per_s > 0 ? drain_per_s : 0,
                        .arrivals_per_s = knows_arrivals ? late->arrivals_per_s : -1,
                        .catch_up_ms = leat_late_catch_up_ms(late)};
}
