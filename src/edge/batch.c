/*
 * batch.c - POST /batch: many writes in one request, each answered by itself, in order, while more
 * of them come. A batch keeps three bounded things: bytes of items that it has not taken yet (the
 * window of the HTTP server), the outcomes of items that cannot be written yet because an earlier
 * item still waits for the log, and answers that the client has not read. Where one of them is full
 * no further item is taken, the window closes, and the client's own TCP slows it down.
 *
 * Items to one row keep their order even where one of them cannot be taken for now (429, 503, 504):
 * from then on the batch takes no other item of that row, so a client that sends again what was not
 * taken, in its order, ends up with the order that it wanted.
 */
#include "edge/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/batch_item.h"
#include "edge/batch_rows.h"
#include "edge/batch_split.h"
#include "edge/trace.h"

enum {
    ITEMS_MAX = 1024,              /* taken, and not answered yet */
    ANSWERS_MAX = 256 * 1024,      /* bytes of answers that the client has not taken */
    ITEM_ENVELOPE_MAX = 12 * 1024, /* of an item, besides its body: path and spaces */
};

#define NDJSON  "application/x-ndjson"
#define STOPPED "this process is being stopped"

/* An item that was taken, until its answer is written. */
typedef struct item_answer {
    bool is_known;
    leat_http_code code;
    leat_write_place place; /* of an accepted one */
    leat_buf text;          /* of any other: its members */
} item_answer;

struct edge_batch {
    leat_edge *edge;
    leat_http_request *request;
    LIST_ENTRY(edge_batch) all;
    leat_split split;
    leat_buf in; /* bytes from in_at on are not used yet */
    size_t in_at;
    bool is_whole; /* all its bytes have come */
    bool is_over;  /* no further item is taken */
    bool is_busy;
    bool is_lost; /* its client has gone, or an answer has no memory */
    bool begun;
    uint32_t waiting; /* items whose outcome is not known */
    uint64_t shards;  /* one bit for each whose database it has written to */
    uint64_t first;   /* the oldest item that is not answered */
    uint64_t next;    /* items so far */
    item_answer answers[ITEMS_MAX];
    edge_rows barred;
    leat_buf text; /* answers on their way out */
};

/* ---- rows that are not taken any more ---- */

bool edge_batch_keeps_order(const edge_asker *asker)
{
    const edge_batch *batch = asker->batch;
    if (!batch || !edge_rows_has(&batch->barred, asker->row))
        return true;
    edge_refuse(batch->edge, asker, LEAT_HTTP_OVERLOADED, NULL,
                "an earlier write of this batch to the same row was not taken");
    return false;
}

static bool may_be_sent_again(leat_http_code code)
{
    return code == LEAT_HTTP_LIMITED || code == LEAT_HTTP_OVERLOADED ||
           code == LEAT_HTTP_UNAVAILABLE || code == LEAT_HTTP_UNKNOWN;
}

/* ---- the outcome of an item ---- */

static void go_on(edge_batch *batch);

static item_answer *answer_of(edge_batch *batch, uint64_t item)
{
    LEAT_ASSERT(item >= batch->first && item < batch->next);
    return &batch->answers[item % ITEMS_MAX];
}

static void settle(edge_batch *batch, item_answer *answer, leat_http_code code)
{
    LEAT_ASSERT(!answer->is_known && batch->waiting > 0 && batch->edge->metrics.answers[code]);
    leat_count(batch->edge->metrics.answers[code], 1);
    answer->is_known = true;
    answer->code = code;
    batch->waiting--;
    if (!batch->is_busy)
        go_on(batch);
}

void edge_batch_accepted(const edge_asker *asker, const leat_write_place *place)
{
    edge_batch *batch = asker->batch;
    item_answer *answer = answer_of(batch, asker->item);
    answer->place = *place;
    settle(batch, answer, LEAT_HTTP_ACCEPTED);
}

void edge_batch_applied(const edge_asker *asker, const char *message)
{
    edge_batch *batch = asker->batch;
    item_answer *answer = answer_of(batch, asker->item);
    leat_buf_slice(&answer->text, LEAT_SLICE("{\"status\":200,\"state\":\"applied\""));
    edge_write_message(&answer->text, message);
    leat_buf_byte(&answer->text, '}');
    settle(batch, answer, LEAT_HTTP_OK);
}

void edge_batch_refused(const edge_asker *asker, leat_http_code code, const char *field,
                        const char *message, int64_t after_s)
{
    edge_batch *batch = asker->batch;
    item_answer *answer = answer_of(batch, asker->item);
    leat_http_error_item(&answer->text, code, field, message, after_s);
    if (may_be_sent_again(code))
        edge_rows_add(&batch->barred, asker->row);
    settle(batch, answer, code);
}

