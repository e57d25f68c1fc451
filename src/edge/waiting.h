/*
 * waiting.h - requests that wait to hear what became of a write: those with `Prefer: wait`, and
 * `GET /writes/{token}`. They are bounded, hold no body, and are answered 202 (a question: as far
 * as is known) when their time is over, their client leaves or the edge drains. What happened comes
 * from record/write_waits.h.
 */
#ifndef LEAT_EDGE_WAITING_H
#define LEAT_EDGE_WAITING_H

#include <sys/queue.h>

#include "edge/internal.h"

void edge_waiting_init(leat_edge *edge, uv_loop_t *loop);
/* Seconds that the write of this request is to be waited for, at most as many as the configuration
 * allows; 0: it is answered as soon as the log has it, also where its client has left. */
uint32_t edge_waiting_wish(const leat_edge *edge, const leat_http_request *request);
/* Before the append and after its answer, where that is above 0. */
void edge_waiting_expect(leat_edge *edge, uint32_t partition);
void edge_waiting_expected(leat_edge *edge, uint32_t partition);
/* The log has the write: it is waited for, or answered 202 because too many wait or its client has
 * left, with what `left` says of limits. */
void edge_waiting_begin(leat_edge *edge, leat_http_request *request, const leat_write_place *place,
                        uint32_t wait_s, const edge_left *left);
/* True: it was a question about a write; it is answered, or waits. */
bool edge_waiting_ask(leat_edge *edge, leat_http_request *request);
/* The client of a request has gone or left: it keeps no place among those that wait. False: it did
 * not wait. */
bool edge_waiting_gone(leat_edge *edge, leat_http_request *request);
/* Answers those that would wait for long, as far as is known: the edge drains. */
void edge_waiting_hurry(leat_edge *edge);
/* The same for all. */
void edge_waiting_answer_all(leat_edge *edge);
/* Closes its handles; then `on_closed`. */
void edge_waiting_close(leat_edge *edge, void (*on_closed)(leat_edge *edge));

#endif
