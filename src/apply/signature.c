/*
 * signature.c - a rise begins anew when the lag falls by a tenth of what it was, or has no new
 * maximum for some seconds: a lag that goes up and down is work, and one that stands is a backlog
 * that is worked off as fast as it comes.
 */
#include "apply/signature.h"

#define REST_US (6 * INT64_C(1000000))
#define LEARN   0.1 /* of a sample of half a second: over about the last ten */

double leat_signature_work_sample(leat_signature_work *work, int64_t now_us,
                                  const leat_signature_load *load)
{
    LEAT_ASSERT(load->done >= work->done && now_us >= work->at_us);
    bool is_first = work->at_us == 0;
    double passed = LEARN * (double)(now_us - work->at_us) / 500000;
    if (load->done > work->done)
        work->done_us = now_us;
    bool flows = work->done_us > 0 && now_us - work->done_us < LEAT_SIGNATURE_FLOW_US;
    bool is_full = load->jobs >= load->most || load->loop > LEAT_SIGNATURE_LOOP;
    double weight = is_first ? 0 : passed < 1 ? passed : 1;
    work->share += weight * ((flows && is_full ? 1 : 0) - work->share);
    work->done = load->done;
    work->at_us = now_us;
    return work->share;
}

static void begin(leat_signature *signature, int64_t now_us, int64_t lag_ms)
{
    signature->since_us = lag_ms > 0 ? now_us : 0;
    signature->first_ms = signature->most_ms = lag_ms;
    signature->most_us = now_us;
}

static bool is_rise(const leat_signature *signature, int64_t now_us)
{
    int64_t rose_us = 1000 * (signature->most_ms - signature->first_ms);
    return signature->since_us > 0 && now_us - signature->since_us >= LEAT_SIGNATURE_RISE_US &&
           3 * rose_us >= now_us - signature->since_us;
}

bool leat_signature_sample(leat_signature *signature, int64_t now_us, int64_t lag_ms, double busy)
{
    bool was_on = signature->is_on;
    bool falls = 10 * lag_ms < 9 * signature->most_ms;
    bool rests = lag_ms <= signature->most_ms && now_us - signature->most_us >= REST_US;
    bool is_idle = busy < (was_on ? LEAT_SIGNATURE_BUSY : LEAT_SIGNATURE_IDLE);
    if (signature->since_us == 0 || falls || rests || !is_idle)
        begin(signature, now_us, lag_ms);
    if (lag_ms > signature->most_ms) {
        signature->most_ms = lag_ms;
        signature->most_us = now_us;
    }
    signature->is_on = is_rise(signature, now_us) ||
                       (was_on && signature->since_us > 0 && signature->since_us != now_us);
    return signature->is_on != was_on;
}
