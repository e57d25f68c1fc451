/*
 * worker_facts.c - finds, twice a second, what does not move. It becomes a fact, which the reporter
 * writes to the shard (reporter.h), and a line of the log: the first within two seconds, then one a
 * minute for each cause. One lock or one missing column may hold up thousands of keys, so there is
 * one fact for each cause, with an example and a count. A fact and its line have the same text, so
 * that `leat status` and the log can be searched for the same words.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "apply/facts.h"
#include "apply/worker_state.h"
#include "base/diag.h"

enum {
    CAUSES_MAX = 16,
    LOG_AFTER_MS = 1000, /* a trouble that has ended by then is not worth a line */
    SLOW_MS = 1000,      /* a job without an answer for this long may wait for another session */
    UNANSWERED_MS = 3000,
    SLOW_TIMES = 4, /* as long as usual, and at least */
    SLOW_BATCH_MS = 20,
    STUCK_MS = 10000,
    KEY_SHOWN = LEAT_HEAD_TEXT_MAX,
};

/* The state that a shard's report is made from. */
typedef struct report_draft {
    leat_worker *worker;
    uint32_t shard;
    const char *name;
    int64_t now_ms;
    int64_t now_us;
    leat_facts *facts;
} report_draft;

static int64_t wall_of(const report_draft *draft, int64_t us)
{
    return draft->now_ms - (draft->now_us - us) / 1000;
}

/* Logs a cause once a minute, whatever the rest of its text, and a bounded number of causes. */
static bool may_log(const report_draft *draft, const char *kind, const char *table,
                    const char *sqlstate)
{
    char cause[3 * LEAT_NAME_MAX];
    snprintf(cause, sizeof cause, "%s %s %s %s", draft->name, kind, table, sqlstate);
    return leat_rate_limit_allows(&draft->worker->rate_limit, (uint64_t)(draft->now_us / 1000),
                                  cause);
}

/* The text of a fact: a message, then keys; its line of the log has the shard between them. */
typedef struct fact_text {
    const char *message;
    char keys[LEAT_FACT_TEXT_SIZE - 128];
    char both[LEAT_FACT_TEXT_SIZE];
} fact_text;

LEAT_PRINTF(3, 4)
static const char *put_text(fact_text *text, const char *message, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(text->keys, sizeof text->keys, format, args);
    va_end(args);
    text->message = message;
    snprintf(text->both, sizeof text->both, "%s %s", message, text->keys);
    return text->both;
}

/* ---- the record that a fact names ---- */

static leat_slice shorten(leat_slice text, size_t size)
{
    return text.size > size ? (leat_slice){text.data, size} : text;
}

static void set_record(leat_fact *fact, const leat_item *item)
{
    LEAT_ASSERT(fact->key.size == 0);
    if (!item)
        return;
    fact->key = shorten(item->record.key, KEY_SHOWN);
    if (!item->route)
        return;
    fact->tenant = shorten(leat_item_tenant(item), KEY_SHOWN);
    fact->table = item->route->table->label;
}

static void describe_record(const leat_fact *fact, char ret[LEAT_RECORD_TEXT_SIZE])
{
    snprintf(ret, LEAT_RECORD_TEXT_SIZE, "table=%s key=\"%.*s%s\"%s%.*s",
             fact->table ? fact->table : "(none)", (int)fact->key.size,
             fact->key.size > 0 ? fact->key.data : "", fact->key.size == KEY_SHOWN ? "..." : "",
             fact->tenant.size > 0 ? " tenant=" : "", (int)fact->tenant.size,
             fact->tenant.size > 0 ? fact->tenant.data : "");
}

const char *leat_worker_describe_record(const leat_worker *worker, uint32_t table,
                                        const leat_item *item, char ret[LEAT_RECORD_TEXT_SIZE])
{
    leat_fact fact = {.table = leat_worker_table_name(worker, table)};
    set_record(&fact, item);
    describe_record(&fact, ret);
    return ret;
}

/* ---- records that are tried again ---- */

static const char *kind_of(const leat_engine_trouble *trouble)
{
    return trouble->halts        ? "halted"
           : trouble->is_guarded ? "table"
           : trouble->no_room    ? "held_full"
                                 : "stalled";
}

