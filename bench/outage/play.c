/*
 * play.c - a worker's engine between a log and a database that are models, on virtual time.
 */
#include <math.h>
#include <stdlib.h>

#include "outage/world.h"

/* ---- the database ---- */

static partition *partition_of(const worker *w, uint32_t number)
{
    return w->partitions[number];
}

static shard *shard_of(const worker *w, uint32_t number)
{
    return &w->world->shards[w->shards[number]];
}

static double batch_us(worker *w, const leat_engine_job *job)
{
    const leat_plan_input *input = &w->world->input;
    double beside = input->serial * (shard_of(w, job->shard)->running - 1);
    double rows = job->kind == LEAT_ENGINE_JOB_BATCH ? rows_of(w, &job->batch) : 0;
    return (input->fixed_us + rows * input->row_us) * (1 + beside);
}

static void apply(worker *w, const leat_engine_batch *batch)
{
    for (uint32_t i = 0; i < batch->part_count; i++) {
        const leat_engine_batch_part *part = &batch->parts[i];
        partition *p = partition_of(w, part->partition);
        p->seq = part->seq > p->seq ? part->seq : p->seq;
        p->newest = part->newest.offset > p->newest ? part->newest.offset : p->newest;
        for (uint32_t k = 0; k < part->count; k++)
            p->offsets[part->subpartitions[k]] = part->offsets[k];
    }
    w->world->records += batch->record_count;
}

static void claim(partition *p, leat_engine_progress *ret)
{
    leat_engine_newest newest = {p->newest, 0, -1};
    if (p->newest >= 0)
        newest.at_ms = EPOCH_MS + arrival_us(p, p->newest) / 1000;
    leat_engine_progress_begin(ret, (leat_engine_claim){{++p->claim}}, p->claim, p->seq, p->offsets,
                               p->low, newest);
}

static void finish(worker *w, uint32_t at, bool is_lost)
{
    const leat_engine_job *job = w->jobs[at].job;
    int64_t memory[2 * SUBPARTITIONS];
    leat_engine_progress progress;
    leat_engine_progress_init(&progress, memory, SUBPARTITIONS);
    leat_engine_job_result result = {.outcome = is_lost ? LEAT_ENGINE_UNKNOWN : LEAT_ENGINE_APPLIED,
                                     .bad_record = -1,
                                     .partition = -1,
                                     .catalog_read_us = INT64_MAX};
    if (!is_lost && job->kind == LEAT_ENGINE_JOB_CLAIM) {
        claim(partition_of(w, job->partition), &progress);
        result.progress = &progress;
    } else if (!is_lost && job->kind == LEAT_ENGINE_JOB_BATCH) {
        apply(w, &job->batch);
    } else if (!is_lost && job->kind == LEAT_ENGINE_JOB_COMPACT) {
        partition_of(w, job->compaction.partition)->low = job->compaction.low;
    } else if (!is_lost) {
        die("the engine parks, and nothing is locked");
    }
    shard_of(w, job->shard)->running--;
    w->jobs[at] = w->jobs[--w->job_count];
    leat_engine_job_done(w->engine, w->now_us, job->id, &result);
}

/* ---- a worker ---- */

static void start_job(worker *w, const leat_engine_job *job)
{
    if (w->job_count == JOBS_MAX)
        die("too many connections");
    shard_of(w, job->shard)->running++;
    w->jobs[w->job_count++] = (running){job, w->now_us + (int64_t)batch_us(w, job)};
}

static void settle(worker *w)
{
    leat_engine_effect effect;
    while (leat_engine_next(w->engine, &effect)) {
        partition *p = partition_of(w, effect.partition);
        if (effect.kind == LEAT_ENGINE_RUN) {
            start_job(w, effect.job);
        } else if (effect.kind == LEAT_ENGINE_SEEK) {
            p->position = effect.offset > 0 ? effect.offset : 0;
            p->is_read = true;
        } else if (effect.kind == LEAT_ENGINE_PAUSE || effect.kind == LEAT_ENGINE_RESUME) {
            p->is_paused = effect.kind == LEAT_ENGINE_PAUSE;
        }
    }
    void *payloads[256];
    while (leat_engine_released(w->engine, payloads, 256) > 0)
        ;
}

