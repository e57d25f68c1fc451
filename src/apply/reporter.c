#include "apply/reporter.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "apply/facts.h"
#include "base/diag.h"
#include "base/rate_limit.h"

enum {
    LOOK_EVERY_MS = 250,
    ASK_EVERY_MS = 1000,
    NEWS_MS = 2000,                   /* between two rows */
    PARTITIONS_BYTES_MAX = 32 * 1024, /* with the facts less than LEAT_REPORT_SAID_MAX */
    AGAIN_MS = 2000, /* after one that could not be written: a server that has crashed has lost what
                        was told */
    REMEMBER_MS = 15000, /* a wait is told for so long after it was seen: who meets a lock pauses
                            between two attempts */
};

typedef struct reporter_shard {
    leat_reporter *reporter;
    uint32_t shard;
    pthread_t thread;
    leat_shard_reporter *shard_reporter;
    leat_buf said;     /* what was told last */
    int64_t told_ms;   /* on the monotonic clock; 0: never */
    int64_t failed_ms; /* the last attempt in vain; 0: the last one was none */
    leat_shard_waits waits;
    int64_t waits_ms;       /* when they were seen, monotonic */
    int64_t asked_ms;       /* when they were asked for */
    int64_t waits_since_ms; /* wall clock */
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

/* ---- whom leat's sessions wait for ---- */

static const char *wait_kind(const leat_shard_wait *wait)
{
    return wait->is_commit ? "commit" : "lock";
}

static void say_waits(reporter_shard *at)
{
    char words[LEAT_WAIT_WORDS_SIZE], cause[64];
    for (uint32_t i = 0; i < at->waits.count; i++) {
        const leat_shard_wait *wait = &at->waits.waits[i];
        snprintf(cause, sizeof cause, "%s %" PRId64, wait_kind(wait),
                 wait->is_commit ? 0 : wait->holder_pid);
        if (leat_rate_limit_allows(&at->rate_limit, (uint64_t)mono_ms(), cause))
            leat_err("shard=%s %s", at->reporter->config.shards[at->shard].name,
                     leat_shard_wait_words(wait, words));
    }
}

static void ask_waits(reporter_shard *at)
{
    leat_shard_waits found;
    leat_error error;
    if (mono_ms() - at->asked_ms < ASK_EVERY_MS)
        return;
    at->asked_ms = mono_ms();
    if (leat_shard_reporter_read_waits(at->shard_reporter, at->reporter->session_name, &found,
                                       &error) != 0 ||
        found.count == 0)
        return;
    at->waits = found;
    at->waits_ms = mono_ms();
    at->waits_since_ms = leat_wall_ms() - found.waits[0].waited_ms;
    say_waits(at);
}

/* Their words change with each second, so the fact has the first that were found. */
static void add_waits(reporter_shard *at, leat_worker_waits waits, leat_buf *facts)
{
    if (waits == LEAT_WAITS_NOT || mono_ms() - at->waits_ms > REMEMBER_MS)
        at->waits.count = 0;
    for (uint32_t i = 0; i < at->waits.count; i++) {
        char words[LEAT_WAIT_WORDS_SIZE];
        leat_fact fact = {.kind = wait_kind(&at->waits.waits[i]),
                          .words = leat_shard_wait_words(&at->waits.waits[i], words),
                          .since_ms = at->waits_since_ms,
                          .partition = -1,
                          .subpartition = -1,
                          .offset = -1};
        leat_facts_add(facts, &fact);
    }
}

/* ---- telling ---- */

static size_t count_numbers(const leat_buf *list)
{
    size_t count = 1;
    for (size_t i = 0; i < list->size; i++)
        count += list->data[i] == ',';
    return count;
}

/* {"partitions": [0, 2], "facts": [...]}; of partitions that have no room, how many they are. */
static leat_worker_waits gather(reporter_shard *at, leat_buf *said)
{
    const leat_reporter_config *config = &at->reporter->config;
    leat_buf partitions = {0}, facts = {0};
    leat_worker_waits waits = LEAT_WAITS_NOT;
    for (uint32_t i = 0; i < config->worker_count; i++) {
        leat_worker_waits own =
            leat_worker_tell(config->workers[i], at->shard, &partitions, &facts);
        waits = own > waits ? own : waits;
    }
    add_waits(at, waits, &facts);
    leat_buf_text(said, "{\"partitions\":");
    if (partitions.size <= PARTITIONS_BYTES_MAX)
        leat_buf_printf(said, "[%.*s]", (int)partitions.size,
                        partitions.size > 0 ? partitions.data : "");
    else
        leat_buf_printf(said, "%zu", count_numbers(&partitions));
    leat_buf_text(said, ",\"facts\":[");
    leat_buf_append(said, facts.data, facts.size);
    leat_buf_text(said, "]}");
    leat_buf_free(&partitions);
    leat_buf_free(&facts);
    return waits;
}

static bool is_news(const reporter_shard *at, const leat_buf *said)
{
    return at->said.size != said->size || memcmp(at->said.data, said->data, said->size) != 0;
}

static bool is_due(const reporter_shard *at, const leat_buf *said)
{
    int64_t now_ms = mono_ms();
    if (at->failed_ms > 0)
        return now_ms - at->failed_ms >= AGAIN_MS;
    if (at->told_ms == 0 || now_ms - at->told_ms >= LEAT_REPORT_EVERY_MS)
        return true;
    return now_ms - at->told_ms >= NEWS_MS && is_news(at, said);
}

/* A shard that is down is said elsewhere. */
static void say_failure(reporter_shard *at, const char *why)
{
    const leat_reporter_config *config = &at->reporter->config;
    const char *shard = config->shards[at->shard].name, *down;
    bool is_up = config->worker_count > 0 && leat_worker_ready(config->workers[0], &down);
    if (is_up && leat_rate_limit_allows(&at->rate_limit, (uint64_t)mono_ms(), why))
        leat_warn(
            "shard=%s leat.workers cannot be written, so `leat status` does not know what this process knows: %s",
            shard, why);
}

static void tell(reporter_shard *at, leat_buf *said)
{
    const leat_reporter *reporter = at->reporter;
    leat_error error;
    leat_shard_report report = {.instance = reporter->instance,
                                .host = reporter->host,
                                .pid = getpid(),
                                .started_ms = reporter->started_ms,
                                .clock_ms = leat_wall_ms(),
                                .said = leat_buf_cstr(said)};
    if (!report.said)
        return;
    if (leat_shard_reporter_send(at->shard_reporter, &report, &error) != 0) {
        at->failed_ms = mono_ms();
        say_failure(at, error.text);
        return;
    }
    at->failed_ms = 0;
    at->told_ms = mono_ms();
    leat_buf old = at->said;
    at->said = *said;
    *said = old;
}

static void look(reporter_shard *at)
{
    leat_buf said = {0};
    if (gather(at, &said) == LEAT_WAITS_NOW && at->failed_ms == 0)
        ask_waits(at);
    if (!said.failed && is_due(at, &said))
        tell(at, &said);
    leat_buf_free(&said);
}

/* ---- threads ---- */

/* False: it is over. */
static bool pause_between(leat_reporter *reporter)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_EVERY_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&reporter->lock);
    while (!reporter->is_ending &&
           pthread_cond_timedwait(&reporter->ended, &reporter->lock, &until) != ETIMEDOUT)
        ;
    bool goes_on = !reporter->is_ending;
    pthread_mutex_unlock(&reporter->lock);
    return goes_on;
}

static void *run_thread(void *argument)
{
    reporter_shard *at = argument;
    leat_error error;
    do
        look(at);
    while (pause_between(at->reporter));
    if (at->told_ms > 0 && at->failed_ms == 0 &&
        leat_shard_reporter_remove(at->shard_reporter, at->reporter->instance, &error) != 0)
        leat_debug("shard=%s its row of leat.workers stays: %s",
                   at->reporter->config.shards[at->shard].name, error.text);
    return NULL;
}

static void make_instance(char ret[40])
{
    unsigned char b[16];
    LEAT_ASSERT(getrandom(b, sizeof b, 0) == (ssize_t)sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    snprintf(ret, 40, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
}

static void init_ended(leat_reporter *reporter)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    LEAT_ASSERT(pthread_cond_init(&reporter->ended, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
    LEAT_ASSERT(pthread_mutex_init(&reporter->lock, NULL) == 0);
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
        leat_buf_free(&reporter->shards[i].said);
    }
    pthread_cond_destroy(&reporter->ended);
    pthread_mutex_destroy(&reporter->lock);
    free(reporter->shards);
    free(reporter);
}
