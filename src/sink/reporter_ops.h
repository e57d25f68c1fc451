/*
 * reporter_ops.h - what stands behind leat_shard_reporter of shard.h, as a table; each function
 * under the terms stated there for its namesake. Not for use outside src/sink.
 */
#ifndef LEAT_SINK_REPORTER_OPS_H
#define LEAT_SINK_REPORTER_OPS_H

#include "sink/shard.h"

typedef struct leat_shard_reporter_ops {
    int (*tell)(leat_shard_reporter *reporter, const leat_shard_report *report, leat_error *error);
    int (*untell)(leat_shard_reporter *reporter, const char *instance, leat_error *error);
    /* NULL: it knows of no waits. */
    int (*ask_waits)(leat_shard_reporter *reporter, const char *name, leat_shard_waits *ret,
                     leat_error *error);
    void (*free)(leat_shard_reporter *reporter);
} leat_shard_reporter_ops;

/* What every reporter begins with. */
struct leat_shard_reporter {
    const leat_shard_reporter_ops *ops;
};

#endif
