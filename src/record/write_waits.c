/*
 * write_waits.c - one lock over everything, because each hold of it is short: a worker takes it for
 * a batch in which somebody may be interested, the edge for a request that waits, an asker for a
 * list.
 *
 * A worker may be faster than the edge: it can apply a record before the log's acknowledgement has
 * come back. So from before the append on the partition is wanted, and until the wait is there what
 * is told of it is remembered by place, in a table without chains where a later outcome takes the
 * place of an earlier one. What is lost there is asked in the shard.
 *
 * How often the shard is asked about a write follows from how long it has been waiting: an eighth
 * of that, so that a short wait ends soon and a long one costs little.
 */
#include "record/write_waits.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/pages.h"
#include "base/thread.h"
#include "record/idempotency.h"

enum {
    RECENT = 16384, /* a power of two */
    EACH_EIGHTH = 8,
    EVERY_US = 20 * 1000,
    EVERY_OWNED_US = 250 * 1000,
    EVERY_MAX_US = 1000 * 1000,
};

typedef struct write_outcome {
    uint32_t partition;
    leat_write_state state; /* PENDING: none */
    int64_t offset;
    bool is_repeat;
} write_outcome;

typedef struct write_wait {
    TAILQ_ENTRY(write_wait) link; /* of its shard's, of the decided or of the free ones */
    struct write_wait *next;      /* of its bucket; also one that is decided */
    uint64_t id; /* the slot's index and one, and above it how often that was used */
    leat_write_place place;
    void *owner; /* NULL: free */
    bool takes_pending;
    bool is_decided;
    int64_t since_us;
    int64_t ask_us; /* not before */
    leat_write_answer answer;
} write_wait;

TAILQ_HEAD(write_wait_list, write_wait);

typedef struct write_asker {
    struct write_wait_list waits; /* not decided */
    pthread_cond_t due;
    int64_t sleeps_until_us; /* 0: its thread does not sleep in leat_write_waits_next */
} write_asker;

struct leat_write_waits {
    leat_layout layout;
    uint32_t max;
    uint32_t buckets;           /* a power of two */
    _Atomic uint32_t *wanted;   /* [partitions]: waits and expectations */
    _Atomic uint32_t *expected; /* [partitions]: expectations */
    _Atomic bool *owned;        /* [partitions] */
    _Atomic uint64_t questions;
    pthread_mutex_t lock; /* of all that follows */
    void (*on_decided)(void *context);
    void *context;
    bool has_news; /* decided since `begin` */
    bool is_ending;
    write_wait *slots;   /* [max] */
    uint32_t used;       /* of them, ever: what was never used takes no memory */
    write_wait **bucket; /* [buckets] */
    struct write_wait_list free, decided;
    write_asker askers[LEAT_SHARDS_MAX];
    write_outcome *recent; /* [RECENT] */
};

const char *leat_write_state_name(leat_write_state state)
{
    static const char *const names[LEAT_WRITE_STATE_COUNT] = {
        [LEAT_WRITE_PENDING] = "pending",
        [LEAT_WRITE_APPLIED] = "applied",
        [LEAT_WRITE_DEAD_LETTER] = "dead_letter",
        [LEAT_WRITE_HELD] = "held",
        [LEAT_WRITE_SKIPPED] = "skipped"};
    LEAT_ASSERT(state < LEAT_WRITE_STATE_COUNT);
    return names[state];
}

/* ---- by place ---- */

static uint64_t mix(uint32_t partition, int64_t offset)
{
    uint64_t x = (uint64_t)offset + partition * UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    return x ^ x >> 31;
}

static write_wait **bucket_of(const leat_write_waits *waits, uint32_t partition, int64_t offset)
{
    return &waits->bucket[mix(partition, offset) & (waits->buckets - 1)];
}

static write_outcome *recent_of(leat_write_waits *waits, uint32_t partition, int64_t offset)
{
    return &waits->recent[mix(partition, offset) & (RECENT - 1)];
}

static write_asker *asker_of(leat_write_waits *waits, uint32_t partition)
{
    return &waits->askers[leat_layout_shard_of_partition(&waits->layout, partition)];
}

/* ---- a wait's life ---- */

static void put_in_bucket(leat_write_waits *waits, write_wait *at)
{
    write_wait **bucket = bucket_of(waits, at->place.partition, at->place.offset);
    at->next = *bucket;
    *bucket = at;
}

static void take_from_bucket(leat_write_waits *waits, const write_wait *at)
{
    write_wait **link = bucket_of(waits, at->place.partition, at->place.offset);
    while (*link != at) {
        LEAT_ASSERT(*link);
        link = &(*link)->next;
    }
    *link = at->next;
}

