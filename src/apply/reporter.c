/*
 * reporter.c - a thread for each shard, since its calls block for as long as a shard lets them: a
 * shard that is down must not delay the report to another. Four times a second it gathers the
 * workers' reports, which is cheap, and sends the result only when it is due or has changed.
 *
 * The controls are read here, over a connection that is there anyway, and not with the tables: an
 * operator waits for them, and a shard's tables may take long to read. Held keys are counted here
 * for the same reason.
 *
 * The query for the sessions that leat's sessions wait for goes to the server's lock manager and
 * slows it down. So it runs at most once a second, and only while a job has waited for its answer
 * for a second or more.
 */
#include "apply/reporter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "apply/facts.h"
#include "apply/report_text.h"
#include "base/diag.h"
#include "base/rate_limit.h"
#include "base/states.h"
#include "base/thread.h"
#include "sink/key_rotation.h"

enum {
    GATHER_EVERY_MS = 250,
    WAITS_EVERY_MS = 1000,
    CONTROLS_EVERY_MS = 1000,
    PARKED_SIZE_EVERY_MS = 5000,
    HELD_EVERY_MS = 2000,
    HELD_REST_TIMES = 20, /* so many times as long as it took: it reads all that is kept */
    CHANGED_MS = 2000,    /* between two rows, at least */
    CULPRITS_BYTES_MAX = 15 * 1024, /* with the rest less than LEAT_REPORT_BYTES_MAX */
    CULPRITS_ROWS = 3,              /* of each kind */
    WAITS_BYTES = 3 * 1024,         /* of the facts: who is waited for is not left out for them */
    RETRY_MS = 2000,                /* after a failure: a server that crashed has lost the row */
    REMEMBER_MS = 15000, /* a wait is reported for this long after it was seen: a job that met a
                            lock pauses between two attempts */
};

/* The row of this process in the shard's leat.workers. */
typedef enum row_state {
    ROW_NONE,    /* never sent */
    ROW_SENT,    /* as far as this process knows, it is there */
    ROW_UNKNOWN, /* the last attempt failed */
    ROW_STATES
} row_state;

/* A row that is there is sent again and again, and each time it may fail. */
static const unsigned may_follow[ROW_STATES] = {
    [ROW_NONE] = LEAT_TO(ROW_SENT) | LEAT_TO(ROW_UNKNOWN),
    [ROW_SENT] = LEAT_TO(ROW_SENT) | LEAT_TO(ROW_UNKNOWN),
    [ROW_UNKNOWN] = LEAT_TO(ROW_SENT) | LEAT_TO(ROW_UNKNOWN),
};

typedef struct reporter_shard {
    leat_reporter *reporter;
    uint32_t shard;
    pthread_t thread;
    leat_shard_reporter *shard_reporter;
    row_state row;
    int64_t tried_ms; /* the last attempt to send, monotonic */
    leat_buf sent;    /* the report sent last, without `drain` and `culprits`: they change all the
                         time */
    leat_culprits culprits; /* while they are gathered: large for a stack frame */
    leat_shard_waits waits;
    int64_t waits_ms;       /* when they were seen, monotonic */
    int64_t waits_tried_ms; /* when they were last asked for, monotonic */
    int64_t waits_since_ms; /* since when they wait, wall clock */
    int64_t controls_ms;    /* the controls are not read before, monotonic; likewise the next */
    int64_t parked_size_ms;
    int64_t held_ms;
    leat_shard_held_count *held; /* [partition_count]: while it is counted; owned */
    leat_key_rotation rotation;
    leat_rate_limit rate_limit;
} reporter_shard;

struct leat_reporter {
    leat_reporter_config config;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool is_ending; /* under the lock */
    char instance[40];
    char host[64];
    char session_name[LEAT_SESSION_NAME_SIZE];
    int64_t started_ms;
    uint32_t thread_count;
    reporter_shard *shards;
};

static int64_t mono_ms(void)
{
    return leat_mono_us() / 1000;
}

/* ---- what leat's sessions wait for ---- */

static const char *wait_kind(const leat_shard_wait *wait)
{
    return wait->is_commit ? "commit" : "lock";
}

static void log_waits(reporter_shard *at)
{
    char reason[LEAT_WAIT_TEXT_SIZE], cause[64];
    for (uint32_t i = 0; i < at->waits.count; i++) {
        const leat_shard_wait *wait = &at->waits.waits[i];
        snprintf(cause, sizeof cause, "%s %" PRId64, wait_kind(wait),
                 wait->is_commit ? 0 : wait->holder_pid);
        if (leat_rate_limit_allows(&at->rate_limit, (uint64_t)mono_ms(), cause))
            leat_err("%s shard=%s reason=\"%s\"",
                     wait->is_commit ? "commit waits for a standby" : "session waits for a lock",
                     at->reporter->config.shards[at->shard].name,
                     leat_shard_describe_wait(wait, reason));
    }
}

