/*
 * log_ops.h - what stands behind log.h, as a table; each function under the terms that log.h states
 * for its namesake. log.c is the only one that calls through it. Not for use outside src/log.
 */
#ifndef LEAT_LOG_LOG_OPS_H
#define LEAT_LOG_LOG_OPS_H

#include "log/log.h"

typedef struct leat_log_ops {
    int (*open)(leat_log_config *config, const leat_topic_spec *spec, leat_error *error);
    void (*close)(leat_log_config *config); /* of one that was opened */
    int (*check)(const leat_log_config *config, leat_error *error);
    int (*identify)(const leat_log_config *config, int timeout_ms, leat_log_identity *ret,
                    leat_error *error);
    int (*create_topic)(const leat_log_config *config, const leat_topic_spec *spec, int timeout_ms,
                        leat_error *error);
    int (*topic_setting)(const leat_log_config *config, const char *name, int timeout_ms, char *ret,
                         size_t size, leat_error *error);
    int (*set_topic_setting)(const leat_log_config *config, const char *name, const char *value,
                             int timeout_ms, leat_error *error);
    int (*starts)(const leat_log_config *config, uint32_t partition_count, int timeout_ms,
                  int64_t *ret, leat_error *error);
    int (*read_ahead)(const leat_log_config *config, uint32_t partition_count,
                      const int64_t *offsets, int timeout_ms, leat_log_ahead *ret,
                      leat_error *error);

    leat_log_writer *(*writer_new)(uv_loop_t *loop, const leat_log_config *config,
                                   const leat_log_identity *identity, leat_appended_cb on_appended,
                                   void *context, leat_error *error);
    int (*append)(leat_log_writer *writer, const leat_record *record, void *tag, leat_error *error);
    int64_t (*writer_oldest_us)(const leat_log_writer *writer, uint32_t partition, int64_t now_us);
    size_t (*writer_waiting)(const leat_log_writer *writer);
    const char *(*writer_trouble)(leat_log_writer *writer);
    /* NULL, these five and reader_health: it has nothing to tell. `ret` comes zeroed. */
    void (*writer_health)(const leat_log_writer *writer, leat_log_health *ret);
    const char *(*writer_failed)(const leat_log_writer *writer);
    const char *(*writer_partition_trouble)(leat_log_writer *writer, uint32_t partition);
    uint64_t (*writer_refusals)(const leat_log_writer *writer, leat_log_refusal cause);
    const char *(*writer_refusal_words)(const leat_log_writer *writer, leat_log_refusal cause);
    void (*writer_free)(leat_log_writer *writer, int timeout_ms);

    leat_log_reader *(*reader_new)(uv_loop_t *loop, const leat_log_config *config,
                                   const leat_log_identity *identity,
                                   const leat_reader_events *events, leat_error *error);
    void (*reader_seek)(leat_log_reader *reader, uint32_t partition, int64_t offset,
                        const leat_log_applied *applied);
    void (*reader_pause)(leat_log_reader *reader, uint32_t partition);
    void (*reader_resume)(leat_log_reader *reader, uint32_t partition);
    void (*reader_commit)(leat_log_reader *reader, uint32_t partition, int64_t offset);
    void (*reader_confirm)(leat_log_reader *reader);
    void (*reader_give_back)(leat_log_reader *reader, uint32_t partition);
    int64_t (*reader_end)(const leat_log_reader *reader, uint32_t partition);
    uint64_t (*reader_commit_failures)(const leat_log_reader *reader);
    void (*reader_health)(const leat_log_reader *reader, leat_log_health *ret);
    int (*headers)(leat_log_reader *reader, void *log_handle, leat_buf *out);
    void (*release)(leat_log_reader *reader, void *log_handle);
    void (*reader_free)(leat_log_reader *reader, int timeout_ms);
} leat_log_ops;

/* What writers and readers begin with. */
struct leat_log_writer {
    const leat_log_ops *ops;
};

struct leat_log_reader {
    const leat_log_ops *ops;
};

extern const leat_log_ops leat_kafka_ops; /* log/kafka/kafka.c */
extern const leat_log_ops leat_local_ops; /* log/file/file_log.c */

#endif
