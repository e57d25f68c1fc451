/*
 * rules.c - rules about several settings at once. Each blames the setting that a person would
 * change: if the file gives only one of the two, that one. A rule that needs another room's
 * knowledge, such as a property of librdkafka, is checked in daemon/assemble.c, which has both.
 */
#include "config/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/placement.h"
#include "config/rules_state.h"
#include "config/text.h"

enum { PARAMETERS_WORDS = 400, HOST_MAX = 256 };

#define HEADER_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

/* ---- the log ---- */

/* Otherwise the process would end before a new client was tried. */
static int check_renewal(const rules_checker *c, const leat_node *kafka)
{
    int64_t renew_ms = c->config->kafka_renew_after_ms,
            give_up_ms = c->config->kafka_give_up_after_ms;
    if (give_up_ms == 0 || give_up_ms > renew_ms)
        return 0;
    char text[32];
    const leat_node *node = leat_node_get(kafka, "give_up_after");
    leat_text_print_number(node ? renew_ms : give_up_ms, LEAT_UNIT_MS, text, sizeof text);
    if (node)
        return leat_node_fail(c->config->file, node, NULL, c->error,
                              "must be longer than log.kafka.renew_after (%s), or 0 for never",
                              text);
    return leat_node_fail(c->config->file, leat_node_get(kafka, "renew_after"), NULL, c->error,
                          "must be shorter than log.kafka.give_up_after (%s)", text);
}

/* A window that is a large part of all is no protection. */
static int check_window(const rules_checker *c, const leat_node *log)
{
    const leat_node *window = leat_node_get(log, "tenant_window");
    uint32_t subpartitions = leat_config_subpartitions(c->config);
    uint32_t most = subpartitions / LEAT_TENANT_WINDOW_PART;
    if (!window)
        c->config->tenant_window = -1;
    else if (c->config->tenant_window > most)
        return leat_node_fail(
            c->config->file, window, NULL, c->error,
            "must be at most one %dth of log.subpartitions, which is %u (0 to %u)",
            LEAT_TENANT_WINDOW_PART, subpartitions, most);
    return 0;
}

static int check_log(const rules_checker *c)
{
    const leat_node *log = leat_node_get(c->root, "log");
    if (check_window(c, log) < 0)
        return -1;
    const leat_node *kafka = leat_node_get(log, "kafka"), *local = leat_node_get(log, "local");
    if (!kafka && !local)
        return leat_node_fail(c->config->file, log, NULL, c->error,
                              "has no log (give kafka with brokers and topic, or local with path)");
    if (kafka && local)
        return leat_node_fail(c->config->file, local, NULL, c->error,
                              "log.kafka is given too (give one of the two)");
    if (kafka && check_renewal(c, kafka) < 0)
        return -1;
    const leat_node *partitions = leat_node_get(kafka ? kafka : local, "partitions");
    uint32_t wanted = leat_config_partitions(c->config);
    if (partitions && wanted < c->config->shard_count)
        return leat_node_fail(
            c->config->file, partitions, NULL, c->error,
            "%u is less than the number of shards, and each needs a partition (at least %u)",
            wanted, c->config->shard_count);
    return 0;
}

/* ---- routes ---- */

static void list_parameters(const char *path, char ret_words[PARAMETERS_WORDS])
{
    size_t used = 0;
    ret_words[0] = '\0';
    for (size_t i = 0; i < leat_text_path_parameters(path) && used < PARAMETERS_WORDS; i++) {
        leat_slice name = leat_text_path_parameter(path, i);
        used += (size_t)snprintf(ret_words + used, PARAMETERS_WORDS - used, "%s%.*s", i ? ", " : "",
                                 (int)name.size, name.data);
    }
}

static bool has_parameter(const char *path, const char *name)
{
    for (size_t i = 0; i < leat_text_path_parameters(path); i++)
        if (leat_slice_is(leat_text_path_parameter(path, i), name))
            return true;
    return false;
}

/* The name that follows one of the places where a tenant may be besides the path; NULL: none. */
static const char *name_elsewhere(const char *tenant)
{
    static const char *const places[] = {"body.", "header."};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (strncmp(tenant, places[i], strlen(places[i])) == 0)
            return tenant + strlen(places[i]);
    return NULL;
}

