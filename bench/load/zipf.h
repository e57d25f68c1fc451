/*
 * zipf.h - ranks 1..n, rank k as often as k^-s: exact, O(1) in time and memory, by
 * rejection-inversion (W. Hörmann and G. Derflinger, "Rejection-inversion to generate variates from
 * monotone discrete distributions", 1996).
 */
#ifndef LOAD_ZIPF_H
#define LOAD_ZIPF_H

#include "base/base.h"

typedef struct zipf {
    uint64_t n;
    double s;
    double area_first; /* where the area under the hat begins and ends */
    double area_last;
    double always; /* a point this close below its rank is taken without a look at the area */
} zipf;

/* n >= 1, s > 0. */
void zipf_init(zipf *z, uint64_t n, double s);
/* From 1 to n. */
uint64_t zipf_next(const zipf *z, leat_prng *prng);

#endif
