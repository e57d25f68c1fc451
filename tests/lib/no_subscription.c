/* no_subscription.c - the first client that wants to join a consumer group is told that it has, and never joins. For tests. */
#include <stdatomic.h>
#include <stdbool.h>

#include <librdkafka/rdkafka.h>

rd_kafka_resp_err_t __real_rd_kafka_subscribe(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *topics);
rd_kafka_resp_err_t __wrap_rd_kafka_subscribe(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *topics);

rd_kafka_resp_err_t __wrap_rd_kafka_subscribe(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *topics)
{
    static atomic_bool is_later;
    return atomic_exchange(&is_later, true) ? __real_rd_kafka_subscribe(rk, topics) : RD_KAFKA_RESP_ERR_NO_ERROR;
}
