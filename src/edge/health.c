/*
 * health.c - what /readyz says. An edge is ready while it takes writes for some partition: what
 * troubles the others, and what is refused, is listed as degraded. It is unready when nothing is
 * taken: the log as a whole is in trouble, every partition is, or records wait too long (not only
 * those of partitions known to be in trouble) and none was taken lately.
 */
#include <stdarg.h>
#include <stdio.h>

#include "edge/internal.h"

enum { LISTED_MAX = 16 }; /* partitions in trouble; of more the number */

static void list(leat_buf *degraded, const char *what)
{
    if (degraded->size > 0)
        leat_buf_byte(degraded, ',');
    leat_buf_json_string(degraded, leat_slice_of(what));
}

static void listf(leat_buf *degraded, const char *format, ...) LEAT_PRINTF(2, 3);
static void listf(leat_buf *degraded, const char *format, ...)
{
    leat_error text;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text.text, sizeof text.text, format, arguments);
    va_end(arguments);
    list(degraded, text.text);
}

/* What the partitions say together. */
typedef struct partitions_health {
    uint32_t in_trouble;
    uint32_t waiting; /* too long, the cause not known */
    uint32_t longest; /* of those */
    int64_t longest_ms;
} partitions_health;

static void judge_partition(const leat_edge *edge, uint32_t p, partitions_health *all,
                            leat_buf *degraded)
{
    bool is_listed = all->in_trouble + all->waiting < LISTED_MAX;
    const char *trouble = leat_log_writer_partition_trouble(edge->writer, p);
    int64_t waits_ms = leat_log_writer_oldest_us(edge->writer, p, leat_mono_us()) / 1000;
    if (trouble) {
        all->in_trouble++;
        if (is_listed)
            list(degraded, trouble);
    } else if (waits_ms >= edge->config.ready_age_ms) {
        all->waiting++;
        if (is_listed)
            listf(degraded, "partition %u: a record has waited for the log for %lld ms", p,
                  (long long)waits_ms);
        if (waits_ms > all->longest_ms) {
            all->longest = p;
            all->longest_ms = waits_ms;
        }
    }
}

static partitions_health judge_partitions(const leat_edge *edge, leat_buf *degraded)
{
    partitions_health all = {0};
    for (uint32_t p = 0; p < edge->partition_count; p++)
        judge_partition(edge, p, &all, degraded);
    uint32_t bad = all.in_trouble + all.waiting;
    if (bad > LISTED_MAX)
        listf(degraded, "and %u more partitions", bad - LISTED_MAX);
    return all;
}

/* A record that is too large is its sender's trouble. */
static void list_refusals(const leat_edge *edge, leat_buf *degraded)
{
    for (leat_log_refusal cause = 0; cause < LEAT_REFUSAL_COUNT; cause++) {
        const char *words = cause == LEAT_REFUSED_TOO_LARGE
                                ? NULL
                                : leat_log_writer_refusal_reason(edge->writer, cause);
        if (words)
            listf(degraded,
                  "writes were refused within the last minute (cause=%s, %llu in all): %s",
                  leat_log_refusal_name(cause),
                  (unsigned long long)leat_log_writer_refusals(edge->writer, cause), words);
    }
}

static void list_catalog(const leat_edge *edge, leat_buf *degraded)
{
    const leat_layout *layout = edge->config.layout;
    int64_t stale_us = edge->config.catalog_stale_ms * 1000, now_us = leat_mono_us();
    for (uint32_t shard = 0; stale_us > 0 && shard < layout->shard_count; shard++) {
        int64_t checked_us = leat_schema_versions_read_us(edge->config.schema_versions, shard);
        if (checked_us == 0 && now_us - edge->begun_us >= stale_us)
            listf(degraded, "shard %s: its tables were not looked at since the start",
                  layout->shards[shard].name);
        else if (checked_us != 0 && now_us - checked_us >= stale_us)
            listf(degraded, "shard %s: its tables were looked at %lld s ago",
                  layout->shards[shard].name, (long long)((now_us - checked_us) / 1000000));
    }
}

/* Its words name the brokers, which is nothing for clients. */
static void list_silence(const leat_edge *edge, leat_buf *degraded)
{
    leat_log_health health;
    leat_log_writer_health(edge->writer, &health);
    if (health.silent_ms > 0)
        listf(degraded, "no broker has answered for %lld s", (long long)(health.silent_ms / 1000));
}

/* Since the records that wait too long began to, nothing was taken. */
static bool is_stuck(const leat_edge *edge, const partitions_health *all)
{
    bool none_is_left = all->in_trouble + all->waiting == edge->partition_count;
    bool was_taken = edge->taken_us != 0 &&
                     leat_mono_us() - edge->taken_us < edge->config.ready_age_ms * 1000;
    return all->waiting > 0 && (none_is_left || !was_taken);
}

bool edge_judge_health(const leat_edge *edge, leat_buf *why, leat_buf *degraded)
{
    partitions_health all = judge_partitions(edge, degraded);
    list_silence(edge, degraded);
    list_refusals(edge, degraded);
    list_catalog(edge, degraded);
    const char *trouble = edge->draining ? "shutting down" : leat_log_writer_trouble(edge->writer);
    if (trouble)
        leat_buf_text(why, trouble);
    else if (is_stuck(edge, &all))
        leat_buf_printf(
            why,
            "partition %u: a record has waited for the log for %lld ms, and none was taken meanwhile",
            all.longest, (long long)all.longest_ms);
    else
        return true;
    return false;
}

bool leat_edge_ready(const leat_edge *edge, leat_buf *why)
{
    leat_buf degraded = {0};
    bool ready = edge_judge_health(edge, why, &degraded);
    leat_buf_free(&degraded);
    return ready;
}
