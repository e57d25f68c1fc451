/*
 * facts.h - what a process reports about a shard, as JSON for leat.workers (column `said`): a list
 * of facts, each an object with a kind, the time since which it is true and a sentence for people
 * (`words`); members that do not apply are left out. A new kind is one more call; `leat status`
 * shows the sentence of a kind that it does not know.
 *
 * ASCII only, so that any database encoding can store it; bytes that are not valid UTF-8 are
 * replaced. Bounded: a fact that has no room is left out and counted; earlier ones stay. So what
 * edges go by comes first, and the last fact says how many are not there.
 */
#ifndef LEAT_APPLY_FACTS_H
#define LEAT_APPLY_FACTS_H

#include "base/buf.h"
#include "sink/shard.h"

enum {
    LEAT_FACTS_BYTES_MAX = 24 * 1024, /* with the one that says how many are left out */
    LEAT_FACTS_MAX = 200,
    LEAT_FACT_TEXT_SIZE = 1024,
};

/* Zeroed: none yet. */
typedef struct leat_facts {
    leat_buf json; /* an object for each, with commas between them */
    uint32_t count;
    uint32_t left_out;
    uint32_t ends[LEAT_FACTS_MAX]; /* of each in `json` */
} leat_facts;

typedef struct leat_fact {
    const char *kind;  /* "stalled", "halted", "table", "stopped", "full", "stuck", "parked_full",
                          "unanswered", "slow", "outage", "lock", "commit", "left_out", ... */
    const char *text;  /* one sentence; the member "words" */
    int64_t since_ms;  /* since 1970, this process's clock; -1: not known */
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

void leat_facts_free(leat_facts *facts);
/* Adds it, or counts it as left out. */
void leat_facts_add(leat_facts *facts, const leat_fact *fact);
/* Adds those of `from`, the first ones first, each that has room in `most` bytes; and what `from`
 * has left out. */
void leat_facts_join(leat_facts *facts, const leat_facts *from, size_t most);
/* Once, after all others: if any are left out, a fact that says so. There is room for it. */
void leat_facts_end(leat_facts *facts);
/* How many bytes are free now for facts. */
size_t leat_facts_room(const leat_facts *facts);

#endif
