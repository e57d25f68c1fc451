/*
 * liveness.c - do the brokers answer a client? The owner of the client asks them something small
 * every few seconds and reports each answer; what the client library reports about itself is not
 * asked for, because the library itself may be stuck.
 *
 * A broker that comes back from a pause, or from a start of the whole cluster, may answer a
 * question about a topic with a list of brokers that is empty: the cluster does not count any as
 * alive yet. librdkafka (seen with 2.12.1, not with 2.16.0) believes the list and drops its
 * connections to all brokers, and their threads. Whether it then starts again from
 * bootstrap.servers depends on which of its threads is first: the same answer stops the timer that
 * would make it do so (librdkafka's issue 5301). With metadata.recovery.strategy=none it never
 * does. Without a broker it never asks anybody again. Given the brokers' addresses again it goes
 * on, so leat first tries that, and replaces the client only when that does not help.
 */
#include "log/kafka/kafka.h"

#include <stdio.h>

enum {
    OFFER_EVERY_US = 5 * 1000 * 1000,
    MS_US = 1000,
    S_US = 1000 * 1000,
};

void leat_kafka_pulse_init(leat_kafka_pulse *pulse, const char *label,
                           const leat_log_config *config, int64_t silent_us)
{
    LEAT_ASSERT(silent_us > 0);
    LEAT_ASSERT(config->renew_after_ms > 0);
    leat_watchdog_limits limits = {.bad_us = silent_us,
                                   .renew_us = config->renew_after_ms * MS_US,
                                   .give_up_us = config->give_up_after_ms * MS_US};
    if (limits.bad_us > limits.renew_us)
        limits.bad_us = limits.renew_us;
    *pulse = (leat_kafka_pulse){.label = label, .brokers = config->brokers, .topic = config->topic};
    leat_watchdog_init(&pulse->dog, &limits, leat_mono_us());
}

void leat_kafka_pulse_answered(leat_kafka_pulse *pulse)
{
    int64_t lasted_us = leat_watchdog_good(&pulse->dog, leat_mono_us());
    if (lasted_us > 0)
        leat_info("brokers answer again client=%s topic=%s silent_s=%lld", pulse->label,
                  pulse->topic, (long long)(lasted_us / S_US));
}

/* librdkafka's own errors are negative, a broker's are positive. */
void leat_kafka_pulse_event(leat_kafka_pulse *pulse, rd_kafka_event_t *event)
{
    if (rd_kafka_event_error(event) >= RD_KAFKA_RESP_ERR_NO_ERROR)
        leat_kafka_pulse_answered(pulse);
}

/* Addresses that it already has change nothing. It remembers each offer, so they are few: another
 * client comes after renew_after_ms. */
static void offer_brokers(leat_kafka_pulse *pulse, rd_kafka_t *rk, int64_t now_us)
{
    if (leat_watchdog_bad_us(&pulse->dog) == 0 || now_us - pulse->offered_us < OFFER_EVERY_US)
        return;
    pulse->offered_us = now_us;
    rd_kafka_brokers_add(rk, pulse->brokers);
}

unsigned leat_kafka_pulse_check(leat_kafka_pulse *pulse, rd_kafka_t *rk, int64_t now_us)
{
    unsigned actions = leat_watchdog_check(&pulse->dog, now_us);
    long long silent_s = (now_us - pulse->dog.good_us) / S_US;
    if (actions & LEAT_WATCHDOG_LOG)
        leat_warn("no broker answers client=%s brokers=%s topic=%s silent_s=%lld", pulse->label,
                  pulse->brokers, pulse->topic, silent_s);
    if (rk)
        offer_brokers(pulse, rk, now_us);
    if (actions & LEAT_WATCHDOG_RENEW)
        leat_warn("no broker answers: another client takes this one's place client=%s topic=%s "
                  "silent_s=%lld",
                  pulse->label, pulse->topic, silent_s);
    return actions & ~(unsigned)LEAT_WATCHDOG_LOG;
}

void leat_kafka_pulse_health(const leat_kafka_pulse *pulse, leat_log_health *ret)
{
    int64_t silent_us = leat_watchdog_bad_us(&pulse->dog);
    ret->renewals = pulse->renewals;
    if (silent_us == 0)
        return;
    ret->silent_ms = silent_us / MS_US;
    ret->since_ms = leat_wall_ms() - ret->silent_ms;
    snprintf(ret->why, sizeof ret->why, "no broker has answered for %lld s (brokers %s, topic %s)",
             (long long)(silent_us / S_US), pulse->brokers, pulse->topic);
}
