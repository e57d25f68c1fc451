/*
 * client.c - one librdkafka instance. Its log lines go to leat_diag, a flood of them cut short; its
 * errors are logged at most once a minute each; it is destroyed in a thread of its own, because
 * rd_kafka_destroy joins threads that may be busy with a broker that does not answer.
 */
#include "log/kafka/kafka.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

enum {
    LOG_WINDOW_US = 10 * 1000 * 1000,
    LOG_WINDOW_LINES = 20,
    ERROR_TEXT_SIZE = 512,
};

static const uint64_t wake_payload = 1;

/* clients being destroyed: the bound is for the whole process */
static atomic_uint leaving;

static leat_level level_of(int syslog_level)
{
    if (syslog_level <= LOG_ERR)
        return LEAT_ERROR;
    if (syslog_level <= LOG_WARNING)
        return LEAT_WARN;
    return syslog_level <= LOG_INFO ? LEAT_INFO : LEAT_DEBUG;
}

/* The same properties serve writer and reader, so librdkafka warns each about the other's: not
 * worth a line. */
static bool is_noise(const char *facility, const char *text)
{
    return strcmp(facility, "CONFWARN") == 0 &&
           strstr(text, "property and will be ignored by this") != NULL;
}

/* How many lines were left out before this one; -1: leave this one out too. */
static int64_t admit_line(leat_kafka_client *client)
{
    int64_t now_us = leat_mono_us();
    int64_t ret = 0;
    pthread_mutex_lock(&client->lock);
    if (now_us - client->log_window_us > LOG_WINDOW_US) {
        ret = client->log_dropped;
        client->log_window_us = now_us;
        client->log_lines = 0;
        client->log_dropped = 0;
    }
    if (client->log_lines >= LOG_WINDOW_LINES) {
        client->log_dropped++;
        ret = -1;
    } else {
        client->log_lines++;
    }
    pthread_mutex_unlock(&client->lock);
    return ret;
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    leat_kafka_client *client = rd_kafka_opaque(rk);
    if (!client || is_noise(facility, text))
        return;
    leat_level at = level_of(level);
    if (at == LEAT_DEBUG) {
        leat_debug("Kafka client reports client=%s facility=%s reason=\"%s\"", client->label,
                   facility, text);
        return;
    }
    int64_t dropped = admit_line(client);
    if (dropped > 0)
        leat_warn("reports of a Kafka client were left out client=%s suppressed=%lld",
                  client->label, (long long)dropped);
    if (dropped >= 0)
        leat_diag(at, "Kafka client reports client=%s facility=%s reason=\"%s\"", client->label,
                  facility, text);
}

static const char *label_of(leat_kafka_kind kind)
{
    return kind == LEAT_KAFKA_WRITER ? "writer" : kind & LEAT_KAFKA_READER ? "reader" : "admin";
}

static void forget(leat_kafka_client *client)
{
    pthread_mutex_destroy(&client->lock);
    free(client);
}

leat_kafka_client *leat_kafka_client_new(leat_kafka_kind kind, const leat_log_config *config,
                                         int events, leat_error *error)
{
    rd_kafka_conf_t *conf = leat_kafka_conf(kind, config, error);
    if (!conf)
        return NULL;
    leat_kafka_client *client = leat_must_calloc(1, sizeof *client);
    pthread_mutex_init(&client->lock, NULL);
    client->label = label_of(kind);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_events(conf, events);
    char text[ERROR_TEXT_SIZE];
    rd_kafka_type_t type = kind & LEAT_KAFKA_READER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER;
    client->rk = rd_kafka_new(type, conf, text, sizeof text);
    if (!client->rk) {
        leat_fail(error, "Kafka %s: %s", client->label, text);
        rd_kafka_conf_destroy(conf);
        forget(client);
        return NULL;
    }
    return client;
}

static void *destroy_thread(void *argument)
{
    LEAT_ASSERT(atomic_load(&leaving) > 0);
    leat_kafka_client *client = argument;
    rd_kafka_destroy_flags(client->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    forget(client);
    atomic_fetch_sub(&leaving, 1);
    return NULL;
}

uint32_t leat_kafka_clients_leaving(void)
{
    return atomic_load(&leaving);
}

void leat_kafka_client_free(leat_kafka_client *client, int timeout_ms)
{
    if (!client)
        return;
    pthread_t thread;
    atomic_fetch_add(&leaving, 1);
    if (pthread_create(&thread, NULL, destroy_thread, client) != 0) {
        destroy_thread(client);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    if (timeout_ms <= 0 || pthread_timedjoin_np(thread, NULL, &until) != 0)
        pthread_detach(thread);
}

const char *leat_kafka_missing_right(const leat_kafka_client *client, rd_kafka_resp_err_t code)
{
    if (code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED)
        return ": grant READ on the group";
    return leat_kafka_grant(code, strcmp(client->label, "reader") == 0
                                      ? ": grant READ on the topic"
                                      : ": grant WRITE on the topic");
}

void leat_kafka_log_error(leat_kafka_client *client, rd_kafka_resp_err_t code, const char *text)
{
    LEAT_ASSERT(client && text);
    uint32_t suppressed;
    const char *name = rd_kafka_err2name(code);
    uint64_t now_ms = (uint64_t)leat_mono_us() / 1000;
    if (leat_rate_limit_allows_again(&client->errors, now_ms, name, &suppressed))
        leat_warn("Kafka client has an error client=%s code=%s suppressed=%u reason=\"%s%s\"",
                  client->label, name, suppressed, text, leat_kafka_missing_right(client, code));
}

int leat_kafka_wake_new(leat_error *error)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return fd >= 0 ? fd : leat_fail(error, "eventfd: %s", strerror(errno));
}

void leat_kafka_wake_by(rd_kafka_queue_t *queue, int fd)
{
    LEAT_ASSERT(queue && fd >= 0);
    rd_kafka_queue_io_event_enable(queue, fd, &wake_payload, sizeof wake_payload);
}

void leat_kafka_wake(int fd)
{
    LEAT_ASSERT(fd >= 0);
    ssize_t written = write(fd, &wake_payload, sizeof wake_payload);
    (void)written; /* when it is full, a wake-up is already pending */
}

void leat_kafka_wake_clear(int fd)
{
    LEAT_ASSERT(fd >= 0);
    uint64_t count;
    ssize_t got = read(fd, &count, sizeof count);
    (void)got;
}