/* False: it is full. */
static bool read_one(worker *w, uint32_t number, partition *p)
{
    const leat_plan_input *input = &w->world->input;
    origin from = origin_of(w, number, p->position);
    leat_engine_record record = {.partition = number,
                                 .offset = p->position,
                                 .accepted_ms = EPOCH_MS + arrival_us(p, p->position) / 1000,
                                 .epoch = -1,
                                 .subpartition = from.subpartition,
                                 .tenant = from.tenant,
                                 .bytes = (uint32_t)(input->record_bytes + input->overhead_bytes),
                                 .payload = w};
    leat_engine_taken taken = leat_engine_record_read(w->engine, w->now_us, &record);
    if (taken == LEAT_ENGINE_REFUSED)
        die("the engine takes the log for another one");
    p->position += taken != LEAT_ENGINE_FULL;
    return taken != LEAT_ENGINE_FULL;
}

/* What a fetch brings of one partition: at most an equal part of what the thread can do. */
static void read_log(worker *w)
{
    w->room = fmin(w->room, 0) + (double)SLICE_US / w->world->input.reader_us;
    for (uint32_t turn = 0; turn < 2; turn++)
        for (uint32_t i = 0; i < w->partition_count && w->room >= 1; i++) {
            uint32_t number = (w->next + i) % w->partition_count;
            partition *p = partition_of(w, number);
            double part = turn ? w->room : w->room / (w->partition_count - i);
            int64_t end = log_end(p, w->now_us);
            int64_t last = end < p->position + (int64_t)part ? end : p->position + (int64_t)part;
            int64_t from = p->position;
            while (p->is_read && !p->is_paused && p->position < last && read_one(w, number, p))
                if (p->position % 256 == 0)
                    settle(w);
            w->room -= (double)(p->position > from ? p->position - from : 0);
        }
    w->next = (w->next + 1) % w->partition_count;
    settle(w);
}

/* The connections of the worst shard break, or are back. */
static void set_away(worker *w, uint32_t number, bool is_away)
{
    for (uint32_t i = w->job_count; is_away && i-- > 0;)
        if (w->jobs[i].job->shard == number)
            finish(w, i, true);
    for (uint32_t i = 0; is_away && i < w->partition_count; i++)
        if (partition_of(w, i)->shard == w->shards[number])
            partition_of(w, i)->is_read = false;
    leat_engine_slots(w->engine, w->now_us, number, is_away ? 0 : w->world->plan.connections);
    settle(w);
}

/* Of the worst shard the lag is returned, in seconds, also when there is no room for it any more.
 */
static double sample(worker *w, int64_t at)
{
    world *s = w->world;
    double worst_s = 0;
    for (uint32_t i = 0; i < w->partition_count; i++) {
        partition *p = partition_of(w, i);
        leat_engine_partition_view view;
        leat_engine_partition(w->engine, i, &view);
        if (view.state == LEAT_ENGINE_READING && view.low > p->seen_low)
            p->seen_low = view.low;
        int64_t lag = p->seen_low + 1 < log_end(p, w->now_us)
                          ? w->now_us - arrival_us(p, p->seen_low + 1)
                          : 0;
        double lag_s = (double)lag / 1e6;
        if (p->shard == s->worst)
            worst_s = fmax(worst_s, lag_s);
        if (at < SAMPLES_MAX)
            s->shards[p->shard].lags[at] = fmaxf(s->shards[p->shard].lags[at], (float)lag_s);
    }
    return worst_s;
}

/* A hundredth of the outage is as good as nothing. */
static bool has_caught_up(const world *s, double lag_s)
{
    return lag_s <= fmax(0.2, s->input.outage_s / 100);
}

static int64_t next_event(const worker *w, int64_t until_us)
{
    int64_t next = leat_engine_deadline(w->engine);
    next = next < until_us ? next : until_us;
    for (uint32_t i = 0; i < w->job_count; i++)
        next = w->jobs[i].done_us < next ? w->jobs[i].done_us : next;
    return next > w->now_us ? next : w->now_us;
}

static void run_until(worker *w, int64_t until_us)
{
    while (w->now_us < until_us) {
        w->now_us = next_event(w, until_us);
        for (uint32_t i = w->job_count; i-- > 0;)
            if (i < w->job_count && w->jobs[i].done_us <= w->now_us)
                finish(w, i, false);
        leat_engine_tick(w->engine, w->now_us);
        settle(w);
    }
}

