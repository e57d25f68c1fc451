/*
 * flight.h - records of one partition that the client library has, and when it is given more.
 *
 * An idempotent producer that has five records of a partition on their way sends no more of it
 * until the answer comes. What it is given meanwhile is no sooner at the broker, and once that has
 * lingered, the library's thread asks without a pause whether it may go
 * (findings/librdkafka_idempotent_producer_spins.sh). So it is given more while it has less than
 * five, and while those that it has still linger. The others wait here until an answer comes; then
 * they linger too, and who has just been answered is in time for the same request.
 *
 * No clock and no I/O; times are microseconds of any clock.
 */
#ifndef LEAT_LOG_KAFKA_FLIGHT_H
#define LEAT_LOG_KAFKA_FLIGHT_H

#include "base/base.h"

enum {
    LEAT_FLIGHT_MAX = 5,
    /* The longest that a record waits for answers to others: then delivery.timeout.ms begins to
     * count for it. */
    LEAT_FLIGHT_WAIT_US = 100 * 1000,
};

typedef struct leat_flight {
    uint32_t count;   /* records that the library has */
    int64_t begun_us; /* the first that lingers, or the last first one, was given then; 0: none */
} leat_flight;

/* Is it given records now? `linger_us`: how long it waits for more. */
bool leat_flight_takes(const leat_flight *flight, int64_t linger_us, int64_t now_us);
/* When it is, if no answer comes. */
int64_t leat_flight_takes_us(const leat_flight *flight);
/* It was given one. */
void leat_flight_give(leat_flight *flight, int64_t linger_us, int64_t now_us);
/* It has one less: answered, or given up. */
void leat_flight_end(leat_flight *flight);

#endif
