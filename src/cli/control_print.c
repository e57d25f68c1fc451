/*
 * control_print.c - controls as text and as JSON. Keys and reasons come from people, so text for a
 * terminal is made harmless.
 */
#include "cli/control.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/printable.h"
#include "daemon/json.h"

void leat_control_print(const char *shard, const leat_control *control)
{
    leat_buf clean = {0};
    char text[LEAT_CONTROL_TEXT_SIZE];
    leat_control_describe(control, text, sizeof text);
    leat_buf_printable(&clean, leat_slice_of(text), SIZE_MAX, false);
    const char *line = leat_buf_cstr(&clean);
    printf("shard %s: since %s %s\n", shard, control->since, line ? line : "");
    leat_buf_free(&clean);
}

void leat_control_print_json(const char *shard, const leat_control *control)
{
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = leat_json_new(&root);
    leat_json_add_text(doc, root, "shard", shard);
    leat_json_add_control(doc, root, control);
    leat_json_print(stdout, doc);
}
