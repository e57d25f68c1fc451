/* The configuration: defaults, every kind of value, and the exact words for every kind of
 * mistake. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "config/config.h"
#include "config/table.h"
#include "config/text.h"
#include "http/http.h"

#define LOG   "log: { kafka: { brokers: 'k:9092', topic: t } }\n"
#define SHARD "shards: [ { name: a, dsn: 'host=h' } ]\n"
#define ROUTE "routes: [ { path: '/things/{id}', table: things } ]\n"
#define TOP_KEYS                                                                                   \
    "listen, admin, admin_token, workers, catalog_every, data_dir, log_level, log, shards, tenants, routes, http, auth, limits, sync, apply, tracing"
#define KAFKA_KEYS                                                                                 \
    "brokers, topic, group, partitions, replication, start, renew_after, give_up_after, properties"
#define DSN_WORDS     "a connection string or URI of libpq; $NAME takes an environment variable"
#define ADDRESS_WORDS "host:port, [IPv6]:port, or :port for all addresses"
#define NAME_WORDS    "letters, digits, '_', '-' and '.', at most 63"
#define NO_ANCHORS                                                                                 \
    "anchors and aliases are not supported (write the value out; quote a text that begins with & or *)"
#define AUTH_EMPTY "says nothing about who may write (give tokens, jwt, or both)"
#define ADMIN_OPEN                                                                                        \
    "others than this machine can reach it, and there is no admin_token (add one, such as `admin_token: " \
    "$LEAT_ADMIN_TOKEN`, or listen at 127.0.0.1)"
#define URL_WORDS  "(http://host:port/path or https://host:port/path)"
#define PATH_WORDS "such as /apps/{app_id}/users/{user_id}"

/* Loads `text` as the file c.yaml of a fresh directory, so that messages are the same
 * everywhere. */