/* The record may be parked, and not in memory now. */
static void remember_head(leat_worker *worker, const leat_engine_trouble *trouble, leat_fact *fact)
{
    if (trouble->payload) {
        leat_heads_note(&worker->heads, trouble->partition, trouble->subpartition, trouble->offset,
                        fact->key, fact->tenant);
        return;
    }
    const leat_known_head *head =
        leat_heads_find(&worker->heads, trouble->partition, trouble->subpartition, trouble->offset);
    if (!head)
        return;
    fact->key = (leat_slice){head->key, head->key_size};
    fact->tenant = (leat_slice){head->tenant, head->tenant_size};
}

/* Who had the partition before may have tried the record, too, and nobody knows since when: then it
 * has been so at least since the first failure that is known. The age of what is parked does not
 * tell: it may have waited for its turn for long before it failed. */
static void set_since(const report_draft *draft, const leat_engine_trouble *trouble,
                      leat_fact *fact)
{
    fact->since_ms = wall_of(draft, trouble->since_us);
    fact->is_least = trouble->since_us >= trouble->claimed_us && trouble->accepted_ms > 0 &&
                     trouble->accepted_ms < wall_of(draft, trouble->claimed_us);
}

/* Why the record is tried again. */
static void describe_cause(const leat_engine_trouble *trouble, const char *outcome, char *ret,
                           size_t size)
{
    if (trouble->no_room)
        snprintf(ret, size,
                 "no room for more of held rows: a record waits instead, tried again "
                 "with back-off");
    else
        snprintf(ret, size, "stalled by %s, tried again with back-off",
                 trouble->outcome == LEAT_ENGINE_UNKNOWN
                     ? "the end of its session each time it is written"
                     : outcome);
}

static void add_trouble(const report_draft *draft, const leat_engine_trouble *trouble)
{
    LEAT_ASSERT(trouble->count > 0 && trouble->partition < draft->worker->partition_count);
    char record[LEAT_RECORD_TEXT_SIZE], message[128], parked[32] = "", room[160];
    fact_text text;
    leat_fact fact = {.kind = kind_of(trouble),
                      .partition = trouble->partition,
                      .subpartition = trouble->subpartition,
                      .offset = trouble->offset,
                      .count = trouble->count,
                      .table = leat_worker_table_name(draft->worker, trouble->table),
                      .outcome = leat_engine_outcome_name(trouble->outcome),
                      .sqlstate = trouble->sqlstate,
                      .message = trouble->message};
    set_since(draft, trouble, &fact);
    set_record(&fact, trouble->payload);
    remember_head(draft->worker, trouble, &fact);
    describe_record(&fact, record);
    if (trouble->parked > 0)
        snprintf(parked, sizeof parked, " parked=%" PRIu64, trouble->parked);
    leat_worker_describe_room(draft->worker, trouble, room, sizeof room);
    describe_cause(trouble, fact.outcome, message, sizeof message);
    fact.text = put_text(&text, message,
                         "partition=%" PRIu32 " subpartition=%" PRIu32 " offset=%" PRId64
                         " %s sqlstate=%s%s%s subpartitions=%" PRIu32 " reason=\"%s\"",
                         trouble->partition, trouble->subpartition, trouble->offset, record,
                         *trouble->sqlstate ? trouble->sqlstate : "none", parked, room,
                         trouble->count, trouble->message);
    leat_facts_add(draft->facts, &fact);
    if (trouble->halts) /* a halt has a line of its own: pump.c */
        return;
    if (may_log(draft, trouble->no_room ? fact.kind : fact.outcome, fact.table, fact.sqlstate))
        leat_err("%s shard=%s %s", text.message, draft->name, text.keys);
}

/* True: some of it met a lock. */
static bool add_troubles(const report_draft *draft)
{
    bool is_contended = false;
    uint64_t full = 0;
    leat_engine_trouble troubles[CAUSES_MAX];
    uint32_t count =
        leat_engine_troubles(draft->worker->engine, draft->shard, troubles, CAUSES_MAX);
    LEAT_ASSERT(count <= CAUSES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        full += troubles[i].no_room ? troubles[i].count : 0;
        if (draft->now_us - troubles[i].since_us < LOG_AFTER_MS * 1000)
            continue;
        add_trouble(draft, &troubles[i]);
        is_contended = is_contended || troubles[i].outcome == LEAT_ENGINE_CONTENTION;
    }
    leat_worker_held_full(draft->worker, draft->shard, full);
    return is_contended;
}

