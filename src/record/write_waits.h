/*
 * write_waits.h - who waits to hear what became of a write, and who can tell: a table that the
 * edge, the workers of the same process and the askers of its shards (watch/write_watch.h) share.
 *
 * The edge adds a wait once the log has the write. A worker tells what a committed batch did to
 * each of its records: that costs nothing while nobody waits for a write of the partition (one
 * load), and no round trip otherwise. It is only a short cut: what no worker of this process tells
 * is asked in the shard, of all that wait there in one question. So it does not matter whose a
 * partition is, or whether a worker was faster than the edge, and "applied" is never said of what
 * is not committed.
 *
 * Bounded: `max` waits, and a fixed number of outcomes that are remembered for waits that come a
 * moment later. Any thread, unless a function says more. Times are leat_mono_us.
 */
#ifndef LEAT_RECORD_WRITE_WAITS_H
#define LEAT_RECORD_WRITE_WAITS_H

#include "record/write_token.h"

typedef enum leat_write_state {
    LEAT_WRITE_PENDING, /* in the log, or parked */
    LEAT_WRITE_APPLIED, /* committed to the tables */
    LEAT_WRITE_DEAD_LETTER,
    LEAT_WRITE_HELD,    /* kept with its row's other writes, until a retry */
    LEAT_WRITE_SKIPPED, /* by a control */
    LEAT_WRITE_STATE_COUNT
} leat_write_state;
const char *leat_write_state_name(leat_write_state state); /* "pending", "dead_letter", ... */

typedef struct leat_write_answer {
    leat_write_state state;
    char sqlstate[6];  /* DEAD_LETTER, HELD, SKIPPED; "": none, as is the next */
    char message[256]; /* cut */
    bool was_removed;  /* APPLIED, and only an audit tells it: it was a dead letter, which somebody
                          has  deleted; `message` says when, and who where that is known */
} leat_write_answer;

typedef struct leat_write_waits leat_write_waits;

/* `layout` is copied. `max` is above 0. */
leat_write_waits *leat_write_waits_new(const leat_layout *layout, uint32_t max);
void leat_write_waits_free(leat_write_waits *waits); /* NULL: none */

/* ---- the edge; one thread ---- */

/* `on_decided` is called, by any thread and under the table's lock, when leat_write_waits_take has
 * something to give. NULL: nobody listens any more. */
void leat_write_waits_listen(leat_write_waits *waits, void (*on_decided)(void *context),
                             void *context);
/* A write to this partition is on its way to the log and will be waited for: what workers tell from
 * now on is remembered for a moment. To be ended by the other one, after the wait was added. */
void leat_write_waits_expect(leat_write_waits *waits, uint32_t partition);
void leat_write_waits_expected(leat_write_waits *waits, uint32_t partition);

/* `takes_pending`: the shard is asked at once, and whatever it says is the answer. Else PENDING is
 * none. `owner` is not NULL. 0: there are `max`; else its id. */
uint64_t leat_write_waits_add(leat_write_waits *waits, const leat_write_place *place,
                              bool takes_pending, void *owner);
/* It is no longer waited for, decided or not; unless leat_write_waits_take has given it. */
void leat_write_waits_remove(leat_write_waits *waits, uint64_t id);

typedef struct leat_write_decided {
    void *owner;
    leat_write_answer answer;
} leat_write_decided;
/* Those that are decided; they are removed. Returns how many, `most` at most. */
uint32_t leat_write_waits_take(leat_write_waits *waits, leat_write_decided *ret, uint32_t most);

/* ---- workers ---- */

/* A worker of this process reads the partition: the shard is asked less often. */
void leat_write_waits_own(leat_write_waits *waits, uint32_t partition, bool is_owned);
bool leat_write_waits_is_wanted(const leat_write_waits *waits, uint32_t partition);
/* Between begin and end: does somebody wait for this write, or may somebody be about to? */
bool leat_write_waits_wants(const leat_write_waits *waits, uint32_t partition, int64_t offset);
/* What was committed, record by record, between begin and end, which hold the table's lock: the
 * edge waits for it, so of many records some hundreds at a time. `sqlstate` and `message` may be
 * NULL; APPLIED has a message only where the write repeats another (leat_idempotency_repeat). */
void leat_write_waits_begin(leat_write_waits *waits);
void leat_write_waits_tell(leat_write_waits *waits, uint32_t partition, int64_t offset,
                           leat_write_state state, const char *sqlstate, const char *message);
void leat_write_waits_end(leat_write_waits *waits);

/* ---- askers; a thread for each shard ---- */

typedef struct leat_write_question {
    uint64_t id;
    leat_write_place place;
} leat_write_question;
/* Waits until writes of this shard are to be asked about, and returns how many, `most` at most, or
 * 0 after `idle_us` without any, or once the askers are to end. */
uint32_t leat_write_waits_next(leat_write_waits *waits, uint32_t shard, leat_write_question *ret,
                               uint32_t most, int64_t idle_us);
/* [count] each. Waits that were removed meanwhile are passed over. */
void leat_write_waits_answer(leat_write_waits *waits, const leat_write_question *questions,
                             const leat_write_answer *answers, uint32_t count);
/* Waits for as long, or until the askers are to end. False: they are. */
bool leat_write_waits_pause(leat_write_waits *waits, uint32_t shard, int64_t us);
void leat_write_waits_stop_asking(leat_write_waits *waits);
/* How many questions were answered so far, each about any number of writes. */
uint64_t leat_write_waits_questions(const leat_write_waits *waits);

#endif