static int load(const char *text, size_t size, leat_config *ret, leat_error *error)
{
    char folder[] = "/tmp/leat-config-XXXXXX", start[4096];
    ck_assert_ptr_nonnull(getcwd(start, sizeof start));
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    FILE *file = fopen("c.yaml", "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
    int result = leat_config_load("c.yaml", ret, error);
    ck_assert_int_eq(unlink("c.yaml"), 0);
    ck_assert_int_eq(chdir(start), 0);
    ck_assert_int_eq(rmdir(folder), 0);
    return result;
}

static void load_good(const char *text, leat_config *ret)
{
    leat_error error = {""};
    ck_assert_msg(load(text, strlen(text), ret, &error) == 0, "refused: %s", error.text);
}

static void expect_refused(const char *text, const char *message)
{
    leat_config config;
    leat_error error = {""};
    ck_assert_msg(load(text, strlen(text), &config, &error) == -1, "accepted: %s", text);
    ck_assert_str_eq(error.text, message);
}

typedef struct broken {
    const char *text;
    const char *message;
} broken;

static const broken broken_files[] = {
    /* not YAML, or not one mapping */
    {"", "c.yaml:1: the file is empty (log, shards and routes are required)"},
    {"# nothing yet\n", "c.yaml:1: the file is empty (log, shards and routes are required)"},
    {"---\n...\n", "c.yaml:1: the file is empty (log, shards and routes are required)"},
    {"just words\n", "c.yaml:1: not a mapping (begin with `log:`, `shards:` and `routes:`)"},
    {"- a\n- b\n", "c.yaml:1: not a mapping (begin with `log:`, `shards:` and `routes:`)"},
    {LOG "shards: [ { name: a\n",
     "c.yaml:3:1: not valid YAML: did not find expected ',' or '}' (while parsing a flow "
     "mapping that begins in line 2)"},
    {LOG "limits:\n\tbody_max: 1KiB\n",
     "c.yaml:3:1: not valid YAML: the line is indented with a tab (YAML takes only spaces)"},
    {LOG "admin: 'off\n",
     "c.yaml:3:1: not valid YAML: found unexpected end of stream (while scanning a quoted scalar "
     "that begins in line 2)"},
    {"listen: ':1'\n  admin: off\n",
     "c.yaml:2:3: not valid YAML: did not find expected key (while parsing a block mapping that begins in line 1)"},
    {"admin: off\nlisten: caf\xe9\n",
     "c.yaml:2: not valid YAML: incomplete UTF-8 octet sequence (a text in UTF-8)"},
    {LOG SHARD ROUTE "---\n" LOG, "c.yaml:4: a second document begins (one document a file)"},
    {"log: &here { kafka: {} }\n", "c.yaml:1: log: " NO_ANCHORS},
    {"shards:\n  - &x { name: a }\n", "c.yaml:2: shards: " NO_ANCHORS},
    {"admin: off\nlisten: *here\n", "c.yaml:2: listen: " NO_ANCHORS},
    {"workers: !!int 3\n",
     "c.yaml:1: workers: tags are not supported (quote a text that begins with !)"},
    {"? [ a, b ]\n: 1\n", "c.yaml:1: a key must be a plain text"},
    {"listen: \"a\\0b:1\"\n", "c.yaml:1: listen: a text must not hold the character U+0000"},
    {"admin: off\nworkers: 2\nadmin: off\n",
     "c.yaml:3: admin: given twice (first in line 1; each key once)"},
    {"limits:\n  body_max: 1KiB\n  body_max: 2KiB\n",
     "c.yaml:3: limits.body_max: given twice (first in line 2; each key once)"},
    {"log: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]\n",
     "c.yaml:1: log[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: nested too deeply (at most 16 levels)"},

    /* unknown keys */
    {"lisen: ':1'\n",
     "c.yaml:1: lisen: unknown key; did you mean listen? (known here: " TOP_KEYS ")"},
    {"brokers: x\n",
     "c.yaml:1: brokers: unknown key; did you mean log.kafka.brokers? (known here: " TOP_KEYS ")"},
    {"quite_another: 1\n", "c.yaml:1: quite_another: unknown key (known here: " TOP_KEYS ")"},
    {"log:\n  kafka:\n    broker: x\n",
     "c.yaml:3: log.kafka.broker: unknown key; did you mean brokers? (known here: " KAFKA_KEYS ")"},
    {"log:\n  kafak: {}\n",
     "c.yaml:2: log.kafak: unknown key; did you mean kafka? (known here: kafka, local, subpartitions, tenant_window)"},
    {"shards:\n  - name: a\n    dns: 'password=secret'\n",
     "c.yaml:3: shards[0].dns: unknown key; did you mean dsn? (known here: name, dsn, sqlite, connections, connections_total, parked_max, held_max, commit)"},
    {"shards: [ { name: a, host=h password=secret } ]\n",
     "c.yaml:1: shards[0].?: unknown key (known here: name, dsn, sqlite, connections, connections_total, parked_max, held_max, commit)"},
    {"routes: [ { colunms: {} } ]\n",
     "c.yaml:1: routes[0].colunms: unknown key; did you mean columns? (known here: "
     "name, path, table, tenant, put, patch, other, fold, untouched, on_refused, mode, shadow_table, row_security, columns)"},
    {"<<: { admin: off }\n", "c.yaml:1: <<: unknown key (known here: " TOP_KEYS ")"},
    {"\"ad\\u001b[31mmin\": off\n", "c.yaml:1: ?: unknown key (known here: " TOP_KEYS ")"},

    /* wrong types */
    {"workers: many\n", "c.yaml:1: workers: \"many\" is not a number: digits (1 to 64)"},
    {"workers: -1\n", "c.yaml:1: workers: \"-1\" is not a number: digits (1 to 64)"},
    {"workers: 1.5\n", "c.yaml:1: workers: \"1.5\" is not a number: digits (1 to 64)"},
    {"workers: 99999999999999999999\n",
     "c.yaml:1: workers: \"99999999999999999999\" is not a number: digits (1 to 64)"},
    {"workers:\n", "c.yaml:1: workers: must be a number, not no value (1 to 64)"},
    {"workers: [ 1 ]\n", "c.yaml:1: workers: must be a number, not a list (1 to 64)"},
    {"listen: { port: 1 }\n",
     "c.yaml:1: listen: must be a text, not a mapping (" ADDRESS_WORDS ")"},
    {"log: kafka\n",
     "c.yaml:1: log: must be a mapping, not a text (a mapping of kafka, local, subpartitions, tenant_window)"},
    {"shards: { name: a }\n",
     "c.yaml:1: shards: must be a list, not a mapping (a list of mappings of name, dsn, sqlite, connections, connections_total, parked_max, held_max, commit)"},
    {"shards: [ 'password=secret' ]\n",
     "c.yaml:1: shards[0]: must be a mapping (a list of mappings of name, dsn, sqlite, connections, connections_total, parked_max, held_max, commit)"},
    {"shards: [ { name: a, dsn: [ 'password=secret' ] } ]\n",
     "c.yaml:1: shards[0].dsn: must be a text, not a list (" DSN_WORDS ")"},
    {"routes: [ { columns: [ a ] } ]\n",
     "c.yaml:1: routes[0].columns: must be a mapping, not a list (column: operation, "
     "one of set, add, max, min, merge, append)"},
    {"routes: [ { columns: { tags: [ add ] } } ]\n",
     "c.yaml:1: routes[0].columns.tags: must be a text (column: operation, one of set, add, max, min, merge, append)"},
    {"limits: { body_max: 4MB }\n",
     "c.yaml:1: limits.body_max: \"4MB\" is not a size: digits, or with KiB, MiB or GiB (64 to 16MiB)"},
    {"limits: { body_timeout: 5 }\n",
     "c.yaml:1: limits.body_timeout: \"5\" is not a duration: digits with ms, s, m or h (100ms to 10m)"},
    {"log_level: loud\n",
     "c.yaml:1: log_level: \"loud\" is not known (one of debug, info, warn, error)"},
    {"log_level: \"lo\\u0007ud\"\n",
     "c.yaml:1: log_level: \"lo?ud\" is not known (one of debug, info, warn, error)"},

    /* out of range */
    {"workers: 0\n", "c.yaml:1: workers: 0 is out of range (1 to 64)"},
    {"limits:\n  body_max: 1GiB\n",
     "c.yaml:2: limits.body_max: 1GiB is out of range (64 to 16MiB)"},
    {"apply: { age_bound: 2h }\n", "c.yaml:1: apply.age_bound: 2h is out of range (1ms to 1m)"},
    {"log: { kafka: { partitions: 0 } }\n",
     "c.yaml:1: log.kafka.partitions: 0 is out of range (1 to 1024)"},

    /* texts of a certain form */
    {"listen: localhost\n", "c.yaml:1: listen: \"localhost\" has no port (" ADDRESS_WORDS ")"},
    {"listen: ::1:80\n",
     "c.yaml:1: listen: \"::1:80\" has several colons: an IPv6 address needs [ and ] (" ADDRESS_WORDS
     ")"},
    {"admin: ':99999'\n",
     "c.yaml:1: admin: \":99999\" has no port from 0 to 65535 after the colon (" ADDRESS_WORDS
     "; or off)"},
    {"listen: ''\n", "c.yaml:1: listen: must not be empty (" ADDRESS_WORDS ")"},
    {"shards: [ { name: a b } ]\n",
     "c.yaml:1: shards[0].name: the character at place 2 is not allowed (" NAME_WORDS ")"},
    {"log: { kafka: { topic: a/b } }\n",
     "c.yaml:1: log.kafka.topic: the character at place 2 is not allowed (letters, "
     "digits, '.', '_' and '-', at most 249)"},
    {"log: { kafka: { topic: .. } }\n",
     "c.yaml:1: log.kafka.topic: \"..\" is not a name (letters, digits, '.', '_' and '-', at most 249)"},
    {"routes: [ { table: a.b.c } ]\n",
     "c.yaml:1: routes[0].table: \"a.b.c\" is not the name of a table (name or schema.name)"},
    {"routes: [ { path: things } ]\n",
     "c.yaml:1: routes[0].path: it does not begin with / (" PATH_WORDS ")"},
    {"routes: [ { path: /things } ]\n",
     "c.yaml:1: routes[0].path: there is no {parameter}, so no row is named (" PATH_WORDS ")"},
    {"routes: [ { path: '/things/{id}/' } ]\n",
     "c.yaml:1: routes[0].path: a segment is empty (" PATH_WORDS ")"},
    {"routes: [ { path: '/things/{id' } ]\n",
     "c.yaml:1: routes[0].path: \"{id\" is not a parameter (write {name}) (" PATH_WORDS ")"},
    {"routes: [ { path: '/things/{}' } ]\n",
     "c.yaml:1: routes[0].path: \"{}\" is not a parameter (write {name}) (" PATH_WORDS ")"},
    {"routes: [ { path: '/things/{a{b}' } ]\n",
     "c.yaml:1: routes[0].path: \"{a{b}\" is not a parameter (the name of a key column, without braces in it) (" PATH_WORDS
     ")"},
    {"routes: [ { path: '/things/x{id}' } ]\n",
     "c.yaml:1: routes[0].path: \"x{id}\" mixes text and a parameter (a parameter "
     "is a whole segment) (" PATH_WORDS ")"},
    {"routes: [ { path: '/{id}/b/{id}' } ]\n",
     "c.yaml:1: routes[0].path: the parameter {id} comes twice (" PATH_WORDS ")"},
    {"routes: [ { path: '/th%20/{id}' } ]\n",
     "c.yaml:1: routes[0].path: \"th%20\" has a character that must be percent-encoded in paths (" PATH_WORDS
     ")"},
    {"routes: [ { columns: { n: sum } } ]\n",
     "c.yaml:1: routes[0].columns.n: \"sum\" is not known (column: operation, one of set, add, max, min, merge, append)"},

    /* the only choice */
    {"log: { kafka: { start: latest } }\n",
     "c.yaml:1: log.kafka.start: \"latest\" is not known (only earliest)"},

    /* missing */
    {SHARD ROUTE,
     "c.yaml:1: log: missing (a mapping of kafka, local, subpartitions, tenant_window)"},
    {"log: {}\n" SHARD ROUTE,
     "c.yaml:1: log: has no log (give kafka with brokers and topic, or local with path)"},
    {LOG ROUTE,
     "c.yaml:1: shards: missing (a list of mappings of name, dsn, sqlite, connections, connections_total, parked_max, held_max, commit)"},
    {LOG SHARD,
     "c.yaml:1: routes: missing (a list of mappings of name, path, table, tenant, put, patch, other, fold, untouched, on_refused, mode, shadow_table, row_security, columns)"},
    {LOG "shards: []\n" ROUTE,
     "c.yaml:2: shards: must not be empty (a list of mappings of name, dsn, sqlite, connections, connections_total, parked_max, held_max, commit)"},
    {LOG SHARD "routes:\n",
     "c.yaml:3: routes: must not be empty (a list of mappings of name, path, table, tenant, put, patch, other, fold, untouched, on_refused, mode, shadow_table, row_security, "
     "columns)"},
    {"log:\n  kafka:\n    topic: t\n",
     "c.yaml:2: log.kafka.brokers: missing (host:port, several with commas; $NAME takes an "
     "environment variable)"},
    {LOG "shards:\n  - dsn: x\n", "c.yaml:3: shards[0].name: missing (" NAME_WORDS ")"},
    {LOG "shards: [ { name: a } ]\n" ROUTE,
     "c.yaml:2: shards[0].dsn: missing (a connection string or URI of libpq, or `sqlite` with a file instead)"},
    {"log: { local: { partitions: 2 } }\n" SHARD ROUTE,
     "c.yaml:1: log.local.path: missing (a file; relative to the working directory; $NAME takes an "
     "environment variable)"},
    {LOG SHARD "routes: [ { table: t } ]\n", "c.yaml:3: routes[0].path: missing (" PATH_WORDS ")"},
    {LOG SHARD "routes: [ { path: '/{id}' } ]\n",
     "c.yaml:3: routes[0].table: missing (name or schema.name)"},

    /* what settings say together */
    {"log:\n  kafka: { brokers: x, topic: t }\n  local: { path: l }\n" SHARD ROUTE,
     "c.yaml:3: log.local: log.kafka is given too (give one of the two)"},
    {"log: { kafka: { brokers: x, topic: t, give_up_after: 30s } }\n" SHARD ROUTE,
     "c.yaml:1: log.kafka.give_up_after: must be longer than log.kafka.renew_after (30s), or 0 for never"},
    {"log: { kafka: { brokers: x, topic: t, renew_after: 1h } }\n" SHARD ROUTE,
     "c.yaml:1: log.kafka.renew_after: must be shorter than log.kafka.give_up_after (15m)"},
    {"log: { local: { path: l, partitions: 1 } }\nshards:\n  - { name: a, sqlite: x }\n  - { name: b, sqlite: y }\n" ROUTE,
     "c.yaml:1: log.local.partitions: 1 is less than the number of shards, and each needs a partition (at least 2)"},
    {LOG "shards: [ { name: a, dsn: x, sqlite: y } ]\n" ROUTE,
     "c.yaml:2: shards[0].sqlite: a dsn is given too (give one of the two)"},
    {LOG "shards:\n  - { name: a, sqlite: x }\n  - { name: b, sqlite: x }\n" ROUTE,
     "c.yaml:4: shards[1].sqlite: \"x\" is already the file of shards[0] (each file once)"},
    {"log: { local: { path: x } }\nshards: [ { name: a, sqlite: x } ]\n" ROUTE,
     "c.yaml:2: shards[0].sqlite: \"x\" is the file of the log (give another one: each must survive the other)"},
    {LOG "shards: [ { name: a, sqlite: x, commit: async } ]\n" ROUTE,
     "c.yaml:2: shards[0].commit: async needs PostgreSQL, and this shard is a SQLite file (sync)"},
    {LOG "shards:\n  - { name: a, dsn: x }\n  - { name: a, dsn: y }\n" ROUTE,
     "c.yaml:4: shards[1].name: \"a\" is already the name of shards[0] (each name once)"},
    {LOG "shards:\n  - { name: a, dsn: x }\n  - { name: b, dsn: y }\n" ROUTE,
     "c.yaml:5: routes[0].tenant: missing, and there are 2 shards (a parameter of the path: id; or body.NAME, header.NAME or token)"},
    {LOG SHARD "routes: [ { path: '/{a}/{b}', table: t, tenant: c } ]\n",
     "c.yaml:3: routes[0].tenant: \"c\" is not in the path (one of its parameters: a, b; or body.NAME, header.NAME or token)"},
    {LOG SHARD "routes: [ { path: '/{a}', table: t, tenant: body. } ]\n",
     "c.yaml:3: routes[0].tenant: \"body.\" names nothing (a name of 1 to 63 bytes after the dot)"},
    {LOG SHARD "routes: [ { path: '/{a}', table: t, tenant: header.a_b } ]\n",
     "c.yaml:3: routes[0].tenant: \"a_b\" is not the name of a header (letters, digits and '-')"},
    {LOG SHARD "routes: [ { path: '/{a}', table: t, tenant: query.a } ]\n",
     "c.yaml:3: routes[0].tenant: \"query.a\" is not in the path (one of its parameters: a; or body.NAME, header.NAME or token)"},
    {LOG SHARD "routes: [ { path: '/{a}', table: t, tenant: token } ]\n",
     "c.yaml:3: routes[0].tenant: nobody shows a token without auth (add auth, or another place)"},
    {LOG SHARD "routes: [ { path: '/{a}', table: t, put: keep } ]\n",
     "c.yaml:3: routes[0].put: \"keep\" is not known (one of replace, merge)"},
    {LOG SHARD "routes: [ { path: '/{a}', table: t, put: merge, patch: existing } ]\n",
     "c.yaml:3: routes[0].put: merge inserts a missing row, and patch: existing does not (one of the two, or a route for each)"},
    {LOG SHARD "routes: [ { path: '/{a}', table: t, other: '' } ]\n",
     "c.yaml:3: routes[0].other: must not be empty (refuse, drop, or a column of jsonb or json)"},
    {LOG SHARD "routes:\n  - { path: '/a/{id}', table: t }\n  - { path: '/b/{id}', table: t }\n",
     "c.yaml:5: routes[1].table: \"t\" is already the name of routes[0] (each name once; give this route a `name`)"},
    {LOG SHARD "routes:\n  - { path: '/a/{id}', table: t }\n  - { path: '/a/{x}', table: u }\n",
     "c.yaml:5: routes[1].path: matches the same requests as routes[0] (each path once)"},
    {"routes: [ { columns: { n: { operation: max, stride: 1 } } } ]\n",
     "c.yaml:1: routes[0].columns.n.stride: unknown key (known here: operation, step)"},
    {"routes: [ { columns: { n: { step: 1 } } } ]\n",
     "c.yaml:1: routes[0].columns.n.operation: missing"},
    {"routes: [ { columns: { n: { operation: max, step: } } } ]\n",
     "c.yaml:1: routes[0].columns.n.step: must be a text"},
    {"routes: [ { columns: { n: { operation: most, step: 1 } } } ]\n",
     "c.yaml:1: routes[0].columns.n.operation: \"most\" is not known (column: operation, one of set, add, max, min, merge, "
     "append)"},
    {LOG SHARD
     "routes: [ { path: '/a/{id}', table: t, columns: { n: { operation: min, step: 1 } } } ]\n",
     "c.yaml:3: routes[0].columns.n.step: only the operation max has a step, not min"},
    {LOG SHARD
     "routes: [ { path: '/a/{id}', table: t, columns: { n: { operation: max, step: 0.00 } } } ]\n",
     "c.yaml:3: routes[0].columns.n.step: \"0.00\" is not a step (greater than 0: a number such as 10 or 0.5, or digits with "
     "ms, s, m or h)"},
    {LOG SHARD
     "routes: [ { path: '/a/{id}', table: t, columns: { n: { operation: max, step: -5s } } } ]\n",
     "c.yaml:3: routes[0].columns.n.step: \"-5s\" is not a step (greater than 0: a number such as 10 or 0.5, or digits with "
     "ms, s, m or h)"},
    {LOG SHARD
     "routes: [ { path: '/a/{id}', table: t, columns: { n: { operation: max, step: 0s } } } ]\n",
     "c.yaml:3: routes[0].columns.n.step: \"0s\" is not a step (greater than 0: a number such as 10 or 0.5, or digits with "
     "ms, s, m or h)"},
    {LOG
     "shards: [ { name: a, sqlite: a.db } ]\nroutes: [ { path: '/a/{id}', table: t, mode: sync } ]\n",
     "c.yaml:3: routes[0].mode: sync needs PostgreSQL, and shards[0] is a SQLite file (async)"},
    {LOG SHARD "routes: [ { path: '/a/{id}', table: t, mode: both } ]\n",
     "c.yaml:3: routes[0].mode: \"both\" is not known (one of async, sync, shadow, live)"},
    {LOG SHARD "routes: [ { path: '/a/{id}', table: t, mode: shadow } ]\n",
     "c.yaml:3: routes[0].shadow_table: missing, and the mode is shadow (a table like t)"},
    {LOG SHARD "routes: [ { path: '/a/{id}', table: t, on_refused: wait } ]\n",
     "c.yaml:3: routes[0].on_refused: \"wait\" is not known (one of skip, hold, stop)"},
    {LOG SHARD "routes: [ { path: '/a/{id}', table: t, columns: { id: add } } ]\n",
     "c.yaml:3: routes[0].columns.id: is in the path, and a key never changes (columns outside the path)"},
    {LOG SHARD "routes: [ { path: '/a/{id}', table: 'my table' } ]\n",
     "c.yaml:3: routes[0].name: missing, and the table's name cannot be used: the character at place 3 is not allowed "
     "(" NAME_WORDS ")"},
    {"workers: 9\n" LOG SHARD ROUTE,
     "c.yaml:3: shards[0].connections: 8 cannot be divided among 9 workers (at least one for each)"},
    {"log: { kafka: { brokers: x, topic: t, partitions: 1 } }\n"
     "shards: [ { name: a, dsn: x }, { name: b, dsn: y } ]\nroutes: [ { path: '/{id}', table: t, tenant: id } ]\n",
     "c.yaml:1: log.kafka.partitions: 1 is less than the number of shards, and each needs a partition (at least 2)"},
    {"log: { kafka: { brokers: x, topic: t }, tenant_window: 9 }\n" SHARD ROUTE,
     "c.yaml:1: log.tenant_window: must be at most one 32th of log.subpartitions, which is 256 (0 to 8)"},
    {"log:\n  kafka: { brokers: x, topic: t }\n  subpartitions: 31\n  tenant_window: 1\n" SHARD
         ROUTE,
     "c.yaml:4: log.tenant_window: must be at most one 32th of log.subpartitions, which is 31 (0 to 0)"},
    {"log: { kafka: { brokers: x, topic: t }, subpartitions: 1025 }\n" SHARD ROUTE,
     "c.yaml:1: log.subpartitions: 1025 is out of range (1 to 1024)"},
    {LOG SHARD ROUTE "apply:\n  drain: 5m\n",
     "c.yaml:5: apply.drain: the group waits 5m (max.poll.interval.ms) for a member that hands partitions over "
     "(apply.drain must be less)"},
    {"log: { kafka: { brokers: x, topic: t, properties: { max.poll.interval.ms: 5000 } } }\n" SHARD
         ROUTE,
     "c.yaml:1: log.kafka.properties: the group waits 5s (max.poll.interval.ms) for a member that hands partitions over "
     "(apply.drain must be less)"},
    {LOG SHARD ROUTE "apply:\n  memory: 1MiB\n",
     "c.yaml:4: apply.batch_bytes: 4MiB is more than apply.memory has (at most "
     "1MiB)"},
    {LOG SHARD ROUTE "apply:\n  records: 64\n  batch_records: 65\n",
     "c.yaml:6: apply.batch_records: 65 is more than apply.records has (at most 64)"},
    {LOG SHARD ROUTE "apply: { memory: 1MiB, batch_bytes: 1MiB }\nlimits: { body_max: 2MiB }\n",
     "c.yaml:5: limits.body_max: 2MiB is more than apply.memory has (at most 1MiB)"},
    {LOG SHARD ROUTE "limits:\n  key: { burst: 5 }\n",
     "c.yaml:5: limits.key.burst: limits nothing without limits.key.rate"},
    {LOG SHARD ROUTE "auth: { tokens: t }\nlimits: { token: { burst: 5 } }\n",
     "c.yaml:5: limits.token.burst: limits nothing without limits.token.rate"},
    {LOG SHARD ROUTE "limits: { token: { rate: 5 } }\n",
     "c.yaml:4: limits.token: limits nothing without tokens (auth.tokens or auth.jwt)"},
    {LOG SHARD ROUTE "auth:\n", "c.yaml:4: auth: " AUTH_EMPTY},
    {LOG SHARD ROUTE "auth: {}\n", "c.yaml:4: auth: " AUTH_EMPTY},
    {LOG SHARD ROUTE "auth: { jwt: { issuer: x } }\n",
     "c.yaml:4: auth.jwt.keys: missing (a file; relative to the working directory)"},
    {LOG SHARD ROUTE "auth: { token: x }\n",
     "c.yaml:4: auth.token: unknown key; did you mean limits.token? (known here: tokens, jwt)"},
    {LOG SHARD ROUTE "admin: :9464\n", "c.yaml:4: admin: " ADMIN_OPEN},
    {LOG SHARD ROUTE "admin: 0.0.0.0:9464\n", "c.yaml:4: admin: " ADMIN_OPEN},
    {LOG SHARD ROUTE "admin: 10.0.0.1:9464\n", "c.yaml:4: admin: " ADMIN_OPEN},
    {LOG SHARD ROUTE "admin: '[::]:9464'\n", "c.yaml:4: admin: " ADMIN_OPEN},
    {LOG SHARD ROUTE "admin: example.org:9464\n", "c.yaml:4: admin: " ADMIN_OPEN},
    {LOG SHARD ROUTE "admin_token: ''\n",
     "c.yaml:4: admin_token: must not be empty (any text; $NAME takes an environment variable)"},

    /* tracing */
    {LOG SHARD ROUTE "tracing: { sample: 1 }\n", "c.yaml:4: tracing.endpoint: missing " URL_WORDS},
    {LOG SHARD ROUTE "tracing: { endpoint: 'localhost:4318' }\n",
     "c.yaml:4: tracing.endpoint: is not a URL of http or https " URL_WORDS},
    {LOG SHARD ROUTE "tracing: { endpoint: 'http://h:4318' }\n",
     "c.yaml:4: tracing.endpoint: has no path " URL_WORDS},
    {LOG SHARD ROUTE "tracing: { endpoint: 'http://u:p@h/' }\n",
     "c.yaml:4: tracing.endpoint: has a user in it " URL_WORDS},
    {LOG SHARD ROUTE "tracing: { endpoint: 'http://h/a b' }\n",
     "c.yaml:4: tracing.endpoint: has a character in it that no URL has " URL_WORDS},
    {LOG SHARD ROUTE "tracing: { endpoint: 'http:///v1/traces' }\n",
     "c.yaml:4: tracing.endpoint: is not a URL of http or https " URL_WORDS},
    {LOG SHARD ROUTE "tracing: { endpoint: 'http://h/', sample: 1.5 }\n",
     "c.yaml:4: tracing.sample: \"1.5\" is not a share (0 to 1, such as 0.01)"},
    {LOG SHARD ROUTE "tracing: { endpoint: 'http://h/', sample: 1% }\n",
     "c.yaml:4: tracing.sample: \"1%\" is not a share (0 to 1, such as 0.01)"},
    {LOG SHARD ROUTE "tracing: { endpoint: 'http://h/', queue: 1 }\n",
     "c.yaml:4: tracing.queue: 1 is out of range (64 to 1000000)"},
    {LOG SHARD ROUTE "tracing: { endpoint: 'http://h/', headers: { 'a b': c } }\n",
     "c.yaml:4: tracing.headers.?: is not the name of a header (letters, digits and '-')"},
    {LOG SHARD ROUTE "tracing: { endpoint: 'http://h/', headers: { a: \"b\\nc: d\" } }\n",
     "c.yaml:4: tracing.headers.a: must be one line of text (its value is not shown)"},

    /* variables of the environment: never a part of the text itself */
    {"log: { kafka: { brokers: $LEAT_TEST_UNSET } }\n",
     "c.yaml:1: log.kafka.brokers: the environment variable LEAT_TEST_UNSET is not set (or empty)"},
    {"shards: [ { dsn: 'host=${leat_test_unset} x' } ]\n",
     "c.yaml:1: shards[0].dsn: the environment variable leat_test_unset is not set (or empty)"},
    {"shards: [ { dsn: 'password=pa$SECRET' } ]\n",
     "c.yaml:1: shards[0].dsn: the environment variable at character 12 is not "
     "set (or empty; ${NAME} has it named, $$ is a dollar sign)"},
    {"shards: [ { dsn: 'host=h password=$LEAT_TEST_UNSET dbname=d' } ]\n",
     "c.yaml:1: shards[0].dsn: the environment variable LEAT_TEST_UNSET is not set (or empty)"},
    {"shards: [ { dsn: 'postgresql://u:$LEAT_TEST_UNSET@h/d' } ]\n",
     "c.yaml:1: shards[0].dsn: the environment variable LEAT_TEST_UNSET is not set (or empty)"},
    {"shards: [ { dsn: 'password=$SECRET!' } ]\n",
     "c.yaml:1: shards[0].dsn: the environment variable at character 10 is not "
     "set (or empty; ${NAME} has it named, $$ is a dollar sign)"},
    {"shards: [ { dsn: 'password=pa$secret' } ]\n",
     "c.yaml:1: shards[0].dsn: the $ at character 12 begins no variable ($NAME "
     "in capitals, ${name}; $$ is a dollar sign)"},
    {"shards: [ { dsn: '${OPEN' } ]\n",
     "c.yaml:1: shards[0].dsn: the $ at character 1 begins no variable ($NAME in capitals, "
     "${name}; $$ is a dollar sign)"},
    {"shards: [ { sqlite: $LEAT_TEST_UNSET/a.db } ]\n",
     "c.yaml:1: shards[0].sqlite: the environment variable LEAT_TEST_UNSET is not set (or empty)"},
    {"log: { local: { path: $LEAT_TEST_UNSET } }\n",
     "c.yaml:1: log.local.path: the environment variable LEAT_TEST_UNSET is not set (or empty)"},
    {"log: { kafka: { properties: { sasl.password: x$ } } }\n",
     "c.yaml:1: log.kafka.properties.sasl.password: the $ at character 2 begins no variable ($NAME in capitals, "
     "${name}; "
     "$$ is a dollar sign)"},
};

START_TEST(test_broken_file)
{
    expect_refused(broken_files[_i].text, broken_files[_i].message);
}
END_TEST

START_TEST(test_file_that_is_not_there)
{
    leat_config config;
    leat_error error;
    ck_assert_int_eq(leat_config_load("/nowhere/leat.yaml", &config, &error), -1);
    ck_assert_str_eq(error.text, "/nowhere/leat.yaml: cannot be opened: No such file or directory");
    ck_assert_int_eq(leat_config_load("/tmp", &config, &error), -1);
    ck_assert_str_eq(error.text, "/tmp: cannot be read: Is a directory");
}
END_TEST

START_TEST(test_file_too_large)
{
    size_t size = 1024 * 1024 + 1;
    char *text = leat_must_calloc(1, size);
    memset(text, '#', size);
    leat_config config;
    leat_error error;
    ck_assert_int_eq(load(text, size, &config, &error), -1);
    ck_assert_str_eq(error.text, "c.yaml: cannot be read: it is too large (at most 1 MiB)");
    free(text);
}
END_TEST

/* Whatever is cut off the end of a file, the answer is a message or a configuration. */
START_TEST(test_every_beginning_of_a_file)
{
    static const char whole[] = "listen: ':0'\nworkers: 2\n" LOG
                                "shards:\n  - name: a\n    dsn: \"host=h\"\n" ROUTE
                                "limits: { body_max: 1MiB, idle_timeout: 1m }\n";
    for (size_t size = 0; size < sizeof whole; size++) {
        leat_config config;
        leat_error error;
        if (load(whole, size, &config, &error) == 0)
            leat_config_fini(&config);
    }
}
END_TEST

START_TEST(test_defaults)
{
    leat_config c;
    load_good(LOG SHARD ROUTE, &c);
    ck_assert_str_eq(c.file, "c.yaml");
    ck_assert_str_eq(c.listen, "127.0.0.1:8080");
    ck_assert_str_eq(c.admin, "127.0.0.1:9464");
    ck_assert_int_eq(c.workers, 1);
    ck_assert_str_eq(c.data_dir, "./leat-data");
    ck_assert_str_eq(c.log_level, "info");
    ck_assert_str_eq(c.kafka_brokers, "k:9092");
    ck_assert_str_eq(c.kafka_topic, "t");
    ck_assert_str_eq(c.kafka_group, "leat");
    ck_assert_int_eq(c.kafka_partitions, 0);
    ck_assert_int_eq(c.subpartitions, 0);
    ck_assert_uint_eq(leat_config_subpartitions(&c), 256);
    ck_assert_int_eq(c.tenant_window, -1);
    ck_assert_int_eq(c.kafka_replication, 0);
    ck_assert_uint_eq(c.kafka_property_count, 0);
    ck_assert_uint_eq(c.shard_count, 1);
    ck_assert_str_eq(c.shards[0].dsn, "host=h");
    ck_assert_ptr_null(c.shards[0].sqlite);
    ck_assert_int_eq(c.shards[0].connections, 8);
    ck_assert_int_eq(c.shards[0].parked_max, INT64_C(1) << 30);
    ck_assert_int_eq(c.shards[0].held_max, INT64_C(1) << 30);
    ck_assert_uint_eq(c.route_count, 1);
    ck_assert_str_eq(c.routes[0].name, "things");
    ck_assert_str_eq(c.routes[0].put, "replace");
    ck_assert_str_eq(c.routes[0].patch, "upsert");
    ck_assert_str_eq(c.routes[0].other, "refuse");
    ck_assert_str_eq(c.routes[0].fold, "on");
    ck_assert_int_eq(c.catalog_every_ms, 5000);
    ck_assert_ptr_null(c.routes[0].tenant);
    ck_assert_uint_eq(c.routes[0].column_count, 0);
    leat_config_fini(&c);
}
END_TEST

START_TEST(test_default_budgets)
{
    leat_config c;
    load_good(LOG SHARD ROUTE "limits:\napply: {}\n", &c);
    ck_assert_int_eq(c.body_max, 65536);
    ck_assert_int_eq(c.header_timeout_ms, 5000);
    ck_assert_int_eq(c.body_timeout_ms, 30000);
    ck_assert_int_eq(c.idle_timeout_ms, 90000);
    ck_assert_int_eq(c.drain_delay_ms, 5000);
    ck_assert_int_eq(c.edge_connections, 4096);
    ck_assert_int_eq(c.in_flight_max, 20000);
    ck_assert_int_eq(c.memory_max, 24 * 1024 * 1024);
    ck_assert_int_eq(c.records_max, 131072);
    ck_assert_int_eq(c.batch_records, 1000);
    ck_assert_int_eq(c.batch_bytes, 4 * 1024 * 1024);
    ck_assert_int_eq(c.age_bound_ms, 20);
    ck_assert_int_eq(c.compact_every_ms, 5000);
    ck_assert_int_eq(c.commit_every_ms, 1000);
    ck_assert_int_eq(c.drain_ms, 5000);
    ck_assert_int_eq(c.lock_timeout_ms, 5000);
    ck_assert_int_eq(c.patience_ms, 30000);
    ck_assert_int_eq(c.dead_letters_per_minute, 100);
    ck_assert_int_eq(c.dead_letters_percent, 20);
    leat_config_fini(&c);
}
END_TEST

/* The HTTP server has defaults for the admin listener; the edge's are those of the table. */
START_TEST(test_defaults_of_the_http_server)
{
    leat_config c;
    leat_http_config http;
    load_good(LOG SHARD ROUTE, &c);
    leat_http_config_defaults(&http);
    ck_assert_int_eq((int64_t)http.body_max, (int64_t)c.body_max);
    ck_assert_int_eq(http.header_timeout_ms, c.header_timeout_ms);
    ck_assert_int_eq(http.body_timeout_ms, c.body_timeout_ms);
    ck_assert_int_eq(http.idle_timeout_ms, c.idle_timeout_ms);
    ck_assert_int_eq((int64_t)http.connections_max, (int64_t)c.edge_connections);
    leat_config_fini(&c);
}
END_TEST

START_TEST(test_everything_given)
{
    leat_config c;
    load_good(
        "listen: '[::1]:1'\nadmin: off\nworkers: 2\ndata_dir: /var/lib/leat\nlog_level: debug\n"
        "log:\n  kafka:\n    brokers: k1:1,k2:2\n    topic: writes\n    group: g\n    partitions: 6\n"
        "    replication: 3\n    start: earliest\n    properties:\n      compression.type: lz4\n      linger.ms: 2\n"
        "  subpartitions: 512\n  tenant_window: 16\n"
        "shards:\n- { name: a, dsn: x, connections: 2 }\n- name: b\n  dsn: y\n"
        "routes:\n- name: subs\n  path: /apps/{app_id}/subs/{sub_id}\n  table: public.subs\n  tenant: app_id\n"
        "  patch: upsert\n  columns:\n    n: add\n    history: append\n    plain: set\n    seen: {operation: max, step: 60s}\n"
        "limits: { body_max: 1 MiB, idle_timeout: 2m }\napply: { drain: 0s, records: 100000 }\n",
        &c);
    ck_assert_str_eq(c.listen, "[::1]:1");
    ck_assert_str_eq(c.admin, "off");
    ck_assert_int_eq(c.workers, 2);
    ck_assert_int_eq(c.kafka_partitions, 6);
    ck_assert_uint_eq(leat_config_subpartitions(&c), 512);
    ck_assert_int_eq(c.tenant_window, 16);
    ck_assert_int_eq(c.kafka_replication, 3);
    ck_assert_uint_eq(c.kafka_property_count, 2);
    ck_assert_str_eq(c.kafka_properties[1].name, "linger.ms");
    ck_assert_str_eq(c.kafka_properties[1].value, "2");
    ck_assert_int_eq(c.kafka_properties[1].line, 16);
    ck_assert_uint_eq(c.shard_count, 2);
    ck_assert_int_eq(c.shards[0].connections, 2);
    ck_assert_int_eq(c.shards[1].line, 21);
    ck_assert_str_eq(c.routes[0].name, "subs");
    ck_assert_uint_eq(c.routes[0].column_count, 4);
    ck_assert_str_eq(c.routes[0].columns[1].name, "history");
    ck_assert_str_eq(c.routes[0].columns[1].value, "append");
    ck_assert_ptr_null(c.routes[0].columns[1].detail);
    ck_assert_str_eq(c.routes[0].columns[3].name, "seen");
    ck_assert_str_eq(c.routes[0].columns[3].value, "max");
    ck_assert_str_eq(c.routes[0].columns[3].detail, "60s");
    ck_assert_int_eq(c.body_max, 1024 * 1024);
    ck_assert_int_eq(c.idle_timeout_ms, 120000);
    ck_assert_int_eq(c.drain_ms, 0);
    ck_assert_int_eq(c.records_max, 100000);
    leat_config_fini(&c);
}
END_TEST

START_TEST(test_who_may_come)
{
    static const char *const own[] = {"admin: 127.0.0.1:1\n", "admin: 127.9.9.9:1\n",
                                      "admin: '[::1]:1'\n",   "admin: localhost:1\n",
                                      "admin: off\n",         "admin: :1\nadmin_token: x\n"};
    leat_config c;
    char text[512];
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        snprintf(text, sizeof text, "%s%s", LOG SHARD ROUTE, own[i]);
        load_good(text, &c);
        ck_assert(!c.auth_tokens && !c.jwt_keys);
        leat_config_fini(&c);
    }
    load_good(LOG SHARD ROUTE "auth: { jwt: { keys: k, audience: a, leeway: 5s } }\n", &c);
    ck_assert_str_eq(c.jwt_keys, "k");
    ck_assert_str_eq(c.jwt_audience, "a");
    ck_assert_str_eq(c.jwt_scope_claim, "scope");
    ck_assert_ptr_null(c.jwt_tenant_claim);
    ck_assert_int_eq(c.jwt_leeway_ms, 5000);
    leat_config_fini(&c);
}
END_TEST

