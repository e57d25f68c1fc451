/*
 * leat-scale - a plan (src/plan) played through with the engine that leat has, on virtual time: all
 * shards at their rates, with tenants of very different size, and an outage of the shard that gets
 * most. What surrounds the engine is a model:
 *
 *   log       each partition gets records at an even rate; each is read in order, and again after a
 *             claim. A record is nothing but its offset, so a backlog of millions takes no memory.
 *   database  a batch takes `fixed` and `row` for each record, and the longer the more run beside
 * it (Amdahl, as in the plan). In the outage connections break, and there are none. worker    one
 * engine, one thread that reads a record in `reader`. A shard belongs to one worker, so workers
 * know nothing of each other and are played one after another.
 *
 *   leat-scale --writes 150000 --shards 40 --fixed-us 1500 --row-us 12 --serial 0.3 --outage 600
 *              [--tenants 100000] [--tenant-skew 1] [--before 60] [--spike 5 --spike-for 600 --lag
 * 30]
 *
 * Times in seconds. Prints one JSON object: the plan, the lag of each shard over time, and the
 * catch-up beside that of the formula.
 */
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "engine/engine.h"
#include "plan/plan.h"

#define SECOND_US   INT64_C(1000000)
#define SLICE_US    INT64_C(10000) /* between two reads of a worker */
#define EPOCH_MS    INT64_C(1000000000000)
#define VIRTUAL_MAX (INT64_C(4) * 3600 * SECOND_US)

enum {
    SUBPARTITIONS = 256,
    WINDOW = 8,
    GUIDE = 16384, /* entries that tell the tenant of a record */
    JOBS_MAX = 1024,
    SAMPLES_MAX = 16384,
};

/* A partition: its log, and what its shard has stored of its progress. */
typedef struct partition {
    uint32_t shard;
    double rate_us;   /* records in a microsecond */
    int64_t position; /* next to read */
    bool is_read;     /* it was told where from */
    bool is_paused;
    int64_t offsets[SUBPARTITIONS];
    int64_t low, newest, seq;
    uint8_t claim;
    int64_t seen_low; /* of the engine, the last that it said */
} partition;

typedef struct shard {
    double writes_s;
    uint32_t *guide; /* [GUIDE], or NULL */
    uint32_t running;
    bool is_away;
    float lags[SAMPLES_MAX];
} shard;

typedef struct running {
    const leat_engine_job *job;
    int64_t done_us;
} running;

typedef struct scale {
    leat_plan_input input;
    leat_plan plan;
    double before_s;
    uint32_t of_shard; /* partitions */
    shard *shards;
    partition *partitions; /* of all shards, one shard's after the other's */
    uint32_t worst;        /* the shard with the outage */
    int64_t outage_from_us, outage_to_us, sample_us;
    int64_t end_us; /* 0: when the worst shard has caught up */
    uint32_t samples;
    int64_t caught_up_us;
    uint64_t records;
} scale;

/* A worker while it is played. Its engine knows its own shards and partitions by numbers of its
 * own. */
typedef struct worker {
    scale *scale;
    leat_engine *engine;
    uint32_t shards[LEAT_SHARDS_MAX];
    uint32_t shard_count, partition_count;
    partition **partitions;
    running jobs[JOBS_MAX];
    uint32_t job_count;
    uint32_t next; /* partition that is read first */
    int64_t now_us;
    double room; /* records that its thread may still read */
} worker;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "leat-scale: %s\n", what);
    exit(2);
}

/* ---- the load ---- */

static uint64_t mix(uint64_t number)
{
    return leat_prng_next(&(leat_prng){number});
}

/* Zipf's weights, each tenant in one shard; then for each shard who has which part of its
 * records. */
static void place_tenants(scale *s)
{
    uint32_t count = (uint32_t)s->input.tenants;
    double *sums = leat_must_calloc(s->input.shards, sizeof *sums);
    double *at = leat_must_calloc(s->input.shards, sizeof *at);
    uint32_t *filled = leat_must_calloc(s->input.shards, sizeof *filled);
    double all = 0;
    for (uint32_t i = 0; i < count; i++) {
        double weight = pow(i + 1, -s->input.tenant_skew);
        sums[mix(i) % s->input.shards] += weight;
        all += weight;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t of = (uint32_t)(mix(i) % s->input.shards);
        if (!s->shards[of].guide)
            s->shards[of].guide = leat_must_calloc(GUIDE, sizeof(uint32_t));
        at[of] += pow(i + 1, -s->input.tenant_skew) / sums[of];
        while (filled[of] < GUIDE && (filled[of] + 0.5) / GUIDE < at[of])
            s->shards[of].guide[filled[of]++] = i;
    }
    for (uint32_t i = 0; i < s->input.shards; i++)
        s->shards[i].writes_s = s->input.writes_s * sums[i] / all;
    free(sums);
    free(at);
    free(filled);
}

