/*
 * conf.c - leat's settings for librdkafka. A user's property wins over a default, unless leat's
 * promises depend on it: then it is refused at start, with the reason, because a property that is
 * silently overridden would let its author believe in it.
 */
#include "log/kafka/kafka.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ERROR_TEXT_SIZE = 512, MESSAGE_MAX_DEFAULT = 1000000 /* librdkafka's */ };

#define TEXT_OF_LITERAL(number) #number
#define TEXT_OF(macro)          TEXT_OF_LITERAL(macro)

typedef struct default_property {
    unsigned kinds;
    const char *name;
    const char *value;
} default_property;

static const unsigned all_kinds = LEAT_KAFKA_ADMIN | LEAT_KAFKA_WRITER |
                                  LEAT_KAFKA_PROBE_UNCOMMITTED;

static const default_property defaults[] = {
    {LEAT_KAFKA_ADMIN | LEAT_KAFKA_WRITER | LEAT_KAFKA_READER, "client.id", "leat"},
    {LEAT_KAFKA_ADMIN | LEAT_KAFKA_WRITER | LEAT_KAFKA_READER, "reconnect.backoff.max.ms", "2000"},
    /* With sparse connections an admin request that waits for its broker (DescribeTopics,
     * ListOffsets) makes it connect at once whenever any broker changes its state, past the
     * back-off. A refused connection is such a change: some ten thousand attempts a second while
     * the brokers are down. Without them each broker's thread keeps its own connection. */
    {LEAT_KAFKA_ADMIN | LEAT_KAFKA_WRITER | LEAT_KAFKA_READER, "enable.sparse.connections",
     "false"},
    /* The default, and required: it brings back a client whose brokers are all down or gone from
     * the cluster's list. With `none` there is no way back from an empty list; liveness.c handles
     * the cases that this one misses. */
    {LEAT_KAFKA_ADMIN | LEAT_KAFKA_WRITER | LEAT_KAFKA_READER, "metadata.recovery.strategy",
     "rebootstrap"},
    /* A question must not recreate a deleted topic: nobody would apply the records written
     * there. */
    {LEAT_KAFKA_ADMIN | LEAT_KAFKA_WRITER | LEAT_KAFKA_READER, "allow.auto.create.topics", "false"},
    {LEAT_KAFKA_WRITER, "enable.idempotence", "true"},
    {LEAT_KAFKA_WRITER, "acks", "all"},
    /* Few and short waits: a client of the edge waits for the answer. With 0 the writer gathers
     * records by itself (hold.h). */
    {LEAT_KAFKA_WRITER, "linger.ms", "0.5"},
    /* A client of the edge waits for the answer, and gets one after at most this long. */
    {LEAT_KAFKA_WRITER, "delivery.timeout.ms", "10000"},
    {LEAT_KAFKA_WRITER, "queue.buffering.max.kbytes", "65536"},
    {LEAT_KAFKA_WRITER, "queue.buffering.max.messages", TEXT_OF(LEAT_LOG_QUEUE_DEFAULT)},
    {LEAT_KAFKA_READER, "enable.auto.commit", "false"},
    {LEAT_KAFKA_READER, "enable.auto.offset.store", "false"},
    {LEAT_KAFKA_READER, "auto.offset.reset", "error"},
    {LEAT_KAFKA_READER, "check.crcs", "true"},
    /* Limits of the prefetched records of all partitions that are read, and of each that is paused
     * (fetched.c). An answer to a fetch, of all its partitions, has no more bytes than the first.
     */
    {LEAT_KAFKA_READER, "queued.max.messages.kbytes", "1024"},
    {LEAT_KAFKA_READER, "queued.min.messages", "1000"},
    /* Of one partition in an answer. What a paused one holds is at most its limit above and one
     * answer more. A larger batch still comes whole, when its partition is first in a fetch. */
    {LEAT_KAFKA_READER, "fetch.message.max.bytes", "131072"},
    /* How soon after a full queue was found it is looked at again. */
    {LEAT_KAFKA_READER, "fetch.queue.backoff.ms", "2"},
    /* A fetch waits at the broker only while no partition that is read has a backlog. What a paused
     * one gets when it goes on may wait for it. A worker without work sends a fetch each time this
     * passes, which costs CPU. docs/performance.md has figures. */
    {LEAT_KAFKA_READER, "fetch.wait.max.ms", "100"},
};

/* Of the classic group protocol; with group.protocol=consumer the broker decides, and librdkafka
 * refuses them. */