static void decide(leat_write_waits *waits, write_wait *at, const leat_write_answer *answer)
{
    LEAT_ASSERT(at->owner && !at->is_decided);
    TAILQ_REMOVE(&asker_of(waits, at->place.partition)->waits, at, link);
    TAILQ_INSERT_TAIL(&waits->decided, at, link);
    at->is_decided = true;
    at->answer = *answer;
    waits->has_news = true;
}

static void release(leat_write_waits *waits, write_wait *at)
{
    LEAT_ASSERT(at->owner);
    TAILQ_REMOVE(at->is_decided ? &waits->decided : &asker_of(waits, at->place.partition)->waits,
                 at, link);
    take_from_bucket(waits, at);
    at->owner = NULL;
    at->id += (uint64_t)1 << 32;
    TAILQ_INSERT_HEAD(&waits->free, at, link);
    uint32_t before = atomic_fetch_sub(&waits->wanted[at->place.partition], 1);
    LEAT_ASSERT(before > 0);
}

/* NULL: it is gone. */
static write_wait *find(leat_write_waits *waits, uint64_t id)
{
    uint32_t index = (uint32_t)id - 1;
    LEAT_ASSERT(id != 0 && index < waits->max);
    write_wait *at = &waits->slots[index];
    return at->owner && at->id == id ? at : NULL;
}

static void call_edge(leat_write_waits *waits)
{
    if (waits->has_news && waits->on_decided)
        waits->on_decided(waits->context);
    waits->has_news = false;
}

/* ---- the edge ---- */

void leat_write_waits_listen(leat_write_waits *waits, void (*on_decided)(void *context),
                             void *context)
{
    pthread_mutex_lock(&waits->lock);
    waits->on_decided = on_decided;
    waits->context = context;
    pthread_mutex_unlock(&waits->lock);
}

void leat_write_waits_expect(leat_write_waits *waits, uint32_t partition)
{
    LEAT_ASSERT(partition < waits->layout.partition_count);
    atomic_fetch_add(&waits->expected[partition], 1);
    atomic_fetch_add(&waits->wanted[partition], 1);
}

void leat_write_waits_expected(leat_write_waits *waits, uint32_t partition)
{
    uint32_t before = atomic_fetch_sub(&waits->wanted[partition], 1);
    LEAT_ASSERT(before > 0);
    before = atomic_fetch_sub(&waits->expected[partition], 1);
    LEAT_ASSERT(before > 0);
}

static int64_t every_us(const leat_write_waits *waits, uint32_t partition)
{
    return atomic_load(&waits->owned[partition]) ? EVERY_OWNED_US : EVERY_US;
}

static void begin_wait(leat_write_waits *waits, write_wait *at, int64_t now_us)
{
    const leat_write_place *place = &at->place;
    write_asker *asker = asker_of(waits, place->partition);
    bool asks_at_once = at->takes_pending || !atomic_load(&waits->owned[place->partition]);
    at->is_decided = false;
    at->since_us = now_us;
    at->ask_us = asks_at_once ? now_us : now_us + EVERY_OWNED_US;
    atomic_fetch_add(&waits->wanted[place->partition], 1);
    put_in_bucket(waits, at);
    TAILQ_INSERT_TAIL(&asker->waits, at, link);
    const write_outcome *recent = recent_of(waits, place->partition, place->offset);
    if (recent->state != LEAT_WRITE_PENDING && recent->partition == place->partition &&
        recent->offset == place->offset) {
        leat_write_answer answer = {.state = recent->state};
        if (recent->is_repeat)
            snprintf(answer.message, sizeof answer.message, "%s", leat_idempotency_repeat);
        decide(waits, at, &answer);
    } else if (at->ask_us < asker->sleeps_until_us) {
        pthread_cond_signal(&asker->due);
    }
}

/* NULL: there are `max`. */
static write_wait *take_free(leat_write_waits *waits)
{
    write_wait *at = TAILQ_FIRST(&waits->free);
    if (at) {
        TAILQ_REMOVE(&waits->free, at, link);
    } else if (waits->used < waits->max) {
        at = &waits->slots[waits->used++];
        at->id = waits->used;
    }
    return at;
}

uint64_t leat_write_waits_add(leat_write_waits *waits, const leat_write_place *place,
                              bool takes_pending, void *owner)
{
    LEAT_ASSERT(owner && place->partition < waits->layout.partition_count);
    pthread_mutex_lock(&waits->lock);
    write_wait *at = take_free(waits);
    uint64_t id = at ? at->id : 0;
    if (at) {
        at->place = *place;
        at->owner = owner;
        at->takes_pending = takes_pending;
        begin_wait(waits, at, leat_mono_us());
        call_edge(waits);
    }
    pthread_mutex_unlock(&waits->lock);
    return id;
}

