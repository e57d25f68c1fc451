/* The process that serves: threads started, signals turned into a drain, metrics served. */
#include "daemon/serve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uv.h>

#include "apply/reporter.h"
#include "base/diag.h"
#include "base/exit_code.h"
#include "base/loop.h"
#include "daemon/admin.h"
#include "daemon/assemble.h"
#include "daemon/descriptors.h"
#include "daemon/edge_thread.h"
#include "daemon/log_identity.h"
#include "daemon/notify.h"
#include "daemon/shard_tables.h"
#include "daemon/signals.h"
#include "daemon/start_catalog.h"
#include "sink/shard.h"
#include "watch/catalog_watch.h"

enum {
    WORKERS_MAX = 64,
    HOST_MAX = 256,
    READY_AGE_MS = 5000,
    CATALOG_STALE_LOOKS = 3,
    SPARE_POOL_THREADS = 2
};

typedef struct serve {
    const char *command;
    bool with_edge;
    bool with_apply;
    leat_assembly assembly;
    leat_metrics *metrics;
    leat_schema_versions *schema_versions;
    leat_catalog_watch *watch;
    char listen_host[HOST_MAX];
    char admin_host[HOST_MAX];

    uv_loop_t loop; /* of the main thread: signals, the end of threads, the admin listener */
    uv_async_t drain_asked; /* by a signal */
    uv_async_t thread_ended;
    _Atomic uint32_t running;
    bool draining;
    int code; /* the process ends with it */

    leat_admin *admin;
    leat_edge_thread *edge;
    leat_worker_shard *shards; /* in layout order */
    const char **shard_names;  /* theirs */
    char owner[LEAT_OWNER_SIZE];
    leat_worker *workers[WORKERS_MAX];
    uint32_t worker_count;
    leat_reporter *reporter;
} serve;

/* ---- shards and what they look like ---- */

static int match_shards(serve *s, leat_error *error)
{
    const leat_layout *layout = &s->assembly.catalog.layout;
    s->shards = leat_must_calloc(layout->shard_count, sizeof *s->shards);
    s->shard_names = leat_must_calloc(layout->shard_count, sizeof *s->shard_names);
    for (uint32_t i = 0; i < layout->shard_count; i++) {
        const leat_config_shard *from =
            leat_assembly_find_shard(&s->assembly, layout->shards[i].name);
        if (!from) {
            leat_fail(error, "the stored layout has a shard %s, which is not configured",
                      layout->shards[i].name);
            return leat_config_blame(&s->assembly.config, error, "shards");
        }
        int64_t share = from->connections / s->assembly.config.workers;
        s->shards[i] = (leat_worker_shard){.name = from->name,
                                           .at = leat_assembly_address(from),
                                           .connections = share > 0 ? (uint32_t)share : 1};
        s->shard_names[i] = from->name;
    }
    return 0;
}

static void ask_for_a_look(void *context)
{
    serve *s = context;
    leat_catalog_watch_ask(s->watch);
}

static int read_tables(void *context, uint32_t shard, leat_table **ret_tables, uint32_t *ret_count,
                       leat_error *error)
{
    const serve *s = context;
    return leat_assembly_read_tables(&s->assembly, s->shards[shard].at, ret_tables, ret_count,
                                     error);
}

static leat_schema_version *build_version(void *context, leat_table *tables, uint32_t count,
                                          leat_error *error)
{
    const serve *s = context;
    return leat_assembly_build_version(&s->assembly, tables, count, error);
}

static void on_published(void *context, uint32_t shard, const leat_schema_version *version)
{
    const serve *s = context;
    leat_error error;
    if (leat_assembly_save_catalog(&s->assembly, version, &error) != 0)
        leat_warn("shard=%s was altered, the catalog file was not written: %s",
                  s->shard_names[shard], error.text);
}

static int make_board(serve *s, leat_error *error)
{
    if (match_shards(s, error) != 0)
        return -1;
    leat_assembly *assembly = &s->assembly;
    uint32_t count = assembly->catalog.layout.shard_count;
    s->schema_versions = leat_schema_versions_new(count, ask_for_a_look, s);
    for (uint32_t i = 0; i < count; i++) {
        ptrdiff_t at = leat_assembly_find_shard(assembly, s->shard_names[i]) -
                       assembly->config.shards;
        leat_schema_versions_publish(s->schema_versions, i, assembly->versions[at],
                                     assembly->catalog_read_us[at]);
        assembly->versions[at] = NULL;
    }
    leat_catalog_watch_config config = {
        .schema_versions = s->schema_versions,
        .shard_count = count,
        .shard_names = s->shard_names,
        .every_ms = assembly->config.catalog_every_ms,
        .context = s,
        .read = read_tables,
        .build = build_version,
        .published = on_published,
    };
    s->watch = leat_catalog_watch_new(&s->loop, &config);
    return 0;
}

