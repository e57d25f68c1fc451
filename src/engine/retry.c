/*
 * retry.c - the rules of retry.h, each outcome a function. It knows one queue and one attempt, no
 * engine: the caller has put everything else that a rule needs (was a record of the table applied,
 * is an older one undecided) into the attempt. That keeps the rules testable one by one, and it is
 * the only place where a record is found to be dead.
 */
#include "engine/retry.h"

enum {
    CONTENTIONS_UNREPORTED = 3,
    RACES_LOST = 2,
    OUTAGES_UNREPORTED = 3,
    BLOCKED_DELAYS = 7, /* a lock may go at any time: the longest pause is 64 of the shortest */
    OVERDUE_DELAYS = 4, /* the longest back-off, as a count, when patience is over */
    LAST_CALL_DELAYS = OVERDUE_DELAYS + 1, /* half of it is as long as all of the other: see
                                              leat_retry_precedes */
};

/* A refusal of leat's own waits for a catalog read. After this time none comes, and the queue is
 * reported. */
#define CATALOG_READ_UNREPORTED_US (60 * INT64_C(1000000))

static void count_up(uint8_t *counter)
{
    if (*counter < UINT8_MAX)
        (*counter)++;
}

/* How long a piece to try next when the first `suspects` records hold a refused one. */
static uint32_t piece(const leat_retry *retry)
{
    if (retry->suspects <= 1)
        return 1;
    return retry->last_is_it ? retry->suspects - 1 : retry->suspects / 2;
}

void leat_retry_applied(leat_retry *retry, uint32_t records, uint32_t batch_records_max)
{
    LEAT_ASSERT(records > 0);
    retry->contentions = 0;
    retry->delays = 0;
    retry->held = false;
    retry->refused = false;
    retry->waiting = false;
    retry->own = false;
    retry->dead = false;
    retry->timeouts = 0;
    if (retry->suspects > records) {
        /* The prefix was fine, so it is among the other suspects. */
        retry->suspects -= records;
        retry->limit = piece(retry);
        return;
    }
    retry->suspects = 0;
    retry->last_is_it = false;
    retry->alone = false;
    retry->blocked = false;
    if (retry->limit > 0)
        retry->limit = retry->limit >= batch_records_max / 2 ? 0 : retry->limit * 2;
}

int64_t leat_retry_since_us(const leat_retry *retry, int64_t read_us)
{
    return read_us > retry->unwell_us ? read_us : retry->unwell_us;
}

static bool is_waiting(const leat_retry *retry)
{
    return retry->waiting && !retry->dead && !retry->held;
}

/* Only by those that waited before it did, each of which is applied once: its patience does end. */
bool leat_retry_hurry(leat_retry *retry, int64_t mine_us, int64_t since_us)
{
    if (!is_waiting(retry) || mine_us < since_us)
        return false;
    retry->last_call = false;
    retry->delays = 0;
    return true;
}

/* A waiting record precedes only those with a later start, so that no two wait for each other. */
bool leat_retry_precedes(const leat_retry *retry, int64_t read_us, int64_t since_us)
{
    if (is_waiting(retry))
        return !retry->overdue && leat_retry_since_us(retry, read_us) < since_us;
    bool flows = retry->delays == 0 && retry->contentions == 0 && !retry->dead && !retry->held &&
                 !retry->blocked;
    return flows && read_us <= since_us;
}

leat_retry_verdict leat_retry_hold(leat_retry *retry)
{
    retry->held = true;
    count_up(&retry->delays);
    return LEAT_RETRY_HELD;
}

leat_retry_verdict leat_retry_mark_dead(leat_retry *retry, leat_engine_outcome refused_with,
                                        bool holds)
{
    LEAT_ASSERT(retry->refused && retry->alone && retry->limit == 1 && !retry->guarded);
    retry->dead = true;
    retry->holds = holds;
    retry->dead_by = refused_with;
    return LEAT_RETRY_AT_ONCE;
}