static void play(worker *w)
{
    world *s = w->world;
    uint32_t worst = 0;
    bool has_worst = false;
    for (uint32_t i = 0; i < w->shard_count; i++)
        if (w->shards[i] == s->worst) {
            worst = i;
            has_worst = true;
        }
    int64_t end_us = has_worst ? VIRTUAL_MAX : s->end_us;
    for (int64_t at = SLICE_US; at <= end_us; at += SLICE_US) {
        run_until(w, at);
        if (has_worst && (at == s->outage_from_us || at == s->outage_to_us))
            set_away(w, worst, at == s->outage_from_us);
        read_log(w);
        if (at % s->sample_us != 0)
            continue;
        int64_t number = at / s->sample_us;
        double lag_s = sample(w, number);
        s->peak_s = fmax(s->peak_s, lag_s);
        if (!has_worst || at <= s->outage_to_us)
            continue;
        if (s->caught_up_us == 0 && has_caught_up(s, lag_s)) {
            s->caught_up_us = at;
            s->end_us = end_us = at + (int64_t)(s->before_s * 1e6);
        }
        s->samples = (uint32_t)(number < SAMPLES_MAX ? number + 1 : SAMPLES_MAX);
    }
}

static void make_engine(worker *w, uint32_t *shard_of_partition)
{
    leat_error error;
    leat_engine_config config;
    leat_engine_config_defaults(&config);
    config.partition_count = w->partition_count;
    config.subpartitions = SUBPARTITIONS;
    config.shard_count = w->shard_count;
    config.shard_of = shard_of_partition;
    config.jobs_max = w->shard_count * w->world->plan.connections;
    config.records_max = (uint32_t)w->world->input.records_max;
    config.bytes_max = (uint64_t)w->world->input.memory_max;
    config.batch_records_max = w->world->input.batch_records;
    config.batch_bytes_max = UINT64_C(4) << 20;
    config.deep_records_max = 10 * w->world->input.batch_records;
    config.age_bound_us = 20000;
    config.compact_every_us = 5 * SECOND_US;
    config.commit_every_us = SECOND_US;
    config.drain_us = 5 * SECOND_US;
    config.lock_timeout_us = 5 * SECOND_US;
    config.patience_us = 30 * SECOND_US;
    config.dead_letters_per_minute = 100;
    config.dead_letters_percent = 20;
    config.seed = 1;
    w->engine = leat_engine_new(&config, &error);
    if (!w->engine)
        die(error.text);
}

/* Shards `first`, `first` + workers, ... */
static void run_worker(world *s, uint32_t first, uint32_t workers)
{
    worker *w = leat_must_calloc(1, sizeof *w);
    w->world = s;
    uint32_t most = s->of_shard * (s->input.shards / workers + 1);
    w->partitions = leat_must_calloc(most, sizeof *w->partitions);
    w->seen = leat_must_calloc(SEEN_MAX, sizeof *w->seen);
    uint32_t *shard_numbers = leat_must_calloc(most, sizeof *shard_numbers);
    for (uint32_t i = first; i < s->input.shards; i += workers) {
        for (uint32_t k = 0; k < s->of_shard; k++) {
            shard_numbers[w->partition_count] = w->shard_count;
            w->partitions[w->partition_count++] = &s->partitions[i * s->of_shard + k];
        }
        w->shards[w->shard_count++] = i;
    }
    make_engine(w, shard_numbers);
    for (uint32_t i = 0; i < w->shard_count; i++)
        leat_engine_slots(w->engine, 0, i, s->plan.connections);
    for (uint32_t i = 0; i < w->partition_count; i++)
        leat_engine_assigned(w->engine, 0, i);
    settle(w);
    play(w);
    leat_engine_free(w->engine);
    free(w->partitions);
    free(w->seen);
    free(shard_numbers);
    free(w);
}

/* The one with the outage first: it says how long it takes. */
void run(world *s)
{
    uint32_t workers = s->plan.workers < s->input.shards ? s->plan.workers : s->input.shards;
    if ((s->input.shards + workers - 1) / workers > LEAT_SHARDS_MAX)
        die("too many shards for a worker: at most 64");
    s->outage_from_us = (int64_t)(s->before_s * 1e6) / SLICE_US * SLICE_US;
    s->outage_to_us = s->outage_from_us + (int64_t)(s->input.outage_s * 1e6) / SLICE_US * SLICE_US;
    s->sample_us = s->input.outage_s > 60 ? SECOND_US : SECOND_US / 10;
    run_worker(s, s->worst % workers, workers);
    if (s->caught_up_us == 0)
        die("it did not catch up in four hours");
    for (uint32_t i = 0; i < workers; i++)
        if (i != s->worst % workers)
            run_worker(s, i, workers);
}
