/*
 * assemble.c - the configuration file as settings of the log, and its faults as messages with file
 * and line. librdkafka checks its properties itself, but names neither the line nor always the
 * property, so a refused property is found by trying each alone. And properties that librdkafka
 * accepts may still contradict leat's own settings.
 */
#include "daemon/assemble.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/diag.h"

/* ---- settings ---- */

static int make_data_dir(leat_assembly *assembly, leat_error *error)
{
    const char *dir = assembly->config.data_dir;
    if (mkdir(dir, 0750) != 0 && errno != EEXIST) {
        leat_fail(error, "cannot make %s: %s", dir, strerror(errno));
        return leat_config_blame(&assembly->config, error, "data_dir");
    }
    leat_buf path = {0};
    leat_buf_printf(&path, "%s/%s.catalog.json", dir, leat_config_topic(&assembly->config));
    assembly->catalog_file = leat_must_strdup(leat_buf_cstr(&path));
    leat_buf_free(&path);
    return 0;
}

static void take_log_settings(leat_assembly *assembly)
{
    const leat_config *config = &assembly->config;
    assembly->properties =
        leat_must_calloc(config->kafka_property_count, sizeof *assembly->properties);
    for (uint32_t i = 0; i < config->kafka_property_count; i++)
        assembly->properties[i] = (leat_log_property){config->kafka_properties[i].name,
                                                      config->kafka_properties[i].value};
    assembly->log = (leat_log_config){
        .file = config->local_path,
        .brokers = config->kafka_brokers,
        .topic = leat_config_topic(config),
        .group = config->kafka_group,
        .properties = assembly->properties,
        .property_count = config->kafka_property_count,
        .renew_after_ms = config->kafka_renew_after_ms,
        .give_up_after_ms = config->kafka_give_up_after_ms,
        .value_max = (size_t)config->body_max,
    };
}

/* ---- properties of librdkafka ---- */

static int blame_property(const leat_assembly *assembly, const char *name, leat_error *error)
{
    return leat_config_blame(&assembly->config, error, "log.kafka.properties.%s", name);
}

/* Of the configured properties the one that the text names first; NULL: none. */
static const char *first_named(const leat_assembly *assembly, const char *text)
{
    const char *ret = NULL, *first = NULL;
    for (uint32_t i = 0; i < assembly->config.kafka_property_count; i++) {
        const char *at = strstr(text, assembly->properties[i].name);
        if (!at || (first && first <= at))
            continue;
        first = at;
        ret = assembly->properties[i].name;
    }
    return ret;
}

/* Blames the first property that is refused alone too. When each is accepted alone, two contradict
 * each other: then the first one that the error names is blamed. */
static int blame_log(const leat_assembly *assembly, leat_error *error)
{
    leat_log_config one = assembly->log;
    leat_error alone;
    one.property_count = 1;
    for (uint32_t i = 0; i < assembly->config.kafka_property_count; i++) {
        one.properties = &assembly->properties[i];
        if (leat_log_check(&one, &alone) == 0)
            continue;
        *error = alone;
        return blame_property(assembly, one.properties->name, error);
    }
    const char *named = first_named(assembly, error->text);
    if (named)
        return blame_property(assembly, named, error);
    return leat_config_blame(&assembly->config, error,
                             assembly->log.file ? "log.local" : "log.kafka");
}

/* Of whole numbers; -1: it is not set. */
static int64_t property_number(const leat_config *config, const char *name)
{
    const leat_config_pair *property = leat_config_property(config, name);
    return property ? strtoll(property->value, NULL, 10) : -1;
}

/* Otherwise the client's queue would be full, and the edge answer 503, before limits.in_flight is
 * reached. */
static int check_queue(const leat_assembly *assembly, leat_error *error)
{
    static const char name[] = "queue.buffering.max.messages";
    const leat_config *config = &assembly->config;
    int64_t count = property_number(config, name), needed = config->in_flight_max;
    if (count >= 0 && count < needed) {
        leat_fail(error, "%lld is less than limits.in_flight, %lld", (long long)count,
                  (long long)needed);
        return blame_property(assembly, name, error);
    }
    if (config->local_path || count >= 0 || needed <= LEAT_LOG_QUEUE_DEFAULT)
        return 0;
    leat_fail(error,
              "%lld is more than Kafka's client queues (at most %d; for more, set %s in "
              "log.kafka.properties too)",
              (long long)needed, LEAT_LOG_QUEUE_DEFAULT, name);
    return leat_config_blame(config, error, "limits.in_flight");
}

