/*
 * worker_budgets.c - what a worker may hold in memory at once, as pairs of metrics: what is held,
 * and the most that may be. Whoever sees that a partition is paused can see here which budget is
 * full. The limits are the configuration's and do not change.
 */
#include <stdio.h>

#include "apply/worker_state.h"

static const char *const names[LEAT_ENGINE_BUDGET_COUNT] = {
    [LEAT_ENGINE_BUDGET_RECORDS] = "records",
    [LEAT_ENGINE_BUDGET_PARKED] = "parked",
};

static leat_gauge *add(leat_worker *worker, const char *metric, leat_engine_budget budget,
                       uint64_t value)
{
    char labels[64];
    snprintf(labels, sizeof labels, "worker=\"%u\",budget=\"%s\"", worker->config.index,
             names[budget]);
    leat_gauge *gauge = leat_metrics_gauge(worker->config.metrics, metric, labels);
    leat_gauge_set(gauge, (int64_t)value);
    return gauge;
}

void leat_worker_budgets_register(leat_worker *worker)
{
    for (leat_engine_budget i = 0; i < LEAT_ENGINE_BUDGET_COUNT; i++) {
        const leat_budgets *of = leat_engine_budget_of(worker->engine, i);
        worker->budgets[i].bytes = add(worker, "leat_memory_bytes", i, of->total.bytes);
        worker->budgets[i].records = add(worker, "leat_memory_records", i, of->total.records);
        add(worker, "leat_memory_limit_bytes", i, of->max.bytes);
        add(worker, "leat_memory_limit_records", i, of->max.records);
    }
}

void leat_worker_budgets_register_shard(leat_worker *worker, uint32_t shard)
{
    const leat_budgets *of = leat_engine_budget_of(worker->engine, LEAT_ENGINE_BUDGET_RECORDS);
    leat_gauge_set(worker->shards[shard].held_limit, (int64_t)of->shard_max.bytes);
}

void leat_worker_budgets_show(leat_worker *worker)
{
    for (leat_engine_budget i = 0; i < LEAT_ENGINE_BUDGET_COUNT; i++) {
        const leat_budgets *of = leat_engine_budget_of(worker->engine, i);
        leat_gauge_set(worker->budgets[i].bytes, (int64_t)of->total.bytes);
        leat_gauge_set(worker->budgets[i].records, (int64_t)of->total.records);
    }
}
