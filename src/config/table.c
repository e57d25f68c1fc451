/*
 * table.c - the settings, one row each. A default, a range and a help text are written here and
 * nowhere else: the loader, its messages, `leat config` and the manual read them from the row. The
 * default is a text, as a file would give it, so the same reader checks both.
 */
#include "config/table.h"

#include <stddef.h>

#include "base/limits.h"
#include "base/placement.h"
#include "config/text.h"

enum {
    KIB = 1024,
    MIB = 1024 * KIB,
    SECOND = 1000,
    MINUTE = 60 * SECOND,
    HOUR = 60 * MINUTE,
    PROPERTIES_MAX = 64,
    TRACE_HEADERS_MAX = 16,
};

#define GIB ((int64_t)1024 * MIB)

static const leat_array_shape shards_shape = {sizeof(leat_config_shard),
                                              offsetof(leat_config_shard, line),
                                              offsetof(leat_config, shard_count)};
static const leat_array_shape routes_shape = {sizeof(leat_config_route),
                                              offsetof(leat_config_route, line),
                                              offsetof(leat_config, route_count)};
static const leat_array_shape columns_shape = {sizeof(leat_config_pair),
                                               offsetof(leat_config_pair, line),
                                               offsetof(leat_config_route, column_count)};
static const leat_array_shape trace_headers_shape = {sizeof(leat_config_pair),
                                                     offsetof(leat_config_pair, line),
                                                     offsetof(leat_config, trace_header_count)};
static const leat_array_shape properties_shape = {sizeof(leat_config_pair),
                                                  offsetof(leat_config_pair, line),
                                                  offsetof(leat_config, kafka_property_count)};

#define TOP(member)   .field = (int)offsetof(leat_config, member)
#define SHARD(member) .field = (int)offsetof(leat_config_shard, member)
#define ROUTE(member) .field = (int)offsetof(leat_config_route, member)
#define GROUP         .kind = LEAT_SETTING_GROUP, .field = LEAT_NO_FIELD
#define COUNT(least, most, otherwise)                                                              \
    .kind = LEAT_SETTING_NUMBER, .min = (least), .max = (most), .fallback = (otherwise)
#define BYTES(least, most, otherwise) COUNT(least, most, otherwise), .unit = LEAT_UNIT_BYTES
#define TIME(least, most, otherwise)  COUNT(least, most, otherwise), .unit = LEAT_UNIT_MS
#define TEXT(checked_by, words)       .kind = LEAT_SETTING_TEXT, .check = (checked_by), .allowed = words
#define EXPANDED(words)                                                                            \
    .kind = LEAT_SETTING_EXPANDED, .allowed = words "; $NAME takes an environment variable"

#define TOPIC_WORDS   "letters, digits, '.', '_' and '-', at most 249"
#define PEM_WORDS     "a PEM file; relative to the working directory"
#define ADDRESS_WORDS "host:port, [IPv6]:port, or :port for all addresses"

