/*
 * send_line.c - a line is read in place, in a copy, so that the bytes of its members can be found
 * in the line itself: what is sent is what stood there.
 */
#include "cli/send_line.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

uint64_t leat_send_row_of(leat_slice path)
{
    const char *query = path.size > 0 ? memchr(path.data, '?', path.size) : NULL;
    return leat_hash((leat_slice){path.data, query ? (size_t)(query - path.data) : path.size});
}

void leat_send_item_key(leat_send_item *item, const char *prefix, size_t null_at)
{
    enum { NULL_SIZE = 4 };
    leat_buf text = {0};
    if (!prefix)
        return;
    LEAT_ASSERT(item->size > 2 && item->text[item->size - 1] == '}');
    leat_buf_append(&text, item->text, null_at > 0 ? null_at : item->size - 1);
    leat_buf_text(&text, null_at > 0 ? "" : ",\"idempotency_key\":");
    leat_buf_printf(&text, "\"%s-%llu\"", prefix, (unsigned long long)item->line);
    size_t rest = null_at > 0 ? null_at + NULL_SIZE : item->size - 1;
    leat_buf_append(&text, item->text + rest, item->size - rest);
    LEAT_ASSERT(!text.failed);
    free(item->text);
    item->text = text.data;
    item->size = text.size;
}

/* The bytes of a member's value as they stand in the line: written anew they would say the same,
 * but with other bytes, and so be another write to who compares these. `copy` was read in place, so
 * names lie there where they lie in the line. `object`: the bytes of the object that has it. Empty:
 * it is not there by that very name. */
static leat_slice member_bytes(leat_slice line, const char *copy, leat_slice object,
                               yyjson_val *value, const char *name)
{
    size_t index, count, begin = 0, end = (size_t)(object.data - line.data) + object.size - 1;
    yyjson_val *key, *member;
    yyjson_obj_foreach(value, index, count, key, member)
    {
        size_t at = (size_t)(yyjson_get_str(key) - copy);
        if (begin > 0) {
            end = at - 1;
            break;
        }
        if (yyjson_equals_str(key, name) && line.data[at + strlen(name)] == '"')
            begin = at + strlen(name) + 1;
    }
    if (begin == 0)
        return (leat_slice){"", 0};
    while (begin < end && strchr(" \t\r:", line.data[begin]))
        begin++;
    while (begin < end && strchr(" \t\r,", line.data[end - 1]))
        end--;
    return (leat_slice){line.data + begin, end - begin};
}

/* Where the item has a null for its key; 0: nowhere. */
static size_t find_null(leat_slice line, const char *copy, leat_slice text, yyjson_val *item)
{
    leat_slice null = member_bytes(line, copy, text, item, "idempotency_key");
    return leat_slice_is(null, "null") ? (size_t)(null.data - text.data) : 0;
}

static leat_slice raw_of(yyjson_val *number)
{
    const char *text = yyjson_get_raw(number);
    return leat_slice_of(text ? text : "");
}

void leat_send_line_item(leat_slice line, const char *prefix, leat_send_item *ret)
{
    char *copy = leat_must_calloc(1, line.size + YYJSON_PADDING_SIZE);
    memcpy(copy, line.data, line.size);
    yyjson_doc *doc = yyjson_read_opts(copy, line.size,
                                       YYJSON_READ_INSITU | YYJSON_READ_NUMBER_AS_RAW, NULL, NULL);
    yyjson_val *item = yyjson_doc_get_root(doc), *kept = yyjson_obj_get(item, "item");
    bool is_unknown = kept && leat_slice_is(raw_of(yyjson_obj_get(item, "status")), "504");
    leat_slice text = kept ? member_bytes(line, copy, line, item, "item") : line;
    if (kept && text.size > 0)
        item = kept;
    else
        text = line;
    yyjson_val *path = yyjson_obj_get(item, "path"), *key = yyjson_obj_get(item, "idempotency_key");
    ret->row = yyjson_is_str(path)
                   ? leat_send_row_of((leat_slice){yyjson_get_str(path), yyjson_get_len(path)})
                   : 0;
    ret->text = leat_must_calloc(1, text.size);
    memcpy(ret->text, text.data, text.size);
    ret->size = text.size;
    ret->may_be_applied = is_unknown && !yyjson_is_str(key);
    size_t null_at = yyjson_is_null(key) ? find_null(line, copy, text, item) : 0;
    /* a key of now would hide that it had none when it was sent first */
    if (yyjson_obj_size(item) > 0 && (!key || null_at > 0) && !ret->may_be_applied)
        leat_send_item_key(ret, prefix, null_at);
    yyjson_doc_free(doc);
    free(copy);
}
