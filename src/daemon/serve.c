/*
 * serve.c - the life of a process that serves. The main thread starts everything in the order of
 * dependence, then only waits: for a signal, or for the end of a thread. Edge and workers have
 * threads and loops of their own and share nothing but the versions of the tables, so the end is
 * the same for all: ask each to drain, wait until the last one has ended, take down in reverse.
 *
 * Before that an edge leaves: for http.drain_delay it says that it is not ready, and goes on. A
 * load balancer needs that time to learn of it; until then it sends requests, and refusing them
 * would lose them.
 *
 * A thread that cannot go on ends the whole process (exit code 1), after a drain: half a process
 * would look alive from outside while its partitions or its clients wait.
 */
#include "daemon/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/exit_code.h"
#include "base/loop.h"
#include "base/states.h"
#include "daemon/admin_jobs.h"
#include "daemon/daemon_state.h"
#include "daemon/descriptors.h"
#include "daemon/log_identity.h"
#include "daemon/notify.h"
#include "daemon/signals.h"
#include "daemon/start_catalog.h"

enum { SPARE_POOL_THREADS = 2 + LEAT_ADMIN_JOBS_MAX, RELOAD_EVERY_MS = 2000 };

/* ---- phases ---- */

/* One that fails while it starts is never up; and when the only thread cannot go on, there is
 * nothing to drain. */
static const unsigned may_follow[LEAT_DAEMON_DOWN + 1] = {
    [LEAT_DAEMON_STARTING] = LEAT_TO(LEAT_DAEMON_UP) | LEAT_TO(LEAT_DAEMON_DOWN),
    [LEAT_DAEMON_UP] = LEAT_TO(LEAT_DAEMON_LEAVING) | LEAT_TO(LEAT_DAEMON_DRAINING) |
                       LEAT_TO(LEAT_DAEMON_DOWN),
    [LEAT_DAEMON_LEAVING] = LEAT_TO(LEAT_DAEMON_DRAINING) | LEAT_TO(LEAT_DAEMON_DOWN),
    [LEAT_DAEMON_DRAINING] = LEAT_TO(LEAT_DAEMON_DOWN),
};

static void enter(leat_daemon *daemon, leat_daemon_phase phase)
{
    LEAT_ASSERT(leat_may_follow(may_follow, daemon->phase, phase));
    daemon->phase = phase;
}

/* ---- the end ---- */

static void drain(leat_daemon *daemon)
{
    enter(daemon, LEAT_DAEMON_DRAINING);
    uv_timer_stop(&daemon->left);
    leat_signals_left();
    leat_sd_notify("STOPPING=1\nSTATUS=draining");
    if (daemon->watch)
        leat_catalog_watch_stop(daemon->watch);
    if (daemon->edge)
        leat_edge_thread_drain(daemon->edge);
    for (uint32_t i = 0; i < daemon->worker_count; i++)
        leat_worker_drain(daemon->workers[i]);
}

static void on_left(uv_timer_t *timer)
{
    leat_daemon *daemon = timer->data;
    LEAT_ASSERT(daemon->phase == LEAT_DAEMON_LEAVING);
    drain(daemon);
}

static void leave(leat_daemon *daemon)
{
    LEAT_ASSERT(daemon->edge);
    enter(daemon, LEAT_DAEMON_LEAVING);
    leat_sd_notify("STOPPING=1\nSTATUS=not ready any more, still serving");
    leat_edge_thread_leave(daemon->edge);
    uv_timer_start(&daemon->left, on_left, (uint64_t)daemon->assembly.config.drain_delay_ms, 0);
}

static bool is_serving(const leat_daemon *daemon)
{
    return daemon->phase == LEAT_DAEMON_UP || daemon->phase == LEAT_DAEMON_LEAVING;
}

static void on_thread_exit(void *context)
{
    leat_daemon *daemon = context;
    uint32_t before = atomic_fetch_sub(&daemon->running, 1);
    LEAT_ASSERT(before > 0);
    uv_async_send(&daemon->thread_ended);
}

static bool some_worker_failed(const leat_daemon *daemon)
{
    bool failed = false;
    for (uint32_t i = 0; i < daemon->worker_count; i++)
        failed = failed || leat_worker_failed(daemon->workers[i]);
    return failed;
}

static void on_thread_ended(uv_async_t *async)
{
    leat_daemon *daemon = async->data;
    if (some_worker_failed(daemon) || (daemon->edge && leat_edge_thread_failed(daemon->edge)))
        daemon->code = LEAT_EXIT_FAILED;
    if (atomic_load(&daemon->running) == 0)
        uv_stop(&daemon->loop);
    else if (daemon->code != LEAT_EXIT_OK && is_serving(daemon))
        drain(daemon);
}

