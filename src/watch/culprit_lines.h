/*
 * culprit_lines.h - who is to blame for a shard's lag, as the processes at work have reported it
 * (apply/culprits.h): as sentences for people, and as JSON. Pure.
 */
#ifndef LEAT_WATCH_CULPRIT_LINES_H
#define LEAT_WATCH_CULPRIT_LINES_H

#include "base/buf.h"
#include "sink/shard.h"

enum { LEAT_CULPRIT_LINES_MAX = 8 }; /* of one process */

/* Appends a sentence a line (with a newline) to `lines`, and to `json` an object for each process,
 * with a comma before it unless the buffer is empty. What is old, or has another form, is left
 * out. */
void leat_culprit_lines(const leat_shard_work *work, leat_buf *lines, leat_buf *json);

#endif
