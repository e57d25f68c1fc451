/*
 * json.c - the JSON members that several commands print. Texts come from servers, files and people:
 * one byte that is not UTF-8 would make the whole line unreadable for a program, so such bytes
 * become U+FFFD. Out of memory ends the command: half a document is worse than none.
 */
#include "cli/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

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

void leat_json_print(FILE *out, yyjson_mut_doc *doc)
{
    /* A report that another process wrote may contain any bytes. */
    char *line = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL);
    LEAT_ASSERT(line);
    fprintf(out, "%s\n", line);
    free(line);
    yyjson_mut_doc_free(doc);
}
