/*
 * contention.c - the usual time of a batch is a running median: one step towards each sample,
 * whatever its distance. So waits do not raise the limit that ends them, as long as most batches do
 * not wait. (The frugal estimate of a quantile by Q. Ma, S. Muthukrishnan and M. Sandler, "Frugal
 * Streaming for Estimating Quantiles", 2013, with steps in proportion to the estimate: it has to
 * reach seconds from milliseconds.)
 */
#include "engine/contention.h"

enum {
    USUAL_STEP = 16,    /* one part of it */
    USUAL_FACTOR = 4,   /* a wait or a statement of this many usual batches is long */
    LANE_PART = 4,      /* blocked queues get one part of the slots */
    DOUBLINGS_MAX = 20, /* more would overflow, and no limit is that high */
    LANE_ORDER = 10000, /* a queue rests longer by one part of what is left of the lane's memory */
};

/* One that waited in vain before that has no advantage over others. */
#define LANE_MEMORY_US (60 * INT64_C(1000000))

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t doubled(int64_t us, uint32_t times)
{
    return us << (times < DOUBLINGS_MAX ? times : DOUBLINGS_MAX);
}

void leat_contention_sample(leat_contention *contention, int64_t took_us)
{
    LEAT_ASSERT(took_us >= 0);
    int64_t step = most(contention->usual_us / USUAL_STEP, 1);
    if (contention->usual_us == 0)
        contention->usual_us = most(took_us, 1);
    else if (took_us > contention->usual_us)
        contention->usual_us += least(step, took_us - contention->usual_us);
    else
        contention->usual_us -= least(step, contention->usual_us - most(took_us, 1));
    LEAT_ASSERT(contention->usual_us > 0);
}

/* At most one less than all slots, if there are several. */
static uint32_t width(const leat_contention *contention, uint32_t slots)
{
    uint32_t quarter = slots / LANE_PART > 0 ? slots / LANE_PART : 1;
    uint32_t limit = slots > 2 ? slots - 1 : 1;
    uint32_t wanted = quarter + contention->widened;
    return wanted < limit ? wanted : limit;
}

bool leat_contention_has_room(const leat_contention *contention, uint32_t slots, int64_t now_us)
{
    return contention->running < width(contention, slots) && now_us >= contention->rest_us;
}

void leat_contention_started(leat_contention *contention)
{
    contention->running++;
}

void leat_contention_ended(leat_contention *contention, uint32_t slots, bool waited, bool passed,
                           int64_t took_us, int64_t now_us)
{
    LEAT_ASSERT(contention->running > 0 && took_us >= 0);
    contention->running--;
    if (passed && contention->widened < slots)
        contention->widened++;
    if (!waited)
        return;
    contention->widened = 0;
    if (slots == 0 || slots >= LANE_PART)
        return;
    contention->rest_us =
        most(contention->rest_us, now_us + took_us * (LANE_PART - (int64_t)slots) / (int64_t)slots);
}

int64_t leat_contention_rest_us(const leat_contention *contention, int64_t now_us,
                                int64_t waited_us)
{
    LEAT_ASSERT(contention->rest_us > now_us);
    int64_t behind_us = most(LANE_MEMORY_US - (now_us - waited_us), 0);
    return contention->rest_us - now_us + behind_us / LANE_ORDER;
}

int64_t leat_contention_wait_us(const leat_contention *contention, int64_t most_us)
{
    LEAT_ASSERT(most_us > 0);
    return least(most(LEAT_LOCK_WAIT_MIN_US, USUAL_FACTOR * contention->usual_us), most_us);
}

int64_t leat_contention_blocked_wait_us(const leat_contention *contention, uint32_t failures,
                                        bool has_rivals, uint32_t slots, int64_t most_us)
{
    int64_t wait_us = leat_contention_wait_us(contention, most_us);
    if (has_rivals)
        return wait_us;
    /* With so few slots a long attempt would be more than a quarter of them for as long. */
    uint32_t times = slots < LANE_PART && failures > 2 ? 2 : failures;
    int64_t longest_us = most(wait_us, least(LEAT_LOCK_WAIT_MAX_US, most_us));
    return least(doubled(wait_us, times), longest_us);
}

int64_t leat_contention_statement_us(const leat_contention *contention, uint32_t timeouts,
                                     int64_t wait_us)
{
    int64_t limit_us = most(LEAT_STATEMENT_MIN_US, USUAL_FACTOR * contention->usual_us);
    return most(least(doubled(limit_us, timeouts), LEAT_STATEMENT_MAX_US), 2 * wait_us);
}