/* A fault that only Kafka or a database finds is reported with the same file, line and path. */
START_TEST(test_blame)
{
    static const char file[] =
        "log:\n  kafka:\n    brokers: b\n    topic: t\nshards:\n- name: a\n  dsn: x\n"
        "routes:\n- {path: '/a/{a}', table: a}\n- path: /b/{b}\n  table: b\n  columns:\n    n: add\n    n.b: add\n";
    static const struct {
        const char *path;
        int line;
    } cases[] = {
        {"log.kafka.topic", 4},
        {"log.kafka.partitions", 2},
        {"shards[0].dsn", 7},
        {"routes[0].table", 9},
        {"routes[1]", 10},
        {"routes[1].table", 11},
        {"routes[1].columns.n", 13},
        {"routes[1].columns.n.b", 14},
        {"routes[1].columns.none", 12},
        {"routes[2].table", 8},
        {"admin", 1},
    };
    leat_config c;
    load_good(file, &c);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        leat_error error;
        char wanted[256];
        leat_fail(&error, "is wrong");
        ck_assert_int_eq(leat_config_blame(&c, &error, "%s", cases[i].path), -1);
        snprintf(wanted, sizeof wanted, "%s:%d: %s: is wrong", c.file, cases[i].line,
                 cases[i].path);
        ck_assert_str_eq(error.text, wanted);
    }
    leat_config_fini(&c);
}
END_TEST

