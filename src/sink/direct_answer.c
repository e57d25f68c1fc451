/*
 * direct_answer.c - the sink's outcomes are made for a worker, which tries again for minutes and
 * keeps what is refused. A client hears at once, and decides itself what is worth another try.
 */
#include "sink/direct_answer.h"

#include "record/idempotency.h"

/* Those that a worker would keep as dead letters are refused. RECORD_ERROR is one of them here: a
 * table that is at fault as a whole refuses each write, and each client hears why. */
leat_direct_outcome leat_direct_outcome_of(const leat_engine_job_result *result)
{
    switch (result->outcome) {
    case LEAT_ENGINE_APPLIED:
        return LEAT_DIRECT_APPLIED;
    case LEAT_ENGINE_REPEATED:
        LEAT_ASSERT(result->known_count > 0); /* of the only record */
        return result->known[0].is_conflict ? LEAT_DIRECT_CONFLICT : LEAT_DIRECT_REPEATED;
    case LEAT_ENGINE_BAD_DATA:
    case LEAT_ENGINE_NOT_YET:
    case LEAT_ENGINE_RECORD_ERROR:
        return LEAT_DIRECT_REFUSED;
    case LEAT_ENGINE_UNKNOWN:
        return LEAT_DIRECT_UNKNOWN;
    default:
        return LEAT_DIRECT_NOT_NOW;
    }
}

const char *leat_direct_message_of(const leat_engine_job_result *result)
{
    if (result->outcome == LEAT_ENGINE_APPLIED)
        return "";
    if (result->outcome == LEAT_ENGINE_REPEATED)
        return result->known[0].is_conflict ? leat_idempotency_conflict : leat_idempotency_repeat;
    if (result->is_lock_wait)
        return "another session holds the row, and the time for the write is over";
    if (result->timed_out)
        return "the write took too long and was undone";
    return result->message;
}
