/*
 * concurrency.c - the limit changes once a window, and only by a part of the way, so that one that
 * is too low or too high is corrected before it is felt. It grows only when it was reached: batches
 * that are fewer than the limit prove nothing about more of them.
 */
#include "engine/concurrency.h"

enum { WINDOW = 16, THOUSAND = 1000 };

#define TOLERANCE    2.0
#define GRADIENT_MIN 0.5
#define SMOOTHING    0.3

/* Of a number of 1 to 4096, by Newton. */
static double root_of(double number)
{
    double root = number > 1 ? number : 1;
    for (int i = 0; i < 12; i++)
        root = (root + number / root) / 2;
    return root;
}

uint32_t leat_concurrency_limit(const leat_concurrency *concurrency, uint32_t slots)
{
    if (concurrency->limit <= 0 || concurrency->limit >= slots)
        return slots;
    uint32_t limit = (uint32_t)concurrency->limit;
    limit = limit > LEAT_CONCURRENCY_MIN ? limit : LEAT_CONCURRENCY_MIN;
    return limit < slots ? limit : slots;
}

static void change(leat_concurrency *concurrency, uint32_t slots)
{
    double slowness = (double)concurrency->window.median / THOUSAND;
    double limit = concurrency->limit > 0 && concurrency->limit < slots ? concurrency->limit
                                                                        : slots;
    double gradient = slowness > TOLERANCE ? TOLERANCE / slowness : 1;
    gradient = gradient > GRADIENT_MIN ? gradient : GRADIENT_MIN;
    double wanted = limit * gradient + root_of(limit) / 2;
    bool was_reached = concurrency->busy * 2 >= concurrency->samples;
    if (wanted < limit || was_reached)
        limit += SMOOTHING * (wanted - limit);
    limit = limit > LEAT_CONCURRENCY_MIN ? limit : LEAT_CONCURRENCY_MIN;
    /* There may be more slots later. */
    concurrency->limit = limit < slots ? limit : 0;
}

void leat_concurrency_sample(leat_concurrency *concurrency, double slowness, uint32_t running,
                             uint32_t slots)
{
    if (slots == 0)
        return;
    int64_t thousandths = slowness < 1000 ? (int64_t)(slowness * THOUSAND) : 1000 * THOUSAND;
    leat_median_add(&concurrency->window, thousandths);
    concurrency->samples++;
    concurrency->busy += running + 1 >= leat_concurrency_limit(concurrency, slots);
    if (concurrency->samples < WINDOW)
        return;
    change(concurrency, slots);
    concurrency->samples = concurrency->busy = 0;
}