/* ---- edge ---- */

static int make_edge(serve *s, leat_error *error)
{
    const leat_config *from = &s->assembly.config;
    leat_log_identity identity = leat_assembly_stored_identity(&s->assembly);
    leat_edge_config config = {
        .log = s->assembly.log,
        .identity = &identity,
        .layout = &s->assembly.catalog.layout,
        .schema_versions = s->schema_versions,
        .in_flight_max = (uint32_t)from->in_flight_max,
        .ready_age_ms = READY_AGE_MS,
        .catalog_stale_ms = CATALOG_STALE_LOOKS * from->catalog_every_ms + READY_AGE_MS,
        .metrics = s->metrics,
    };
    leat_http_config_defaults(&config.http);
    if (leat_config_address(from->listen, s->listen_host, sizeof s->listen_host, &config.http.port,
                            error) != 0)
        return leat_config_blame(&s->assembly.config, error, "listen");
    config.http.host = s->listen_host;
    config.http.body_max = (size_t)from->body_max;
    config.http.header_timeout_ms = from->header_timeout_ms;
    config.http.body_timeout_ms = from->body_timeout_ms;
    config.http.idle_timeout_ms = from->idle_timeout_ms;
    config.http.connections_max = (uint32_t)from->edge_connections;
    s->edge = leat_edge_thread_new(&config, error);
    if (!s->edge)
        return leat_config_blame(&s->assembly.config, error, "listen");
    leat_info("edge listens on http://%s:%d", s->listen_host[0] ? s->listen_host : "*",
              leat_edge_thread_port(s->edge));
    return 0;
}

/* ---- apply ---- */

static void engine_limits(const leat_config *from, leat_engine_config *engine)
{
    leat_engine_config_defaults(engine);
    engine->records_max = (uint32_t)from->records_max;
    engine->bytes_max = (uint64_t)from->memory_max;
    engine->batch_records_max = (uint32_t)from->batch_records;
    engine->batch_bytes_max = (uint64_t)from->batch_bytes;
    engine->age_bound_us = from->age_bound_ms * 1000;
    engine->compact_every_us = from->compact_every_ms * 1000;
    engine->commit_every_us = from->commit_every_ms * 1000;
    engine->drain_us = from->drain_ms * 1000;
    engine->patience_us = from->patience_ms * 1000;
    engine->dead_letters_per_minute = (uint32_t)from->dead_letters_per_minute;
    engine->dead_letters_percent = (uint32_t)from->dead_letters_percent;
    engine->seed = (uint64_t)leat_wall_ms() * 2654435761u + (uint64_t)getpid();
}

/* Of the shards that answer now; one that does not is no reason to wait. */
static int refuse_other_groups(serve *s, leat_error *error)
{
    const leat_source *source = &s->assembly.catalog.source;
    for (uint32_t i = 0; i < s->assembly.catalog.layout.shard_count; i++) {
        int status =
            leat_shard_refuse_others(s->shards[i].at, source, s->assembly.log.group, error);
        if (status == 1)
            return leat_fail_prefix(error, "shard %s", s->shards[i].name);
    }
    leat_shard_owner(source, s->assembly.log.group, s->owner);
    return 0;
}

static int make_workers(serve *s, leat_error *error)
{
    if (refuse_other_groups(s, error) != 0)
        return -1;
    leat_worker_config config = {
        .log = s->assembly.log,
        .identity = s->assembly.identity,
        .catalog = &s->assembly.catalog,
        .schema_versions = s->schema_versions,
        .shards = s->shards,
        .owner = s->owner,
        .lock_timeout_ms = s->assembly.config.lock_timeout_ms,
        .metrics = s->metrics,
    };
    engine_limits(&s->assembly.config, &config.engine);
    for (int64_t i = 0; i < s->assembly.config.workers; i++) {
        config.index = (uint32_t)i;
        config.engine.seed++;
        config.log.reader = (uint32_t)i;
        config.log.reader_count = (uint32_t)s->assembly.config.workers;
        leat_worker *worker = leat_worker_new(&config, error);
        if (!worker)
            return -1;
        s->workers[s->worker_count++] = worker;
    }
    return 0;
}

/* ---- admin ---- */

