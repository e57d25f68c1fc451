/*
 * headers.c - all headers of a record as JSON, for a person who must decide what to do with it.
 * Foreign headers are included too: they may be the only clue to a record of another producer. A
 * missing value stays apart from an empty one.
 */
#include "base/utf8.h"
#include "record/headers.h"
#include "log/kafka/kafka.h"

/* By Kafka's protocol a name is text; bytes of it that are not UTF-8 are replaced. */
static void write_name(leat_buf *out, const char *name)
{
    leat_buf text = {0};
    leat_utf8_append(&text, leat_slice_of(name));
    leat_buf_json_string(out, (leat_slice){text.data ? text.data : "", text.size});
    out->failed = out->failed || text.failed;
    leat_buf_free(&text);
}

int leat_kafka_write_headers(const rd_kafka_headers_t *headers, leat_buf *out)
{
    const char *name;
    const void *value;
    size_t size;
    leat_buf_byte(out, '{');
    for (size_t i = 0; headers && rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
                                      RD_KAFKA_RESP_ERR_NO_ERROR;
         i++) {
        if (i > 0)
            leat_buf_byte(out, ',');
        write_name(out, name);
        leat_buf_byte(out, ':');
        leat_header_write_json(out, value, size);
    }
    leat_buf_byte(out, '}');
    return out->failed ? -1 : 0;
}

int leat_kafka_headers(leat_log_reader *base, void *log_handle, leat_buf *out)
{
    (void)base;
    rd_kafka_headers_t *headers = NULL;
    if (rd_kafka_message_headers(log_handle, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        headers = NULL;
    return leat_kafka_write_headers(headers, out);
}
