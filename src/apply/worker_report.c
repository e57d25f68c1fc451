/*
 * worker_report.c - a worker's report for other threads: they take what it has put there last,
 * under the lock, and never look into the worker itself.
 */
#include "apply/worker_state.h"

leat_worker_waits leat_worker_append_report(leat_worker *worker, uint32_t shard,
                                            leat_buf *partitions, leat_facts *facts, size_t most)
{
    LEAT_ASSERT(shard < worker->shard_count);
    pthread_mutex_lock(&worker->report_lock);
    const leat_worker_report *report = &worker->shards[shard].report;
    if (partitions->size > 0 && report->partitions.size > 0)
        leat_buf_byte(partitions, ',');
    leat_buf_append(partitions, report->partitions.data, report->partitions.size);
    leat_facts_join(facts, &report->facts, most);
    leat_worker_waits waits = report->waits;
    pthread_mutex_unlock(&worker->report_lock);
    return waits;
}

/* What one worker does not know is not known of all. */
void leat_worker_add_drain(leat_worker *worker, uint32_t shard, leat_drain *to)
{
    LEAT_ASSERT(shard < worker->shard_count);
    pthread_mutex_lock(&worker->report_lock);
    leat_drain own = worker->shards[shard].report.drain;
    pthread_mutex_unlock(&worker->report_lock);
    to->waiting += own.waiting;
    to->drained_per_s += own.drained_per_s;
    if (own.arrivals_per_s < 0 || to->arrivals_per_s < 0)
        to->arrivals_per_s = -1;
    else
        to->arrivals_per_s += own.arrivals_per_s;
    if (own.catch_up_ms < 0 || to->catch_up_ms < 0)
        to->catch_up_ms = -1;
    else if (own.catch_up_ms > to->catch_up_ms)
        to->catch_up_ms = own.catch_up_ms;
}

bool leat_worker_stopped(leat_worker *worker, leat_buf *why)
{
    bool found = false;
    pthread_mutex_lock(&worker->report_lock);
    for (uint32_t shard = 0; shard < worker->shard_count && !found; shard++) {
        found = *worker->shards[shard].report.stopped;
        leat_buf_text(why, worker->shards[shard].report.stopped);
    }
    pthread_mutex_unlock(&worker->report_lock);
    return found;
}
