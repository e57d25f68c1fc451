/*
 * What a worker knows of what stands still, twice a second: as facts, which others carry to the
 * shard (reporter.h), and as lines on the log, the first within two seconds, then one a minute and
 * cause. And dead letters.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "apply/facts.h"
#include "apply/worker_state.h"
#include "base/diag.h"

enum {
    CAUSES_MAX = 16,
    SAY_AFTER_MS = 1000, /* what is over before is nothing to speak of */
    SLOW_MS = 1000,      /* a job that is not answered for so long may wait for somebody */
    UNANSWERED_MS = 5000,
    STUCK_MS = 10000,
    KEY_SHOWN = 96,
    DEAD_SAID_MAX = 100, /* a minute: each is in leat.dead_letters, and in the metrics */
};

/* What facts are made of, and for whom. */
typedef struct account {
    leat_worker *worker;
    uint32_t shard;
    const char *name;
    int64_t now_ms;
    int64_t now_us;
    leat_buf *facts;
} account;

static int64_t wall_of(const account *about, int64_t us)
{
    return about->now_ms - (about->now_us - us) / 1000;
}

/* Whatever the text: one cause is said once a minute, and so many causes at most. */
static bool may_say(const account *about, const char *kind, const char *what, const char *why)
{
    char text[3 * LEAT_NAME_MAX];
    snprintf(text, sizeof text, "%s %s %s %s", about->name, kind, what, why);
    return leat_rate_limit_allows(&about->worker->said, (uint64_t)(about->now_us / 1000), text);
}

/* ---- the record that a fact names ---- */

static leat_slice cut(leat_slice text, size_t size)
{
    return text.size > size ? (leat_slice){text.data, size} : text;
}

static void name_record(leat_fact *fact, const leat_item *item)
{
    if (!item)
        return;
    fact->key = cut(item->record.key, KEY_SHOWN);
    if (!item->route)
        return;
    fact->tenant = cut(leat_route_tenant(item->route, item->canonical_key), KEY_SHOWN);
    fact->table = item->route->table->label;
}

static void record_words(const leat_fact *fact, char ret[LEAT_RECORD_WORDS_SIZE])
{
    snprintf(ret, LEAT_RECORD_WORDS_SIZE, "table=%s key=\"%.*s%s\"%s%.*s",
             fact->table ? fact->table : "(none)", (int)fact->key.size,
             fact->key.size > 0 ? fact->key.data : "", fact->key.size == KEY_SHOWN ? "..." : "",
             fact->tenant.size > 0 ? " tenant=" : "", (int)fact->tenant.size,
             fact->tenant.size > 0 ? fact->tenant.data : "");
}

const char *leat_worker_record_words(const leat_worker *worker, uint32_t table,
                                     const leat_item *item, char ret[LEAT_RECORD_WORDS_SIZE])
{
    leat_fact fact = {.table = leat_worker_table_name(worker, table)};
    name_record(&fact, item);
    record_words(&fact, ret);
    return ret;
}

/* ---- dead letters ---- */

static void end_minute(leat_worker *worker, int64_t now_us)
{
    if (now_us - worker->dead_letters.since_us < LEAT_RATE_LIMIT_MS * INT64_C(1000))
        return;
    if (worker->dead_letters.more > 0)
        leat_warn(
            "worker=%" PRIu32 " %" PRIu32
            " more dead letters within a minute, without a line here: `leat dead list` shows them",
            worker->config.index, worker->dead_letters.more);
    worker->dead_letters.since_us = now_us;
    worker->dead_letters.said = worker->dead_letters.more = 0;
}

void leat_worker_say_dead(leat_worker *worker, const leat_engine_effect *effect)
{
    const leat_engine_job_result *result = effect->result;
    char record[LEAT_RECORD_WORDS_SIZE];
    end_minute(worker, leat_worker_now_us(worker));
    if (worker->dead_letters.said == DEAD_SAID_MAX) {
        worker->dead_letters.more++;
        return;
    }
    worker->dead_letters.said++;
    leat_warn("shard=%s partition=%" PRIu32 " offset=%" PRId64
              " sqlstate=%s is a dead letter: %s (%s; `leat dead show %" PRIu32 " %" PRId64
              "` shows it)",
              worker->config.shards[worker->shard_of[effect->partition]].name, effect->partition,
              effect->offset, *result->sqlstate ? result->sqlstate : "none", result->message,
              leat_worker_record_words(worker, effect->table, effect->payload, record),
              effect->partition, effect->offset);
}

