/*
 * facts.h - what a process reports about a shard, as JSON for leat.workers (column `said`): a list
 * of facts, each an object with a kind, the time since which it is true and a sentence for people
 * (`words`); members that do not apply are left out. A new kind is one more call; `leat status`
 * shows the sentence of a kind that it does not know.
 *
 * ASCII only, so that any database encoding can store it; bytes that are not valid UTF-8 are
 * replaced. Bounded: a fact that does not fit is left out; earlier facts stay.
 */
#ifndef LEAT_APPLY_FACTS_H
#define LEAT_APPLY_FACTS_H

#include "base/buf.h"
#include "sink/shard.h"

enum { LEAT_FACTS_BYTES_MAX = 24 * 1024, LEAT_FACT_TEXT_SIZE = 1024 };

typedef struct leat_fact {
    const char *kind;  /* "stalled", "halted", "table", "stopped", "full", "stuck", "parked_full",
                          "unanswered", "slow", "outage", "lock", "commit", ... */
    const char *text;  /* one sentence; the member "words" */
    int64_t since_ms;  /* since 1970, this process's clock */
    bool is_least;     /* it has been so since then or longer; the member "at_least" */
    int64_t partition; /* -1: of none; likewise the next two */
    int64_t subpartition;
    int64_t offset;
    /* how many are in this state (the fact names one of them); 0: does not apply */
    uint32_t count;
    const char *table; /* NULL: of none; likewise the next three */
    const char *outcome;
    const char *sqlstate;
    const char *message;
    int64_t wait_s; /* how long whoever is told of it should wait; 0: does not apply */
    leat_slice key; /* empty: of none; likewise the tenant */
    leat_slice tenant;
} leat_fact;

/* Appends it, with a comma before it unless `out` is empty. False: it does not fit. */
bool leat_facts_add(leat_buf *out, const leat_fact *fact);

#endif