/* A catalog read from before the trouble does not count either. */
void leat_retry_unmark_dead(leat_retry *retry)
{
    LEAT_ASSERT(retry->dead);
    retry->dead = false;
    retry->refused = false;
    retry->own = false;
}

static leat_retry_verdict later(leat_retry *retry)
{
    count_up(&retry->delays);
    return LEAT_RETRY_LATER;
}

static bool is_one_record(const leat_retry_attempt *attempt)
{
    return attempt->queues == 1 && attempt->records == 1;
}

/* The next batch is smaller, and its own. */
static void narrow(leat_retry *retry, const leat_retry_attempt *attempt)
{
    retry->alone = true;
    if (attempt->culprit < 0 && attempt->queues > 1)
        return;
    LEAT_ASSERT(attempt->culprit < 0 || (uint32_t)attempt->culprit < attempt->records);
    retry->last_is_it = attempt->culprit >= 0;
    retry->suspects = retry->last_is_it ? (uint32_t)attempt->culprit + 1 : attempt->records;
    retry->limit = piece(retry);
}

/* Others go on meanwhile, whatever this one does: that is the lane's business (contention.h). */
static leat_retry_verdict blocked(leat_retry *retry, const leat_retry_attempt *attempt)
{
    if (!retry->blocked)
        retry->blocked_us = attempt->now_us;
    retry->blocked = true;
    retry->waited_us = attempt->now_us;
    narrow(retry, attempt);
    if (!is_one_record(attempt))
        return LEAT_RETRY_AT_ONCE;
    if (retry->delays < BLOCKED_DELAYS)
        count_up(&retry->delays);
    if (attempt->now_us - retry->blocked_us < attempt->lock_timeout_us)
        return LEAT_RETRY_LATER;
    retry->held = true; /* an operator wants to know */
    return LEAT_RETRY_HELD;
}

static leat_retry_verdict contended(leat_retry *retry, const leat_retry_attempt *attempt)
{
    if (attempt->is_claimed)
        return retry->delays < BLOCKED_DELAYS ? later(retry) : leat_retry_hold(retry);
    count_up(&retry->contentions);
    if (attempt->timed_out && is_one_record(attempt))
        count_up(&retry->timeouts);
    if (attempt->is_lock_wait && attempt->from_rows)
        return blocked(retry, attempt);
    if (attempt->timed_out && attempt->queues == 1 && attempt->records > 1) {
        retry->alone = true;
        retry->limit = attempt->records / 2;
        return LEAT_RETRY_AT_ONCE;
    }
    if (retry->contentions == 1)
        return LEAT_RETRY_AT_ONCE;
    retry->alone = true;
    if (retry->contentions == 2)
        return LEAT_RETRY_AT_ONCE;
    /* A locked row then holds only the records after it, and a batch that timed out becomes
     * smaller. */
    if (attempt->queues == 1 && attempt->records > 1)
        retry->limit = attempt->records / 2;
    if (retry->contentions > CONTENTIONS_UNREPORTED)
        return leat_retry_hold(retry); /* by the owner of the lock: an operator wants to know */
    return later(retry);
}

static leat_retry_verdict await_catalog_read(leat_retry *retry, const leat_retry_attempt *attempt)
{
    if (attempt->now_us - retry->refused_us >= CATALOG_READ_UNREPORTED_US)
        return leat_retry_hold(retry);
    retry->delays = 1;
    return LEAT_RETRY_LATER;
}

static int64_t patience_ends_us(const leat_retry *retry, const leat_retry_attempt *attempt)
{
    return leat_retry_since_us(retry, attempt->read_us) + attempt->patience_us;
}

