/*
 * median.h - the median of the last few numbers: one that is far off moves it by one place only.
 */
#ifndef LEAT_ENGINE_MEDIAN_H
#define LEAT_ENGINE_MEDIAN_H

#include "base/base.h"

enum { LEAT_MEDIAN_OF = 31 };

typedef struct leat_median {
    int64_t values[LEAT_MEDIAN_OF];
    uint32_t count; /* of them */
    uint32_t next;  /* the place of the next one: the oldest's when it is full */
    int64_t median; /* 0: there are none */
} leat_median;

/* All zero is an empty one. */
void leat_median_add(leat_median *median, int64_t value);
/* Forgets all of them. */
void leat_median_clear(leat_median *median);

#endif