static void read_waits(reporter_shard *at)
{
    leat_shard_waits found;
    leat_error error;
    if (mono_ms() - at->waits_tried_ms < WAITS_EVERY_MS)
        return;
    at->waits_tried_ms = mono_ms();
    if (leat_shard_reporter_read_waits(at->shard_reporter, at->reporter->session_name, &found,
                                       &error) != 0 ||
        found.count == 0)
        return;
    at->waits = found;
    at->waits_ms = mono_ms();
    at->waits_since_ms = leat_wall_ms() - found.waits[0].waited_ms;
    log_waits(at);
}

/* `waits` may be stale, for up to REMEMBER_MS. */
static void add_waits(reporter_shard *at, leat_worker_waits waits, leat_facts *facts)
{
    if (waits == LEAT_WAITS_NOT || mono_ms() - at->waits_ms > REMEMBER_MS)
        at->waits.count = 0;
    for (uint32_t i = 0; i < at->waits.count; i++) {
        char text[LEAT_WAIT_TEXT_SIZE];
        leat_fact fact = {.kind = wait_kind(&at->waits.waits[i]),
                          .text = leat_shard_describe_wait(&at->waits.waits[i], text),
                          .since_ms = at->waits_since_ms,
                          .partition = -1,
                          .subpartition = -1,
                          .offset = -1};
        leat_facts_add(facts, &fact);
    }
}

/* ---- controls ---- */

/* An old set is better than none: each of its members ends by itself. */
static void read_controls(reporter_shard *at)
{
    const leat_reporter_config *config = &at->reporter->config;
    leat_control_set *set;
    leat_error error;
    int64_t read_us = leat_mono_us();
    if (!config->controls || mono_ms() < at->controls_ms)
        return;
    bool is_read = leat_shard_reporter_read_controls(at->shard_reporter, &set, &error) == 0;
    at->controls_ms = is_read ? read_us / 1000 + CONTROLS_EVERY_MS : mono_ms() + RETRY_MS;
    if (is_read)
        leat_controls_publish(config->controls, at->shard, set, read_us);
    else
        leat_debug("controls not read shard=%s reason=\"%s\"", config->shards[at->shard].name,
                   error.text);
}

/* ---- the table of parked records ---- */

/* One that is not known any longer stays as it was. */
static void read_parked_size(reporter_shard *at)
{
    const leat_reporter_config *config = &at->reporter->config;
    uint64_t bytes;
    leat_error error;
    if (config->shards[at->shard].parked_max == 0 || mono_ms() < at->parked_size_ms)
        return;
    at->parked_size_ms = mono_ms() + PARKED_SIZE_EVERY_MS;
    int status = leat_shard_reporter_read_parked_size(at->shard_reporter, &bytes, &error);
    for (uint32_t i = 0; status == 0 && i < config->worker_count; i++)
        leat_worker_parked_size(config->workers[i], at->shard, bytes);
    if (status < 0)
        leat_debug("size of leat.parked not read shard=%s reason=\"%s\"",
                   config->shards[at->shard].name, error.text);
}

/* ---- held keys ---- */

/* A person lets keys go beside the worker that has them in memory, so it is the shard that is asked
 * how many there are. What is not known any longer stays as it was. */
static void count_held(reporter_shard *at)
{
    const leat_reporter_config *config = &at->reporter->config;
    leat_error error;
    if (mono_ms() < at->held_ms)
        return;
    int64_t since_ms = mono_ms();
    bool is_read = leat_shard_reporter_count_held(at->shard_reporter, config->placement,
                                                  config->partition_count, at->held, &error) == 0;
    int64_t rest_ms = is_read ? HELD_REST_TIMES * (mono_ms() - since_ms) : 0;
    at->held_ms = mono_ms() + (rest_ms > HELD_EVERY_MS ? rest_ms : HELD_EVERY_MS);
    for (uint32_t i = 0; is_read && i < config->worker_count; i++)
        leat_worker_held_keys(config->workers[i], at->shard, at->held);
    if (!is_read)
        leat_debug("held keys not counted shard=%s reason=\"%s\"", config->shards[at->shard].name,
                   error.text);
}

/* What workers have left to people. */
static void note_keys(reporter_shard *at)
{
    const leat_reporter_config *config = &at->reporter->config;
    leat_shard_key_note notes[LEAT_KEY_NOTES_MAX];
    leat_error error;
    for (uint32_t i = 0; i < config->worker_count; i++) {
        uint32_t count = leat_worker_take_notes(config->workers[i], at->shard, notes);
        for (uint32_t k = 0; k < count; k++)
            if (leat_shard_reporter_note_key(at->shard_reporter, &notes[k], &error) != 0)
                leat_debug("held key not noted shard=%s reason=\"%s\"",
                           config->shards[at->shard].name, error.text);
    }
}

