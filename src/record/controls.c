/*
 * Controls are few and records are many: a set is a table of hashes, so that a record costs two
 * lookups while there are controls and one load while there are none. Sets are published under a
 * lock, which workers take only when the version has changed. A set that only confirms the one
 * before keeps the version, since a new version makes every worker look at all that waits.
 */
#include "record/controls.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MIN = 64 }; /* of a tenant or key, however little room there is */
enum { SLOTS = 2048 };   /* a power of two, twice as many as there may be controls */
_Static_assert(SLOTS >= 2 * LEAT_CONTROLS_MAX, "a search ends at an empty slot");

struct leat_control_set {
    _Atomic uint32_t holders;
    uint32_t count;
    uint32_t capacity;
    uint32_t keys;  /* controls of a key */
    uint32_t holds; /* that hold */
    leat_control *controls;
    uint16_t *slots; /* [SLOTS]: index + 1, by the hash of `what`; 0: empty. NULL: no control yet */
};

/* How much of a tenant or key is shown beside `rest` other characters. What follows a long key says
 * more, so it is cut where there is no room for all of it. */
static size_t shown_size(const char *what, size_t rest, size_t size)
{
    enum { DOTS = 3 };
    size_t length = strlen(what);
    if (rest + length < size)
        return length;
    size_t room = size > rest + DOTS ? size - rest - DOTS - 1 : 0;
    size_t most = room > SHOWN_MIN ? room : SHOWN_MIN;
    return length < most ? length : most;
}

static void name_between(const char *before, const char *table, const char *what, const char *after,
                         char *ret, size_t size)
{
    const char *kind = table ? "key " : "tenant ", *gap = table ? " " : "";
    table = table ? table : "";
    size_t rest = strlen(before) + strlen(kind) + strlen(table) + strlen(gap) + strlen(after);
    size_t shown = shown_size(what, rest, size);
    snprintf(ret, size, "%s%s%s%s%.*s%s%s", before, kind, table, gap, (int)shown, what,
             shown < strlen(what) ? "..." : "", after);
}

void leat_control_name(const char *table, const char *what, char *ret, size_t size)
{
    name_between("", table, what, "", ret, size);
}

void leat_control_describe(const leat_control *control, char *ret, size_t size)
{
    char before[64], after[LEAT_CONTROL_TIME_SIZE + LEAT_CONTROL_REASON_MAX + 16];
    snprintf(before, sizeof before, "%s by control %" PRId64 " of ",
             control->holds ? "held" : "skipped", control->id);
    snprintf(after, sizeof after, " until %s%s%s", control->until, *control->reason ? ": " : "",
             control->reason);
    name_between(before, control->table, control->what, after, ret, size);
}

leat_slice leat_flood_name(leat_slice tenant, char room[LEAT_FLOOD_NAME_SIZE])
{
    enum { HASH_SIZE = 17 }; /* with its # */
    if (tenant.size < LEAT_FLOOD_NAME_SIZE)
        return tenant;
    snprintf(room, LEAT_FLOOD_NAME_SIZE, "%.*s#%016" PRIx64, LEAT_FLOOD_NAME_SIZE - 1 - HASH_SIZE,
             tenant.data, leat_hash(tenant));
    return leat_slice_of(room);
}

/* ---- a set ---- */

leat_control_set *leat_control_set_new(void)
{
    leat_control_set *set = leat_must_calloc(1, sizeof *set);
    atomic_init(&set->holders, 1);
    return set;
}

static void index_last(leat_control_set *set)
{
    const char *what = set->controls[set->count - 1].what;
    uint32_t at = (uint32_t)leat_hash(leat_slice_of(what)) % SLOTS;
    if (!set->slots)
        set->slots = leat_must_calloc(SLOTS, sizeof *set->slots);
    while (set->slots[at] != 0)
        at = (at + 1) % SLOTS;
    set->slots[at] = (uint16_t)set->count;
}

int leat_control_set_add(leat_control_set *set, const leat_control *control)
{
    LEAT_ASSERT(control->what && control->reason);
    if (set->count == LEAT_CONTROLS_MAX)
        return -1;
    if (set->count == set->capacity) {
        set->capacity = set->capacity ? 2 * set->capacity : 8;
        set->controls = realloc(set->controls, set->capacity * sizeof *set->controls);
        LEAT_ASSERT(set->controls); /* a few hundred kilobytes at most */
    }
    leat_control *own = &set->controls[set->count++];
    *own = *control;
    own->table = control->table ? leat_must_strdup(control->table) : NULL;
    own->what = leat_must_strdup(control->what);
    own->reason = leat_must_strdup(control->reason);
    set->keys += own->table != NULL;
    set->holds += own->holds;
    index_last(set);
    return 0;
}

uint32_t leat_control_set_count(const leat_control_set *set)
{
    return set->count;
}

const leat_control *leat_control_set_at(const leat_control_set *set, uint32_t index)
{
    LEAT_ASSERT(index < set->count);
    return &set->controls[index];
}