START_TEST(test_environment)
{
    ck_assert_int_eq(setenv("LEAT_TEST_HOST", "db.example", 1), 0);
    ck_assert_int_eq(setenv("LEAT_TEST_PASSWORD", "a$b ${c}", 1), 0);
    leat_config c;
    load_good(
        "log: { kafka: { brokers: '$LEAT_TEST_HOST:9092,${LEAT_TEST_HOST}', topic: t,\n"
        "  properties: { sasl.password: $LEAT_TEST_PASSWORD, client.id: a$$b } } }\n"
        "shards: [ { name: a, dsn: 'host=$LEAT_TEST_HOST password=${LEAT_TEST_PASSWORD}x$$' } ]\n" ROUTE,
        &c);
    ck_assert_str_eq(c.kafka_brokers, "db.example:9092,db.example");
    ck_assert_str_eq(c.kafka_properties[0].value, "a$b ${c}");
    ck_assert_str_eq(c.kafka_properties[1].value, "a$b");
    ck_assert_str_eq(c.shards[0].dsn, "host=db.example password=a$b ${c}x$");
    leat_config_fini(&c);
    ck_assert_int_eq(setenv("LEAT_TEST_FOLDER", "/data", 1), 0);
    load_good("log: { local: { path: '${LEAT_TEST_FOLDER}/log' } }\n"
              "shards: [ { name: a, sqlite: $LEAT_TEST_FOLDER/a$$b.db } ]\n" ROUTE,
              &c);
    ck_assert_str_eq(c.local_path, "/data/log");
    ck_assert_str_eq(c.shards[0].sqlite, "/data/a$b.db");
    leat_config_fini(&c);
    ck_assert_int_eq(setenv("LEAT_TEST_HOST", "", 1), 0);
    expect_refused(
        "log: { kafka: { brokers: $LEAT_TEST_HOST } }\n",
        "c.yaml:1: log.kafka.brokers: the environment variable LEAT_TEST_HOST is not set (or empty)");
}
END_TEST

