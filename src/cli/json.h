/* json.h - the output of --json: one document on one line, built with yyjson. */
#ifndef LEAT_CLI_JSON_H
#define LEAT_CLI_JSON_H

#include <stdio.h>

#include <yyjson.h>

#include "base/base.h"

/* A document whose root is an empty object, which is in `ret_root`. */
yyjson_mut_doc *leat_json_new(yyjson_mut_val **ret_root);

/* Member names are not copied. A text is; NULL becomes null. */
void leat_json_add_text(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                        const char *text);
/* The same, and an empty text becomes null too. */
void leat_json_add_reason(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                          const char *text);
/* Milliseconds as seconds; below 0 (unknown): null. */
void leat_json_add_seconds(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                           int64_t ms);

/* Prints it as one line and frees it. */
void leat_json_print(FILE *out, yyjson_mut_doc *doc);

#endif
