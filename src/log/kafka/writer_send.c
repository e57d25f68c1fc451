/*
 * writer_send.c - the writer: a record on its way into its client.
 */
#include "log/kafka/writer.h"

#include "record/headers.h"

enum { VALUE_MAX = 7 + LEAT_HEADER_COUNT /* of one rd_kafka_produceva */ };

/* The values of one rd_kafka_produceva; returns how many. */
static size_t fill_values(rd_kafka_vu_t *values, const leat_kafka_writer *writer,
                          const leat_record *record, void *opaque)
{
    size_t n = 0;
    values[n].vtype = RD_KAFKA_VTYPE_RKT;
    values[n++].u.rkt = writer->topic;
    values[n].vtype = RD_KAFKA_VTYPE_PARTITION;
    values[n++].u.i32 = (int32_t)record->partition;
    values[n].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    values[n++].u.i = RD_KAFKA_MSG_F_COPY;
    values[n].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    values[n++].u.i64 = record->accepted_ms;
    values[n].vtype = RD_KAFKA_VTYPE_KEY;
    values[n].u.mem.ptr = leat_kafka_unconst(record->key.data);
    values[n++].u.mem.size = record->key.size;
    values[n].vtype = RD_KAFKA_VTYPE_OPAQUE;
    values[n++].u.ptr = opaque;
    if (!record->value_is_null) {
        values[n].vtype = RD_KAFKA_VTYPE_VALUE;
        values[n].u.mem.ptr = leat_kafka_unconst(record->value.data ? record->value.data : "");
        values[n++].u.mem.size = record->value.size;
    }
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++) {
        leat_slice value = leat_header_value(record, header);
        if (value.size == 0)
            continue;
        values[n].vtype = RD_KAFKA_VTYPE_HEADER;
        values[n].u.header.name = leat_header_name(header);
        values[n].u.header.val = value.data;
        values[n++].u.header.size = (ssize_t)value.size;
    }
    LEAT_ASSERT(n <= VALUE_MAX);
    return n;
}

/* 1: later perhaps; -1: never. */
static int refused(leat_kafka_writer *writer, const leat_writer_slot *slot, rd_kafka_error_t *fault,
                   leat_error *error)
{
    LEAT_ASSERT(fault);
    rd_kafka_resp_err_t code = rd_kafka_error_code(fault);
    bool is_full = code == RD_KAFKA_RESP_ERR__QUEUE_FULL;
    leat_fail(error, "%s", is_full ? LEAT_WRITER_FULL : rd_kafka_error_string(fault));
    rd_kafka_error_destroy(fault);
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        writer->refusals[LEAT_REFUSED_TOO_LARGE].count++;
        return leat_fail(
            error,
            "the record has %zu bytes, librdkafka takes %ld (message.max.bytes in log.kafka.properties)",
            slot->size, leat_writer_config_number(writer, "message.max.bytes"));
    }
    if (code == RD_KAFKA_RESP_ERR__INVALID_ARG)
        return -1;
    if (code == RD_KAFKA_RESP_ERR__FATAL)
        leat_writer_on_fatal(writer, "found while appending");
    else if (!is_full)
        leat_fail(error, "%s", leat_writer_on_refused(writer, slot, code));
    return 1;
}

int leat_writer_send(leat_kafka_writer *writer, const leat_record *record, leat_writer_slot *slot,
                     leat_error *error)
{
    rd_kafka_vu_t values[VALUE_MAX];
    size_t count = fill_values(values, writer, record, slot);
    rd_kafka_error_t *fault = rd_kafka_produceva(writer->client->rk, values, count);
    return fault ? refused(writer, slot, fault, error) : 0;
}
