/* client.h - raw sockets against a server on the same loop: what is sent is decided to the byte,
 * and the loop is turned by whoever waits, so a test is one thread and waits for events, never for
 * a time. */
#ifndef TESTS_HTTP_CLIENT_H
#define TESTS_HTTP_CLIENT_H

#include <uv.h>

#include "base/buf.h"

enum { TEST_ANSWER_MAX = 256 * 1024, TEST_WAIT_MS = 10000 };

/* Connects to 127.0.0.1; the socket does not block. */
int test_connect(int port);
/* With a receive buffer of about `bytes`. */
int test_connect_narrow(int port, int bytes);
/* Sends all of it, turning the loop while the socket is full. */
void test_send(uv_loop_t *loop, int fd, const char *data, size_t size);
void test_send_text(uv_loop_t *loop, int fd, const char *text);
/* One turn without sleeping; a short sleep when nothing has happened since. */
void test_turn(uv_loop_t *loop);
/* Turns until `*flag`; fails the test after TEST_WAIT_MS. */
void test_turn_until(uv_loop_t *loop, const bool *flag);

typedef struct test_answer {
    int status;
    bool closes;     /* has Connection: close */
    char head[2048]; /* status line and headers */
    char body[65536];
    size_t body_size;
} test_answer;

/* A connection's unread bytes. */
typedef struct test_reader {
    int fd;
    bool eof;
    size_t size;
    char data[TEST_ANSWER_MAX];
} test_reader;

/* The next answer, waited for. False: the connection ended before one was whole. `no_body`: the
 * answer to a HEAD. */
bool test_read_answer(uv_loop_t *loop, test_reader *reader, bool no_body, test_answer *ret);
/* True: the connection ended and nothing came before. */
bool test_read_eof(uv_loop_t *loop, test_reader *reader);
/* The value of a header of the answer, "" when it is not there. */
const char *test_header(const test_answer *answer, const char *name, char *room, size_t size);

#endif
