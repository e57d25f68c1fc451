/*
 * late.c - the estimate, and a state with two limits: it begins above one and ends below half of
 * it, or whoever is refused for it would be taken and refused in turn.
 */
#include "apply/late.h"

#define ESTIMATE_MAX_MS (INT64_C(365) * 24 * 3600 * 1000)

int64_t leat_late_estimate_ms(const leat_late *late)
{
    if (late->backlog == 0)
        return 0;
    if (late->per_s <= 0)
        return -1;
    double estimate_ms = (double)late->backlog * 1000 / late->per_s;
    return estimate_ms < (double)ESTIMATE_MAX_MS ? (int64_t)estimate_ms : ESTIMATE_MAX_MS;
}

static void learn(leat_late *late, uint64_t done, uint64_t backlog, int64_t passed_us)
{
    bool was_busy = backlog > 0 && late->backlog >= done - late->done;
    if (was_busy && done > late->done && passed_us > 0) {
        double per_s = (double)(done - late->done) * 1e6 / (double)passed_us;
        late->per_s = late->per_s > 0 ? (late->per_s + per_s) / 2 : per_s;
    }
    late->done = done;
    late->backlog = backlog;
}

void leat_late_measure(leat_late *late, uint64_t done, uint64_t backlog, int64_t passed_us,
                       int64_t limit_ms)
{
    LEAT_ASSERT(done >= late->done);
    learn(late, done, backlog, passed_us);
    int64_t estimate_ms = leat_late_estimate_ms(late);
    bool is_above = limit_ms > 0 && estimate_ms > limit_ms;
    late->above = !is_above ? 0 : late->above < LEAT_LATE_MEASURES ? late->above + 1 : late->above;
    if (late->above == LEAT_LATE_MEASURES)
        late->is_late = true;
    else if (2 * estimate_ms <= limit_ms)
        late->is_late = false;
}
