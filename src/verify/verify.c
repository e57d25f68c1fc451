/*
 * The walks. The first one is for all keys and counts records; when the keys outgrow the memory,
 * half of them are left to a walk of their own, and again half of the rest, so that the number of
 * walks follows from the keys that there are and nobody has to guess it. At its end a walk reads on
 * for as long as the log has much more, because the moment in which the rows are looked at has to
 * be short; for the same reason the pace is kept in the range only.
 */
#include <stdlib.h>
#include <string.h>

#include "verify/internal.h"

enum { ENDS_MS = 20000, NEAR_RECORDS = 5000, READ_ON_MAX = 20 };

const char *leat_fate_name(leat_fate fate)
{
    static const char *const names[LEAT_FATE_COUNT] = {
        [LEAT_FATE_APPLIED] = "applied",         [LEAT_FATE_WAITING] = "waiting",
        [LEAT_FATE_PARKED] = "parked",           [LEAT_FATE_HELD] = "held",
        [LEAT_FATE_DEAD_LETTER] = "dead_letter", [LEAT_FATE_SKIPPED] = "skipped",
        [LEAT_FATE_REMOVED] = "removed",         [LEAT_FATE_UNREADABLE] = "unreadable",
    };
    LEAT_ASSERT((unsigned)fate < LEAT_FATE_COUNT);
    return names[fate];
}

const char *leat_finding_name(leat_finding_kind kind)
{
    static const char *const names[LEAT_FINDING_COUNT] = {
        [LEAT_FINDING_NO_PROGRESS] = "no_progress",   [LEAT_FINDING_BEYOND_END] = "beyond_end",
        [LEAT_FINDING_REMOVED] = "dead_letter_gone",  [LEAT_FINDING_ROW_MISSING] = "row_missing",
        [LEAT_FINDING_ROW_THERE] = "row_not_deleted", [LEAT_FINDING_ROW_DIFFERS] = "row_differs",
        [LEAT_FINDING_ROW_AHEAD] = "progress_lost",
    };
    LEAT_ASSERT((unsigned)kind < LEAT_FINDING_COUNT);
    return names[kind];
}

uint64_t leat_verify_found(const leat_verify_result *result)
{
    uint64_t ret = 0;
    for (int i = 0; i < LEAT_FINDING_COUNT; i++)
        ret += result->findings[i];
    return ret;
}

/* ---- one walk ---- */

static uint64_t range_of(const leat_verify *v)
{
    uint64_t ret = 0;
    for (uint32_t p = 0; p < v->config->layout->partition_count; p++) {
        const leat_log_span *span = &v->spans[p];
        ret += span->to > span->from ? (uint64_t)(span->to - span->from) : 0;
    }
    return ret;
}

/* How many offsets the log has beyond what was read. */
static int find_rest(leat_verify *v, int64_t *to, uint64_t *ret)
{
    uint32_t count = v->config->layout->partition_count;
    int64_t *offsets = leat_must_calloc(count, sizeof *offsets);
    leat_log_ahead *ends = leat_must_calloc(count, sizeof *ends);
    for (uint32_t p = 0; p < count; p++)
        offsets[p] = -1;
    int status = leat_log_read_ahead(v->config->log, count, offsets, ENDS_MS, ends, v->error);
    *ret = 0;
    for (uint32_t p = 0; p < count && status == 0; p++) {
        to[p] = v->walked[p];
        if (v->spans[p].to < 0 || ends[p].stable <= v->walked[p])
            continue;
        *ret += (uint64_t)(ends[p].stable - v->walked[p]);
        to[p] = ends[p].stable;
    }
    free(ends);
    free(offsets);
    return status;
}

/* A log that grows faster than it is read is left alone after some rounds. */
static int read_on(leat_verify *v, int64_t *to)
{
    uint64_t rest = 0;
    for (int i = 0; i < READ_ON_MAX; i++) {
        if (find_rest(v, to, &rest) != 0)
            return -1;
        if (rest < NEAR_RECORDS)
            return 0;
        if (verify_walk(v, to) != 0)
            return -1;
    }
    return 0;
}

