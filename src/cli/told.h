/*
 * told.h - what the processes at work have told of a shard, beside what is wrong: when it will have
 * caught up, and who is to blame. `leat status` and `leat lag` show the same.
 */
#ifndef LEAT_CLI_TOLD_H
#define LEAT_CLI_TOLD_H

#include <yyjson.h>

#include "base/buf.h"
#include "watch/catch_up.h"
#include "watch/culprit_lines.h"

typedef struct leat_told {
    leat_catch_up catch_up;
    leat_buf culprits, culprits_json; /* leat_culprit_lines */
} leat_told;

/* `ret` is zeroed. */
void leat_told_read(const leat_shard_work *work, leat_told *ret);
void leat_told_fini(leat_told *told);

/* A line of text that may come from a server or another process. */
void leat_told_print_line(const char *before, const char *text);
/* As lines under that of the shard; nothing where there is nothing to say. */
void leat_told_print(const leat_told *told);
/* Members `catch_up` and `culprits` of the shard's object. */
void leat_told_add(yyjson_mut_doc *doc, yyjson_mut_val *object, const leat_told *told);

#endif
