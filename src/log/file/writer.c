/*
 * writer.c - the writer: the committing thread (commit.c), as seen from a loop. Appending puts a
 * copy into a list and returns; the disk is waited for on the other thread, so that the edge's loop
 * never is. What waits is bounded by number and bytes. A disk that hangs cannot be interrupted:
 * then the thread and all it uses are left alone, and the file stays locked by this process.
 */
#include <stdlib.h>

#include "log/file/file_log.h"

/* ---- answers ---- */

static void answer(leat_local_writer *writer, const leat_local_append *append,
                   leat_append_result result, const char *why)
{
    LEAT_ASSERT(writer->waiting > 0 && writer->waiting_bytes >= append->size);
    writer->waiting--;
    writer->waiting_bytes -= append->size;
    int64_t offset = result == LEAT_APPENDED ? append->record.offset : -1;
    writer->on_appended(writer->context, append->tag, result, append->record.partition, offset,
                        why);
}

static void answer_done(leat_local_writer *writer)
{
    leat_local_commits *commits = writer->commits;
    pthread_mutex_lock(&commits->lock);
    leat_local_appends done = commits->done;
    commits->done = (leat_local_appends){0};
    pthread_mutex_unlock(&commits->lock);
    leat_local_append *append;
    while ((append = leat_local_pop(&done))) {
        answer(writer, append, append->result, append->why);
        free(append);
    }
}

static void on_answered(uv_async_t *async)
{
    answer_done(async->data);
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static leat_log_writer *create(uv_loop_t *loop, const leat_log_config *config,
                               const leat_log_identity *identity, leat_appended_cb on_appended,
                               void *context, leat_error *error)
{
    (void)identity; /* it is what config->local was opened with */
    LEAT_ASSERT(config->local != NULL);
    leat_local_writer *writer = leat_must_calloc(1, sizeof *writer);
    writer->base.ops = &leat_local_writer_ops;
    writer->log = config->local;
    writer->on_appended = on_appended;
    writer->context = context;
    int result = uv_async_init(loop, &writer->answered, on_answered);
    if (result != 0) {
        leat_fail(error, "uv_async_init: %s", uv_strerror(result));
        free(writer);
        return NULL;
    }
    writer->answered.data = writer;
    writer->commits = leat_local_commits_new(writer->log, &writer->answered, error);
    if (!writer->commits) {
        uv_close((uv_handle_t *)&writer->answered, on_closed);
        return NULL;
    }
    return &writer->base;
}

/* The thread hangs in the middle of a transaction: its records are answered, but the thread and all
 * it uses are never freed. */
static void abandon(leat_local_writer *writer)
{
    leat_warn("disk does not answer: the records that were being written are given up file=%s",
              writer->log->file);
    pthread_mutex_lock(&writer->log->lock);
    writer->log->abandoned = true;
    pthread_mutex_unlock(&writer->log->lock);
    for (const leat_local_append *append = writer->commits->batch.head; append;
         append = append->next)
        answer(writer, append, LEAT_APPEND_UNKNOWN, "the disk does not answer");
}

static void free_writer(leat_log_writer *base, int timeout_ms)
{
    leat_local_writer *writer = (leat_local_writer *)base;
    bool ended = leat_local_commits_stop(writer->commits, timeout_ms);
    answer_done(writer);
    if (ended)
        leat_local_commits_free(writer->commits);
    else
        abandon(writer);
    LEAT_ASSERT(writer->waiting == 0);
    uv_close((uv_handle_t *)&writer->answered, on_closed);
}

/* ---- appending ---- */

/* NULL: not now. */
static leat_local_append *make_append(const leat_record *record, size_t size, void *tag)
{
    LEAT_ASSERT(size == leat_local_record_size(record));
    leat_local_append *append = malloc(sizeof *append + size + 1);
    if (!append)
        return NULL;
    *append = (leat_local_append){.tag = tag, .since_us = leat_mono_us(), .size = size};
    append->record = leat_local_record_copy(record, append->bytes);
    return append;
}

static int refuse_for_now(leat_error *error, const char *words)
{
    leat_fail(error, "%s", words);
    return 1;
}

static int hand_over(leat_local_writer *writer, leat_local_append *append)
{
    leat_local_commits *commits = writer->commits;
    bool is_broken = leat_local_broken(writer->log) != NULL;
    pthread_mutex_lock(&commits->lock);
    bool takes = commits->ready && !commits->stopping && !is_broken;
    if (takes)
        leat_local_push(&commits->todo, append);
    pthread_cond_broadcast(&commits->changed);
    pthread_mutex_unlock(&commits->lock);
    return takes ? 0 : 1;
}

static int append_record(leat_log_writer *base, const leat_record *record, void *tag,
                         leat_error *error)
{
    leat_local_writer *writer = (leat_local_writer *)base;
    LEAT_ASSERT(record->partition < writer->log->head.partition_count);
    size_t size = leat_local_record_size(record);
    if (size > LEAT_LOCAL_RECORD_MAX)
        return leat_fail(error, "the record has %zu bytes, the log takes %d", size,
                         LEAT_LOCAL_RECORD_MAX);
    if (writer->waiting >= LEAT_LOCAL_WAITING_MAX ||
        writer->waiting_bytes + size > LEAT_LOCAL_WAITING_BYTES)
        return refuse_for_now(error, "too many writes wait for the log");
    leat_local_append *append = make_append(record, size, tag);
    if (!append)
        return refuse_for_now(error, "out of memory");
    if (hand_over(writer, append) != 0) {
        free(append);
        return refuse_for_now(error, "the log's file cannot be written now");
    }
    writer->waiting++;
    writer->waiting_bytes += size;
    return 0;
}

/* ---- state ---- */

static int64_t oldest_us(const leat_log_writer *base, uint32_t partition, int64_t now_us)
{
    (void)partition;
    leat_local_commits *commits = ((const leat_local_writer *)base)->commits;
    pthread_mutex_lock(&commits->lock);
    const leat_local_append *oldest = commits->done.head    ? commits->done.head
                                      : commits->batch.head ? commits->batch.head
                                                            : commits->todo.head;
    int64_t age_us = oldest ? now_us - oldest->since_us : 0;
    pthread_mutex_unlock(&commits->lock);
    return oldest && age_us <= 0 ? 1 : age_us;
}

static const char *trouble(leat_log_writer *base)
{
    const leat_local_writer *writer = (const leat_local_writer *)base;
    pthread_mutex_lock(&writer->commits->lock);
    bool ready = writer->commits->ready;
    pthread_mutex_unlock(&writer->commits->lock);
    return ready && !leat_local_broken(writer->log) ? NULL : "the log's file cannot be written";
}

const leat_log_writer_ops leat_local_writer_ops = {
    .create = create,
    .append = append_record,
    .oldest_us = oldest_us,
    .trouble = trouble,
    .free = free_writer,
};
