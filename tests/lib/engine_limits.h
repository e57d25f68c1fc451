/* engine_limits.h - limits for an engine in a test that is not about limits. Production has none of
 * its own: they are settings. A test sets what it is about after this. */
#ifndef LEAT_TESTS_ENGINE_LIMITS_H
#define LEAT_TESTS_ENGINE_LIMITS_H

#include "engine/engine.h"

enum { TEST_SUBPARTITIONS = 64 };

/* Declares a progress with its arrays. */
#define TEST_PROGRESS(name)                                                                        \
    int64_t name##_memory[2 * TEST_SUBPARTITIONS];                                                 \
    leat_engine_progress name;                                                                     \
    leat_engine_progress_init(&name, name##_memory, TEST_SUBPARTITIONS)

static inline void engine_limits(leat_engine_config *config)
{
    config->subpartitions = TEST_SUBPARTITIONS;
    config->bytes_max = UINT64_C(128) << 20;
    config->batch_records_max = 1000;
    config->batch_bytes_max = UINT64_C(4) << 20;
    config->age_bound_us = 50000;
    config->compact_every_us = 5000000;
    config->commit_every_us = 1000000;
    config->drain_us = 5000000;
    config->lock_timeout_us = 5000000;
    config->patience_us = 30000000;
    config->dead_letters_per_minute = 100;
    config->dead_letters_percent = 20;
}

#endif