/* ---- what is tried in vain ---- */

static const char *kind_of(const leat_engine_trouble *trouble)
{
    return trouble->halts ? "halted" : trouble->is_guarded ? "table" : "stalled";
}

static const char *others(uint32_t count, char *ret, size_t size)
{
    snprintf(ret, size, "; %" PRIu32 " subpartitions wait for the same reason", count);
    return count > 1 ? ret : "";
}

static void add_trouble(const account *about, const leat_engine_trouble *trouble)
{
    char record[LEAT_RECORD_WORDS_SIZE], more[64], words[LEAT_FACT_WORDS_SIZE];
    leat_fact fact = {.kind = kind_of(trouble),
                      .words = words,
                      .since_ms = wall_of(about, trouble->since_us),
                      .partition = trouble->partition,
                      .subpartition = trouble->subpartition,
                      .offset = trouble->offset,
                      .count = trouble->count,
                      .table = leat_worker_table_name(about->worker, trouble->table),
                      .outcome = leat_engine_outcome_name(trouble->outcome),
                      .sqlstate = trouble->sqlstate,
                      .message = trouble->message};
    name_record(&fact, trouble->payload);
    record_words(&fact, record);
    snprintf(words, sizeof words,
             "partition=%" PRIu32 " subpartition=%" PRIu32 " offset=%" PRId64
             " is stalled by %s sqlstate=%s: %s (%s%s; its later "
             "records wait; tried again with back-off)",
             trouble->partition, trouble->subpartition, trouble->offset,
             trouble->outcome == LEAT_ENGINE_UNKNOWN
                 ? "the end of its session, each time it is written,"
                 : fact.outcome,
             *trouble->sqlstate ? trouble->sqlstate : "none", trouble->message, record,
             others(trouble->count, more, sizeof more));
    leat_facts_add(about->facts, &fact);
    if (!trouble->halts && may_say(about, fact.outcome, fact.table, fact.sqlstate)) /* a halt has a
                                                                                       line of its
                                                                                       own */
        leat_err("shard=%s %s", about->name, words);
}

/* True: some of it met a lock. */
static bool add_troubles(const account *about)
{
    bool is_contended = false;
    leat_engine_trouble troubles[CAUSES_MAX];
    uint32_t count =
        leat_engine_troubles(about->worker->engine, about->shard, troubles, CAUSES_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (about->now_us - troubles[i].since_us < SAY_AFTER_MS * 1000)
            continue;
        add_trouble(about, &troubles[i]);
        is_contended = is_contended || troubles[i].outcome == LEAT_ENGINE_CONTENTION;
    }
    return is_contended;
}

/* ---- what is not answered ---- */

static const char *job_word(leat_engine_job_kind kind)
{
    static const char *const words[] = {[LEAT_ENGINE_JOB_NONE] = "job",
                                        [LEAT_ENGINE_JOB_CLAIM] = "claim",
                                        [LEAT_ENGINE_JOB_BATCH] = "batch",
                                        [LEAT_ENGINE_JOB_COMPACT] = "compaction"};
    return words[kind];
}

static void add_unanswered(const account *about, const leat_engine_flight_view *flight)
{
    char record[LEAT_RECORD_WORDS_SIZE], words[LEAT_FACT_WORDS_SIZE];
    leat_fact fact = {.kind = "unanswered",
                      .words = words,
                      .since_ms = wall_of(about, flight->since_us),
                      .partition = flight->partition,
                      .subpartition = -1,
                      .offset = flight->offset};
    name_record(&fact, flight->payload);
    record_words(&fact, record);
    snprintf(words, sizeof words,
             "partition=%" PRIu32 " offset=%" PRId64 " a %s is not answered by the database%s%s%s",
             flight->partition, flight->offset, job_word(flight->kind),
             flight->payload ? " (its first record: " : "", flight->payload ? record : "",
             flight->payload ? ")" : "");
    if (about->now_us - flight->since_us >= UNANSWERED_MS * 1000)
        leat_facts_add(about->facts, &fact);
    if (may_say(about, fact.kind, "", ""))
        leat_warn("shard=%s %s", about->name, words);
}

