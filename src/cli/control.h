/* control.h - controls as text and as JSON, for `leat control list` and `leat status`. */
#ifndef LEAT_CLI_CONTROL_H
#define LEAT_CLI_CONTROL_H

#include "record/controls.h"

/* One line on standard output: "shard a: since ... skipped by control 5 of tenant 7 until ...". */
void leat_control_print(const char *shard, const leat_control *control);
/* The same as a line of JSON. */
void leat_control_print_json(const char *shard, const leat_control *control);

#endif
