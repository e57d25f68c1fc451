/*
 * The keys that a walk has met, in a hash table that grows. A key follows its writes as they come;
 * from the first one on that is not decided it keeps them, because whether that one counts is known
 * only at the end, and the later ones build upon it.
 */
#include <stdlib.h>
#include <string.h>

#include "verify/internal.h"

enum { BUCKETS_MIN = 1024 };

void verify_keys_init(verify_keys *keys)
{
    *keys = (verify_keys){.bucket_count = BUCKETS_MIN};
    keys->buckets = leat_must_calloc(BUCKETS_MIN, sizeof *keys->buckets);
}

static void free_key(verify_key *key)
{
    verify_records_free(key->waiting);
    leat_key_state_fini(&key->state);
    free(key->once);
    free(key);
}

void verify_keys_fini(verify_keys *keys)
{
    for (uint32_t b = 0; b < keys->bucket_count; b++) {
        verify_key *key = keys->buckets[b];
        while (key) {
            verify_key *next = key->next;
            free_key(key);
            key = next;
        }
    }
    free(keys->buckets);
    *keys = (verify_keys){0};
}

bool verify_is_in_share(const leat_verify *v, uint64_t spread)
{
    return (spread & v->share.mask) == v->share.bits;
}

/* ---- find and add ---- */

/* The bits of the walks are the lowest ones. */
static verify_key **bucket_of(const verify_keys *keys, uint64_t spread)
{
    return &keys->buckets[(spread >> 32) & (keys->bucket_count - 1)];
}

static void grow(verify_keys *keys)
{
    verify_keys larger = {.bucket_count = keys->bucket_count * 2};
    larger.buckets = leat_must_calloc(larger.bucket_count, sizeof *larger.buckets);
    for (uint32_t b = 0; b < keys->bucket_count; b++) {
        verify_key *key = keys->buckets[b];
        while (key) {
            verify_key *next = key->next, **to = bucket_of(&larger, key->spread);
            key->next = *to;
            *to = key;
            key = next;
        }
    }
    free(keys->buckets);
    keys->buckets = larger.buckets;
    keys->bucket_count = larger.bucket_count;
}

/* Its table's own bytes count, too. */
static size_t size_of(const verify_key *key)
{
    return sizeof *key + key->size + 2 * sizeof(void *) +
           leat_key_state_bytes(&key->state, key->route->table) + key->waiting_bytes +
           key->once_room * sizeof *key->once;
}

/* Did the range see the key's life from its beginning on? */
static bool is_new(const leat_verify *v, uint32_t partition)
{
    return !v->config->adopted && v->config->since_ms == 0 && v->starts[partition] == 0 &&
           v->spans[partition].from == 0 && !v->was_late[partition];
}

static bool is_controlled(const leat_verify *v, uint32_t shard, const verify_record *record)
{
    const leat_control_set *controls = v->shards[shard].controls;
    const leat_control *found =
        controls ? leat_control_set_find_key(controls, record->route, record->key, leat_mono_us())
                 : NULL;
    return found && !found->holds;
}

/* Until when a control that has ended may have skipped its records, by the brokers' clock, which is
 * not the shard's, and with the time that workers need to hear of an end. */
static int64_t skipped_until_ms(const leat_verify *v, uint32_t shard, const verify_record *record)
{
    enum { MARGIN_MS = 60000 };
    const leat_control_set *ended = v->shards[shard].ended;
    if (!ended || leat_control_set_count(ended) == 0)
        return 0;
    const leat_control *of_row =
        leat_control_set_find_key(ended, record->route, record->key, INT64_MIN);
    const leat_control *of_tenant =
        record->route->tenant_key_position >= 0
            ? leat_control_set_find_tenant(ended, leat_route_tenant(record->route, record->key),
                                           INT64_MIN)
            : NULL;
    int64_t until_us = of_row ? of_row->until_us : 0;
    if (of_tenant && of_tenant->until_us > until_us)
        until_us = of_tenant->until_us;
    return until_us > 0 ? until_us / 1000 + MARGIN_MS : 0;
}

