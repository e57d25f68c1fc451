/* The log seam: each call goes to whatever log it is about. */
#include "log/log_ops.h"

static const leat_log_ops *ops_of(const leat_log_config *config)
{
    return config->file ? &leat_local_ops : &leat_kafka_ops;
}

int leat_log_open(leat_log_config *config, const leat_topic_spec *spec, leat_error *error)
{
    return ops_of(config)->open(config, spec, error);
}

void leat_log_close(leat_log_config *config)
{
    if (config->local)
        ops_of(config)->close(config);
}

int leat_log_check(const leat_log_config *config, leat_error *error)
{
    return ops_of(config)->check(config, error);
}

int leat_log_identify(const leat_log_config *config, int timeout_ms, leat_log_identity *ret,
                      leat_error *error)
{
    return ops_of(config)->identify(config, timeout_ms, ret, error);
}

int leat_log_create_topic(const leat_log_config *config, const leat_topic_spec *spec,
                          int timeout_ms, leat_error *error)
{
    return ops_of(config)->create_topic(config, spec, timeout_ms, error);
}

int leat_log_topic_setting(const leat_log_config *config, const char *name, int timeout_ms,
                           char *ret, size_t size, leat_error *error)
{
    return ops_of(config)->topic_setting(config, name, timeout_ms, ret, size, error);
}

int leat_log_set_topic_setting(const leat_log_config *config, const char *name, const char *value,
                               int timeout_ms, leat_error *error)
{
    return ops_of(config)->set_topic_setting(config, name, value, timeout_ms, error);
}

int leat_log_starts(const leat_log_config *config, uint32_t partition_count, int timeout_ms,
                    int64_t *ret, leat_error *error)
{
    return ops_of(config)->starts(config, partition_count, timeout_ms, ret, error);
}

int leat_log_read_ahead(const leat_log_config *config, uint32_t partition_count,
                        const int64_t *offsets, int timeout_ms, leat_log_ahead *ret,
                        leat_error *error)
{
    return ops_of(config)->read_ahead(config, partition_count, offsets, timeout_ms, ret, error);
}

leat_log_writer *leat_log_writer_new(uv_loop_t *loop, const leat_log_config *config,
                                     const leat_log_identity *identity,
                                     leat_appended_cb on_appended, void *context, leat_error *error)
{
    return ops_of(config)->writer_new(loop, config, identity, on_appended, context, error);
}

int leat_log_append(leat_log_writer *writer, const leat_record *record, void *tag,
                    leat_error *error)
{
    return writer->ops->append(writer, record, tag, error);
}

int64_t leat_log_writer_oldest_us(const leat_log_writer *writer, uint32_t partition, int64_t now_us)
{
    return writer->ops->writer_oldest_us(writer, partition, now_us);
}

size_t leat_log_writer_waiting(const leat_log_writer *writer)
{
    return writer->ops->writer_waiting(writer);
}

const char *leat_log_writer_trouble(leat_log_writer *writer)
{
    return writer->ops->writer_trouble(writer);
}

void leat_log_writer_health(const leat_log_writer *writer, leat_log_health *ret)
{
    *ret = (leat_log_health){0};
    if (writer->ops->writer_health)
        writer->ops->writer_health(writer, ret);
}

const char *leat_log_writer_failed(const leat_log_writer *writer)
{
    return writer->ops->writer_failed ? writer->ops->writer_failed(writer) : NULL;
}

const char *leat_log_writer_partition_trouble(leat_log_writer *writer, uint32_t partition)
{
    return writer->ops->writer_partition_trouble
               ? writer->ops->writer_partition_trouble(writer, partition)
               : NULL;
}

uint64_t leat_log_writer_refusals(const leat_log_writer *writer, leat_log_refusal cause)
{
    return writer->ops->writer_refusals ? writer->ops->writer_refusals(writer, cause) : 0;
}

const char *leat_log_writer_refusal_words(const leat_log_writer *writer, leat_log_refusal cause)
{
    return writer->ops->writer_refusal_words ? writer->ops->writer_refusal_words(writer, cause)
                                             : NULL;
}

void leat_log_writer_free(leat_log_writer *writer, int timeout_ms)
{
    if (writer)
        writer->ops->writer_free(writer, timeout_ms);
}

leat_log_reader *leat_log_reader_new(uv_loop_t *loop, const leat_log_config *config,
                                     const leat_log_identity *identity,
                                     const leat_reader_events *events, leat_error *error)
{
    return ops_of(config)->reader_new(loop, config, identity, events, error);
}

void leat_log_reader_seek(leat_log_reader *reader, uint32_t partition, int64_t offset,
                          const leat_log_applied *applied)
{
    reader->ops->reader_seek(reader, partition, offset, applied);
}

void leat_log_reader_pause(leat_log_reader *reader, uint32_t partition)
{
    reader->ops->reader_pause(reader, partition);
}

void leat_log_reader_resume(leat_log_reader *reader, uint32_t partition)
{
    reader->ops->reader_resume(reader, partition);
}

void leat_log_reader_commit(leat_log_reader *reader, uint32_t partition, int64_t offset)
{
    reader->ops->reader_commit(reader, partition, offset);
}

void leat_log_reader_confirm(leat_log_reader *reader)
{
    reader->ops->reader_confirm(reader);
}

void leat_log_reader_give_back(leat_log_reader *reader, uint32_t partition)
{
    reader->ops->reader_give_back(reader, partition);
}

int64_t leat_log_reader_end(const leat_log_reader *reader, uint32_t partition)
{
    return reader->ops->reader_end(reader, partition);
}

uint64_t leat_log_reader_commit_failures(const leat_log_reader *reader)
{
    return reader->ops->reader_commit_failures(reader);
}

void leat_log_reader_health(const leat_log_reader *reader, leat_log_health *ret)
{
    *ret = (leat_log_health){0};
    if (reader->ops->reader_health)
        reader->ops->reader_health(reader, ret);
}

int leat_log_headers(leat_log_reader *reader, void *log_handle, leat_buf *out)
{
    return reader->ops->headers(reader, log_handle, out);
}

void leat_log_release(leat_log_reader *reader, void *log_handle)
{
    reader->ops->release(reader, log_handle);
}

void leat_log_reader_free(leat_log_reader *reader, int timeout_ms)
{
    if (reader)
        reader->ops->reader_free(reader, timeout_ms);
}