void edge_batch_refused_by_database(const edge_asker *asker, const leat_direct_answer *why)
{
    edge_batch *batch = asker->batch;
    item_answer *answer = answer_of(batch, asker->item);
    leat_http_error_item(&answer->text, LEAT_HTTP_REFUSED, NULL, why->message, 0);
    edge_add_sqlstate(&answer->text, why->sqlstate);
    settle(batch, answer, LEAT_HTTP_REFUSED);
}

static item_answer *add_item(edge_batch *batch)
{
    item_answer *answer = &batch->answers[batch->next % ITEMS_MAX];
    LEAT_ASSERT(batch->next - batch->first < ITEMS_MAX && !answer->text.data);
    batch->next++;
    batch->waiting++;
    answer->is_known = false;
    return answer;
}

/* ---- its answer ---- */

static void write_answer(edge_batch *batch, item_answer *answer)
{
    leat_buf *text = &batch->text;
    if (batch->split.is_array)
        leat_buf_slice(text, batch->first == 0 ? LEAT_SLICE("[\n") : LEAT_SLICE(",\n"));
    if (answer->code == LEAT_HTTP_ACCEPTED) {
        leat_buf_slice(text, LEAT_SLICE("{\"status\":202,\"partition\":"));
        leat_buf_uint(text, answer->place.partition);
        leat_buf_slice(text, LEAT_SLICE(",\"offset\":"));
        leat_buf_uint(text, (uint64_t)answer->place.offset);
        edge_write_token(batch->edge, text, &answer->place);
        leat_buf_byte(text, '}');
    } else {
        leat_buf_append(text, answer->text.data, answer->text.size);
        text->failed = text->failed || answer->text.failed;
        leat_buf_free(&answer->text);
    }
    if (!batch->split.is_array)
        leat_buf_byte(text, '\n');
}

static void begin_answer(edge_batch *batch)
{
    if (batch->begun)
        return;
    batch->begun = true;
    leat_http_answer_begin(batch->request, LEAT_HTTP_MULTI_STATUS,
                           batch->split.is_array ? LEAT_HTTP_JSON : NDJSON, NULL);
}

/* True: there was one. An answer that got lost for want of memory would shift all that follow, so
 * the batch breaks off. */
static bool write_answers(edge_batch *batch)
{
    uint64_t before = batch->first;
    leat_buf_clear(&batch->text);
    while (batch->first < batch->next && batch->answers[batch->first % ITEMS_MAX].is_known) {
        write_answer(batch, &batch->answers[batch->first % ITEMS_MAX]);
        batch->first++;
    }
    if (batch->first == before)
        return false;
    begin_answer(batch);
    if (batch->text.failed)
        batch->is_lost = batch->is_over = true;
    else
        leat_http_answer_piece(batch->request, (leat_slice){batch->text.data, batch->text.size});
    return true;
}

/* ---- its items ---- */

static void take_item(edge_batch *batch, leat_slice json)
{
    leat_edge *edge = batch->edge;
    edge_write write = {
        .asker = {.request = batch->request, .batch = batch, .item = batch->next},
        .arrived_us = leat_mono_us(),
    };
    add_item(batch);
    edge_item item;
    edge_item_error error;
    if (edge_item_read(edge->item_reader, json, &item, &error) != 0) {
        edge_refuse(edge, &write.asker, error.code, error.field, error.message);
        return;
    }
    write.method = item.method;
    write.path = item.path;
    write.query = item.query;
    write.body = item.body;
    write.idempotency = item.idempotency_key;
    write.read_body = item.read_body;
    if (item.body.size > edge->config.http.body_max)
        edge_refuse(edge, &write.asker, LEAT_HTTP_TOO_LARGE, NULL, "the body is too large");
    else
        edge_write_take(edge, &write);
}

static void refuse_next(edge_batch *batch, leat_http_code code, const char *message)
{
    edge_asker asker = {.request = batch->request, .batch = batch, .item = batch->next};
    add_item(batch);
    edge_refuse(batch->edge, &asker, code, NULL, message);
}

/* No item follows, and the client is told why: by the last answer. */
static void break_off(edge_batch *batch, leat_http_code code, const char *why)
{
    leat_buf message = {0};
    leat_buf_printf(&message, "%s; the batch ends after %llu items, and what follows was not taken",
                    why, (unsigned long long)batch->next);
    batch->is_over = true;
    refuse_next(batch, code, message.failed ? "the batch was broken off" : leat_buf_cstr(&message));
    leat_buf_free(&message);
}

