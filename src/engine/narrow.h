/*
 * narrow.h - which record of a subpartition ends its session: found from batches whose outcome is
 * unknown.
 *
 * After an unknown outcome (connection lost, FATAL, a backend that dies, a time limit of leat or of
 * a pooler) only a claim tells whether the batch was committed. If it was, nothing is suspected. If
 * not, one of its records may be the cause, or nothing at all: a network that is cut ends sessions
 * too. So the first one in a row costs a subpartition nothing. From the second on it is *under
 * trial*: only suspected records run, in batches of their own, half as many after each batch that
 * ends the same way, until one record stands alone. This is the *suspect*. It is tried again with
 * back-off indefinitely: an unknown outcome is not a verdict. A record that is applied is no longer
 * suspected.
 *
 * All of it is kept by offset and outlives the records that the engine drops at a claim. This is
 * the same group testing as in retry.h, but there a failed batch gets an answer, and its session
 * and everything in memory stay as they were.
 */
#ifndef LEAT_ENGINE_NARROW_H
#define LEAT_ENGINE_NARROW_H

#include "base/base.h"

typedef struct leat_narrow {
    int64_t to;       /* suspected are the records from the head up to this offset; meaningful while
                         `unknowns` > 0 */
    uint32_t records; /* at most this many */
    uint32_t limit;   /* under trial: records of the next batch */
    uint8_t unknowns; /* in a row that had records of it; 0: nothing is suspected */
    uint8_t alone;    /* those of one record, alone in its batch: the head is the suspect */
    uint8_t put_off;  /* trials that something else than the record ended, such as a lock */
    int64_t since_us; /* when the first one was */
    int64_t due_us;   /* under trial: not tried again before; -1: the claim that follows sets it */
    int64_t notified_us; /* when the suspect was last named; 0: never */
} leat_narrow;

static inline bool leat_narrow_on_trial(const leat_narrow *narrow)
{
    return narrow->unknowns >= 2;
}

/* The outcome of a batch is unknown that had `queues` subpartitions and, of this one, `records` up
 * to offset `last`, of which the first `suspected` are at or below `to`; all of them when nothing
 * is suspected yet. */
void leat_narrow_unknown(leat_narrow *narrow, uint32_t queues, uint32_t records, uint32_t suspected,
                         int64_t last, int64_t now_us);
/* A batch of `records` was applied up to `offset`; or a claim has shown (0 records) that all up to
 * there is in the tables. */
void leat_narrow_passed(leat_narrow *narrow, int64_t offset, uint32_t records);
/* A batch of it was answered with an error: the session has survived it, whatever becomes of the
 * record. */
void leat_narrow_answered(leat_narrow *narrow);
/* A batch of it was answered with an error that tells nothing of its records: under trial, it waits
 * until others have been tried as often. */
void leat_narrow_put_off(leat_narrow *narrow);
/* Who has fewer trials behind it is tried first. */
static inline uint32_t leat_narrow_trials(const leat_narrow *narrow)
{
    return (uint32_t)narrow->unknowns + narrow->put_off;
}
/* A record alone in its batch was refused: it ended no session, and is tried again without a trial.
 * What is suspected behind it is not forgotten. */
void leat_narrow_refused(leat_narrow *narrow);
/* Has the suspect ended so many sessions in a row that it is reported? Once is an accident. */
static inline bool leat_narrow_is_found(const leat_narrow *narrow)
{
    return narrow->alone >= 2;
}

#endif