/* ---- partitions ---- */

static const char *state_words(const leat_engine_partition_view *view)
{
    static const char *const words[] = {
        [LEAT_ENGINE_UNASSIGNED] = "not assigned",
        [LEAT_ENGINE_WAITING] = "waiting for a connection to the shard",
        [LEAT_ENGINE_CLAIMING] = "being claimed",
        [LEAT_ENGINE_READING] = "reading",
        [LEAT_ENGINE_FENCED_OFF] = "claimed by another worker",
        [LEAT_ENGINE_REVOKING] = "being given back",
        [LEAT_ENGINE_STOPPED] = "stopped"};
    return view->full ? "paused, because what it may hold in memory is full" : words[view->state];
}

/* The first is what the process is unready for. */
static void add_stopped(const account *about, uint32_t partition,
                        const leat_engine_partition_view *view, char *first)
{
    char words[LEAT_FACT_WORDS_SIZE];
    snprintf(words, sizeof words, "partition=%" PRIu32 " has stopped: %s", partition, view->reason);
    leat_fact fact = {.kind = "stopped",
                      .words = words,
                      .since_ms = about->worker->low_since_ms[partition],
                      .partition = partition,
                      .subpartition = -1,
                      .offset = view->low + 1,
                      .message = view->reason};
    leat_facts_add(about->facts, &fact);
    if (!*first)
        memcpy(first, words, sizeof words);
}

/* Since when the low water has not moved while there is something above it; 0: it moves, or has
 * nothing to move for. */
static int64_t stands_since(leat_worker *worker, uint32_t partition,
                            const leat_engine_partition_view *view, int64_t now_ms)
{
    bool is_behind = view->state == LEAT_ENGINE_STOPPED || view->oldest_ms > 0 ||
                     leat_log_reader_end(worker->reader, partition) > view->low + 1;
    if (view->state == LEAT_ENGINE_UNASSIGNED || !is_behind)
        worker->low_since_ms[partition] = 0;
    else if (worker->low_since_ms[partition] == 0 || worker->low_seen[partition] != view->low)
        worker->low_since_ms[partition] = now_ms;
    worker->low_seen[partition] = view->low;
    return worker->low_since_ms[partition];
}

/* Partitions of one shard that stand, of one kind: the one that has stood for longest, and how
 * many. */
typedef struct standing {
    uint32_t count;
    uint32_t partition;
    int64_t since_ms;
    leat_engine_partition_view view;
} standing;

static void note_standing(standing *at, uint32_t partition, int64_t since_ms,
                          const leat_engine_partition_view *view)
{
    if (at->count++ > 0 && at->since_ms <= since_ms)
        return;
    at->partition = partition;
    at->since_ms = since_ms;
    at->view = *view;
}

static void add_standing(const account *about, const char *kind, const standing *at)
{
    if (at->count == 0)
        return;
    char words[LEAT_FACT_WORDS_SIZE];
    snprintf(words, sizeof words,
             "partition=%" PRIu32 " offset=%" PRId64
             " stands: nothing is applied above its low water; it is %s, %" PRIu32
             " records held, %" PRIu32 " of them under way (%" PRIu32 " partitions stand like it)",
             at->partition, at->view.low + 1, state_words(&at->view), at->view.records,
             at->view.in_flight, at->count);
    leat_fact fact = {.kind = kind,
                      .words = words,
                      .since_ms = at->since_ms,
                      .partition = at->partition,
                      .subpartition = -1,
                      .offset = at->view.low + 1,
                      .count = at->count};
    leat_facts_add(about->facts, &fact);
    if (may_say(about, kind, "", ""))
        leat_warn("shard=%s %s", about->name, words);
}

