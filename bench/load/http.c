/*
 * http.c - writes as HTTP requests: N connections on one loop, each with up to `depth` requests
 * without an answer.
 *
 * A connection takes its next write when an answer frees it, or by the tick when a rate holds
 * writes back. Writes sent on a lost connection are unknown: the edge may have taken it. The
 * connection is opened again after a short wait.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netdb.h>
#include <uv.h>

#include "load/response.h"
#include "load/target.h"

enum { TICK_MS = 1, REOPEN_US = 100000, READ_MAX = 64 * 1024, SLOW_TICKS = 100 };

typedef enum conn_state { CONN_CLOSED, CONN_OPENING, CONN_OPEN, CONN_CLOSING } conn_state;

typedef struct conn {
    struct client *client;
    conn_state state;
    int64_t reopen_us;
    uv_tcp_t tcp;
    uv_connect_t connecting;
    uv_write_t writing;
    bool write_runs;
    leat_buf out;         /* to be sent */
    leat_buf sending;     /* being sent: must not move */
    leat_buf in;          /* the beginning of a response */
    load_write **waiting; /* ring of `depth`, in the order of sending */
    uint32_t first, count;
    bool queued; /* in the client's queue of connections that can take a write */
    struct conn *next_free;
} conn;

typedef struct client {
    load_run *run;
    uv_loop_t loop;
    uv_timer_t timer;
    uv_signal_t signals[2];
    struct sockaddr_storage address;
    char authority[300];
    conn *conns;
    uint32_t conn_count;
    uint32_t depth;
    conn *free_first, *free_last;
    uint32_t ticks;
    int signals_seen;
    bool ended;
    char read_buffer[READ_MAX];
} client;

static void conn_lose(conn *c, const char *why);

/* ---- connections that can take a write ---- */

static void free_push(conn *c)
{
    if (c->queued || c->state != CONN_OPEN || c->count == c->client->depth)
        return;
    c->queued = true;
    c->next_free = NULL;
    if (c->client->free_last)
        c->client->free_last->next_free = c;
    else
        c->client->free_first = c;
    c->client->free_last = c;
}

/* The next that still can: one may have closed while it was in the queue. */
static conn *free_pop(client *cl)
{
    while (cl->free_first) {
        conn *c = cl->free_first;
        cl->free_first = c->next_free;
        if (!cl->free_first)
            cl->free_last = NULL;
        c->queued = false;
        if (c->state == CONN_OPEN && c->count < cl->depth)
            return c;
    }
    return NULL;
}

/* ---- sending ---- */

static void conn_flush(conn *c);

static void on_written(uv_write_t *request, int status)
{
    conn *c = request->data;
    c->write_runs = false;
    leat_buf_clear(&c->sending);
    if (c->state != CONN_OPEN)
        return;
    if (status < 0)
        conn_lose(c, "connection lost");
    else
        conn_flush(c);
}

