/*
 * worker_parked.c - what is parked, in metrics, in a line a minute while there is any, and as a
 * fact where it has used up its room or soon will. Parking postpones and ends nothing, so somebody
 * has to know in time: each partition's share is watched on its own, and the one that is full first
 * speaks for its shard.
 */
#include <inttypes.h>
#include <stdio.h>

#include "apply/worker_state.h"
#include "base/diag.h"

#define SOON_US (60 * INT64_C(60000000)) /* full within an hour: a person should know */

void leat_worker_parked_register(leat_worker *worker, uint32_t shard, const char *labels)
{
    leat_metrics *metrics = worker->config.metrics;
    leat_worker_parked *parked = &worker->shards[shard].parked;
    parked->records = leat_metrics_gauge(metrics, "leat_parked_records", labels);
    parked->bytes = leat_metrics_gauge(metrics, "leat_parked_bytes", labels);
    parked->max_bytes = leat_metrics_gauge(metrics, "leat_parked_limit_bytes", labels);
    parked->chunks = leat_metrics_gauge(metrics, "leat_parked_chunks", labels);
    parked->subpartitions = leat_metrics_gauge(metrics, "leat_parked_subpartitions", labels);
    parked->oldest_ms = leat_metrics_gauge(metrics, "leat_parked_oldest_seconds", labels);
    parked->left_ms = leat_metrics_gauge(metrics, "leat_parked_full_in_seconds", labels);
    parked->full = leat_metrics_gauge(metrics, "leat_partitions_parked_full", labels);
    parked->size = leat_metrics_gauge(metrics, "leat_parked_relation_bytes", labels);
    leat_gauge_set(parked->size, INT64_MIN);
    atomic_init(&parked->measured, UINT64_MAX);
    parked->told = UINT64_MAX;
}

/* Until the partition, or its fullest subpartition, has used up its share. */
static int64_t left_us(leat_worker *worker, uint32_t partition,
                       const leat_engine_partition_view *view)
{
    if (view->parked_max_bytes == 0)
        return INT64_MAX;
    int64_t now_us = leat_worker_now_us(worker);
    int64_t all_us = leat_fill_left_us(&worker->fills[partition], now_us, view->parked_bytes,
                                       view->parked_max_bytes);
    int64_t most_us = leat_fill_left_us(&worker->fills[worker->partition_count + partition], now_us,
                                        view->parked_most_bytes, view->parked_most_max_bytes);
    return all_us < most_us ? all_us : most_us;
}

void leat_worker_parked_add(leat_worker *worker, uint32_t partition,
                            const leat_engine_partition_view *view, leat_parked_sum *sum)
{
    int64_t until_us = left_us(worker, partition, view);
    sum->max_bytes += view->parked_max_bytes;
    sum->full += view->parked_full;
    sum->half += view->parked_max_bytes > 0 && view->parked_bytes >= view->parked_max_bytes / 2;
    if (view->parked_records == 0)
        return;
    sum->partitions++;
    sum->spent += until_us == 0;
    sum->subpartitions += view->parked_subpartitions;
    sum->chunks += view->parked_chunks;
    sum->records += view->parked_records;
    sum->bytes += view->parked_bytes;
    if (view->parked_oldest_ms > 0 &&
        (sum->oldest_ms == 0 || view->parked_oldest_ms < sum->oldest_ms))
        sum->oldest_ms = view->parked_oldest_ms;
    if (sum->partitions > 1 && until_us >= sum->left_us)
        return;
    sum->left_us = until_us;
    sum->first = partition;
    sum->first_view = *view;
}

static void log_parked(leat_worker *worker, uint32_t shard, const leat_parked_sum *sum)
{
    const char *name = worker->config.shards[shard].name;
    bool *is_logged = &worker->shards[shard].parked.is_logged;
    char cause[LEAT_NAME_MAX + 16];
    snprintf(cause, sizeof cause, "%s parked", name);
    if (sum->records == 0 && *is_logged) {
        *is_logged = false;
        leat_info("no record is parked any longer shard=%s", name);
    }
    if (sum->records == 0 ||
        !leat_rate_limit_allows(&worker->rate_limit, (uint64_t)leat_worker_now_us(worker) / 1000,
                                cause))
        return;
    *is_logged = true;
    leat_warn(
        "records are parked: they wait in the shard while others go on shard=%s parked=%" PRIu64
        " partitions=%" PRIu32 " subpartitions=%" PRIu64 " parked_bytes=%" PRIu64,
        name, sum->records, sum->partitions, sum->subpartitions, sum->bytes);
}

void leat_worker_parked_show(leat_worker *worker, uint32_t shard, const leat_parked_sum *sum)
{
    leat_worker_parked *parked = &worker->shards[shard].parked;
    parked->sum = *sum;
    leat_gauge_set(parked->records, (int64_t)sum->records);
    leat_gauge_set(parked->bytes, (int64_t)sum->bytes);
    leat_gauge_set(parked->max_bytes, (int64_t)sum->max_bytes);
    leat_gauge_set(parked->chunks, (int64_t)sum->chunks);
    leat_gauge_set(parked->subpartitions, (int64_t)sum->subpartitions);
    leat_gauge_set(parked->oldest_ms,
                   sum->oldest_ms > 0 ? leat_wall_ms() - sum->oldest_ms : INT64_MIN);
    leat_gauge_set(parked->left_ms, sum->partitions > 0 && sum->left_us < INT64_MAX
                                        ? sum->left_us / 1000
                                        : INT64_MIN);
    leat_gauge_set(parked->full, sum->full);
    log_parked(worker, shard, sum);
}

