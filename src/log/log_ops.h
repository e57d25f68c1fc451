/*
 * log_ops.h - the backends' side of log.h: a table for each of the four roles, under the terms
 * that log.h states for the function of that name. The file of a backend that plays a role ends
 * with its table; log.c picks the backend and is the only one that calls through. Not for use
 * outside src/log.
 */
#ifndef LEAT_LOG_LOG_OPS_H
#define LEAT_LOG_LOG_OPS_H

#include "log/log.h"

typedef struct leat_log_admin_ops {
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
} leat_log_admin_ops;

typedef struct leat_log_walk_ops {
    leat_log_walk *(*create)(const leat_log_config *config, uint32_t partition_count,
                             const leat_log_span *spans, leat_error *error);
    int (*next)(leat_log_walk *walk, int timeout_ms, leat_record *ret, leat_error *error);
    void (*free)(leat_log_walk *walk);
} leat_log_walk_ops;

typedef struct leat_log_writer_ops {
    leat_log_writer *(*create)(uv_loop_t *loop, const leat_log_config *config,
                               const leat_log_identity *identity, leat_appended_cb on_appended,
                               void *context, leat_error *error);
    int (*append)(leat_log_writer *writer, const leat_record *record, void *tag, leat_error *error);
    int64_t (*oldest_us)(const leat_log_writer *writer, uint32_t partition, int64_t now_us);
    const char *(*trouble)(leat_log_writer *writer);
    void (*free)(leat_log_writer *writer, int timeout_ms);
    /* These may be NULL: a file has no brokers. `ret` comes zeroed. */
    void (*health)(const leat_log_writer *writer, leat_log_health *ret);
    const char *(*failed)(const leat_log_writer *writer);
    const char *(*partition_trouble)(leat_log_writer *writer, uint32_t partition);
    uint64_t (*refusals)(const leat_log_writer *writer, leat_log_refusal cause);
    const char *(*refusal_reason)(const leat_log_writer *writer, leat_log_refusal cause);
} leat_log_writer_ops;

typedef struct leat_log_reader_ops {
    leat_log_reader *(*create)(uv_loop_t *loop, const leat_log_config *config,
                               const leat_log_identity *identity, const leat_reader_events *events,
                               leat_error *error);
    void (*seek)(leat_log_reader *reader, uint32_t partition, int64_t offset,
                 const leat_log_applied *applied);
    void (*pause)(leat_log_reader *reader, uint32_t partition);
    void (*resume)(leat_log_reader *reader, uint32_t partition);
    void (*commit)(leat_log_reader *reader, uint32_t partition, int64_t offset);
    void (*confirm)(leat_log_reader *reader);
    void (*give_back)(leat_log_reader *reader, uint32_t partition);
    int64_t (*end)(const leat_log_reader *reader, uint32_t partition);
    uint64_t (*commit_failures)(const leat_log_reader *reader);
    void (*health)(const leat_log_reader *reader, leat_log_health *ret); /* may be NULL, too */
    int (*headers)(leat_log_reader *reader, void *log_handle, leat_buf *out);
    void (*release)(leat_log_reader *reader, void *log_handle);
    void (*free)(leat_log_reader *reader, int timeout_ms);
} leat_log_reader_ops;

/* The first member of walks, writers and readers. */
struct leat_log_walk {
    const leat_log_walk_ops *ops;
};

struct leat_log_writer {
    const leat_log_writer_ops *ops;
};

struct leat_log_reader {
    const leat_log_reader_ops *ops;
};

/* log/kafka/admin.c, walk.c, writer.c, reader.c */
extern const leat_log_admin_ops leat_kafka_admin_ops;
extern const leat_log_walk_ops leat_kafka_walk_ops;
extern const leat_log_writer_ops leat_kafka_writer_ops;
extern const leat_log_reader_ops leat_kafka_reader_ops;

/* log/file/admin.c, walk.c, writer.c, reader.c */
extern const leat_log_admin_ops leat_local_admin_ops;
extern const leat_log_walk_ops leat_local_walk_ops;
extern const leat_log_writer_ops leat_local_writer_ops;
extern const leat_log_reader_ops leat_local_reader_ops;

#endif
