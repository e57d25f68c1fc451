/*
 * kafka.c - writes as records straight into the topic, by an idempotent producer: fills a topic
 * faster than any edge could, for figures of `leat apply` alone. The partition and the key's
 * canonical form come from the same code and the same catalog file as an edge uses; a record in
 * another partition would break the order of its row.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "load/target.h"
#include "record/catalog.h"

enum { POLL_MS = 1, FLUSH_MS = 10000, VALUES_MAX = 8 };

typedef struct producer {
    load_run *run;
    leat_catalog catalog;
    leat_routes *routes;
    leat_key key;
    rd_kafka_t *rk;
    rd_kafka_topic_t *topic;
    sigset_t signals;
} producer;

/* ---- placement ---- */

static int build_route(producer *p, leat_error *error)
{
    const load_options *options = p->run->options;
    if (leat_catalog_load(&p->catalog, options->catalog, error) < 0)
        return -1;
    if (strcmp(p->catalog.source.topic, options->topic) != 0)
        return leat_fail(error, "%s is about the topic %s", options->catalog,
                         p->catalog.source.topic);
    int table = leat_catalog_table(&p->catalog, options->table);
    if (table < 0)
        return leat_fail(error, "%s has no table %s (--table names another)", options->catalog,
                         options->table);
    leat_route_spec spec = {.path = options->path, .tenant = options->tenant};
    p->routes = leat_must_calloc(1, sizeof *p->routes);
    p->routes->count = 1;
    return leat_route_build(&spec, &p->catalog.tables[table], (uint32_t)table,
                            &p->routes->routes[0], error);
}

static int place(producer *p, const load_write *write, uint32_t *ret_partition, leat_error *error)
{
    const leat_route *route;
    char field[LEAT_NAME_MAX + 1];
    leat_slice path = {write->path.data, write->path.size};
    if (leat_routes_match(p->routes, path, &route, &p->key, field, error) != LEAT_MATCH_OK)
        return leat_fail_prefix(error, "%.*s is not a key of this table", (int)path.size,
                                path.data);
    *ret_partition = leat_layout_partition_of_key(&p->catalog.layout, route, &p->key);
    return 0;
}

/* ---- the producer ---- */

static void on_delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    producer *p = opaque;
    load_answer answer = {
        .status = 202, .partition = message->partition, .offset = message->offset};
    (void)rk;
    if (message->err) {
        bool not_stored = rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
        answer = (load_answer){.partition = -1,
                               .offset = -1,
                               .refused = not_stored,
                               .error = rd_kafka_err2name(message->err)};
    }
    load_run_answer(p->run, message->_private, &answer, leat_mono_us());
}

static rd_kafka_conf_t *producer_conf(producer *p, leat_error *error)
{
    char in_flight[16];
    snprintf(in_flight, sizeof in_flight, "%u", p->run->options->in_flight);
    const char *const settings[][2] = {
        {"bootstrap.servers", p->run->options->brokers},
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"linger.ms", "5"},
        {"compression.type", "lz4"},
        {"batch.size", "65536"}, /* as of edges, which never wait for as much as fits */
        {"queue.buffering.max.messages", in_flight},
        {"queue.buffering.max.kbytes", "1048576"},
        {"client.id", "leat-load"},
        {"log_level", "3"},
    };
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why) !=
            RD_KAFKA_CONF_OK) {
            leat_fail(error, "%s", why);
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    }
    rd_kafka_conf_set_opaque(conf, p);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivered);
    return conf;
}

static int producer_open(producer *p, leat_error *error)
{
    rd_kafka_conf_t *conf = producer_conf(p, error);
    if (!conf)
        return -1;
    char why[256];
    p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!p->rk) {
        rd_kafka_conf_destroy(conf);
        return leat_fail(error, "%s", why);
    }
    p->topic = rd_kafka_topic_new(p->rk, p->run->options->topic, NULL);
    return p->topic ? 0
                    : leat_fail(error, "topic %s: %s", p->run->options->topic,
                                rd_kafka_err2str(rd_kafka_last_error()));
}

static rd_kafka_vu_t header(const char *name, const char *value)
{
    rd_kafka_vu_t vu = {.vtype = RD_KAFKA_VTYPE_HEADER};
    vu.u.header.name = name;
    vu.u.header.val = value;
    vu.u.header.size = (ssize_t)strlen(value);
    return vu;
}

