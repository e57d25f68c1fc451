/*
 * span.c - a span's texts are copied into it, because it outlives what it is about; keys are
 * literals. In JSON, receivers of OTLP want hexadecimal ids, numbers for enumerations and texts for
 * integers of 64 bits, and refuse all spans of a request for one `null`: what a span does not have
 * is left out.
 */
#include "trace/span.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "base/utf8.h"

/* The release of OpenTelemetry's conventions that the names of attributes are of. */
#define SCHEMA_URL "https://opentelemetry.io/schemas/1.30.0"

enum {
    FLAG_HAS_REMOTE = 0x100, /* of OTLP: it is known whether the parent is remote */
    FLAG_IS_REMOTE = 0x200,
    STATUS_ERROR = 2,
    FIRST_LINKS = 4,
};

/* ---- filling one ---- */

static leat_slice keep(leat_span *span, leat_slice text)
{
    size_t room = sizeof span->text - span->text_used;
    leat_slice ret = {span->text + span->text_used, text.size < room ? text.size : room};
    if (ret.size > 0)
        memcpy(span->text + span->text_used, text.data, ret.size);
    span->text_used += (uint32_t)ret.size;
    return ret;
}

leat_span *leat_span_new(leat_span_kind kind, const leat_trace_context *own, const char *operation,
                         leat_slice what)
{
    leat_span *span = calloc(1, sizeof *span);
    if (!span)
        return NULL;
    span->kind = kind;
    span->own = *own;
    span->name = keep(span, leat_slice_of(operation));
    if (what.size > 0) {
        span->name.size += keep(span, LEAT_SLICE(" ")).size;
        span->name.size += keep(span, what).size;
    }
    return span;
}

void leat_span_free(leat_span *span)
{
    if (!span)
        return;
    free(span->links);
    free(span);
}

void leat_span_parent(leat_span *span, const uint8_t id[8], bool is_remote)
{
    memcpy(span->parent, id, sizeof span->parent);
    span->has_parent = true;
    span->is_parent_remote = is_remote;
}

void leat_span_state(leat_span *span, leat_slice tracestate)
{
    if (tracestate.size <= sizeof span->text - span->text_used) /* one that is cut is wrong */
        span->state = keep(span, tracestate);
}

static leat_span_attribute *add_attribute(leat_span *span, const char *key, leat_span_value kind)
{
    LEAT_ASSERT(span->attribute_count < LEAT_SPAN_ATTRIBUTES_MAX);
    leat_span_attribute *ret = &span->attributes[span->attribute_count++];
    *ret = (leat_span_attribute){.key = key, .kind = kind};
    return ret;
}

void leat_span_text(leat_span *span, const char *key, leat_slice value)
{
    leat_slice kept = keep(span, value);
    leat_span_attribute *attribute = add_attribute(span, key, LEAT_SPAN_TEXT);
    attribute->at = (uint16_t)(kept.data - span->text);
    attribute->size = (uint16_t)kept.size;
}

void leat_span_integer(leat_span *span, const char *key, int64_t value)
{
    add_attribute(span, key, LEAT_SPAN_INTEGER)->integer = value;
}

void leat_span_number(leat_span *span, const char *key, double value)
{
    LEAT_ASSERT(isfinite(value));
    add_attribute(span, key, LEAT_SPAN_NUMBER)->number = value;
}

void leat_span_true(leat_span *span, const char *key)
{
    add_attribute(span, key, LEAT_SPAN_TRUE);
}

void leat_span_fail(leat_span *span, const char *error_type)
{
    span->failed = true;
    leat_span_text(span, "error.type", leat_slice_of(error_type));
}

/* Most spans have one link or none, so they begin with room for few. */
static bool make_room_for_link(leat_span *span)
{
    if (span->link_count < span->link_room)
        return true;
    if (span->link_room == LEAT_SPAN_LINKS_MAX)
        return false;
    uint32_t room = span->link_room > 0 ? 2 * span->link_room : FIRST_LINKS;
    room = room < LEAT_SPAN_LINKS_MAX ? room : LEAT_SPAN_LINKS_MAX;
    leat_span_link *links = realloc(span->links, room * sizeof *links);
    if (!links)
        return false;
    span->links = links;
    span->link_room = room;
    return true;
}

void leat_span_link_to(leat_span *span, const leat_span_link *link)
{
    if (make_room_for_link(span))
        span->links[span->link_count++] = *link;
    else
        span->links_left_out++;
}

/* ---- as JSON ---- */

static void put_text(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key, leat_slice text)
{
    leat_buf valid = {0};
    leat_utf8_append(&valid, text);
    if (!valid.failed)
        yyjson_mut_obj_add_strncpy(doc, to, key, valid.data ? valid.data : "", valid.size);
    leat_buf_free(&valid);
}

static void put_id(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key, const uint8_t *id,
                   size_t size)
{
    char text[33];
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", id[i]);
    yyjson_mut_obj_add_strncpy(doc, to, key, text, 2 * size);
}

static void put_big(yyjson_mut_doc *doc, yyjson_mut_val *to, const char *key, int64_t number)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, number);
    yyjson_mut_obj_add_strcpy(doc, to, key, text);
}

/* {"key": ..., "value": {}}, of which the value is filled in next. */
static yyjson_mut_val *begin_attribute(yyjson_mut_doc *doc, yyjson_mut_val *list, const char *key)
{
    yyjson_mut_val *attribute = yyjson_mut_arr_add_obj(doc, list);
    yyjson_mut_obj_add_str(doc, attribute, "key", key);
    return yyjson_mut_obj_add_obj(doc, attribute, "value");
}