/* ---- idempotency keys ---- */

static void rotate_keys(reporter_shard *at)
{
    const leat_reporter_config *config = &at->reporter->config;
    leat_shard_rotated rotated;
    if (leat_key_rotation_run(&at->rotation, at->shard_reporter, config->shards[at->shard].name,
                              config->idempotency_ms, 0, &rotated) != 0)
        return;
    for (uint32_t i = 0; i < config->worker_count; i++)
        leat_worker_idempotency_size(config->workers[i], at->shard, rotated.bytes);
}

/* ---- the row ---- */

static void enter_row(reporter_shard *at, row_state to)
{
    LEAT_ASSERT(leat_may_follow(may_follow, at->row, to));
    at->row = to;
}

static void add_drain(reporter_shard *at, leat_buf *report)
{
    const leat_reporter_config *config = &at->reporter->config;
    leat_drain drain = {0};
    for (uint32_t i = 0; i < config->worker_count; i++)
        leat_worker_add_drain(config->workers[i], at->shard, &drain);
    leat_report_add_drain(report, &drain);
}

/* Without what does not fit they are still in the process's own /culprits. */
static void add_culprits(reporter_shard *at, leat_buf *report)
{
    const leat_reporter_config *config = &at->reporter->config;
    leat_culprits_text text = {0};
    leat_buf culprits = {0};
    memset(&at->culprits, 0, sizeof at->culprits);
    for (uint32_t i = 0; i < config->worker_count; i++)
        leat_worker_add_culprits(config->workers[i], at->shard, &at->culprits);
    leat_culprits_write(&at->culprits, config->shards[at->shard].name, leat_wall_ms(),
                        CULPRITS_ROWS, &text);
    leat_culprits_join(&text, &culprits);
    if (!culprits.failed && culprits.size <= CULPRITS_BYTES_MAX)
        leat_report_add(report, "culprits", &culprits);
    leat_culprits_text_free(&text);
    leat_buf_free(&culprits);
}

/* Each worker has a part of the room for facts, and what those before it have left of theirs. */
static leat_worker_waits gather_report(reporter_shard *at, leat_buf *report)
{
    const leat_reporter_config *config = &at->reporter->config;
    leat_buf partitions = {0};
    leat_facts facts = {0};
    leat_worker_waits waits = LEAT_WAITS_NOT;
    for (uint32_t i = 0; i < config->worker_count; i++) {
        size_t room = leat_facts_room(&facts), left = config->worker_count - i;
        size_t most = room > WAITS_BYTES ? (room - WAITS_BYTES) / left : 0;
        leat_worker_waits own =
            leat_worker_append_report(config->workers[i], at->shard, &partitions, &facts, most);
        waits = own > waits ? own : waits;
    }
    add_waits(at, waits, &facts);
    leat_facts_end(&facts);
    leat_report_write(&partitions, &facts.json, report);
    leat_report_add_commit(report, config->shards[at->shard].commits_async);
    leat_buf_free(&partitions);
    leat_facts_free(&facts);
    return waits;
}

static bool is_changed(const reporter_shard *at, const leat_buf *report)
{
    return at->sent.size != report->size || memcmp(at->sent.data, report->data, report->size) != 0;
}

static bool is_due(const reporter_shard *at, const leat_buf *report)
{
    int64_t age_ms = mono_ms() - at->tried_ms;
    if (at->row == ROW_NONE)
        return true;
    if (at->row == ROW_UNKNOWN)
        return age_ms >= RETRY_MS;
    return age_ms >= LEAT_REPORT_EVERY_MS || (age_ms >= CHANGED_MS && is_changed(at, report));
}

/* The sink logs more about a shard that is down than this could. */
static void log_failure(reporter_shard *at, const char *reason)
{
    const leat_reporter_config *config = &at->reporter->config;
    const char *shard = config->shards[at->shard].name, *down;
    bool is_up = config->worker_count > 0 && leat_worker_ready(config->workers[0], &down);
    if (is_up && leat_rate_limit_allows(&at->rate_limit, (uint64_t)mono_ms(), reason))
        leat_warn("leat.workers cannot be written: `leat status` does not know what this process "
                  "knows shard=%s reason=\"%s\"",
                  shard, reason);
}

