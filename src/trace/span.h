/*
 * span.h - one finished span, and many of them as a request of OTLP/HTTP in JSON. Pure; a span is
 * filled by one thread and then given away.
 *
 * What is in a span leaves the installation: it has ids, names of the configuration, numbers and
 * error codes, and never a key, a value or a database's message.
 */
#ifndef LEAT_TRACE_SPAN_H
#define LEAT_TRACE_SPAN_H

#include "base/buf.h"
#include "trace/context.h"

enum {
    LEAT_SPAN_LINKS_MAX = 128,
    LEAT_SPAN_ATTRIBUTES_MAX = 20,
    LEAT_SPAN_TEXT_SIZE = 1536, /* of all its texts; what does not fit is cut or left out */
};

/* As OTLP numbers them. */
typedef enum leat_span_kind {
    LEAT_SPAN_SERVER = 2,
    LEAT_SPAN_CLIENT = 3,
    LEAT_SPAN_PRODUCER = 4,
    LEAT_SPAN_CONSUMER = 5,
} leat_span_kind;

typedef enum leat_span_value {
    LEAT_SPAN_TEXT,
    LEAT_SPAN_INTEGER,
    LEAT_SPAN_NUMBER,
    LEAT_SPAN_TRUE,
} leat_span_value;

typedef struct leat_span_attribute {
    const char *key; /* a literal */
    leat_span_value kind;
    uint16_t at, size; /* of a text */
    int64_t integer;
    double number;
} leat_span_attribute;

typedef struct leat_span_link {
    leat_trace_context to;
    bool is_remote;
    int32_t partition; /* of the record that it is about; -1: of none */
    int64_t offset;
} leat_span_link;

typedef struct leat_span {
    struct leat_span *next; /* its queue's */
    leat_span_kind kind;
    leat_trace_context own;
    uint8_t parent[8];
    bool has_parent;
    bool is_parent_remote;
    bool failed;
    int64_t start_ns, end_ns; /* since 1970 */
    leat_slice state;         /* tracestate, in `text`, as is the name */
    leat_slice name;
    leat_span_attribute attributes[LEAT_SPAN_ATTRIBUTES_MAX];
    uint32_t attribute_count;
    leat_span_link *links; /* [link_room], owned */
    uint32_t link_count;
    uint32_t link_room;
    uint32_t links_left_out;
    uint32_t text_used;
    char text[LEAT_SPAN_TEXT_SIZE];
} leat_span;

/* NULL: out of memory. The name is "operation what", or the operation alone where `what` is
 * empty. */
leat_span *leat_span_new(leat_span_kind kind, const leat_trace_context *own, const char *operation,
                         leat_slice what);
void leat_span_free(leat_span *span);
void leat_span_parent(leat_span *span, const uint8_t id[8], bool is_remote);
void leat_span_state(leat_span *span, leat_slice tracestate);
void leat_span_text(leat_span *span, const char *key, leat_slice value);
void leat_span_integer(leat_span *span, const char *key, int64_t value);
void leat_span_number(leat_span *span, const char *key, double value);
/* The attribute is true; one that is false is left out. */
void leat_span_true(leat_span *span, const char *key);
/* It failed, for that reason: a name or code of a small set. */
void leat_span_fail(leat_span *span, const char *error_type);
/* Beyond LEAT_SPAN_LINKS_MAX, and out of memory, it is only counted. */
void leat_span_link_to(leat_span *span, const leat_span_link *link);

/* Who sends them. */
typedef struct leat_span_source {
    const char *service;
    const char *version;
    const char *instance;
    const char *host;
} leat_span_source;

/* Appends the body of a request to /v1/traces. */
void leat_spans_write(const leat_span *const *spans, size_t count, const leat_span_source *source,
                      leat_buf *out);

#endif