static verify_key *add_key(leat_verify *v, const verify_record *record)
{
    verify_keys *keys = &v->keys;
    if (keys->count >= keys->bucket_count)
        grow(keys);
    verify_key *key = calloc(1, sizeof *key + record->key.size);
    if (!key) {
        leat_fail(v->error, "out of memory");
        return NULL;
    }
    key->spread = record->spread;
    key->partition = record->partition;
    key->subpartition = record->subpartition;
    key->shard = leat_layout_shard_of_partition(v->config->layout, record->partition);
    key->route = record->route;
    key->last = -1;
    key->waiting_end = &key->waiting;
    key->size = (uint32_t)record->key.size;
    memcpy(key->key, record->key.data, record->key.size);
    leat_key_state_init(&key->state, is_new(v, record->partition));
    if (is_controlled(v, key->shard, record))
        key->doubt = VERIFY_CONTROLLED;
    key->skipped_until_ms = skipped_until_ms(v, key->shard, record);
    verify_key **to = bucket_of(keys, key->spread);
    key->next = *to;
    *to = key;
    keys->count++;
    keys->bytes += size_of(key);
    return key;
}

/* Two routes on one table share its keys. */
static bool is_key(const verify_key *key, const verify_record *record)
{
    return key->spread == record->spread && key->partition == record->partition &&
           key->route->table_index == record->route->table_index &&
           leat_slice_equal((leat_slice){key->key, key->size}, record->key);
}

verify_key *verify_keys_find(leat_verify *v, const verify_record *record, bool add)
{
    LEAT_ASSERT(record->route);
    verify_key *key = *bucket_of(&v->keys, record->spread);
    while (key && !is_key(key, record))
        key = key->next;
    return key || !add ? key : add_key(v, record);
}

/* ---- what waits ---- */

static size_t record_size(const verify_record *record)
{
    return sizeof *record + record->key.size + record->value.size;
}

void verify_key_drop_waiting(leat_verify *v, verify_key *key)
{
    verify_records_free(key->waiting);
    key->waiting = NULL;
    key->waiting_end = &key->waiting;
    LEAT_ASSERT(v->keys.bytes >= key->waiting_bytes);
    v->keys.bytes -= key->waiting_bytes;
    key->waiting_bytes = 0;
}

void verify_key_wait(leat_verify *v, verify_key *key, verify_record *record)
{
    size_t size = record_size(record);
    record->next = NULL;
    *key->waiting_end = record;
    key->waiting_end = &record->next;
    key->waiting_bytes += size;
    v->keys.bytes += size;
}

/* Of one that has ended it is known which others it may have skipped. */
void verify_key_skip(verify_key *key)
{
    if (key->skipped_until_ms == 0)
        key->doubt = VERIFY_CONTROLLED;
}

/* ---- writes that are sent again ---- */

/* Where it is, or would be. */
static verify_once *place_once(verify_once *set, uint32_t room, uint64_t hash)
{
    uint32_t at = (uint32_t)hash & (room - 1);
    while (set[at].hash != 0 && set[at].hash != hash)
        at = (at + 1) & (room - 1);
    return &set[at];
}

static void grow_once(verify_key *key)
{
    uint32_t room = key->once_room ? 2 * key->once_room : 8;
    verify_once *larger = leat_must_calloc(room, sizeof *larger);
    for (uint32_t i = 0; i < key->once_room; i++)
        if (key->once[i].hash != 0)
            *place_once(larger, room, key->once[i].hash) = key->once[i];
    free(key->once);
    key->once = larger;
    key->once_room = room;
}

typedef enum verify_repeat { IS_FIRST, IS_REPEAT, IS_EITHER } verify_repeat;

