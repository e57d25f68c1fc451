/*
 * watchdog.c - the arithmetic of watchdog.h. Two moments are kept: when all was well, by which the
 * trouble is logged and given up, and when it was last acted on, by which it is acted on again. A
 * pause of the process moves both: otherwise a machine that wakes from a suspension would replace
 * all its clients at once, and give up those that were in trouble for a moment.
 */
#include "log/kafka/watchdog.h"

#include "base/rate_limit.h"

void leat_watchdog_init(leat_watchdog *watchdog, const leat_watchdog_limits *limits, int64_t now_us)
{
    LEAT_ASSERT(limits->bad_us > 0 && limits->renew_us > 0);
    *watchdog = (leat_watchdog){
        .limits = *limits, .checked_us = now_us, .good_us = now_us, .renewed_us = now_us};
}

int64_t leat_watchdog_good(leat_watchdog *watchdog, int64_t now_us)
{
    int64_t lasted_us = watchdog->logged_us != 0 ? now_us - watchdog->good_us : 0;
    watchdog->good_us = watchdog->renewed_us = now_us;
    watchdog->logged_us = 0;
    return lasted_us;
}

static void exclude_pause(leat_watchdog *watchdog, int64_t now_us)
{
    LEAT_ASSERT(now_us >= watchdog->checked_us);
    int64_t pause_us = now_us - watchdog->checked_us;
    watchdog->checked_us = now_us;
    if (pause_us <= LEAT_WATCHDOG_PAUSE_US)
        return;
    watchdog->good_us += pause_us;
    watchdog->renewed_us += pause_us;
    /* Well meanwhile, and then not checked: no younger than now. */
    if (watchdog->good_us > now_us)
        watchdog->good_us = now_us;
    if (watchdog->renewed_us > now_us)
        watchdog->renewed_us = now_us;
}

unsigned leat_watchdog_check(leat_watchdog *watchdog, int64_t now_us)
{
    const leat_watchdog_limits *limits = &watchdog->limits;
    exclude_pause(watchdog, now_us);
    int64_t bad_us = now_us - watchdog->good_us;
    unsigned actions = 0;
    if (bad_us >= limits->bad_us && leat_rate_limit_is_due(watchdog->logged_us, now_us)) {
        watchdog->logged_us = now_us;
        actions |= LEAT_WATCHDOG_LOG;
    }
    if (limits->give_up_us > 0 && bad_us >= limits->give_up_us && !watchdog->has_given_up) {
        watchdog->has_given_up = true;
        return actions | LEAT_WATCHDOG_GIVE_UP;
    }
    if (now_us - watchdog->renewed_us >= limits->renew_us && !watchdog->has_given_up) {
        watchdog->renewed_us = now_us;
        actions |= LEAT_WATCHDOG_RENEW;
    }
    return actions;
}

int64_t leat_watchdog_bad_us(const leat_watchdog *watchdog)
{
    int64_t bad_us = watchdog->checked_us - watchdog->good_us;
    return bad_us >= watchdog->limits.bad_us ? bad_us : 0;
}
