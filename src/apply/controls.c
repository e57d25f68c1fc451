/*
 * controls.c - what operators have told leat about records (record/controls.h), carried out by a
 * worker. It decides when a batch is about to run: so a record comes under the newest controls
 * however long it has waited, in the queue or at its head, and it does not matter how it got there.
 * The record's progress moves as if it were applied; the sink is told to leave its row alone.
 *
 * Of what is left out a few records of each batch are kept as dead letters, the newest: with a
 * flood that is skipped, keeping each would cost as much as applying it.
 */
#include "apply/worker_state.h"
#include "base/diag.h"

enum { KEPT_OF_A_BATCH = 10 };

/* One load, when they are the same as before. */
static void take_newest(leat_worker *worker, uint32_t shard)
{
    leat_worker_shard_state *state = &worker->shards[shard];
    leat_controls *controls = worker->config.controls;
    uint32_t version = controls ? leat_controls_version(controls, shard) : 0;
    if (version == state->controls_version)
        return;
    leat_control_set_drop(state->controls);
    state->controls = leat_controls_hold(controls, shard);
    state->controls_version = version;
    state->is_recheck_due = true;
}

void leat_worker_leave_out(leat_worker *worker, const leat_engine_job *job)
{
    leat_worker_shard_state *state = &worker->shards[job->shard];
    const leat_engine_batch *batch = &job->batch;
    take_newest(worker, job->shard);
    if (!state->controls || leat_control_set_count(state->controls) == 0 || batch->dead ||
        batch->hold)
        return;
    int64_t now_us = leat_mono_us();
    uint32_t kept = 0;
    for (uint32_t i = batch->record_count; i > 0; i--) {
        leat_item *item = batch->records[i - 1].payload;
        const leat_control *control = leat_control_set_find(state->controls, item, now_us);
        if (!control)
            continue;
        leat_engine_skip(worker->engine, job->id, i - 1);
        bool is_kept = control->keep > 0 && kept < KEPT_OF_A_BATCH &&
                       leat_worker_fill_headers(worker, item) == 0;
        item->control = is_kept ? control : NULL;
        kept += is_kept;
    }
}

typedef struct wanted {
    const leat_control_set *controls;
    int64_t now_us;
} wanted;

static bool is_wanted(void *context, void *payload)
{
    const wanted *by = context;
    return leat_control_set_find(by->controls, payload, by->now_us) != NULL;
}

/* A control that was taken away needs no recheck: its records were left out, none waits for it. */
void leat_worker_follow_controls(leat_worker *worker)
{
    int64_t now_us = leat_mono_us();
    for (uint32_t shard = 0; shard < worker->shard_count; shard++) {
        leat_worker_shard_state *state = &worker->shards[shard];
        take_newest(worker, shard);
        uint32_t active = state->controls ? leat_control_set_active(state->controls, now_us) : 0;
        leat_gauge_set(state->controls_active, active);
        if (!state->is_recheck_due)
            continue;
        state->is_recheck_due = false;
        leat_info("controls have changed shard=%s controls=%u", worker->config.shards[shard].name,
                  active);
        wanted by = {state->controls, now_us};
        leat_engine_recheck(worker->engine, leat_worker_event_us(worker), shard, is_wanted, &by);
    }
}
