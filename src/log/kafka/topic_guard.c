/*
 * topic_guard.c - the arithmetic of topic_guard.h. It errs to one side: an acknowledgement that
 * waits for a check costs a question and an answer, one that is believed wrongly is a write that
 * was answered 202 and is in no log that anybody reads. After a doubt everything known is
 * forgotten.
 */
#include "log/kafka/topic_guard.h"

#include <stdlib.h>

#include "base/base.h"

void leat_topic_guard_init(leat_topic_guard *guard, uint32_t partition_count)
{
    *guard = (leat_topic_guard){.partition_count = partition_count};
    guard->greatest =
        leat_must_calloc(partition_count ? partition_count : 1, sizeof *guard->greatest);
    for (uint32_t p = 0; p < partition_count; p++)
        guard->greatest[p] = -1;
}

void leat_topic_guard_fini(leat_topic_guard *guard)
{
    free(guard->greatest);
    guard->greatest = NULL;
}

/* When the youngest check began that says something about this broker; 0: none. */
static int64_t checked_us(const leat_topic_guard *guard, int32_t broker)
{
    LEAT_ASSERT(guard->broker_count <= LEAT_GUARD_BROKERS);
    int64_t ret =
        guard->checked_us > LEAT_GUARD_SPREAD_US ? guard->checked_us - LEAT_GUARD_SPREAD_US : 0;
    for (uint32_t i = 0; i < guard->broker_count; i++)
        if (guard->brokers[i].id == broker && guard->brokers[i].checked_us > ret)
            ret = guard->brokers[i].checked_us;
    return ret;
}

bool leat_topic_guard_is_shown(const leat_topic_guard *guard, const leat_topic_ack *ack)
{
    int64_t since_us = checked_us(guard, ack->broker);
    return since_us != 0 && ack->at_us - since_us < (ack->offset > 0 ? ack->offset : 0);
}

leat_topic_guard_verdict leat_topic_guard_check_ack(leat_topic_guard *guard,
                                                    const leat_topic_ack *ack)
{
    LEAT_ASSERT(guard->greatest);
    if (ack->partition < guard->partition_count && ack->offset >= 0) {
        if (ack->offset <= guard->greatest[ack->partition])
            return LEAT_GUARD_RECREATED;
        guard->greatest[ack->partition] = ack->offset;
    }
    return leat_topic_guard_is_shown(guard, ack) ? LEAT_GUARD_STORED : LEAT_GUARD_WAIT;
}

bool leat_topic_guard_wants_check(const leat_topic_guard *guard, const leat_topic_ack *ack)
{
    return ack->at_us - checked_us(guard, ack->broker) >= ack->offset / 2;
}

static void note_checked_broker(leat_topic_guard *guard, int32_t broker, int64_t begun_us)
{
    LEAT_ASSERT(broker >= 0);
    LEAT_ASSERT(guard->broker_count <= LEAT_GUARD_BROKERS);
    uint32_t at = 0;
    while (at < guard->broker_count && guard->brokers[at].id != broker)
        at++;
    if (at == LEAT_GUARD_BROKERS)
        return;
    if (at == guard->broker_count) {
        guard->brokers[at].id = broker;
        guard->brokers[at].checked_us = 0;
        guard->broker_count++;
    }
    if (begun_us > guard->brokers[at].checked_us)
        guard->brokers[at].checked_us = begun_us;
}

void leat_topic_guard_checked(leat_topic_guard *guard, int32_t broker, int64_t begun_us)
{
    LEAT_ASSERT(begun_us > 0);
    if (begun_us > guard->checked_us)
        guard->checked_us = begun_us;
    if (broker >= 0)
        note_checked_broker(guard, broker, begun_us);
}

void leat_topic_guard_doubt(leat_topic_guard *guard)
{
    guard->checked_us = 0;
    guard->broker_count = 0;
}
