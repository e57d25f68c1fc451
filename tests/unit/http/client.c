#include "client.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

int test_connect_narrow(int port, int bytes)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    if (bytes > 0)
        ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
    } address = {.v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}};
    address.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(connect(fd, &address.any, sizeof address.v4), 0);
    return fd;
}

int test_connect(int port)
{
    return test_connect_narrow(port, 0);
}

void test_turn(uv_loop_t *loop)
{
    uv_run(loop, UV_RUN_NOWAIT);
}

static void nap(void)
{
    usleep(200);
}

void test_turn_until(uv_loop_t *loop, const bool *flag)
{
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    while (!*flag) {
        test_turn(loop);
        if (!*flag)
            nap();
        ck_assert_msg(leat_mono_us() < until, "what was waited for did not happen");
    }
}

void test_send(uv_loop_t *loop, int fd, const char *data, size_t size)
{
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    while (size > 0) {
        ssize_t sent = send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return; /* the server has had enough; its answer shows it */
        }
        test_turn(loop);
        ck_assert_msg(leat_mono_us() < until, "the server stopped reading");
    }
}

void test_send_text(uv_loop_t *loop, int fd, const char *text)
{
    test_send(loop, fd, text, strlen(text));
}

/* False: nothing more will come. */
static bool read_more(uv_loop_t *loop, test_reader *reader)
{
    int64_t until = leat_mono_us() + TEST_WAIT_MS * 1000;
    while (!reader->eof) {
        ck_assert_uint_lt(reader->size, sizeof reader->data);
        ssize_t got = recv(reader->fd, reader->data + reader->size,
                           sizeof reader->data - reader->size, MSG_DONTWAIT);
        if (got > 0) {
            reader->size += (size_t)got;
            return true;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            reader->eof = true;
            return false;
        }
        test_turn(loop);
        nap();
        ck_assert_msg(leat_mono_us() < until, "no answer came");
    }
    return false;
}

const char *test_header(const test_answer *answer, const char *name, char *room, size_t size)
{
    room[0] = '\0';
    size_t name_size = strlen(name);
    for (const char *line = strstr(answer->head, "\r\n"); line; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, name_size) != 0 || line[name_size] != ':')
            continue;
        line += name_size + 1;
        line += strspn(line, " ");
        size_t length = strcspn(line, "\r");
        ck_assert_uint_lt(length, size);
        memcpy(room, line, length);
        room[length] = '\0';
        return room;
    }
    return room;
}

static void drop_front(test_reader *reader, size_t size)
{
    memmove(reader->data, reader->data + size, reader->size - size);
    reader->size -= size;
}

bool test_read_answer(uv_loop_t *loop, test_reader *reader, bool no_body, test_answer *ret)
{
    char *end = NULL;
    while (!(end = memmem(reader->data, reader->size, "\r\n\r\n", 4)))
        if (!read_more(loop, reader))
            return false;
    size_t head = (size_t)(end - reader->data) + 4;
    ck_assert_uint_lt(head, sizeof ret->head);
    memcpy(ret->head, reader->data, head);
    ret->head[head] = '\0';
    ck_assert_int_eq(strncmp(ret->head, "HTTP/1.1 ", 9), 0);
    ret->status = atoi(ret->head + 9);
    char room[64];
    ret->closes = strcmp(test_header(ret, "connection", room, sizeof room), "close") == 0;
    size_t size =
        no_body ? 0
                : (size_t)strtoul(test_header(ret, "content-length", room, sizeof room), NULL, 10);
    ck_assert_uint_lt(size, sizeof ret->body);
    while (reader->size < head + size)
        if (!read_more(loop, reader))
            return false;
    memcpy(ret->body, reader->data + head, size);
    ret->body[size] = '\0';
    ret->body_size = size;
    drop_front(reader, head + size);
    return true;
}

bool test_read_eof(uv_loop_t *loop, test_reader *reader)
{
    while (reader->size == 0 && read_more(loop, reader))
        continue;
    return reader->eof && reader->size == 0;
}
