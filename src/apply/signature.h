/*
 * signature.h - the signature of the incident that nobody sees: the lag grows in a straight line
 * while the worker has next to nothing to do. Then it is not slow, it is kept from working: by a
 * lock, a record, a shard, a limit. Pure: a state and a sample at a time.
 */
#ifndef LEAT_APPLY_SIGNATURE_H
#define LEAT_APPLY_SIGNATURE_H

#include "base/base.h"

#define LEAT_SIGNATURE_RISE_US (30 * INT64_C(1000000))
#define LEAT_SIGNATURE_IDLE    0.2 /* it begins while the worker is busy for less of its time */
#define LEAT_SIGNATURE_BUSY    0.4 /* and ends when it is for more */

typedef struct leat_signature {
    bool is_on;
    int64_t since_us; /* when the lag began to grow; 0: it does not */
    int64_t first_ms; /* the lag then */
    int64_t most_ms;  /* the largest since */
    int64_t most_us;  /* when that was seen */
} leat_signature;

/* The time lag of a shard now, 0 or more, and the share of its time (0 to 1) that the worker was
 * busy lately. It is on once the lag has grown for LEAT_SIGNATURE_RISE_US, by at least a third of
 * that time, without falling or resting for long; until the lag falls or the worker is busy.
 * Returns true when `is_on` has changed. */
bool leat_signature_sample(leat_signature *signature, int64_t now_us, int64_t lag_ms, double busy);

#endif
