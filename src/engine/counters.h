/*
 * counters.h - what an engine has counted since it was made.
 */
#ifndef LEAT_ENGINE_COUNTERS_H
#define LEAT_ENGINE_COUNTERS_H

#include "base/base.h"

typedef struct leat_engine_counters {
    uint64_t records_taken;       /* into memory, from the log */
    uint64_t records_dropped;     /* out of it, undone: their partition was given back, or is
                                     claimed anew and they are read again */
    uint64_t records_applied;     /* dead letters are not among them, and kept ones neither */
    uint64_t records_skipped;     /* read again, applied before */
    uint64_t records_left_out;    /* committed without being written: leat_engine_skip */
    uint64_t records_repeated;    /* likewise: leat_engine_repeat, those that follow among them */
    uint64_t records_conflicting; /* which are dead letters, and counted there too */
    uint64_t batches_repeated;    /* sent again because of such records */
    uint64_t batches_applied;
    uint64_t batches_fenced;
    uint64_t batches_unknown;
    uint64_t batches_failed; /* an ERROR came back */
    uint64_t batches_stale;  /* done under an old claim or for a lost partition: ignored */
    uint64_t went_back;
    uint64_t dead_letters;    /* committed as such */
    uint64_t keys_held;       /* how often a refusal has made a key held */
    uint64_t records_kept;    /* of held keys, the refused ones among them */
    uint64_t records_retried; /* by the owner: applied, or left out, after they were kept */
    uint64_t keys_let_go;     /* likewise, with nothing left of them */
    uint64_t tables_stopped;  /* now; in two shards counts as two */
    uint64_t shards_halted;   /* now */
    uint64_t claims;
    uint64_t compactions;
    uint64_t records_parked;
    uint64_t records_unparked; /* applied, or kept as dead letters, out of chunks */
    uint64_t parks;            /* applied */
    uint64_t unparks;          /* likewise */
    uint64_t loads;
    uint64_t park_failures; /* parks and loads that failed with an ERROR */
} leat_engine_counters;

#endif