static bool serve_ready(void *context, leat_buf *why)
{
    const serve *s = context;
    if (s->draining) {
        leat_buf_text(why, "draining");
        return false;
    }
    for (uint32_t i = 0; i < s->worker_count; i++) {
        const char *shard;
        if (!leat_worker_ready(s->workers[i], &shard)) {
            leat_buf_printf(why, "shard %s has no connection", shard);
            return false;
        }
        leat_log_health health;
        leat_worker_log(s->workers[i], &health);
        if (health.since_ms != 0) {
            leat_buf_text(why, health.why);
            return false;
        }
        if (leat_worker_stopped(s->workers[i], why))
            return false;
    }
    return true;
}

static int make_admin(serve *s, leat_error *error)
{
    const char *address = s->assembly.config.admin;
    if (strcmp(address, "off") == 0)
        return 0;
    leat_http_config http;
    leat_http_config_defaults(&http);
    if (leat_config_address(address, s->admin_host, sizeof s->admin_host, &http.port, error) != 0)
        return leat_config_blame(&s->assembly.config, error, "admin");
    http.host = s->admin_host;
    s->admin = leat_admin_new(&s->loop, &http, s->metrics, serve_ready, s, error);
    if (!s->admin)
        return leat_config_blame(&s->assembly.config, error, "admin");
    leat_info("metrics on http://%s:%d/metrics", s->admin_host[0] ? s->admin_host : "*",
              leat_admin_port(s->admin));
    return 0;
}

/* ---- life ---- */

static void drain(serve *s)
{
    s->draining = true;
    leat_notify("STOPPING=1\nSTATUS=draining");
    if (s->watch)
        leat_catalog_watch_stop(s->watch);
    if (s->edge)
        leat_edge_thread_drain(s->edge);
    for (uint32_t i = 0; i < s->worker_count; i++)
        leat_worker_drain(s->workers[i]);
}

static void on_thread_exit(void *context)
{
    serve *s = context;
    atomic_fetch_sub(&s->running, 1);
    uv_async_send(&s->thread_ended);
}

static bool some_worker_failed(const serve *s)
{
    bool failed = false;
    for (uint32_t i = 0; i < s->worker_count; i++)
        failed = failed || leat_worker_failed(s->workers[i]);
    return failed;
}

/* A thread ends because it was told to, or because it cannot go on: then nobody should think that
 * this process works. */
static void on_thread_ended(uv_async_t *async)
{
    serve *s = async->data;
    if (some_worker_failed(s) || (s->edge && leat_edge_thread_failed(s->edge)))
        s->code = LEAT_EXIT_FAILED;
    if (atomic_load(&s->running) == 0)
        uv_stop(&s->loop);
    else if (s->code != LEAT_EXIT_OK && !s->draining)
        drain(s);
}

static void on_drain_asked(uv_async_t *async)
{
    serve *s = async->data;
    if (!s->draining)
        drain(s);
}

/* A look at a shard that does not answer keeps a thread of libuv's pool for as long as its time
 * limit, and so does a SQLite file on a disk that hangs, for each worker. */
static void size_thread_pool(const leat_config *config)
{
    char text[16];
    uint32_t count = config->shard_count + SPARE_POOL_THREADS;
    for (uint32_t i = 0; i < config->shard_count; i++)
        count += config->shards[i].sqlite ? (uint32_t)config->workers : 0;
    snprintf(text, sizeof text, "%u", count);
    setenv("UV_THREADPOOL_SIZE", text, 1);
}

static void init_loop(serve *s)
{
    size_thread_pool(&s->assembly.config);
    uv_loop_init(&s->loop);
    uv_async_init(&s->loop, &s->drain_asked, on_drain_asked);
    uv_async_init(&s->loop, &s->thread_ended, on_thread_ended);
    s->drain_asked.data = s->thread_ended.data = s;
}

static int start_threads(serve *s, leat_error *error)
{
    leat_signals_serve(&s->drain_asked);
    if (s->edge) {
        atomic_fetch_add(&s->running, 1);
        if (leat_edge_thread_start(s->edge, on_thread_exit, s, error) != 0)
            return -1;
    }
    for (uint32_t i = 0; i < s->worker_count; i++) {
        atomic_fetch_add(&s->running, 1);
        if (leat_worker_start(s->workers[i], on_thread_exit, s, error) != 0)
            return -1;
    }
    return 0;
}

