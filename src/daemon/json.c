/*
 * json.c - the JSON that several commands, or a command and the admin listener, give. Texts come
 * from servers, files and people: one byte that is not UTF-8 would make the whole line unreadable
 * for a program, so such bytes become U+FFFD. Out of memory ends the command: half a document is
 * worse than none.
 */
#include "daemon/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "record/base64.h"

yyjson_mut_doc *leat_json_new(yyjson_mut_val **ret_root)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    LEAT_ASSERT(doc);
    *ret_root = yyjson_mut_obj(doc);
    LEAT_ASSERT(*ret_root);
    yyjson_mut_doc_set_root(doc, *ret_root);
    return doc;
}

void leat_json_add_text(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                        const char *text)
{
    if (!text) {
        yyjson_mut_obj_add_null(doc, object, name);
        return;
    }
    leat_buf clean = {0};
    leat_utf8_append(&clean, leat_slice_of(text));
    yyjson_mut_obj_add_strncpy(doc, object, name, clean.data ? clean.data : "", clean.size);
    leat_buf_free(&clean);
}

void leat_json_add_reason(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                          const char *text)
{
    leat_json_add_text(doc, object, name, text && *text ? text : NULL);
}

void leat_json_add_seconds(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                           int64_t ms)
{
    if (ms >= 0)
        yyjson_mut_obj_add_real(doc, object, name, (double)ms / 1000);
    else
        yyjson_mut_obj_add_null(doc, object, name);
}

void leat_json_add_bytes(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                         const char *name_64, leat_slice bytes)
{
    if (leat_utf8_is_text(bytes)) {
        yyjson_mut_obj_add_strncpy(doc, object, name, bytes.data, bytes.size);
        return;
    }
    leat_buf text = {0};
    leat_base64_encode(bytes, &text);
    yyjson_mut_obj_add_strncpy(doc, object, name_64, text.data ? text.data : "", text.size);
    leat_buf_free(&text);
}

/* ---- held rows, dead letters, controls ---- */

void leat_json_add_held(yyjson_mut_doc *doc, yyjson_mut_val *object, const leat_shard_held_key *key)
{
    yyjson_mut_obj_add_int(doc, object, "source", key->source);
    yyjson_mut_obj_add_uint(doc, object, "partition", key->partition);
    leat_json_add_text(doc, object, "table", key->table);
    leat_json_add_bytes(doc, object, "key", "key_base64", (leat_slice){key->key, key->key_size});
    leat_json_add_text(doc, object, "since", key->since);
    yyjson_mut_obj_add_int(doc, object, "records", key->records);
    if (key->records > 0)
        yyjson_mut_obj_add_int(doc, object, "first_offset", key->first_offset);
    else
        yyjson_mut_obj_add_null(doc, object, "first_offset");
    yyjson_mut_obj_add_int(doc, object, "bytes", key->bytes);
    yyjson_mut_obj_add_uint(doc, object, "tries", key->tries);
    leat_json_add_text(doc, object, "at", key->at);
    leat_json_add_text(doc, object, "sqlstate", *key->message ? key->sqlstate : NULL);
    leat_json_add_reason(doc, object, "message", key->message);
}

yyjson_doc *leat_json_read(leat_slice text)
{
    char *copy = leat_must_calloc(text.size + YYJSON_PADDING_SIZE, 1);
    memcpy(copy, text.data, text.size);
    yyjson_doc *doc = yyjson_read_opts(copy, text.size, YYJSON_READ_NUMBER_AS_RAW, NULL, NULL);
    free(copy);
    return doc;
}

/* Returns false if it is not JSON. */
static bool add_json(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                     const char *data, size_t size)
{
    yyjson_doc *read = leat_json_read((leat_slice){data, size});
    if (!read)
        return false;
    yyjson_mut_obj_add_val(doc, object, name, yyjson_val_mut_copy(doc, yyjson_doc_get_root(read)));
    yyjson_doc_free(read);
    return true;
}

static void add_body(yyjson_mut_doc *doc, yyjson_mut_val *object, const leat_dead_letter *letter)
{
    if (!letter->body) {
        yyjson_mut_obj_add_null(doc, object, "body");
        return;
    }
    if (add_json(doc, object, "body", letter->body, letter->body_size))
        return;
    leat_buf text = {0};
    leat_base64_encode((leat_slice){letter->body, letter->body_size}, &text);
    yyjson_mut_obj_add_strncpy(doc, object, "body_base64", text.data ? text.data : "", text.size);
    leat_buf_free(&text);
}

void leat_json_add_dead(yyjson_mut_doc *doc, yyjson_mut_val *object, const leat_dead_letter *letter)
{
    yyjson_mut_obj_add_int(doc, object, "source", letter->source);
    yyjson_mut_obj_add_uint(doc, object, "partition", letter->partition);
    yyjson_mut_obj_add_int(doc, object, "offset", letter->offset);
    leat_json_add_text(doc, object, "route", letter->route);
    if (letter->key)
        leat_json_add_bytes(doc, object, "key", "key_base64",
                            (leat_slice){letter->key, letter->key_size});
    else
        yyjson_mut_obj_add_null(doc, object, "key");
    leat_json_add_text(doc, object, "op", letter->op);
    if (!letter->headers ||
        !add_json(doc, object, "headers", letter->headers, strlen(letter->headers)))
        yyjson_mut_obj_add_null(doc, object, "headers");
    add_body(doc, object, letter);
    leat_json_add_text(doc, object, "sqlstate", letter->sqlstate);
    leat_json_add_text(doc, object, "message", letter->message);
    leat_json_add_text(doc, object, "accepted_at", letter->accepted_at);
}

void leat_json_add_control(yyjson_mut_doc *doc, yyjson_mut_val *object, const leat_control *control)
{
    int64_t left_ms = (control->until_us - leat_mono_us()) / 1000;
    yyjson_mut_obj_add_int(doc, object, "control", control->id);
    leat_json_add_text(doc, object, "action", control->holds ? "hold" : "skip");
    leat_json_add_text(doc, object, "table", control->table);
    leat_json_add_text(doc, object, control->table ? "key" : "tenant", control->what);
    leat_json_add_text(doc, object, "since", control->since);
    leat_json_add_text(doc, object, "until", control->until);
    leat_json_add_seconds(doc, object, "left", left_ms > 0 ? left_ms : 0);
    yyjson_mut_obj_add_uint(doc, object, "keep", control->keep);
    leat_json_add_reason(doc, object, "reason", control->reason);
}

/* ---- the line ---- */

/* A report that another process wrote may contain any bytes. */
char *leat_json_line(yyjson_mut_doc *doc)
{
    char *line = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    LEAT_ASSERT(line);
    yyjson_mut_doc_free(doc);
    return line;
}

void leat_json_print(FILE *out, yyjson_mut_doc *doc)
{
    char *line = leat_json_line(doc);
    fprintf(out, "%s\n", line);
    free(line);
}