void leat_write_waits_remove(leat_write_waits *waits, uint64_t id)
{
    pthread_mutex_lock(&waits->lock);
    write_wait *at = find(waits, id);
    if (at)
        release(waits, at);
    pthread_mutex_unlock(&waits->lock);
}

uint32_t leat_write_waits_take(leat_write_waits *waits, leat_write_decided *ret, uint32_t most)
{
    uint32_t count = 0;
    write_wait *at;
    pthread_mutex_lock(&waits->lock);
    while (count < most && (at = TAILQ_FIRST(&waits->decided))) {
        ret[count++] = (leat_write_decided){at->owner, at->answer};
        release(waits, at);
    }
    pthread_mutex_unlock(&waits->lock);
    return count;
}

/* ---- workers ---- */

void leat_write_waits_own(leat_write_waits *waits, uint32_t partition, bool is_owned)
{
    LEAT_ASSERT(partition < waits->layout.partition_count);
    atomic_store(&waits->owned[partition], is_owned);
}

bool leat_write_waits_is_wanted(const leat_write_waits *waits, uint32_t partition)
{
    return atomic_load(&waits->wanted[partition]) > 0;
}

void leat_write_waits_begin(leat_write_waits *waits)
{
    pthread_mutex_lock(&waits->lock);
}

bool leat_write_waits_wants(const leat_write_waits *waits, uint32_t partition, int64_t offset)
{
    bool wants = atomic_load(&waits->expected[partition]) > 0;
    for (const write_wait *at = *bucket_of(waits, partition, offset); at && !wants; at = at->next)
        wants = at->place.partition == partition && at->place.offset == offset;
    return wants;
}

/* What nobody is about to wait for would only wipe what somebody is; but an outcome that is there
 * does not become outdated. */
static void remember(leat_write_waits *waits, uint32_t partition, int64_t offset,
                     leat_write_state state, bool is_repeat)
{
    write_outcome *recent = recent_of(waits, partition, offset);
    bool is_there = recent->partition == partition && recent->offset == offset;
    bool is_whole = state == LEAT_WRITE_APPLIED || state == LEAT_WRITE_SKIPPED;
    if (is_there || atomic_load(&waits->expected[partition]) > 0)
        *recent = (write_outcome){partition, is_whole ? state : LEAT_WRITE_PENDING, offset,
                                  is_whole && is_repeat};
}

void leat_write_waits_tell(leat_write_waits *waits, uint32_t partition, int64_t offset,
                           leat_write_state state, const char *sqlstate, const char *message)
{
    LEAT_ASSERT(state != LEAT_WRITE_PENDING && state < LEAT_WRITE_STATE_COUNT);
    LEAT_ASSERT(partition < waits->layout.partition_count);
    remember(waits, partition, offset, state, state == LEAT_WRITE_APPLIED && message);
    for (write_wait *at = *bucket_of(waits, partition, offset); at; at = at->next) {
        if (at->is_decided || at->place.partition != partition || at->place.offset != offset)
            continue;
        leat_write_answer answer = {.state = state};
        snprintf(answer.sqlstate, sizeof answer.sqlstate, "%s", sqlstate ? sqlstate : "");
        snprintf(answer.message, sizeof answer.message, "%s", message ? message : "");
        decide(waits, at, &answer);
    }
}

void leat_write_waits_end(leat_write_waits *waits)
{
    call_edge(waits);
    pthread_mutex_unlock(&waits->lock);
}

/* ---- askers ---- */

/* Those that are asked about go behind all others: where more are due than one question takes, each
 * has its turn. */
static uint32_t take_due(leat_write_waits *waits, write_asker *asker, leat_write_question *ret,
                         uint32_t most, int64_t now_us, int64_t *ret_next_us)
{
    uint32_t count = 0;
    write_wait *next;
    for (write_wait *at = TAILQ_FIRST(&asker->waits); at; at = next) {
        next = TAILQ_NEXT(at, link);
        if (at->ask_us > now_us || count == most) {
            *ret_next_us = at->ask_us < *ret_next_us ? at->ask_us : *ret_next_us;
            continue;
        }
        int64_t least = every_us(waits, at->place.partition);
        int64_t pause_us = (now_us - at->since_us) / EACH_EIGHTH;
        pause_us = pause_us > EVERY_MAX_US ? EVERY_MAX_US : pause_us;
        at->ask_us = now_us + (pause_us < least ? least : pause_us);
        ret[count++] = (leat_write_question){at->id, at->place};
        TAILQ_REMOVE(&asker->waits, at, link);
        TAILQ_INSERT_TAIL(&asker->waits, at, link);
    }
    return count;
}

