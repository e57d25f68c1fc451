/*
 * kept_room.h - how much is kept of the held keys of a partition, between two counts in its shard.
 * A count is some seconds old, and does not show what was in flight when it was taken: so what was
 * kept since, and before it since the count before, is added to it. That is too much for a moment,
 * never too little. Pure; one thread.
 */
#ifndef LEAT_APPLY_KEPT_ROOM_H
#define LEAT_APPLY_KEPT_ROOM_H

#include <stdint.h>

/* Bytes. Zeroed is ready: nothing is kept. */
typedef struct leat_kept_room {
    uint64_t counted;
    uint64_t before; /* the last count, since the one before it */
    uint64_t since;  /* the last count */
} leat_kept_room;

static inline void leat_kept_room_counted(leat_kept_room *room, uint64_t bytes)
{
    *room = (leat_kept_room){.counted = bytes, .before = room->since};
}

static inline void leat_kept_room_add(leat_kept_room *room, uint64_t bytes)
{
    room->since += bytes;
}

/* What was added is not kept after all. A count that has come meanwhile may have it already, where
 * that is not so: then too much is taken for kept until the next one. */
static inline void leat_kept_room_take(leat_kept_room *room, uint64_t bytes)
{
    uint64_t since = bytes < room->since ? bytes : room->since;
    uint64_t before = bytes - since < room->before ? bytes - since : room->before;
    room->since -= since;
    room->before -= before;
}

static inline uint64_t leat_kept_room_used(const leat_kept_room *room)
{
    return room->counted + room->before + room->since;
}

#endif