/* How many partitions it is about. */
static uint32_t choose_words(const leat_parked_sum *sum, const char **ret_kind,
                             const char **ret_message)
{
    *ret_kind = sum->full > 0 || sum->spent > 0 ? "parked_full" : "parked_filling";
    *ret_message =
        sum->full > 0 ? "partition paused: its share of parked_max is used up"
        : sum->spent > 0
            ? "a subpartition has used up its share of parked_max: what follows fills memory"
            : "parked records will soon have used up their share of parked_max";
    return sum->full > 0 ? sum->full : sum->spent > 0 ? sum->spent : sum->partitions;
}

bool leat_worker_parked_fact(leat_worker *worker, uint32_t shard, leat_fact *ret,
                             char text[LEAT_FACT_TEXT_SIZE])
{
    const leat_parked_sum *sum = &worker->shards[shard].parked.sum;
    const leat_engine_partition_view *first = &sum->first_view;
    const char *name = worker->config.shards[shard].name, *kind, *message;
    char keys[256], left[32] = "", cause[LEAT_NAME_MAX + 16];
    if (sum->partitions == 0 || (sum->full == 0 && sum->left_us > SOON_US))
        return false;
    uint32_t count = choose_words(sum, &kind, &message);
    if (sum->left_us > 0 && sum->left_us < INT64_MAX)
        snprintf(left, sizeof left, " left_s=%" PRId64, sum->left_us / 1000000);
    snprintf(keys, sizeof keys,
             "partition=%" PRIu32 " parked=%" PRIu64 " partitions=%" PRIu32
             " subpartitions=%" PRIu32 " parked_bytes=%" PRIu64 " parked_max_bytes=%" PRIu64 "%s",
             sum->first, first->parked_records, count, first->parked_subpartitions,
             first->parked_bytes, first->parked_max_bytes, left);
    snprintf(text, LEAT_FACT_TEXT_SIZE, "%s %s", message, keys);
    *ret = (leat_fact){.kind = kind,
                       .text = text,
                       .since_ms = leat_wall_ms() -
                                   (leat_worker_now_us(worker) - first->parked_us) / 1000,
                       .partition = sum->first,
                       .subpartition = -1,
                       .offset = first->applied + 1,
                       .count = count};
    snprintf(cause, sizeof cause, "%s %s", name, kind);
    if (leat_rate_limit_allows(&worker->rate_limit, (uint64_t)leat_worker_now_us(worker) / 1000,
                               cause))
        leat_warn("%s shard=%s %s advice=\"end what stalls, or the flood: parking only postpones. "
                  "shards[].parked_max gives more room\"",
                  message, name, keys);
    return true;
}

/* ---- what it takes up ---- */

void leat_worker_parked_size(leat_worker *worker, uint32_t shard, uint64_t bytes)
{
    LEAT_ASSERT(shard < worker->shard_count);
    atomic_store_explicit(&worker->shards[shard].parked.measured, bytes, memory_order_relaxed);
}

void leat_worker_follow_parked_size(leat_worker *worker)
{
    for (uint32_t shard = 0; shard < worker->shard_count; shard++) {
        leat_worker_parked *parked = &worker->shards[shard].parked;
        uint64_t bytes = atomic_load_explicit(&parked->measured, memory_order_relaxed);
        if (bytes == parked->told)
            continue;
        parked->told = bytes;
        leat_gauge_set(parked->size, (int64_t)bytes);
        leat_engine_parked_size(worker->engine, leat_worker_event_us(worker), shard, bytes);
    }
}

bool leat_worker_parked_size_fact(leat_worker *worker, uint32_t shard, leat_fact *ret,
                                  char text[LEAT_FACT_TEXT_SIZE])
{
    leat_worker_parked *parked = &worker->shards[shard].parked;
    const leat_worker_shard *config = &worker->config.shards[shard];
    char keys[128], cause[LEAT_NAME_MAX + 16];
    leat_engine_shard_view view;
    leat_engine_shard(worker->engine, shard, &view);
    if (view.parking == LEAT_ENGINE_PARKS) {
        parked->swollen_since_ms = 0;
        return false;
    }
    if (parked->swollen_since_ms == 0)
        parked->swollen_since_ms = leat_wall_ms();
    const char *message =
        view.parking == LEAT_ENGINE_PARKS_STALLED
            ? "parked records that were deleted take up the disk: only what stalls is parked"
            : "parked records that were deleted take up the disk: nothing is parked any longer";
    snprintf(keys, sizeof keys, "relation_bytes=%" PRIu64 " parked_max_bytes=%" PRIu64,
             parked->told, config->parked_max);
    snprintf(text, LEAT_FACT_TEXT_SIZE, "%s %s", message, keys);
    *ret = (leat_fact){.kind = "parked_size",
                       .text = text,
                       .since_ms = parked->swollen_since_ms,
                       .partition = -1,
                       .subpartition = -1,
                       .offset = -1};
    snprintf(cause, sizeof cause, "%s parked_size", config->name);
    if (leat_rate_limit_allows(&worker->rate_limit, (uint64_t)leat_worker_now_us(worker) / 1000,
                               cause))
        leat_warn(
            "%s shard=%s %s advice=\"end the oldest transaction of that server, its prepared "
            "transactions and unused replication slots among them, then VACUUM leat.parked; if "
            "little is in it and it stays large, VACUUM FULL leat.parked\"",
            message, config->name, keys);
    return true;
}
