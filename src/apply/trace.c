/*
 * trace.c - the spans of a worker. A record whose context is sampled has one `process` span, from
 * the first batch that it is in until what becomes of it is known; each transaction with such a
 * record has an `apply` (or `park`) span in a trace of its own, and the two are linked both ways. A
 * batch belongs to many traces, so it is the child of none of them; a retry is one more `apply`.
 *
 * The engine may drop a record while its batch is with the sink, so what is needed at the end is
 * kept apart from the item, by reference count: the item has one reference, and its batch another.
 *
 * A record that is kept in its shard (parked, or its key held) ends its span there. It comes back
 * as another item, perhaps in another process. So that the next span can link to this one, its id
 * follows from the record.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apply/worker_state.h"

enum {
    APPLIES_MAX = 8, /* that a process span links to: the last ones */
    FOLDS_MAX = 16,  /* records of a batch whose fold is counted */
    SQLSTATE_SIZE = 6,
};

/* What is kept of a sampled record. */
typedef struct record_trace {
    uint32_t references;
    bool is_running; /* in a batch */
    bool is_again;   /* this worker has read it before */
    bool was_kept;   /* it comes out of the shard */
    leat_trace_context from;
    uint32_t partition;
    int64_t offset;
    int64_t accepted_ms;
    uint32_t table;
    leat_route_op op;
    bool has_fault;   /* malformed: table and op mean nothing */
    int64_t since_us; /* the first batch; 0: none yet */
    uint32_t attempts;
    uint32_t fold; /* records of its row in the last batch that may be one write; 0: not counted */
    leat_trace_context applies[APPLIES_MAX]; /* attempt n at n % APPLIES_MAX */
    char sqlstate[SQLSTATE_SIZE];            /* of the last attempt that failed */
} record_trace;

/* A record of a batch that runs. */
typedef struct traced_record {
    record_trace *trace;
    uint32_t index;
} traced_record;

/* What became of a record, for its span. */
typedef struct fate {
    const char *outcome;
    const char *error; /* NULL: none */
    bool is_applied;
    char kept; /* 0: not in the shard; else what tells the ways to keep it apart: p, h */
} fate;

static void let_go(record_trace *trace)
{
    LEAT_ASSERT(trace->references > 0);
    if (--trace->references == 0)
        free(trace);
}

/* ---- spans ---- */

/* The id of the span in which the record was kept, that way. */
static void kept_id(const record_trace *trace, char way, uint8_t ret[8])
{
    char text[sizeof trace->from.trace_id + sizeof trace->from.span_id + 64];
    memcpy(text, trace->from.trace_id, sizeof trace->from.trace_id);
    memcpy(text + sizeof trace->from.trace_id, trace->from.span_id, sizeof trace->from.span_id);
    size_t used = sizeof trace->from.trace_id + sizeof trace->from.span_id;
    used += (size_t)snprintf(text + used, sizeof text - used, "%c %" PRIu32 " %" PRId64, way,
                             trace->partition, trace->offset);
    uint64_t hash = leat_hash((leat_slice){text, used});
    hash = hash ? hash : 1;
    memcpy(ret, &hash, sizeof hash);
}

static void put_number(leat_span *span, const char *key, int64_t number)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%" PRId64, number);
    leat_span_text(span, key, (leat_slice){text, (size_t)size});
}

static void put_topic(const leat_worker *worker, leat_span *span)
{
    const leat_log_config *log = &worker->config.log;
    leat_span_text(span, "messaging.system", log->file ? LEAT_SLICE("leat") : LEAT_SLICE("kafka"));
    leat_span_text(span, "messaging.destination.name", leat_slice_of(log->topic));
    if (log->group)
        leat_span_text(span, "messaging.consumer.group.name", leat_slice_of(log->group));
}

static int64_t lag_ms(const record_trace *trace)
{
    return leat_wall_ms() - trace->accepted_ms;
}

