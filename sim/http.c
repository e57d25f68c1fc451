/* http.c - the simulated side of http/http.h: a request comes whole, by a call, and its answer is
 * checked at once. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "world.h"

struct leat_http_server {
    leat_http_handler handler;
    void *context;
    leat_http_counters counters;
};

void leat_http_config_defaults(leat_http_config *config)
{
    *config = (leat_http_config){0};
}

leat_http_server *leat_http_listen(uv_loop_t *loop, const leat_http_config *config,
                                   leat_http_handler handler, void *context, leat_error *error)
{
    (void)loop;
    (void)config;
    (void)error;
    leat_http_server *server = leat_must_calloc(1, sizeof *server);
    *server = (leat_http_server){.handler = handler, .context = context};
    sim_world_running()->edges.starting->server = server;
    return server;
}

int leat_http_port(const leat_http_server *server)
{
    (void)server;
    return 0;
}

void leat_http_reload(leat_http_server *server)
{
    (void)server;
}

void leat_http_leave(leat_http_server *server)
{
    (void)server;
}

size_t leat_http_unsent(const leat_http_server *server)
{
    (void)server;
    return 0;
}

void leat_http_drain(leat_http_server *server, void (*on_drained)(void *context))
{
    on_drained(server->context);
}

void leat_http_close(leat_http_server *server)
{
    free(server);
}

const leat_http_counters *leat_http_count(const leat_http_server *server)
{
    return &server->counters;
}

leat_http_method leat_http_request_method(const leat_http_request *request)
{
    return request->method;
}

leat_slice leat_http_request_path(const leat_http_request *request)
{
    return leat_slice_of(request->path);
}

leat_slice leat_http_request_query(const leat_http_request *request)
{
    (void)request;
    return (leat_slice){"", 0};
}

leat_slice leat_http_request_body(const leat_http_request *request)
{
    return (leat_slice){request->body, request->body_size};
}

leat_slice leat_http_request_header(const leat_http_request *request, const char *name)
{
    (void)request;
    (void)name;
    return (leat_slice){"", 0};
}

leat_slice leat_http_request_header_line(const leat_http_request *request, const char *name,
                                         uint32_t index)
{
    bool is_key = strcmp(name, "idempotency-key") == 0 && index == 0 && request->key[0];
    return is_key ? leat_slice_of(request->key) : (leat_slice){NULL, 0};
}

leat_http_client leat_http_request_client(const leat_http_request *request)
{
    (void)request;
    return LEAT_HTTP_CLIENT_HERE;
}

bool leat_http_request_may_wait(leat_http_request *request)
{
    (void)request;
    return false;
}

int64_t leat_http_request_arrived_us(const leat_http_request *request)
{
    return request->arrived_us;
}

void leat_http_request_drop_body(leat_http_request *request)
{
    memset(request->body, '#', request->body_size); /* a later read of it shows */
}

void leat_http_answer(leat_http_request *request, leat_http_code code, const char *content_type,
                      leat_slice body, const char *extra_headers)
{
    (void)content_type;
    (void)extra_headers;
    sim_world *world = sim_world_running();
    int status = leat_http_codes[code].status;
    LEAT_ASSERT(request->status == 0);
    request->status = status;
    world->clients.answered++;
    sim_trace(world, "edge: request %u is answered %d", request->index, status);
    if (status >= 400 && status < 500)
        world->sometimes->count[SOMETIMES_REFUSED_REQUEST]++;
    sim_check_answer(world, request, body);
    sim_clients_answered(world, request);
}

/* ---- requests that are streamed: there are none ---- */

void leat_http_request_keep(leat_http_request *request, uint32_t slot, void *value)
{
    (void)request;
    (void)slot;
    LEAT_ASSERT(!value);
}

void *leat_http_request_kept(const leat_http_request *request, uint32_t slot)
{
    (void)request;
    (void)slot;
    return NULL;
}

uint32_t leat_http_streamed_beside(const leat_http_request *request)
{
    (void)request;
    return 0;
}

void leat_http_body_taken(leat_http_request *request, size_t size)
{
    (void)request;
    LEAT_ASSERT(size == 0);
}

void leat_http_answer_begin(leat_http_request *request, leat_http_code code,
                            const char *content_type, const char *extra_headers)
{
    (void)content_type;
    (void)extra_headers;
    LEAT_ASSERT(!request || code == LEAT_HTTP_CODE_COUNT);
}

void leat_http_answer_piece(leat_http_request *request, leat_slice piece)
{
    LEAT_ASSERT(!request || piece.size == 0);
}

void leat_http_answer_end(leat_http_request *request)
{
    LEAT_ASSERT(!request);
}

size_t leat_http_answer_waiting(const leat_http_request *request)
{
    (void)request;
    return 0;
}

void leat_http_abandon(leat_http_request *request)
{
    request->status = -1;
}

void sim_http_request(sim_world *world, sim_request *request)
{
    const sim_edge *edge = sim_edges_any(world);
    const sim_refusal *told = sim_floods_find(world, edge, request);
    leat_http_server *server = edge->server;
    request->arrived_us = world->clock.now_us;
    world->clients.handled = request;
    server->handler(server->context, request);
    world->clients.handled = NULL;
    sim_check_admitted(world, request, told);
}