static void make_load(scale *s)
{
    s->shards = leat_must_calloc(s->input.shards, sizeof *s->shards);
    for (uint32_t i = 0; i < s->input.shards; i++)
        s->shards[i].writes_s = s->input.writes_s / s->input.shards;
    if (s->input.tenants >= 1)
        place_tenants(s);
    for (uint32_t i = 0; i < s->input.shards; i++)
        s->worst = s->shards[i].writes_s > s->shards[s->worst].writes_s ? i : s->worst;
    s->of_shard = s->plan.partitions / s->input.shards;
    uint32_t count = s->of_shard * s->input.shards;
    s->partitions = leat_must_calloc(count, sizeof *s->partitions);
    for (uint32_t i = 0; i < count; i++) {
        partition *p = &s->partitions[i];
        *p = (partition){.shard = i / s->of_shard, .low = -1, .newest = -1, .seen_low = -1};
        p->rate_us = s->shards[p->shard].writes_s / s->of_shard / 1e6;
        for (uint32_t k = 0; k < SUBPARTITIONS; k++)
            p->offsets[k] = -1;
    }
}

static int64_t arrival_us(const partition *p, int64_t offset)
{
    return (int64_t)ceil((double)(offset + 1) / p->rate_us);
}

static int64_t log_end(const partition *p, int64_t now_us)
{
    return (int64_t)floor((double)now_us * p->rate_us);
}

/* ---- the database ---- */

static partition *partition_of(const worker *w, uint32_t number)
{
    return w->partitions[number];
}

static shard *shard_of(const worker *w, uint32_t number)
{
    return &w->scale->shards[w->shards[number]];
}