static void sleep_until(leat_write_waits *waits, write_asker *asker, int64_t until_us)
{
    asker->sleeps_until_us = until_us;
    leat_cond_wait_until(&asker->due, &waits->lock, until_us);
    asker->sleeps_until_us = 0;
}

uint32_t leat_write_waits_next(leat_write_waits *waits, uint32_t shard, leat_write_question *ret,
                               uint32_t most, int64_t idle_us)
{
    LEAT_ASSERT(shard < waits->layout.shard_count && most > 0);
    write_asker *asker = &waits->askers[shard];
    uint32_t count = 0;
    pthread_mutex_lock(&waits->lock);
    int64_t now_us = leat_mono_us(), end_us = now_us + idle_us;
    while (!waits->is_ending && now_us < end_us) {
        int64_t next_us = end_us;
        count = take_due(waits, asker, ret, most, now_us, &next_us);
        if (count > 0)
            break;
        sleep_until(waits, asker, next_us);
        now_us = leat_mono_us();
    }
    pthread_mutex_unlock(&waits->lock);
    return count;
}

void leat_write_waits_answer(leat_write_waits *waits, const leat_write_question *questions,
                             const leat_write_answer *answers, uint32_t count)
{
    atomic_fetch_add(&waits->questions, 1);
    pthread_mutex_lock(&waits->lock);
    for (uint32_t i = 0; i < count; i++) {
        write_wait *at = find(waits, questions[i].id);
        bool is_answer = answers[i].state != LEAT_WRITE_PENDING || (at && at->takes_pending);
        if (at && !at->is_decided && is_answer)
            decide(waits, at, &answers[i]);
    }
    call_edge(waits);
    pthread_mutex_unlock(&waits->lock);
}

bool leat_write_waits_pause(leat_write_waits *waits, uint32_t shard, int64_t us)
{
    int64_t until_us = leat_mono_us() + us;
    pthread_mutex_lock(&waits->lock);
    while (!waits->is_ending && leat_mono_us() < until_us)
        leat_cond_wait_until(&waits->askers[shard].due, &waits->lock, until_us);
    bool goes_on = !waits->is_ending;
    pthread_mutex_unlock(&waits->lock);
    return goes_on;
}

void leat_write_waits_stop_asking(leat_write_waits *waits)
{
    pthread_mutex_lock(&waits->lock);
    waits->is_ending = true;
    for (uint32_t i = 0; i < waits->layout.shard_count; i++)
        pthread_cond_broadcast(&waits->askers[i].due);
    pthread_mutex_unlock(&waits->lock);
}

uint64_t leat_write_waits_questions(const leat_write_waits *waits)
{
    return atomic_load(&waits->questions);
}

/* ---- the table ---- */

static void init_askers(leat_write_waits *waits)
{
    for (uint32_t i = 0; i < waits->layout.shard_count; i++) {
        TAILQ_INIT(&waits->askers[i].waits);
        leat_cond_init(&waits->askers[i].due);
    }
}

leat_write_waits *leat_write_waits_new(const leat_layout *layout, uint32_t max)
{
    LEAT_ASSERT(layout->partition_count > 0 && max > 0);
    leat_write_waits *waits = leat_must_calloc(1, sizeof *waits);
    waits->layout = *layout;
    waits->max = max;
    for (waits->buckets = 1; waits->buckets < max; waits->buckets *= 2)
        ;
    waits->wanted = leat_must_calloc(layout->partition_count, sizeof *waits->wanted);
    waits->expected = leat_must_calloc(layout->partition_count, sizeof *waits->expected);
    waits->owned = leat_must_calloc(layout->partition_count, sizeof *waits->owned);
    waits->slots = leat_must_pages(max, sizeof *waits->slots);
    waits->bucket = leat_must_pages(waits->buckets, sizeof(write_wait *));
    waits->recent = leat_must_pages(RECENT, sizeof *waits->recent);
    int status = pthread_mutex_init(&waits->lock, NULL);
    LEAT_ASSERT(status == 0);
    TAILQ_INIT(&waits->free);
    TAILQ_INIT(&waits->decided);
    init_askers(waits);
    return waits;
}

void leat_write_waits_free(leat_write_waits *waits)
{
    if (!waits)
        return;
    for (uint32_t i = 0; i < waits->layout.shard_count; i++)
        pthread_cond_destroy(&waits->askers[i].due);
    pthread_mutex_destroy(&waits->lock);
    free((void *)(uintptr_t)waits->wanted);
    free((void *)(uintptr_t)waits->expected);
    free((void *)(uintptr_t)waits->owned);
    leat_pages_free(waits->slots, waits->max * sizeof *waits->slots);
    leat_pages_free(waits->bucket, waits->buckets * sizeof(write_wait *));
    leat_pages_free(waits->recent, RECENT * sizeof *waits->recent);
    free(waits);
}
