/*
 * context.h - W3C Trace Context (level 2): which trace a request or a record belongs to, and which
 * span of it comes before. Read from `traceparent` and `tracestate` and written to them; the same
 * texts serve HTTP and Kafka. Pure.
 */
#ifndef LEAT_TRACE_CONTEXT_H
#define LEAT_TRACE_CONTEXT_H

#include "base/base.h"

enum {
    LEAT_TRACEPARENT_SIZE = 55,
    LEAT_TRACESTATE_MAX = 512, /* bytes that are carried on, and no fewer, as the standard asks */
    LEAT_TRACE_SAMPLED = 1,    /* flags */
    LEAT_TRACE_RANDOM = 2,     /* the last 7 bytes of the trace's id are random */
};

typedef struct leat_trace_context {
    uint8_t trace_id[16];
    uint8_t span_id[8];
    uint8_t flags; /* of the two above */
} leat_trace_context;

static inline bool leat_trace_is_sampled(const leat_trace_context *context)
{
    return context->flags & LEAT_TRACE_SAMPLED;
}

/* False: it is not valid, and neither is a tracestate beside it. A later version than 00 is read as
 * far as version 00 goes; flags that are not known are left out. Blanks around do not count. */
bool leat_traceparent_read(leat_slice text, leat_trace_context *ret) LEAT_MUST_CHECK;
/* Version 00, without a NUL. */
void leat_traceparent_write(const leat_trace_context *context, char ret[LEAT_TRACEPARENT_SIZE]);

/* The members of all `tracestate` lines of a request, in their order, as one line; returns its
 * size. 0 where one of them is wrong, there is one key twice, or there are more than 32: whoever
 * gets it can do without. What is more than LEAT_TRACESTATE_MAX goes by whole members: those of
 * more than 128 bytes, then the last ones. */
size_t leat_tracestate_join(const leat_slice *lines, size_t count, char ret[LEAT_TRACESTATE_MAX]);

#endif
