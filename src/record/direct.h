/*
 * direct.h - the seam between an edge and the databases, for writes that are applied while their
 * client waits (routes[].mode: sync). Such a write is not in the log: it is a transaction of its
 * own, and its answer is what the database said. Behind the seam is sink/direct.c; tests of the
 * edge have one of their own.
 *
 * Everything is on one loop's thread, which is the edge's. What is called back is never called from
 * inside a call.
 */
#ifndef LEAT_RECORD_DIRECT_H
#define LEAT_RECORD_DIRECT_H

#include <uv.h>

#include "base/standstill.h"
#include "record/item.h"

typedef struct leat_direct leat_direct;

typedef enum leat_direct_outcome {
    LEAT_DIRECT_APPLIED,
    LEAT_DIRECT_REPEATED, /* nothing was written: a write with its idempotency key is applied, and
                             says the same */
    LEAT_DIRECT_CONFLICT, /* not applied: the same, but that one says something else */
    LEAT_DIRECT_REFUSED,  /* by the database, for what is in it: it would have become a dead letter
                           */
    LEAT_DIRECT_NOT_NOW,  /* not applied, and worth another try */
    LEAT_DIRECT_UNKNOWN,  /* it may have been applied, or still be */
    LEAT_DIRECT_OUTCOME_COUNT
} leat_direct_outcome;

typedef struct leat_direct_answer {
    leat_direct_outcome outcome;
    char sqlstate[6];  /* "": none, or not the database's */
    char message[256]; /* for people; "" where it was applied by this write */
} leat_direct_answer;

typedef struct leat_direct_write {
    const leat_route *route; /* as the write's shard has it, or of another version of it */
    leat_route_op op;
    uint32_t partition;
    leat_slice key; /* canonical; all slices are borrowed for the call */
    leat_slice body;
    leat_slice idempotency; /* its key (idempotency.h); without data: none */
    uint64_t row; /* writes with the same number go one after another, in the order of the calls */
    const char *live; /* the route's name, where the shard says which way its writes go: the
                         database checks that this one is still let through; NULL: it need not */
    uint32_t point;   /* then, of the key: mode.h */
    void *tag;
} leat_direct_write;

typedef struct leat_direct_events {
    void *context;
    /* The write is about to be sent. False: its owner has given it up, and is not called again. */
    bool (*starts)(void *context, void *tag);
    /* Exactly once for each write that was taken and not given up. */
    /* `record`: the write, borrowed for the call. */
    void (*done)(void *context, void *tag, const leat_direct_answer *answer,
                 const leat_record *record);
} leat_direct_events;

typedef struct leat_direct_ops {
    bool (*write)(leat_direct *direct, const leat_direct_write *write, const char **ret_why);
    const char *(*trouble)(const leat_direct *direct, uint32_t shard);
    void (*free)(leat_direct *direct);
} leat_direct_ops;

/* What every implementation begins with. */
struct leat_direct {
    const leat_direct_ops *ops;
};

/* How an edge comes by its own, once it has a loop; `open` NULL: it has none, and no route that
 * needs one. */
typedef struct leat_direct_source {
    leat_direct *(*open)(void *context, uv_loop_t *loop, leat_standstill *standstill,
                         const leat_direct_events *events, leat_error *error);
    void *context;
    uint32_t batch_items; /* a batch takes a further item only while each shard that it has written
                             to has fewer writes than this */
    leat_standstill *standstill; /* the loop's; outlives what is opened */
} leat_direct_source;

/* True: taken, and `done` follows. False: there is no room, or no server; `*ret_why` says which,
 * and nothing has happened. */
static inline bool leat_direct_take(leat_direct *direct, const leat_direct_write *write,
                                    const char **ret_why)
{
    return direct->ops->write(direct, write, ret_why);
}

/* NULL: the shard takes writes, as far as is known. Else what it lacks, a literal that follows its
 * name: "has no connection". */
static inline const char *leat_direct_trouble(const leat_direct *direct, uint32_t shard)
{
    return direct->ops->trouble(direct, shard);
}

/* Answers all that were taken: UNKNOWN where they have been sent. Its memory is freed when the loop
 * has run the closes. NULL: none. */
static inline void leat_direct_free(leat_direct *direct)
{
    if (direct)
        direct->ops->free(direct);
}

#endif