static void break_array_off(edge_batch *batch)
{
    char why[128];
    snprintf(why, sizeof why, "the array breaks at byte %llu: %s",
             (unsigned long long)batch->split.used, leat_split_expected(&batch->split));
    break_off(batch, LEAT_HTTP_BAD_JSON, why);
}

/* The bytes up to there are needed no longer. */
static void drop_used(edge_batch *batch, size_t from)
{
    LEAT_ASSERT(from <= batch->in_at && batch->in_at <= batch->in.size);
    leat_http_body_taken(batch->request, batch->in_at - from);
    if (batch->in_at == batch->in.size) {
        leat_buf_clear(&batch->in);
        batch->in_at = 0;
    }
}

void edge_batch_goes_to(edge_batch *batch, uint64_t shards)
{
    batch->shards |= shards;
}

/* One place of the answers is kept for the one that ends a batch. What waits for a database leaves
 * room for requests; a batch without any such item takes one all the same, since nobody would wake
 * it. */
static bool has_room(const edge_batch *batch)
{
    if (batch->waiting > 0 && edge_direct_is_full(batch->edge, batch->shards))
        return false;
    return batch->next - batch->first < ITEMS_MAX - 1 &&
           leat_http_answer_waiting(batch->request) < ANSWERS_MAX;
}

/* True: there was one. */
static bool take_items(edge_batch *batch)
{
    uint64_t before = batch->next;
    size_t from = batch->in_at;
    while (!batch->is_over && has_room(batch)) {
        leat_slice rest = {batch->in.data ? batch->in.data + batch->in_at : "",
                           batch->in.size - batch->in_at};
        leat_slice item;
        size_t used;
        leat_split_result result =
            leat_split_next(&batch->split, rest, batch->is_whole, &item, &used);
        if (result == LEAT_SPLIT_FOUND)
            take_item(batch, item);
        else if (result == LEAT_SPLIT_TOO_LARGE)
            refuse_next(batch, LEAT_HTTP_TOO_LARGE, "the item is too large");
        else if (result == LEAT_SPLIT_FAULT)
            break_array_off(batch);
        batch->in_at += used;
        batch->is_over = batch->is_over || result == LEAT_SPLIT_END;
        if (result == LEAT_SPLIT_MORE)
            break;
    }
    drop_used(batch, from);
    return batch->next > before;
}

/* ---- its life ---- */

static void free_batch(edge_batch *batch)
{
    leat_edge *edge = batch->edge;
    LEAT_ASSERT(batch->waiting == 0 && edge->batch_count > 0);
    LIST_REMOVE(batch, all);
    edge->batch_count--;
    leat_gauge_set(edge->metrics.batches_open, edge->batch_count);
    for (uint64_t item = batch->first; item < batch->next; item++)
        leat_buf_free(&batch->answers[item % ITEMS_MAX].text);
    leat_buf_free(&batch->in);
    leat_buf_free(&batch->text);
    free(batch);
}

static void finish(edge_batch *batch)
{
    leat_http_request *request = batch->request;
    begin_answer(batch);
    if (batch->split.is_array)
        leat_http_answer_piece(request, batch->next > 0 ? LEAT_SLICE("\n]\n") : LEAT_SLICE("[]\n"));
    edge_trace_answered(batch->edge, request, LEAT_HTTP_MULTI_STATUS);
    free_batch(batch);
    leat_http_answer_end(request);
}

/* Takes and answers what it can. The batch may be freed. */
static void go_on(edge_batch *batch)
{
    LEAT_ASSERT(!batch->is_busy);
    bool moved = true;
    batch->is_busy = true;
    while (moved && !batch->is_lost) {
        moved = take_items(batch);
        moved = write_answers(batch) || moved;
    }
    batch->is_busy = false;
    if (batch->is_lost && batch->waiting == 0) {
        leat_http_request *request = batch->request;
        edge_trace_answered(batch->edge, request, LEAT_HTTP_CODE_COUNT);
        free_batch(batch);
        leat_http_abandon(request);
    } else if (!batch->is_lost && batch->is_over && batch->first == batch->next) {
        finish(batch);
    }
}

/* NULL: it is no batch. */
static edge_batch *batch_of(const leat_http_request *request)
{
    edge_batch *batch = leat_http_request_kept(request, EDGE_SLOT_BATCH);
    LEAT_ASSERT(!batch || batch->request == request);
    return batch;
}

