/*
 * controls.c - what operators have told leat about records (record/controls.h), carried out by a
 * worker. It decides when a batch is about to run: so a record comes under the newest controls
 * however long it has waited, in the queue or at its head, and it does not matter how it got there.
 * The record's progress moves as if it were applied; the sink is told to leave its row alone.
 *
 * Of what is left out a few records of each batch are kept as dead letters, the newest: with a
 * flood that is skipped, keeping each would cost as much as applying it.
 *
 * A batch with a record whose key is to be held does not reach the sink: it is answered as refused
 * because of that record, and the engine does the rest as with a refusal of the database. Nor does
 * a look at a held key whose control has ended meanwhile, or a batch that keeps more than there is
 * room for (worker_held.c).
 */
#include <stdio.h>

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

/* NULL: nothing of the batch can come under a control. One that is kept is not written anyway. */
static const leat_control_set *controls_for(leat_worker *worker, const leat_engine_job *job)
{
    const leat_control_set *controls = worker->shards[job->shard].controls;
    bool is_kept = job->batch.dead || job->batch.hold;
    return controls && leat_control_set_count(controls) > 0 && !is_kept ? controls : NULL;
}

/* A record of the batch whose key is to be held, for that control; NULL: there is none. */
static const leat_control *find_hold(const leat_control_set *controls,
                                     const leat_engine_batch *batch, int64_t now_us,
                                     uint32_t *ret_index)
{
    bool may_hold = leat_control_set_holds(controls) > 0;
    for (uint32_t i = 0; may_hold && i < batch->record_count; i++) {
        const leat_control *control =
            batch->records[i].keep
                ? NULL
                : leat_control_set_find(controls, batch->records[i].payload, now_us);
        *ret_index = i;
        if (control && control->holds)
            return control;
    }
    return NULL;
}

static bool is_left_out(const leat_control_set *controls, const leat_item *item, int64_t now_us)
{
    const leat_control *control = controls ? leat_control_set_find(controls, item, now_us) : NULL;
    return control && !control->holds;
}

bool leat_worker_is_left_out(const leat_worker *worker, uint32_t shard, const leat_item *item,
                             int64_t now_us)
{
    return is_left_out(worker->shards[shard].controls, item, now_us);
}

/* A look whose control has ended since its records were loaded. */
static bool is_outdated(const leat_control_set *controls, const leat_engine_batch *batch,
                        int64_t now_us)
{
    for (uint32_t i = 0; batch->is_look && i < batch->record_count; i++)
        if (!is_left_out(controls, batch->records[i].payload, now_us))
            return true;
    return false;
}

bool leat_worker_holds_back(leat_worker *worker, const leat_engine_job *job, int64_t now_us)
{
    take_newest(worker, job->shard);
    uint32_t index = 0;
    const leat_control_set *controls = controls_for(worker, job);
    const leat_control *control = controls ? find_hold(controls, &job->batch, now_us, &index)
                                           : NULL;
    bool is_look = !control && is_outdated(controls, &job->batch, now_us);
    LEAT_ASSERT(worker->held_back_count < worker->jobs_max);
    leat_worker_held_back *own = &worker->held_back[worker->held_back_count];
    if (control)
        leat_control_describe(control, own->message, sizeof own->message);
    else if (is_look)
        own->message[0] = '\0';
    else
        index = leat_worker_no_room_for(worker, job, now_us, own->message, sizeof own->message);
    if (index == UINT32_MAX)
        return false;
    own->job_id = job->id;
    own->index = index;
    own->outcome = is_look ? LEAT_ENGINE_CONTENTION : LEAT_ENGINE_BAD_DATA;
    own->is_hold = control != NULL;
    own->no_room = !control && !is_look;
    own->keys_gone = own->no_room &&
                     leat_worker_keys_gone(worker, job->batch.records[index].partition);
    worker->held_back_count++;
    return true;
}

bool leat_worker_answer_held_back(leat_worker *worker)
{
    uint32_t count = worker->held_back_count;
    worker->held_back_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        const leat_worker_held_back *own = &worker->held_back[i];
        leat_engine_job_result result = {.outcome = own->outcome,
                                         .bad_record = (int32_t)own->index,
                                         .partition = -1,
                                         .catalog_read_us = INT64_MAX,
                                         .is_hold = own->is_hold,
                                         .is_unsent = true,
                                         .no_room = own->no_room,
                                         .keys_gone = own->keys_gone};
        snprintf(result.message, sizeof result.message, "%s", own->message);
        leat_engine_job_done(worker->engine, leat_worker_event_us(worker), own->job_id, &result);
    }
    return count > 0;
}

void leat_worker_leave_out(leat_worker *worker, const leat_engine_job *job, int64_t now_us)
{
    const leat_engine_batch *batch = &job->batch;
    const leat_control_set *controls = controls_for(worker, job);
    uint32_t kept = 0;
    for (uint32_t i = batch->record_count; controls && i > 0; i--) {
        leat_item *item = batch->records[i - 1].payload;
        const leat_control *control = leat_control_set_find(controls, item, now_us);
        if (!control || control->holds)
            continue;
        leat_engine_skip(worker->engine, job->id, i - 1);
        bool is_kept = control->keep > 0 && kept < KEPT_OF_A_BATCH &&
                       leat_worker_fill_headers(worker, item) == 0;
        item->control = is_kept ? control : NULL;
        kept += is_kept;
    }
}

uint32_t leat_worker_count_left_out(leat_worker *worker, uint32_t shard,
                                    const leat_engine_record *records, uint32_t count)
{
    take_newest(worker, shard);
    const leat_control_set *controls = worker->shards[shard].controls;
    int64_t now_us = leat_mono_us();
    uint32_t i = 0;
    while (i < count && is_left_out(controls, records[i].payload, now_us))
        i++;
    return i;
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
        leat_engine_look(worker->engine, leat_worker_event_us(worker), shard,
                         leat_control_set_count(state->controls) >
                             leat_control_set_holds(state->controls));
    }
}