static leat_retry_verdict not_yet(leat_retry *retry, const leat_retry_attempt *attempt)
{
    bool was_last = retry->waiting && retry->last_call;
    retry->waiting = !attempt->holds;
    if (attempt->holds)
        return LEAT_RETRY_DEAD;
    retry->last_call = !attempt->preceded;
    retry->overdue = attempt->now_us >= patience_ends_us(retry, attempt);
    if (!retry->overdue)
        return later(retry);
    if (was_last && retry->last_call)
        return LEAT_RETRY_DEAD;
    /* The row can only be moments away now. */
    uint8_t most = retry->last_call ? LAST_CALL_DELAYS : OVERDUE_DELAYS;
    retry->delays = retry->last_call || retry->delays >= most ? most : (uint8_t)(retry->delays + 1);
    return LEAT_RETRY_LATER;
}

int64_t leat_retry_delay_us(const leat_retry *retry, const leat_retry_attempt *attempt,
                            int64_t delay_us)
{
    int64_t left_us = patience_ends_us(retry, attempt) - attempt->now_us;
    return (is_waiting(retry) || retry->own) && left_us > 0 && left_us < delay_us ? left_us
                                                                                  : delay_us;
}

/* Reported at once: the code is unknown, or names something that it is not. */
static leat_retry_verdict record_error(leat_retry *retry, const leat_retry_attempt *attempt)
{
    if (!retry->own)
        retry->table_applied = attempt->table_applied;
    retry->own = true;
    bool is_its_own = attempt->table_applied != retry->table_applied;
    bool is_over = attempt->now_us >= patience_ends_us(retry, attempt);
    if (is_its_own && (attempt->holds || (is_over && !attempt->preceded)))
        return LEAT_RETRY_DEAD;
    if (is_its_own && is_over && retry->delays >= OVERDUE_DELAYS)
        retry->delays = OVERDUE_DELAYS - 1;
    return leat_retry_hold(retry);
}

/* One record, alone in its batch, is refused: its fate is decided here and nowhere else. */
static leat_retry_verdict refused_alone(leat_retry *retry, leat_engine_outcome outcome,
                                        const leat_retry_attempt *attempt)
{
    retry->alone = true;
    retry->suspects = 1;
    retry->limit = 1;
    bool first = !retry->refused;
    retry->refused = true;
    if (first)
        retry->refused_us = attempt->now_us;
    retry->own = retry->own && outcome == LEAT_ENGINE_RECORD_ERROR;
    if (outcome == LEAT_ENGINE_NOT_YET)
        return not_yet(retry, attempt);
    retry->waiting = false;
    if (outcome == LEAT_ENGINE_RECORD_ERROR)
        return record_error(retry, attempt);
    if (outcome == LEAT_ENGINE_DRIFT)
        retry->unwell_us = attempt->now_us;
    if (outcome == LEAT_ENGINE_DRIFT)
        return first ? later(retry) : leat_retry_hold(retry);
    /* Never the first time: no catalog read has begun later than now. */
    bool is_read = attempt->catalog_read_us == INT64_MAX ||
                   attempt->catalog_read_us > retry->refused_us;
    return is_read ? LEAT_RETRY_DEAD : await_catalog_read(retry, attempt);
}

static leat_retry_verdict refused(leat_retry *retry, leat_engine_outcome outcome,
                                  const leat_retry_attempt *attempt)
{
    if (is_one_record(attempt))
        return refused_alone(retry, outcome, attempt);
    narrow(retry, attempt);
    return LEAT_RETRY_AT_ONCE;
}

/* The first time all of the batch wait and wake together, so that they can share one again. After
 * that leat has to find out whose error it is: the shard's, and then nothing gets through, or a
 * record's. */
static leat_retry_verdict outage(leat_retry *retry, const leat_retry_attempt *attempt)
{
    bool is_first = retry->delays == 0;
    bool others_pass = attempt->shard_applied != retry->shard_applied;
    retry->shard_applied = attempt->shard_applied;
    if (!attempt->from_rows || !others_pass)
        retry->unwell_us = attempt->now_us;
    if (!attempt->from_rows || is_first)
        return later(retry);
    if (!is_one_record(attempt)) {
        narrow(retry, attempt);
        return others_pass ? LEAT_RETRY_AT_ONCE : later(retry);
    }
    narrow(retry, attempt);
    return retry->delays < OUTAGES_UNREPORTED ? later(retry) : leat_retry_hold(retry);
}

