/*
 * log_wait.c - the ends of the log as they are first found are the mark; then the shards are read
 * until each partition's low water has passed its mark and nothing is parked below. A partition
 * whose last offsets hold no record never gets there by its low water, but has nothing left.
 */
#include "cli/log_wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/diag.h"

enum { EVERY_US = 300 * 1000, SAY_EVERY_US = 5 * 1000 * 1000 };
#define GIVE_UP_US (INT64_C(300) * 1000 * 1000)

typedef struct marks {
    uint32_t count;
    int64_t *ends; /* by partition; NULL: not read yet */
} marks;

static void set_marks(marks *at, const leat_lag *lag)
{
    at->count = lag->count;
    at->ends = leat_must_calloc((size_t)lag->count + 1, sizeof *at->ends);
    for (uint32_t i = 0; i < lag->count; i++)
        at->ends[i] = lag->partitions[i].end;
}

static bool is_passed(const leat_lag_partition *partition, int64_t end)
{
    if (!partition->is_known)
        return false;
    if (partition->records == 0 && partition->parked == 0)
        return true;
    return partition->low >= end - 1 && partition->parked_below == 0;
}

static int check_shards(const leat_assembly *assembly, uint32_t shard, const leat_lag *lag,
                        leat_error *error)
{
    for (uint32_t i = 0; i < assembly->config.shard_count; i++)
        if ((shard == UINT32_MAX || shard == i) && *lag->errors[i].text)
            return leat_fail(error, "shard %s: %s", assembly->config.shards[i].name,
                             lag->errors[i].text);
    return 0;
}

/* How many partitions have not passed their marks. */
static uint32_t count_left(const marks *at, uint32_t shard, const leat_lag *lag,
                           int64_t *ret_records)
{
    uint32_t left = 0;
    *ret_records = 0;
    for (uint32_t i = 0; i < lag->count && i < at->count; i++) {
        const leat_lag_partition *partition = &lag->partitions[i];
        if ((shard != UINT32_MAX && partition->shard != shard) || is_passed(partition, at->ends[i]))
            continue;
        left++;
        *ret_records += partition->records;
    }
    return left;
}

/* Returns the partitions that are left, or -1. */
static int64_t look(leat_assembly *assembly, uint32_t shard, marks *at, int64_t *ret_records,
                    leat_error *error)
{
    leat_lag *lag = leat_must_calloc(1, sizeof *lag);
    int64_t left = leat_assembly_read_lag(assembly, LEAT_LAG_WORK_NOT, lag, error);
    if (left == 0)
        left = check_shards(assembly, shard, lag, error);
    if (left == 0 && !at->ends)
        set_marks(at, lag);
    if (left == 0)
        left = count_left(at, shard, lag, ret_records);
    leat_lag_fini(lag);
    free(lag);
    return left;
}

/* Whoever has waited for hours is not sent away for one read that failed. -1: it has been failing
 * for too long, or from the first look on. */
static int64_t look_again(leat_assembly *assembly, uint32_t shard, marks *at, int64_t *ret_records,
                          leat_error *error)
{
    int64_t since_us = leat_mono_us(), said_us = 0, left;
    while ((left = look(assembly, shard, at, ret_records, error)) < 0 && at->ends) {
        int64_t now_us = leat_mono_us();
        if (now_us - since_us > GIVE_UP_US)
            break;
        if (said_us == 0 || now_us - said_us > SAY_EVERY_US) {
            said_us = now_us;
            fprintf(stderr, "cannot see how far the log is applied, and tries again: %s\n",
                    error->text);
        }
        usleep(EVERY_US);
    }
    return left;
}

int leat_wait_for_log(leat_assembly *assembly, uint32_t shard, leat_error *error)
{
    marks at = {0};
    int64_t said_us = leat_mono_us(), left, records = 0;
    while ((left = look_again(assembly, shard, &at, &records, error)) > 0) {
        if (leat_mono_us() - said_us > SAY_EVERY_US) {
            said_us = leat_mono_us();
            fprintf(stderr,
                    "waiting until %" PRId64 " partitions are applied, %" PRId64
                    " records at most\n",
                    left, records);
        }
        usleep(EVERY_US);
    }
    free(at.ends);
    return left < 0 ? -1 : 0;
}
