/* edge_thread.h - an edge on a thread and loop of its own. */
#ifndef LEAT_DAEMON_EDGE_THREAD_H
#define LEAT_DAEMON_EDGE_THREAD_H

#include "edge/edge.h"

typedef struct leat_edge_thread leat_edge_thread;

/* `config` without on_failed. Listens at once (so that an address in use is an error here), serves
 * from leat_edge_thread_start on. */
leat_edge_thread *leat_edge_thread_new(const leat_edge_config *config, leat_error *error);
int leat_edge_thread_port(const leat_edge_thread *thread);
/* `on_exit` is called on the thread as its last act. */
int leat_edge_thread_start(leat_edge_thread *thread, void (*on_exit)(void *context), void *context,
                           leat_error *error) LEAT_MUST_CHECK;
/* As leat_edge_leave. Any thread. */
void leat_edge_thread_leave(leat_edge_thread *thread);
/* Answer what has been accepted, then end. Any thread. */
void leat_edge_thread_drain(leat_edge_thread *thread);
/* As leat_edge_reload, soon. Any thread. */
void leat_edge_thread_reload(leat_edge_thread *thread);
/* True: it drained because the log could no longer be reached. Any thread. */
bool leat_edge_thread_failed(const leat_edge_thread *thread);
/* Waits for the thread and frees. */
void leat_edge_thread_free(leat_edge_thread *thread);

#endif
