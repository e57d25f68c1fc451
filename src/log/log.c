/*
 * The log seam: passes each call to its backend. The configuration alone decides which one that is,
 * and a writer or reader then carries its own table, so that nothing above this file asks which log
 * it has. A row that a backend leaves out means that it has nothing to report.
 */
#include "log/log_ops.h"

static const leat_log_admin_ops *admin_of(const leat_log_config *config)
{
    return config->file ? &leat_local_admin_ops : &leat_kafka_admin_ops;
}

static const leat_log_walk_ops *walk_of(const leat_log_config *config)
{
    return config->file ? &leat_local_walk_ops : &leat_kafka_walk_ops;
}

static const leat_log_writer_ops *writer_of(const leat_log_config *config)
{
    return config->file ? &leat_local_writer_ops : &leat_kafka_writer_ops;
}

static const leat_log_reader_ops *reader_of(const leat_log_config *config)
{
    return config->file ? &leat_local_reader_ops : &leat_kafka_reader_ops;
}

/* ---- administration ---- */

int leat_log_open(leat_log_config *config, const leat_topic_spec *spec, leat_error *error)
{
    return admin_of(config)->open(config, spec, error);
}

void leat_log_close(leat_log_config *config)
{
    if (config->local)
        admin_of(config)->close(config);
}

int leat_log_check(const leat_log_config *config, leat_error *error)
{
    return admin_of(config)->check(config, error);
}

int leat_log_identify(const leat_log_config *config, int timeout_ms, leat_log_identity *ret,
                      leat_error *error)
{
    LEAT_ASSERT(ret && timeout_ms >= 0);
    return admin_of(config)->identify(config, timeout_ms, ret, error);
}

int leat_log_create_topic(const leat_log_config *config, const leat_topic_spec *spec,
                          int timeout_ms, leat_error *error)
{
    return admin_of(config)->create_topic(config, spec, timeout_ms, error);
}

int leat_log_topic_setting(const leat_log_config *config, const char *name, int timeout_ms,
                           char *ret, size_t size, leat_error *error)
{
    LEAT_ASSERT(size > 0 && timeout_ms >= 0);
    return admin_of(config)->topic_setting(config, name, timeout_ms, ret, size, error);
}

int leat_log_set_topic_setting(const leat_log_config *config, const char *name, const char *value,
                               int timeout_ms, leat_error *error)
{
    LEAT_ASSERT(name && value);
    return admin_of(config)->set_topic_setting(config, name, value, timeout_ms, error);
}

int leat_log_starts(const leat_log_config *config, uint32_t partition_count, int timeout_ms,
                    int64_t *ret, leat_error *error)
{
    LEAT_ASSERT(ret);
    return admin_of(config)->starts(config, partition_count, timeout_ms, ret, error);
}

int leat_log_read_ahead(const leat_log_config *config, uint32_t partition_count,
                        const int64_t *offsets, int timeout_ms, leat_log_ahead *ret,
                        leat_error *error)
{
    LEAT_ASSERT(offsets && ret);
    return admin_of(config)->read_ahead(config, partition_count, offsets, timeout_ms, ret, error);
}

/* ---- walk ---- */

leat_log_walk *leat_log_walk_new(const leat_log_config *config, uint32_t partition_count,
                                 const leat_log_span *spans, leat_error *error)
{
    LEAT_ASSERT(partition_count > 0 && spans);
    return walk_of(config)->create(config, partition_count, spans, error);
}

int leat_log_walk_next(leat_log_walk *walk, int timeout_ms, leat_record *ret, leat_error *error)
{
    LEAT_ASSERT(timeout_ms >= 0);
    return walk->ops->next(walk, timeout_ms, ret, error);
}

void leat_log_walk_free(leat_log_walk *walk)
{
    if (walk)
        walk->ops->free(walk);
}

/* ---- writer ---- */

leat_log_writer *leat_log_writer_new(uv_loop_t *loop, const leat_log_config *config,
                                     const leat_log_identity *identity,
                                     leat_appended_cb on_appended, void *context, leat_error *error)
{
    LEAT_ASSERT(on_appended);
    return writer_of(config)->create(loop, config, identity, on_appended, context, error);
}

