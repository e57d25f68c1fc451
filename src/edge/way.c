/*
 * way.c - which way a write goes: into the log, or into the database. Most routes have it in the
 * configuration. A live one has it in the shards, which may move keys from one way to the other
 * while they are written (record/mode.h): then it is asked twice, also before a client is told 202,
 * because a change waits for what was accepted before it, and for nothing else.
 *
 * What an edge needs follows from that: one that writes only into databases does without the log. A
 * live route does not do without its shards, whichever way its keys go: they say which.
 */
#include "edge/internal.h"

static leat_mode_answer live_way(const leat_edge *edge, const leat_route *route, uint32_t partition,
                                 uint32_t point, int64_t now_us)
{
    LEAT_ASSERT(edge->config.modes && route->mode == LEAT_MODE_LIVE);
    uint32_t shard = leat_layout_shard_of_partition(edge->config.layout, partition);
    return leat_modes_way(edge->config.modes, shard, route->index, point, now_us);
}

bool edge_way_find(leat_edge *edge, edge_write *write)
{
    static const leat_way ways[LEAT_MODE_COUNT] = {[LEAT_MODE_ASYNC] = LEAT_WAY_LOG,
                                                   [LEAT_MODE_SYNC] = LEAT_WAY_DATABASE,
                                                   [LEAT_MODE_SHADOW] = LEAT_WAY_SHADOW};
    leat_mode_answer answer = {.way = ways[write->route->mode]};
    if (write->route->mode == LEAT_MODE_LIVE)
        answer = live_way(edge, write->route, write->partition, leat_mode_point(edge->key.hash),
                          leat_mode_now_us());
    write->way = answer.way;
    write->way_until_us = answer.until_us;
    write->way_version = answer.version;
    /* The database will refuse that one: it must not be told so after this one is accepted. */
    if (write->route->mode == LEAT_MODE_LIVE && answer.way == LEAT_WAY_LOG &&
        edge_direct_has_row(edge, write->asker.row)) {
        answer.way = LEAT_WAY_CLOSED;
        answer.why = "an earlier write of this key still waits for the database";
    }
    if (answer.way == LEAT_WAY_CLOSED)
        edge_refuse(edge, &write->asker, LEAT_HTTP_UNAVAILABLE, NULL, answer.why);
    return answer.way != LEAT_WAY_CLOSED;
}

edge_needs edge_way_needs(const leat_edge *edge)
{
    const leat_routes *routes =
        &leat_schema_versions_newest(edge->config.schema_versions, 0)->routes;
    edge_needs needs = {.log = false, .databases = true};
    for (uint32_t i = 0; i < routes->count - routes->shadow_count; i++) {
        const leat_route *route = &routes->routes[i];
        bool is_async = route->mode == LEAT_MODE_ASYNC;
        needs.log = needs.log || is_async ||
                    (route->mode == LEAT_MODE_LIVE &&
                     leat_modes_uses_log(edge->config.modes, route->index));
        needs.databases = needs.databases && !is_async;
    }
    return needs;
}

/* By another version the key may have been away meanwhile, and be back. */
bool edge_way_may_accept(const leat_edge *edge, const leat_route *route, uint32_t partition,
                         const edge_lease *lease)
{
    int64_t now_us = leat_mode_now_us();
    if (now_us < lease->until_us)
        return true;
    leat_mode_answer answer = live_way(edge, route, partition, lease->point, now_us);
    return answer.way == LEAT_WAY_LOG && answer.version == lease->version;
}
