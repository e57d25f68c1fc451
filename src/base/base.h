/*
 * base.h - what every other room uses: slices, errors, assertions, clocks, memory at start-up, the
 * hash and a random generator. Every function is safe to call from any thread.
 *
 * Rooms include one way only: base <- engine, record, config, auth, ops, http <- log, sink,
 * trace <- edge, apply, watch, page, verify <- daemon <- cli. A lint test checks it.
 */
#ifndef LEAT_BASE_H
#define LEAT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LEAT_MUST_CHECK                 __attribute__((warn_unused_result))
#define LEAT_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))

/* The value of a macro, as a literal: for texts and SQL that name it. */
#define LEAT_STRINGIZE(macro)      LEAT_STRINGIZE_TEXT(macro)
#define LEAT_STRINGIZE_TEXT(value) #value

/* Bytes that somebody else owns; not NUL-terminated. */
typedef struct leat_slice {
    const char *data;
    size_t size;
} leat_slice;

#define LEAT_SLICE(literal) ((leat_slice){(literal), sizeof(literal) - 1})

/* `text` is never NULL. These are in the header because parsing calls them for each character or
 * name. */
static inline leat_slice leat_slice_of(const char *text)
{
    return (leat_slice){text, strlen(text)};
}

static inline bool leat_slice_equal(leat_slice a, leat_slice b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool leat_slice_is(leat_slice a, const char *text)
{
    return leat_slice_equal(a, leat_slice_of(text));
}

/* Removes `c` from the front. False: `rest` does not begin with it. */
static inline bool leat_slice_take(leat_slice *rest, char c)
{
    if (rest->size == 0 || rest->data[0] != c)
        return false;
    rest->data++;
    rest->size--;
    return true;
}

/* leat_slice_is; ASCII letters match in either case. */
bool leat_slice_is_nocase(leat_slice a, const char *text);

/* A failure, as a text for a person. Filled by the layer that knows the cause; layers above may put
 * a prefix before it. */
typedef struct leat_error {
    char text[1024];
} leat_error;

/* Writes the message (cut at the size of `text`) and returns -1, so that `return leat_fail(...)`
 * reads well. `error` may be NULL. */
int leat_fail(leat_error *error, const char *format, ...) LEAT_PRINTF(2, 3);

/* Puts the formatted text and ": " before the message that is there, and returns -1. */
int leat_fail_prefix(leat_error *error, const char *format, ...) LEAT_PRINTF(2, 3);

/* Stays on in release builds: a broken invariant stops the process before it can harm data. That is
 * safe, because leat may be killed at any moment without loss. */
#define LEAT_ASSERT(condition)                                                                     \
    ((condition) ? (void)0 : leat_assert_failed(#condition, __FILE__, __LINE__))
__attribute__((cold)) _Noreturn void leat_assert_failed(const char *condition, const char *file,
                                                        int line);

/* The monotonic clock, microseconds. The engine never calls it: time comes with the event. */
int64_t leat_mono_us(void);
/* The wall clock, milliseconds since 1970: the unit of a record's accept time. */
int64_t leat_wall_ms(void);

/* Zeroed memory; out of memory, the process ends with a message. For start-up, where nothing could
 * be released instead. */
void *leat_must_calloc(size_t count, size_t size);
/* That end. */
_Noreturn void leat_out_of_memory(void);
/* The same; NULL (leat_buf_cstr of a buffer that failed) ends the process too. */
char *leat_must_strdup(const char *text);

/* xxHash's XXH3, 64 bits, seed 0: the hash named "xxh3-64" in leat.sources. It never changes:
 * records are placed by it. */
uint64_t leat_hash(leat_slice bytes);
/* The same with another seed. */
uint64_t leat_hash_seeded(leat_slice bytes, uint64_t seed);

/* A seeded generator (splitmix64): jitter, load generation. Not for secrets. */
typedef struct leat_prng {
    uint64_t state;
} leat_prng;
uint64_t leat_prng_next(leat_prng *prng);
/* Uniform in [0, bound); bound > 0. */
uint64_t leat_prng_below(leat_prng *prng, uint64_t bound);

#endif
