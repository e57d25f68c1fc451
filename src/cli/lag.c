#include "cli/lag.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/shard.h"

enum { LOG_TIMEOUT_MS = 5000 };

/* ---- the shards ---- */

static int check_source(const leat_startup *startup, leat_shard_address at, leat_layout *ret_layout, leat_error *error)
{
    leat_source stored, running;
    leat_layout layout;
    int found = leat_shard_read_source(at, startup->log.topic, &stored, &layout, error);
    if (found == 1)
        return leat_fail(error, "it knows nothing of %s %s: %s", startup->log.file ? "log" : "topic", startup->log.topic,
                         at.sqlite ? "`leat run` or `leat init` sets it up" : "run `leat init` first");
    if (found != 0 || leat_startup_source(startup, &running, ret_layout, error) != 0)
        return -1;
    return leat_shard_check_source(&stored, &layout, &running, ret_layout, error);
}

static void take_partitions(const leat_shard_partition *found, uint32_t count, uint32_t shard, leat_lag *ret)
{
    for (uint32_t i = 0; i < count; i++)
        ret->partitions[ret->count++] = (leat_lag_partition){.partition = found[i].partition,
                                                             .shard = shard,
                                                             .low = found[i].low,
                                                             .applied = found[i].applied,
                                                             .epoch = found[i].epoch};
}

/* All partitions that the layout gives it, or its lag would look smaller than it is. */
static int check_partitions(const leat_layout *layout, uint32_t shard, const leat_shard_partition *found,
                            uint32_t count, leat_error *error)
{
    uint32_t first = layout->shards[shard].first, wanted = layout->shards[shard].count;
    bool all = count == wanted;
    for (uint32_t i = 0; all && i < count; i++)
        all = found[i].partition == first + i;
    return all ? 0 : leat_fail(error, "leat.partitions does not hold the partitions of this shard: run `leat init`; or is it another "
                                      "shard's database? `leat check` knows");
}

static int read_shard(const leat_startup *startup, uint32_t shard, leat_lag *ret, leat_error *error)
{
    leat_shard_address at = leat_startup_address(&startup->config.shards[shard]);
    leat_shard_partition *found = NULL;
    leat_layout layout;
    uint32_t count = 0;
    if (check_source(startup, at, &layout, error) != 0 ||
        leat_shard_read_progress(at, startup->log.topic, &found, &count, error) != 0)
        return -1;
    int status = check_partitions(&layout, shard, found, count, error);
    if (status == 0)
        take_partitions(found, count, shard, ret);
    free(found);
    return status;
}

static void read_shards(const leat_startup *startup, leat_lag *ret)
{
    for (uint32_t shard = 0; shard < startup->config.shard_count; shard++)
        if (read_shard(startup, shard, ret, &ret->errors[shard]) != 0)
            ret->failed++;
}

/* ---- the log ---- */

static int64_t age_of(const leat_lag_partition *partition, int64_t accepted_ms, int64_t now_ms)
{
    if (partition->records == 0)
        return 0;
    if (accepted_ms <= 0)
        return -1;
    return now_ms > accepted_ms ? now_ms - accepted_ms : 0;
}

/* What lies behind the low water, as far as it is known to hold records. */
static int64_t records_of(const leat_lag_partition *partition, const leat_log_ahead *ahead)
{
    int64_t first = ahead->first >= 0 ? ahead->first : partition->low + 1;
    return ahead->end > first ? ahead->end - first : 0;
}

static void take_ahead(leat_lag_partition *partition, const leat_log_ahead *ahead, int64_t now_ms)
{
    partition->end = ahead->end;
    partition->held_from = ahead->stable;
    partition->held = ahead->end - ahead->stable;
    partition->records = records_of(partition, ahead);
    partition->age_ms = age_of(partition, ahead->accepted_ms, now_ms);
}

/* `offsets` and `ahead`: room for one a partition. */
static int read_log(const leat_startup *startup, leat_lag *ret, int64_t *offsets, leat_log_ahead *ahead, leat_error *error)
{
    uint32_t partition_count = startup->identity.partition_count;
    for (uint32_t p = 0; p < partition_count; p++)
        offsets[p] = -1;
    for (uint32_t i = 0; i < ret->count; i++)
        offsets[ret->partitions[i].partition] = ret->partitions[i].low + 1;
    if (leat_log_look_ahead(&startup->log, partition_count, offsets, LOG_TIMEOUT_MS, ahead, error) != 0)
        return -1;
    int64_t now_ms = leat_wall_ms();
    for (uint32_t i = 0; i < ret->count; i++)
        take_ahead(&ret->partitions[i], &ahead[ret->partitions[i].partition], now_ms);
    return 0;
}

/* ---- both ---- */

static void add(leat_lag_sum *sum, const leat_lag_partition *partition)
{
    sum->records += partition->records;
    if (partition->age_ms < 0 || sum->age_ms < 0)
        sum->age_ms = -1;
    else if (partition->age_ms > sum->age_ms)
        sum->age_ms = partition->age_ms;
}

int leat_lag_read(leat_startup *startup, leat_lag *ret, leat_error *error)
{
    memset(ret, 0, sizeof *ret);
    if (leat_startup_identify(startup, false, error) != 0)
        return -1;
    uint32_t partition_count = startup->identity.partition_count;
    ret->partitions = leat_must_calloc(partition_count, sizeof *ret->partitions);
    int64_t *offsets = leat_must_calloc(partition_count, sizeof *offsets);
    leat_log_ahead *ahead = leat_must_calloc(partition_count, sizeof *ahead);
    /* The shards first: what is applied meanwhile then counts as lag, and no lag is missed. */
    read_shards(startup, ret);
    int status = read_log(startup, ret, offsets, ahead, error);
    for (uint32_t i = 0; status == 0 && i < ret->count; i++) {
        add(&ret->shards[ret->partitions[i].shard], &ret->partitions[i]);
        add(&ret->total, &ret->partitions[i]);
    }
    free(offsets);
    free(ahead);
    return status;
}

void leat_lag_fini(leat_lag *lag)
{
    free(lag->partitions);
    lag->partitions = NULL;
}

/* ---- words ---- */

const char *leat_lag_held(const leat_lag_partition *partition, char ret[LEAT_LAG_HELD_SIZE])
{
    snprintf(ret, LEAT_LAG_HELD_SIZE,
             "an open transaction of a foreign producer holds back %" PRId64 " offsets of partition %" PRIu32 " from offset %" PRId64
             " on",
             partition->held, partition->partition, partition->held_from);
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

void leat_lag_put_json(leat_buf *out, int64_t records, int64_t age_ms)
{
    leat_buf_printf(out, "\"records\":%" PRId64 ",\"seconds\":", records);
    if (age_ms < 0)
        leat_buf_text(out, "null");
    else
        leat_buf_printf(out, "%" PRId64 ".%03d", age_ms / 1000, (int)(age_ms % 1000));
}