/* A log may lose its first records from one walk to the next. */
static int cut_spans(leat_verify *v)
{
    uint32_t count = v->config->layout->partition_count;
    v->result->partitions_cut = 0;
    if (leat_log_starts(v->config->log, count, ENDS_MS, v->starts, v->error) != 0)
        return -1;
    for (uint32_t p = 0; p < count; p++) {
        leat_log_span *span = &v->spans[p];
        span->from = v->starts[p] > span->from ? v->starts[p] : span->from;
        v->result->partitions_cut += span->to >= 0 && v->starts[p] > 0;
    }
    return 0;
}

static int walk_share(leat_verify *v)
{
    if (cut_spans(v) != 0)
        return -1;
    uint32_t count = v->config->layout->partition_count;
    int64_t *to = leat_must_calloc(count, sizeof *to);
    for (uint32_t p = 0; p < count; p++) {
        v->walked[p] = v->spans[p].from;
        to[p] = v->spans[p].to;
        v->was_late[p] = false;
        v->begun_ms[p] = v->spans[p].from > 0 || v->config->since_ms > 0 ? -1 : 0;
    }
    verify_keys_init(&v->keys);
    v->is_paced = true;
    int status = verify_walk(v, to);
    v->is_paced = false;
    if (status == 0 && v->keys.count > 0)
        status = read_on(v, to);
    if (status == 0)
        status = verify_judge(v);
    verify_keys_fini(&v->keys);
    free(to);
    return status;
}

/* ---- all of them ---- */

static int open_shard(leat_verify *v, uint32_t shard)
{
    const leat_verify_shard *of = &v->config->shards[shard];
    v->shards[shard].batch.end = &v->shards[shard].batch.first;
    v->shards[shard].audit =
        leat_shard_audit_new(of->at, of->source.id, of->source.placement.subpartitions);
    if (leat_shard_read_controls(of->at, of->source.id, &v->shards[shard].controls, v->error) ==
            0 &&
        leat_shard_read_ended_controls(of->at, of->source.id, &v->shards[shard].ended, v->error) ==
            0)
        return 0;
    return leat_fail_prefix(v->error, "shard %s", of->name);
}

static void close_shard(leat_verify *v, uint32_t shard)
{
    verify_records_free(v->shards[shard].batch.first);
    leat_control_set_drop(v->shards[shard].controls);
    leat_control_set_drop(v->shards[shard].ended);
    leat_shard_audit_free(v->shards[shard].audit);
}

static int run_walks(leat_verify *v)
{
    v->stack_count = 1; /* all keys */
    v->progress.walks = 1;
    v->progress.planned = range_of(v);
    v->is_first = true;
    while (v->stack_count > 0) {
        v->share = v->stack[--v->stack_count];
        v->progress.walk = ++v->result->walks;
        if (walk_share(v) != 0)
            return -1;
        v->is_first = false;
    }
    return 0;
}

int leat_verify_run(const leat_verify_config *config, leat_verify_result *ret, leat_error *error)
{
    LEAT_ASSERT(config->memory > 0 && config->sample_ppm > 0 && config->on_finding &&
                config->on_progress);
    leat_verify *v = leat_must_calloc(1, sizeof *v);
    *ret = (leat_verify_result){0};
    v->config = config;
    v->result = ret;
    v->error = error;
    v->follower = leat_key_follower_new();
    v->walked = leat_must_calloc(config->layout->partition_count, sizeof *v->walked);
    v->was_late = leat_must_calloc(config->layout->partition_count, sizeof *v->was_late);
    v->begun_ms = leat_must_calloc(config->layout->partition_count, sizeof *v->begun_ms);
    v->starts = leat_must_calloc(config->layout->partition_count, sizeof *v->starts);
    v->spans = leat_must_calloc(config->layout->partition_count, sizeof *v->spans);
    memcpy(v->spans, config->spans, config->layout->partition_count * sizeof *v->spans);
    v->paced_us = leat_mono_us();
    int status = v->follower ? 0 : leat_fail(error, "out of memory");
    for (uint32_t shard = 0; shard < config->shard_count && status == 0; shard++)
        status = open_shard(v, shard);
    if (status == 0)
        status = run_walks(v);
    for (uint32_t shard = 0; shard < config->shard_count; shard++)
        close_shard(v, shard);
    leat_key_follower_free(v->follower);
    free(v->reached);
    free(v->walked);
    free(v->was_late);
    free(v->begun_ms);
    free(v->starts);
    free(v->spans);
    free(v);
    return status;
}
