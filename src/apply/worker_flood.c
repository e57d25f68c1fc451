/*
 * worker_flood.c - who fills a shard with parked records, for the edges: parking only postpones,
 * and only an edge can end a flood that does not end by itself. Told from the moment on at which a
 * partition has used half of what it may park, as a fact in the shard, which the edges read. Never
 * because somebody's records are parked: a quiet tenant behind a locked row has done nothing.
 */
#include <inttypes.h>
#include <stdio.h>

#include "apply/worker_state.h"

enum { RATE_EVERY_US = 5000000, FADE_EVERY_US = 60000000 };

void leat_worker_note_parked(leat_worker *worker, const leat_engine_job *job)
{
    LEAT_ASSERT(job->kind == LEAT_ENGINE_JOB_PARK);
    leat_flood *flood = &worker->shards[job->shard].flood;
    for (uint32_t i = 0; i < job->batch.record_count; i++) {
        const leat_item *item = job->batch.records[i].payload;
        leat_slice tenant = item->route ? leat_route_tenant(item->route, item->canonical_key)
                                        : (leat_slice){0};
        leat_flood_add(flood, tenant, item->record.key.size + item->record.value.size);
    }
}

static void follow_drain(leat_worker *worker, uint32_t shard, int64_t passed_us)
{
    leat_worker_shard_state *state = &worker->shards[shard];
    leat_engine_shard_view view;
    leat_engine_shard(worker->engine, shard, &view);
    state->drain.per_s = (double)(view.unparked - state->drain.unparked) * 1e6 / (double)passed_us;
    state->drain.unparked = view.unparked;
}

void leat_worker_follow_drain(leat_worker *worker)
{
    int64_t now_us = leat_worker_now_us(worker), passed_us = now_us - worker->drain_us;
    if (passed_us < RATE_EVERY_US)
        return;
    bool fades = now_us - worker->fade_us >= FADE_EVERY_US;
    for (uint32_t shard = 0; shard < worker->shard_count; shard++) {
        follow_drain(worker, shard, passed_us);
        if (fades)
            leat_flood_fade(&worker->shards[shard].flood);
    }
    worker->drain_us = now_us;
    worker->fade_us = fades ? now_us : worker->fade_us;
}

void leat_worker_flood_facts(leat_worker *worker, uint32_t shard, leat_buf *facts)
{
    leat_worker_shard_state *state = &worker->shards[shard];
    const leat_parked_sum *sum = &state->parked.sum;
    const leat_flood_tenant *loud[LEAT_FLOOD_LOUD_MAX];
    if (sum->records == 0)
        state->flood = (leat_flood){0};
    uint32_t count = sum->half > 0 ? leat_flood_loud(&state->flood, loud) : 0;
    if (count == 0)
        state->flood_since_ms = 0;
    else if (state->flood_since_ms == 0)
        state->flood_since_ms = leat_wall_ms();
    for (uint32_t i = 0; i < count; i++) {
        int64_t wait_s = leat_flood_wait_s(sum->records, state->drain.per_s);
        char text[LEAT_FACT_TEXT_SIZE];
        snprintf(
            text, sizeof text,
            "more than a quarter of what is parked is of one tenant, and half of parked_max is "
            "used: its writes are answered 429 until that is less tenant=%s parked=%" PRIu64,
            loud[i]->text, sum->records);
        leat_fact fact = {.kind = LEAT_FLOOD_KIND,
                          .text = text,
                          .since_ms = state->flood_since_ms,
                          .partition = -1,
                          .subpartition = -1,
                          .offset = -1,
                          .wait_s = wait_s,
                          .tenant = leat_slice_of(loud[i]->text)};
        leat_facts_add(facts, &fact);
    }
}