/* Values that librdkafka accepts, but that contradict leat's own settings. */
static int check_properties(const leat_assembly *assembly, leat_error *error)
{
    const leat_config *config = &assembly->config;
    if (config->workers > 1 && leat_config_property(config, "group.instance.id")) {
        leat_fail(
            error,
            "each of the %lld workers joins the group, and two members with one id fence each other; set "
            "workers to 1, and use another id for each process",
            (long long)config->workers);
        return blame_property(assembly, "group.instance.id", error);
    }
    int64_t bytes = property_number(config, "message.max.bytes"),
            need = config->body_max + LEAT_LOG_RECORD_ROOM;
    if (bytes >= 0 && bytes < need) {
        leat_fail(
            error,
            "%lld is less than a body of limits.body_max needs (set at least %lld, or leave it out)",
            (long long)bytes, (long long)need);
        return blame_property(assembly, "message.max.bytes", error);
    }
    return check_queue(assembly, error);
}

/* ---- public ---- */

int leat_assembly_check_addresses(const leat_config *config, leat_error *error)
{
    for (uint32_t i = 0; i < config->shard_count; i++) {
        const leat_config_shard *shard = &config->shards[i];
        if (leat_shard_check_address(leat_assembly_address(shard), error) == 0)
            continue;
        leat_fail_prefix(error, "shard %s", shard->name);
        return leat_config_blame(config, error, "shards[%u].%s", i, shard->dsn ? "dsn" : "sqlite");
    }
    return 0;
}

int leat_assembly_load_config(leat_assembly *assembly, const char *file, leat_error *error)
{
    *assembly = (leat_assembly){0};
    if (leat_config_load(file, &assembly->config, error) != 0)
        return -1;
    leat_level level;
    if (leat_diag_parse_level(assembly->config.log_level, &level))
        leat_diag_level(level);
    take_log_settings(assembly);
    if (leat_log_check(&assembly->log, error) != 0)
        return blame_log(assembly, error);
    if (check_properties(assembly, error) != 0)
        return -1;
    if (leat_assembly_check_addresses(&assembly->config, error) != 0)
        return -1;
    return make_data_dir(assembly, error);
}

bool leat_assembly_auth(const leat_config *config, leat_auth_config *ret)
{
    *ret = (leat_auth_config){.tokens_file = config->auth_tokens,
                              .jwt_keys_file = config->jwt_keys,
                              .jwt = {.issuer = config->jwt_issuer,
                                      .audience = config->jwt_audience,
                                      .tenant_claim = config->jwt_tenant_claim,
                                      .scope_claim = config->jwt_scope_claim,
                                      .leeway_s = config->jwt_leeway_ms / 1000}};
    return ret->tokens_file || ret->jwt_keys_file;
}

int leat_assembly_tls(const leat_config *config, leat_http_tls_config *ret, int64_t *ret_expires_s,
                      leat_error *error)
{
    const char *member = NULL;
    *ret = (leat_http_tls_config){0};
    *ret_expires_s = 0;
    if (!config->tls_certificate)
        return 0;
    *ret = (leat_http_tls_config){
        .certificate = config->tls_certificate,
        .key = config->tls_key,
        .client_ca = config->tls_client_ca,
        .needs_client_certificate = strcmp(config->tls_clients, "required") == 0,
        .is_1_3_only = strcmp(config->tls_min_version, "1.3") == 0,
    };
    if (leat_http_tls_check(ret, ret_expires_s, &member, error) != 0)
        return leat_config_blame(config, error, "http.tls.%s", member);
    return 0;
}

leat_shard_address leat_assembly_address(const leat_config_shard *shard)
{
    return (leat_shard_address){.dsn = shard->dsn, .sqlite = shard->sqlite};
}

void leat_assembly_shard_names(const leat_assembly *assembly, const char *ret[LEAT_SHARDS_MAX])
{
    for (uint32_t i = 0; i < assembly->config.shard_count; i++)
        ret[i] = assembly->config.shards[i].name;
}

void leat_assembly_fini(leat_assembly *assembly)
{
    for (uint32_t shard = 0; shard < LEAT_SHARDS_MAX; shard++)
        leat_schema_version_free(assembly->versions[shard]);
    leat_catalog_fini(&assembly->catalog);
    leat_config_fini(&assembly->config);
    free(assembly->properties);
    free(assembly->catalog_file);
}
