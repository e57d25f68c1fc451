/*
 * parts.c - the parts of a process that serves, made from the assembly: versions of the tables and
 * the watch over them, the edge, the workers, the admin listener, the reporter. Everything that can
 * fail does so here, before a thread runs or a client is let in; a fault of the configuration is
 * blamed on its line.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "daemon/certificate.h"
#include "daemon/daemon_state.h"
#include "daemon/log_identity.h"
#include "daemon/shard_tables.h"
#include "daemon/start_catalog.h"

enum { READY_AGE_MS = 5000, CATALOG_STALE_READS = 3 };

/* ---- shards and their tables ---- */

static int match_shards(leat_daemon *daemon, leat_error *error)
{
    const leat_layout *layout = &daemon->assembly.catalog.layout;
    daemon->shards = leat_must_calloc(layout->shard_count, sizeof *daemon->shards);
    daemon->shard_names = leat_must_calloc(layout->shard_count, sizeof *daemon->shard_names);
    for (uint32_t i = 0; i < layout->shard_count; i++) {
        const leat_config_shard *from =
            leat_config_find_shard(&daemon->assembly.config, leat_slice_of(layout->shards[i].name));
        if (!from) {
            leat_fail(error, "the stored layout has a shard %s, which is not configured",
                      layout->shards[i].name);
            return leat_config_blame(&daemon->assembly.config, error, "shards");
        }
        int64_t share = from->connections / daemon->assembly.config.workers;
        daemon->shards[i] =
            (leat_worker_shard){.name = from->name,
                                .at = leat_assembly_address(from),
                                .connections = share > 0 ? (uint32_t)share : 1,
                                .connections_total = (uint32_t)from->connections_total,
                                .parked_max = (uint64_t)from->parked_max,
                                .held_max = (uint64_t)from->held_max,
                                .commits_async = leat_config_commits_async(from)};
        daemon->shard_names[i] = from->name;
    }
    return 0;
}

static void request_read(void *context)
{
    leat_daemon *daemon = context;
    leat_catalog_watch_request_read(daemon->watch);
}

/* An old set is better than none: each of its members ends by itself. */
static void follow_floods(const leat_daemon *daemon, uint32_t shard)
{
    leat_control_set *set;
    leat_error error;
    int64_t read_us = leat_mono_us();
    if (leat_shard_read_floods(daemon->shards[shard].at, daemon->assembly.catalog.source.id, &set,
                               &error) == 0)
        leat_controls_publish(daemon->floods, shard, set, read_us);
    else
        leat_debug("floods not read shard=%s reason=\"%s\"", daemon->shard_names[shard],
                   error.text);
}

/* What is looked at in a shard again and again: who is loud first, because tables that do not fit
 * must not keep the edge from acting. */
static int read_tables(void *context, uint32_t shard, leat_table **ret_tables, uint32_t *ret_count,
                       leat_error *error)
{
    const leat_daemon *daemon = context;
    if (daemon->with_edge)
        follow_floods(daemon, shard);
    return leat_assembly_read_tables(&daemon->assembly, daemon->shards[shard].at, ret_tables,
                                     ret_count, error);
}

static leat_schema_version *build_version(void *context, leat_table *tables, uint32_t count,
                                          leat_error *error)
{
    const leat_daemon *daemon = context;
    return leat_assembly_build_version(&daemon->assembly, tables, count, error);
}

static void on_published(void *context, uint32_t shard, const leat_schema_version *version)
{
    const leat_daemon *daemon = context;
    leat_error error;
    if (leat_assembly_save_catalog(&daemon->assembly, version, &error) != 0)
        leat_warn("catalog file not written after a change shard=%s file=%s reason=\"%s\"",
                  daemon->shard_names[shard], daemon->assembly.catalog_file, error.text);
}

int leat_daemon_make_versions(leat_daemon *daemon, leat_error *error)
{
    if (match_shards(daemon, error) != 0)
        return -1;
    leat_assembly *assembly = &daemon->assembly;
    uint32_t count = assembly->catalog.layout.shard_count;
    daemon->schema_versions = leat_schema_versions_new(count, request_read, daemon);
    daemon->controls = leat_controls_new(count);
    daemon->floods = leat_controls_new(count);
    for (uint32_t i = 0; i < count; i++) {
        leat_slice name = leat_slice_of(daemon->shard_names[i]);
        ptrdiff_t at = leat_config_find_shard(&assembly->config, name) - assembly->config.shards;
        leat_schema_versions_publish(daemon->schema_versions, i, assembly->versions[at],
                                     assembly->catalog_read_us[at]);
        assembly->versions[at] = NULL;
    }
    leat_catalog_watch_config config = {
        .schema_versions = daemon->schema_versions,
        .shard_count = count,
        .shard_names = daemon->shard_names,
        .every_ms = assembly->config.catalog_every_ms,
        .context = daemon,
        .read = read_tables,
        .build = build_version,
        .published = on_published,
    };
    daemon->watch = leat_catalog_watch_new(&daemon->loop, &config);
    return 0;
}