static void put_record(const leat_worker *worker, leat_span *span, const record_trace *trace)
{
    uint32_t shard = worker->shard_of[trace->partition];
    leat_span_text(span, "messaging.operation.name", LEAT_SLICE("process"));
    leat_span_text(span, "messaging.operation.type", LEAT_SLICE("process"));
    put_number(span, "messaging.destination.partition.id", trace->partition);
    leat_span_integer(span, "messaging.kafka.offset", trace->offset);
    leat_span_text(span, "leat.shard", leat_slice_of(worker->config.shards[shard].name));
    if (!trace->has_fault) {
        leat_span_text(span, "leat.table",
                       leat_slice_of(leat_worker_table_name(worker, trace->table)));
        leat_span_text(span, "leat.operation", leat_slice_of(leat_route_op_name(trace->op)));
    }
    leat_span_number(span, "leat.lag_seconds", (double)lag_ms(trace) / 1000);
    leat_span_integer(span, "leat.attempts", trace->attempts);
    if (trace->fold > 1)
        leat_span_integer(span, "leat.fold.size", trace->fold);
    if (trace->is_again)
        leat_span_true(span, "leat.redelivered");
}

static void link_applies(leat_span *span, const record_trace *trace)
{
    uint32_t count = trace->attempts < APPLIES_MAX ? trace->attempts : APPLIES_MAX;
    for (uint32_t i = trace->attempts - count; i < trace->attempts; i++)
        leat_span_link_to(
            span, &(leat_span_link){.to = trace->applies[i % APPLIES_MAX], .partition = -1});
    span->links_left_out += trace->attempts - count;
}

/* The record's span ends. `came_from`: the way that it was kept before, 0: it was not. */
static void end_process(leat_worker *worker, record_trace *trace, const fate *what, char came_from)
{
    leat_trace_context own = leat_trace_child(&trace->from);
    if (what->kept)
        kept_id(trace, what->kept, own.span_id);
    leat_span *span =
        leat_span_new(LEAT_SPAN_CONSUMER, &own, "process", leat_slice_of(worker->config.log.topic));
    if (!span)
        return;
    leat_span_parent(span, trace->from.span_id, true);
    leat_span_times(span, leat_trace_clock_ns(), trace->since_us, leat_mono_us());
    put_topic(worker, span);
    put_record(worker, span, trace);
    leat_span_text(span, "leat.outcome", leat_slice_of(what->outcome));
    if (what->error)
        leat_span_fail(span, what->error);
    link_applies(span, trace);
    if (came_from) {
        leat_span_link link = {.to = trace->from, .is_remote = true, .partition = -1};
        kept_id(trace, came_from, link.to.span_id);
        leat_span_link_to(span, &link);
    }
    leat_tracer_add(worker->config.tracer, span);
    trace->since_us = 0;
}

/* ---- a batch begins ---- */

/* How many records of a batch, in its subpartition, are of this one's row and may be folded with
 * it. A SQLite shard writes each by itself. */
static uint32_t count_fold(const leat_engine_batch *batch, uint32_t index)
{
    const leat_engine_batch_record *records = batch->records;
    const leat_item *item = records[index].payload;
    uint32_t count = 0, first = index;
    if (!item->route || item->fault || !item->route->fold || item->route->table->is_ordered)
        return 0;
    while (first > 0 && records[first - 1].subpartition == records[index].subpartition &&
           records[first - 1].partition == records[index].partition)
        first--;
    for (uint32_t i = first;
         i < batch->record_count && records[i].subpartition == records[index].subpartition &&
         records[i].partition == records[index].partition;
         i++) {
        const leat_item *other = records[i].payload;
        count += other->route == item->route && other->hash == item->hash;
    }
    return count;
}

/* NULL: its context is not sampled. */
static record_trace *trace_of(const leat_worker *worker, leat_item *item)
{
    const leat_record *record = &item->record;
    leat_trace_context from;
    if (item->trace)
        return item->trace;
    if (record->traceparent.size == 0 || !leat_traceparent_read(record->traceparent, &from) ||
        !leat_trace_is_sampled(&from))
        return NULL;
    record_trace *trace = malloc(sizeof *trace);
    if (!trace)
        return NULL;
    *trace = (record_trace){.references = 1,
                            .from = from,
                            .partition = record->partition,
                            .offset = record->offset,
                            .accepted_ms = record->accepted_ms,
                            .has_fault = !item->route || item->fault,
                            .was_kept = item->chunk != NULL,
                            .table = item->route ? item->route->table_index
                                                 : leat_worker_table_count(worker),
                            .op = item->op};
    item->trace = trace;
    return trace;
}