static void put_attributes(yyjson_mut_doc *doc, yyjson_mut_val *to, const leat_span *span)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, to, "attributes");
    for (uint32_t i = 0; i < span->attribute_count; i++) {
        const leat_span_attribute *from = &span->attributes[i];
        yyjson_mut_val *value = begin_attribute(doc, list, from->key);
        if (from->kind == LEAT_SPAN_TEXT)
            put_text(doc, value, "stringValue", (leat_slice){span->text + from->at, from->size});
        else if (from->kind == LEAT_SPAN_INTEGER)
            put_big(doc, value, "intValue", from->integer);
        else if (from->kind == LEAT_SPAN_TRUE)
            yyjson_mut_obj_add_true(doc, value, "boolValue");
        else
            yyjson_mut_obj_add_real(doc, value, "doubleValue", from->number);
    }
}

static uint32_t flags_of(const leat_trace_context *context, bool is_remote)
{
    return context->flags | FLAG_HAS_REMOTE | (is_remote ? FLAG_IS_REMOTE : 0u);
}

static void put_links(yyjson_mut_doc *doc, yyjson_mut_val *to, const leat_span *span)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, to, "links");
    for (uint32_t i = 0; i < span->link_count; i++) {
        const leat_span_link *from = &span->links[i];
        yyjson_mut_val *link = yyjson_mut_arr_add_obj(doc, list);
        put_id(doc, link, "traceId", from->to.trace_id, sizeof from->to.trace_id);
        put_id(doc, link, "spanId", from->to.span_id, sizeof from->to.span_id);
        yyjson_mut_obj_add_uint(doc, link, "flags", flags_of(&from->to, from->is_remote));
        if (from->partition < 0)
            continue;
        char partition[16];
        int size = snprintf(partition, sizeof partition, "%" PRId32, from->partition);
        yyjson_mut_val *attributes = yyjson_mut_obj_add_arr(doc, link, "attributes");
        put_text(doc, begin_attribute(doc, attributes, "messaging.destination.partition.id"),
                 "stringValue", (leat_slice){partition, (size_t)size});
        put_big(doc, begin_attribute(doc, attributes, "messaging.kafka.offset"), "intValue",
                from->offset);
    }
}

static void put_span(yyjson_mut_doc *doc, yyjson_mut_val *list, const leat_span *span)
{
    yyjson_mut_val *to = yyjson_mut_arr_add_obj(doc, list);
    put_id(doc, to, "traceId", span->own.trace_id, sizeof span->own.trace_id);
    put_id(doc, to, "spanId", span->own.span_id, sizeof span->own.span_id);
    if (span->state.size > 0)
        put_text(doc, to, "traceState", span->state);
    if (span->has_parent)
        put_id(doc, to, "parentSpanId", span->parent, sizeof span->parent);
    yyjson_mut_obj_add_uint(doc, to, "flags", flags_of(&span->own, span->is_parent_remote));
    put_text(doc, to, "name", span->name);
    yyjson_mut_obj_add_uint(doc, to, "kind", (uint64_t)span->kind);
    put_big(doc, to, "startTimeUnixNano", span->start_ns);
    put_big(doc, to, "endTimeUnixNano",
            span->end_ns > span->start_ns ? span->end_ns : span->start_ns);
    if (span->attribute_count > 0)
        put_attributes(doc, to, span);
    if (span->link_count > 0)
        put_links(doc, to, span);
    if (span->links_left_out > 0)
        yyjson_mut_obj_add_uint(doc, to, "droppedLinksCount", span->links_left_out);
    if (span->failed)
        yyjson_mut_obj_add_uint(doc, yyjson_mut_obj_add_obj(doc, to, "status"), "code",
                                STATUS_ERROR);
}

static void put_source(yyjson_mut_doc *doc, yyjson_mut_val *to, const leat_span_source *source)
{
    const char *const pairs[][2] = {{"service.name", source->service},
                                    {"service.version", source->version},
                                    {"service.instance.id", source->instance},
                                    {"host.name", source->host}};
    yyjson_mut_val *resource = yyjson_mut_obj_add_obj(doc, to, "resource");
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, resource, "attributes");
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        put_text(doc, begin_attribute(doc, list, pairs[i][0]), "stringValue",
                 leat_slice_of(pairs[i][1]));
}

/* A document that has no memory for a part of it lacks that part, and is not sent. */
void leat_spans_write(const leat_span *const *spans, size_t count, const leat_span_source *source,
                      leat_buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_val *resources = yyjson_mut_obj_add_arr(doc, root, "resourceSpans");
    yyjson_mut_val *one = yyjson_mut_arr_add_obj(doc, resources);
    put_source(doc, one, source);
    yyjson_mut_val *scopes = yyjson_mut_obj_add_arr(doc, one, "scopeSpans");
    yyjson_mut_val *scope = yyjson_mut_arr_add_obj(doc, scopes);
    yyjson_mut_val *name = yyjson_mut_obj_add_obj(doc, scope, "scope");
    yyjson_mut_obj_add_str(doc, name, "name", "leat");
    yyjson_mut_obj_add_str(doc, name, "version", LEAT_VERSION);
    yyjson_mut_obj_add_str(doc, scope, "schemaUrl", SCHEMA_URL);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, scope, "spans");
    for (size_t i = 0; i < count; i++)
        put_span(doc, list, spans[i]);
    size_t size = 0;
    char *text = list ? yyjson_mut_write(doc, 0, &size) : NULL;
    if (text)
        leat_buf_append(out, text, size);
    out->failed = out->failed || !text;
    free(text);
    yyjson_mut_doc_free(doc);
}