/* ---- who waits for writes ---- */

void leat_daemon_make_writes(leat_daemon *daemon)
{
    int64_t max = daemon->assembly.config.waiting_max;
    if (daemon->with_edge && max > 0)
        daemon->writes = leat_write_waits_new(&daemon->assembly.catalog.layout, (uint32_t)max);
}

int leat_daemon_start_write_watch(leat_daemon *daemon, leat_error *error)
{
    leat_shard_address addresses[LEAT_SHARDS_MAX];
    bool commits_async[LEAT_SHARDS_MAX];
    uint32_t count = daemon->assembly.catalog.layout.shard_count;
    if (!daemon->writes)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        addresses[i] = daemon->shards[i].at;
        commits_async[i] = daemon->shards[i].commits_async;
    }
    leat_write_watch_config config = {
        .waits = daemon->writes,
        .shard_count = count,
        .shard_names = daemon->shard_names,
        .addresses = addresses,
        .commits_async = commits_async,
        .source_id = daemon->assembly.catalog.source.id,
    };
    daemon->write_watch = leat_write_watch_new(&config, error);
    return daemon->write_watch ? 0 : -1;
}

/* ---- the edge ---- */

static leat_edge_rate edge_rate(int64_t rate, int64_t burst)
{
    return (leat_edge_rate){(uint64_t)rate, (uint64_t)(burst > 0 ? burst : rate)};
}

static void tell_certificate(const leat_daemon *daemon, int64_t expires_s)
{
    if (daemon->certificate_expires)
        leat_certificate_tell(daemon->assembly.config.tls_certificate, expires_s,
                              leat_wall_ms() / 1000, daemon->certificate_expires);
}

/* Checked here, on the main thread; the edge then takes them over on its own. */
static int read_tls(void *context, leat_error *error)
{
    leat_daemon *daemon = context;
    leat_http_tls_config config;
    int64_t expires_s;
    if (leat_assembly_tls(&daemon->assembly.config, &config, &expires_s, error) != 0)
        return -1;
    leat_edge_thread_reload(daemon->edge);
    tell_certificate(daemon, expires_s);
    return 0;
}

static void watch_tls(leat_daemon *daemon)
{
    const leat_config *from = &daemon->assembly.config;
    const char *files[] = {from->tls_certificate, from->tls_key, from->tls_client_ca};
    if (from->tls_certificate)
        leat_reload_add(daemon->reload, files, from->tls_client_ca ? 3 : 2, read_tls, daemon);
}

static int reload_auth(void *context, leat_error *error)
{
    const leat_daemon *daemon = context;
    return leat_auth_reload(daemon->auth, error);
}

/* None when nothing says who may write. */
static int make_auth(leat_daemon *daemon, leat_error *error)
{
    const char *files[2];
    uint32_t count = 0;
    leat_auth_config config;
    if (!leat_assembly_auth(&daemon->assembly.config, &config))
        return 0;
    daemon->auth = leat_auth_new(&config, error);
    if (!daemon->auth)
        return leat_config_blame(&daemon->assembly.config, error, "auth");
    if (config.tokens_file)
        files[count++] = config.tokens_file;
    if (config.jwt_keys_file)
        files[count++] = config.jwt_keys_file;
    leat_reload_add(daemon->reload, files, count, reload_auth, daemon);
    return 0;
}

bool leat_daemon_reads_again(const leat_config *config)
{
    leat_auth_config unused;
    return config->tls_certificate || leat_assembly_auth(config, &unused);
}