static const default_property classic_defaults[] = {
    {LEAT_KAFKA_READER, "partition.assignment.strategy", "cooperative-sticky"},
    {LEAT_KAFKA_READER, "session.timeout.ms", "10000"},
    /* A member learns of a rebalance with its next heartbeat, and a cooperative one takes two of
       them. */
    {LEAT_KAFKA_READER, "heartbeat.interval.ms", "1000"},
};

/* Settings that a probe needs, whatever the user's properties are. */
static const default_property probe_properties[] = {
    {LEAT_KAFKA_PROBE & ~LEAT_KAFKA_READER, "enable.partition.eof", "true"},
    {LEAT_KAFKA_PROBE_UNCOMMITTED & ~LEAT_KAFKA_PROBE, "isolation.level", "read_uncommitted"},
};

typedef struct fixed_property {
    const char *name;
    const char *values[3]; /* the value it may be set to all the same */
    const char *reason;
} fixed_property;

static const fixed_property fixed_properties[] = {
    {"bootstrap.servers", {NULL}, "it is `brokers`"},
    {"metadata.broker.list", {NULL}, "it is `brokers`"},
    {"group.id", {NULL}, "it is `group`"},
    {"enable.idempotence", {"true"}, "without it a retry reorders and repeats writes"},
    {"acks", {"all", "-1"}, "a write is answered when all in-sync replicas have it"},
    {"request.required.acks",
     {"all", "-1"},
     "a write is answered when all in-sync replicas have it"},
    {"transactional.id", {NULL}, "leat does not write in Kafka transactions"},
    {"delivery.report.only.error", {"false"}, "every write needs its answer"},
    {"enable.auto.commit", {"false"}, "only what is applied is committed"},
    {"auto.commit.enable", {"false"}, "only what is applied is committed"},
    {"enable.auto.offset.store", {"false"}, "only what is applied is committed"},
    {"auto.offset.reset",
     {"error"},
     "a range that is gone must stop the partition, never be skipped"},
    {"isolation.level",
     {"read_committed"},
     "a record of a transaction that was aborted is no write"},
    {"allow.auto.create.topics", {"false"}, "only `leat init` makes the topic"},
    {"enable.partition.eof",
     {"false"},
     "librdkafka would count the end as a record and skip the next one"},
};

static bool is_allowed(const fixed_property *fixed, const char *value)
{
    for (size_t i = 0; i < sizeof fixed->values / sizeof *fixed->values; i++)
        if (fixed->values[i] && strcasecmp(fixed->values[i], value) == 0)
            return true;
    return false;
}

static int check_property(const leat_log_property *property, leat_error *error)
{
    LEAT_ASSERT(property->name && property->value);
    for (size_t i = 0; i < sizeof fixed_properties / sizeof *fixed_properties; i++) {
        const fixed_property *fixed = &fixed_properties[i];
        if (strcmp(property->name, fixed->name) != 0 || is_allowed(fixed, property->value))
            continue;
        const char *only = fixed->values[0];
        return leat_fail(error, "Kafka property %s cannot be set%s%s: %s", fixed->name,
                         only ? " but to " : "", only ? only : "", fixed->reason);
    }
    return 0;
}

/* The value is left out of the message: it may be a secret. */
static int set_property(rd_kafka_conf_t *conf, const char *name, const char *value,
                        leat_error *error)
{
    LEAT_ASSERT(name && value);
    char text[ERROR_TEXT_SIZE];
    rd_kafka_conf_res_t result = rd_kafka_conf_set(conf, name, value, text, sizeof text);
    if (result == RD_KAFKA_CONF_OK)
        return 0;
    if (result == RD_KAFKA_CONF_UNKNOWN)
        return leat_fail(error, "Kafka property %s is not known to librdkafka %s", name,
                         rd_kafka_version_str());
    return leat_fail(error, "Kafka property %s has a value that librdkafka does not take", name);
}

static int set_defaults(rd_kafka_conf_t *conf, leat_kafka_kind kind, const default_property *list,
                        size_t count, leat_error *error)
{
    for (size_t i = 0; i < count; i++)
        if ((list[i].kinds & kind) && set_property(conf, list[i].name, list[i].value, error) != 0)
            return -1;
    return 0;
}

/* librdkafka's own limit would refuse records that both the edge and the topic take. */
static int set_record_max(rd_kafka_conf_t *conf, const leat_log_config *config, leat_error *error)
{
    char text[32];
    size_t wanted = config->value_max + LEAT_LOG_RECORD_ROOM;
    snprintf(text, sizeof text, "%zu", wanted > MESSAGE_MAX_DEFAULT ? wanted : MESSAGE_MAX_DEFAULT);
    return set_property(conf, "message.max.bytes", text, error);
}

