/*
 * budget_view.h - the budgets of an engine's memory, for whoever shows them: what is held, and the
 * most that may be.
 */
#ifndef LEAT_ENGINE_BUDGET_VIEW_H
#define LEAT_ENGINE_BUDGET_VIEW_H

#include "engine/budgets.h"
#include "engine/engine.h"

typedef enum leat_engine_budget {
    LEAT_ENGINE_BUDGET_RECORDS, /* read from the log */
    LEAT_ENGINE_BUDGET_PARKED,  /* loaded from the shards, beside them */
    LEAT_ENGINE_BUDGET_COUNT
} leat_engine_budget;

/* Borrowed; it changes with the engine's events. */
const leat_budgets *leat_engine_budget_of(const leat_engine *engine, leat_engine_budget budget);

#endif
