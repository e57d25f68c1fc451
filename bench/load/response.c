/* Parses one response out of the bytes at hand, without copying: a figure of the edge must not
 * contain much of its client. So it takes what an edge sends and nothing else; any other answer is
 * an error and ends the connection, rather than being counted as something that it is not. */
#include "load/response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HEAD_MAX = 16 * 1024, BODY_MAX = 1024 * 1024 };

/* Digits at the beginning of a text; -1: none, or too many. */
static int64_t scan_number(leat_slice text)
{
    int64_t value = 0;
    size_t i = 0;
    for (; i < text.size && i < 18 && text.data[i] >= '0' && text.data[i] <= '9'; i++)
        value = value * 10 + (text.data[i] - '0');
    return i > 0 && i < 18 ? value : -1;
}

static leat_slice after(leat_slice text, size_t size)
{
    return (leat_slice){text.data + size, text.size - size};
}

/* Is the line "name: ..."? Then its value, without blanks in front. */
static bool header_is(leat_slice line, const char *name, leat_slice *ret_value)
{
    size_t size = strlen(name);
    if (line.size <= size || line.data[size] != ':' || strncasecmp(line.data, name, size) != 0)
        return false;
    *ret_value = after(line, size + 1);
    while (ret_value->size > 0 && *ret_value->data == ' ')
        *ret_value = after(*ret_value, 1);
    return true;
}

static bool read_header(leat_slice line, load_response *ret, int64_t *length)
{
    leat_slice value;
    if (header_is(line, "content-length", &value))
        *length = scan_number(value);
    else if (header_is(line, "connection", &value))
        ret->close = value.size == 5 && strncasecmp(value.data, "close", 5) == 0;
    else if (header_is(line, "transfer-encoding", &value))
        return false;
    return true;
}

/* The headers after the status line; false: not ours. */
static bool read_headers(leat_slice head, load_response *ret, int64_t *length)
{
    while (head.size > 0) {
        const char *end = memmem(head.data, head.size, "\r\n", 2);
        size_t size = end ? (size_t)(end - head.data) : head.size;
        if (!read_header((leat_slice){head.data, size}, ret, length))
            return false;
        head = after(head, size + (end ? 2 : 0));
    }
    return true;
}

load_response_state load_response_read(leat_slice bytes, load_response *ret)
{
    const char *end = memmem(bytes.data, bytes.size, "\r\n\r\n", 4);
    if (!end)
        return bytes.size > HEAD_MAX ? LOAD_RESPONSE_BROKEN : LOAD_RESPONSE_PARTIAL;
    leat_slice head = {bytes.data, (size_t)(end - bytes.data)};
    if (head.size < 12 || memcmp(head.data, "HTTP/1.1 ", 9) != 0)
        return LOAD_RESPONSE_BROKEN;
    load_response response = {.status = (int)scan_number((leat_slice){head.data + 9, 3})};
    const char *line_end = memmem(head.data, head.size, "\r\n", 2);
    leat_slice headers = line_end ? after(head, (size_t)(line_end - head.data) + 2)
                                  : (leat_slice){"", 0};
    int64_t length = 0;
    if (response.status < 100 || !read_headers(headers, &response, &length) || length < 0 ||
        length > BODY_MAX)
        return LOAD_RESPONSE_BROKEN;
    response.size = head.size + 4 + (size_t)length;
    if (bytes.size < response.size)
        return LOAD_RESPONSE_PARTIAL;
    response.body = (leat_slice){bytes.data + head.size + 4, (size_t)length};
    *ret = response;
    return LOAD_RESPONSE_WHOLE;
}

int64_t load_json_number(leat_slice body, const char *name)
{
    char quoted[64];
    size_t size = strlen(name);
    if (body.size == 0 || size + 4 > sizeof quoted)
        return -1;
    quoted[0] = '"';
    memcpy(quoted + 1, name, size);
    memcpy(quoted + 1 + size, "\":", 2);
    const char *at = memmem(body.data, body.size, quoted, size + 3);
    return at ? scan_number(after(body, (size_t)(at - body.data) + size + 3)) : -1;
}
