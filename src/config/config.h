/*
 * config.h - one YAML file, read with libyaml into a tree and checked against one table (table.c:
 * path, type, default, range, help). Our own table because no C library at hand maps free keys
 * (columns, properties) and reports the line of an unknown one. A setting that is not in the table
 * is an error with file, line, path and what is allowed there.
 */
#ifndef LEAT_CONFIG_H
#define LEAT_CONFIG_H

#include <stdio.h>

#include "base/base.h"

typedef struct leat_config_pair {
    char *name;
    char *value;
    char *detail; /* NULL: none. The step of a column, as the file has it */
    int line;
} leat_config_pair;

typedef struct leat_config_shard {
    char *name;
    char *dsn;    /* libpq connection string; $NAME or ${NAME} takes an environment variable */
    char *sqlite; /* a file; one of the two is NULL */
    int64_t connections;
    int64_t connections_total; /* of all processes; 0: no limit */
    int64_t parked_max;        /* bytes; 0: nothing is parked */
    int64_t held_max;          /* bytes that are kept of held rows */
    char *commit;              /* "sync" or "async" */
    int line;
} leat_config_shard;

typedef struct leat_config_route {
    char *name; /* not given: the table's */
    char *path;
    char *table;
    char *tenant;              /* NULL: none; a parameter, or "body.NAME", "header.NAME", "token" */
    char *put;                 /* "replace" or "merge" */
    char *patch;               /* "upsert" or "existing" */
    char *other;               /* "refuse", "drop" or a column */
    char *fold;                /* "on" or "off" */
    char *row_security;        /* "refuse" or "accept" */
    char *untouched;           /* likewise */
    char *on_refused;          /* "skip", "hold" or "stop" */
    char *mode;                /* "async", "sync", "shadow", "live" */
    char *shadow_table;        /* NULL: none */
    leat_config_pair *columns; /* column -> operation name; in `detail` its step */
    uint32_t column_count;
    int line;
} leat_config_route;