static const leat_setting settings[] = {
    {"listen", TOP(listen), TEXT(leat_text_check_address, ADDRESS_WORDS),
     .fallback = "127.0.0.1:8080", .help = "The address where the edge accepts HTTP writes."},
    {"admin", TOP(admin), TEXT(leat_text_check_admin, ADDRESS_WORDS "; or off"),
     .fallback = "127.0.0.1:9464",
     .help =
         "The address of the admin listener: metrics, health and readiness. Any other than a loopback address needs "
         "`admin_token`."},
    {"admin_token", TOP(admin_token), EXPANDED("any text"), .fallback_words = "none",
     .help =
         "The bearer token that the admin listener wants, for `/metrics` and for what its page shows. `/healthz`, `/readyz` and the "
         "empty page need none. Without one, held rows and controls can only be dealt with by `leat dead` and `leat control`."},
    {"workers", TOP(workers), COUNT(1, LEAT_WORKERS_MAX, "1"),
     .help = "Threads that apply records. Each reads its own partitions."},
    {"catalog_every", TOP(catalog_every_ms), TIME(100, HOUR, "5s"),
     .help =
         "How often each shard's tables are read for changes. A record that does not fit them causes a read at once."},
    {"data_dir", TOP(data_dir), TEXT(NULL, "a directory; relative to the working directory"),
     .fallback = "./leat-data",
     .help =
         "The directory of the catalog file, from which an edge can start while a database is down."},
    {"log_level", TOP(log_level), .kind = LEAT_SETTING_CHOICE,
     .choices = {"debug", "info", "warn", "error"}, .fallback = "info",
     .help = "The lowest level of the lines that are written to standard error."},

    {"log", GROUP, .required = true,
     .help = "The log, which keeps accepted writes until they are applied."},
    {"log.kafka", GROUP, .help = "A Kafka topic."},
    {"log.kafka.brokers", TOP(kafka_brokers), EXPANDED("host:port, several with commas"),
     .required = true, .help = "The brokers to connect to first."},
    {"log.kafka.topic", TOP(kafka_topic), TEXT(leat_text_check_topic, TOPIC_WORDS),
     .required = true, .help = "The topic. `leat init` creates it."},
    {"log.kafka.group", TOP(kafka_group), TEXT(leat_text_check_topic, TOPIC_WORDS),
     .fallback = "leat", .help = "The consumer group of all workers."},
    {"log.kafka.partitions", TOP(kafka_partitions), COUNT(1, 1024, NULL),
     .fallback_words = "two per shard",
     .help =
         "The number of partitions of a topic that `leat init` creates. At most this many workers can share it."},
    {"log.kafka.replication", TOP(kafka_replication), COUNT(1, 16, NULL),
     .fallback_words = "the brokers' default",
     .help = "The number of replicas of a topic that `leat init` creates."},
    /* Read and not kept: `earliest` is the only value, as any other would skip records that were
     * acknowledged. The setting says so where people look for it. */
    {"log.kafka.start", .field = LEAT_NO_FIELD, .kind = LEAT_SETTING_CHOICE,
     .choices = {"earliest"}, .fallback = "earliest",
     .help = "Where reading begins if a shard has no progress yet."},
    {"log.kafka.renew_after", TOP(kafka_renew_after_ms), TIME(2 * SECOND, HOUR, "30s"),
     .help =
         "A Kafka client that no broker has answered for this long is replaced by a new one. So is the client of a worker that "
         "has been outside the consumer group for twice as long."},
    {"log.kafka.give_up_after", TOP(kafka_give_up_after_ms), TIME(0, 24 * HOUR, "15m"),
     .help =
         "If this goes on for this long, the process drains and ends with exit code 1, so that it is started again. 0: it "
         "never does."},
    {"log.kafka.properties", TOP(kafka_properties), .kind = LEAT_SETTING_PAIRS,
     .shape = &properties_shape, .max = PROPERTIES_MAX,
     .allowed = "librdkafka property: value; $NAME takes an environment variable",
     .fallback_words = "none",
     .help = "Properties of librdkafka, such as `compression.type` or `sasl.password`."},
    {"log.local", GROUP, .help = "The built-in log: a file on this machine, for `leat run` only."},
    {"log.local.path", TOP(local_path), EXPANDED("a file; relative to the working directory"),
     .required = true,
     .help =
         "The file. It is created if it is missing; two more files are beside it while it is in use."},
    {"log.local.partitions", TOP(local_partitions), COUNT(1, 64, NULL),
     .fallback_words = "two per shard",
     .help =
         "The number of partitions of a file that is created. At most this many workers can share it."},
    {"log.subpartitions", TOP(subpartitions), COUNT(1, LEAT_SUBPARTITIONS_MAX, NULL),
     .fallback_words = "256",
     .help =
         "How many subpartitions, queues of their own, each partition of a new source has. `leat init` stores it with the "
         "source, and then it never changes: one that was set up before keeps its own number, and another one here is refused."},
    {"log.tenant_window", TOP(tenant_window), COUNT(0, LEAT_TENANT_WINDOW_MAX, NULL),
     .fallback_words = "8, at most subpartitions / 32",
     .help =
         "How many subpartitions of each partition a tenant has, in a new source whose routes have tenants. A tenant that "
         "floods its own holds up few others. 0: all of them, by the key's hash alone. Stored and kept as log.subpartitions "
         "is."},

    {"shards", TOP(shards), .kind = LEAT_SETTING_LIST, .shape = &shards_shape, .min = 1,
     .max = LEAT_SHARDS_MAX, .required = true,
     .help = "The databases. Each holds some of the tenants."},
    {"shards[].name", SHARD(name), TEXT(leat_text_check_name, LEAT_TEXT_NAME_FORM),
     .required = true,
     .help = "The shard's name in metrics and in the stored layout. It never changes."},
    {"shards[].dsn", SHARD(dsn), EXPANDED("a connection string or URI of libpq"),
     .fallback_words = "this or sqlite is required",
     .help =
         "How PostgreSQL is reached. Of several hosts leat uses only the primary. connect_timeout applies to each address of "
         "each host; the default is 10 s, and 5 s if there are several hosts."},
    {"shards[].sqlite", SHARD(sqlite), EXPANDED("a file; relative to the working directory"),
     .fallback_words = "this or dsn is required",
     .help =
         "A SQLite file that has your tables, instead of PostgreSQL. leat adds its own tables to it."},
    {"shards[].connections", SHARD(connections), COUNT(1, 1024, "8"),
     .help =
         "The most connections of one process to this shard, divided among its workers. A SQLite file has one for each worker."},
    {"shards[].connections_total", SHARD(connections_total), COUNT(0, 65536, "0"),
     .help =
         "The most connections of all processes together to this shard. Each worker takes its part by the partitions that it "
         "owns, and at least one; while partitions move there may be more for a moment. 0: as many as the processes have. A "
         "SQLite file has no use for it."},
    {"shards[].parked_max", SHARD(parked_max), BYTES(0, 1024 * GIB, "1GiB"),
     .help =
         "How much may be parked in this shard: records that cannot be applied for the time being are kept there, compressed, so "
         "that others go on. Divided among the shard's partitions; one subpartition has at most half of a partition's share. "
         "Beyond it the partition pauses. 0: nothing is parked."},
    {"shards[].held_max", SHARD(held_max), BYTES(1, 1024 * GIB, "1GiB"),
     .help =
         "How much may be kept of held rows in this shard (`on_refused: hold`, `leat control block --hold`). Divided among the "
         "shard's partitions; one subpartition has at most half of a partition's share. Beyond it the record that would be kept "
         "waits, and its subpartition with it, as with `on_refused: stop`."},
    {"shards[].commit", SHARD(commit), .kind = LEAT_SETTING_CHOICE, .choices = {"sync", "async"},
     .fallback = "sync",
     .help =
         "Whether batches wait until their commit is on the disk of PostgreSQL, and with its synchronous standbys. With `async` "
         "they do not (`synchronous_commit` is off in their transactions): what a crash of the database takes back is applied "
         "again from the log, so readers may see rows go back for that long. A batch with a write that a request waits for is "
         "committed with `sync` in any case, and so are all batches of a partition while such a write to it is on its way to the log, and "
         "all else. The same in all processes. Not for a SQLite file."},

    {"tenants", GROUP, .help = "Which shard a tenant belongs to."},
    {"tenants.map", TOP(tenants_map), TEXT(NULL, "a file; relative to the working directory"),
     .fallback_words = "none: by a hash",
     .help =
         "A file of lines `tenant,shard`, for tenants that have their shard already; the tenant is written as in a path. All "
         "others go by a hash. `leat init` stores the map in every shard; from then on it does not change, and a process whose "
         "file differs does not start. A process without the setting uses what is stored."},

    {"routes", TOP(routes), .kind = LEAT_SETTING_LIST, .shape = &routes_shape, .min = 1,
     .max = LEAT_ROUTES_MAX, .required = true,
     .help = "The paths that accept writes, and the tables that they write to."},
    {"routes[].name", ROUTE(name), TEXT(leat_text_check_name, LEAT_TEXT_NAME_FORM),
     .fallback_words = "the table's name",
     .help = "The route's name in metrics and in the records of the log, which refer to it."},
    {"routes[].path", ROUTE(path),
     TEXT(leat_text_check_path, "such as /apps/{app_id}/users/{user_id}"), .required = true,
     .help = "The path. Its {parameters} are the primary key of the table."},
    {"routes[].table", ROUTE(table), TEXT(leat_text_check_table, "name or schema.name"),
     .required = true, .help = "The table. Its columns, types and key are read from the database."},
    {"routes[].tenant", ROUTE(tenant),
     TEXT(NULL, "a parameter of the path, body.NAME, header.NAME or token"),
     .fallback_words = "none; required with several shards",
     .help =
         "What names the tenant of a write: a parameter of the path, a member of the body, a header, or what the token is for. The tenant decides the "
         "shard and is part of the record's key. With `body.NAME` a DELETE has it in the query: `?NAME=...`."},
    {"routes[].put", ROUTE(put), .kind = LEAT_SETTING_CHOICE, .choices = {"replace", "merge"},
     .fallback = "replace",
     .help =
         "What PUT does to columns that it does not name: `replace` gives them their defaults, `merge` leaves them as they are. "
         "With `merge` a column with the operation merge is merged, and every other one is set."},
    {"routes[].patch", ROUTE(patch), .kind = LEAT_SETTING_CHOICE, .choices = {"upsert", "existing"},
     .fallback = "upsert",
     .help =
         "What PATCH does if the row is missing: `upsert` inserts it, `existing` drops the PATCH and counts it."},
    {"routes[].other", ROUTE(other), TEXT(NULL, "refuse, drop, or a column of jsonb or json"),
     .fallback = "refuse",
     .help =
         "What becomes of members of the body that are no column: `refuse` answers 422, `drop` leaves them out, and the name of "
         "a column collects them there as one object, by that column's operation (set or merge)."},
    {"routes[].fold", ROUTE(fold), .kind = LEAT_SETTING_CHOICE, .choices = {"on", "off"},
     .fallback = "on",
     .help =
         "Whether several writes to one row in a batch become one write. `off` is for triggers that count writes."},
    {"routes[].untouched", ROUTE(untouched), .kind = LEAT_SETTING_CHOICE,
     .choices = {"refuse", "accept"}, .fallback = "refuse",
     .help =
         "A write that a BEFORE trigger drops by returning NULL: `refuse` makes it a dead letter, `accept` counts it as "
         "applied, for triggers that drop writes on purpose."},
    {"routes[].on_refused", ROUTE(on_refused), .kind = LEAT_SETTING_CHOICE,
     .choices = {"skip", "hold", "stop"}, .fallback = "skip",
     .help =
         "What becomes of a record that the database refuses. `skip`: a dead letter, and later writes to its row are applied. "
         "`hold`: it and later writes to its row are kept in the shard, in order, and the other rows go on. `stop`: it is tried "
         "for as long as it is refused, and the rows of its subpartition wait."},
    {"routes[].mode", ROUTE(mode), .kind = LEAT_SETTING_CHOICE,
     .choices = {"async", "sync", "shadow", "live"}, .fallback = "async",
     .help =
         "Which way a write goes. `async`: into the log, answered 202 and applied from there. `sync`: into the database while the "
         "client waits, answered with what became of it. `shadow`: the same, and then into the log too, from where it is applied to "
         "`shadow_table`. `live`: as `leat mode set` says, which moves keys from one way to another while they are written; of a "
         "table only one route can be. All but `async` need PostgreSQL. All edges must have the same mode."},
    {"routes[].shadow_table", ROUTE(shadow_table),
     TEXT(leat_text_check_table, "name or schema.name"), .fallback_words = "none",
     .help =
         "A table like the route's, made by `CREATE TABLE ... (LIKE ... INCLUDING ALL)`. With `mode: shadow` it gets, through the "
         "log, what the route's table gets; `leat mode compare` tells whether they are alike."},
    {"routes[].row_security", ROUTE(row_security), .kind = LEAT_SETTING_CHOICE,
     .choices = {"refuse", "accept"}, .fallback = "refuse",
     .help =
         "A table whose row security applies to leat's role: `refuse` does not write to it; `accept` does, and a row that is "
         "hidden counts as missing."},
    {"routes[].columns", ROUTE(columns), .kind = LEAT_SETTING_PAIRS, .shape = &columns_shape,
     .max = LEAT_COLUMNS_MAX, .choices = {"set", "add", "max", "min", "merge", "append"},
     .value_name = "operation", .detail_name = "step", .allowed = "column: operation",
     .fallback_words = "`set` for every column",
     .help =
         "What PATCH does to a column: `set`; `add` (numbers); `max`, `min` (types with an order: numbers, times, uuid, "
         "bytea, text COLLATE \"C\"); `merge` (jsonb, RFC 7396); `append` (jsonb, one element). A `max` may have a step, as in "
         "`last_seen: {operation: max, step: 60s}` (numbers: a number; dates and times: a duration): a row is written for it "
         "only where the value advances by at least the step, so what is stored is less than one step behind."},

    {"http", GROUP, .help = "How the edge speaks HTTP."},
    {"http.drain_delay", TOP(drain_delay_ms), TIME(0, 10 * MINUTE, "5s"),
     .help =
         "How long the edge goes on after a signal to end: `/readyz` answers 503, requests are still served, and each answer "
         "closes its connection (HTTP/1.1). Then it drains. A load balancer needs this time to see that the edge leaves. A second signal, "
         "or SIGINT, ends it."},
    {"http.docs", TOP(docs), .kind = LEAT_SETTING_CHOICE, .choices = {"on", "off"},
     .fallback = "on",
     .help =
         "Whether the edge describes itself: `GET /openapi.json` (OpenAPI 3.1, from the routes and the tables) and `GET /docs`, a "
         "page that shows it."},
    {"http.tls", GROUP,
     .help = "TLS on the address of `listen`; without it the edge speaks cleartext."},
    {"http.tls.certificate", TOP(tls_certificate), TEXT(NULL, PEM_WORDS), .required = true,
     .help =
         "The certificate, followed by those between it and a root. It is read again when one of these files changes, and on "
         "SIGHUP."},
    {"http.tls.key", TOP(tls_key), TEXT(NULL, PEM_WORDS), .required = true,
     .help = "The certificate's private key, without a passphrase."},
    {"http.tls.client_ca", TOP(tls_client_ca), TEXT(NULL, PEM_WORDS), .fallback_words = "none",
     .help =
         "Certificates of authorities. Clients must then show a certificate that one of these has signed."},
    {"http.tls.client_certificate", TOP(tls_clients), .kind = LEAT_SETTING_CHOICE,
     .choices = {"required", "optional"}, .fallback = "required",
     .help =
         "With `client_ca`: whether a client may have no certificate. One that it does show must be valid."},
    {"http.tls.min_version", TOP(tls_min_version), .kind = LEAT_SETTING_CHOICE,
     .choices = {"1.2", "1.3"}, .fallback = "1.2", .help = "The oldest version of TLS."},

    {"auth", GROUP,
     .help =
         "Who may write what: bearer tokens from a file, JSON Web Tokens, or both. Without this group everybody may who reaches "
         "the edge. The files are read again at SIGHUP and when they change."},
    {"auth.tokens", TOP(auth_tokens), TEXT(NULL, "a file; relative to the working directory"),
     .fallback_words = "none",
     .help =
         "The file of bearer tokens, one a line: name, `sha256:` and the digest (or `$NAME`, an environment variable with the "
         "token), scopes, and `tenant=TENANT` where it is for one tenant. `leat token new NAME` prints a token and its line."},
    {"auth.jwt", GROUP, .help = "JSON Web Tokens signed with RS256, ES256 or EdDSA."},
    {"auth.jwt.keys", TOP(jwt_keys), TEXT(NULL, "a file; relative to the working directory"),
     .required = true,
     .help =
         "The public keys that tokens are verified with: one as PEM, or a JWK set, where a token's `kid` chooses the key. The "
         "kind of a key is its algorithm: RSA (2048 bits or more), EC on P-256, Ed25519."},
    {"auth.jwt.issuer", TOP(jwt_issuer), TEXT(NULL, "any text"), .fallback_words = "any",
     .help = "What a token's `iss` must be."},
    {"auth.jwt.audience", TOP(jwt_audience), TEXT(NULL, "any text"),
     .fallback_words = "only tokens without `aud`",
     .help =
         "What must be in a token's `aud`. A token with an `aud` is refused if this is not set."},
    {"auth.jwt.tenant_claim", TOP(jwt_tenant_claim), TEXT(NULL, "the name of a claim"),
     .fallback_words = "none: tokens are not for one tenant",
     .help =
         "The claim that names the only tenant whose rows the token may write. A token without it is refused."},
    {"auth.jwt.scope_claim", TOP(jwt_scope_claim), TEXT(NULL, "the name of a claim"),
     .fallback = "scope",
     .help =
         "The claim with the scopes, a text or a list: `ROUTE:OPERATION`, where either may be `*`. Other scopes are ignored."},
    {"auth.jwt.leeway", TOP(jwt_leeway_ms), TIME(0, 10 * MINUTE, "60s"),
     .help = "How much the clock of the issuer may differ from the edge's."},

    {"limits", GROUP, .help = "What the edge accepts. Beyond these limits it refuses."},
    {"limits.body_max", TOP(body_max), BYTES(64, 16 * MIB, "64KiB"),
     .help =
         "The largest body of a request; a larger one is answered 413. librdkafka's message.max.bytes follows it; the topic's "
         "max.message.bytes must allow it."},
    {"limits.header_timeout", TOP(header_timeout_ms), TIME(100, 10 * MINUTE, "5s"),
     .help = "The most time for a request's header, from its first byte; then 408."},
    {"limits.body_timeout", TOP(body_timeout_ms), TIME(100, 10 * MINUTE, "30s"),
     .help = "The most time for a request's body; then 408."},
    {"limits.idle_timeout", TOP(idle_timeout_ms), TIME(100, HOUR, "90s"),
     .help =
         "The most time that a connection may be idle between requests. Load balancers keep theirs for 60 s or 75 s: whoever "
         "sends requests should be the first to close."},
    {"limits.connections", TOP(edge_connections), COUNT(1, 1000000, "4096"),
     .help =
         "The most connections of clients; then 503. Fewer if the process may not open that many files."},
    {"limits.streams", TOP(edge_streams), COUNT(100, 10000, "128"),
     .help =
         "HTTP/2: the most requests of one connection at once. Fewer than 100 would make some clients open more connections."},
    {"limits.in_flight", TOP(in_flight_max), COUNT(1, 10000000, "20000"),
     .help =
         "The most requests that wait for the log; then 503. One half is divided among the partitions, a part for each. From "
         "the other half a partition may take as much as it leaves free. With Kafka, more than 100000 also needs the property "
         "`queue.buffering.max.messages`."},

    {"limits.batches", TOP(batches_max), COUNT(1, 100000, "64"),
     .help =
         "The most batches (`POST /batch`) that are received at once, and a quarter of them on one connection; beyond: 503. "
         "Each needs up to 1 MiB, and more if `limits.body_max` is larger."},
    {"limits.waiting", TOP(waiting_max), COUNT(0, 1000000, "10000"),
     .help =
         "The most requests that wait for a write to be applied (`Prefer: wait`, `GET /writes/TOKEN`); beyond, a write is "
         "answered 202 at once and a question 503. 0: nobody can wait or ask, and a 202 has no token."},
    {"limits.wait_max", TOP(wait_max_ms), TIME(SECOND, 10 * MINUTE, "30s"),
     .help = "The most time that a request waits for its write, in whole seconds."},
    {"limits.lag", TOP(lag_limit_ms), TIME(0, 24 * HOUR, "0s"),
     .help =
         "How long what waits for a shard may take to apply, as its workers estimate it: what waits, divided by what was applied a "
         "second lately. Beyond, the edges answer the tenants to which most of it belongs with 429, where their writes go into the log, "
         "until it is less than half of this. Read where records are applied. 0: no limit."},

    {"limits.tenant", GROUP, .help = "How often one tenant may write, at each edge."},
    {"limits.tenant.rate", TOP(tenant_rate), COUNT(0, 10000000, "0"),
     .help =
         "Writes a second; beyond, they are answered 429 with `Retry-After`. Each edge counts for itself. 0: no limit."},
    {"limits.tenant.burst", TOP(tenant_burst), COUNT(1, 10000000, NULL),
     .fallback_words = "as many as the rate",
     .help = "How many it may write at once after it has been quiet."},
    {"limits.key", GROUP, .help = "How often one row may be written, at each edge."},
    {"limits.key.rate", TOP(key_rate), COUNT(0, 10000000, "0"),
     .help =
         "Writes a second; beyond, they are answered 429 with `Retry-After`. Each edge counts for itself. 0: no limit."},
    {"limits.key.burst", TOP(key_burst), COUNT(1, 10000000, NULL),
     .fallback_words = "as many as the rate",
     .help = "How many there may be at once after it has been quiet."},
    {"limits.token", GROUP, .help = "How often one token may write, at each edge; needs `auth`."},
    {"limits.token.rate", TOP(token_rate), COUNT(0, 10000000, "0"),
     .help =
         "Writes a second; beyond, they are answered 429 with `Retry-After`. JSON Web Tokens with one `sub` and one "
         "tenant count together, one without `sub` by itself. Each edge counts for itself. 0: no limit."},
    {"limits.token.burst", TOP(token_burst), COUNT(1, 10000000, NULL),
     .fallback_words = "as many as the rate",
     .help = "How many there may be at once after it has been quiet."},

    {"sync", GROUP, .help = "What each edge has for the writes of routes with `mode: sync`."},
    {"sync.connections", TOP(sync_connections), COUNT(1, 256, "4"),
     .help = "Connections to each shard, besides those that apply records."},
    {"sync.queue", TOP(sync_queue), COUNT(1, 100000, "256"),
     .help =
         "The most writes that wait for a connection to a shard; then 503. One row may have a quarter of them."},
    {"sync.timeout", TOP(sync_timeout_ms), TIME(100, 10 * MINUTE, "5s"),
     .help =
         "The most time for a write, its wait for a connection and for locks included. Beyond, it is undone and answered 503, or "
         "504 where the database does not even say so."},

    {"apply", GROUP, .help = "Budgets of each worker, and the times of its work."},
    {"apply.memory", TOP(memory_max), BYTES(MIB, 64 * GIB, "24MiB"),
     .help =
         "The most bytes of records that a worker holds, read and not applied; then partitions pause. Each record counts 528 bytes "
         "beside its key, value and headers. One partition holds at most half of them, or all of them in a log with one partition. With "
         "several shards, one shard holds at most half. For full batches on all of a worker's connections it takes at least "
         "their number * `apply.batch_records` * (size of a record + 528)."},
    {"apply.records", TOP(records_max), COUNT(64, 16777216, "131072"),
     .help =
         "The most records that a worker holds, read and not applied; then partitions pause. One partition holds at most half of "
         "them, or all of them in a log with one partition. With several shards, one shard holds at most half."},
    {"apply.batch_records", TOP(batch_records), COUNT(1, 65536, "1000"),
     .help =
         "The most records in one transaction. A subpartition that alone has more waiting, often for one hot row, may have 10 times as "
         "many, at most 10000, if they are expected to take less than 250 ms."},
    {"apply.batch_bytes", TOP(batch_bytes), BYTES(KIB, GIB, "4MiB"),
     .help = "The most bytes in one transaction. A larger record is applied alone."},
    {"apply.age_bound", TOP(age_bound_ms), TIME(1, MINUTE, "20ms"),
     .help =
         "How long a short queue may wait for longer ones while there are too few connections."},
    {"apply.compact_every", TOP(compact_every_ms), TIME(10, HOUR, "5s"),
     .help = "How often a partition's progress rows are merged into one."},
    {"apply.commit_every", TOP(commit_every_ms), TIME(10, MINUTE, "1s"),
     .help = "How often offsets are committed to Kafka, for Kafka's own tools."},
    {"apply.drain", TOP(drain_ms), TIME(0, 10 * MINUTE, "5s"),
     .help =
         "The most time for running batches when a partition is handed over or the process stops."},
    {"apply.lock_timeout", TOP(lock_timeout_ms), TIME(10, 10 * MINUTE, "5s"),
     .help =
         "The most time that a statement waits for a lock. A batch waits for four usual ones of its shard, at least 50 ms, and "
         "longer when one subpartition is known to be blocked. A claim waits for at most 10 s, then it ends the session of leat "
         "that holds the lock."},
    {"apply.patience", TOP(patience_ms), TIME(0, HOUR, "30s"),
     .help =
         "How long a record is retried, counted from when it was read, if a row that it refers to is missing or it violates a "
         "unique constraint. Then it becomes a dead letter. With `on_refused: hold` its row is held at once, others go on, and "
         "what is kept is retried for this long, counted from then; after that it stays held. With `stop` it has no end."},
    {"apply.idempotency_lifetime", TOP(idempotency_ms), TIME(MINUTE, 7 * 24 * HOUR, "24h"),
     .help =
         "How long after a write with an `Idempotency-Key` was accepted a repeat of it is known as one, at least. Each key takes "
         "about 100 bytes of its shard until then and for up to as long again. The same in all processes of a topic; of topics "
         "that share a shard the longest counts."},
    {"apply.dead_letters_per_minute", TOP(dead_letters_per_minute), COUNT(0, 1000000, "100"),
     .help =
         "Up to this many dead letters of a table in a minute, for each worker and shard, do not stop the table, whatever their "
         "share. 0: there are no dead letters."},
    {"apply.dead_letters_percent", TOP(dead_letters_percent), COUNT(0, 100, "20"),
     .help =
         "Beyond that, the largest share of a table's last records that may become dead letters. With a larger share the table "
         "has changed, and refused records wait instead. 0: none beyond that."},

    {"tracing", GROUP,
     .help =
         "Spans of writes, for an OpenTelemetry Collector, Jaeger, Tempo or another receiver of OTLP over HTTP. Without it "
         "there are none, and they cost nothing."},
    {"tracing.endpoint", TOP(trace_endpoint),
     TEXT(leat_text_check_url, "http://host:port/path or https://host:port/path"), .required = true,
     .help = "Where spans are sent, with the path: `http://localhost:4318/v1/traces`."},
    {"tracing.service", TOP(trace_service), TEXT(NULL, "any text"), .fallback = "leat",
     .help = "`service.name` of the spans."},
    {"tracing.sample", TOP(trace_sample), TEXT(leat_text_check_fraction, "0 to 1, such as 0.01"),
     .fallback = "0.01",
     .help =
         "The share of the traces that begin here, of requests without a valid `traceparent`, that is sampled. What a "
         "caller does not sample is never sampled."},
    {"tracing.forced_per_second", TOP(trace_forced_per_second), COUNT(0, 100000, "10"),
     .help =
         "How many requests a second are sampled because their caller samples them; beyond, `tracing.sample` decides, and the "
         "request is counted if it is not sampled. Of a batch, the first 32 records are sampled. Each edge counts for itself."},
    {"tracing.queue", TOP(trace_queue), COUNT(64, 1000000, "4096"),
     .help =
         "The most spans that wait to be sent, of about 3 KiB each (that of a large transaction: up to 8); what does not fit is "
         "dropped and counted."},
    {"tracing.headers", TOP(trace_headers), .kind = LEAT_SETTING_PAIRS,
     .shape = &trace_headers_shape, .max = TRACE_HEADERS_MAX,
     .allowed = "header: value; $NAME takes an environment variable", .fallback_words = "none",
     .help = "Headers of each request to the receiver, such as `Authorization`."},
};

const leat_setting *leat_settings(size_t *ret_count)
{
    *ret_count = sizeof settings / sizeof *settings;
    return settings;
}
