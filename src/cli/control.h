/* control.h - controls as text and as JSON, for `leat control list` and `leat status`. */
#ifndef LEAT_CLI_CONTROL_H
#define LEAT_CLI_CONTROL_H

#include <yyjson.h>

#include "record/controls.h"

/* One line on standard output: "shard a: since ... skipped by control 5 of tenant 7 until ...". */
void leat_control_print(const char *shard, const leat_control *control);
/* The same as a line of JSON. */
void leat_control_print_json(const char *shard, const leat_control *control);
/* Its members, in an object. */
void leat_control_add_json(yyjson_mut_doc *doc, yyjson_mut_val *object,
                           const leat_control *control);

#endif
