#include "fake_log.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static leat_log_writer *last;
static bool fails_next;

leat_log_writer *fake_log_last(void)
{
    return last;
}

void fake_log_forget(void)
{
    free(last);
    last = NULL;
}

void fake_log_fail_next(void)
{
    fails_next = true;
}

leat_log_writer *leat_log_writer_new(uv_loop_t *loop, const leat_log_config *config,
                                     const leat_log_identity *identity,
                                     leat_appended_cb on_appended, void *context, leat_error *error)
{
    (void)loop;
    (void)identity;
    ck_assert_ptr_nonnull(config->topic);
    if (fails_next) {
        leat_fail(error, "no log today");
        return NULL;
    }
    last = leat_must_calloc(1, sizeof *last);
    last->on_appended = on_appended;
    last->context = context;
    return last;
}

static void keep(char *to, size_t size, leat_slice text)
{
    ck_assert_uint_lt(text.size, size);
    snprintf(to, size, "%.*s", (int)text.size, text.data);
}

const char *leat_log_writer_failed(const leat_log_writer *writer)
{
    (void)writer;
    return NULL;
}

void leat_log_writer_health(const leat_log_writer *writer, leat_log_health *ret)
{
    (void)writer;
    *ret = (leat_log_health){0};
}

int leat_log_append(leat_log_writer *writer, const leat_record *record, void *tag,
                    leat_error *error)
{
    if (writer->append_result != 0) {
        leat_fail(error, "%s", writer->append_error ? writer->append_error : "refused");
        return writer->append_result;
    }
    ck_assert_uint_lt(writer->count, FAKE_LOG_MAX);
    fake_record *kept = &writer->records[writer->count++];
    kept->tag = tag;
    kept->partition = record->partition;
    kept->accepted_ms = record->accepted_ms;
    kept->value_is_null = record->value_is_null;
    keep(kept->key, sizeof kept->key, record->key);
    keep(kept->value, sizeof kept->value, record->value);
    keep(kept->route, sizeof kept->route, record->route);
    keep(kept->op, sizeof kept->op, record->op);
    keep(kept->idempotency, sizeof kept->idempotency, record->idempotency);
    keep(kept->traceparent, sizeof kept->traceparent, record->traceparent);
    keep(kept->tracestate, sizeof kept->tracestate, record->tracestate);
    writer->waiting++;
    return 0;
}

void fake_log_answer(leat_log_writer *writer, uint32_t at, leat_append_result result,
                     int64_t offset, const char *why)
{
    fake_record *record = &writer->records[at];
    void *tag = record->tag;
    ck_assert_ptr_nonnull(tag);
    record->tag = NULL;
    writer->waiting--;
    writer->on_appended(writer->context, tag, result, record->partition, offset, why);
}

int64_t leat_log_writer_oldest_us(const leat_log_writer *writer, uint32_t partition, int64_t now_us)
{
    (void)now_us;
    return writer->oldest_us[partition];
}

const char *leat_log_writer_partition_trouble(leat_log_writer *writer, uint32_t partition)
{
    return writer->trouble[partition];
}

uint64_t leat_log_writer_refusals(const leat_log_writer *writer, leat_log_refusal cause)
{
    return writer->refusals[cause];
}

const char *leat_log_writer_refusal_reason(const leat_log_writer *writer, leat_log_refusal cause)
{
    return writer->refusal_reason[cause];
}

const char *leat_log_writer_trouble(leat_log_writer *writer)
{
    return writer->broken ? "the log cannot be reached" : NULL;
}

void leat_log_writer_free(leat_log_writer *writer, int timeout_ms)
{
    (void)timeout_ms;
    for (uint32_t i = 0; i < writer->count; i++)
        if (writer->records[i].tag)
            fake_log_answer(writer, i, LEAT_APPEND_UNKNOWN, -1, "the writer ended");
    writer->freed = true;
}