static int check_tenant_elsewhere(const rules_checker *c, const leat_node *node, const char *tenant,
                                  const char *name)
{
    bool is_header = tenant[0] == 'h';
    if (*name == '\0' || strlen(name) > LEAT_NAME_MAX)
        return leat_node_fail(c->config->file, node, NULL, c->error,
                              "\"%.80s\" names nothing (a name of 1 to %d bytes after the dot)",
                              tenant, LEAT_NAME_MAX);
    if (is_header && name[strspn(name, HEADER_CHARACTERS)])
        return leat_node_fail(c->config->file, node, NULL, c->error,
                              "\"%.80s\" is not the name of a header (letters, digits and '-')",
                              name);
    return 0;
}

/* Without tokens no write would have a tenant. */
static int check_tenant_of_token(const rules_checker *c, const leat_node *given)
{
    return leat_node_get(c->root, "auth")
               ? 0
               : leat_node_fail(c->config->file, given, NULL, c->error,
                                "nobody shows a token without auth (add auth, or another place)");
}

static int check_tenant(const rules_checker *c, const leat_node *node,
                        const leat_config_route *route)
{
    char parameters[PARAMETERS_WORDS];
    list_parameters(route->path, parameters);
    if (!route->tenant && c->config->shard_count > 1)
        return leat_node_fail(c->config->file, node, "tenant", c->error,
                              "missing, and there are %u shards (a parameter of the path: %s; "
                              "or body.NAME, header.NAME or token)",
                              c->config->shard_count, parameters);
    if (!route->tenant || has_parameter(route->path, route->tenant))
        return 0;
    const leat_node *given = leat_node_get(node, "tenant");
    const char *name = name_elsewhere(route->tenant);
    if (strcmp(route->tenant, "token") == 0)
        return check_tenant_of_token(c, given);
    if (name)
        return check_tenant_elsewhere(c, given, route->tenant, name);
    return leat_node_fail(c->config->file, given, NULL, c->error,
                          "\"%.64s\" is not in the path (one of its parameters: %s; or body.NAME, "
                          "header.NAME or token)",
                          route->tenant, parameters);
}

/* A PUT that merges is written as a PATCH is, and would be dropped where the row is missing. */
static int check_put(const rules_checker *c, const leat_node *node, const leat_config_route *route)
{
    if (strcmp(route->put, "merge") != 0 || strcmp(route->patch, "existing") != 0)
        return 0;
    return leat_node_fail(c->config->file, leat_node_get(node, "put"), NULL, c->error,
                          "merge inserts a missing row, and patch: existing does not (one of the "
                          "two, or a route for each)");
}

/* A file has one writer, and it is not the edge. */
static int check_shadow(const rules_checker *c, const leat_node *node,
                        const leat_config_route *route)
{
    uint32_t all = c->config->route_count;
    const leat_node *given = leat_node_get(node, "shadow_table");
    if (!given && strcmp(route->mode, "shadow") == 0)
        return leat_node_fail(c->config->file, node, "shadow_table", c->error,
                              "missing, and the mode is shadow (a table like %s)", route->table);
    for (uint32_t i = 0; i < c->config->route_count; i++)
        all += c->config->routes[i].shadow_table != NULL;
    if (given && all > LEAT_ROUTES_MAX)
        return leat_node_fail(c->config->file, given, NULL, c->error,
                              "routes and shadow tables are %u together (at most %d)", all,
                              LEAT_ROUTES_MAX);
    return 0;
}

static int check_mode(const rules_checker *c, const leat_node *node, const leat_config_route *route)
{
    for (uint32_t i = 0; strcmp(route->mode, "async") != 0 && i < c->config->shard_count; i++)
        if (c->config->shards[i].sqlite)
            return leat_node_fail(c->config->file, leat_node_get(node, "mode"), NULL, c->error,
                                  "%s needs PostgreSQL, and shards[%u] is a SQLite file (async)",
                                  route->mode, i);
    return 0;
}

/* Whether it fits the column's type is known only with the table. */
static int check_step(const rules_checker *c, const leat_node *column, const leat_config_pair *pair)
{
    int64_t ms;
    const leat_node *node = leat_node_get(column, "step");
    if (!pair->detail)
        return 0;
    if (strcmp(pair->value, "max") != 0)
        return leat_node_fail(c->config->file, node, NULL, c->error,
                              "only the operation max has a step, not %s", pair->value);
    if (!leat_text_step(pair->detail, &ms))
        return leat_node_fail(
            c->config->file, node, NULL, c->error,
            "\"%.40s\" is not a step (greater than 0: a number such as 10 or 0.5, or %s)",
            pair->detail, leat_text_number_form(LEAT_UNIT_MS));
    return 0;
}

