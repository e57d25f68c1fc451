/*
 * trace.h - the trace of a request that writes: an accept span for the request, and a send span for
 * what it appends, whose context goes into the record. A request without a trace keeps nothing and
 * its record gets no header. A batch has one of each: its items share them, and the first 32 of its
 * records are sampled, so that one request causes a bounded number of spans.
 *
 * Nothing is done where the edge has no tracer.
 */
#ifndef LEAT_EDGE_TRACE_H
#define LEAT_EDGE_TRACE_H

#include "edge/internal.h"

/* The request may write; before anything is answered. */
void edge_trace_begin(leat_edge *edge, leat_http_request *request, int64_t since_us);
/* It is known which route the request is for. */
void edge_trace_route(leat_edge *edge, const edge_write *write);
/* Gives the record of the write its headers; valid until the request is answered. */
void edge_trace_append(leat_edge *edge, const edge_asker *asker, leat_record *record);
/* What became of the record; `offset` as in leat_appended_cb. Before the answer. `durable` gets its
 * trace, where that was observed. */
void edge_trace_appended(leat_edge *edge, const edge_asker *asker, leat_append_result result,
                         uint32_t partition, int64_t offset, leat_histogram *durable);
/* The request is answered, or given up (LEAT_HTTP_CODE_COUNT): before its memory goes. */
void edge_trace_answered(leat_edge *edge, leat_http_request *request, leat_http_code code);

#endif
