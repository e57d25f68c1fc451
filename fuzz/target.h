/*
 * target.h - what every fuzz target is: one function that takes any bytes. libFuzzer calls it with
 * what it makes up (scripts/fuzz), replay.c with the files of a corpus (meson test).
 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes as a source of small choices; when they are used up, every choice is the first. */
typedef struct fuzz_bytes {
    const uint8_t *data;
    size_t size;
} fuzz_bytes;

static inline uint8_t fuzz_byte(fuzz_bytes *bytes)
{
    if (bytes->size == 0)
        return 0;
    bytes->size--;
    return *bytes->data++;
}

/* The bytes up to the next `end`, which is taken off too. */
static inline leat_slice fuzz_until(fuzz_bytes *bytes, char end)
{
    leat_slice part = {(const char *)bytes->data, 0};
    while (part.size < bytes->size && part.data[part.size] != end)
        part.size++;
    size_t used = part.size + (part.size < bytes->size);
    bytes->data += used;
    bytes->size -= used;
    return part;
}

#endif