static int check_columns(const rules_checker *c, const leat_node *node,
                         const leat_config_route *route)
{
    const leat_node *columns = leat_node_get(node, "columns");
    for (const leat_node *column = columns ? columns->first : NULL; column; column = column->next) {
        if (check_step(c, column, &route->columns[column->index]) < 0)
            return -1;
        if (has_parameter(route->path, column->key))
            return leat_node_fail(
                c->config->file, column, NULL, c->error,
                "is in the path, and a key never changes (columns outside the path)");
    }
    return 0;
}

static int name_route(const rules_checker *c, const leat_node *node, leat_config_route *route)
{
    leat_error why;
    if (route->name)
        return 0;
    if (leat_text_check_name(route->table, &why) < 0)
        return leat_node_fail(
            c->config->file, node, "name", c->error,
            "missing, and the table's name cannot be used: %s (" LEAT_TEXT_NAME_FORM ")", why.text);
    route->name = leat_must_strdup(route->table);
    return 0;
}

/* The node that an error about a name blames: the name, or the table that it comes from. */
static const leat_node *name_node(const leat_node *route)
{
    const leat_node *name = leat_node_get(route, "name");
    return name ? name : leat_node_get(route, "table");
}

static int check_route_unique(const rules_checker *c, const leat_node *node, uint32_t index)
{
    const leat_config_route *route = &c->config->routes[index];
    for (uint32_t i = 0; i < index; i++) {
        const leat_config_route *other = &c->config->routes[i];
        if (strcmp(other->name, route->name) == 0)
            return leat_node_fail(
                c->config->file, name_node(node), NULL, c->error,
                "\"%s\" is already the name of routes[%u] (each name once; give this route a `name`)",
                route->name, i);
        if (leat_text_path_same(other->path, route->path))
            return leat_node_fail(c->config->file, leat_node_get(node, "path"), NULL, c->error,
                                  "matches the same requests as routes[%u] (each path once)", i);
    }
    return 0;
}

static int check_route(const rules_checker *c, uint32_t index)
{
    leat_config_route *route = &c->config->routes[index];
    const leat_node *node = rules_entry(c, "routes", index);
    if (name_route(c, node, route) < 0 || check_tenant(c, node, route) < 0 ||
        check_put(c, node, route) < 0 || check_mode(c, node, route) < 0 ||
        check_shadow(c, node, route) < 0 || check_columns(c, node, route) < 0)
        return -1;
    return check_route_unique(c, node, index);
}

/* ---- who may come ---- */

static bool is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &six) == 1)
        return IN6_IS_ADDR_LOOPBACK(&six);
    return strcmp(host, "localhost") == 0;
}

/* What it answers describes the whole set-up. */
static int check_admin(const rules_checker *c)
{
    char host[HOST_MAX];
    int port;
    leat_error why;
    const leat_node *node = leat_node_get(c->root, "admin");
    if (!node || strcmp(c->config->admin, "off") == 0 || c->config->admin_token)
        return 0;
    if (leat_config_address(c->config->admin, host, sizeof host, &port, &why) == 0 &&
        is_loopback(host))
        return 0;
    return leat_node_fail(
        c->config->file, node, NULL, c->error,
        "others than this machine can reach it, and there is no admin_token (add one, such as `admin_token: "
        "$LEAT_ADMIN_TOKEN`, or listen at 127.0.0.1)");
}

/* A group without anything in it would look like protection, and be none. */
static int check_auth(const rules_checker *c)
{
    const leat_config *config = c->config;
    const leat_node *auth = leat_node_get(c->root, "auth");
    const leat_node *limit = leat_node_get(leat_node_get(c->root, "limits"), "token");
    if (auth && !config->auth_tokens && !config->jwt_keys)
        return leat_node_fail(config->file, auth, NULL, c->error,
                              "says nothing about who may write (give tokens, jwt, or both)");
    if (!auth && config->token_rate > 0)
        return leat_node_fail(config->file, limit, NULL, c->error,
                              "limits nothing without tokens (auth.tokens or auth.jwt)");
    return 0;
}

/* ---- tracing ---- */

/* One that breaks a request would lose all spans. */
static int check_trace_headers(const rules_checker *c)
{
    const leat_node *node = leat_node_get(leat_node_get(c->root, "tracing"), "headers");
    for (const leat_node *at = node ? node->first : NULL; at; at = at->next) {
        const char *value = c->config->trace_headers[at->index].value;
        size_t name = strspn(at->key, HEADER_CHARACTERS);
        if (at->key[name])
            return leat_node_fail(c->config->file, at, NULL, c->error,
                                  "is not the name of a header (letters, digits and '-')");
        if (!*value || value[strcspn(value, "\r\n")])
            return leat_node_fail(c->config->file, at, NULL, c->error,
                                  "must be one line of text (its value is not shown)");
    }
    return 0;
}