static void add_record(leat_worker_job_trace *at, const leat_engine_job *job, record_trace *trace,
                       uint32_t index)
{
    if (!at->records)
        at->records = malloc(job->batch.record_count * sizeof *at->records);
    if (!at->records)
        return;
    at->records[at->count++] = (traced_record){.trace = trace, .index = index};
    trace->references++;
    trace->is_running = true;
}

void leat_worker_trace_run(leat_worker *worker, const leat_engine_job *job)
{
    leat_worker_job_trace *at = &worker->traces[job->id];
    bool is_batch = job->kind == LEAT_ENGINE_JOB_BATCH;
    if (!worker->config.tracer || (!is_batch && job->kind != LEAT_ENGINE_JOB_PARK))
        return;
    LEAT_ASSERT(at->count == 0 && !at->records);
    for (uint32_t i = 0; i < job->batch.record_count; i++) {
        record_trace *trace = trace_of(worker, job->batch.records[i].payload);
        if (!trace)
            continue;
        uint32_t shard = worker->shard_of[trace->partition];
        if (is_batch && at->count < FOLDS_MAX && !worker->config.shards[shard].at.sqlite)
            trace->fold = count_fold(&job->batch, i);
        add_record(at, job, trace, i);
    }
    if (at->count == 0)
        return;
    at->since_us = leat_mono_us();
    at->own = leat_trace_root();
    for (uint32_t i = 0; i < at->count; i++) {
        record_trace *trace = at->records[i].trace;
        trace->since_us = trace->since_us ? trace->since_us : at->since_us;
        trace->applies[trace->attempts++ % APPLIES_MAX] = at->own;
    }
}

/* ---- a batch ends ---- */

static void add_apply_span(leat_worker *worker, const leat_worker_job_trace *at,
                           const leat_engine_job *job, const leat_engine_job_result *result)
{
    const leat_worker_shard *shard = &worker->config.shards[job->shard];
    bool is_park = job->kind == LEAT_ENGINE_JOB_PARK;
    leat_span *span = leat_span_new(LEAT_SPAN_CLIENT, &at->own, is_park ? "park" : "apply",
                                    leat_slice_of(shard->name));
    if (!span)
        return;
    leat_span_times(span, leat_trace_clock_ns(), at->since_us, leat_mono_us());
    put_topic(worker, span);
    leat_span_integer(span, "messaging.batch.message_count", job->batch.record_count);
    leat_span_text(span, "db.system.name",
                   shard->at.sqlite ? LEAT_SLICE("sqlite") : LEAT_SLICE("postgresql"));
    leat_span_text(span, "leat.shard", leat_slice_of(shard->name));
    leat_span_text(span, "leat.outcome", leat_slice_of(leat_engine_outcome_name(result->outcome)));
    if (result->outcome != LEAT_ENGINE_APPLIED)
        leat_span_fail(span, result->sqlstate[0] ? result->sqlstate
                                                 : leat_engine_outcome_name(result->outcome));
    for (uint32_t i = 0; i < at->count; i++) {
        const record_trace *trace = at->records[i].trace;
        leat_span_link_to(span, &(leat_span_link){.to = trace->from,
                                                  .is_remote = true,
                                                  .partition = (int32_t)trace->partition,
                                                  .offset = trace->offset});
    }
    leat_tracer_add(worker->config.tracer, span);
}