int leat_daemon_make_edge(leat_daemon *daemon, leat_error *error)
{
    const leat_config *from = &daemon->assembly.config;
    if (make_auth(daemon, error) != 0)
        return -1;
    leat_log_identity identity = leat_assembly_stored_identity(&daemon->assembly);
    leat_edge_config config = {
        .log = daemon->assembly.log,
        .identity = &identity,
        .layout = &daemon->assembly.catalog.layout,
        .schema_versions = daemon->schema_versions,
        .in_flight_max = (uint32_t)from->in_flight_max,
        .batches_max = (uint32_t)from->batches_max,
        .idempotency_ms = from->idempotency_ms,
        .auth = daemon->auth,
        .token_rate = edge_rate(from->token_rate, from->token_burst),
        .tenant_rate = edge_rate(from->tenant_rate, from->tenant_burst),
        .floods = daemon->floods,
        .key_rate = edge_rate(from->key_rate, from->key_burst),
        .ready_age_ms = READY_AGE_MS,
        .docs = strcmp(from->docs, "on") == 0,
        .catalog_stale_ms = CATALOG_STALE_READS * from->catalog_every_ms + READY_AGE_MS,
        .writes = {.source = leat_write_token_source(&daemon->assembly.catalog.source),
                   .placement = &daemon->assembly.catalog.source.placement,
                   .waits = daemon->writes,
                   .wait_max_s = (uint32_t)(from->wait_max_ms / 1000)},
        .modes = daemon->modes,
        .direct = leat_daemon_direct_source(daemon),
        .tracer = daemon->tracer,
        .metrics = daemon->metrics,
    };
    leat_http_config_defaults(&config.http);
    if (leat_config_address(from->listen, daemon->listen_host, sizeof daemon->listen_host,
                            &config.http.port, error) != 0)
        return leat_config_blame(&daemon->assembly.config, error, "listen");
    config.http.host = daemon->listen_host;
    config.http.body_max = (size_t)from->body_max;
    config.http.header_timeout_ms = from->header_timeout_ms;
    config.http.body_timeout_ms = from->body_timeout_ms;
    config.http.idle_timeout_ms = from->idle_timeout_ms;
    config.http.connections_max = (uint32_t)from->edge_connections;
    config.http.streams_max = (uint32_t)from->edge_streams;
    int64_t expires_s;
    if (leat_assembly_tls(from, &config.http.tls, &expires_s, error) != 0)
        return -1;
    if (config.http.tls.certificate)
        daemon->certificate_expires =
            leat_metrics_gauge(daemon->metrics, "leat_edge_tls_certificate_expires_seconds", NULL);
    tell_certificate(daemon, expires_s);
    daemon->edge = leat_edge_thread_new(&config, error);
    if (!daemon->edge)
        return leat_config_blame(&daemon->assembly.config, error, "listen");
    watch_tls(daemon);
    leat_info("edge listens url=%s://%s:%d", config.http.tls.certificate ? "https" : "http",
              daemon->listen_host[0] ? daemon->listen_host : "*",
              leat_edge_thread_port(daemon->edge));
    return 0;
}

/* ---- the workers ---- */

/* The most of one deep subpartition in a transaction: as many usual batches, and in all. */
enum { DEEP_BATCHES = 10, DEEP_RECORDS_MAX = 10000 };

static void take_engine_limits(const leat_config *from, leat_engine_config *engine)
{
    leat_engine_config_defaults(engine);
    engine->records_max = (uint32_t)from->records_max;
    engine->bytes_max = (uint64_t)from->memory_max;
    engine->batch_records_max = (uint32_t)from->batch_records;
    engine->batch_bytes_max = (uint64_t)from->batch_bytes;
    int64_t deep = DEEP_BATCHES * from->batch_records;
    engine->deep_records_max = deep < DEEP_RECORDS_MAX ? (uint32_t)deep : DEEP_RECORDS_MAX;
    engine->age_bound_us = from->age_bound_ms * 1000;
    engine->compact_every_us = from->compact_every_ms * 1000;
    engine->commit_every_us = from->commit_every_ms * 1000;
    engine->drain_us = from->drain_ms * 1000;
    engine->lock_timeout_us = from->lock_timeout_ms * 1000;
    engine->patience_us = from->patience_ms * 1000;
    engine->dead_letters_per_minute = (uint32_t)from->dead_letters_per_minute;
    engine->dead_letters_percent = (uint32_t)from->dead_letters_percent;
    engine->seed = (uint64_t)leat_wall_ms() * 2654435761u + (uint64_t)getpid();
}

/* Asks the shards that answer now. Progress is safe in any case: two groups would only fence each
 * other, so a shard that is down is not waited for. */
static int check_other_groups(leat_daemon *daemon, leat_error *error)
{
    const leat_source *source = &daemon->assembly.catalog.source;
    for (uint32_t i = 0; i < daemon->assembly.catalog.layout.shard_count; i++) {
        int status = leat_shard_refuse_others(daemon->shards[i].at, source,
                                              daemon->assembly.log.group, error);
        if (status == 1)
            return leat_fail_prefix(error, "shard %s", daemon->shards[i].name);
    }
    leat_shard_owner(source, daemon->assembly.log.group, daemon->owner);
    return 0;
}

