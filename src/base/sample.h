/*
 * sample.h - which of many are looked at: one in so many, at a place that changes from each few to
 * the next by no rule that what is looked at could follow. With a fixed distance whoever comes in a
 * cycle of that length is seen always or never. No clock; the same sequence in each run. Not
 * thread-safe; one owner.
 */
#ifndef LEAT_BASE_SAMPLE_H
#define LEAT_BASE_SAMPLE_H

#include "base/base.h"

/* Zeroed is ready. */
typedef struct leat_sample {
    leat_prng prng;
    uint32_t seen;  /* of the `of` that have begun */
    uint32_t place; /* the one of them that is looked at */
} leat_sample;

/* The place, below `of` (1 or more), in the next so many. */
static inline uint32_t leat_sample_place(leat_sample *sample, uint32_t of)
{
    return (uint32_t)leat_prng_below(&sample->prng, of);
}

/* One more has come: is it looked at? Of `of` (1 or more; always the same) in a row, exactly one
 * is. */
static inline bool leat_sample_takes(leat_sample *sample, uint32_t of)
{
    if (sample->seen == 0)
        sample->place = leat_sample_place(sample, of);
    bool takes = sample->seen == sample->place;
    sample->seen = sample->seen + 1 == of ? 0 : sample->seen + 1;
    return takes;
}

#endif
