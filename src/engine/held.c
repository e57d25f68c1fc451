/*
 * held.c - the set of held keys. The keys are hashes already, so a place is a part of the key. The
 * heap knows keys by their place: one that moves to close a gap leaves the heap and enters it anew.
 */
#include "engine/held.h"

#include <string.h>

uint32_t leat_held_places(uint32_t max)
{
    uint32_t count = 2;
    while (count < 2 * max)
        count *= 2;
    return count;
}

void leat_held_init(leat_held *held, leat_held_place *places, leat_pairing_node *dues, uint16_t *of,
                    uint32_t max, uint32_t each_max)
{
    LEAT_ASSERT(max > 0 && max <= LEAT_HELD_KEYS_MAX && each_max > 0);
    *held = (leat_held){.places = places,
                        .dues = dues,
                        .first_due = LEAT_PAIRING_NONE,
                        .place_count = leat_held_places(max),
                        .max = max,
                        .of = of,
                        .each_max = each_max};
}

static uint32_t home_of(const leat_held *held, uint64_t key)
{
    return (uint32_t)key & (held->place_count - 1);
}

static uint32_t after(const leat_held *held, uint32_t place)
{
    return (place + 1) & (held->place_count - 1);
}

/* Where the key is, or would be. */
static uint32_t place_of(const leat_held *held, uint64_t key)
{
    LEAT_ASSERT(key != 0);
    uint32_t at = home_of(held, key);
    while (held->places[at].key != 0 && held->places[at].key != key)
        at = after(held, at);
    return at;
}

leat_held_place *leat_held_find(const leat_held *held, uint64_t key)
{
    leat_held_place *found = &held->places[place_of(held, key)];
    return found->key != 0 ? found : NULL;
}

leat_held_place *leat_held_add(leat_held *held, uint64_t key, uint16_t subpartition,
                               int64_t since_us)
{
    leat_held_place *place = &held->places[place_of(held, key)];
    if (place->key != 0)
        return place;
    LEAT_ASSERT(!leat_held_is_full(held));
    *place = (leat_held_place){.key = key,
                               .subpartition = subpartition,
                               .since_us = since_us,
                               .due_us = INT64_MAX,
                               .retry_us = INT64_MAX,
                               .look_us = INT64_MAX};
    held->count++;
    held->of[subpartition]++;
    return place;
}

static void enter(leat_held *held, leat_held_place *place, int64_t due_us)
{
    uint32_t at = (uint32_t)(place - held->places);
    LEAT_ASSERT(place->key != 0);
    if (place->due_us != INT64_MAX)
        held->first_due = leat_pairing_remove(held->dues, held->first_due, at);
    place->due_us = due_us;
    if (due_us != INT64_MAX)
        held->first_due = leat_pairing_insert(held->dues, held->first_due, at, due_us, 0);
}

static void follow(leat_held *held, leat_held_place *place)
{
    enter(held, place, place->look_us < place->retry_us ? place->look_us : place->retry_us);
}

void leat_held_set_due(leat_held *held, leat_held_place *place, int64_t retry_us)
{
    place->retry_us = retry_us;
    follow(held, place);
}

void leat_held_set_look(leat_held *held, leat_held_place *place, int64_t look_us)
{
    place->look_us = look_us;
    follow(held, place);
}

void leat_held_look(leat_held *held, int64_t look_us)
{
    for (uint32_t i = 0; held->count > 0 && i < held->place_count; i++) {
        leat_held_place *place = &held->places[i];
        bool is_pending = place->look_us <= look_us && look_us != INT64_MAX;
        if (place->key != 0 && !is_pending)
            leat_held_set_look(held, place, look_us);
    }
}

const leat_held_place *leat_held_first_due(const leat_held *held)
{
    return held->first_due == LEAT_PAIRING_NONE ? NULL : &held->places[held->first_due];
}

/* Could what lies in `place` no longer be found if the gap stayed? Then its home is not after the
 * gap. */
static bool must_move(const leat_held *held, uint32_t gap, uint32_t place)
{
    uint32_t mask = held->place_count - 1;
    uint32_t from_home = (place - home_of(held, held->places[place].key)) & mask;
    return from_home >= ((place - gap) & mask);
}

void leat_held_remove(leat_held *held, uint64_t key)
{
    uint32_t gap = place_of(held, key);
    LEAT_ASSERT(held->places[gap].key == key && held->of[held->places[gap].subpartition] > 0);
    held->of[held->places[gap].subpartition]--;
    enter(held, &held->places[gap], INT64_MAX);
    for (uint32_t at = after(held, gap); held->places[at].key != 0; at = after(held, at)) {
        if (!must_move(held, gap, at))
            continue;
        int64_t due_us = held->places[at].due_us;
        enter(held, &held->places[at], INT64_MAX);
        held->places[gap] = held->places[at];
        enter(held, &held->places[gap], due_us);
        gap = at;
    }
    held->places[gap] = (leat_held_place){0};
    held->count--;
}

void leat_held_extend(leat_held *held, int64_t by_us)
{
    for (uint32_t i = 0; held->count > 0 && i < held->place_count; i++)
        held->places[i].since_us += held->places[i].key != 0 ? by_us : 0;
}

void leat_held_clear(leat_held *held)
{
    for (uint32_t i = 0; held->count > 0 && i < held->place_count; i++)
        if (held->places[i].key != 0)
            held->of[held->places[i].subpartition] = 0;
    if (held->count > 0)
        memset(held->places, 0, held->place_count * sizeof *held->places);
    held->count = 0;
    held->first_due = LEAT_PAIRING_NONE;
}

static bool is_among(const leat_engine_held *known, uint32_t count, uint64_t key)
{
    uint32_t low = 0;
    while (low < count) {
        uint32_t middle = low + (count - low) / 2;
        if (known[middle].key == key)
            return true;
        if (known[middle].key < key)
            low = middle + 1;
        else
            count = middle;
    }
    return false;
}

/* What closes a gap comes from a place that is looked at later, or again. */
void leat_held_keep_only(leat_held *held, const leat_engine_held *known, uint32_t count)
{
    for (uint32_t i = 0; i < held->place_count && held->count > 0;) {
        uint64_t key = held->places[i].key;
        if (key != 0 && !is_among(known, count, key))
            leat_held_remove(held, key);
        else
            i++;
    }
}

void leat_held_validate(const leat_held *held)
{
    uint32_t count = 0, due = 0, of = 0;
    for (uint32_t i = 0; i < held->place_count && held->count > 0; i++) {
        const leat_held_place *place = &held->places[i];
        if (place->key == 0)
            continue;
        LEAT_ASSERT(leat_held_find(held, place->key) == place);
        LEAT_ASSERT(place->due_us == INT64_MAX || held->dues[i].key == place->due_us);
        LEAT_ASSERT(place->due_us ==
                    (place->look_us < place->retry_us ? place->look_us : place->retry_us));
        count++;
        of += held->of[place->subpartition] > 0;
        due += place->due_us != INT64_MAX;
    }
    LEAT_ASSERT(count == held->count && count <= held->max && of == count);
    LEAT_ASSERT(leat_pairing_validate(held->dues, held->first_due) == due);
}
