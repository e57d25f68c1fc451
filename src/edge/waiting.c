/*
 * waiting.c - a request that waits is a wait in the shared table and a deadline here. Workers and
 * askers decide waits on their own threads and wake this loop; the deadlines are looked at a few
 * times a second, because they are whole seconds.
 *
 * Whatever is answered is the truth at some moment after the write was accepted. A shard that does
 * not answer decides nothing: its waits end with their time.
 */
#include "edge/waiting.h"

#include <stdlib.h>

#include "edge/prefer.h"

enum { LOOK_EVERY_MS = 100, TAKE_AT_ONCE = 64, QUESTION_US = 5 * 1000 * 1000 };

#define QUESTION_PATH "/writes/"

struct edge_waiter {
    LIST_ENTRY(edge_waiter) link;
    leat_http_request *request;
    leat_write_place place;
    uint64_t id; /* in the table */
    int64_t since_us;
    int64_t until_us;
    uint32_t wait_s; /* 0: a question that takes whatever is known */
    bool is_question;
    bool is_discreet; /* of somebody who may not see other tenants' data, which the write may be */
};

static const leat_write_answer not_known = {.state = LEAT_WRITE_PENDING};

/* ---- answers ---- */

static void end_waiter(leat_edge *edge, edge_waiter *waiter)
{
    LEAT_ASSERT(edge->waiting.count > 0);
    LIST_REMOVE(waiter, link);
    edge->waiting.count--;
    leat_gauge_set(edge->metrics.waiting, edge->waiting.count);
    free(waiter);
}

static void answer_waiter(leat_edge *edge, edge_waiter *waiter, const leat_write_answer *answer)
{
    leat_write_answer told = *answer;
    leat_count(edge->metrics.waits[answer->state], 1);
    if (waiter->is_discreet)
        told.message[0] = '\0';
    if (!waiter->is_question)
        leat_observe(edge->metrics.waited, leat_mono_us() - waiter->since_us, 1);
    if (waiter->is_question)
        edge_answer_state(edge, waiter->request, &waiter->place, &told, waiter->wait_s);
    else if (answer->state == LEAT_WRITE_DEAD_LETTER)
        edge_answer_dead_letter(edge, waiter->request, &waiter->place, answer, waiter->wait_s);
    else
        edge_answer_waited(edge, waiter->request, &waiter->place, answer, waiter->wait_s);
    end_waiter(edge, waiter);
}

static void answer_pending(leat_edge *edge, edge_waiter *waiter)
{
    leat_write_waits_remove(edge->config.writes.waits, waiter->id);
    answer_waiter(edge, waiter, &not_known);
}

/* Its time is over. A question that got no answer in time was answered by nobody. */
static void answer_late(leat_edge *edge, edge_waiter *waiter)
{
    if (!waiter->is_question || waiter->wait_s > 0) {
        answer_pending(edge, waiter);
        return;
    }
    leat_write_waits_remove(edge->config.writes.waits, waiter->id);
    edge_answer_error(edge, waiter->request, LEAT_HTTP_UNAVAILABLE, NULL,
                      "the shard of this write does not answer");
    end_waiter(edge, waiter);
}

/* Who has only shut its side of the connection may still read: it hears what is known. A question
 * that waits for nothing else is answered in a moment as ever. */
bool edge_waiting_gone(leat_edge *edge, leat_http_request *request)
{
    edge_waiter *waiter = leat_http_request_kept(request, EDGE_SLOT_WAITER);
    if (!waiter)
        return false;
    if (waiter->wait_s > 0 || leat_http_request_client(request) == LEAT_HTTP_CLIENT_GONE)
        answer_pending(edge, waiter);
    return true;
}

static void take_decided(leat_edge *edge)
{
    leat_write_decided decided[TAKE_AT_ONCE];
    uint32_t count;
    while ((count = leat_write_waits_take(edge->config.writes.waits, decided, TAKE_AT_ONCE)) > 0)
        for (uint32_t i = 0; i < count; i++)
            answer_waiter(edge, decided[i].owner, &decided[i].answer);
}

void edge_waiting_hurry(leat_edge *edge)
{
    edge_waiter *next;
    if (!edge->config.writes.waits)
        return;
    take_decided(edge);
    for (edge_waiter *at = LIST_FIRST(&edge->waiting.all); at; at = next) {
        next = LIST_NEXT(at, link);
        if (at->wait_s > 0)
            answer_late(edge, at);
    }
}

void edge_waiting_answer_all(leat_edge *edge)
{
    if (!edge->config.writes.waits)
        return;
    take_decided(edge);
    while (!LIST_EMPTY(&edge->waiting.all))
        answer_late(edge, LIST_FIRST(&edge->waiting.all));
    LEAT_ASSERT(edge->waiting.count == 0);
}

/* ---- events ---- */

static void on_look(uv_timer_t *timer)
{
    leat_edge *edge = timer->data;
    int64_t now_us = leat_mono_us();
    edge_waiter *next;
    take_decided(edge);
    for (edge_waiter *at = LIST_FIRST(&edge->waiting.all); at; at = next) {
        next = LIST_NEXT(at, link);
        if (at->until_us <= now_us)
            answer_late(edge, at);
    }
    if (edge->waiting.count == 0)
        uv_timer_stop(timer);
}

static void on_wake(uv_async_t *async)
{
    take_decided(async->data);
}

/* Any thread. */
static void on_decided(void *context)
{
    uv_async_send(context);
}