/* ---- jobs without an answer ---- */

static const char *job_name(leat_engine_job_kind kind)
{
    static const char *const names[] = {
        [LEAT_ENGINE_JOB_NONE] = "job",    [LEAT_ENGINE_JOB_CLAIM] = "claim",
        [LEAT_ENGINE_JOB_BATCH] = "batch", [LEAT_ENGINE_JOB_COMPACT] = "compaction",
        [LEAT_ENGINE_JOB_PARK] = "park",   [LEAT_ENGINE_JOB_LOAD] = "load"};
    LEAT_ASSERT((size_t)kind < sizeof names / sizeof *names);
    return names[kind];
}

static void add_unanswered(const report_draft *draft, const leat_engine_flight_view *flight)
{
    LEAT_ASSERT(flight->kind != LEAT_ENGINE_JOB_NONE && flight->jobs > 0);
    char record[LEAT_RECORD_TEXT_SIZE], message[64];
    fact_text text;
    leat_fact fact = {.kind = "unanswered",
                      .since_ms = wall_of(draft, flight->since_us),
                      .partition = flight->partition,
                      .subpartition = -1,
                      .offset = flight->offset};
    set_record(&fact, flight->payload);
    describe_record(&fact, record);
    snprintf(message, sizeof message, "%s not answered by the database", job_name(flight->kind));
    fact.text = put_text(&text, message, "partition=%" PRIu32 " offset=%" PRId64 "%s%s",
                         flight->partition, flight->offset, flight->payload ? " " : "",
                         flight->payload ? record : "");
    if (draft->now_us - flight->since_us >= UNANSWERED_MS * 1000)
        leat_facts_add(draft->facts, &fact);
    if (may_log(draft, fact.kind, "", ""))
        leat_warn("%s shard=%s %s", text.message, draft->name, text.keys);
}

/* ---- the shard ---- */

static void add_of_shard(const report_draft *draft, leat_fact *fact, const fact_text *text)
{
    fact->partition = fact->subpartition = fact->offset = -1;
    leat_facts_add(draft->facts, fact);
    if (may_log(draft, fact->kind, "", ""))
        leat_warn("%s shard=%s %s", text->message, draft->name, text->keys);
}

/* Others' short transactions: no fact, since it is over soon, or the record that waits is one. */
static void log_locks(const report_draft *draft, uint64_t batches)
{
    leat_worker_shard_state *state = &draft->worker->shards[draft->shard];
    if (batches != state->split_by_locks && may_log(draft, "locks", "", ""))
        leat_info(
            "batches met locked rows, so their subpartitions go on alone shard=%s total=%" PRIu64,
            draft->name, batches);
    state->split_by_locks = batches;
}

/* It answers, but slowly, or with nothing but outages. */
static void add_shard(const report_draft *draft)
{
    leat_worker_shard_state *state = &draft->worker->shards[draft->shard];
    leat_engine_shard_view view;
    leat_engine_shard(draft->worker->engine, draft->shard, &view);
    log_locks(draft, view.split_by_locks);
    bool is_slow = view.slowness >= SLOW_TIMES && view.batch_us >= SLOW_BATCH_MS * 1000;
    if (!is_slow)
        state->slow_since_ms = 0;
    else if (state->slow_since_ms == 0)
        state->slow_since_ms = draft->now_ms;
    fact_text text;
    if (is_slow && draft->now_ms - state->slow_since_ms >= LOG_AFTER_MS) {
        leat_fact fact = {.kind = "slow", .since_ms = state->slow_since_ms};
        fact.text = put_text(&text, "batches take much longer than usual",
                             "batch_ms=%.0f usual_ms=%.0f", view.batch_us / 1000,
                             view.batch_us / view.slowness / 1000);
        add_of_shard(draft, &fact, &text);
    }
    if (view.is_open && draft->now_us - view.open_us >= LOG_AFTER_MS * 1000) {
        leat_fact fact = {.kind = "outage", .since_ms = wall_of(draft, view.open_us)};
        fact.text = put_text(&text, "outage of the database: one job is tried at a time",
                             "waiting=%u", view.tenants);
        add_of_shard(draft, &fact, &text);
    }
}

