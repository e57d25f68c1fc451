/*
 * dead_line.h - a dead letter as an item of `leat send`: the write that it was, to be sent again.
 * Pure.
 */
#ifndef LEAT_CLI_DEAD_LINE_H
#define LEAT_CLI_DEAD_LINE_H

#include "record/route.h"
#include "sink/shard.h"

/* What a line is made with. */
typedef struct leat_dead_line_form {
    const leat_routes *routes;       /* as they are now */
    const leat_placement *placement; /* of the source */
    const char *tenant; /* only its letters, as in the path of a request; NULL: of any tenant */
} leat_dead_line_form;

/* Appends {"method":...,"path":...,"body":...,"idempotency_key":...}, one line without its end. The
 * letter has its body. The key is the record's own, or one that follows from its place in the log:
 * a line that is sent twice has one effect. 0: appended. 1: it is another tenant's. -1 with a
 * message: it cannot be sent as it is. */
int leat_dead_line(const leat_dead_line_form *form, const leat_dead_letter *letter, leat_buf *out,
                   leat_error *error) LEAT_MUST_CHECK;

#endif