/* It always waits: its record is refused in between, and the two must not spin. */
static leat_retry_verdict letter_failed(leat_retry *retry, leat_engine_outcome outcome)
{
    leat_retry_unmark_dead(retry);
    if (outcome == LEAT_ENGINE_NOT_UNDERSTOOD)
        return LEAT_RETRY_HALT;
    bool passes = outcome == LEAT_ENGINE_OUTAGE ||
                  (outcome == LEAT_ENGINE_CONTENTION && retry->delays < CONTENTIONS_UNREPORTED);
    return passes ? later(retry) : leat_retry_hold(retry);
}

leat_retry_verdict leat_retry_failed(leat_retry *retry, leat_engine_outcome outcome,
                                     const leat_retry_attempt *attempt)
{
    LEAT_ASSERT(attempt->queues > 0 && attempt->records > 0);
    LEAT_ASSERT(outcome == LEAT_ENGINE_CONTENTION || outcome == LEAT_ENGINE_OUTAGE ||
                outcome == LEAT_ENGINE_BAD_DATA || outcome == LEAT_ENGINE_NOT_YET ||
                outcome == LEAT_ENGINE_DRIFT || outcome == LEAT_ENGINE_RECORD_ERROR ||
                outcome == LEAT_ENGINE_NOT_UNDERSTOOD);
    if (outcome == LEAT_ENGINE_OUTAGE || outcome == LEAT_ENGINE_NOT_UNDERSTOOD)
        retry->waiting = retry->own = false;
    if (outcome == LEAT_ENGINE_NOT_UNDERSTOOD)
        retry->unwell_us = attempt->now_us;
    if (retry->dead)
        return letter_failed(retry, outcome);
    if (outcome == LEAT_ENGINE_CONTENTION ||
        (attempt->may_be_race && !retry->refused && retry->contentions < RACES_LOST))
        return contended(retry, attempt);
    retry->contentions = 0;
    retry->blocked = false;
    if (outcome == LEAT_ENGINE_OUTAGE)
        return outage(retry, attempt);
    if (attempt->elsewhere)
        return LEAT_RETRY_AT_ONCE;
    if (outcome == LEAT_ENGINE_NOT_UNDERSTOOD) {
        retry->alone = true;
        return LEAT_RETRY_HALT;
    }
    return refused(retry, outcome, attempt);
}

leat_retry_verdict leat_retry_no_room(leat_retry *retry, const leat_retry_attempt *attempt)
{
    if (retry->dead)
        return letter_failed(retry, LEAT_ENGINE_BAD_DATA);
    if (attempt->elsewhere)
        return LEAT_RETRY_AT_ONCE;
    retry->alone = true;
    if (is_one_record(attempt))
        return leat_retry_hold(retry);
    retry->limit = attempt->culprit > 0 ? (uint32_t)attempt->culprit : 1;
    return LEAT_RETRY_AT_ONCE;
}

int64_t leat_retry_last_call_us(int64_t retry_min_us, int64_t retry_max_us)
{
    int64_t longest_us = retry_min_us << (LAST_CALL_DELAYS - 1);
    return longest_us < retry_max_us ? longest_us : retry_max_us;
}

void leat_retry_dropped(leat_retry *retry)
{
    *retry = (leat_retry){.limit = retry->limit,
                          .suspects = retry->suspects,
                          .last_is_it = retry->last_is_it,
                          .alone = retry->alone,
                          .blocked = retry->blocked,
                          .blocked_us = retry->blocked_us,
                          .waited_us = retry->waited_us};
}
