/*
 * health.c - whether the edge is ready. A load balancer takes an edge that is not ready out of
 * service, and all edges write to one log. So an edge is ready while it takes writes for some
 * partition: if one partition without a leader made it unready, all edges would be, and no write
 * would be taken at all. Partitions in trouble, refused writes and tables not read lately are
 * listed as degraded instead. It is unready when nothing is taken: the log as a whole is in
 * trouble, every partition is, or records wait too long (not only those of partitions known to be
 * in trouble) and none was taken lately.
 *
 * A log that no route writes to now makes no edge unready (a shadow's writes are lost and counted).
 * The databases are needed where writes are applied while their clients wait: shards without a
 * connection are listed. All of them together make an edge unready, unless it has a route that goes
 * on without them: to accept writes while databases are away is what such a route is for.
 */
#include "edge/internal.h"

enum { LISTED_MAX = 16 }; /* partitions in trouble; of the others the number */

/* All partitions together. */
typedef struct partitions_health {
    uint32_t in_trouble;
    uint32_t waiting; /* too long, the cause not known */
    uint32_t longest; /* of those */
    int64_t longest_ms;
} partitions_health;

static void check_partition(const leat_edge *edge, uint32_t p, partitions_health *all,
                            leat_health *health)
{
    LEAT_ASSERT(p < edge->partition_count);
    bool is_listed = all->in_trouble + all->waiting < LISTED_MAX;
    const char *trouble = leat_log_writer_partition_trouble(edge->writer, p);
    int64_t waits_ms = leat_log_writer_oldest_us(edge->writer, p, leat_mono_us()) / 1000;
    if (trouble) {
        all->in_trouble++;
        if (is_listed)
            leat_health_add_degraded(health, "%s", trouble);
    } else if (waits_ms >= edge->config.ready_age_ms) {
        all->waiting++;
        if (is_listed)
            leat_health_add_degraded(health,
                                     "partition %u: a record has waited for the log for %lld ms", p,
                                     (long long)waits_ms);
        if (waits_ms > all->longest_ms) {
            all->longest = p;
            all->longest_ms = waits_ms;
        }
    }
}

static partitions_health check_partitions(const leat_edge *edge, leat_health *health)
{
    partitions_health all = {0};
    for (uint32_t p = 0; p < edge->partition_count; p++)
        check_partition(edge, p, &all, health);
    uint32_t bad = all.in_trouble + all.waiting;
    LEAT_ASSERT(bad <= edge->partition_count);
    if (bad > LISTED_MAX)
        leat_health_add_degraded(health, "and %u more partitions", bad - LISTED_MAX);
    return all;
}

/* Without records that are too large: those are a fault of their sender. */
static void list_refusals(const leat_edge *edge, leat_health *health)
{
    for (leat_log_refusal cause = 0; cause < LEAT_REFUSAL_COUNT; cause++) {
        const char *text = cause == LEAT_REFUSED_TOO_LARGE
                               ? NULL
                               : leat_log_writer_refusal_reason(edge->writer, cause);
        if (text)
            leat_health_add_degraded(
                health, "writes were refused within the last minute (cause=%s, %llu in all): %s",
                leat_log_refusal_name(cause),
                (unsigned long long)leat_log_writer_refusals(edge->writer, cause), text);
    }
}

static void list_catalog(const leat_edge *edge, leat_health *health)
{
    const leat_layout *layout = edge->config.layout;
    int64_t stale_us = edge->config.catalog_stale_ms * 1000, now_us = leat_mono_us();
    for (uint32_t shard = 0; stale_us > 0 && shard < layout->shard_count; shard++) {
        int64_t checked_us = leat_schema_versions_read_us(edge->config.schema_versions, shard);
        if (checked_us == 0 && now_us - edge->begun_us >= stale_us)
            leat_health_add_degraded(health,
                                     "shard %s: its tables have not been read since the start",
                                     layout->shards[shard].name);
        else if (checked_us != 0 && now_us - checked_us >= stale_us)
            leat_health_add_degraded(health, "shard %s: its tables were last read %lld s ago",
                                     layout->shards[shard].name,
                                     (long long)((now_us - checked_us) / 1000000));
    }
}

/* The log's own text names the brokers, and they are not for clients. */
static void list_silence(const leat_edge *edge, leat_health *health)
{
    leat_log_health log;
    leat_log_writer_health(edge->writer, &log);
    if (log.silent_ms > 0)
        leat_health_add_degraded(health, "no broker has answered for %lld s",
                                 (long long)(log.silent_ms / 1000));
}

/* Nothing was taken since the records that wait too long began to wait. */
static bool is_stuck(const leat_edge *edge, const partitions_health *all)
{
    bool none_is_left = all->in_trouble + all->waiting == edge->partition_count;
    bool was_taken = edge->taken_us != 0 &&
                     leat_mono_us() - edge->taken_us < edge->config.ready_age_ms * 1000;
    return all->waiting > 0 && (none_is_left || !was_taken);
}

/* Of writes whose clients wait for them. True: no shard takes any. */
static bool list_shards(const leat_edge *edge, leat_health *health)
{
    const leat_layout *layout = edge->config.layout;
    uint32_t in_trouble = 0;
    if (!edge->direct.source)
        return false;
    for (uint32_t shard = 0; shard < layout->shard_count; shard++) {
        const char *trouble = leat_direct_trouble(edge->direct.source, shard);
        in_trouble += trouble != NULL;
        if (trouble)
            leat_health_add_degraded(health, "shard %s %s", layout->shards[shard].name, trouble);
    }
    return in_trouble == layout->shard_count;
}

static void check_log(const leat_edge *edge, bool is_needed, leat_health *health)
{
    partitions_health all = check_partitions(edge, health);
    list_silence(edge, health);
    list_refusals(edge, health);
    const char *trouble = leat_log_writer_trouble(edge->writer);
    if (trouble && is_needed)
        leat_health_set_unready(health, "%s", trouble);
    else if (trouble)
        leat_health_add_degraded(health, "%s", trouble);
    else if (is_needed && is_stuck(edge, &all))
        leat_health_set_unready(
            health,
            "partition %u: a record has waited for the log for %lld ms, and none was taken meanwhile",
            all.longest, (long long)all.longest_ms);
}

void edge_health_check(const leat_edge *edge, leat_health *health)
{
    edge_needs needs = edge_way_needs(edge);
    check_log(edge, needs.log, health);
    list_catalog(edge, health);
    if (list_shards(edge, health) && needs.databases)
        leat_health_set_unready(health, "no shard takes writes");
    if (edge->state != EDGE_OPEN)
        leat_health_set_unready(health, "shutting down");
}

bool leat_edge_ready(const leat_edge *edge, leat_buf *why)
{
    leat_health health = {0};
    edge_health_check(edge, &health);
    bool ready = !health.unready;
    leat_buf_append(why, health.reason.data, health.reason.size);
    leat_health_free(&health);
    return ready;
}
