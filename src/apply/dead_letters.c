/*
 * dead_letters.c - each dead letter and each key that is held is logged, up to a number in a
 * minute, then how many more there were: all of them are in the shard.
 */
#include <inttypes.h>
#include <string.h>

#include "apply/worker_state.h"
#include "base/diag.h"

enum { LOGGED_MAX = 100 }; /* a minute */

void leat_worker_end_minute(leat_worker *worker, int64_t now_us)
{
    if (now_us - worker->dead_letters.since_us < LEAT_RATE_LIMIT_US)
        return;
    if (worker->dead_letters.suppressed > 0)
        leat_warn("more dead letters and held keys than are logged in a minute worker=%" PRIu32
                  " suppressed=%" PRIu32
                  " advice=\"`leat dead list` and `leat dead list --held` show them\"",
                  worker->config.index, worker->dead_letters.suppressed);
    worker->dead_letters.since_us = now_us;
    worker->dead_letters.logged = worker->dead_letters.suppressed = 0;
}

static bool may_log(leat_worker *worker)
{
    LEAT_ASSERT(worker->dead_letters.logged <= LOGGED_MAX);
    leat_worker_end_minute(worker, leat_worker_now_us(worker));
    bool may = worker->dead_letters.logged < LOGGED_MAX;
    worker->dead_letters.logged += may;
    worker->dead_letters.suppressed += !may;
    return may;
}

static const char *shard_name(const leat_worker *worker, const leat_engine_effect *effect)
{
    LEAT_ASSERT(effect->partition < worker->partition_count);
    return worker->config.shards[worker->shard_of[effect->partition]].name;
}

void leat_worker_log_dead_letter(leat_worker *worker, const leat_engine_effect *effect)
{
    const leat_engine_job_result *result = effect->result;
    char record[LEAT_RECORD_TEXT_SIZE];
    if (!may_log(worker))
        return;
    leat_warn("dead letter shard=%s partition=%" PRIu32 " offset=%" PRId64
              " %s sqlstate=%s reason=\"%s\" advice=\"`leat dead show %" PRIu32 " %" PRId64
              "` shows it\"",
              shard_name(worker, effect), effect->partition, effect->offset,
              leat_worker_describe_record(worker, effect->table, effect->payload, record),
              *result->sqlstate ? result->sqlstate : "none", result->message, effect->partition,
              effect->offset);
}

void leat_worker_log_held_key(leat_worker *worker, const leat_engine_effect *effect)
{
    const leat_engine_job_result *result = effect->result;
    char record[LEAT_RECORD_TEXT_SIZE];
    if (!may_log(worker))
        return;
    leat_warn("key held: its records are kept in the shard from now on shard=%s partition=%" PRIu32
              " offset=%" PRId64 " %s sqlstate=%s reason=\"%s\" advice=\"`leat dead list --held` "
              "shows it; `leat dead retry` applies them once their cause is gone\"",
              shard_name(worker, effect), effect->partition, effect->offset,
              leat_worker_describe_record(worker, effect->table, effect->payload, record),
              *result->sqlstate ? result->sqlstate : "none", result->message);
}

static void note_left(leat_worker *worker, const leat_engine_effect *effect)
{
    leat_shard_key_note note = {
        .partition = effect->partition, .hash = (int64_t)effect->key, .offset = effect->offset};
    memcpy(note.sqlstate, effect->result->sqlstate, sizeof note.sqlstate);
    memcpy(note.message, effect->result->message, sizeof note.message);
    leat_worker_note_left(worker, worker->shard_of[effect->partition], &note);
}

void leat_worker_log_left_key(leat_worker *worker, const leat_engine_effect *effect)
{
    const leat_engine_job_result *result = effect->result;
    char record[LEAT_RECORD_TEXT_SIZE];
    note_left(worker, effect);
    if (!may_log(worker))
        return;
    leat_warn("held key left to people: leat does not try its records again shard=%s "
              "partition=%" PRIu32 " offset=%" PRId64
              " %s sqlstate=%s reason=\"%s\" advice=\"`leat dead list --held` shows it; once the "
              "cause is gone `leat dead retry` applies them, `leat dead discard` gives them up\"",
              shard_name(worker, effect), effect->partition, effect->offset,
              leat_worker_describe_record(worker, effect->table, effect->payload, record),
              *result->sqlstate ? result->sqlstate : "none", result->message);
}