/* ---- partitions ---- */

const char *leat_worker_partition_state(const leat_engine_partition_view *view)
{
    static const char *const names[] = {
        [LEAT_ENGINE_UNASSIGNED] = "not assigned",
        [LEAT_ENGINE_WAITING] = "waiting for a connection to the shard",
        [LEAT_ENGINE_CLAIMING] = "being claimed",
        [LEAT_ENGINE_READING] = "reading",
        [LEAT_ENGINE_FENCED_OFF] = "claimed by another worker",
        [LEAT_ENGINE_REVOKING] = "being given back",
        [LEAT_ENGINE_STOPPED] = "stopped"};
    return view->parked_full ? "paused, because its share of parked_max is used up"
           : view->full      ? "paused, because what it may hold in memory is full"
                             : names[view->state];
}

/* The first one makes the process unready. */
static void add_stopped(const report_draft *draft, uint32_t partition,
                        const leat_engine_partition_view *view, char *first)
{
    LEAT_ASSERT(view->state == LEAT_ENGINE_STOPPED);
    fact_text text;
    leat_fact fact = {.kind = "stopped",
                      .text = put_text(&text, "partition stopped",
                                       "partition=%" PRIu32 " reason=\"%s\"", partition,
                                       view->reason),
                      .since_ms = draft->worker->low_since_ms[partition],
                      .partition = partition,
                      .subpartition = -1,
                      .offset = view->low + 1,
                      .message = view->reason};
    leat_facts_add(draft->facts, &fact);
    if (!*first)
        memcpy(first, text.both, sizeof text.both);
}

/* The time since which the low water has not moved although there are records above it; 0: it
 * moves, or there are none. */
static int64_t stuck_since(leat_worker *worker, uint32_t partition,
                           const leat_engine_partition_view *view, int64_t now_ms)
{
    LEAT_ASSERT(partition < worker->partition_count);
    bool is_behind = view->state == LEAT_ENGINE_STOPPED || view->oldest_ms > 0 ||
                     leat_log_reader_end(worker->reader, partition) > view->low + 1;
    if (view->state == LEAT_ENGINE_UNASSIGNED || !is_behind)
        worker->low_since_ms[partition] = 0;
    else if (worker->low_since_ms[partition] == 0 || worker->low_seen[partition] != view->low)
        worker->low_since_ms[partition] = now_ms;
    worker->low_seen[partition] = view->low;
    return worker->low_since_ms[partition];
}

/* Partitions of one shard that do not move, of one kind: how many, and the one that has not moved
 * for longest. */
typedef struct stuck_partitions {
    uint32_t count;
    uint32_t partition;
    int64_t since_ms;
    leat_engine_partition_view view;
} stuck_partitions;

static void count_stuck(stuck_partitions *at, uint32_t partition, int64_t since_ms,
                        const leat_engine_partition_view *view)
{
    LEAT_ASSERT(since_ms > 0);
    if (at->count++ > 0 && at->since_ms <= since_ms)
        return;
    at->partition = partition;
    at->since_ms = since_ms;
    at->view = *view;
}

static void add_stuck(const report_draft *draft, const char *kind, const stuck_partitions *at)
{
    if (at->count == 0)
        return;
    fact_text text;
    leat_fact fact = {
        .kind = kind,
        .text = put_text(&text, "nothing is applied above the low water",
                         "partition=%" PRIu32 " offset=%" PRId64 " state=\"%s\" records=%" PRIu32
                         " in_flight=%" PRIu32 " partitions=%" PRIu32,
                         at->partition, at->view.low + 1, leat_worker_partition_state(&at->view),
                         at->view.records, at->view.in_flight, at->count),
        .since_ms = at->since_ms,
        .partition = at->partition,
        .subpartition = -1,
        .offset = at->view.low + 1,
        .count = at->count};
    leat_facts_add(draft->facts, &fact);
    if (may_log(draft, kind, "", ""))
        leat_warn("%s shard=%s %s", text.message, draft->name, text.keys);
}

