/*
 * key_state.h - the row that a key's writes ask for, followed record by record. It is the naive
 * reading of the API (docs/http.md): each write by itself, onto what the writes before it have
 * made. `leat verify` holds what it says against the row that is there.
 *
 * Only what follows from the writes is known. A column is *known* once a write has set it: from a
 * PUT or DELETE on, which say everything, or by a value of its own. An operation on a column of
 * which nothing is known leaves it *unknown*; so does what depends on the moment of writing (a
 * `max` with a step), and a sum of which nobody can say how it was rounded. A column that no write
 * has named is neither: the database made its value.
 *
 * Pure; one thread.
 */
#ifndef LEAT_RECORD_KEY_STATE_H
#define LEAT_RECORD_KEY_STATE_H

#include "record/body.h"
#include "record/fold.h"

typedef enum leat_row_there {
    LEAT_ROW_UNKNOWN, /* the writes do not say */
    LEAT_ROW_ABSENT,
    LEAT_ROW_PRESENT,
} leat_row_there;

typedef struct leat_key_state {
    leat_row_there row;
    bool from_defaults;            /* the row's life began with a write that was seen */
    uint64_t known;                /* columns whose value the writes say */
    uint64_t operated;             /* of these: the value is an operand for the column's default */
    uint64_t unknown;              /* columns that were written, and cannot be known */
    leat_merge merge;              /* the SQL that the operands of `merge` need */
    const leat_route *operated_by; /* whose operations; NULL: none */
    leat_value *values;            /* by column index, those known; owned. NULL: none is */
    char *texts;                   /* that the values borrow; owned */
    size_t text_bytes;
} leat_key_state;

/* `is_new`: the key had no row before its first write. */
void leat_key_state_init(leat_key_state *state, bool is_new);
void leat_key_state_fini(leat_key_state *state);
/* Nothing is known of the row any more, until a write says it again. */
void leat_key_state_forget(leat_key_state *state);
/* A copy of its own; -1: out of memory. */
int leat_key_state_copy(const leat_key_state *from, leat_key_state *ret) LEAT_MUST_CHECK;
/* What it takes, beside the struct. */
size_t leat_key_state_bytes(const leat_key_state *state, const leat_table *table);

/* The known columns that a row can be held against: all but those whose operand meets a default
 * that is no constant. */
uint64_t leat_key_state_comparable(const leat_key_state *state, const leat_table *table);

/* Memory for following; any number of states, one after the other. */
typedef struct leat_key_follower leat_key_follower;
leat_key_follower *leat_key_follower_new(void); /* NULL: out of memory */
void leat_key_follower_free(leat_key_follower *follower);

typedef enum leat_followed {
    LEAT_FOLLOWED,
    LEAT_FOLLOWED_UNREADABLE, /* the body does not fit the table as it is now: nothing is known of
                                 the row any more */
    LEAT_FOLLOWED_MEMORY,     /* out of memory; the state is as it was */
} leat_followed;

/* The next write of the key that was applied. `key`: as in leat_key. */
leat_followed leat_key_state_follow(leat_key_follower *follower, leat_key_state *state,
                                    const leat_route *route, leat_route_op op, leat_slice body,
                                    const leat_value *key);

#endif
