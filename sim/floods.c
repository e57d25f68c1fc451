/*
 * floods.c - the way of a refusal: a worker's facts, the row that a process keeps in the shard, and
 * the set that the edge reads from there, as src/sink/pg/controls.c does. A shard that is down
 * takes no row and shows none, and a row that nobody renews is believed for a while.
 */
#include "floods.h"

#include <stdio.h>
#include <string.h>

#include <yyjson.h>

#include "check.h"
#include "world.h"

enum { LOOK_EVERY_US = 500000, READ_EVERY_US = 1000000 };
#define STALE_US (INT64_C(1000) * LEAT_REPORT_STALE_MS)

static const char *const kinds[LOUD_COUNT] = {
    [LOUD_PARKED] = LEAT_FLOOD_KIND, [LOUD_LATE] = LEAT_LATE_KIND, [LOUD_KEPT] = LEAT_FLOOD_KIND};

static bool is_up(const sim_world *world, uint32_t shard)
{
    return sim_server_view_of(world->shards[shard].primary).is_up;
}

/* ---- a worker's report ---- */

static uint32_t app_named(const sim_world *world, const char *tenant)
{
    char name[16];
    uint32_t app = 0;
    for (; app < world->schema.apps; app++) {
        snprintf(name, sizeof name, "a%u", app);
        if (strcmp(name, tenant) == 0)
            break;
    }
    return app;
}

static void read_fact(const sim_world *world, yyjson_val *fact, sim_said *ret)
{
    const char *kind = yyjson_get_str(yyjson_obj_get(fact, "kind"));
    uint32_t app = app_named(world, yyjson_get_str(yyjson_obj_get(fact, "tenant")));
    LEAT_ASSERT(app < world->schema.apps);
    bool is_kept = strstr(yyjson_get_str(yyjson_obj_get(fact, "words")), "kept of held rows");
    for (sim_loud why = 0; why < LOUD_COUNT; why++)
        if (strcmp(kind, kinds[why]) == 0 && is_kept == (why == LOUD_KEPT))
            ret->wait_s[why][app] = yyjson_get_sint(yyjson_obj_get(fact, "wait_s"));
}

static sim_said read_facts(const sim_world *world, const leat_facts *facts)
{
    sim_said said = {.at_us = world->clock.now_us};
    leat_buf list = {0};
    leat_buf_byte(&list, '[');
    leat_buf_append(&list, facts->json.data, facts->json.size);
    leat_buf_byte(&list, ']');
    yyjson_doc *doc = yyjson_read(list.data, list.size, 0);
    LEAT_ASSERT(doc);
    size_t at, count;
    yyjson_val *fact;
    yyjson_arr_foreach(yyjson_doc_get_root(doc), at, count, fact) read_fact(world, fact, &said);
    yyjson_doc_free(doc);
    leat_buf_free(&list);
    return said;
}

static void report(sim_world *world, sim_process *process, uint32_t shard)
{
    leat_facts facts = {0};
    leat_worker_flood_facts(process->worker, shard, &facts);
    sim_said said = read_facts(world, &facts);
    leat_facts_free(&facts);
    sim_check_said(world, process, shard, &said);
    if (is_up(world, shard))
        world->floods.said[shard][process->index] = said;
}

static void on_look(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    sim_process *process = object;
    leat_worker *worker = process->worker;
    int64_t measured_us = worker->late_us, faded_us = worker->fade_us;
    leat_worker_follow_drain(worker);
    sim_check_measured(world, process, worker->late_us != measured_us, worker->fade_us != faded_us);
    leat_worker_metrics_show(worker);
    for (uint32_t shard = 0; shard < worker->shard_count; shard++)
        report(world, process, shard);
    sim_floods_follow(world, process);
}

void sim_floods_follow(sim_world *world, sim_process *process)
{
    if (world->floods.controls)
        sim_process_plan(world, process, world->clock.now_us + sim_around(world, LOOK_EVERY_US),
                         on_look, process, 0);
}

/* ---- the edge ---- */

/* A row more about the tenant: the longest wait and the newest row count, and of two reasons the
 * first. Returns the wait. */