static double batch_us(const worker *w, const leat_engine_job *job)
{
    const leat_plan_input *input = &w->scale->input;
    double beside = input->serial * (shard_of(w, job->shard)->running - 1);
    double rows = job->kind == LEAT_ENGINE_JOB_BATCH ? job->batch.record_count : 0;
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
    w->scale->records += batch->record_count;
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
    uint64_t random = mix((uint64_t)p->position * 1021 + number);
    const uint32_t *guide = w->scale->shards[p->shard].guide;
    uint64_t tenant = guide ? guide[random % GUIDE] + UINT64_C(1) : 0;
    uint64_t window = tenant ? mix(tenant) + (random >> 32) % WINDOW : random >> 32;
    leat_engine_record record = {.partition = number,
                                 .offset = p->position,
                                 .accepted_ms = EPOCH_MS + arrival_us(p, p->position) / 1000,
                                 .epoch = -1,
                                 .subpartition = (uint32_t)(window % SUBPARTITIONS),
                                 .tenant = tenant,
                                 .bytes = (uint32_t)w->scale->input.record_bytes,
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
    w->room = fmin(w->room, 0) + (double)SLICE_US / w->scale->input.reader_us;
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
    shard_of(w, number)->is_away = is_away;
    for (uint32_t i = w->job_count; is_away && i-- > 0;)
        if (w->jobs[i].job->shard == number)
            finish(w, i, true);
    for (uint32_t i = 0; is_away && i < w->partition_count; i++)
        if (partition_of(w, i)->shard == w->shards[number])
            partition_of(w, i)->is_read = false;
    leat_engine_slots(w->engine, w->now_us, number, is_away ? 0 : w->scale->plan.connections);
    settle(w);
}

static void sample(worker *w, uint32_t at)
{
    scale *s = w->scale;
    for (uint32_t i = 0; i < w->partition_count; i++) {
        partition *p = partition_of(w, i);
        leat_engine_partition_view view;
        leat_engine_partition(w->engine, i, &view);
        if (view.state == LEAT_ENGINE_READING && view.low > p->seen_low)
            p->seen_low = view.low;
        int64_t lag = p->seen_low + 1 < log_end(p, w->now_us)
                          ? w->now_us - arrival_us(p, p->seen_low + 1)
                          : 0;
        float *most = &s->shards[p->shard].lags[at];
        *most = (double)lag / 1e6 > *most ? (float)((double)lag / 1e6) : *most;
    }
}

/* A hundredth of the outage is as good as nothing. */
static bool has_caught_up(const scale *s, uint32_t at)
{
    return s->shards[s->worst].lags[at] <= fmax(0.2, s->input.outage_s / 100);
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
    scale *s = w->scale;
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
        if (at % s->sample_us != 0 || at / s->sample_us >= SAMPLES_MAX)
            continue;
        uint32_t number = (uint32_t)(at / s->sample_us);
        sample(w, number);
        if (!has_worst || at <= s->outage_to_us)
            continue;
        if (s->caught_up_us == 0 && has_caught_up(s, number)) {
            s->caught_up_us = at;
            s->end_us = end_us = at + (int64_t)(s->before_s * 1e6);
        }
        s->samples = number + 1;
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
    config.jobs_max = w->shard_count * w->scale->plan.connections;
    config.records_max = 131072;
    config.bytes_max = UINT64_C(64) << 20;
    config.batch_records_max = w->scale->input.batch_records;
    config.batch_bytes_max = UINT64_C(4) << 20;
    config.deep_records_max = 10 * w->scale->input.batch_records;
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
static void run_worker(scale *s, uint32_t first, uint32_t workers)
{
    worker *w = leat_must_calloc(1, sizeof *w);
    w->scale = s;
    uint32_t most = s->of_shard * (s->input.shards / workers + 1);
    w->partitions = leat_must_calloc(most, sizeof *w->partitions);
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
    free(shard_numbers);
    free(w);
}

/* The one with the outage first: it says how long it takes. */
static void run(scale *s)
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

/* ---- output ---- */

static void print_lags(const scale *s)
{
    printf("\"sample_s\": %g, \"lags\": [", (double)s->sample_us / 1e6);
    for (uint32_t i = 0; i < s->input.shards; i++) {
        printf("%s{\"shard\": %u, \"writes_s\": %.0f, \"lag_s\": [", i ? ",\n" : "", i,
               s->shards[i].writes_s);
        for (uint32_t k = 0; k < s->samples; k++)
            printf("%s%.2f", k ? "," : "", (double)s->shards[i].lags[k]);
        printf("]}");
    }
    printf("]");
}

static void print(const scale *s)
{
    double writes = s->shards[s->worst].writes_s;
    double formula = leat_plan_catch_up(writes * s->input.outage_s, s->plan.capacity_s, writes);
    double peak = 0;
    for (uint32_t k = 0; k < s->samples; k++)
        peak = fmax(peak, (double)s->shards[s->worst].lags[k]);
    printf("{\"shards\": %u, \"partitions\": %u, \"workers\": %u, \"connections\": %u, "
           "\"capacity_s\": %.0f, \"records\": %" PRIu64
           ", \"worst\": %u, \"worst_writes_s\": %.0f, "
           "\"planned_writes_s\": %.0f, \"outage_from_s\": %g, \"outage_to_s\": %g, "
           "\"peak_lag_s\": %.2f, \"formula_peak_lag_s\": %.2f, \"catch_up_s\": %.2f, "
           "\"formula_catch_up_s\": %.2f, ",
           s->input.shards, s->plan.partitions, s->plan.workers, s->plan.connections,
           s->plan.capacity_s, s->records, s->worst, writes, s->plan.shard_writes_s,
           (double)s->outage_from_us / 1e6, (double)s->outage_to_us / 1e6, peak,
           s->plan.outage_lag_s, (double)(s->caught_up_us - s->outage_to_us) / 1e6, formula);
    print_lags(s);
    printf("}\n");
}

/* ---- the command line ---- */

static const struct option long_options[] = {
    {"writes", required_argument, NULL, 0},   {"shards", required_argument, NULL, 0},
    {"fixed-us", required_argument, NULL, 0}, {"row-us", required_argument, NULL, 0},
    {"serial", required_argument, NULL, 0},   {"outage", required_argument, NULL, 0},
    {"tenants", required_argument, NULL, 0},  {"tenant-skew", required_argument, NULL, 0},
    {"before", required_argument, NULL, 0},   {"reader-us", required_argument, NULL, 0},
    {"spike", required_argument, NULL, 0},    {"spike-for", required_argument, NULL, 0},
    {"lag", required_argument, NULL, 0},      {0},
};

static void parse(scale *s, int argc, char **argv)
{
    double shards = 0;
    double *const numbers[] = {&s->input.writes_s, &shards,
                               &s->input.fixed_us, &s->input.row_us,
                               &s->input.serial,   &s->input.outage_s,
                               &s->input.tenants,  &s->input.tenant_skew,
                               &s->before_s,       &s->input.reader_us,
                               &s->input.spike,    &s->input.spike_s,
                               &s->input.lag_s};
    for (int at, option; (option = getopt_long(argc, argv, "", long_options, &at)) != -1;) {
        if (option != 0)
            exit(2);
        *numbers[at] = strtod(optarg, NULL);
    }
    s->input.shards = shards >= 1 && shards <= LEAT_PLAN_SHARDS_MAX ? (uint32_t)shards : 0;
}

int main(int argc, char **argv)
{
    static scale s;
    leat_error error;
    s = (scale){.input = {.serial = 0.1,
                          .reader_us = 6,
                          .spike = 1,
                          .lag_s = 30,
                          .outage_s = 600,
                          .tenant_skew = 1,
                          .record_bytes = 300,
                          .batch_records = 1000},
                .before_s = 60};
    parse(&s, argc, argv);
    if (leat_plan_check(&s.input, &error) != 0)
        die(error.text);
    if (s.input.tenants > 1e7 || s.input.outage_s < 1 || s.before_s < 1)
        die("at most ten million tenants; --outage and --before of a second at least");
    leat_plan_make(&s.input, &s.plan);
    if (s.plan.shortage != LEAT_PLAN_ENOUGH)
        die("the plan cannot be met: ask leat plan");
    make_load(&s);
    run(&s);
    print(&s);
    return 0;
}
