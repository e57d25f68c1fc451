/*
 * signature.h - the signature of the incident that nobody sees: the lag of a shard grows in a
 * straight line although neither its database nor its worker has all that it can do. Then they are
 * not slow, they are kept from working: by a lock, a record, the shard, a limit. Pure: a state and
 * a sample at a time.
 */
#ifndef LEAT_APPLY_SIGNATURE_H
#define LEAT_APPLY_SIGNATURE_H

#include "base/base.h"

#define LEAT_SIGNATURE_RISE_US (30 * INT64_C(1000000))
#define LEAT_SIGNATURE_IDLE    0.2 /* it begins while the shard is at work for less of its time */
#define LEAT_SIGNATURE_BUSY    0.4 /* and ends when it is for more */
#define LEAT_SIGNATURE_FLOW_US (5 * INT64_C(1000000)) /* a batch may take so long */
#define LEAT_SIGNATURE_LOOP    0.8 /* a worker that is busy for more has no time left */

/* For how much of its time a shard was at work lately. */
typedef struct leat_signature_work {
    int64_t at_us;   /* of the last sample; 0: there was none */
    int64_t done_us; /* when records were last done */
    uint64_t done;
    double share; /* 0 to 1, over about the last five seconds */
} leat_signature_work;

/* What one worker does for a shard. */
typedef struct leat_signature_load {
    uint64_t done; /* records, ever, that wait no longer */
    uint32_t jobs; /* in flight */
    uint32_t most; /* that may be: the connections, or fewer while the database is slow */
    double loop;   /* share of its time (0 to 1) that the worker's loop was busy lately */
} leat_signature_load;

/* The shard is at work while records get done and nothing is left to do them with: either all its
 * connections are busy, or the loop is. Connections that are all busy, with nothing done for
 * LEAT_SIGNATURE_FLOW_US, wait for something; and where some are free the rest waits for it.
 * Returns the new share. */
double leat_signature_work_sample(leat_signature_work *work, int64_t now_us,
                                  const leat_signature_load *load);

typedef struct leat_signature {
    bool is_on;
    int64_t since_us; /* when the lag began to grow; 0: it does not */
    int64_t first_ms; /* the lag then */
    int64_t most_ms;  /* the largest since */
    int64_t most_us;  /* when that was seen */
} leat_signature;

/* The time lag of a shard now, 0 or more, and the share of its time (0 to 1) that it was at work
 * lately. It is on once the lag has grown for LEAT_SIGNATURE_RISE_US, by at least a third of
 * that time, without falling or resting for long; until the lag falls or the shard is at work.
 * Returns true when `is_on` has changed. */
bool leat_signature_sample(leat_signature *signature, int64_t now_us, int64_t lag_ms, double busy);

#endif
