/*
 * told.c - neither is a trouble: who takes most of a shard, and for how long it is behind, matters
 * only to somebody who asks because there is one.
 */
#include "cli/told.h"

#include <stdio.h>
#include <string.h>

#include "base/printable.h"

void leat_told_read(const leat_shard_work *work, leat_told *ret)
{
    ret->catch_up = leat_catch_up_of(work);
    leat_culprit_lines(work, &ret->culprits, &ret->culprits_json);
}

void leat_told_fini(leat_told *told)
{
    leat_buf_free(&told->culprits);
    leat_buf_free(&told->culprits_json);
}

void leat_told_print_line(const char *before, const char *text)
{
    leat_buf clean = {0};
    leat_buf_printable(&clean, leat_slice_of(text), SIZE_MAX, false);
    const char *line = leat_buf_cstr(&clean);
    printf("%s%s\n", before, line ? line : "");
    leat_buf_free(&clean);
}

static void print_culprits(const leat_buf *lines)
{
    const char *at = lines->data, *end;
    size_t left = lines->size;
    for (; left > 0 && (end = memchr(at, '\n', left)); at = end + 1) {
        char line[1024];
        snprintf(line, sizeof line, "%.*s", (int)(end - at), at);
        leat_told_print_line("    ", line);
        left -= (size_t)(end - at) + 1;
    }
}

void leat_told_print(const leat_told *told)
{
    char words[LEAT_CATCH_UP_SIZE];
    if (*leat_catch_up_words(&told->catch_up, words))
        printf("    %s\n", words);
    print_culprits(&told->culprits);
}

/* {"seconds": 12.5, "never": false, "drained_s": 812.0, "arriving_s": 100.0} */
static void add_catch_up(yyjson_mut_doc *doc, yyjson_mut_val *object, const leat_catch_up *of)
{
    yyjson_mut_val *own = yyjson_mut_obj_add_obj(doc, object, "catch_up");
    if (of->is_known && !of->is_never)
        yyjson_mut_obj_add_real(doc, own, "seconds", of->seconds);
    else
        yyjson_mut_obj_add_null(doc, own, "seconds");
    yyjson_mut_obj_add_bool(doc, own, "never", of->is_known && of->is_never);
    yyjson_mut_obj_add_real(doc, own, "drained_s", of->drained_s);
    yyjson_mut_obj_add_real(doc, own, "arriving_s", of->arriving_s);
}

void leat_told_add(yyjson_mut_doc *doc, yyjson_mut_val *object, const leat_told *told)
{
    leat_buf list = {0};
    add_catch_up(doc, object, &told->catch_up);
    leat_buf_byte(&list, '[');
    leat_buf_append(&list, told->culprits_json.data, told->culprits_json.size);
    leat_buf_byte(&list, ']');
    if (!list.failed && !told->culprits_json.failed)
        yyjson_mut_obj_add_val(doc, object, "culprits",
                               yyjson_mut_rawncpy(doc, list.data, list.size));
    leat_buf_free(&list);
}
