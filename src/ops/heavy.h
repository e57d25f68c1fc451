/*
 * heavy.h - the heaviest of many, in memory of a fixed size: the space-saving algorithm of
 * Metwally, Agrawal and El Abbadi (2005), with weights that fade. Pure.
 *
 * Whoever is not among the LEAT_HEAVY_MAX that are known takes the place of the lightest, and its
 * weight, which is then remembered as its error. So with W the weight of all:
 *   - whoever has more than W / LEAT_HEAVY_MAX is among them;
 *   - a weight is never too small, and too large by at most its error, which is at most
 *     W / LEAT_HEAVY_MAX. The weight without it accuses nobody of what others did.
 * That is about what is added; where that is a sample of something (apply/blame.h), all of it is an
 * estimate of the whole. All of it fades alike, so both hold for the faded weights too.
 *
 * What was added may be taken out again. Then the weight without its error still accuses nobody of
 * what others did; but whoever was forgotten with little may have more than W / LEAT_HEAVY_MAX once
 * W is small, and is known again when something of it is added. Who has never been forgotten is
 * known exactly.
 */
#ifndef LEAT_OPS_HEAVY_H
#define LEAT_OPS_HEAVY_H

#include "base/base.h"

enum { LEAT_HEAVY_MAX = 32, LEAT_HEAVY_TEXT_MAX = 127 };

typedef struct leat_heavy_entry {
    double error;
    char text[LEAT_HEAVY_TEXT_MAX + 1]; /* cut */
} leat_heavy_entry;

typedef struct leat_heavy {
    double total; /* of all, the forgotten ones too */
    /* Apart from the entries: these are walked for each that is added. */
    uint64_t names[LEAT_HEAVY_MAX];
    double weights[LEAT_HEAVY_MAX]; /* 0: the place is free */
    leat_heavy_entry entries[LEAT_HEAVY_MAX];
} leat_heavy;

/* `name` stands for the whole text: a hash of it. `weight` is 0 or more. */
void leat_heavy_add(leat_heavy *heavy, uint64_t name, leat_slice text, double weight);
/* Of somebody without a name: it is in the total. */
void leat_heavy_add_other(leat_heavy *heavy, double weight);
/* The contrary of the two: so much of what was added is there no longer. */
void leat_heavy_take(leat_heavy *heavy, uint64_t name, double weight);
void leat_heavy_take_other(leat_heavy *heavy, double weight);
/* All weights become `factor` (0 to 1) of what they were. */
void leat_heavy_fade(leat_heavy *heavy, double factor);
/* Its place; LEAT_HEAVY_MAX: it is not among them. */
uint32_t leat_heavy_find(const leat_heavy *heavy, uint64_t name);
/* Puts the places of the heaviest into `ret`, by `weight - error`, the heaviest first: at most
 * `max` (up to LEAT_HEAVY_MAX), and none that has less than `share` of the total for certain. */
uint32_t leat_heavy_largest(const leat_heavy *heavy, double share, uint32_t *ret, uint32_t max);

static inline double leat_heavy_certain(const leat_heavy *heavy, uint32_t place)
{
    return heavy->weights[place] - heavy->entries[place].error;
}

#endif