/* Every message about every kind of mistake with a secret nearby, searched for the secret. */
START_TEST(test_no_secret_is_shown)
{
    static const char *const files[] = {
        "shards: [ { name: a, dsn: 'password=hunter2', dsn: 'password=hunter2' } ]\n",
        "shards: [ { name: a, 'password=hunter2': 1 } ]\n",
        "shards: [ { name: a, 'postgres://u:hunter2@h/d': 1 } ]\n",
        "shards: [ 'postgres://u:hunter2@h/d' ]\n",
        "shards: 'postgres://u:hunter2@h/d'\n",
        "log: { kafka: { properties: { sasl.password: hunter2$ } } }\n",
        "log: { kafka: { properties: { sasl.password: [ hunter2 ] } } }\n",
        "log: { kafka: { properties: 'sasl.password=hunter2' } }\n",
        "log: { kafka: { brokers: { hunter2: 1 } } }\n",
        "shards: [ { dsn: 'password=hunter2, name: a } ]\n",
        "shards: [ { dsn: password=%hunter2\t: a } ]\n",
        "shards: [ { dsn: 'x$HUNTER2' } ]\n",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        leat_config config;
        leat_error error = {""};
        ck_assert_int_eq(load(files[i], strlen(files[i]), &config, &error), -1);
        ck_assert_msg(!strcasestr(error.text, "hunter2"), "%s", error.text);
    }
}
END_TEST

