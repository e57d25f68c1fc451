#include "stream_owner.h"

#include <string.h>

stream_owner owner;

void owner_reset(void)
{
    leat_buf_free(&owner.body);
    owner = (stream_owner){0};
}

void owner_answer(const char *text)
{
    leat_http_answer(owner.request, LEAT_HTTP_ACCEPTED, "text/plain", leat_slice_of(text), NULL);
    owner.request = NULL;
}

void owner_end(void)
{
    leat_http_answer_end(owner.request);
    owner.request = NULL;
}

void owner_write_more(void)
{
    char bytes[OWNER_WRITE_SIZE];
    memset(bytes, 'z', sizeof bytes);
    while (owner.to_write > 0 && leat_http_answer_waiting(owner.request) < OWNER_WRITES_UP_TO) {
        size_t size = owner.to_write < sizeof bytes ? owner.to_write : sizeof bytes;
        leat_http_answer_piece(owner.request, (leat_slice){bytes, size});
        owner.to_write -= size;
        size_t waiting = leat_http_answer_waiting(owner.request);
        owner.waiting_most = waiting > owner.waiting_most ? waiting : owner.waiting_most;
    }
    if (owner.to_write == 0)
        owner_end();
}

static leat_http_body_mode on_headers(void *context, leat_http_request *request)
{
    (void)context;
    if (leat_slice_is(leat_http_request_path(request), "/whole"))
        return LEAT_HTTP_BODY_WHOLE;
    if (leat_slice_is(leat_http_request_path(request), "/early")) {
        leat_http_answer(request, LEAT_HTTP_NO_ROUTE, "text/plain", LEAT_SLICE("early"), NULL);
        return LEAT_HTTP_BODY_ANSWERED;
    }
    ck_assert_ptr_null(owner.request);
    ck_assert_ptr_null(leat_http_request_kept(request, 1));
    leat_http_request_keep(request, 1, &owner);
    owner.request = request;
    return LEAT_HTTP_BODY_STREAM;
}

static void on_body(void *context, leat_http_request *request, leat_slice piece, bool is_last)
{
    (void)context;
    ck_assert_ptr_eq(request, owner.request);
    ck_assert_ptr_eq(leat_http_request_kept(request, 1), &owner);
    ck_assert(!owner.is_whole && owner.gone == 0);
    ck_assert_uint_le(piece.size, LEAT_HTTP_PIECE_MAX);
    leat_buf_slice(&owner.body, piece);
    owner.held += piece.size;
    owner.held_most = owner.held > owner.held_most ? owner.held : owner.held_most;
    owner.is_whole = is_last;
    if (owner.echoes && piece.size > 0)
        leat_http_answer_piece(request, piece);
    if (owner.keeps)
        return;
    leat_http_body_taken(request, piece.size);
    owner.held -= piece.size;
}

static void on_room(void *context, leat_http_request *request)
{
    (void)context;
    if (owner.request == request && owner.to_write > 0)
        owner_write_more();
}

static void on_gone(void *context, leat_http_request *request)
{
    (void)context;
    ck_assert_ptr_eq(request, owner.request);
    owner.gone++;
    owner.is_gone = true;
    if (owner.ends_in_gone) {
        owner_answer("nobody gets it");
    } else if (owner.abandons) {
        leat_http_abandon(request);
        owner.request = NULL;
    }
}

http_world *owner_world(void)
{
    http_world *world = world_new();
    world->config.hooks = (leat_http_hooks){on_headers, on_body, on_room, on_gone};
    world->config.body_max = 100;
    world->config.stream_window = OWNER_WINDOW;
    return world;
}
