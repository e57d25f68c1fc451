/*
 * late.h - how long what waits for a shard will take: what waits, divided by what was applied a
 * second lately; and whether that is more than it may be. Pure: whoever measures says what has
 * passed between two measures.
 *
 * The rate counts only while there was something to apply all the time, which is known where what
 * waited at the begin was as much as was applied until the end, and something still waits: a shard
 * that is given ten records a second applies ten, and can do more, whatever else waits there. A
 * time in which it has applied nothing leaves that rate as it is: then the estimate grows with what
 * waits, and whoever is refused for it is refused for what waits, not for an outage.
 *
 * And when it will have caught up, which is later, because more comes meanwhile: what waits,
 * divided by what the rate is above the arrivals. Those are known from the ends of the log, which
 * are asked for every few seconds only: so it is a mean of about ten seconds. Here a shard that
 * has applied nothing for some measures, although something waits, has the rate 0, and never
 * catches up; nor does one with a partition that is stopped.
 */
#ifndef LEAT_APPLY_LATE_H
#define LEAT_APPLY_LATE_H

#include "base/base.h"

/* So many measures in a row must be above the limit: a burst that the shard can do, and a first
 * rate that was too low, are over by then. */
enum { LEAT_LATE_MEASURES = 3 };
/* The mean of arrivals is of about so many measures. It is known from three on: with fewer the ends
 * may not have been asked for in between. */
enum { LEAT_LATE_ENDS = 5, LEAT_LATE_ENDS_LEAST = 3 };
/* After so many measures in a row without anything applied the old rate is not the shard's. */
enum { LEAT_LATE_IDLE = 3 };

typedef struct leat_late_sample {
    uint64_t done;    /* records, ever, that wait no longer */
    uint64_t backlog; /* records that wait for the shard */
    uint64_t held_up; /* others, which wait for a row or a person */
    bool is_stopped;  /* some of those until a person acts */
    uint64_t end;     /* the ends of the log of the partitions that count, added up */
    uint64_t counted; /* says of which partitions `end` is: it changes with them */
} leat_late_sample;

typedef struct leat_late {
    uint64_t done;    /* records, ever, at the last measure */
    uint64_t backlog; /* records that waited then */
    double per_s;     /* applied a second; 0: not known yet */
    uint32_t idle;   /* measures in a row in which something waited and nothing was applied, counted
                        up to LEAT_LATE_IDLE */
    bool is_stopped; /* as in the last sample */
    uint64_t end;    /* as in the last sample, likewise `counted` */
    uint64_t counted;
    uint32_t end_measures; /* in a row of the same partitions, counted up to LEAT_LATE_ENDS */
    double arrivals_per_s; /* their mean */
    uint32_t above;        /* measures in a row with more than the limit */
    bool is_late; /* since it was above the limit for long enough, and until it is below half */
} leat_late;

/* How fast what waits for a shard is applied, of some workers together. */
typedef struct leat_drain {
    uint64_t waiting;      /* records */
    double drained_per_s;  /* 0 where it is not known, too */
    double arrivals_per_s; /* below 0: not known, of some worker */
    int64_t catch_up_ms;   /* of the last of them: leat_late_catch_up_ms */
} leat_drain;

/* `limit_ms` 0: it is never late. */
void leat_late_measure(leat_late *late, const leat_late_sample *now, int64_t passed_us,
                       int64_t limit_ms);
/* What waits will take so long; -1: not known. */
int64_t leat_late_estimate_ms(const leat_late *late);
/* Applied a second now: 0 where nothing has been for some measures; below 0: not known. */
double leat_late_drain_per_s(const leat_late *late);
/* Until nothing waits but what has just come; at most LEAT_CATCH_UP_NEVER_MS; -1: not known. */
int64_t leat_late_catch_up_ms(const leat_late *late);
/* What is known of one worker. */
leat_drain leat_drain_of(const leat_late *late);

#endif
