/*
 * batch.c - the names of outcomes, for people: the log and the view of troubles show a name instead
 * of the groups of SQLSTATEs that batch.h explains. They are names of a cause and not of what leat
 * does next, because that depends on more than the outcome.
 */
#include "engine/batch.h"

static const char *const outcome_names[LEAT_ENGINE_OUTCOME_COUNT] = {
    [LEAT_ENGINE_APPLIED] = "applied",
    [LEAT_ENGINE_CONTENTION] = "contention",
    [LEAT_ENGINE_OUTAGE] = "outage",
    [LEAT_ENGINE_BAD_DATA] = "bad data",
    [LEAT_ENGINE_NOT_YET] = "bad data for now",
    [LEAT_ENGINE_DRIFT] = "drift",
    [LEAT_ENGINE_RECORD_ERROR] = "record error",
    [LEAT_ENGINE_NOT_UNDERSTOOD] = "not understood",
    [LEAT_ENGINE_FENCED] = "fenced",
    [LEAT_ENGINE_WENT_BACK] = "went back",
    [LEAT_ENGINE_CHUNK_GONE] = "chunk gone",
    [LEAT_ENGINE_KEY_TURNED] = "key turned",
    [LEAT_ENGINE_REPEATED] = "repeated",
    [LEAT_ENGINE_UNKNOWN] = "unknown",
};

const char *leat_engine_outcome_name(leat_engine_outcome outcome)
{
    LEAT_ASSERT((unsigned)outcome < LEAT_ENGINE_OUTCOME_COUNT);
    return outcome_names[outcome];
}
