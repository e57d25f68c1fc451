/* setting.h - a number that the environment may set for a test, such as the seed of a run. */
#ifndef LEAT_TESTS_SETTING_H
#define LEAT_TESTS_SETTING_H

#include <stdint.h>
#include <stdlib.h>

static inline uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

#endif
