/*
 * key_rotation.c - a slot is emptied with TRUNCATE, which waits for the batches that note keys and
 * holds up those that come after them. So a shard that had no time for it is left alone for a
 * minute, and one failure is nothing to warn of.
 */
#include "sink/key_rotation.h"

#include "base/diag.h"

void leat_key_rotation_init(leat_key_rotation *rotation, uint64_t seed)
{
    *rotation = (leat_key_rotation){.prng = {.state = seed}};
}

bool leat_key_rotation_is_due(const leat_key_rotation *rotation, int64_t now_ms)
{
    return now_ms >= rotation->due_ms;
}

void leat_key_rotation_tried(leat_key_rotation *rotation, int64_t now_ms, bool failed)
{
    int64_t rest_ms = failed ? LEAT_KEY_ROTATION_AGAIN_MS : LEAT_KEY_ROTATION_EVERY_MS;
    rotation->failures = failed ? rotation->failures + 1 : 0;
    rotation->due_ms = now_ms + rest_ms +
                       (int64_t)leat_prng_below(&rotation->prng, (uint64_t)rest_ms / 4);
}

static void log_failure(leat_key_rotation *rotation, const char *shard, const char *reason)
{
    if (rotation->failures < LEAT_KEY_ROTATION_FAILURES)
        leat_debug("idempotency keys not forgotten shard=%s reason=\"%s\"", shard, reason);
    else if (leat_rate_limit_allows(&rotation->rate_limit, (uint64_t)(leat_mono_us() / 1000),
                                    reason))
        leat_warn("idempotency keys cannot be forgotten: they take up more and more of the shard "
                  "until they can be shard=%s reason=\"%s\"",
                  shard, reason);
}

int leat_key_rotation_run(leat_key_rotation *rotation, leat_shard_reporter *reporter,
                          const char *shard, int64_t lifetime_ms, int64_t newest_ms,
                          leat_shard_rotated *ret)
{
    leat_error error;
    if (!leat_key_rotation_is_due(rotation, leat_mono_us() / 1000))
        return 1;
    int status = leat_shard_reporter_rotate_keys(reporter, lifetime_ms, newest_ms, ret, &error);
    leat_key_rotation_tried(rotation, leat_mono_us() / 1000, status < 0);
    if (status < 0)
        log_failure(rotation, shard, error.text);
    if (status != 0)
        return 1;
    if (ret->early)
        leat_warn(
            "idempotency keys are forgotten 1 3/4 lifetimes after they were noted, although parked "
            "or held records or a partition have not come so far: repeats that wait for longer "
            "may be applied again shard=%s",
            shard);
    return 0;
}