bool leat_kafka_wants_consumer_protocol(const leat_log_config *config)
{
    bool wants = false;
    for (uint32_t i = 0; i < config->property_count; i++)
        if (strcmp(config->properties[i].name, "group.protocol") == 0)
            wants = strcasecmp(config->properties[i].value, "consumer") == 0;
    return wants;
}

static int fill(rd_kafka_conf_t *conf, leat_kafka_kind kind, const leat_log_config *config,
                leat_error *error)
{
    if (set_property(conf, "bootstrap.servers", config->brokers, error) != 0)
        return -1;
    if (set_defaults(conf, kind, defaults, sizeof defaults / sizeof *defaults, error) != 0)
        return -1;
    if (!leat_kafka_wants_consumer_protocol(config) &&
        set_defaults(conf, kind, classic_defaults,
                     sizeof classic_defaults / sizeof *classic_defaults, error) != 0)
        return -1;
    if (set_record_max(conf, config, error) != 0)
        return -1;
    if ((kind & LEAT_KAFKA_READER) && set_property(conf, "group.id", config->group, error) != 0)
        return -1;
    for (uint32_t i = 0; i < config->property_count; i++) {
        const leat_log_property *property = &config->properties[i];
        if (check_property(property, error) != 0 ||
            set_property(conf, property->name, property->value, error) != 0)
            return -1;
    }
    return set_defaults(conf, kind, probe_properties,
                        sizeof probe_properties / sizeof *probe_properties, error);
}

rd_kafka_conf_t *leat_kafka_conf(leat_kafka_kind kind, const leat_log_config *config,
                                 leat_error *error)
{
    LEAT_ASSERT(((unsigned)kind & all_kinds) != 0);
    if (!config->brokers || !*config->brokers || !config->topic || !*config->topic) {
        leat_fail(error, "Kafka needs `brokers` and `topic`");
        return NULL;
    }
    if ((kind & LEAT_KAFKA_READER) && (!config->group || !*config->group)) {
        leat_fail(error, "Kafka needs a consumer `group`");
        return NULL;
    }
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (fill(conf, kind, config, error) != 0) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    return conf;
}

leat_log_config leat_kafka_config_copy(const leat_log_config *from)
{
    LEAT_ASSERT(from->brokers && from->topic);
    leat_log_property *properties = leat_must_calloc(from->property_count + 1, sizeof *properties);
    for (uint32_t i = 0; i < from->property_count; i++) {
        properties[i].name = leat_must_strdup(from->properties[i].name);
        properties[i].value = leat_must_strdup(from->properties[i].value);
    }
    leat_log_config ret = *from;
    ret.brokers = leat_must_strdup(from->brokers);
    ret.topic = leat_must_strdup(from->topic);
    ret.group = from->group ? leat_must_strdup(from->group) : NULL;
    ret.properties = properties;
    return ret;
}

void leat_kafka_config_free(leat_log_config *config, uint32_t user_properties)
{
    LEAT_ASSERT(user_properties <= config->property_count);
    for (uint32_t i = 0; i < user_properties; i++) {
        free(leat_kafka_unconst(config->properties[i].name));
        free(leat_kafka_unconst(config->properties[i].value));
    }
    free(leat_kafka_unconst(config->properties));
    free(leat_kafka_unconst(config->brokers));
    free(leat_kafka_unconst(config->topic));
    free(leat_kafka_unconst(config->group));
    *config = (leat_log_config){0};
}

static void drop_line(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

/* Many faults are found only when the client is made: properties that contradict each other, files
 * that cannot be read. Without brokers it asks nobody. */
static int try_client(leat_kafka_kind kind, const leat_log_config *config, leat_error *error)
{
    char text[ERROR_TEXT_SIZE];
    rd_kafka_conf_t *conf = leat_kafka_conf(kind, config, error);
    if (!conf)
        return -1;
    rd_kafka_conf_set_log_cb(conf, drop_line);
    rd_kafka_conf_set(conf, "bootstrap.servers", "", text, sizeof text);
    bool reads = kind & LEAT_KAFKA_READER;
    rd_kafka_t *rk =
        rd_kafka_new(reads ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return leat_fail(error, "librdkafka %s makes no %s with these properties: %s",
                         rd_kafka_version_str(), reads ? "consumer" : "producer", text);
    }
    rd_kafka_destroy_flags(rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return 0;
}

int leat_kafka_check(const leat_log_config *config, leat_error *error)
{
    if (try_client(LEAT_KAFKA_WRITER, config, error) != 0)
        return -1;
    return try_client(LEAT_KAFKA_READER, config, error);
}