/* The first write with its idempotency key may be one that was not read. */
static bool may_repeat_unread(const leat_verify *v, const verify_record *record)
{
    int64_t begun_ms = v->begun_ms[record->partition];
    return begun_ms > 0 && record->accepted_ms <= begun_ms + v->config->idempotency_ms;
}

/* Of the writes with one idempotency key the first has the effect. A later one is known by it for a
 * lifetime; then the shard forgets it some time, depending on what else it has to do. */
static verify_repeat take_once(const leat_verify *v, verify_key *key, const verify_record *record)
{
    if (record->once == 0)
        return IS_FIRST;
    if (2 * (key->once_count + 1) > key->once_room)
        grow_once(key);
    verify_once *once = place_once(key->once, key->once_room, record->once);
    bool may_be_skipped = record->accepted_ms <= key->skipped_until_ms;
    if (once->hash == 0) {
        bool is_repeat = may_repeat_unread(v, record);
        *once = (verify_once){record->once, may_be_skipped || is_repeat ? 0 : record->accepted_ms};
        key->once_count++;
        return is_repeat ? IS_EITHER : IS_FIRST;
    }
    bool is_known = record->accepted_ms - once->accepted_ms <= v->config->idempotency_ms;
    return is_known ? IS_REPEAT : IS_EITHER;
}

int verify_key_follow(leat_verify *v, verify_key *key, const verify_record *record)
{
    leat_key at;
    leat_error error;
    size_t before = size_of(key);
    verify_repeat repeats = take_once(v, key, record);
    v->keys.bytes += size_of(key) - before;
    if (repeats == IS_REPEAT)
        return 0;
    before = size_of(key);
    key->route = record->route;
    key->last = record->offset;
    if (repeats == IS_EITHER || record->accepted_ms <= key->skipped_until_ms) {
        leat_key_state_forget(&key->state);
        v->keys.bytes += size_of(key) - before;
        return 0;
    }
    if (leat_key_decode(record->route, record->key, &at, &error) != 0) {
        key->doubt = VERIFY_UNREADABLE;
        return 0;
    }
    leat_followed followed = leat_key_state_follow(v->follower, &key->state, record->route,
                                                   record->op, record->value, at.values);
    if (followed == LEAT_FOLLOWED_MEMORY)
        return leat_fail(v->error, "out of memory");
    /* A PUT or DELETE says everything again. */
    if (followed == LEAT_FOLLOWED_UNREADABLE)
        key->doubt = key->doubt == VERIFY_SURE ? VERIFY_UNREADABLE : key->doubt;
    else if (key->doubt == VERIFY_UNREADABLE && key->state.from_defaults)
        key->doubt = VERIFY_SURE;
    v->keys.bytes += size_of(key) - before;
    return 0;
}

/* ---- writes that are gone ---- */

/* What waits is followed only at the end, and so would come behind the gap. */
static void forget(leat_verify *v, verify_key *key)
{
    size_t before = size_of(key);
    leat_key_state_forget(&key->state);
    if (key->waiting)
        key->doubt = VERIFY_GONE;
    v->keys.bytes -= before - size_of(key);
}

void verify_keys_forget(leat_verify *v, uint32_t partition)
{
    for (uint32_t b = 0; b < v->keys.bucket_count; b++)
        for (verify_key *key = v->keys.buckets[b]; key; key = key->next)
            if (key->partition == partition)
                forget(v, key);
}

/* ---- fewer keys ---- */

void verify_keys_narrow(leat_verify *v)
{
    for (uint32_t b = 0; b < v->keys.bucket_count; b++) {
        verify_key **at = &v->keys.buckets[b];
        while (*at) {
            verify_key *key = *at;
            if (verify_is_in_share(v, key->spread)) {
                at = &key->next;
                continue;
            }
            *at = key->next;
            for (verify_record *record = key->waiting; record; record = record->next)
                verify_count(v, record); /* their walk counts nothing */
            v->keys.bytes -= size_of(key);
            v->keys.count--;
            free_key(key);
        }
    }
}