static bool add_waiter(leat_edge *edge, const edge_waiter *from)
{
    edge_waiter *waiter = leat_http_request_may_wait(from->request) ? malloc(sizeof *waiter) : NULL;
    if (!waiter)
        return false;
    *waiter = *from;
    waiter->since_us = leat_mono_us();
    waiter->until_us = waiter->since_us +
                       (waiter->wait_s > 0 ? waiter->wait_s * INT64_C(1000000) : QUESTION_US);
    bool takes_pending = waiter->is_question && waiter->wait_s == 0;
    waiter->id =
        leat_write_waits_add(edge->config.writes.waits, &waiter->place, takes_pending, waiter);
    if (waiter->id == 0) {
        free(waiter);
        return false;
    }
    LIST_INSERT_HEAD(&edge->waiting.all, waiter, link);
    leat_http_request_keep(waiter->request, EDGE_SLOT_WAITER, waiter);
    edge->waiting.count++;
    leat_gauge_set(edge->metrics.waiting, edge->waiting.count);
    if (!uv_is_active((uv_handle_t *)&edge->waiting.look))
        uv_timer_start(&edge->waiting.look, on_look, LOOK_EVERY_MS, LOOK_EVERY_MS);
    return true;
}

/* ---- writes ---- */

static bool is_there(const leat_http_request *request)
{
    return leat_http_request_client(request) == LEAT_HTTP_CLIENT_HERE;
}

/* While it drains, a question is answered and nothing is waited for. */
uint32_t edge_waiting_wish(const leat_edge *edge, const leat_http_request *request)
{
    const leat_edge_writes *config = &edge->config.writes;
    if (!config->waits || !edge_takes_long_ones(edge) || !is_there(request))
        return 0;
    int64_t wish_s = edge_prefer_wait(request);
    return wish_s <= 0 ? 0 : wish_s < config->wait_max_s ? (uint32_t)wish_s : config->wait_max_s;
}

void edge_waiting_expect(leat_edge *edge, uint32_t partition)
{
    leat_write_waits_expect(edge->config.writes.waits, partition);
}

void edge_waiting_expected(leat_edge *edge, uint32_t partition)
{
    leat_write_waits_expected(edge->config.writes.waits, partition);
}

void edge_waiting_begin(leat_edge *edge, leat_http_request *request, const leat_write_place *place,
                        uint32_t wait_s, const edge_left *left)
{
    const edge_waiter waiter = {.request = request, .place = *place, .wait_s = wait_s};
    bool has_client = is_there(request);
    if (has_client && edge_takes_long_ones(edge) && add_waiter(edge, &waiter))
        return;
    if (has_client)
        leat_count(edge->metrics.waits_refused, 1);
    edge_answer_accepted(edge, request, place, left);
}

/* ---- questions ---- */

static bool is_of_this_topic(const leat_edge *edge, uint32_t source, const leat_write_place *place)
{
    return source == edge->config.writes.source && place->partition < edge->partition_count &&
           place->subpartition < edge->config.writes.placement->subpartitions;
}

static void answer_question(leat_edge *edge, leat_http_request *request, leat_slice token)
{
    uint32_t source;
    edge_waiter waiter = {.request = request, .is_question = true};
    if (leat_write_token_read(token, &source, &waiter.place) != 0) {
        edge_answer_error(edge, request, LEAT_HTTP_BAD_REQUEST, NULL,
                          "this is not a token from the answer to a write");
    } else if (!is_of_this_topic(edge, source, &waiter.place)) {
        edge_answer_error(edge, request, LEAT_HTTP_NO_WRITE, NULL,
                          "the token is of another topic than this edge writes to");
    } else {
        waiter.wait_s = edge_waiting_wish(edge, request);
        waiter.is_discreet = edge_auth_tenant(edge, request).size > 0;
        if (!add_waiter(edge, &waiter))
            edge_answer_error(edge, request, LEAT_HTTP_OVERLOADED, NULL,
                              "too many requests wait to hear of writes");
    }
}

bool edge_waiting_ask(leat_edge *edge, leat_http_request *request)
{
    static const leat_slice start = {QUESTION_PATH, sizeof QUESTION_PATH - 1};
    leat_http_method method = leat_http_request_method(request);
    leat_slice path = leat_http_request_path(request);
    if (!edge->config.writes.waits || (method != LEAT_HTTP_GET && method != LEAT_HTTP_HEAD) ||
        path.size <= start.size || !leat_slice_equal((leat_slice){path.data, start.size}, start))
        return false;
    answer_question(edge, request, (leat_slice){path.data + start.size, path.size - start.size});
    return true;
}

/* ---- its life ---- */

void edge_waiting_init(leat_edge *edge, uv_loop_t *loop)
{
    LIST_INIT(&edge->waiting.all);
    if (!edge->config.writes.waits)
        return;
    LEAT_ASSERT(edge->config.writes.placement && edge->config.writes.wait_max_s > 0);
    uv_timer_init(loop, &edge->waiting.look);
    uv_async_init(loop, &edge->waiting.wake, on_wake);
    edge->waiting.look.data = edge->waiting.wake.data = edge;
    leat_write_waits_listen(edge->config.writes.waits, on_decided, &edge->waiting.wake);
}

static void on_wake_closed(uv_handle_t *handle)
{
    leat_edge *edge = handle->data;
    edge->waiting.on_closed(edge);
}

static void on_look_closed(uv_handle_t *handle)
{
    leat_edge *edge = handle->data;
    uv_close((uv_handle_t *)&edge->waiting.wake, on_wake_closed);
}

void edge_waiting_close(leat_edge *edge, void (*on_closed)(leat_edge *edge))
{
    LEAT_ASSERT(edge->waiting.count == 0);
    if (!edge->config.writes.waits) {
        on_closed(edge);
        return;
    }
    leat_write_waits_listen(edge->config.writes.waits, NULL, NULL);
    edge->waiting.on_closed = on_closed;
    uv_close((uv_handle_t *)&edge->waiting.look, on_look_closed);
}
