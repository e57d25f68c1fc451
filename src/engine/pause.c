/*
 * pause.c - who is paused because there is no room, and who goes on when there is. The list is
 * ordered by how long each has waited, since the one at its head would otherwise lose every bit of
 * room to whoever happens to read next. A partition goes on when its share is half empty, not at
 * the first free record: it would be paused again at once.
 */
#include "engine/pause.h"

#include "engine/effects.h"
#include "engine/lists.h"

/* Behind all that have waited longer; those that were not refused anything come last. */
static void full_insert(leat_engine *engine, leat_partition *partition)
{
    uint32_t before = LEAT_NONE;
    for (uint32_t id = engine->full.head; id != LEAT_NONE; id = engine->partitions[id].full_next) {
        uint64_t stamp = engine->partitions[id].full_stamp;
        if (partition->full_stamp > 0 && (stamp == 0 || stamp > partition->full_stamp))
            break;
        before = id;
    }
    leat_list_insert(engine, &engine->full, leat_link_full, before,
                     leat_partition_id(engine, partition));
}

void leat_full_set(leat_engine *engine, leat_partition *partition, uint32_t bytes)
{
    if (partition->full)
        leat_list_remove(engine, &engine->full, leat_link_full,
                         leat_partition_id(engine, partition));
    if (bytes > 0) {
        partition->full_bytes = bytes;
        if (partition->full_stamp == 0)
            partition->full_stamp = ++engine->full_stamps;
    }
    partition->full = true;
    full_insert(engine, partition);
    leat_emit(engine, partition, 0);
}

void leat_full_clear(leat_engine *engine, leat_partition *partition)
{
    if (!partition->full)
        return;
    leat_list_remove(engine, &engine->full, leat_link_full, leat_partition_id(engine, partition));
    partition->full = false;
    partition->full_bytes = 0;
    leat_emit(engine, partition, 0);
}

static bool has_room_again(leat_engine *engine, const leat_partition *partition)
{
    const leat_holding *shard = &leat_shard_of(engine, partition)->holding;
    /* With nothing that could run, waiting for half would be waiting for ever: what is held may be
     * stuck. */
    if (partition->flying == 0 && partition->ready == 0)
        return leat_budgets_admit(&engine->budgets, shard, &partition->holding,
                                  partition->full_bytes) > 0;
    return leat_budgets_roomy(&engine->budgets, shard, &partition->holding, partition->full_bytes);
}

void leat_full_check(leat_engine *engine)
{
    engine->room_grew = false;
    uint32_t id = engine->full.head;
    while (id != LEAT_NONE) {
        leat_partition *partition = &engine->partitions[id];
        id = partition->full_next;
        if (has_room_again(engine, partition))
            leat_full_clear(engine, partition);
    }
}
