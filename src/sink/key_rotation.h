/*
 * key_rotation.h - when a process has a shard forget idempotency keys, and what it logs of that.
 * Workers do it, and edges whose writes go to the database past the log; several processes may do
 * it at once, and whoever comes first does it. One owner, of any thread.
 */
#ifndef LEAT_SINK_KEY_ROTATION_H
#define LEAT_SINK_KEY_ROTATION_H

#include "base/rate_limit.h"
#include "sink/shard.h"

enum {
    LEAT_KEY_ROTATION_EVERY_MS = 10000,
    LEAT_KEY_ROTATION_AGAIN_MS = 60000, /* after a failure: each try holds up batches */
    LEAT_KEY_ROTATION_FAILURES = 3,     /* in a row: so many are more than batches in the way */
};

typedef struct leat_key_rotation {
    int64_t due_ms; /* monotonic */
    uint32_t failures;
    leat_prng prng;
    leat_rate_limit rate_limit;
} leat_key_rotation;

void leat_key_rotation_init(leat_key_rotation *rotation, uint64_t seed);
bool leat_key_rotation_is_due(const leat_key_rotation *rotation, int64_t now_ms);
/* After a try: when the next one is due, which is up to a quarter later than the times above, so
 * that processes do not ask in step. */
void leat_key_rotation_tried(leat_key_rotation *rotation, int64_t now_ms, bool failed);
/* Asks the shard, where that is due: leat_shard_reporter_rotate_keys. 0: `ret` is filled. 1: it was
 * not due, or failed, which is logged, or such a shard does it by itself. */
int leat_key_rotation_run(leat_key_rotation *rotation, leat_shard_reporter *reporter,
                          const char *shard, int64_t lifetime_ms, int64_t newest_ms,
                          leat_shard_rotated *ret) LEAT_MUST_CHECK;

#endif
