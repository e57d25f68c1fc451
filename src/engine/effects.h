/*
 * effects.h - notes that a partition has something for the caller.
 */
#ifndef LEAT_ENGINE_EFFECTS_H
#define LEAT_ENGINE_EFFECTS_H

#include "engine/state.h"

void leat_emit(leat_engine *engine, leat_partition *partition, uint8_t what);

#endif
