/*
 * batch_item.c - yyjson reads the item. It reads a copy in place, so its member names lie there
 * where they lie in the item, and the body's bytes are what is between its own name and the next
 * one. A member that is not known is refused: it is most likely a misspelled "body", and a write
 * without its body could reset a row.
 */
#include "edge/batch_item.h"

#include <stdio.h>
#include <string.h>

enum { TARGET_MAX = 8192 }; /* as for a request */

void edge_item_reader_fini(edge_item_reader *reader)
{
    leat_block_fini(&reader->block);
    leat_buf_free(&reader->copy);
}

static int fail(edge_item_error *error, leat_http_code code, const char *field, const char *message)
{
    error->code = code;
    error->field = field;
    snprintf(error->message, sizeof error->message, "%s", message);
    return -1;
}

/* ---- where the body is ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t skip_space(leat_slice json, size_t at)
{
    while (at < json.size && is_space(json.data[at]))
        at++;
    return at;
}

/* Where the spaces before `end` begin. */
static size_t end_before_space(leat_slice json, size_t end)
{
    while (end > 0 && is_space(json.data[end - 1]))
        end--;
    return end;
}

static size_t skip_string(leat_slice json, size_t at)
{
    LEAT_ASSERT(at < json.size && json.data[at] == '"');
    for (at++; at < json.size && json.data[at] != '"'; at++)
        if (json.data[at] == '\\')
            at++;
    return at + 1;
}

/* Of its opening quote. */
static size_t place_of(const edge_item_reader *reader, yyjson_val *name)
{
    const char *text = unsafe_yyjson_get_str(name);
    LEAT_ASSERT(text > reader->copy.data && text < reader->copy.data + reader->copy.size);
    return (size_t)(text - reader->copy.data) - 1;
}

/* The bytes of the value of that member. `next`: the name of the one after it; NULL: it is the
 * last. */
static leat_slice member_bytes(const edge_item_reader *reader, leat_slice json, yyjson_val *name,
                               yyjson_val *next)
{
    size_t at = skip_space(json, skip_string(json, place_of(reader, name)));
    at = skip_space(json, at + 1); /* ':' */
    size_t end = end_before_space(json, next ? place_of(reader, next) : json.size);
    end = end_before_space(json, end - 1); /* ',' or '}' */
    LEAT_ASSERT(at < end);
    return (leat_slice){json.data + at, end - at};
}

/* ---- the members ---- */

static int take_method(yyjson_val *value, edge_item *ret, edge_item_error *error)
{
    static const struct {
        const char *name;
        leat_http_method method;
    } methods[] = {
        {"PUT", LEAT_HTTP_PUT}, {"PATCH", LEAT_HTTP_PATCH}, {"DELETE", LEAT_HTTP_DELETE}};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (yyjson_equals_str(value, methods[i].name)) {
            ret->method = methods[i].method;
            return 0;
        }
    return fail(error, LEAT_HTTP_METHOD_NOT_ALLOWED, "method",
                "\"method\" must be \"PUT\", \"PATCH\" or \"DELETE\"");
}

static int take_path(yyjson_val *value, edge_item *ret, edge_item_error *error)
{
    if (!yyjson_is_str(value))
        return fail(error, LEAT_HTTP_BAD_REQUEST, "path", "\"path\" must be a string");
    leat_slice path = {yyjson_get_str(value), yyjson_get_len(value)};
    if (path.size == 0 || path.data[0] != '/')
        return fail(error, LEAT_HTTP_BAD_REQUEST, "path", "\"path\" must begin with '/'");
    if (path.size > TARGET_MAX)
        return fail(error, LEAT_HTTP_TOO_LARGE, "path", "\"path\" is too long");
    bool is_plain = true; /* without a branch, which the compiler turns into steps of many bytes */
    for (size_t i = 0; i < path.size; i++)
        is_plain &= (path.data[i] > ' ') & (path.data[i] < 0x7f) & (path.data[i] != '#');
    if (!is_plain)
        return fail(error, LEAT_HTTP_BAD_REQUEST, "path",
                    "\"path\" has a byte that must be percent-encoded");
    const char *mark = memchr(path.data, '?', path.size);
    ret->path = path;
    ret->query = (leat_slice){"", 0};
    if (mark) {
        ret->path.size = (size_t)(mark - path.data);
        ret->query = (leat_slice){mark + 1, path.size - ret->path.size - 1};
    }
    return 0;
}

