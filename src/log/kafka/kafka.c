/* Kafka as the log. */
#include "log/kafka/kafka.h"

static int hold(leat_log_config *config, const leat_topic_spec *spec, leat_error *error)
{
    (void)config;
    (void)spec;
    (void)error;
    return 0;
}

const leat_log_ops leat_kafka_ops = {
    .open = hold,
    .check = leat_kafka_check,
    .identify = leat_kafka_identify,
    .create_topic = leat_kafka_create_topic,
    .topic_setting = leat_kafka_topic_setting,
    .set_topic_setting = leat_kafka_set_topic_setting,
    .starts = leat_kafka_starts,
    .read_ahead = leat_kafka_read_ahead,
    .writer_new = leat_kafka_writer_new,
    .append = leat_kafka_append,
    .writer_oldest_us = leat_kafka_writer_oldest_us,
    .writer_waiting = leat_kafka_writer_waiting,
    .writer_trouble = leat_kafka_writer_trouble,
    .writer_health = leat_kafka_writer_health,
    .writer_failed = leat_kafka_writer_failed,
    .writer_partition_trouble = leat_kafka_writer_partition_trouble,
    .writer_refusals = leat_kafka_writer_refusals,
    .writer_refusal_words = leat_kafka_writer_refusal_words,
    .writer_free = leat_kafka_writer_free,
    .reader_new = leat_kafka_reader_new,
    .reader_seek = leat_kafka_reader_seek,
    .reader_pause = leat_kafka_reader_pause,
    .reader_resume = leat_kafka_reader_resume,
    .reader_commit = leat_kafka_reader_commit,
    .reader_confirm = leat_kafka_reader_confirm,
    .reader_give_back = leat_kafka_reader_give_back,
    .reader_end = leat_kafka_reader_end,
    .reader_commit_failures = leat_kafka_reader_commit_failures,
    .reader_health = leat_kafka_reader_health,
    .headers = leat_kafka_headers,
    .release = leat_kafka_release,
    .reader_free = leat_kafka_reader_free,
};