static void on_drain_asked(uv_async_t *async)
{
    leat_daemon *daemon = async->data;
    if (daemon->phase == LEAT_DAEMON_UP && leat_signals_leaving())
        leave(daemon);
    else if (is_serving(daemon) && !leat_signals_leaving())
        drain(daemon);
}

/* ---- start ---- */

/* The built-in log is created when it does not exist; a topic is not. */
static int open_log(leat_daemon *daemon, leat_error *error)
{
    leat_topic_spec spec = {.partition_count = leat_config_partitions(&daemon->assembly.config)};
    return leat_log_open(&daemon->assembly.log, &spec, error);
}

/* The right to read a topic's settings is optional: without it there is only a warning. */
static int check_compaction(const leat_assembly *assembly, leat_error *error)
{
    int answer = leat_assembly_check_compaction(assembly, error);
    if (answer == 1)
        leat_warn(
            "cannot read whether the topic is compacted, and compaction loses writes topic=%s "
            "reason=\"%s\"",
            assembly->log.topic, error->text);
    return answer < 0 ? -1 : 0;
}

/* Workers can do nothing without the log, so they wait for it. An edge alone does not: with the
 * catalog file it accepts as soon as the log takes writes, and checks the log's identity then. */
static int find_log(leat_daemon *daemon, leat_error *error)
{
    leat_assembly *assembly = &daemon->assembly;
    int answer = leat_assembly_identify(assembly, daemon->with_apply, error);
    if (answer < 0)
        return -1;
    if (answer == 0)
        return leat_assembly_check_partitions(assembly, error) != 0 ||
                       check_compaction(assembly, error) != 0
                   ? -1
                   : 0;
    if (access(assembly->catalog_file, R_OK) != 0)
        return -1;
    leat_warn("Kafka does not answer yet reason=\"%s\"", error->text);
    return 0;
}

static int make_parts(leat_daemon *daemon, leat_error *error)
{
    if (leat_daemon_make_versions(daemon, error) != 0)
        return -1;
    leat_daemon_make_writes(daemon);
    if (leat_daemon_start_mode_watch(daemon, error) != 0 ||
        leat_daemon_make_tracer(daemon, error) != 0)
        return -1;
    if (daemon->with_edge && leat_daemon_make_edge(daemon, error) != 0)
        return -1;
    if (daemon->with_apply && leat_daemon_make_workers(daemon, error) != 0)
        return -1;
    return leat_daemon_make_admin(daemon, error);
}

static int start_up(leat_daemon *daemon, leat_error *error)
{
    leat_assembly *assembly = &daemon->assembly;
    if (leat_descriptors_prepare(&assembly->config, daemon->with_edge, error) != 0 ||
        open_log(daemon, error) != 0 || find_log(daemon, error) != 0 ||
        leat_assembly_load_catalog(assembly, daemon->with_apply, error) != 0)
        return -1;
    return make_parts(daemon, error);
}

/* Reading the tables of a shard that does not answer occupies a thread of libuv's pool until its
 * time limit. So does a SQLite file on a disk that hangs, for each worker. */
static void size_thread_pool(const leat_config *config)
{
    char text[16];
    uint32_t count = config->shard_count + SPARE_POOL_THREADS;
    for (uint32_t i = 0; i < config->shard_count; i++)
        count += config->shards[i].sqlite ? (uint32_t)config->workers : 0;
    snprintf(text, sizeof text, "%u", count);
    setenv("UV_THREADPOOL_SIZE", text, 1);
}

static void init_loop(leat_daemon *daemon)
{
    size_thread_pool(&daemon->assembly.config);
    uv_loop_init(&daemon->loop);
    uv_async_init(&daemon->loop, &daemon->drain_asked, on_drain_asked);
    uv_async_init(&daemon->loop, &daemon->thread_ended, on_thread_ended);
    uv_timer_init(&daemon->loop, &daemon->left);
    daemon->drain_asked.data = daemon->thread_ended.data = daemon->left.data = daemon;
    daemon->reload = leat_reload_new(&daemon->loop, RELOAD_EVERY_MS);
}

static int start_threads(leat_daemon *daemon, leat_error *error)
{
    bool leaves = daemon->edge && daemon->assembly.config.drain_delay_ms > 0;
    leat_signals_serve(&daemon->drain_asked, leat_reload_request(daemon->reload), leaves);
    if (daemon->edge) {
        atomic_fetch_add(&daemon->running, 1);
        if (leat_edge_thread_start(daemon->edge, on_thread_exit, daemon, error) != 0)
            return -1;
    }
    for (uint32_t i = 0; i < daemon->worker_count; i++) {
        atomic_fetch_add(&daemon->running, 1);
        if (leat_worker_start(daemon->workers[i], on_thread_exit, daemon, error) != 0)
            return -1;
    }
    return 0;
}

