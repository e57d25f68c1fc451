/*
 * dead_letters.c - each dead letter is logged, up to a number in a minute, then how many more there
 * were: all of them are in leat.dead_letters.
 */
#include <inttypes.h>

#include "apply/worker_state.h"
#include "base/diag.h"

enum { DEAD_LOGGED_MAX = 100 }; /* a minute */

void leat_worker_end_minute(leat_worker *worker, int64_t now_us)
{
    if (now_us - worker->dead_letters.since_us < LEAT_RATE_LIMIT_US)
        return;
    if (worker->dead_letters.suppressed > 0)
        leat_warn("more dead letters than are logged in a minute worker=%" PRIu32
                  " suppressed=%" PRIu32 " advice=\"`leat dead list` shows them\"",
                  worker->config.index, worker->dead_letters.suppressed);
    worker->dead_letters.since_us = now_us;
    worker->dead_letters.logged = worker->dead_letters.suppressed = 0;
}

void leat_worker_log_dead_letter(leat_worker *worker, const leat_engine_effect *effect)
{
    const leat_engine_job_result *result = effect->result;
    char record[LEAT_RECORD_TEXT_SIZE];
    LEAT_ASSERT(effect->partition < worker->partition_count);
    LEAT_ASSERT(worker->dead_letters.logged <= DEAD_LOGGED_MAX);
    leat_worker_end_minute(worker, leat_worker_now_us(worker));
    if (worker->dead_letters.logged == DEAD_LOGGED_MAX) {
        worker->dead_letters.suppressed++;
        return;
    }
    worker->dead_letters.logged++;
    leat_warn("dead letter shard=%s partition=%" PRIu32 " offset=%" PRId64
              " %s sqlstate=%s reason=\"%s\" advice=\"`leat dead show %" PRIu32 " %" PRId64
              "` shows it\"",
              worker->config.shards[worker->shard_of[effect->partition]].name, effect->partition,
              effect->offset,
              leat_worker_describe_record(worker, effect->table, effect->payload, record),
              *result->sqlstate ? result->sqlstate : "none", result->message, effect->partition,
              effect->offset);
}
