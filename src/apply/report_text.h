/*
 * report_text.h - what a process reports about a shard (leat.workers, column `said`), as JSON:
 *
 *   {"partitions": [0, 2], "facts": [...], "commit": "async",
 *    "drain": {"waiting": 5000, "drained_s": 812.5, "arriving_s": 100.0, "catch_up_s": 7.0},
 *    "culprits": {...}}
 *
 * Of partitions that do not fit there is only their number. `commit`: shards[].commit, as this
 * process has it. Facts: facts.h; culprits: culprits.h.
 * Of `drain`, a number that is not known is null. At most LEAT_REPORT_BYTES_MAX bytes. Pure.
 */
#ifndef LEAT_APPLY_REPORT_TEXT_H
#define LEAT_APPLY_REPORT_TEXT_H

#include "apply/late.h"
#include "base/buf.h"

/* The first two members, from their elements. */
void leat_report_write(const leat_buf *partitions, const leat_buf *facts, leat_buf *out);
/* Appends a member that is JSON. An empty report stays empty. */
void leat_report_add(leat_buf *report, const char *name, const leat_buf *value);
void leat_report_add_commit(leat_buf *report, bool commits_async);
void leat_report_add_drain(leat_buf *report, const leat_drain *drain);

#endif
