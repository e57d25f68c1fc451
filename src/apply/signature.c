/*
 * signature.c - a rise begins anew when the lag falls by a tenth of what it was, or has no new
 * maximum for some seconds: a lag that goes up and down is work, and one that stands is a backlog
 * that is worked off as fast as it comes.
 */
#include "apply/signature.h"

#define REST_US (6 * INT64_C(1000000))

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
