/* json.h - JSON that commands print with --json, and that the admin listener answers: one document
 * on one line, built with yyjson. */
#ifndef LEAT_DAEMON_JSON_H
#define LEAT_DAEMON_JSON_H

#include <stdio.h>

#include <yyjson.h>

#include "record/controls.h"
#include "sink/held.h"
#include "sink/shard.h"

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

/* Bytes that people may read: as `name` where they are text, else in base64 as `name_64`. */
void leat_json_add_bytes(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name,
                         const char *name_64, leat_slice bytes);

/* What people wrote, with its numbers as they wrote them. NULL: it is not JSON. */
yyjson_doc *leat_json_read(leat_slice text);

/* Members of a held row, a dead letter, a control. A dead letter without its body has null there.
 */
void leat_json_add_held(yyjson_mut_doc *doc, yyjson_mut_val *object,
                        const leat_shard_held_key *key);
void leat_json_add_dead(yyjson_mut_doc *doc, yyjson_mut_val *object,
                        const leat_dead_letter *letter);
void leat_json_add_control(yyjson_mut_doc *doc, yyjson_mut_val *object,
                           const leat_control *control);

/* The line without its end; NUL-terminated, the caller's to free. Frees the document. */
char *leat_json_line(yyjson_mut_doc *doc);
/* Prints it as one line and frees it. */
void leat_json_print(FILE *out, yyjson_mut_doc *doc);

#endif
