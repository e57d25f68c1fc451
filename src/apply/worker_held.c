/*
 * worker_held.c - held keys, as people see them: how many there are and what is kept of them, by
 * the last count in the shard, whether there is room for more, and what their owner could not do
 * about them. Keeping postpones, as parking does: beyond its share of held_max a partition keeps
 * nothing more, and the record that was to be kept is answered as refused. Then its subpartition
 * waits, as where a route stops.
 *
 * What was left to people is noted with the key by the reporter, which has a connection for that; a
 * note that is lost is in the log.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "apply/worker_state.h"

#define MIB 1048576.0

enum {
    CHUNK_BYTES = 64,       /* what a chunk has beside its record */
    SUBPARTITION_PARTS = 2, /* of a partition's share, one has at most one */
};

/* ---- counts ---- */

void leat_worker_held_keys(leat_worker *worker, uint32_t shard, const leat_shard_held_count *counts)
{
    LEAT_ASSERT(shard < worker->shard_count);
    pthread_mutex_lock(&worker->report_lock);
    for (uint32_t i = 0; i < worker->partition_count; i++)
        if (worker->shard_of[i] == shard)
            worker->held_counts[i] = counts[i];
    worker->shards[shard].held.counts++;
    pthread_mutex_unlock(&worker->report_lock);
}

void leat_worker_follow_held(leat_worker *worker)
{
    pthread_mutex_lock(&worker->report_lock);
    for (uint32_t i = 0; i < worker->partition_count; i++) {
        const leat_worker_held *held = &worker->shards[worker->shard_of[i]].held;
        if (held->counts == held->counts_seen)
            continue;
        worker->held_keys[i] = worker->held_counts[i];
        leat_kept_room_counted(&worker->kept_rooms[i], worker->held_counts[i].bytes);
    }
    for (uint32_t shard = 0; shard < worker->shard_count; shard++)
        worker->shards[shard].held.counts_seen = worker->shards[shard].held.counts;
    pthread_mutex_unlock(&worker->report_lock);
}

/* ---- room ---- */

/* Of each of its partitions; 0: what is kept has no bound. */
static uint64_t share_of(const leat_worker *worker, uint32_t shard)
{
    uint32_t partitions = worker->shards[shard].partitions;
    uint64_t max = worker->config.shards[shard].held_max;
    return max > partitions && partitions > 0 ? max / partitions : max > 0;
}

/* As it is stored, or more: there it is compressed, in a chunk of its own. */
static uint64_t size_of(const leat_item *item)
{
    return (uint64_t)item->record.key.size + item->record.value.size + item->record.header_bytes +
           CHUNK_BYTES;
}

static bool is_kept(const leat_engine_batch *batch, uint32_t index)
{
    return batch->hold || leat_engine_batch_keeps(&batch->records[index]);
}

/* So many bytes more, with those of the record. Else a message. */
static bool fits(const leat_worker *worker, const leat_engine_batch_record *record, uint64_t more,
                 uint64_t share, char *message, size_t size)
{
    const leat_kept_room *room = &worker->kept_rooms[record->partition];
    const leat_shard_held_count *counted = &worker->held_keys[record->partition];
    uint64_t used = leat_kept_room_used(room), others = used - room->counted;
    bool is_most = counted->most_bytes > 0 && counted->most == record->subpartition;
    if (used == 0 && more == size_of(record->payload)) /* the first of all always fits */
        return true;
    if (is_most && counted->most_bytes + others + more > share / SUBPARTITION_PARTS) {
        snprintf(message, size,
                 "what is kept of held rows has used up its subpartition's part of "
                 "shards[].held_max: %.1f of %.1f MiB",
                 (double)counted->most_bytes / MIB, (double)(share / SUBPARTITION_PARTS) / MIB);
        return false;
    }
    if (used + more <= share)
        return true;
    snprintf(message, size,
             "what is kept of held rows has used up its partition's share of shards[].held_max: "
             "%.1f of %.1f MiB",
             (double)used / MIB, (double)share / MIB);
    return false;
}

bool leat_worker_keys_gone(const leat_worker *worker, uint32_t partition)
{
    leat_engine_partition_view view;
    leat_engine_partition(worker->engine, partition, &view);
    return worker->held_keys[partition].keys < view.held_keys;
}

uint32_t leat_worker_no_room_for(leat_worker *worker, const leat_engine_job *job, int64_t now_us,
                                 char *message, size_t size)
{
    const leat_engine_batch *batch = &job->batch;
    uint64_t share = share_of(worker, job->shard), sum = 0;
    if (share == 0 || (!batch->hold && batch->kept == 0))
        return UINT32_MAX;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const leat_item *item = batch->records[i].payload;
        if (!is_kept(batch, i) ||
            (!batch->hold && leat_worker_is_left_out(worker, job->shard, item, now_us)))
            continue;
        sum += size_of(item); /* of all parts: one alone is seen when it is tried alone */
        if (!fits(worker, &batch->records[i], sum, share, message, size))
            return i;
    }
    return UINT32_MAX;
}

