/*
 * no_subscription.c - the first client that wants to join a consumer group gets a success, but
 * never joins; and it never ends when it is destroyed. For tests.
 */
#include <stdatomic.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

rd_kafka_resp_err_t __real_rd_kafka_subscribe(rd_kafka_t *rk,
                                              const rd_kafka_topic_partition_list_t *topics);
rd_kafka_resp_err_t __wrap_rd_kafka_subscribe(rd_kafka_t *rk,
                                              const rd_kafka_topic_partition_list_t *topics);
void __real_rd_kafka_destroy_flags(rd_kafka_t *rk, int flags);
void __wrap_rd_kafka_destroy_flags(rd_kafka_t *rk, int flags);

static _Atomic(rd_kafka_t *) first;

rd_kafka_resp_err_t __wrap_rd_kafka_subscribe(rd_kafka_t *rk,
                                              const rd_kafka_topic_partition_list_t *topics)
{
    rd_kafka_t *none = NULL;
    return atomic_compare_exchange_strong(&first, &none, rk)
               ? RD_KAFKA_RESP_ERR_NO_ERROR
               : __real_rd_kafka_subscribe(rk, topics);
}

void __wrap_rd_kafka_destroy_flags(rd_kafka_t *rk, int flags)
{
    while (rk == atomic_load(&first))
        pause();
    __real_rd_kafka_destroy_flags(rk, flags);
}