/* ---- life ---- */

static void tear_down(leat_daemon *daemon)
{
    LEAT_ASSERT(daemon->phase == LEAT_DAEMON_DOWN);
    if (daemon->edge)
        leat_edge_thread_free(daemon->edge);
    leat_write_watch_free(daemon->write_watch);
    leat_mode_watch_free(daemon->mode_watch);
    leat_reporter_free(daemon->reporter);
    for (uint32_t i = 0; i < daemon->worker_count; i++)
        leat_worker_free(daemon->workers[i]);
    leat_tracer_free(daemon->tracer);
    if (daemon->admin)
        leat_admin_free(daemon->admin);
    leat_log_close(&daemon->assembly.log);
    leat_catalog_watch_free(daemon->watch);
    leat_reload_free(daemon->reload);
    leat_loop_end(&daemon->loop);
    leat_write_waits_free(daemon->writes);
    leat_modes_free(daemon->modes);
    leat_auth_free(daemon->auth);
    leat_schema_versions_free(daemon->schema_versions);
    leat_controls_free(daemon->controls);
    leat_controls_free(daemon->floods);
    leat_metrics_free(daemon->metrics);
    free(daemon->shards);
    free(daemon->shard_names);
    leat_assembly_fini(&daemon->assembly);
}

static int fail(const leat_daemon *daemon, int code, const leat_error *error)
{
    leat_print_error("leat %s: %s", daemon->command, error->text);
    return code;
}

static int serve_until_drained(leat_daemon *daemon)
{
    leat_error error = {0};
    leat_sd_notify("STATUS=starting: asking the log and the shards");
    if (start_up(daemon, &error) != 0) {
        enter(daemon, LEAT_DAEMON_DOWN);
        return fail(daemon, LEAT_EXIT_FAILED, &error);
    }
    if (start_threads(daemon, &error) != 0 || leat_daemon_start_reporter(daemon, &error) != 0 ||
        leat_daemon_start_write_watch(daemon, &error) != 0) {
        fail(daemon, LEAT_EXIT_FAILED, &error);
        _exit(LEAT_EXIT_FAILED); /* the threads that did start have not accepted anything yet */
    }
    enter(daemon, LEAT_DAEMON_UP);
    leat_sd_notify("READY=1\nSTATUS=up");
    leat_info("leat is up command=%s", daemon->command);
    uv_run(&daemon->loop, UV_RUN_DEFAULT);
    LEAT_ASSERT(atomic_load(&daemon->running) == 0);
    enter(daemon, LEAT_DAEMON_DOWN);
    leat_info("drained");
    return daemon->code;
}

/* The built-in log belongs to one process. */
static int check_both_roles(const leat_daemon *daemon, leat_error *error)
{
    if (!daemon->assembly.log.file || (daemon->with_edge && daemon->with_apply))
        return 0;
    leat_fail(error, "the built-in log is for `leat run` alone: it cannot be shared by processes");
    return leat_config_blame(&daemon->assembly.config, error, "log.local");
}

int leat_serve(const char *command, bool with_edge, bool with_apply, const char *config_file)
{
    leat_daemon daemon = {.command = command,
                          .started_ms = leat_wall_ms(),
                          .with_edge = with_edge,
                          .with_apply = with_apply};
    leat_error error = {0};
    if (leat_signals_take(&error) != 0)
        return fail(&daemon, LEAT_EXIT_FAILED, &error);
    if (leat_assembly_load_config(&daemon.assembly, config_file, &error) != 0 ||
        check_both_roles(&daemon, &error) != 0) {
        leat_signals_over(LEAT_EXIT_USAGE);
        leat_assembly_fini(&daemon.assembly);
        return fail(&daemon, LEAT_EXIT_USAGE, &error);
    }
    leat_signals_configured(leat_daemon_reads_again(&daemon.assembly.config));
    daemon.metrics = leat_metrics_new();
    leat_gauge_set(
        leat_metrics_gauge(daemon.metrics, "leat_build_info", "version=\"" LEAT_VERSION "\""), 1);
    leat_gauge_set(leat_metrics_gauge(daemon.metrics, "leat_start_time_seconds", NULL),
                   daemon.started_ms);
    init_loop(&daemon);
    int code = serve_until_drained(&daemon);
    leat_signals_over(code);
    tear_down(&daemon);
    return code;
}
