/*
 * mode_watch.c - a thread for each shard, since its calls block for as long as the shard lets them.
 * What it has read counts from the moment when it began to read, by this machine's clock: a read
 * that took long is worth less, and one that took longer than the lease nothing.
 */
#include "watch/mode_watch.h"

#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/rate_limit.h"
#include "base/thread.h"
#include "sink/key_rotation.h"
#include "sink/modes.h"

typedef struct mode_watch_shard {
    leat_mode_watch *watch;
    uint32_t shard;
    pthread_t thread;
    leat_shard_reporter *reporter;
    leat_rate_limit rate_limit;
    leat_mode_rows rows;
    leat_key_rotation rotation;
} mode_watch_shard;

struct leat_mode_watch {
    leat_mode_watch_config config;
    char *names[LEAT_ROUTES_MAX];
    pthread_mutex_t lock;
    pthread_cond_t ends;
    bool is_ending;
    uint32_t thread_count;
    mode_watch_shard *shards[LEAT_SHARDS_MAX];
};

static leat_mode_setting setting_of(const leat_mode_rows *rows, const char *route)
{
    for (uint32_t i = 0; i < rows->count; i++)
        if (strcmp(rows->rows[i].route, route) == 0)
            return rows->rows[i].setting;
    return (leat_mode_setting){0};
}

static void read_modes(mode_watch_shard *at)
{
    leat_error error;
    leat_mode_setting settings[LEAT_ROUTES_MAX];
    leat_mode_watch *watch = at->watch;
    int64_t begun_us = leat_mode_now_us();
    if (leat_shard_reporter_read_modes(at->reporter, &at->rows, &error) != 0) {
        if (leat_rate_limit_allows(&at->rate_limit, (uint64_t)(begun_us / 1000), error.text))
            leat_warn("cannot read which way the writes of live routes go: they are answered 503 "
                      "until it can be shard=%s reason=\"%s\"",
                      watch->config.shard_names[at->shard], error.text);
        return;
    }
    for (uint32_t i = 0; i < watch->config.route_count; i++)
        settings[i] = setting_of(&at->rows, watch->names[i]);
    leat_modes_publish(watch->config.modes, at->shard, settings, begun_us);
}

static void forget_keys(mode_watch_shard *at)
{
    const leat_mode_watch_config *config = &at->watch->config;
    int64_t noted_ms = config->noted_ms[at->shard];
    leat_shard_rotated rotated;
    if (noted_ms != 0)
        (void)!leat_key_rotation_run(&at->rotation, at->reporter, config->shard_names[at->shard],
                                     config->idempotency_ms, noted_ms, &rotated);
}

static void look_once(mode_watch_shard *at)
{
    if (at->watch->config.modes)
        read_modes(at);
    forget_keys(at);
}

/* False: the watch ends. */
static bool pause_for(leat_mode_watch *watch, int64_t ms)
{
    int64_t until_us = leat_mono_us() + ms * 1000;
    pthread_mutex_lock(&watch->lock);
    while (!watch->is_ending && leat_mono_us() < until_us)
        leat_cond_wait_until(&watch->ends, &watch->lock, until_us);
    bool goes_on = !watch->is_ending;
    pthread_mutex_unlock(&watch->lock);
    return goes_on;
}

static void *run_thread(void *argument)
{
    mode_watch_shard *at = argument;
    do
        look_once(at);
    while (pause_for(at->watch, LEAT_MODE_EVERY_MS));
    return NULL;
}

static void free_shard(mode_watch_shard *at)
{
    leat_shard_reporter_free(at->reporter);
    free(at);
}

leat_mode_watch *leat_mode_watch_new(const leat_mode_watch_config *config, leat_error *error)
{
    LEAT_ASSERT(config->noted_ms && config->shard_count <= LEAT_SHARDS_MAX);
    LEAT_ASSERT(config->route_count <= LEAT_ROUTES_MAX);
    leat_mode_watch *watch = leat_must_calloc(1, sizeof *watch);
    watch->config = *config;
    pthread_mutex_init(&watch->lock, NULL);
    leat_cond_init(&watch->ends);
    for (uint32_t i = 0; i < config->route_count; i++)
        watch->names[i] = leat_must_strdup(config->routes[i]);
    for (uint32_t i = 0; i < config->shard_count; i++) {
        mode_watch_shard *at = leat_must_calloc(1, sizeof *at);
        at->watch = watch;
        at->shard = i;
        leat_key_rotation_init(&at->rotation, (uint64_t)leat_mono_us() + i);
        at->reporter = leat_shard_reporter_new(config->addresses[i], config->source_id);
        if (leat_thread_start(&at->thread, run_thread, at) != 0) {
            free_shard(at);
            leat_mode_watch_free(watch);
            leat_fail(error, "cannot start the thread that asks shard %s about modes",
                      config->shard_names[i]);
            return NULL;
        }
        watch->shards[watch->thread_count++] = at;
    }
    return watch;
}

void leat_mode_watch_free(leat_mode_watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_lock(&watch->lock);
    watch->is_ending = true;
    pthread_cond_broadcast(&watch->ends);
    pthread_mutex_unlock(&watch->lock);
    for (uint32_t i = 0; i < watch->thread_count; i++) {
        pthread_join(watch->shards[i]->thread, NULL);
        free_shard(watch->shards[i]);
    }
    for (uint32_t i = 0; i < watch->config.route_count; i++)
        free(watch->names[i]);
    pthread_mutex_destroy(&watch->lock);
    pthread_cond_destroy(&watch->ends);
    free(watch);
}
