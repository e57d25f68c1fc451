/*
 * lag.c - first the shards, then the log. In this order a record that is applied in between counts
 * as lag, and none is missed; in the reverse order the ends would be older than the progress, and a
 * shard could seem to be ahead of its log. Each shard is read on its own thread, because each read
 * may last as long as its time limit and a person is waiting for all of them.
 */
#include "watch/lag.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_TIMEOUT_MS = 5000 };

/* ---- the shards ---- */

/* One shard, read on a thread of its own. */
typedef struct shard_read {
    const leat_lag_query *query;
    uint32_t shard;
    pthread_t thread;
    bool has_thread;
    leat_shard_partition *found;
    uint32_t count;
    leat_shard_work work;
    bool is_silent;
    bool is_read;
    leat_error error;
} shard_read;

static int check_source(shard_read *at, leat_shard_address address)
{
    leat_source stored;
    leat_layout layout;
    const leat_lag_query *query = at->query;
    const leat_log_config *log = query->log;
    int found = leat_shard_read_source(address, log->topic, &stored, &layout, &at->error);
    at->is_silent = found == 2;
    if (found == 1)
        return leat_fail(
            &at->error, "it was not set up for %s %s: %s", log->file ? "log" : "topic", log->topic,
            address.sqlite ? "`leat run` or `leat init` sets it up" : "run `leat init` first");
    if (found != 0)
        return -1;
    return query->source
               ? leat_shard_check_source(&stored, &layout, query->source, query->layout, &at->error)
               : 0;
}

/* The shard must hold all partitions that the layout gives it, or its lag would look too small. */
static int check_partitions(shard_read *at)
{
    const leat_layout *layout = at->query->layout;
    if (!layout)
        return 0;
    uint32_t first = layout->shards[at->shard].first, wanted = layout->shards[at->shard].count;
    bool all = at->count == wanted;
    for (uint32_t i = 0; all && i < at->count; i++)
        all = at->found[i].partition == first + i;
    return all ? 0
               : leat_fail(
                     &at->error,
                     "leat.partitions does not hold the partitions of this shard: run `leat init`, or, if this may be "
                     "another shard's database, `leat check`");
}

static void *read_shard(void *argument)
{
    shard_read *at = argument;
    const char *topic = at->query->log->topic;
    leat_shard_address address = at->query->shards[at->shard];
    at->is_read = check_source(at, address) == 0 &&
                  leat_shard_read_progress(address, topic, &at->found, &at->count, &at->error) ==
                      0 &&
                  check_partitions(at) == 0;
    if (at->is_read && at->query->work != LEAT_LAG_WORK_NOT)
        at->is_read = leat_shard_read_work(address, topic, &at->work, &at->error) == 0 ||
                      at->query->work == LEAT_LAG_WORK_IF_READ;
    return NULL;
}

static void take_shard(shard_read *at, leat_lag *ret)
{
    ret->works[at->shard] = at->work;
    ret->silent[at->shard] = at->is_silent;
    if (!at->is_read) {
        ret->errors[at->shard] = at->error;
        ret->failed++;
    }
    for (uint32_t i = 0; at->is_read && i < at->count; i++) {
        uint32_t partition = at->found[i].partition;
        if (partition >= ret->count)
            continue; /* the log does not answer: no partition is known */
        leat_lag_partition *to = &ret->partitions[partition];
        to->is_known = true;
        to->low = at->found[i].low;
        to->applied = at->found[i].applied;
        to->epoch = at->found[i].epoch;
        to->parked = at->found[i].parked;
        to->parked_bytes = at->found[i].parked_bytes;
        to->parked_below = at->found[i].parked_below;
        to->parked_oldest_ms = at->found[i].parked_oldest_ms;
    }
    free(at->found);
}

