/*
 * revoke.h - giving a partition back.
 */
#ifndef LEAT_ENGINE_REVOKE_H
#define LEAT_ENGINE_REVOKE_H

#include "engine/state.h"

void leat_revoke_begin(leat_engine *engine, leat_partition *partition);
/* Something it may have waited for has happened. */
void leat_revoke_advance(leat_engine *engine, leat_partition *partition);
/* Gives it back now. */
void leat_revoke_end(leat_engine *engine, leat_partition *partition);

#endif