/* `table` NULL: a tenant's. */
static const leat_control *find(const leat_control_set *set, const char *table, leat_slice what,
                                int64_t now_us)
{
    uint32_t at = (uint32_t)leat_hash(what) % SLOTS;
    for (; set->slots[at] != 0; at = (at + 1) % SLOTS) {
        const leat_control *control = &set->controls[set->slots[at] - 1];
        if (now_us < control->until_us && leat_slice_is(what, control->what) &&
            (table ? control->table && strcmp(table, control->table) == 0 : !control->table))
            return control;
    }
    return NULL;
}

const leat_control *leat_control_set_find(const leat_control_set *set, const leat_item *item,
                                          int64_t now_us)
{
    return item->route && !item->fault
               ? leat_control_set_find_key(set, item->route, item->canonical_key, now_us)
               : NULL;
}

const leat_control *leat_control_set_find_key(const leat_control_set *set, const leat_route *route,
                                              leat_slice key, int64_t now_us)
{
    const leat_control *found = NULL;
    if (set->keys > 0)
        found = find(set, route->table->label, key, now_us);
    if (!found && set->keys < set->count && route->tenant_key_position >= 0)
        found = leat_control_set_find_tenant(set, leat_route_tenant(route, key), now_us);
    return found;
}

const leat_control *leat_control_set_find_tenant(const leat_control_set *set, leat_slice tenant,
                                                 int64_t now_us)
{
    return set->count > set->keys && tenant.size > 0 ? find(set, NULL, tenant, now_us) : NULL;
}

uint32_t leat_control_set_holds(const leat_control_set *set)
{
    return set->holds;
}

uint32_t leat_control_set_active(const leat_control_set *set, int64_t now_us)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < set->count; i++)
        count += now_us < set->controls[i].until_us;
    return count;
}

void leat_control_set_drop(leat_control_set *set)
{
    if (!set || atomic_fetch_sub_explicit(&set->holders, 1, memory_order_acq_rel) > 1)
        return;
    for (uint32_t i = 0; i < set->count; i++) {
        free((char *)(uintptr_t)set->controls[i].table);
        free((char *)(uintptr_t)set->controls[i].what);
        free((char *)(uintptr_t)set->controls[i].reason);
    }
    free(set->controls);
    free(set->slots);
    free(set);
}

/* ---- the sets of all shards ---- */

typedef struct shard_controls {
    _Atomic uint32_t version;
    leat_control_set *set; /* as the next, under the lock */
    int64_t read_us;
} shard_controls;

struct leat_controls {
    pthread_mutex_t lock;
    uint32_t shard_count;
    shard_controls *shards;
};

leat_controls *leat_controls_new(uint32_t shard_count)
{
    leat_controls *controls = leat_must_calloc(1, sizeof *controls);
    int made = pthread_mutex_init(&controls->lock, NULL);
    LEAT_ASSERT(made == 0);
    controls->shard_count = shard_count;
    controls->shards = leat_must_calloc(shard_count, sizeof *controls->shards);
    for (uint32_t i = 0; i < shard_count; i++)
        controls->shards[i].set = leat_control_set_new();
    return controls;
}

void leat_controls_free(leat_controls *controls)
{
    if (!controls)
        return;
    for (uint32_t i = 0; i < controls->shard_count; i++)
        leat_control_set_drop(controls->shards[i].set);
    pthread_mutex_destroy(&controls->lock);
    free(controls->shards);
    free(controls);
}

/* The same controls with the same ends: an id is never used again, and an end that was moved has
 * another text. */
static bool is_same(const leat_control_set *a, const leat_control_set *b)
{
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = a->controls[i].id == b->controls[i].id &&
               strcmp(a->controls[i].what, b->controls[i].what) == 0 &&
               strcmp(a->controls[i].until, b->controls[i].until) == 0 &&
               strcmp(a->controls[i].reason, b->controls[i].reason) == 0 &&
               a->controls[i].keep == b->controls[i].keep &&
               a->controls[i].holds == b->controls[i].holds;
    return same;
}

void leat_controls_publish(leat_controls *controls, uint32_t shard, leat_control_set *set,
                           int64_t read_us)
{
    LEAT_ASSERT(shard < controls->shard_count && set);
    shard_controls *at = &controls->shards[shard];
    pthread_mutex_lock(&controls->lock);
    leat_control_set *old = set;
    if (read_us >= at->read_us) {
        at->read_us = read_us;
        if (!is_same(at->set, set)) {
            old = at->set;
            at->set = set;
            atomic_fetch_add_explicit(&at->version, 1, memory_order_release);
        }
    }
    pthread_mutex_unlock(&controls->lock);
    leat_control_set_drop(old);
}

uint32_t leat_controls_version(const leat_controls *controls, uint32_t shard)
{
    LEAT_ASSERT(shard < controls->shard_count);
    return atomic_load_explicit(&controls->shards[shard].version, memory_order_acquire);
}

leat_control_set *leat_controls_hold(leat_controls *controls, uint32_t shard)
{
    LEAT_ASSERT(shard < controls->shard_count);
    pthread_mutex_lock(&controls->lock);
    leat_control_set *set = controls->shards[shard].set;
    atomic_fetch_add_explicit(&set->holders, 1, memory_order_relaxed);
    pthread_mutex_unlock(&controls->lock);
    return set;
}