static void count_flood(leat_worker *worker, uint32_t shard, const leat_item *item)
{
    leat_flood_add(&worker->shards[shard].held.flood, leat_item_tenant(item), size_of(item));
}

static bool keeps(const leat_engine_job *job)
{
    return job->kind == LEAT_ENGINE_JOB_BATCH && (job->batch.hold || job->batch.kept > 0);
}

void leat_worker_note_kept(leat_worker *worker, const leat_engine_job *job)
{
    const leat_engine_batch *batch = &job->batch;
    for (uint32_t i = 0; keeps(job) && i < batch->record_count; i++)
        if (is_kept(batch, i))
            leat_kept_room_add(&worker->kept_rooms[batch->records[i].partition],
                               size_of(batch->records[i].payload));
}

void leat_worker_follow_kept(leat_worker *worker, const leat_engine_job *job,
                             leat_engine_outcome outcome)
{
    const leat_engine_batch *batch = &job->batch;
    if (!keeps(job) || outcome == LEAT_ENGINE_UNKNOWN)
        return;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const leat_item *item = batch->records[i].payload;
        if (!is_kept(batch, i))
            continue;
        if (outcome == LEAT_ENGINE_APPLIED)
            count_flood(worker, job->shard, item);
        else
            leat_kept_room_take(&worker->kept_rooms[batch->records[i].partition], size_of(item));
    }
}

/* ---- metrics ---- */

void leat_worker_held_register(leat_worker *worker, uint32_t shard, const char *labels)
{
    leat_metrics *metrics = worker->config.metrics;
    leat_worker_held *held = &worker->shards[shard].held;
    held->keys = leat_metrics_gauge(metrics, "leat_held_keys", labels);
    held->keys_limit = leat_metrics_gauge(metrics, "leat_held_keys_limit", labels);
    held->full = leat_metrics_gauge(metrics, "leat_held_full_subpartitions", labels);
    held->records = leat_metrics_gauge(metrics, "leat_kept_records", labels);
    held->bytes = leat_metrics_gauge(metrics, "leat_kept_bytes", labels);
    held->limit_bytes = leat_metrics_gauge(metrics, "leat_kept_limit_bytes", labels);
}

void leat_worker_held_add(const leat_worker *worker, uint32_t partition, leat_held_sum *sum)
{
    const leat_shard_held_count *count = &worker->held_keys[partition];
    uint64_t share = share_of(worker, worker->shard_of[partition]);
    sum->keys += count->keys;
    sum->keys_limit += worker->config.engine.held_keys_max;
    sum->records += count->records;
    sum->bytes += count->bytes;
    sum->limit_bytes += share;
    sum->half += share > 0 &&
                 (count->bytes >= share / 2 || count->most_bytes >= share / SUBPARTITION_PARTS / 2);
}

void leat_worker_held_show(leat_worker *worker, uint32_t shard, const leat_held_sum *sum)
{
    leat_worker_held *held = &worker->shards[shard].held;
    held->sum = *sum;
    leat_gauge_set(held->keys, (int64_t)sum->keys);
    leat_gauge_set(held->keys_limit, (int64_t)sum->keys_limit);
    leat_gauge_set(held->records, (int64_t)sum->records);
    leat_gauge_set(held->bytes, (int64_t)sum->bytes);
    leat_gauge_set(held->limit_bytes, (int64_t)sum->limit_bytes);
}

void leat_worker_held_full(leat_worker *worker, uint32_t shard, uint64_t subpartitions)
{
    leat_gauge_set(worker->shards[shard].held.full, (int64_t)subpartitions);
}

void leat_worker_describe_room(const leat_worker *worker, const leat_engine_trouble *trouble,
                               char *ret, size_t size)
{
    const leat_engine_config *limits = &worker->config.engine;
    leat_engine_partition_view view;
    ret[0] = '\0';
    if (!trouble->no_room)
        return;
    leat_engine_partition(worker->engine, trouble->partition, &view);
    snprintf(ret, size,
             " held_keys=%" PRIu32 " held_keys_max=%" PRIu32 " subpartition_keys=%" PRIu32
             " subpartition_keys_max=%" PRIu32,
             view.held_keys, limits->held_keys_max, trouble->held_keys, limits->held_keys_each_max);
}

/* ---- what is noted with a key ---- */

void leat_worker_note_left(leat_worker *worker, uint32_t shard, const leat_shard_key_note *note)
{
    leat_worker_held *held = &worker->shards[shard].held;
    pthread_mutex_lock(&worker->report_lock);
    if (held->note_count < LEAT_KEY_NOTES_MAX)
        held->notes[held->note_count++] = *note;
    pthread_mutex_unlock(&worker->report_lock);
}

uint32_t leat_worker_take_notes(leat_worker *worker, uint32_t shard,
                                leat_shard_key_note ret[LEAT_KEY_NOTES_MAX])
{
    leat_worker_held *held = &worker->shards[shard].held;
    pthread_mutex_lock(&worker->report_lock);
    uint32_t count = held->note_count;
    memcpy(ret, held->notes, count * sizeof *ret);
    held->note_count = 0;
    pthread_mutex_unlock(&worker->report_lock);
    return count;
}
