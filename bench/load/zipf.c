/* Rejection-inversion: a point under the continuous curve is inverted to a rank, and rejected where
 * the curve is above the step of that rank, which is rare. A table of cumulative shares would be
 * simpler, but takes 8 bytes a key and a cache miss a draw with millions of keys. zipf.h names the
 * source. */
#include "load/zipf.h"

#include <math.h>

/* log(1 + x) / x and (e^x - 1) / x, steady around 0: there s is 1 and the usual forms divide by
 * 0. */
static double log1p_over(double x)
{
    return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x / 2;
}

static double expm1_over(double x)
{
    return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x / 2;
}

/* The hat x^-s, the area under it from 1, and the point where that area is reached. */
static double hat(const zipf *z, double x)
{
    return exp(-z->s * log(x));
}

static double area(const zipf *z, double x)
{
    double log_x = log(x);
    return expm1_over((1 - z->s) * log_x) * log_x;
}

static double area_inverse(const zipf *z, double value)
{
    double t = value * (1 - z->s);
    if (t < -1)
        t = -1; /* rounding at the far end */
    return exp(log1p_over(t) * value);
}

void zipf_init(zipf *z, uint64_t n, double s)
{
    LEAT_ASSERT(n >= 1 && s > 0);
    *z = (zipf){.n = n, .s = s};
    z->area_first = area(z, 1.5) - 1;
    z->area_last = area(z, (double)n + 0.5);
    z->always = 2 - area_inverse(z, area(z, 2.5) - hat(z, 2));
}

static double uniform(leat_prng *prng)
{
    return (double)(leat_prng_next(prng) >> 11) * 0x1.0p-53;
}

uint64_t zipf_next(const zipf *z, leat_prng *prng)
{
    for (;;) {
        double u = z->area_last + uniform(prng) * (z->area_first - z->area_last);
        double x = area_inverse(z, u);
        double k = floor(x + 0.5);
        if (k < 1)
            k = 1;
        else if (k > (double)z->n)
            k = (double)z->n;
        if (k - x <= z->always || u >= area(z, k + 0.5) - hat(z, k))
            return (uint64_t)k;
    }
}