int leat_daemon_make_workers(leat_daemon *daemon, leat_error *error)
{
    if (check_other_groups(daemon, error) != 0)
        return -1;
    leat_worker_config config = {
        .log = daemon->assembly.log,
        .identity = daemon->assembly.identity,
        .catalog = &daemon->assembly.catalog,
        .schema_versions = daemon->schema_versions,
        .controls = daemon->controls,
        .writes = daemon->writes,
        .shards = daemon->shards,
        .owner = daemon->owner,
        .lock_timeout_ms = daemon->assembly.config.lock_timeout_ms,
        .idempotency_ms = daemon->assembly.config.idempotency_ms,
        .lag_limit_ms = daemon->assembly.config.lag_limit_ms,
        .tracer = daemon->tracer,
        .metrics = daemon->metrics,
    };
    take_engine_limits(&daemon->assembly.config, &config.engine);
    for (int64_t i = 0; i < daemon->assembly.config.workers; i++) {
        config.index = (uint32_t)i;
        config.engine.seed++;
        config.log.reader = (uint32_t)i;
        config.log.reader_count = (uint32_t)daemon->assembly.config.workers;
        leat_worker *worker = leat_worker_new(&config, error);
        if (!worker)
            return -1;
        daemon->workers[daemon->worker_count++] = worker;
    }
    return 0;
}

int leat_daemon_start_reporter(leat_daemon *daemon, leat_error *error)
{
    leat_reporter_config config = {
        .shards = daemon->shards,
        .shard_count = daemon->assembly.catalog.layout.shard_count,
        .source_id = daemon->assembly.catalog.source.id,
        .placement = &daemon->assembly.catalog.source.placement,
        .owner = daemon->owner,
        .workers = daemon->workers,
        .worker_count = daemon->worker_count,
        .controls = daemon->controls,
        .partition_count = daemon->assembly.catalog.layout.partition_count,
        .idempotency_ms = daemon->assembly.config.idempotency_ms,
    };
    if (daemon->worker_count == 0)
        return 0;
    daemon->reporter = leat_reporter_new(&config, error);
    return daemon->reporter ? 0 : -1;
}

/* ---- the admin listener ---- */

static bool is_ready(void *context, leat_buf *why)
{
    const leat_daemon *daemon = context;
    if (daemon->phase == LEAT_DAEMON_LEAVING || daemon->phase == LEAT_DAEMON_DRAINING) {
        leat_buf_text(why, "shutting down");
        return false;
    }
    for (uint32_t i = 0; i < daemon->worker_count; i++) {
        const char *shard;
        if (!leat_worker_ready(daemon->workers[i], &shard)) {
            leat_buf_printf(why, "shard %s has no connection", shard);
            return false;
        }
        leat_log_health health;
        leat_worker_log(daemon->workers[i], &health);
        if (health.since_ms != 0) {
            leat_buf_text(why, health.why);
            return false;
        }
        if (leat_worker_stopped(daemon->workers[i], why))
            return false;
    }
    return true;
}

static void show_culprits(void *context, leat_buf *out)
{
    leat_daemon_write_culprits(context, out);
}

int leat_daemon_make_admin(leat_daemon *daemon, leat_error *error)
{
    const char *address = daemon->assembly.config.admin;
    if (strcmp(address, "off") == 0)
        return 0;
    leat_admin_config config = {
        .token = daemon->assembly.config.admin_token,
        .metrics = daemon->metrics,
        .shards = daemon->shard_names,
        .shard_count = daemon->assembly.catalog.layout.shard_count,
        .ready = is_ready,
        .state = leat_daemon_write_state,
        .culprits = show_culprits,
        .context = daemon,
        .assembly = &daemon->assembly,
    };
    leat_http_config_defaults(&config.http);
    if (leat_config_address(address, daemon->admin_host, sizeof daemon->admin_host,
                            &config.http.port, error) != 0)
        return leat_config_blame(&daemon->assembly.config, error, "admin");
    config.http.host = daemon->admin_host;
    daemon->admin = leat_admin_new(&daemon->loop, &config, error);
    if (!daemon->admin)
        return leat_config_blame(&daemon->assembly.config, error, "admin");
    leat_info("admin listens url=http://%s:%d", daemon->admin_host[0] ? daemon->admin_host : "*",
              leat_admin_port(daemon->admin));
    return 0;
}
