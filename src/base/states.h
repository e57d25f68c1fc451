/*
 * states.h - which states of a machine may follow which. A machine has a table with a row for each
 * state, an OR of LEAT_TO() of those that may come next, and one function that changes the state
 * and asserts the edge:
 *
 *   static const unsigned may_follow[] = {
 *       [CLOSED] = LEAT_TO(OPENING),
 *       [OPENING] = LEAT_TO(OPEN) | LEAT_TO(CLOSED),
 *       [OPEN] = LEAT_TO(CLOSED),
 *   };
 *
 *   LEAT_ASSERT(leat_may_follow(may_follow, it->state, state));
 *
 * Pure. At most 32 states.
 */
#ifndef LEAT_BASE_STATES_H
#define LEAT_BASE_STATES_H

#include <stdbool.h>

#define LEAT_TO(state) (1u << (state))

/* `table` has a row for `from`. */
static inline bool leat_may_follow(const unsigned *table, unsigned from, unsigned to)
{
    return (table[from] & LEAT_TO(to)) != 0;
}

#endif
