/*
 * A malformed record must not stop its partition, and must not be skipped either: it gets a fault,
 * keeps its place in the order by the hash of its raw key, and becomes a dead letter when its turn
 * comes. Nearly all keys in a log are canonical already, as leat's edge writes them; then the item
 * borrows the record's bytes instead of allocating its own.
 */
#include "record/item.h"

#include <stdlib.h>
#include <string.h>

#include "record/headers.h"

enum { CACHE_LINE = 64, FETCH_BYTES = 512, USUAL_KEY_VALUES = 2 };

static const leat_route *find_route(const leat_routes *routes, leat_slice name, leat_error *error)
{
    const leat_route *route = NULL;
    if (name.size > 0)
        route = leat_routes_by_name(routes, name);
    else if (routes->count - routes->shadow_count == 1)
        route = &routes->routes[0];
    if (!route && name.size > 0)
        leat_fail(error, "there is no route \"%.*s\"", name.size > 100 ? 100 : (int)name.size,
                  name.data);
    else if (!route)
        leat_fail(error, "the header \"route\" is missing, and there are several routes");
    return route;
}

static int find_op(const leat_record *record, leat_route_op *ret, leat_error *error)
{
    *ret = LEAT_PUT;
    if (record->op.size > 0 && !leat_route_op_by_name(record->op, ret))
        return leat_fail(error, "there is no operation \"%.*s\"",
                         record->op.size > 100 ? 100 : (int)record->op.size, record->op.data);
    if (*ret == LEAT_PUT && record->value.size == 0)
        *ret = LEAT_DELETE;
    return 0;
}

/* The record keeps its place in the order by its raw key; when its turn comes it is refused with
 * this text, and so becomes a dead letter. */
static int set_fault(leat_item *item, const leat_error *error)
{
    item->route = NULL;
    item->canonical_key = item->record.key;
    item->hash = leat_hash(item->record.key);
    item->fault = strdup(error->text);
    return item->fault ? 0 : -1;
}

/* Points the texts among the key's values, which lie in key->decoded, at the same place in a copy
 * of it. */
static void take_values(leat_item *item, const leat_key *key, const char *decoded)
{
    for (uint32_t i = 0; i < leat_route_value_count(item->route); i++) {
        item->key[i] = key->values[i];
        if (leat_value_is_text(leat_route_value_column(item->route, i)->type))
            item->key[i].text.data = decoded + (key->values[i].text.data - key->decoded);
    }
}

/* Of a key that is not canonical, or has texts that are percent-encoded in it. */
static int take_key(leat_item *item, const leat_key *key)
{
    leat_slice canonical = {key->canonical, key->canonical_size};
    bool is_canonical = leat_slice_equal(canonical, item->record.key);
    item->hash = key->hash;
    item->owned = malloc((size_t)key->canonical_size + key->decoded_size);
    if (!item->owned)
        return -1;
    memcpy(item->owned, key->canonical, key->canonical_size);
    memcpy(item->owned + key->canonical_size, key->decoded, key->decoded_size);
    item->canonical_key = is_canonical ? item->record.key
                                       : (leat_slice){item->owned, key->canonical_size};
    take_values(item, key, item->owned + key->canonical_size);
    return 0;
}

static int decode_key(leat_item *item)
{
    leat_error error;
    leat_key key;
    if (leat_key_decode(item->route, item->record.key, &key, &error) == 0)
        return take_key(item, &key);
    leat_fail_prefix(&error, "key");
    return set_fault(item, &error);
}

static int decode(const leat_routes *routes, leat_item *item)
{
    leat_error error;
    item->op = LEAT_PUT;
    item->owned = NULL;
    item->fault = NULL;
    item->route = find_route(routes, item->record.route, &error);
    if (!item->route || find_op(&item->record, &item->op, &error) != 0)
        return set_fault(item, &error);
    if (!leat_key_read_plain(item->route, item->record.key, item->key))
        return decode_key(item);
    item->canonical_key = item->record.key;
    item->hash = leat_hash(item->record.key);
    return 0;
}

int leat_item_decode(const leat_routes *routes, const leat_placement *placement, leat_item *item)
{
    if (decode(routes, item) != 0)
        return -1;
    item->subpartition = leat_placement_subpartition(placement, item->canonical_key, item->hash);
    return 0;
}