/* Defaults are in table.c only, and are not repeated here. */
typedef struct leat_config {
    char *file;
    struct leat_node *tree; /* the file's content, for leat_config_blame(); NULL: not read from a
                               file */
    char *listen;           /* host:port */
    char *admin;            /* host:port or "off" */
    char *admin_token;      /* NULL: none is needed */
    int64_t workers;
    int64_t catalog_every_ms;
    char *data_dir;
    char *log_level; /* debug, info, warn, error */

    int64_t subpartitions;    /* of a new source; 0: not given */
    int64_t tenant_window;    /* likewise, 0: none; -1: not given */
    char *local_path;         /* the built-in log's file; NULL: Kafka */
    int64_t local_partitions; /* 0: two per shard */
    char *kafka_brokers;      /* NULL: the built-in log */
    char *kafka_topic;
    char *kafka_group;
    int64_t kafka_partitions;  /* 0: two per shard */
    int64_t kafka_replication; /* 0: the brokers' default */
    int64_t kafka_renew_after_ms;
    int64_t kafka_give_up_after_ms; /* 0: never */
    leat_config_pair *kafka_properties;
    uint32_t kafka_property_count;

    leat_config_shard *shards;
    uint32_t shard_count;
    char *tenants_map; /* a file; NULL: none */
    leat_config_route *routes;
    uint32_t route_count;

    /* who may write; all NULL: everybody */
    char *auth_tokens; /* a file */
    char *jwt_keys;    /* a file */
    char *jwt_issuer;
    char *jwt_audience;
    char *jwt_tenant_claim;
    char *jwt_scope_claim; /* has a default */
    int64_t jwt_leeway_ms;

    /* edge */
    char *docs;                /* "on", "off" */
    int64_t drain_delay_ms;    /* it serves on after a signal, and is not ready; 0: it drains */
    int64_t body_max;          /* bytes */
    int64_t header_timeout_ms; /* of a whole header */
    int64_t body_timeout_ms;   /* of a whole body */
    int64_t idle_timeout_ms;   /* between requests */
    int64_t edge_connections;
    int64_t edge_streams;  /* HTTP/2: of one connection at once */
    char *tls_certificate; /* a file; NULL: cleartext */
    char *tls_key;
    char *tls_client_ca;   /* NULL: clients are not asked for a certificate */
    char *tls_clients;     /* "required" or "optional" */
    char *tls_min_version; /* "1.2" or "1.3" */
    int64_t tenant_rate;   /* writes a second of one tenant; 0: no limit */
    int64_t tenant_burst;  /* 0: as many as the rate */
    int64_t key_rate;      /* likewise of one row */
    int64_t key_burst;
    int64_t lag_limit_ms; /* of a shard, estimated; 0: no limit */
    int64_t token_rate;   /* likewise of one token */
    int64_t token_burst;
    int64_t batches_max;
    int64_t waiting_max;   /* requests that wait for a write; 0: none may */
    int64_t wait_max_ms;   /* the most that one waits; whole seconds */
    int64_t in_flight_max; /* requests that wait for the log; beyond: 503 */

    /* writes that are applied while their client waits */
    int64_t sync_connections; /* to each shard */
    int64_t sync_queue;       /* writes that wait for one, of each shard */
    int64_t sync_timeout_ms;  /* of a write */

    /* tracing */
    char *trace_endpoint; /* a URL; NULL: none */
    char *trace_service;
    char *trace_sample; /* a fraction of 1, leat_text_fraction */
    int64_t trace_forced_per_second;
    int64_t trace_queue; /* spans */
    leat_config_pair *trace_headers;
    uint32_t trace_header_count;

    /* apply, of each worker */
    int64_t memory_max; /* bytes of records held */
    int64_t records_max;
    int64_t batch_records;
    int64_t batch_bytes;
    int64_t age_bound_ms;
    int64_t compact_every_ms;
    int64_t commit_every_ms;
    int64_t drain_ms;
    int64_t lock_timeout_ms;
    int64_t patience_ms;
    int64_t idempotency_ms; /* lifetime of idempotency keys */
    int64_t dead_letters_per_minute;
    int64_t dead_letters_percent;
} leat_config;

/* Reads and checks the file; a setting that the file does not give has its default. -1: `error` is
 * "file:line: path: what is wrong (what is allowed)". `ret` is then untouched. */
int leat_config_load(const char *file, leat_config *ret, leat_error *error) LEAT_MUST_CHECK;
void leat_config_fini(leat_config *config);
/* Puts "file:line: path: " before the message that is there and returns -1. The path is a
 * setting's, as in "routes[0].table"; where the file does not have it, the line is that of the
 * group or list it belongs to. */
int leat_config_blame(const leat_config *config, leat_error *error, const char *path, ...)
    LEAT_PRINTF(3, 4);
/* Its commits do not wait for the disk. */
bool leat_config_commits_async(const leat_config_shard *shard);
/* The shard of that name; NULL: there is none. */
const leat_config_shard *leat_config_find_shard(const leat_config *config, leat_slice name);
/* The entry of log.kafka.properties of that name; NULL: it is not set. */
const leat_config_pair *leat_config_property(const leat_config *config, const char *name);
/* The name of the log in the shards: the topic, or the name of the built-in log's file. */
const char *leat_config_topic(const leat_config *config);
/* Is there one with `mode: live`? */
bool leat_config_has_live_route(const leat_config *config);
/* How many subpartitions a new source gets. */
uint32_t leat_config_subpartitions(const leat_config *config);
/* How many partitions a new log gets. */
uint32_t leat_config_partitions(const leat_config *config);
/* The reference: every setting with type, default, range and help, as Markdown. */
void leat_config_print_reference(FILE *out);

/* Splits "host:port" or "[v6]:port" or ":port"; host empty means all addresses. */
int leat_config_address(const char *text, char *ret_host, size_t host_size, int *ret_port,
                        leat_error *error) LEAT_MUST_CHECK;

#endif
