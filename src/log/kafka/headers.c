/*
 * headers.c - all headers of a record in one piece. Foreign headers are included too. A missing
 * value stays apart from an empty one.
 */
#include "log/kafka/kafka.h"
#include "record/headers.h"

int leat_kafka_pack_headers(const rd_kafka_headers_t *headers, leat_buf *out)
{
    const char *name;
    const void *value;
    size_t size;
    for (size_t i = 0; headers && rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
                                      RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
        leat_headers_pack(out, leat_slice_of(name), (leat_slice){value, value ? size : 0});
    return out->failed ? -1 : 0;
}

int leat_kafka_headers(leat_log_reader *base, void *log_handle, leat_buf *out)
{
    (void)base;
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(log_handle, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        headers = NULL;
    return leat_kafka_pack_headers(headers, out);
}
