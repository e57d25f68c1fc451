/*
 * mode.c - the decision, and the board on which one thread for each shard leaves what it has read
 * for the edge. The board is under one lock: it is written once a second, and a lock that nobody
 * else holds costs an edge a few nanoseconds a write.
 */
#include "record/mode.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct shard_modes {
    int64_t read_us; /* 0: never */
    leat_mode_setting settings[LEAT_ROUTES_MAX];
} shard_modes;

struct leat_modes {
    pthread_mutex_t lock;
    uint32_t shard_count, route_count;
    shard_modes shards[];
};

/* Neither the partition nor the subpartition of a key, which come from the same hash, says anything
 * about its point: the product mixes all bits into the upper ones. */
uint32_t leat_mode_point(uint64_t key_hash)
{
    uint64_t mixed = (key_hash ^ key_hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)((mixed >> 32) * LEAT_MODE_POINTS >> 32);
}

leat_way leat_mode_way(const leat_mode_setting *setting, uint32_t point)
{
    LEAT_ASSERT(point < LEAT_MODE_POINTS && setting->async <= LEAT_MODE_POINTS);
    bool is_async = point < setting->async, was_async = point < setting->async_before;
    if (setting->version == 0 || is_async != was_async)
        return LEAT_WAY_CLOSED;
    if (is_async)
        return LEAT_WAY_LOG;
    return point < setting->shadow ? LEAT_WAY_SHADOW : LEAT_WAY_DATABASE;
}

bool leat_mode_leaves_log(const leat_mode_setting *setting)
{
    return setting->async < setting->async_before;
}

int64_t leat_mode_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

leat_modes *leat_modes_new(uint32_t shard_count, uint32_t route_count)
{
    LEAT_ASSERT(route_count <= LEAT_ROUTES_MAX);
    leat_modes *modes = leat_must_calloc(1, sizeof *modes + shard_count * sizeof *modes->shards);
    pthread_mutex_init(&modes->lock, NULL);
    modes->shard_count = shard_count;
    modes->route_count = route_count;
    return modes;
}

void leat_modes_free(leat_modes *modes)
{
    if (!modes)
        return;
    pthread_mutex_destroy(&modes->lock);
    free(modes);
}

void leat_modes_publish(leat_modes *modes, uint32_t shard, const leat_mode_setting *settings,
                        int64_t read_us)
{
    LEAT_ASSERT(shard < modes->shard_count && read_us > 0);
    pthread_mutex_lock(&modes->lock);
    shard_modes *at = &modes->shards[shard];
    memcpy(at->settings, settings, modes->route_count * sizeof *settings);
    at->read_us = read_us;
    pthread_mutex_unlock(&modes->lock);
}

bool leat_modes_uses_log(leat_modes *modes, uint32_t route)
{
    bool uses = false;
    LEAT_ASSERT(route < modes->route_count);
    pthread_mutex_lock(&modes->lock);
    for (uint32_t i = 0; i < modes->shard_count; i++)
        uses = uses || modes->shards[i].settings[route].async > 0;
    pthread_mutex_unlock(&modes->lock);
    return uses;
}

leat_mode_answer leat_modes_way(leat_modes *modes, uint32_t shard, uint32_t route, uint32_t point,
                                int64_t now_us)
{
    LEAT_ASSERT(shard < modes->shard_count && route < modes->route_count);
    pthread_mutex_lock(&modes->lock);
    int64_t read_us = modes->shards[shard].read_us;
    leat_mode_setting setting = modes->shards[shard].settings[route];
    pthread_mutex_unlock(&modes->lock);
    leat_mode_answer ret = {.way = LEAT_WAY_CLOSED,
                            .until_us = read_us + LEAT_MODE_LEASE_MS * INT64_C(1000)};
    if (read_us == 0 || now_us >= ret.until_us) {
        ret.why = "the shard of this write has not said lately which way its writes go";
        return ret;
    }
    ret.way = leat_mode_way(&setting, point);
    ret.version = setting.version;
    if (ret.way == LEAT_WAY_CLOSED)
        ret.why = setting.version == 0 ? "nobody has said which way the writes of this route go "
                                         "(leat mode set)"
                                       : "the writes of this key are about to go another way";
    return ret;
}
