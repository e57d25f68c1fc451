/*
 * base.c - the functions of base.h. The random generator is our own because a run of the simulator
 * must repeat from its seed on every machine, and rand() differs between C libraries. A 128-bit
 * multiplication applies a bound, because a remainder would prefer small numbers. A failed
 * assertion is written to stderr directly: the log may be what is broken.
 */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

bool leat_slice_is_nocase(leat_slice a, const char *text)
{
    return a.size == strlen(text) && (a.size == 0 || strncasecmp(a.data, text, a.size) == 0);
}

int leat_fail(leat_error *error, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        vsnprintf(error->text, sizeof error->text, format, args);
        va_end(args);
    }
    return -1;
}

int leat_fail_prefix(leat_error *error, const char *format, ...)
{
    if (!error)
        return -1;
    leat_error below = *error;
    va_list args;
    va_start(args, format);
    int used = vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    size_t at = used < 0 ? 0 : (size_t)used;
    if (at < sizeof error->text)
        snprintf(error->text + at, sizeof error->text - at, ": %s", below.text);
    return -1;
}

void leat_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "leat: broken invariant: %s (%s:%d)\n", condition, file, line);
    abort();
}

int64_t leat_mono_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t leat_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

_Noreturn void leat_out_of_memory(void)
{
    fputs("leat: out of memory\n", stderr);
    _exit(1); // not exit(): libraries would tear down what other threads still use
}

void *leat_must_calloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (!memory)
        leat_out_of_memory();
    return memory;
}

char *leat_must_strdup(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (!copy)
        leat_out_of_memory();
    return copy;
}

uint64_t leat_hash(leat_slice bytes)
{
    return XXH3_64bits(bytes.data, bytes.size);
}

uint64_t leat_hash_seeded(leat_slice bytes, uint64_t seed)
{
    return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

uint64_t leat_prng_next(leat_prng *prng)
{
    uint64_t z = (prng->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t leat_prng_below(leat_prng *prng, uint64_t bound)
{
    LEAT_ASSERT(bound > 0);
    return (uint64_t)(((unsigned __int128)leat_prng_next(prng) * bound) >> 64);
}