typedef struct number {
    const char *text;
    leat_unit unit;
    int64_t value; /* -1: refused */
    const char *shortest;
} number;

static const number numbers[] = {
    {"0", LEAT_UNIT_BYTES, 0, "0"},
    {"65536", LEAT_UNIT_BYTES, 65536, "64KiB"},
    {"64KiB", LEAT_UNIT_BYTES, 65536, "64KiB"},
    {"64 KiB", LEAT_UNIT_BYTES, 65536, "64KiB"},
    {"4MiB", LEAT_UNIT_BYTES, 4194304, "4MiB"},
    {"3GiB", LEAT_UNIT_BYTES, 3221225472, "3GiB"},
    {"1000", LEAT_UNIT_BYTES, 1000, "1000"},
    {"64kib", LEAT_UNIT_BYTES, -1, NULL},
    {"64KB", LEAT_UNIT_BYTES, -1, NULL},
    {"1.5MiB", LEAT_UNIT_BYTES, -1, NULL},
    {"KiB", LEAT_UNIT_BYTES, -1, NULL},
    {"8589934592GiB", LEAT_UNIT_BYTES, -1, NULL},
    {"9223372036854775808", LEAT_UNIT_BYTES, -1, NULL},
    {"5s", LEAT_UNIT_MS, 5000, "5s"},
    {"500ms", LEAT_UNIT_MS, 500, "500ms"},
    {"1500ms", LEAT_UNIT_MS, 1500, "1500ms"},
    {"60s", LEAT_UNIT_MS, 60000, "1m"},
    {"1m", LEAT_UNIT_MS, 60000, "1m"},
    {"2h", LEAT_UNIT_MS, 7200000, "2h"},
    {"0ms", LEAT_UNIT_MS, 0, "0s"},
    {"5", LEAT_UNIT_MS, -1, NULL},
    {"5KiB", LEAT_UNIT_MS, -1, NULL},
    {"5 minutes", LEAT_UNIT_MS, -1, NULL},
    {"12", LEAT_UNIT_ONE, 12, "12"},
    {"+12", LEAT_UNIT_ONE, -1, NULL},
    {"12s", LEAT_UNIT_ONE, -1, NULL},
    {"", LEAT_UNIT_ONE, -1, NULL},
};