static int64_t add_row(const sim_said *said, uint32_t app, int64_t wait_s, sim_refusal *told)
{
    for (sim_loud why = 0; why < LOUD_COUNT; why++) {
        int64_t until_us = said->at_us + STALE_US;
        if (said->wait_s[why][app] == 0)
            continue;
        told->why = wait_s == 0 || why < told->why ? why : told->why;
        told->until_us = until_us > told->until_us ? until_us : told->until_us;
        wait_s = said->wait_s[why][app] > wait_s ? said->wait_s[why][app] : wait_s;
    }
    return wait_s;
}

static void add_tenant(sim_world *world, uint32_t shard, uint32_t app, leat_control_set *set)
{
    sim_refusal told = {0};
    int64_t wait_s = 0;
    for (uint32_t i = 0; i < world->process_count; i++) {
        const sim_said *said = &world->floods.said[shard][i];
        if (said->at_us + STALE_US > world->clock.now_us)
            wait_s = add_row(said, app, wait_s, &told);
    }
    world->floods.told[shard][app] = told;
    if (wait_s == 0)
        return;
    char name[16];
    snprintf(name, sizeof name, "a%u", app);
    leat_control flood = {.what = name,
                          .keep = (uint32_t)wait_s,
                          .until_us = told.until_us,
                          .reason = kinds[told.why]};
    snprintf(flood.until, sizeof flood.until, "%lld", (long long)flood.until_us);
    LEAT_ASSERT(leat_control_set_add(set, &flood) == 0);
}

static void on_read(sim_world *world, void *object, uint64_t argument)
{
    (void)object;
    (void)argument;
    for (uint32_t shard = 0; shard < world->schema.catalog.layout.shard_count; shard++) {
        if (!is_up(world, shard))
            continue;
        leat_control_set *set = leat_control_set_new();
        for (uint32_t app = 0; app < world->schema.apps; app++)
            add_tenant(world, shard, app, set);
        leat_controls_publish(world->floods.controls, shard, set, world->clock.now_us);
    }
    sim_clock_plan(&world->clock, world->clock.now_us + READ_EVERY_US, on_read, NULL, 0);
}

void sim_floods_begin(sim_world *world)
{
    if (world->options.values[OPT_LAG_LIMIT_MS] == 0)
        return;
    world->floods.controls = leat_controls_new(world->schema.catalog.layout.shard_count);
    sim_clock_plan(&world->clock, world->clock.now_us + READ_EVERY_US, on_read, NULL, 0);
}

void sim_floods_end(sim_world *world)
{
    leat_controls_free(world->floods.controls);
}

/* ---- questions ---- */

static bool goes_into_database(const sim_edge *edge, uint32_t shard, const leat_route *route,
                               const leat_key *key)
{
    return route->mode == LEAT_MODE_LIVE &&
           leat_modes_way(edge->board, shard, route->index, leat_mode_point(key->hash),
                          leat_mode_now_us())
                   .way == LEAT_WAY_DATABASE;
}

const sim_refusal *sim_floods_find(const sim_world *world, const sim_edge *edge,
                                   const struct leat_http_request *request)
{
    unsigned app, id;
    char name[16], text[32];
    leat_key key;
    leat_error error;
    if (!world->floods.controls ||
        sscanf(request->path, "/apps/a%u/%15[a-z]/%u", &app, name, &id) != 3)
        return NULL;
    const leat_route *route =
        leat_routes_by_name(sim_schema_routes(&world->schema), leat_slice_of(name));
    snprintf(text, sizeof text, "a%u/%u", app, id);
    if (!route || leat_key_decode(route, leat_slice_of(text), &key, &error) != 0)
        return NULL;
    uint32_t partition = leat_layout_partition_of_key(&world->schema.catalog.layout, route, &key);
    uint32_t shard = sim_world_shard_of(world, partition);
    const sim_refusal *told = &world->floods.told[shard][app];
    bool is_told = told->until_us > world->clock.now_us;
    return is_told && !goes_into_database(edge, shard, route, &key) ? told : NULL;
}

bool sim_floods_are_over(const sim_world *world)
{
    bool over = true;
    for (uint32_t shard = 0; shard < world->schema.catalog.layout.shard_count; shard++)
        for (uint32_t app = 0; app < world->schema.apps; app++)
            over = over && world->floods.told[shard][app].until_us <= world->clock.now_us;
    return over;
}