static void conn_flush(conn *c)
{
    if (c->write_runs || c->out.size == 0)
        return;
    if (c->out.failed) {
        conn_lose(c, "out of memory");
        return;
    }
    uv_buf_t bytes = uv_buf_init(c->out.data, (unsigned)c->out.size);
    int sent = uv_try_write((uv_stream_t *)&c->tcp, &bytes, 1);
    if (sent == (int)c->out.size) {
        leat_buf_clear(&c->out);
        return;
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    leat_buf empty = c->sending;
    c->sending = c->out;
    c->out = empty;
    bytes = uv_buf_init(c->sending.data + done, (unsigned)(c->sending.size - done));
    c->writing.data = c;
    c->write_runs = uv_write(&c->writing, (uv_stream_t *)&c->tcp, &bytes, 1, on_written) == 0;
    if (!c->write_runs)
        conn_lose(c, "connection lost");
}

static void put_request(conn *c, const load_write *write)
{
    static const char *const methods[LEAT_ROUTE_OP_COUNT] = {"PUT", "PATCH", "DELETE"};
    leat_buf *out = &c->out;
    leat_buf_text(out, methods[write->op]);
    leat_buf_byte(out, ' ');
    leat_buf_append(out, write->path.data, write->path.size);
    leat_buf_text(out, " HTTP/1.1\r\nHost: ");
    leat_buf_text(out, c->client->authority);
    if (write->op != LEAT_DELETE)
        leat_buf_printf(out, "\r\nContent-Type: application/json\r\nContent-Length: %zu",
                        write->body.size);
    leat_buf_text(out, "\r\n\r\n");
    leat_buf_append(out, write->body.data, write->body.size);
}

static void conn_send(conn *c, load_write *write)
{
    c->waiting[(c->first + c->count++) % c->client->depth] = write;
    put_request(c, write);
    free_push(c);
    conn_flush(c);
}

/* Sends all that are due to connections that can take them. */
static void pump(client *cl)
{
    int64_t now = leat_mono_us();
    for (conn *c; !cl->ended && (c = free_pop(cl)) != NULL;) {
        load_write *write = load_run_take(cl->run, now);
        if (!write) {
            free_push(c);
            return;
        }
        conn_send(c, write);
    }
}

/* ---- receiving ---- */

static load_write *take_waiting(conn *c)
{
    load_write *write = c->waiting[c->first];
    c->first = (c->first + 1) % c->client->depth;
    c->count--;
    return write;
}

static bool take_response(conn *c, const load_response *response)
{
    if (response->status < 200)
        return true;
    if (c->count == 0)
        return false;
    load_answer answer = {.status = response->status, .partition = -1, .offset = -1};
    if (response->status == 202) {
        answer.partition = load_json_number(response->body, "partition");
        answer.offset = load_json_number(response->body, "offset");
    }
    load_run_answer(c->client->run, take_waiting(c), &answer, leat_mono_us());
    free_push(c);
    return true;
}

/* Takes all whole responses of `bytes`; how many bytes that were, or -1 when the connection was
 * lost over it. */
static ssize_t take_responses(conn *c, leat_slice bytes)
{
    size_t done = 0;
    while (done < bytes.size) {
        load_response response;
        load_response_state state =
            load_response_read((leat_slice){bytes.data + done, bytes.size - done}, &response);
        if (state == LOAD_RESPONSE_PARTIAL)
            break;
        if (state == LOAD_RESPONSE_BROKEN || !take_response(c, &response)) {
            conn_lose(c, "broken response");
            return -1;
        }
        done += response.size;
        if (response.close) {
            conn_lose(c, "connection closed by the server");
            return -1;
        }
    }
    return (ssize_t)done;
}

/* Most reads hold whole responses: only a rest is copied. */
static void conn_receive(conn *c, leat_slice bytes)
{
    bool joined = c->in.size > 0;
    if (joined) {
        leat_buf_slice(&c->in, bytes);
        bytes = (leat_slice){c->in.data, c->in.size};
    }
    ssize_t done = take_responses(c, bytes);
    if (done < 0)
        return;
    size_t rest = bytes.size - (size_t)done;
    if (joined) {
        memmove(c->in.data, c->in.data + done, rest);
        c->in.size = rest;
    } else {
        leat_buf_append(&c->in, bytes.data + done, rest);
    }
    if (c->in.failed)
        conn_lose(c, "out of memory");
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    conn *c = stream->data;
    client *cl = c->client;
    if (size < 0)
        conn_lose(c, size == UV_EOF ? "connection closed by the server" : "connection lost");
    else
        conn_receive(c, (leat_slice){buffer->base, (size_t)size});
    pump(cl);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    conn *c = handle->data;
    (void)suggested;
    *ret = uv_buf_init(c->client->read_buffer, READ_MAX);
}

/* ---- the life of a connection ---- */

static void on_closed(uv_handle_t *handle)
{
    conn *c = handle->data;
    c->state = CONN_CLOSED;
}

static void conn_lose(conn *c, const char *why)
{
    if (c->state != CONN_OPEN && c->state != CONN_OPENING)
        return;
    c->state = CONN_CLOSING;
    uv_close((uv_handle_t *)&c->tcp, on_closed);
    leat_buf_clear(&c->out);
    leat_buf_clear(&c->in);
    int64_t now = leat_mono_us();
    c->reopen_us = now + REOPEN_US;
    load_answer answer = {.partition = -1, .offset = -1, .error = why};
    while (c->count > 0)
        load_run_answer(c->client->run, take_waiting(c), &answer, now);
}

/* No write has one that is not open: those wait, and the refusal is counted by itself. */
static void conn_refused(conn *c)
{
    load_run_error(c->client->run, "connection refused");
    conn_lose(c, "connection refused");
}

static void on_connected(uv_connect_t *request, int status)
{
    conn *c = request->data;
    if (c->state != CONN_OPENING)
        return;
    if (status < 0 || uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) < 0) {
        conn_refused(c);
        return;
    }
    c->state = CONN_OPEN;
    free_push(c);
    pump(c->client);
}

static void conn_open(conn *c)
{
    if (uv_tcp_init(&c->client->loop, &c->tcp) < 0)
        return;
    c->tcp.data = c;
    c->connecting.data = c;
    c->state = CONN_OPENING;
    uv_tcp_nodelay(&c->tcp, 1);
    if (uv_tcp_connect(&c->connecting, &c->tcp, (const struct sockaddr *)&c->client->address,
                       on_connected) < 0)
        conn_refused(c);
}