static void add_partitions(const report_draft *draft, bool is_unanswered, leat_buf *partitions,
                           char *stopped)
{
    leat_worker *worker = draft->worker;
    stuck_partitions full = {0}, stuck = {0};
    for (uint32_t partition = 0; partition < worker->partition_count; partition++) {
        leat_engine_partition_view view;
        if (worker->shard_of[partition] != draft->shard)
            continue;
        leat_engine_partition(worker->engine, partition, &view);
        int64_t since_ms = stuck_since(worker, partition, &view, draft->now_ms);
        if (view.state == LEAT_ENGINE_UNASSIGNED)
            continue;
        leat_buf_printf(partitions, "%s%" PRIu32, partitions->size > 0 ? "," : "", partition);
        if (view.state == LEAT_ENGINE_STOPPED)
            add_stopped(draft, partition, &view, stopped);
        else if (since_ms > 0 && draft->now_ms - since_ms >= STUCK_MS && view.full)
            count_stuck(&full, partition, since_ms, &view);
        else if (since_ms > 0 && draft->now_ms - since_ms >= STUCK_MS && view.stalled == 0 &&
                 !is_unanswered)
            count_stuck(&stuck, partition, since_ms, &view);
    }
    add_stuck(draft, "full", &full);
    add_stuck(draft, "stuck", &stuck);
}

static void add_parked(const report_draft *draft)
{
    leat_fact fact;
    char text[LEAT_FACT_TEXT_SIZE];
    if (leat_worker_parked_fact(draft->worker, draft->shard, &fact, text))
        leat_facts_add(draft->facts, &fact);
    if (leat_worker_parked_size_fact(draft->worker, draft->shard, &fact, text))
        leat_facts_add(draft->facts, &fact);
}

/* ---- the log ---- */

static void add_log(const report_draft *draft)
{
    leat_log_health health;
    leat_worker_log(draft->worker, &health);
    if (health.since_ms == 0)
        return;
    leat_fact fact = {.kind = "log",
                      .text = health.why,
                      .since_ms = health.since_ms,
                      .partition = -1,
                      .subpartition = -1,
                      .offset = -1};
    leat_facts_add(draft->facts, &fact);
}

/* ---- all of it ---- */

static void update_report(leat_worker *worker, uint32_t shard)
{
    leat_worker_shard_state *state = &worker->shards[shard];
    leat_facts facts = {0};
    leat_buf partitions = {0};
    char stopped[LEAT_FACT_TEXT_SIZE] = "";
    report_draft draft = {.worker = worker,
                          .shard = shard,
                          .name = worker->config.shards[shard].name,
                          .now_ms = leat_wall_ms(),
                          .now_us = leat_worker_now_us(worker),
                          .facts = &facts};
    leat_engine_flight_view flight;
    leat_engine_flight(worker->engine, shard, &flight);
    bool is_slow = flight.kind != LEAT_ENGINE_JOB_NONE &&
                   draft.now_us - flight.since_us >= SLOW_MS * 1000;
    leat_worker_flood_facts(worker, shard, &facts); /* first: edges go by them */
    add_log(&draft);
    bool is_contended = add_troubles(&draft);
    if (is_slow && draft.now_us - flight.since_us >= 2 * SLOW_MS * 1000)
        add_unanswered(&draft, &flight);
    add_shard(&draft);
    add_partitions(&draft, is_slow, &partitions, stopped);
    add_parked(&draft);
    leat_worker_waits waits = is_slow        ? LEAT_WAITS_NOW
                              : is_contended ? LEAT_WAITS_BETWEEN
                                             : LEAT_WAITS_NOT;
    pthread_mutex_lock(&worker->report_lock);
    leat_facts old_facts = state->report.facts;
    leat_buf old_partitions = state->report.partitions;
    state->report = (leat_worker_report){.facts = facts,
                                         .partitions = partitions,
                                         .waits = waits,
                                         .drain = state->is_held ? leat_drain_of(&state->late)
                                                                 : (leat_drain){0}};
    memcpy(state->report.stopped, stopped, sizeof stopped);
    pthread_mutex_unlock(&worker->report_lock);
    leat_facts_free(&old_facts);
    leat_buf_free(&old_partitions);
}

void leat_worker_update_reports(leat_worker *worker)
{
    leat_worker_end_minute(worker, leat_worker_now_us(worker));
    for (uint32_t shard = 0; shard < worker->shard_count; shard++)
        update_report(worker, shard);
}