/* What it may be is decided where the header's is. */
static int take_key(yyjson_val *value, edge_item *ret, edge_item_error *error)
{
    if (!yyjson_is_str(value))
        return fail(error, LEAT_HTTP_BAD_REQUEST, "idempotency_key",
                    "\"idempotency_key\" must be a string");
    ret->idempotency_key = (leat_slice){yyjson_get_str(value), yyjson_get_len(value)};
    return 0;
}

enum { HAS_METHOD = 1, HAS_PATH = 2, HAS_BODY = 4, HAS_KEY = 8 };

static unsigned member_of(yyjson_val *name)
{
    return yyjson_equals_str(name, "method")            ? HAS_METHOD
           : yyjson_equals_str(name, "path")            ? HAS_PATH
           : yyjson_equals_str(name, "body")            ? HAS_BODY
           : yyjson_equals_str(name, "idempotency_key") ? HAS_KEY
                                                        : 0;
}

static int take_members(const edge_item_reader *reader, yyjson_val *object, leat_slice json,
                        edge_item *ret, edge_item_error *error)
{
    unsigned seen = 0;
    size_t index, count;
    yyjson_val *name, *value;
    yyjson_obj_foreach(object, index, count, name, value)
    {
        unsigned member = member_of(name);
        if (!member)
            return fail(
                error, LEAT_HTTP_BAD_REQUEST, NULL,
                "an item has \"method\", \"path\", \"body\" and \"idempotency_key\", and no "
                "other member");
        if (seen & member)
            return fail(error, LEAT_HTTP_BAD_REQUEST, NULL, "a member is there twice");
        seen |= member;
        if (member == HAS_METHOD && take_method(value, ret, error) != 0)
            return -1;
        if (member == HAS_PATH && take_path(value, ret, error) != 0)
            return -1;
        if (member == HAS_BODY && !yyjson_is_null(value)) {
            yyjson_val *next = index + 1 < count ? unsafe_yyjson_get_next(value) : NULL;
            ret->body = member_bytes(reader, json, name, next);
            ret->read_body = value;
        }
        if (member == HAS_KEY && !yyjson_is_null(value) && take_key(value, ret, error) != 0)
            return -1;
    }
    if (!(seen & HAS_METHOD))
        return fail(error, LEAT_HTTP_BAD_REQUEST, "method", "\"method\" is missing");
    if (!(seen & HAS_PATH))
        return fail(error, LEAT_HTTP_BAD_REQUEST, "path", "\"path\" is missing");
    return 0;
}

int edge_item_read(edge_item_reader *reader, leat_slice json, edge_item *ret,
                   edge_item_error *error)
{
    static const char padding[YYJSON_PADDING_SIZE];
    leat_buf *copy = &reader->copy;
    leat_buf_clear(copy);
    leat_buf_slice(copy, json);
    leat_buf_append(copy, padding, sizeof padding);
    if (copy->failed) {
        leat_buf_free(copy);
        return fail(error, LEAT_HTTP_OVERLOADED, NULL, "out of memory");
    }
    yyjson_alc allocator = leat_block_allocator(&reader->block);
    yyjson_read_err from;
    yyjson_doc *doc = yyjson_read_opts(
        copy->data, json.size, YYJSON_READ_INSITU | YYJSON_READ_NUMBER_AS_RAW, &allocator, &from);
    if (!doc && from.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return fail(error, LEAT_HTTP_OVERLOADED, NULL, "out of memory");
    if (!doc) {
        fail(error, LEAT_HTTP_BAD_JSON, NULL, "");
        snprintf(error->message, sizeof error->message, "not JSON: %s at byte %zu of the item",
                 from.msg, from.pos);
        return -1;
    }
    if (!yyjson_is_obj(yyjson_doc_get_root(doc)))
        return fail(error, LEAT_HTTP_BAD_JSON, NULL, "an item must be a JSON object");
    *ret = (edge_item){.body = {"", 0}};
    return take_members(reader, yyjson_doc_get_root(doc), json, ret, error);
}