START_TEST(test_number)
{
    const number *n = &numbers[_i];
    int64_t value = -1;
    char text[32];
    ck_assert_int_eq(leat_text_number(n->text, n->unit, &value), n->value >= 0);
    ck_assert_int_eq(value, n->value);
    if (n->value < 0)
        return;
    leat_text_print_number(value, n->unit, text, sizeof text);
    ck_assert_str_eq(text, n->shortest);
}
END_TEST

typedef struct address {
    const char *text;
    const char *host; /* NULL: refused */
    int port;
} address;

static const address addresses[] = {
    {"127.0.0.1:8080", "127.0.0.1", 8080},
    {"localhost:0", "localhost", 0},
    {":80", "", 80},
    {"[::1]:65535", "::1", 65535},
    {"[::]:1", "::", 1},
    {"", NULL, 0},
    {"localhost", NULL, 0},
    {"localhost:", NULL, 0},
    {"localhost:65536", NULL, 0},
    {"localhost:080000", NULL, 0},
    {"localhost:80x", NULL, 0},
    {"localhost:-1", NULL, 0},
    {"::1:80", NULL, 0},
    {"[::1]", NULL, 0},
    {"[::1]80", NULL, 0},
    {"[::1:80", NULL, 0},
    {"[]:80", NULL, 0},
    {"a b:80", NULL, 0},
    {"a/b:80", NULL, 0},
    {"a-name-too-long.:1", NULL, 0},
};

