/*
 * idempotency.c - the idempotency key of a write: whether it is one, and whether this edge has
 * lately put another write with it into the log. Then it is refused at once. That is a convenience:
 * what an edge has not seen, or not kept, the shard finds out. An edge remembers a key for no
 * longer than the shard has to: after that the key is free for another write. A later key may take
 * the place of an earlier one, and two are taken for one by chance only, of 64 bits.
 */
#include "edge/internal.h"

#include "base/pages.h"
#include "record/idempotency.h"

enum { PLACES = 65536 };

const char *edge_idempotency_field(const edge_asker *asker)
{
    return asker->batch ? "idempotency_key" : "idempotency-key";
}

bool edge_idempotency_check(leat_edge *edge, edge_write *write)
{
    const edge_asker *asker = &write->asker;
    if (!write->idempotency.data)
        return true;
    const char *fault = leat_idempotency_key_read(write->idempotency, &write->idempotency);
    if (!fault && !asker->batch &&
        leat_http_request_header_line(asker->request, "idempotency-key", 1).data)
        fault = "a request has one Idempotency-Key at most";
    if (fault)
        edge_refuse(edge, asker, LEAT_HTTP_BAD_REQUEST, edge_idempotency_field(asker), fault);
    return !fault;
}

static edge_seen_key key_of(const leat_edge *edge, const edge_write *write)
{
    leat_slice row = {edge->key.canonical, edge->key.canonical_size};
    uint64_t says = leat_hash_seeded(leat_slice_of(write->route->name), (uint64_t)write->op);
    uint64_t id = leat_hash_seeded(write->idempotency, leat_route_held_hash(write->route, row));
    return (edge_seen_key){.id = id != 0 ? id : 1, .says = leat_hash_seeded(write->body, says)};
}

/* Has a write with the key been taken within a lifetime? */
static bool is_remembered(const leat_edge *edge, const edge_seen_key *place,
                          const edge_seen_key *key)
{
    return place->id == key->id &&
           leat_mono_us() - place->taken_us <= edge->config.idempotency_ms * 1000;
}

/* And does it say something else? */
static bool is_conflict(const leat_edge *edge, const edge_seen_key *key)
{
    const edge_seen_key *place = edge->seen ? &edge->seen[key->id % PLACES] : NULL;
    return place && place->says != key->says && is_remembered(edge, place, key);
}

bool edge_idempotency_admit(leat_edge *edge, edge_write *write)
{
    if (!write->idempotency.data)
        return true;
    write->seen = key_of(edge, write);
    if (!is_conflict(edge, &write->seen))
        return true;
    edge_refuse(edge, &write->asker, LEAT_HTTP_INVALID, edge_idempotency_field(&write->asker),
                "another write to this row had this idempotency key");
    return false;
}

void edge_idempotency_note(leat_edge *edge, const edge_seen_key *key)
{
    if (key->id == 0)
        return;
    if (!edge->seen)
        edge->seen = leat_pages_new(PLACES * sizeof *edge->seen);
    if (!edge->seen)
        return;
    edge_seen_key *place = &edge->seen[key->id % PLACES];
    if (is_remembered(edge, place, key))
        return; /* the first write has the effect, and the shard counts from it, whatever follows */
    *place = *key;
    place->taken_us = edge->taken_us;
}

void edge_idempotency_fini(leat_edge *edge)
{
    leat_pages_free(edge->seen, PLACES * sizeof *edge->seen);
}