static int start_reporter(serve *s, leat_error *error)
{
    leat_reporter_config config = {
        .shards = s->shards,
        .shard_count = s->assembly.catalog.layout.shard_count,
        .source_id = s->assembly.catalog.source.id,
        .owner = s->owner,
        .workers = s->workers,
        .worker_count = s->worker_count,
    };
    if (s->worker_count == 0)
        return 0;
    s->reporter = leat_reporter_new(&config, error);
    return s->reporter ? 0 : -1;
}

/* The built-in log is made when it is not there; a topic is not. */
static int open_log(serve *s, leat_error *error)
{
    leat_topic_spec spec = {.partition_count = leat_config_partitions(&s->assembly.config)};
    return leat_log_open(&s->assembly.log, &spec, error);
}

/* Nobody has to have the right to know. */
static int refuse_compaction(const leat_assembly *assembly, leat_error *error)
{
    int answer = leat_assembly_check_compaction(assembly, error);
    if (answer == 1)
        leat_warn("whether topic %s is compacted is not known, and compaction loses writes: %s",
                  assembly->log.topic, error->text);
    return answer < 0 ? -1 : 0;
}

static int start_up(serve *s, leat_error *error)
{
    leat_assembly *assembly = &s->assembly;
    bool wait = s->with_apply;
    if (leat_descriptors_prepare(&assembly->config, s->with_edge, error) != 0 ||
        open_log(s, error) != 0)
        return -1;
    int answer = leat_assembly_identify(assembly, wait, error);
    if (answer != 0) {
        if (answer < 0 || access(assembly->catalog_file, R_OK) != 0)
            return -1;
        leat_warn("Kafka does not answer yet: %s", error->text);
    } else if (leat_assembly_check_partitions(assembly, error) != 0 ||
               refuse_compaction(assembly, error) != 0) {
        return -1;
    }
    if (leat_assembly_load_catalog(assembly, wait, error) != 0 || make_board(s, error) != 0)
        return -1;
    if (s->with_edge && make_edge(s, error) != 0)
        return -1;
    if (s->with_apply && make_workers(s, error) != 0)
        return -1;
    return make_admin(s, error);
}

static void tear_down(serve *s)
{
    if (s->edge)
        leat_edge_thread_free(s->edge);
    leat_reporter_free(s->reporter);
    for (uint32_t i = 0; i < s->worker_count; i++)
        leat_worker_free(s->workers[i]);
    if (s->admin)
        leat_admin_free(s->admin);
    leat_log_close(&s->assembly.log);
    leat_catalog_watch_free(s->watch);
    leat_loop_end(&s->loop);
    leat_schema_versions_free(s->schema_versions);
    leat_metrics_free(s->metrics);
    free(s->shards);
    free(s->shard_names);
    leat_assembly_fini(&s->assembly);
}

static int fail(const serve *s, int code, const leat_error *error)
{
    leat_complain("leat %s: %s", s->command, error->text);
    return code;
}

static int serve_until_drained(serve *s)
{
    leat_error error = {0};
    leat_notify("STATUS=starting: asking the log and the shards");
    if (start_up(s, &error) != 0)
        return fail(s, LEAT_EXIT_FAILED, &error);
    if (start_threads(s, &error) != 0 || start_reporter(s, &error) != 0) {
        fail(s, LEAT_EXIT_FAILED, &error);
        _exit(LEAT_EXIT_FAILED); /* threads that did start have nothing to lose */
    }
    leat_notify("READY=1\nSTATUS=up");
    leat_info("leat %s is up", s->command);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    leat_info("drained");
    return s->code;
}

/* The built-in log is one process's. */
static int refuse_half(const serve *s, leat_error *error)
{
    if (!s->assembly.log.file || (s->with_edge && s->with_apply))
        return 0;
    leat_fail(error, "the built-in log is for `leat run` alone: it cannot be shared by processes");
    return leat_config_blame(&s->assembly.config, error, "log.local");
}

int leat_serve(const char *command, bool with_edge, bool with_apply, const char *config_file)
{
    serve s = {.command = command, .with_edge = with_edge, .with_apply = with_apply};
    leat_error error = {0};
    if (leat_signals_take(&error) != 0)
        return fail(&s, LEAT_EXIT_FAILED, &error);
    if (leat_assembly_load_config(&s.assembly, config_file, &error) != 0 ||
        refuse_half(&s, &error) != 0) {
        leat_signals_over(LEAT_EXIT_USAGE);
        leat_assembly_fini(&s.assembly);
        return fail(&s, LEAT_EXIT_USAGE, &error);
    }
    s.metrics = leat_metrics_new();
    init_loop(&s);
    int code = serve_until_drained(&s);
    leat_signals_over(code);
    tear_down(&s);
    return code;
}