/* The body stays where it is until its delivery report; the key is copied by librdkafka. */
static size_t fill_values(producer *p, load_write *write, uint32_t partition,
                          rd_kafka_vu_t values[VALUES_MAX])
{
    size_t n = 0;
    values[n].vtype = RD_KAFKA_VTYPE_RKT;
    values[n++].u.rkt = p->topic;
    values[n].vtype = RD_KAFKA_VTYPE_PARTITION;
    values[n++].u.i32 = (int32_t)partition;
    values[n].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    values[n++].u.i64 = leat_wall_ms();
    values[n].vtype = RD_KAFKA_VTYPE_KEY;
    values[n].u.mem.ptr = p->key.canonical;
    values[n++].u.mem.size = p->key.canonical_size;
    values[n].vtype = RD_KAFKA_VTYPE_OPAQUE;
    values[n++].u.ptr = write;
    if (write->op != LEAT_DELETE) {
        values[n].vtype = RD_KAFKA_VTYPE_VALUE;
        values[n].u.mem.ptr = write->body.data;
        values[n++].u.mem.size = write->body.size;
    }
    if (write->op != LEAT_PUT)
        values[n++] = header("op", leat_route_op_name(write->op));
    if (p->run->options->route)
        values[n++] = header("route", p->run->options->route);
    LEAT_ASSERT(n <= VALUES_MAX);
    return n;
}

/* 0 sent, 1 the queue is full, -1 no use. */
static int produce(producer *p, load_write *write, leat_error *error)
{
    uint32_t partition = 0;
    rd_kafka_vu_t values[VALUES_MAX];
    if (place(p, write, &partition, error) < 0)
        return -1;
    rd_kafka_error_t *fault =
        rd_kafka_produceva(p->rk, values, fill_values(p, write, partition, values));
    if (!fault)
        return 0;
    bool full = rd_kafka_error_code(fault) == RD_KAFKA_RESP_ERR__QUEUE_FULL;
    leat_fail(error, "%s", rd_kafka_error_string(fault));
    rd_kafka_error_destroy(fault);
    return full ? 1 : -1;
}

/* Everything that is due, until the queue is full. */
static int produce_due(producer *p, leat_error *error)
{
    for (load_write *write; (write = load_run_take(p->run, leat_mono_us())) != NULL;) {
        int result = produce(p, write, error);
        if (result == 0)
            continue;
        load_run_put_back(p->run, write);
        return result < 0 ? -1 : 0;
    }
    return 0;
}

/* ---- the whole ---- */

/* Signals are waited for, not caught: no handler, and librdkafka's threads do not see them
 * either. */
static void check_signals(producer *p, int *seen)
{
    struct timespec none = {0, 0};
    if (sigtimedwait(&p->signals, NULL, &none) < 0)
        return;
    load_run_stop(p->run);
    if (++*seen > 1)
        p->run->failure = "interrupted";
}

static int produce_all(producer *p, leat_error *error)
{
    int result = 0, seen = 0;
    while (result == 0 && !load_run_over(p->run)) {
        result = produce_due(p, error);
        rd_kafka_poll(p->rk, POLL_MS);
        check_signals(p, &seen);
        load_run_tick(p->run, leat_mono_us());
    }
    return result;
}

uint32_t load_kafka_outstanding(const load_options *options)
{
    return options->in_flight;
}

int load_kafka_run(load_run *run, leat_error *error)
{
    producer *p = leat_must_calloc(1, sizeof *p);
    p->run = run;
    sigemptyset(&p->signals);
    sigaddset(&p->signals, SIGINT);
    sigaddset(&p->signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &p->signals, NULL);
    int result = build_route(p, error);
    if (result == 0)
        result = producer_open(p, error);
    if (result == 0)
        result = produce_all(p, error);
    if (p->rk) {
        rd_kafka_flush(p->rk, run->failure ? 0 : FLUSH_MS);
        rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_flush(p->rk, FLUSH_MS);
    }
    if (p->topic)
        rd_kafka_topic_destroy(p->topic);
    if (p->rk)
        rd_kafka_destroy(p->rk);
    leat_catalog_fini(&p->catalog);
    free(p->routes);
    free(p);
    return result;
}
