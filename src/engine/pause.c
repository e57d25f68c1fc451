/*
 * pause.c - which partitions are paused because there is no room, and which go on when there is.
 * The list is ordered by waiting time: otherwise the partition that happens to read next would take
 * every bit of room from the one that has waited longest. A partition goes on when its share is
 * half empty, not at the first free record, or it would be paused again at once.
 */
#include "engine/pause.h"

#include "engine/effects.h"
#include "engine/lists.h"
#include "engine/park.h"

/* After all that have waited longer; partitions without a refused record come last. */
static void insert_paused(leat_engine *engine, leat_partition *partition)
{
    uint32_t before = LEAT_INDEX_NONE;
    for (uint32_t id = engine->paused.head; id != LEAT_INDEX_NONE;
         id = engine->partitions[id].paused_next) {
        uint64_t stamp = engine->partitions[id].room_stamp;
        if (partition->room_stamp > 0 && (stamp == 0 || stamp > partition->room_stamp))
            break;
        before = id;
    }
    leat_list_insert(engine, &engine->paused, leat_link_paused, before,
                     leat_partition_id(engine, partition));
}

void leat_partition_pause_for_room(leat_engine *engine, leat_partition *partition, uint32_t bytes)
{
    if (partition->paused_for_room)
        leat_list_remove(engine, &engine->paused, leat_link_paused,
                         leat_partition_id(engine, partition));
    if (bytes > 0) {
        partition->room_bytes = bytes;
        if (partition->room_stamp == 0)
            partition->room_stamp = ++engine->room_stamps;
    }
    if (!partition->paused_for_room)
        leat_park_full(engine, partition);
    partition->paused_for_room = true;
    insert_paused(engine, partition);
    leat_emit(engine, partition, 0);
}

void leat_partition_end_pause(leat_engine *engine, leat_partition *partition)
{
    if (!partition->paused_for_room)
        return;
    leat_list_remove(engine, &engine->paused, leat_link_paused,
                     leat_partition_id(engine, partition));
    partition->paused_for_room = false;
    partition->room_bytes = 0;
    leat_emit(engine, partition, 0);
}

void leat_pause_dropped(leat_engine *engine, leat_partition *partition)
{
    leat_partition_end_pause(engine, partition);
    partition->room_stamp = 0;
    engine->room_grew = true;
}

static bool has_room_again(leat_engine *engine, const leat_partition *partition)
{
    const leat_holding *shard = &leat_shard_of(engine, partition)->holding;
    /* When nothing could run the half might never become free: all that is held may be stuck. */
    if (partition->in_flight == 0 && partition->ready == 0)
        return leat_budgets_admit(&engine->budgets, shard, &partition->holding,
                                  partition->room_bytes) > 0;
    return leat_budgets_roomy(&engine->budgets, shard, &partition->holding, partition->room_bytes);
}

void leat_pause_check_room(leat_engine *engine)
{
    engine->room_grew = false;
    uint32_t id = engine->paused.head;
    while (id != LEAT_INDEX_NONE) {
        leat_partition *partition = &engine->partitions[id];
        id = partition->paused_next;
        if (has_room_again(engine, partition))
            leat_partition_end_pause(engine, partition);
    }
}