static void send_report(reporter_shard *at, leat_buf *report_text)
{
    const leat_reporter *reporter = at->reporter;
    leat_error error;
    leat_buf whole = {0};
    leat_buf_append(&whole, report_text->data, report_text->size);
    add_drain(at, &whole);
    add_culprits(at, &whole);
    leat_shard_report report = {.instance = reporter->instance,
                                .host = reporter->host,
                                .pid = getpid(),
                                .started_ms = reporter->started_ms,
                                .clock_ms = leat_wall_ms(),
                                .json = leat_buf_cstr(&whole)};
    if (!report.json)
        return;
    bool is_sent = leat_shard_reporter_send(at->shard_reporter, &report, &error) == 0;
    leat_buf_free(&whole);
    at->tried_ms = mono_ms();
    enter_row(at, is_sent ? ROW_SENT : ROW_UNKNOWN);
    if (!is_sent) {
        log_failure(at, error.text);
        return;
    }
    leat_buf old = at->sent;
    at->sent = *report_text;
    *report_text = old;
}

static void run_once(reporter_shard *at)
{
    leat_buf report = {0};
    read_controls(at);
    read_parked_size(at);
    if (at->row != ROW_UNKNOWN) {
        count_held(at);
        note_keys(at);
    }
    rotate_keys(at);
    if (gather_report(at, &report) == LEAT_WAITS_NOW && at->row != ROW_UNKNOWN)
        read_waits(at);
    if (!report.failed && is_due(at, &report))
        send_report(at, &report);
    leat_buf_free(&report);
}

/* ---- threads ---- */

/* False: the reporter ends. */
static bool pause_between(leat_reporter *reporter)
{
    int64_t until_us = leat_mono_us() + GATHER_EVERY_MS * INT64_C(1000);
    pthread_mutex_lock(&reporter->lock);
    while (!reporter->is_ending && leat_mono_us() < until_us)
        leat_cond_wait_until(&reporter->ended, &reporter->lock, until_us);
    bool goes_on = !reporter->is_ending;
    pthread_mutex_unlock(&reporter->lock);
    return goes_on;
}

static void *run_thread(void *argument)
{
    reporter_shard *at = argument;
    leat_error error;
    do
        run_once(at);
    while (pause_between(at->reporter));
    if (at->row == ROW_SENT &&
        leat_shard_reporter_remove(at->shard_reporter, at->reporter->instance, &error) != 0)
        leat_debug("row of leat.workers not removed shard=%s reason=\"%s\"",
                   at->reporter->config.shards[at->shard].name, error.text);
    return NULL;
}

static void make_instance(char ret[40])
{
    unsigned char b[16];
    ssize_t size = getrandom(b, sizeof b, 0);
    LEAT_ASSERT(size == (ssize_t)sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    snprintf(ret, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
}

static void init_ended(leat_reporter *reporter)
{
    leat_cond_init(&reporter->ended);
    int status = pthread_mutex_init(&reporter->lock, NULL);
    LEAT_ASSERT(status == 0);
}

leat_reporter *leat_reporter_new(const leat_reporter_config *config, leat_error *error)
{
    leat_reporter *reporter = leat_must_calloc(1, sizeof *reporter);
    reporter->config = *config;
    reporter->started_ms = leat_wall_ms();
    make_instance(reporter->instance);
    gethostname(reporter->host, sizeof reporter->host - 1);
    leat_shard_session_name(config->owner, reporter->session_name);
    init_ended(reporter);
    reporter->shards = leat_must_calloc(config->shard_count, sizeof *reporter->shards);
    for (uint32_t i = 0; i < config->shard_count; i++) {
        reporter_shard *at = &reporter->shards[i];
        at->reporter = reporter;
        at->shard = i;
        at->held = leat_must_calloc(config->partition_count, sizeof *at->held);
        leat_key_rotation_init(&at->rotation, (uint64_t)leat_mono_us() + i);
        at->shard_reporter = leat_shard_reporter_new(config->shards[i].at, config->source_id);
        if (pthread_create(&at->thread, NULL, run_thread, at) != 0) {
            leat_shard_reporter_free(at->shard_reporter);
            leat_reporter_free(reporter);
            leat_fail(error, "cannot start the thread that reports to shard %s",
                      config->shards[i].name);
            return NULL;
        }
        reporter->thread_count++;
    }
    return reporter;
}

void leat_reporter_free(leat_reporter *reporter)
{
    if (!reporter)
        return;
    pthread_mutex_lock(&reporter->lock);
    reporter->is_ending = true;
    pthread_cond_broadcast(&reporter->ended);
    pthread_mutex_unlock(&reporter->lock);
    for (uint32_t i = 0; i < reporter->thread_count; i++) {
        pthread_join(reporter->shards[i].thread, NULL);
        leat_shard_reporter_free(reporter->shards[i].shard_reporter);
        leat_buf_free(&reporter->shards[i].sent);
    }
    for (uint32_t i = 0; i < reporter->config.shard_count; i++)
        free(reporter->shards[i].held);
    pthread_cond_destroy(&reporter->ended);
    pthread_mutex_destroy(&reporter->lock);
    free(reporter->shards);
    free(reporter);
}