static void add_partitions(const account *about, bool is_unanswered, leat_buf *partitions,
                           char *stopped)
{
    leat_worker *worker = about->worker;
    standing full = {0}, stuck = {0};
    for (uint32_t partition = 0; partition < worker->partition_count; partition++) {
        leat_engine_partition_view view;
        if (worker->shard_of[partition] != about->shard)
            continue;
        leat_engine_partition(worker->engine, partition, &view);
        int64_t since_ms = stands_since(worker, partition, &view, about->now_ms);
        if (view.state == LEAT_ENGINE_UNASSIGNED)
            continue;
        leat_buf_printf(partitions, "%s%" PRIu32, partitions->size > 0 ? "," : "", partition);
        if (view.state == LEAT_ENGINE_STOPPED)
            add_stopped(about, partition, &view, stopped);
        else if (since_ms > 0 && about->now_ms - since_ms >= STUCK_MS && view.full)
            note_standing(&full, partition, since_ms, &view);
        else if (since_ms > 0 && about->now_ms - since_ms >= STUCK_MS && view.stalled == 0 &&
                 !is_unanswered)
            note_standing(&stuck, partition, since_ms, &view);
    }
    add_standing(about, "full", &full);
    add_standing(about, "stuck", &stuck);
}

/* ---- the log ---- */

static void add_log(const account *about)
{
    leat_log_health health;
    leat_worker_log(about->worker, &health);
    if (health.since_ms == 0)
        return;
    leat_fact fact = {.kind = "log",
                      .words = health.why,
                      .since_ms = health.since_ms,
                      .partition = -1,
                      .subpartition = -1,
                      .offset = -1};
    leat_facts_add(about->facts, &fact);
}

/* ---- all of it ---- */

static void account_for(leat_worker *worker, uint32_t shard)
{
    leat_worker_shard_state *state = &worker->shards[shard];
    leat_buf facts = {0}, partitions = {0};
    char stopped[LEAT_FACT_WORDS_SIZE] = "";
    account about = {.worker = worker,
                     .shard = shard,
                     .name = worker->config.shards[shard].name,
                     .now_ms = leat_wall_ms(),
                     .now_us = leat_worker_now_us(worker),
                     .facts = &facts};
    leat_engine_flight_view flight;
    leat_engine_flight(worker->engine, shard, &flight);
    bool is_slow = flight.kind != LEAT_ENGINE_JOB_NONE &&
                   about.now_us - flight.since_us >= SLOW_MS * 1000;
    add_log(&about);
    bool is_contended = add_troubles(&about);
    if (is_slow && about.now_us - flight.since_us >= 2 * SLOW_MS * 1000)
        add_unanswered(&about, &flight);
    add_partitions(&about, is_slow, &partitions, stopped);
    leat_worker_waits waits = is_slow        ? LEAT_WAITS_NOW
                              : is_contended ? LEAT_WAITS_BETWEEN
                                             : LEAT_WAITS_NOT;
    pthread_mutex_lock(&worker->told_lock);
    leat_buf old_facts = state->told.facts, old_partitions = state->told.partitions;
    state->told = (leat_worker_told){.facts = facts, .partitions = partitions, .waits = waits};
    memcpy(state->told.stopped, stopped, sizeof stopped);
    pthread_mutex_unlock(&worker->told_lock);
    leat_buf_free(&old_facts);
    leat_buf_free(&old_partitions);
}

void leat_worker_account(leat_worker *worker)
{
    end_minute(worker, leat_worker_now_us(worker));
    for (uint32_t shard = 0; shard < worker->shard_count; shard++)
        account_for(worker, shard);
}

/* ---- any thread ---- */

static void append(leat_buf *out, const leat_buf *from, size_t max)
{
    if (from->size == 0 || out->size + from->size + 1 > max)
        return;
    if (out->size > 0)
        leat_buf_byte(out, ',');
    leat_buf_append(out, from->data, from->size);
}

leat_worker_waits leat_worker_tell(leat_worker *worker, uint32_t shard, leat_buf *partitions,
                                   leat_buf *facts)
{
    pthread_mutex_lock(&worker->told_lock);
    const leat_worker_told *told = &worker->shards[shard].told;
    append(partitions, &told->partitions, SIZE_MAX);
    append(facts, &told->facts, LEAT_FACTS_BYTES_MAX);
    leat_worker_waits waits = told->waits;
    pthread_mutex_unlock(&worker->told_lock);
    return waits;
}

bool leat_worker_stopped(leat_worker *worker, leat_buf *why)
{
    bool found = false;
    pthread_mutex_lock(&worker->told_lock);
    for (uint32_t shard = 0; shard < worker->shard_count && !found; shard++) {
        found = *worker->shards[shard].told.stopped;
        leat_buf_text(why, worker->shards[shard].told.stopped);
    }
    pthread_mutex_unlock(&worker->told_lock);
    return found;
}
