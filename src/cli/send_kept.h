/*
 * send_kept.h - what `leat send` does with items that were not accepted: each becomes a line of a
 * file, {"status":...,"line":7,"item":{...}}, which can be sent again, or a few are shown. What is
 * no JSON is "item_text":"..." instead. A line is in the file, whole, before its item counts as
 * decided, so a full disk loses none.
 */
#ifndef LEAT_CLI_SEND_KEPT_H
#define LEAT_CLI_SEND_KEPT_H

#include "cli/send_source.h"

typedef struct leat_send_kept leat_send_kept;

/* `path` NULL: standard error gets a few. `goes_on`: what the file has stays, because an earlier
 * run kept it. NULL with a message: it cannot be written, or it is the file of `source_fd`. */
leat_send_kept *leat_send_kept_open(const char *path, bool goes_on, int source_fd,
                                    leat_error *error);
/* `answer` is an object of JSON. -1 with a message: nothing was kept. */
int leat_send_kept_add(leat_send_kept *kept, const leat_send_item *item, leat_slice answer,
                       leat_error *error) LEAT_MUST_CHECK;
/* -1 with a message: it is not known whether all is in the file. NULL is allowed. */
int leat_send_kept_close(leat_send_kept *kept, leat_error *error) LEAT_MUST_CHECK;

#endif