void edge_batch_bytes(void *context, leat_http_request *request, leat_slice piece, bool is_last)
{
    (void)context;
    edge_batch *batch = batch_of(request);
    LEAT_ASSERT(batch);
    if (batch->is_over) {
        leat_http_body_taken(request, piece.size);
        return;
    }
    if (batch->in_at > 0) {
        batch->in.size -= batch->in_at;
        memmove(batch->in.data, batch->in.data + batch->in_at, batch->in.size);
        batch->in_at = 0;
    }
    leat_buf_slice(&batch->in, piece);
    batch->is_whole = is_last;
    if (batch->in.failed) {
        break_off(batch, LEAT_HTTP_OVERLOADED, "out of memory");
        return;
    }
    go_on(batch);
}

void edge_batch_room(void *context, leat_http_request *request)
{
    (void)context;
    edge_batch *batch = batch_of(request);
    if (batch)
        go_on(batch);
}

void edge_batch_gone(void *context, leat_http_request *request)
{
    (void)context;
    edge_batch *batch = batch_of(request);
    if (!batch)
        return;
    batch->is_lost = batch->is_over = true;
    go_on(batch);
}

void edge_batches_drain(leat_edge *edge)
{
    edge_batch *next;
    for (edge_batch *batch = LIST_FIRST(&edge->batches); batch; batch = next) {
        next = LIST_NEXT(batch, all);
        if (batch->is_over)
            continue;
        break_off(batch, LEAT_HTTP_UNAVAILABLE, STOPPED);
    }
}

static size_t item_max(const leat_http_config *http)
{
    return http->body_max + ITEM_ENVELOPE_MAX;
}

size_t edge_batch_window(const leat_http_config *http)
{
    return 2 * item_max(http) + LEAT_HTTP_PIECE_MAX;
}

bool edge_batch_is_one(const leat_http_request *request)
{
    return leat_http_request_method(request) == LEAT_HTTP_POST &&
           leat_slice_is(leat_http_request_path(request), EDGE_BATCH_PATH);
}

/* One client must not take the places of all: a connection gets a quarter of them. */
static bool has_share(const leat_edge *edge, const leat_http_request *request)
{
    enum { SHARES = 4 };
    uint32_t share = edge->config.batches_max / SHARES;
    return leat_http_streamed_beside(request) < (share > 0 ? share : 1);
}

/* Why a batch cannot begin. */
typedef struct obstacle {
    leat_http_code code;
    const char *field, *message; /* `message` NULL: it can */
} obstacle;

static obstacle find_obstacle(const leat_edge *edge, const leat_http_request *request,
                              bool *ret_is_array)
{
    leat_slice type = edge_media_type(leat_http_request_header(request, "content-type"));
    const char *fault = edge_coding_fault(request);
    *ret_is_array = leat_slice_is_nocase(type, LEAT_HTTP_JSON);
    if (!fault && !*ret_is_array && !leat_slice_is_nocase(type, NDJSON))
        fault = "Content-Type must be " NDJSON " or " LEAT_HTTP_JSON;
    if (fault)
        return (obstacle){LEAT_HTTP_UNSUPPORTED_MEDIA_TYPE, NULL, fault};
    if (leat_http_request_header_line(request, "idempotency-key", 0).data)
        return (obstacle){LEAT_HTTP_BAD_REQUEST, "idempotency-key",
                          "in a batch each item has its own \"idempotency_key\""};
    if (!edge_takes_long_ones(edge))
        return (obstacle){LEAT_HTTP_UNAVAILABLE, NULL, STOPPED};
    if (!has_share(edge, request))
        return (obstacle){LEAT_HTTP_OVERLOADED, NULL,
                          "too many batches are being received on this connection at once"};
    if (edge->batch_count >= edge->config.batches_max)
        return (obstacle){LEAT_HTTP_OVERLOADED, NULL,
                          "too many batches are being received at once"};
    return (obstacle){.message = NULL};
}

leat_http_body_mode edge_batch_begin(leat_edge *edge, leat_http_request *request)
{
    bool is_array;
    edge_trace_begin(edge, request, leat_mono_us());
    obstacle found = find_obstacle(edge, request, &is_array);
    edge_batch *batch = found.message ? NULL : calloc(1, sizeof *batch);
    if (!batch && !found.message)
        found = (obstacle){LEAT_HTTP_OVERLOADED, NULL, "out of memory"};
    if (!batch) {
        edge_answer_error(edge, request, found.code, found.field, found.message);
        return LEAT_HTTP_BODY_ANSWERED;
    }
    batch->edge = edge;
    batch->request = request;
    leat_split_init(&batch->split, is_array, item_max(&edge->config.http));
    LIST_INSERT_HEAD(&edge->batches, batch, all);
    edge->batch_count++;
    leat_count(edge->metrics.batches, 1);
    leat_gauge_set(edge->metrics.batches_open, edge->batch_count);
    leat_http_request_keep(request, EDGE_SLOT_BATCH, batch);
    return LEAT_HTTP_BODY_STREAM;
}
