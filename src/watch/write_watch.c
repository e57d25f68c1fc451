/*
 * write_watch.c - a thread for each shard, since its calls block for as long as the shard lets
 * them. It sleeps until a wait is due, asks about all that are, and hands the answers over. After a
 * question it pauses in proportion to what the answer took: a shard that is slow, or a journal that
 * is long, is asked less often, and those who wait are told a little later.
 */
#include "watch/write_watch.h"

#include <stdlib.h>

#include "base/diag.h"
#include "base/pages.h"
#include "base/rate_limit.h"
#include "base/thread.h"

enum {
    ASK_MAX = 4096,
    EVERY_US = 20 * 1000,
    SHARE = 9, /* times what an answer took: the pause after it */
    PAUSE_MAX_US = 1000 * 1000,
    IDLE_US = 30 * 1000 * 1000, /* then the connection is given up */
};

typedef struct write_watch_shard {
    leat_write_watch *watch;
    uint32_t shard;
    bool durably;
    pthread_t thread;
    leat_shard_reporter *reporter;
    leat_rate_limit rate_limit;
    leat_write_question questions[ASK_MAX];
    leat_write_answer answers[ASK_MAX];
} write_watch_shard;

struct leat_write_watch {
    leat_write_watch_config config;
    uint32_t thread_count;
    write_watch_shard *shards[LEAT_SHARDS_MAX];
};

static void log_failure(write_watch_shard *at, const char *reason)
{
    if (leat_rate_limit_allows(&at->rate_limit, (uint64_t)(leat_mono_us() / 1000), reason))
        leat_warn("cannot ask what became of writes: requests that wait for one are answered 202 "
                  "when their time is over shard=%s reason=\"%s\"",
                  at->watch->config.shard_names[at->shard], reason);
}

/* Returns how long to pause. */
static int64_t ask(write_watch_shard *at, uint32_t count)
{
    leat_error error;
    int64_t begun_us = leat_mono_us();
    bool is_answered = leat_shard_reporter_read_writes(at->reporter, at->durably, at->questions,
                                                       count, at->answers, &error) == 0;
    int64_t took_us = leat_mono_us() - begun_us;
    if (!is_answered) {
        log_failure(at, error.text);
        return PAUSE_MAX_US;
    }
    leat_write_waits_answer(at->watch->config.waits, at->questions, at->answers, count);
    int64_t pause_us = took_us < PAUSE_MAX_US / SHARE ? took_us * SHARE : PAUSE_MAX_US;
    return pause_us > EVERY_US - took_us ? pause_us : EVERY_US - took_us;
}

static void *run_thread(void *argument)
{
    write_watch_shard *at = argument;
    leat_write_waits *waits = at->watch->config.waits;
    int64_t pause_us = 0;
    do {
        uint32_t count = leat_write_waits_next(waits, at->shard, at->questions, ASK_MAX, IDLE_US);
        if (count == 0)
            leat_shard_reporter_rest(at->reporter);
        pause_us = count > 0 ? ask(at, count) : 0;
    } while (leat_write_waits_pause(waits, at->shard, pause_us));
    return NULL;
}

static void free_shard(write_watch_shard *at)
{
    leat_shard_reporter_free(at->reporter);
    leat_pages_free(at, sizeof *at);
}

leat_write_watch *leat_write_watch_new(const leat_write_watch_config *config, leat_error *error)
{
    LEAT_ASSERT(config->waits && config->shard_count <= LEAT_SHARDS_MAX);
    leat_write_watch *watch = leat_must_calloc(1, sizeof *watch);
    watch->config = *config;
    for (uint32_t i = 0; i < config->shard_count; i++) {
        write_watch_shard *at = leat_must_pages(1, sizeof *at); /* few are asked about at once */
        at->watch = watch;
        at->shard = i;
        at->durably = config->commits_async[i];
        at->reporter = leat_shard_reporter_new(config->addresses[i], config->source_id);
        if (leat_thread_start(&at->thread, run_thread, at) != 0) {
            free_shard(at);
            leat_write_watch_free(watch);
            leat_fail(error, "cannot start the thread that asks shard %s about writes",
                      config->shard_names[i]);
            return NULL;
        }
        watch->shards[watch->thread_count++] = at;
    }
    return watch;
}

void leat_write_watch_free(leat_write_watch *watch)
{
    if (!watch)
        return;
    leat_write_waits_stop_asking(watch->config.waits);
    for (uint32_t i = 0; i < watch->thread_count; i++) {
        pthread_join(watch->shards[i]->thread, NULL);
        free_shard(watch->shards[i]);
    }
    free(watch);
}