/* Of a record of a batch that was committed; the same questions as in write_report.c. */
static fate fate_of(const leat_engine_job *job, const leat_engine_batch_record *record)
{
    const leat_engine_batch *batch = &job->batch;
    const leat_engine_reason *reason = batch->dead ? batch->dead : batch->hold;
    const char *sqlstate = reason && reason->sqlstate[0] ? reason->sqlstate : "malformed";
    if (job->kind == LEAT_ENGINE_JOB_PARK)
        return (fate){.outcome = "parked", .error = "parked", .kept = 'p'};
    if (batch->dead)
        return (fate){.outcome = "dead_letter", .error = sqlstate};
    if (batch->hold)
        return (fate){.outcome = "held", .error = sqlstate, .kept = 'h'};
    if (record->conflict)
        return (fate){.outcome = "dead_letter", .error = "conflict"};
    if (record->repeat)
        return (fate){.outcome = "repeat"};
    if (record->skip)
        return (fate){.outcome = "left_out"};
    if (leat_engine_batch_keeps(record))
        return (fate){.outcome = "held", .error = "held", .kept = 'h'};
    return (fate){.outcome = "applied", .is_applied = true};
}

/* How a batch's records were kept before. */
static char came_from(const leat_engine_batch *batch, const record_trace *trace)
{
    if (!trace->was_kept)
        return 0;
    return batch->retry_key != 0 ? 'h' : 'p';
}

static const fate lost = {.outcome = "lost", .error = "lost"};

/* Its item has gone, and it is not running: nobody will hear what became of it. One out of the
 * shard is there still: each attempt has told that it failed. */
static void end_lost(leat_worker *worker, record_trace *trace)
{
    fate what = lost;
    what.error = trace->sqlstate[0] ? trace->sqlstate : lost.error;
    if (trace->since_us > 0 && !trace->was_kept)
        end_process(worker, trace, &what, 0);
}

static void end_record(leat_worker *worker, const traced_record *at, const leat_engine_job *job,
                       const leat_engine_job_result *result)
{
    record_trace *trace = at->trace;
    trace->is_running = false;
    if (result && result->outcome == LEAT_ENGINE_APPLIED) {
        fate what = fate_of(job, &job->batch.records[at->index]);
        if (what.is_applied)
            leat_observe_trace(worker->shards[job->shard].apply_lag, lag_ms(trace),
                               trace->from.trace_id);
        end_process(worker, trace, &what, came_from(&job->batch, trace));
    } else {
        if (result)
            snprintf(trace->sqlstate, sizeof trace->sqlstate, "%s", result->sqlstate);
        if (trace->references == 1)
            end_lost(worker, trace);
    }
    let_go(trace);
}

static void end_job(leat_worker *worker, leat_worker_job_trace *at, const leat_engine_job *job,
                    const leat_engine_job_result *result)
{
    for (uint32_t i = 0; i < at->count; i++)
        end_record(worker, &at->records[i], job, result);
    free(at->records);
    *at = (leat_worker_job_trace){.count = 0};
}

void leat_worker_trace_done(leat_worker *worker, uint32_t job_id,
                            const leat_engine_job_result *result)
{
    const leat_engine_job *job = worker->running[job_id];
    leat_worker_job_trace *at = &worker->traces[job_id];
    if (at->count == 0)
        return;
    LEAT_ASSERT(job && job->id == job_id);
    add_apply_span(worker, at, job, result);
    end_job(worker, at, job, result);
}

/* ---- items ---- */

void leat_worker_trace_read(leat_worker *worker, leat_item *item)
{
    int64_t *newest = &worker->newest_read[item->record.partition];
    if (!worker->config.tracer)
        return;
    if (item->record.offset > *newest) {
        *newest = item->record.offset;
        return;
    }
    record_trace *trace = trace_of(worker, item);
    if (trace)
        trace->is_again = true;
}

void leat_worker_trace_given_back(leat_worker *worker, leat_item *item)
{
    record_trace *trace = item->trace;
    item->trace = NULL;
    if (!trace->is_running)
        end_lost(worker, trace);
    let_go(trace);
}

void leat_worker_trace_fini(leat_worker *worker)
{
    for (uint32_t i = 0; worker->traces && i < worker->jobs_max; i++)
        end_job(worker, &worker->traces[i], NULL, NULL);
    free(worker->traces);
    free(worker->newest_read);
}
