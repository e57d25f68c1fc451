/*
 * facts.h - what a process has to say of a shard, as JSON for leat.workers (`said`): a list of
 * facts, each an object with a kind, the time it holds since and words for people; members that do
 * not apply are left out. A new kind is one call more; `leat status` shows the words of kinds that
 * it does not know.
 *
 * ASCII only, so that it can be stored whatever the database's encoding; what is no valid text is
 * replaced. Bounded: what has no room is left out, the first facts stay.
 */
#ifndef LEAT_APPLY_FACTS_H
#define LEAT_APPLY_FACTS_H

#include "base/buf.h"

enum { LEAT_FACTS_BYTES_MAX = 24 * 1024, LEAT_FACT_WORDS_SIZE = 1024 };

typedef struct leat_fact {
    const char *kind;  /* "stalled", "halted", "table", "stopped", "full", "stuck", "unanswered",
                          "lock", "commit", ... */
    const char *words; /* one sentence */
    int64_t since_ms;  /* since 1970, this process's clock */
    int64_t partition; /* -1: of none; likewise the next two */
    int64_t subpartition;
    int64_t offset;
    /* how many are so, of which the fact names one; 0: it is not a matter of many */
    uint32_t count;
    const char *table; /* NULL: of none; likewise the next three */
    const char *outcome;
    const char *sqlstate;
    const char *message;
    leat_slice key; /* empty: of none; likewise the tenant */
    leat_slice tenant;
} leat_fact;

/* Appends it, behind a comma if there is something before it. False: there is no room. */
bool leat_facts_add(leat_buf *out, const leat_fact *fact);
/* A JSON string with its quotes, in ASCII. */
void leat_facts_string(leat_buf *out, leat_slice text);

#endif
