/*
 * edge_thread.c - the edge on a thread of its own, so that slow clients or a burst of requests do
 * not take time from workers, nor workers from the edge. Another thread may only ask it to leave
 * and to drain: the wish arrives as an event of its loop, and the loop ends when everything
 * accepted has been answered. It listens before the thread runs, so that an address in use is an
 * error at start.
 */
#include "daemon/edge_thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/diag.h"

struct leat_edge_thread {
    uv_loop_t loop;
    leat_standstill standstill; /* for connections to databases; without a name: it has none */
    uv_async_t wish;
    _Atomic bool wants_drain; /* the wish; else it is to leave */
    uv_async_t reload_wish;
    leat_edge *edge;
    pthread_t thread;
    bool started;
    _Atomic bool failed;
    void (*on_exit)(void *context);
    void *on_exit_context;
};

static void on_drained(void *context)
{
    leat_edge_thread *thread = context;
    uv_stop(&thread->loop);
}

static void on_wish(uv_async_t *async)
{
    leat_edge_thread *thread = async->data;
    if (atomic_load(&thread->wants_drain))
        leat_edge_drain(thread->edge, on_drained, thread);
    else
        leat_edge_leave(thread->edge);
}

static void on_reload_wish(uv_async_t *async)
{
    leat_edge_thread *thread = async->data;
    leat_edge_reload(thread->edge);
}

static void on_failed(void *context, const char *why)
{
    leat_edge_thread *thread = context;
    leat_err(
        "edge can no longer reach the log: the process drains and ends with exit code 1 reason=\"%s\" "
        "advice=\"start it again\"",
        why);
    atomic_store(&thread->failed, true);
    leat_edge_drain(thread->edge, on_drained, thread);
}

static void take_down(leat_edge_thread *thread)
{
    if (thread->edge)
        leat_edge_free(thread->edge);
    if (thread->standstill.name)
        leat_standstill_close(&thread->standstill);
    uv_close((uv_handle_t *)&thread->wish, NULL);
    uv_close((uv_handle_t *)&thread->reload_wish, NULL);
    uv_run(&thread->loop, UV_RUN_DEFAULT);
}

static void *run_thread(void *argument)
{
    leat_edge_thread *thread = argument;
    uv_run(&thread->loop, UV_RUN_DEFAULT);
    take_down(thread);
    thread->on_exit(thread->on_exit_context);
    return NULL;
}

leat_edge_thread *leat_edge_thread_new(const leat_edge_config *config, leat_error *error)
{
    leat_edge_thread *thread = leat_must_calloc(1, sizeof *thread);
    uv_loop_init(&thread->loop);
    uv_async_init(&thread->loop, &thread->wish, on_wish);
    uv_async_init(&thread->loop, &thread->reload_wish, on_reload_wish);
    thread->wish.data = thread->reload_wish.data = thread;
    leat_edge_config own = *config;
    if (own.direct.open)
        leat_standstill_watch(&thread->standstill, &thread->loop, "edge");
    own.direct.standstill = &thread->standstill;
    own.on_failed = on_failed;
    own.failed_context = thread;
    thread->edge = leat_edge_new(&thread->loop, &own, error);
    if (thread->edge)
        return thread;
    leat_edge_thread_free(thread);
    return NULL;
}

int leat_edge_thread_port(const leat_edge_thread *thread)
{
    return leat_edge_port(thread->edge);
}

int leat_edge_thread_start(leat_edge_thread *thread, void (*on_exit)(void *context), void *context,
                           leat_error *error)
{
    LEAT_ASSERT(!thread->started && on_exit);
    thread->on_exit = on_exit;
    thread->on_exit_context = context;
    if (pthread_create(&thread->thread, NULL, run_thread, thread) != 0)
        return leat_fail(error, "cannot start the edge's thread");
    thread->started = true;
    return 0;
}

void leat_edge_thread_leave(leat_edge_thread *thread)
{
    uv_async_send(&thread->wish);
}

void leat_edge_thread_drain(leat_edge_thread *thread)
{
    atomic_store(&thread->wants_drain, true);
    uv_async_send(&thread->wish);
}

void leat_edge_thread_reload(leat_edge_thread *thread)
{
    uv_async_send(&thread->reload_wish);
}

bool leat_edge_thread_failed(const leat_edge_thread *thread)
{
    return atomic_load(&thread->failed);
}

void leat_edge_thread_free(leat_edge_thread *thread)
{
    if (thread->started)
        pthread_join(thread->thread, NULL);
    else
        take_down(thread);
    uv_loop_close(&thread->loop);
    free(thread);
}
