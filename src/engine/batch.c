#include "engine/batch.h"

static const char *const outcome_names[LEAT_OUTCOME_COUNT] = {
    [LEAT_APPLIED] = "applied",
    [LEAT_CONTENTION] = "contention",
    [LEAT_OUTAGE] = "outage",
    [LEAT_BAD_DATA] = "bad data",
    [LEAT_NOT_YET] = "bad data for now",
    [LEAT_DRIFT] = "drift",
    [LEAT_RECORD_ERROR] = "record error",
    [LEAT_NOT_UNDERSTOOD] = "not understood",
    [LEAT_FENCED] = "fenced",
    [LEAT_WENT_BACK] = "went back",
    [LEAT_UNKNOWN] = "unknown",
};

const char *leat_outcome_name(leat_outcome outcome)
{
    LEAT_ASSERT((unsigned)outcome < LEAT_OUTCOME_COUNT);
    return outcome_names[outcome];
}