START_TEST(test_address)
{
    const address *a = &addresses[_i];
    char host[16] = "unchanged";
    int port = -1;
    leat_error error;
    int result = leat_config_address(a->text, host, sizeof host, &port, &error);
    ck_assert_int_eq(result, a->host ? 0 : -1);
    ck_assert_str_eq(host, a->host ? a->host : "unchanged");
    ck_assert_int_eq(port, a->host ? a->port : -1);
}
END_TEST

START_TEST(test_distance)
{
    ck_assert_uint_eq(leat_text_distance("", ""), 0);
    ck_assert_uint_eq(leat_text_distance("", "abc"), 3);
    ck_assert_uint_eq(leat_text_distance("abc", ""), 3);
    ck_assert_uint_eq(leat_text_distance("listen", "listen"), 0);
    ck_assert_uint_eq(leat_text_distance("lisen", "listen"), 1);
    ck_assert_uint_eq(leat_text_distance("kafak", "kafka"), 1);
    ck_assert_uint_eq(leat_text_distance("kitten", "sitting"), 3);
}
END_TEST

static char *reference(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(out);
    leat_config_print_reference(out);
    ck_assert_int_eq(fclose(out), 0);
    return text;
}

START_TEST(test_reference_lists_every_setting)
{
    size_t count;
    const leat_setting *settings = leat_settings(&count);
    char *text = reference();
    for (size_t i = 0; i < count; i++) {
        char quoted[128];
        snprintf(quoted, sizeof quoted, "`%s`", settings[i].path);
        ck_assert_msg(strstr(text, quoted), "%s is not in the reference", settings[i].path);
        ck_assert_msg(strstr(text, settings[i].help), "the help of %s is not in the reference",
                      settings[i].path);
    }
    ck_assert_ptr_nonnull(strstr(text, "| `limits.body_max` | size | `64KiB` | 64 to 16MiB |"));
    ck_assert_ptr_nonnull(strstr(text, "| `log.kafka.topic` | text | required |"));
    free(text);
}
END_TEST

/* The table itself: each default is one that a file could give, and every value has a place. */
START_TEST(test_table_is_sound)
{
    size_t count;
    const leat_setting *settings = leat_settings(&count);
    for (size_t i = 0; i < count; i++) {
        const leat_setting *s = &settings[i];
        int64_t value = s->min;
        ck_assert_msg(s->help && *s->help, "%s has no help", s->path);
        ck_assert_msg(!s->required || !s->fallback, "%s is required and has a default", s->path);
        if (s->kind != LEAT_SETTING_NUMBER)
            continue;
        ck_assert_msg(!s->fallback || leat_text_number(s->fallback, s->unit, &value), "%s",
                      s->path);
        ck_assert_msg(s->min <= value && value <= s->max, "the default of %s is out of range",
                      s->path);
    }
}
END_TEST

START_TEST(test_example)
{
    const char *root = getenv("LEAT_SOURCE_ROOT");
    char path[4096];
    snprintf(path, sizeof path, "%s/examples/leat.yaml", root ? root : ".");
    if (access(path, R_OK) != 0)
        return; /* run from elsewhere: the build names the folder */
    ck_assert_int_eq(setenv("KAFKA_BROKERS", "k:9092", 1), 0);
    ck_assert_int_eq(setenv("PG_DSN_1", "host=one", 1), 0);
    ck_assert_int_eq(setenv("PG_DSN_2", "host=two", 1), 0);
    leat_config c;
    leat_error error = {""};
    ck_assert_msg(leat_config_load(path, &c, &error) == 0, "%s", error.text);
    ck_assert_uint_eq(c.shard_count, 2);
    ck_assert_str_eq(c.shards[1].dsn, "host=two");
    ck_assert_str_eq(c.routes[0].tenant, "app_id");
    leat_config_fini(&c);
    leat_config_fini(&c); /* again: nothing left */
    leat_config_fini(NULL);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("config");
    TCase *broken_case = tcase_create("broken");
    tcase_add_loop_test(broken_case, test_broken_file, 0,
                        (int)(sizeof broken_files / sizeof *broken_files));
    tcase_add_test(broken_case, test_file_that_is_not_there);
    tcase_add_test(broken_case, test_file_too_large);
    tcase_add_test(broken_case, test_every_beginning_of_a_file);
    tcase_add_test(broken_case, test_no_secret_is_shown);
    suite_add_tcase(s, broken_case);
    TCase *good = tcase_create("good");
    tcase_add_test(good, test_defaults);
    tcase_add_test(good, test_default_budgets);
    tcase_add_test(good, test_defaults_of_the_http_server);
    tcase_add_test(good, test_everything_given);
    tcase_add_test(good, test_environment);
    tcase_add_test(good, test_who_may_come);
    tcase_add_test(good, test_blame);
    tcase_add_test(good, test_example);
    suite_add_tcase(s, good);
    TCase *texts = tcase_create("texts");
    tcase_add_loop_test(texts, test_number, 0, (int)(sizeof numbers / sizeof *numbers));
    tcase_add_loop_test(texts, test_address, 0, (int)(sizeof addresses / sizeof *addresses));
    tcase_add_test(texts, test_distance);
    suite_add_tcase(s, texts);
    TCase *table = tcase_create("table");
    tcase_add_test(table, test_reference_lists_every_setting);
    tcase_add_test(table, test_table_is_sound);
    suite_add_tcase(s, table);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
