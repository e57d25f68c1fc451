/*
 * send_patience.c - the beginning of the limit only moves ahead: what one lane gets through must
 * not shorten the wait that another was asked for.
 */
#include "cli/send_patience.h"

void leat_send_patience_moved(leat_send_patience *patience, int64_t now_us)
{
    if (now_us > patience->since_us)
        patience->since_us = now_us;
}

int64_t leat_send_patience_asked(leat_send_patience *patience, int64_t now_us, int64_t seconds)
{
    if (seconds > LEAT_SEND_ASKED_MAX_S)
        seconds = LEAT_SEND_ASKED_MAX_S;
    if (seconds <= LEAT_SEND_RETRY_S)
        return LEAT_SEND_RETRY_S * INT64_C(1000);
    leat_send_patience_moved(patience, now_us + seconds * INT64_C(1000000));
    return seconds * 1000;
}

bool leat_send_patience_is_over(const leat_send_patience *patience, int64_t now_us, int64_t limit_s)
{
    return now_us - patience->since_us > limit_s * INT64_C(1000000);
}
