/*
 * lists.h - the intrusive lists: FIFOs of partitions, shards or jobs, linked by index through a
 * member of each.
 */
#ifndef LEAT_ENGINE_LISTS_H
#define LEAT_ENGINE_LISTS_H

#include "engine/state.h"

/* The member that links the n-th element of an engine's array; one function a list. */
typedef uint32_t *(*leat_list_link)(leat_engine *engine, uint32_t id);
uint32_t *leat_link_claim(leat_engine *engine, uint32_t partition);
uint32_t *leat_link_compaction(leat_engine *engine, uint32_t partition);
uint32_t *leat_link_emitting(leat_engine *engine, uint32_t partition);
uint32_t *leat_link_park(leat_engine *engine, uint32_t partition);
uint32_t *leat_link_key_retry(leat_engine *engine, uint32_t partition);
uint32_t *leat_link_load(leat_engine *engine, uint32_t queue);
uint32_t *leat_link_paused(leat_engine *engine, uint32_t partition);
uint32_t *leat_link_candidate(leat_engine *engine, uint32_t shard);
uint32_t *leat_link_job(leat_engine *engine, uint32_t job);

void leat_list_push(leat_engine *engine, leat_list *list, leat_list_link link, uint32_t id);
/* Puts `id` after `before`; LEAT_INDEX_NONE: first. */
void leat_list_insert(leat_engine *engine, leat_list *list, leat_list_link link, uint32_t before,
                      uint32_t id);
/* LEAT_INDEX_NONE when empty. */
uint32_t leat_list_pop(leat_engine *engine, leat_list *list, leat_list_link link);
/* `id` must be in; O(n). */
void leat_list_remove(leat_engine *engine, leat_list *list, leat_list_link link, uint32_t id);

#endif