/* ---- the whole ---- */

static void check_timeouts(client *cl, int64_t now)
{
    for (uint32_t i = 0; i < cl->conn_count; i++) {
        conn *c = &cl->conns[i];
        if (c->count > 0 && now - c->waiting[c->first]->sent_us > cl->run->options->timeout_us)
            conn_lose(c, "no answer in time");
    }
}

static void end(client *cl)
{
    if (cl->ended)
        return;
    cl->ended = true;
    for (uint32_t i = 0; i < cl->conn_count; i++)
        conn_lose(&cl->conns[i], "given up");
    uv_close((uv_handle_t *)&cl->timer, NULL);
    for (size_t i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&cl->signals[i], NULL);
}

static void on_tick(uv_timer_t *timer)
{
    client *cl = timer->data;
    int64_t now = leat_mono_us();
    load_run_tick(cl->run, now);
    if (load_run_over(cl->run)) {
        end(cl);
        return;
    }
    for (uint32_t i = 0; i < cl->conn_count; i++)
        if (cl->conns[i].state == CONN_CLOSED && cl->conns[i].reopen_us <= now)
            conn_open(&cl->conns[i]);
    if (++cl->ticks % SLOW_TICKS == 0)
        check_timeouts(cl, now);
    pump(cl);
}

/* Once: no new writes. Twice: at once. */
static void on_signal(uv_signal_t *handle, int number)
{
    client *cl = handle->data;
    (void)number;
    load_run_stop(cl->run);
    if (++cl->signals_seen < 2)
        return;
    cl->run->failure = "interrupted";
    end(cl);
}

static int resolve(client *cl, leat_error *error)
{
    const load_options *options = cl->run->options;
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (strcmp(options->host, "localhost") == 0)
        hints.ai_family = AF_INET; /* only one address is tried, and servers on localhost listen on
                                      this one */
    snprintf(port, sizeof port, "%d", options->port);
    int code = getaddrinfo(options->host, port, &hints, &found);
    if (code != 0 || !found)
        return leat_fail(error, "%s: %s", options->host, gai_strerror(code));
    memcpy(&cl->address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    bool v6 = strchr(options->host, ':') != NULL;
    snprintf(cl->authority, sizeof cl->authority, "%s%s%s:%d", v6 ? "[" : "", options->host,
             v6 ? "]" : "", options->port);
    return 0;
}

static int start(client *cl, leat_error *error)
{
    static const int numbers[2] = {SIGINT, SIGTERM};
    int code = uv_timer_init(&cl->loop, &cl->timer);
    cl->timer.data = cl;
    for (size_t i = 0; code == 0 && i < 2; i++) {
        code = uv_signal_init(&cl->loop, &cl->signals[i]);
        cl->signals[i].data = cl;
        if (code == 0)
            code = uv_signal_start(&cl->signals[i], on_signal, numbers[i]);
    }
    if (code == 0)
        code = uv_timer_start(&cl->timer, on_tick, 0, TICK_MS);
    return code == 0 ? 0 : leat_fail(error, "%s", uv_strerror(code));
}

static void conns_new(client *cl)
{
    cl->conns = leat_must_calloc(cl->conn_count, sizeof *cl->conns);
    for (uint32_t i = 0; i < cl->conn_count; i++) {
        cl->conns[i].client = cl;
        cl->conns[i].waiting = leat_must_calloc(cl->depth, sizeof *cl->conns[i].waiting);
    }
}

static void conns_free(client *cl)
{
    for (uint32_t i = 0; i < cl->conn_count; i++) {
        leat_buf_free(&cl->conns[i].out);
        leat_buf_free(&cl->conns[i].sending);
        leat_buf_free(&cl->conns[i].in);
        free(cl->conns[i].waiting);
    }
    free(cl->conns);
}

uint32_t load_http_outstanding(const load_options *options)
{
    return options->connections * options->depth;
}

int load_http_run(load_run *run, leat_error *error)
{
    client *cl = leat_must_calloc(1, sizeof *cl);
    *cl =
        (client){.run = run, .conn_count = run->options->connections, .depth = run->options->depth};
    int result = resolve(cl, error);
    if (result == 0 && uv_loop_init(&cl->loop) < 0)
        result = leat_fail(error, "no event loop");
    if (result == 0) {
        conns_new(cl);
        result = start(cl, error);
        LEAT_ASSERT(result == 0); /* nothing to give back: the process ends */
        uv_run(&cl->loop, UV_RUN_DEFAULT);
        int closed = uv_loop_close(&cl->loop);
        LEAT_ASSERT(closed == 0);
        conns_free(cl);
    }
    free(cl);
    return result;
}