/* ---- budgets ---- */

/* The first must not be above the second: otherwise leat would accept work that never fits. */
static int check_order(const rules_checker *c, const char *group, const char *smaller,
                       int64_t small, const char *larger, int64_t large, leat_unit unit)
{
    if (small <= large)
        return 0;
    char low[32], high[32];
    leat_text_print_number(small, unit, low, sizeof low);
    leat_text_print_number(large, unit, high, sizeof high);
    const leat_node *node = leat_node_get(c->root, group);
    const leat_node *given = leat_node_get(node, smaller);
    if (!node)
        node = c->root;
    return leat_node_fail(c->config->file, given ? given : node, given ? NULL : smaller, c->error,
                          "%s is more than %s has (at most %s)", low, larger, high);
}

/* A burst alone would look like a limit, and be none. */
static int check_rate(const rules_checker *c, const char *name, int64_t rate, int64_t burst)
{
    const leat_node *of = leat_node_get(leat_node_get(c->root, "limits"), name);
    const leat_node *given = of ? leat_node_get(of, "burst") : NULL;
    if (rate > 0 || burst == 0 || !given)
        return 0;
    return leat_node_fail(c->config->file, given, NULL, c->error,
                          "limits nothing without limits.%s.rate", name);
}

static int check_budgets(const rules_checker *c)
{
    const leat_config *config = c->config;
    if (check_order(c, "apply", "batch_bytes", config->batch_bytes, "apply.memory",
                    config->memory_max, LEAT_UNIT_BYTES) < 0)
        return -1;
    if (check_order(c, "apply", "batch_records", config->batch_records, "apply.records",
                    config->records_max, LEAT_UNIT_ONE) < 0)
        return -1;
    if (check_rate(c, "tenant", config->tenant_rate, config->tenant_burst) < 0 ||
        check_rate(c, "key", config->key_rate, config->key_burst) < 0 ||
        check_rate(c, "token", config->token_rate, config->token_burst) < 0)
        return -1;
    return check_order(c, "limits", "body_max", config->body_max, "apply.memory",
                       config->memory_max, LEAT_UNIT_BYTES);
}

/* librdkafka's own default. */
enum { MAX_POLL_INTERVAL_MS = 300000 };

/* librdkafka refuses a value that makes no sense. */
static int64_t max_poll_interval_ms(const leat_config *config)
{
    const leat_config_pair *given = leat_config_property(config, "max.poll.interval.ms");
    int64_t found = given ? strtoll(given->value, NULL, 10) : 0;
    return found > 0 ? found : MAX_POLL_INTERVAL_MS;
}

/* The group removes a member that takes longer than this to hand over partitions, even in the
 * middle of its batches. */
static int check_drain(const rules_checker *c)
{
    int64_t interval_ms = max_poll_interval_ms(c->config);
    char most[32];
    const leat_node *apply = leat_node_get(c->root, "apply"),
                    *given = apply ? leat_node_get(apply, "drain") : NULL;
    if (!leat_node_get(leat_node_get(c->root, "log"), "kafka") || c->config->drain_ms < interval_ms)
        return 0;
    leat_text_print_number(interval_ms, LEAT_UNIT_MS, most, sizeof most);
    const leat_node *node = given ? given : leat_node_get(c->root, "log");
    return leat_node_fail(
        c->config->file, node, given ? NULL : "kafka.properties", c->error,
        "the group waits %s (max.poll.interval.ms) for a member that hands partitions over (apply.drain must be "
        "less)",
        most);
}

int leat_rules_check(const leat_node *root, leat_config *config, leat_error *error)
{
    rules_checker c = {root, config, error};
    if (check_log(&c) < 0 || check_admin(&c) < 0 || check_auth(&c) < 0 ||
        check_trace_headers(&c) < 0)
        return -1;
    for (uint32_t i = 0; i < config->shard_count; i++)
        if (rules_check_shard(&c, i) < 0)
            return -1;
    for (uint32_t i = 0; i < config->route_count; i++)
        if (check_route(&c, i) < 0)
            return -1;
    return check_budgets(&c) < 0 ? -1 : check_drain(&c);
}
