/*
 * controls.c - an operator who blocks a tenant for a while and lets it go. Workers hear of it at
 * once or not before they look, but whatever they run then must go by what was said last: so the
 * check is at each batch, and exact.
 */
#include <stdio.h>

#include "check.h"
#include "faults.h"
#include "world.h"

enum { LOOK_EVERY_US = 500000 };

static leat_control_set *controls_now(const sim_world *world)
{
    const sim_schema *schema = &world->schema;
    leat_control_set *set = leat_control_set_new();
    for (uint32_t app = 0; app < schema->apps; app++) {
        char name[16];
        snprintf(name, sizeof name, "a%u", app);
        leat_control control = {
            .id = app + 1, .what = name, .until_us = schema->blocked_us[app], .reason = ""};
        snprintf(control.until, sizeof control.until, "%lld", (long long)control.until_us);
        if (control.until_us > world->clock.now_us)
            LEAT_ASSERT(leat_control_set_add(set, &control) == 0);
    }
    return set;
}

static void on_look(sim_world *world, void *object, uint64_t argument)
{
    (void)world;
    (void)argument;
    sim_process *process = object;
    leat_worker_follow_controls(process->worker);
}

static void publish(sim_world *world)
{
    for (uint32_t shard = 0; shard < world->schema.catalog.layout.shard_count; shard++)
        leat_controls_publish(world->schema.controls, shard, controls_now(world),
                              world->clock.now_us);
    for (uint32_t i = 0; i < world->process_count; i++)
        if (world->processes[i].is_alive)
            sim_process_plan(world, &world->processes[i],
                             world->clock.now_us + 1 + sim_below(world, LOOK_EVERY_US), on_look,
                             &world->processes[i], 0);
}

static void on_unblock(sim_world *world, void *object, uint64_t app)
{
    (void)object;
    world->schema.blocked_us[app] = 0;
    publish(world);
}

/* One of two is ended by a person, the other by its time. */
void sim_controls_block(sim_world *world)
{
    uint32_t app = sim_below(world, world->schema.apps);
    int64_t until_us = world->clock.now_us + 1000 * sim_around(world, 1500);
    sim_trace(world, "tenant a%u is blocked", app);
    world->schema.blocked_us[app] = until_us;
    publish(world);
    if (sim_below(world, 2) == 0)
        sim_clock_plan(&world->clock, until_us - 1000, on_unblock, NULL, app);
}

void sim_check_left_out(sim_world *world, const sim_record *record, bool is_skipped)
{
    if (record->row < 0)
        return;
    uint32_t app = sim_schema_app(&world->schema, (uint32_t)record->row);
    bool is_blocked = world->clock.now_us < world->schema.blocked_us[app];
    if (is_blocked != is_skipped)
        sim_fail(world, "controls", "partition %u offset %lld is %s, and its tenant is %s",
                 record->record.partition, (long long)record->record.offset,
                 is_skipped ? "left out" : "written", is_blocked ? "blocked" : "not");
    world->sometimes->count[SOMETIMES_LEFT_OUT] += is_skipped;
}