static void read_shards(const leat_lag_query *query, leat_lag *ret)
{
    uint32_t count = query->shard_count;
    shard_read *reads = leat_must_calloc(count, sizeof *reads);
    for (uint32_t i = 0; i < count; i++) {
        reads[i] = (shard_read){.query = query, .shard = i};
        reads[i].has_thread = pthread_create(&reads[i].thread, NULL, read_shard, &reads[i]) == 0;
        if (!reads[i].has_thread)
            read_shard(&reads[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (reads[i].has_thread)
            pthread_join(reads[i].thread, NULL);
        take_shard(&reads[i], ret);
    }
    free(reads);
}

/* ---- the log ---- */

static int64_t since(int64_t accepted_ms, int64_t now_ms)
{
    return now_ms > accepted_ms ? now_ms - accepted_ms : 0;
}

/* `above`: records above the low water. */
static int64_t age_of(const leat_lag_partition *partition, int64_t above, int64_t accepted_ms,
                      int64_t now_ms)
{
    int64_t parked_ms = partition->parked_oldest_ms > 0 ? since(partition->parked_oldest_ms, now_ms)
                                                        : 0;
    if (above == 0)
        return parked_ms;
    if (accepted_ms <= 0)
        return -1;
    int64_t age_ms = since(accepted_ms, now_ms);
    return age_ms > parked_ms ? age_ms : parked_ms;
}

/* An upper bound: from the first record above the low water, if there is one, to the end. */
static int64_t count_records(const leat_lag_partition *partition, const leat_log_ahead *ahead)
{
    int64_t first = ahead->first >= 0 ? ahead->first : partition->low + 1;
    return ahead->end > first ? ahead->end - first : 0;
}

void leat_lag_take_ahead(leat_lag_partition *partition, const leat_log_ahead *ahead, int64_t now_ms)
{
    partition->end = ahead->end;
    partition->held_from = ahead->stable;
    partition->held = ahead->end - ahead->stable;
    if (!partition->is_known)
        return;
    int64_t above = count_records(partition, ahead);
    int64_t records = above + partition->parked_below;
    partition->records = records > partition->parked ? records : partition->parked;
    partition->age_ms = age_of(partition, above, ahead->accepted_ms, now_ms);
}

/* `offsets` and `ahead` have room for one per partition. */
static int read_log(const leat_log_config *log, leat_lag *ret, int64_t *offsets,
                    leat_log_ahead *ahead, leat_error *error)
{
    for (uint32_t i = 0; i < ret->count; i++)
        offsets[i] = ret->partitions[i].is_known ? ret->partitions[i].low + 1 : -1;
    if (leat_log_read_ahead(log, ret->count, offsets, LOG_TIMEOUT_MS, ahead, error) != 0)
        return -1;
    int64_t now_ms = leat_wall_ms();
    for (uint32_t i = 0; i < ret->count; i++)
        leat_lag_take_ahead(&ret->partitions[i], &ahead[i], now_ms);
    return 0;
}

/* ---- both ---- */

static void add_partition(leat_lag_sum *sum, const leat_lag_partition *partition)
{
    LEAT_ASSERT(partition->is_known && partition->records >= 0);
    sum->partitions++;
    sum->records += partition->records;
    sum->parked += partition->parked;
    sum->parked_bytes += partition->parked_bytes;
    if (partition->age_ms < 0 || sum->age_ms < 0)
        sum->age_ms = -1;
    else if (partition->age_ms > sum->age_ms)
        sum->age_ms = partition->age_ms;
}

static void name_partitions(const leat_layout *layout, leat_lag *ret)
{
    ret->count = layout->partition_count;
    ret->partitions = leat_must_calloc(ret->count, sizeof *ret->partitions);
    for (uint32_t i = 0; i < ret->count; i++)
        ret->partitions[i] = (leat_lag_partition){
            .partition = i, .shard = leat_layout_shard_of_partition(layout, i)};
}

static int read_log_and_add(const leat_log_config *log, leat_lag *ret, leat_error *error)
{
    int64_t *offsets = leat_must_calloc(ret->count, sizeof *offsets);
    leat_log_ahead *ahead = leat_must_calloc(ret->count, sizeof *ahead);
    int status = read_log(log, ret, offsets, ahead, error);
    for (uint32_t i = 0; status == 0 && i < ret->count; i++) {
        if (!ret->partitions[i].is_known)
            continue;
        add_partition(&ret->shards[ret->partitions[i].shard], &ret->partitions[i]);
        add_partition(&ret->total, &ret->partitions[i]);
    }
    free(offsets);
    free(ahead);
    return status;
}

int leat_lag_read(const leat_lag_query *query, leat_lag *ret, leat_error *error)
{
    LEAT_ASSERT(query->shard_count <= LEAT_SHARDS_MAX);
    LEAT_ASSERT(!query->source == !query->layout);
    memset(ret, 0, sizeof *ret);
    if (query->layout)
        name_partitions(query->layout, ret);
    read_shards(query, ret);
    if (!query->layout || read_log_and_add(query->log, ret, error) == 0)
        return 0;
    ret->log_is_silent = true;
    free(ret->partitions);
    ret->partitions = NULL;
    ret->count = 0;
    return -1;
}

void leat_lag_fini(leat_lag *lag)
{
    for (uint32_t shard = 0; shard < LEAT_SHARDS_MAX; shard++)
        leat_shard_work_fini(&lag->works[shard]);
    free(lag->partitions);
    lag->partitions = NULL;
}

const leat_lag_partition *leat_lag_first_held(const leat_lag *lag, uint32_t shard)
{
    for (uint32_t i = 0; i < lag->count; i++)
        if (lag->partitions[i].shard == shard && lag->partitions[i].held > 0)
            return &lag->partitions[i];
    return NULL;
}

/* ---- text ---- */

const char *leat_lag_held(const leat_lag_partition *partition, char ret[LEAT_LAG_HELD_SIZE])
{
    LEAT_ASSERT(partition->held > 0);
    snprintf(ret, LEAT_LAG_HELD_SIZE,
             "an open transaction of a foreign producer holds back %" PRId64
             " offsets of partition %" PRIu32 " from offset %" PRId64 " on",
             partition->held, partition->partition, partition->held_from);
    return ret;
}

const char *leat_lag_parked(int64_t parked, char ret[LEAT_LAG_SECONDS_SIZE])
{
    *ret = '\0';
    if (parked > 0)
        snprintf(ret, LEAT_LAG_SECONDS_SIZE, ", %" PRId64 " of them parked", parked);
    return ret;
}

const char *leat_lag_seconds(int64_t age_ms, char ret[LEAT_LAG_SECONDS_SIZE])
{
    if (age_ms < 0)
        snprintf(ret, LEAT_LAG_SECONDS_SIZE, "unknown");
    else
        snprintf(ret, LEAT_LAG_SECONDS_SIZE, "%.1f", (double)age_ms / 1000);
    return ret;
}