uint64_t leat_item_held_hash(const leat_item *item)
{
    if (item->fault || !item->route)
        return 0;
    return leat_route_held_hash(item->route, item->canonical_key);
}

leat_slice leat_item_tenant(const leat_item *item)
{
    return item->route ? leat_route_tenant(item->route, item->canonical_key) : (leat_slice){0};
}

/* Texts inside the record's key (leat_key_read_plain) are moved to its copy. */
static void move_key(leat_item *item, const char *from)
{
    const char *to = item->record.key.data;
    if (item->canonical_key.data == from)
        item->canonical_key.data = to;
    uint32_t count = item->route && !item->owned ? leat_route_value_count(item->route) : 0;
    for (uint32_t i = 0; i < count; i++)
        if (leat_value_is_text(leat_route_value_column(item->route, i)->type))
            item->key[i].text.data = to + (item->key[i].text.data - from);
}

/* Points the record's headers at their values among the packed ones, where these are the same. */
static void share_headers(leat_record *record, leat_slice packed)
{
    leat_slice name, value;
    while (leat_headers_take(&packed, &name, &value) > 0) {
        leat_slice *field = leat_header_find(record, name);
        if (field && field->size > 0 && leat_slice_equal(*field, value))
            field->data = value.data;
    }
}

static bool is_within(leat_slice part, leat_slice whole)
{
    return part.size > 0 && whole.size > 0 && part.data >= whole.data &&
           part.data < whole.data + whole.size;
}

/* Works on copies, so that without memory nothing has changed. */
int leat_item_own(leat_item *item)
{
    leat_record record = item->record;
    leat_slice headers = item->headers;
    leat_slice *parts[LEAT_HEADER_COUNT + 3] = {&record.value, &record.key, &headers};
    size_t count = 3, size = 1;
    share_headers(&record, item->headers);
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++) {
        leat_slice *field = leat_header_field(&record, header);
        if (!is_within(*field, item->headers))
            parts[count++] = field;
    }
    for (size_t i = 0; i < count; i++)
        size += parts[i]->size;
    LEAT_ASSERT(!item->owned_record);
    char *at = item->owned_record = malloc(size);
    if (!at)
        return -1;
    for (size_t i = 0; i < count; i++) {
        if (parts[i]->size > 0)
            memcpy(at, parts[i]->data, parts[i]->size);
        if (parts[i]->data) /* one that is missing differs from an empty one */
            parts[i]->data = at;
        at += parts[i]->size;
    }
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++) {
        leat_slice *field = leat_header_field(&record, header);
        if (is_within(*field, item->headers))
            field->data = headers.data + (field->data - item->headers.data);
    }
    const char *key = item->record.key.data;
    item->record = record;
    item->headers = headers;
    move_key(item, key);
    free(item->owned_headers);
    item->owned_headers = NULL;
    return 0;
}

void leat_item_fetch(const leat_item *item)
{
    const size_t used = offsetof(leat_item, key) + USUAL_KEY_VALUES * sizeof item->key[0];
    for (size_t at = 0; item && at < used; at += CACHE_LINE)
        __builtin_prefetch((const char *)item + at, 1);
}

void leat_item_fetch_bytes(const leat_item *item)
{
    size_t size = item->record.value.size < FETCH_BYTES ? item->record.value.size : FETCH_BYTES;
    for (size_t at = 0; at < size; at += CACHE_LINE)
        __builtin_prefetch(item->record.value.data + at);
}

void leat_item_clear(leat_item *item)
{
    free(item->owned_record);
    item->owned_record = NULL;
    free(item->owned);
    free(item->fault);
    free(item->owned_headers);
    item->headers = (leat_slice){NULL, 0};
    item->owned_headers = NULL;
    item->owned = NULL;
    item->fault = NULL;
}

int leat_item_check_place(const leat_layout *layout, leat_item *item)
{
    if (!item->route || item->fault || layout->shard_count == 1)
        return 0;
    uint32_t wanted = leat_layout_shard_of_canonical(layout, item->route, item->canonical_key);
    uint32_t found = leat_layout_shard_of_partition(layout, item->record.partition);
    if (wanted == found)
        return 0;
    leat_error error;
    leat_fail(&error, "misplaced: its tenant belongs to shard %s, its partition to shard %s",
              layout->shards[wanted].name, layout->shards[found].name);
    item->fault = strdup(error.text);
    return item->fault ? 0 : -1;
}
