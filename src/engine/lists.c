/*
 * lists.c - one implementation for all lists; a function finds the link of an element. The links
 * are members of partitions, shards and jobs, so that putting one into a list cannot fail and needs
 * no memory. An element is in a list of a kind at most once, as the flag beside its link shows.
 */
#include "engine/lists.h"

uint32_t *leat_link_claim(leat_engine *engine, uint32_t partition)
{
    return &engine->partitions[partition].claim_next;
}

uint32_t *leat_link_compaction(leat_engine *engine, uint32_t partition)
{
    return &engine->partitions[partition].compact_next;
}

uint32_t *leat_link_emitting(leat_engine *engine, uint32_t partition)
{
    return &engine->partitions[partition].emit_next;
}

uint32_t *leat_link_park(leat_engine *engine, uint32_t partition)
{
    return &engine->partitions[partition].park_next;
}

uint32_t *leat_link_key_retry(leat_engine *engine, uint32_t partition)
{
    return &engine->partitions[partition].retry.next;
}

uint32_t *leat_link_load(leat_engine *engine, uint32_t queue)
{
    return &engine->loads[queue].next;
}

uint32_t *leat_link_paused(leat_engine *engine, uint32_t partition)
{
    return &engine->partitions[partition].paused_next;
}

uint32_t *leat_link_candidate(leat_engine *engine, uint32_t shard)
{
    return &engine->shards[shard].candidate_next;
}

uint32_t *leat_link_job(leat_engine *engine, uint32_t job)
{
    return &engine->jobs[job].next;
}

void leat_list_insert(leat_engine *engine, leat_list *list, leat_list_link link, uint32_t before,
                      uint32_t id)
{
    uint32_t *at = before == LEAT_INDEX_NONE ? &list->head : link(engine, before);
    *link(engine, id) = *at;
    *at = id;
    if (list->tail == before)
        list->tail = id;
}

void leat_list_push(leat_engine *engine, leat_list *list, leat_list_link link, uint32_t id)
{
    leat_list_insert(engine, list, link, list->tail, id);
}

uint32_t leat_list_pop(leat_engine *engine, leat_list *list, leat_list_link link)
{
    uint32_t id = list->head;
    if (id == LEAT_INDEX_NONE)
        return id;
    list->head = *link(engine, id);
    if (list->head == LEAT_INDEX_NONE)
        list->tail = LEAT_INDEX_NONE;
    *link(engine, id) = LEAT_INDEX_NONE;
    return id;
}

void leat_list_remove(leat_engine *engine, leat_list *list, leat_list_link link, uint32_t id)
{
    uint32_t before = LEAT_INDEX_NONE;
    uint32_t at = list->head;
    while (at != id) {
        LEAT_ASSERT(at != LEAT_INDEX_NONE);
        before = at;
        at = *link(engine, at);
    }
    uint32_t after = *link(engine, id);
    if (before == LEAT_INDEX_NONE)
        list->head = after;
    else
        *link(engine, before) = after;
    if (list->tail == id)
        list->tail = before;
    *link(engine, id) = LEAT_INDEX_NONE;
}