int leat_log_append(leat_log_writer *writer, const leat_record *record, void *tag,
                    leat_error *error)
{
    return writer->ops->append(writer, record, tag, error);
}

int64_t leat_log_writer_oldest_us(const leat_log_writer *writer, uint32_t partition, int64_t now_us)
{
    return writer->ops->oldest_us(writer, partition, now_us);
}

const char *leat_log_writer_trouble(leat_log_writer *writer)
{
    return writer->ops->trouble(writer);
}

void leat_log_writer_health(const leat_log_writer *writer, leat_log_health *ret)
{
    *ret = (leat_log_health){0};
    if (writer->ops->health)
        writer->ops->health(writer, ret);
}

const char *leat_log_writer_failed(const leat_log_writer *writer)
{
    return writer->ops->failed ? writer->ops->failed(writer) : NULL;
}

const char *leat_log_writer_partition_trouble(leat_log_writer *writer, uint32_t partition)
{
    return writer->ops->partition_trouble ? writer->ops->partition_trouble(writer, partition)
                                          : NULL;
}

uint64_t leat_log_writer_refusals(const leat_log_writer *writer, leat_log_refusal cause)
{
    LEAT_ASSERT(cause < LEAT_REFUSAL_COUNT);
    return writer->ops->refusals ? writer->ops->refusals(writer, cause) : 0;
}

const char *leat_log_writer_refusal_reason(const leat_log_writer *writer, leat_log_refusal cause)
{
    LEAT_ASSERT(cause < LEAT_REFUSAL_COUNT);
    return writer->ops->refusal_reason ? writer->ops->refusal_reason(writer, cause) : NULL;
}

void leat_log_writer_free(leat_log_writer *writer, int timeout_ms)
{
    if (writer)
        writer->ops->free(writer, timeout_ms);
}

/* ---- reader ---- */

leat_log_reader *leat_log_reader_new(uv_loop_t *loop, const leat_log_config *config,
                                     const leat_log_identity *identity,
                                     const leat_reader_events *events, leat_error *error)
{
    return reader_of(config)->create(loop, config, identity, events, error);
}

void leat_log_reader_seek(leat_log_reader *reader, uint32_t partition, int64_t offset,
                          const leat_log_applied *applied)
{
    LEAT_ASSERT(offset >= -1 && applied);
    reader->ops->seek(reader, partition, offset, applied);
}

void leat_log_reader_pause(leat_log_reader *reader, uint32_t partition)
{
    reader->ops->pause(reader, partition);
}

void leat_log_reader_resume(leat_log_reader *reader, uint32_t partition)
{
    reader->ops->resume(reader, partition);
}

void leat_log_reader_commit(leat_log_reader *reader, uint32_t partition, int64_t offset)
{
    LEAT_ASSERT(offset >= -1);
    reader->ops->commit(reader, partition, offset);
}

void leat_log_reader_confirm(leat_log_reader *reader)
{
    reader->ops->confirm(reader);
}

void leat_log_reader_give_back(leat_log_reader *reader, uint32_t partition)
{
    reader->ops->give_back(reader, partition);
}

int64_t leat_log_reader_end(const leat_log_reader *reader, uint32_t partition)
{
    return reader->ops->end(reader, partition);
}

uint64_t leat_log_reader_commit_failures(const leat_log_reader *reader)
{
    return reader->ops->commit_failures(reader);
}

void leat_log_reader_health(const leat_log_reader *reader, leat_log_health *ret)
{
    *ret = (leat_log_health){0};
    if (reader->ops->health)
        reader->ops->health(reader, ret);
}

int leat_log_headers(leat_log_reader *reader, void *log_handle, leat_buf *out)
{
    LEAT_ASSERT(log_handle && out);
    return reader->ops->headers(reader, log_handle, out);
}

void leat_log_release(leat_log_reader *reader, void *log_handle)
{
    LEAT_ASSERT(log_handle);
    reader->ops->release(reader, log_handle);
}

void leat_log_reader_free(leat_log_reader *reader, int timeout_ms)
{
    if (reader)
        reader->ops->free(reader, timeout_ms);
}
