/*
 * catch_up.h - when a shard will have caught up with its log, as the processes at work have
 * reported it (apply/late.h): each knows that of its own partitions, so the last of them counts.
 * Pure.
 */
#ifndef LEAT_WATCH_CATCH_UP_H
#define LEAT_WATCH_CATCH_UP_H

#include "sink/shard.h"

typedef struct leat_catch_up {
    bool is_known;     /* every process that has something to apply has said it */
    bool is_never;     /* as much comes as is applied */
    bool waits;        /* there is more than what has just come */
    double seconds;    /* meaningful while it is known, and not never */
    double drained_s;  /* records applied a second, while there is something to apply all the time;
                          of all processes together */
    double arriving_s; /* records that come in a second */
} leat_catch_up;

/* What is old, or has another form, is left out; and a process without partitions of the shard. */
leat_catch_up leat_catch_up_of(const leat_shard_work *work);

enum { LEAT_CATCH_UP_SIZE = 160 };
/* "caught up in about 12 s (812 records a second are applied, 100 come)"; "": there is nothing to
 * say. Returns `ret`. */
const char *leat_catch_up_words(const leat_catch_up *of, char ret[LEAT_CATCH_UP_SIZE]);

#endif
