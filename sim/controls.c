/*
 * controls.c - an operator who has the records of a tenant, or of one row, skipped or held for a
 * while, and lets them go. Workers hear of it at once or not before they look, but whatever they
 * run then must go by what was said last: so the check is at each batch, and exact.
 */
#include <stdio.h>

#include "check.h"
#include "faults.h"
#include "world.h"

enum { LOOK_EVERY_US = 500000, MEAN_MS = 1500, ROW_IDS = 1000 };

/* ---- what the operator has said ---- */

static bool is_active(const sim_world *world, const sim_control *control)
{
    return world->clock.now_us < control->until_us;
}

static sim_control *control_of_row(sim_world *world, uint32_t row)
{
    for (uint32_t i = 0; i < SIM_ROW_CONTROLS; i++) {
        sim_control *control = &world->schema.row_controls[i];
        if (control->row == row && is_active(world, control))
            return control;
    }
    return NULL;
}

/* A row's own control goes before that of its tenant. NULL: it comes under none now. */
static const sim_control *control_now(sim_world *world, uint32_t row)
{
    sim_control *own = control_of_row(world, row);
    sim_control *tenants = &world->schema.tenant_controls[sim_schema_app(&world->schema, row)];
    if (own)
        return own;
    return is_active(world, tenants) ? tenants : NULL;
}

static void add(leat_control_set *set, const sim_control *from, int64_t id, const char *table,
                const char *what)
{
    leat_control control = {.id = id,
                            .table = table,
                            .what = what,
                            .until_us = from->until_us,
                            .holds = from->holds,
                            .reason = ""};
    snprintf(control.until, sizeof control.until, "%lld", (long long)control.until_us);
    int added = leat_control_set_add(set, &control);
    LEAT_ASSERT(added == 0);
}

static leat_control_set *controls_now(const sim_world *world)
{
    const sim_schema *schema = &world->schema;
    leat_control_set *set = leat_control_set_new();
    char what[32];
    for (uint32_t app = 0; app < schema->apps; app++) {
        snprintf(what, sizeof what, "a%u", app);
        if (is_active(world, &schema->tenant_controls[app]))
            add(set, &schema->tenant_controls[app], app + 1, NULL, what);
    }
    for (uint32_t i = 0; i < SIM_ROW_CONTROLS; i++) {
        const sim_control *control = &schema->row_controls[i];
        if (!is_active(world, control))
            continue;
        snprintf(what, sizeof what, "a%u/%u", sim_schema_app(schema, control->row),
                 control->row % schema->ids);
        add(set, control, ROW_IDS + i, sim_schema_table(schema, control->row), what);
    }
    return set;
}

/* ---- how workers hear of it ---- */

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

static void on_unblock(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    ((sim_control *)object)->until_us = 0;
    publish(world);
}

/* Another end, too, for one that lasts; but it goes on to do what it does. One of two is ended by a
 * person, the other by its time. */
static void block(sim_world *world, sim_control *control, uint32_t row, bool holds)
{
    if (is_active(world, control) && control->holds != holds)
        return;
    int64_t until_us = world->clock.now_us + 1000 * sim_around(world, MEAN_MS);
    *control = (sim_control){.until_us = until_us, .holds = holds, .row = row};
    sim_trace(world, "an operator has a tenant or row %s", holds ? "held" : "skipped");
    publish(world);
    if (sim_below(world, 2) == 0)
        sim_clock_plan(&world->clock, until_us - 1000, on_unblock, control, 0);
}

static void block_tenant(sim_world *world, bool holds)
{
    uint32_t app = sim_below(world, world->schema.apps);
    block(world, &world->schema.tenant_controls[app], 0, holds);
}

/* Not against what its tenant comes under. The first row is the one that many writes are for. */
static void block_row(sim_world *world, bool holds)
{
    uint32_t row = sim_below(world, 2) ? 0 : sim_below(world, world->schema.row_count);
    const sim_control *tenants =
        &world->schema.tenant_controls[sim_schema_app(&world->schema, row)];
    sim_control *control = control_of_row(world, row);
    for (uint32_t i = 0; i < SIM_ROW_CONTROLS && !control; i++)
        if (!is_active(world, &world->schema.row_controls[i]))
            control = &world->schema.row_controls[i];
    if (!control || (is_active(world, tenants) && tenants->holds != holds))
        return;
    block(world, control, row, holds);
}

void sim_controls_block(sim_world *world)
{
    bool is_row = sim_below(world, 2) == 0, holds = sim_below(world, 3) == 0;
    if (is_row)
        block_row(world, holds);
    else
        block_tenant(world, holds);
}

/* ---- what they make of it ---- */

void sim_check_left_out(sim_world *world, const sim_record *record, bool is_skipped, bool is_kept)
{
    if (record->row < 0)
        return;
    const sim_control *control = control_now(world, (uint32_t)record->row);
    bool is_blocked = control && !control->holds, is_to_be_held = control && control->holds;
    if (is_blocked != is_skipped)
        sim_fail(world, "controls", "partition %u offset %lld is %s, and its tenant or row is %s",
                 record->record.partition, (long long)record->record.offset,
                 is_skipped ? "left out" : "written", is_blocked ? "blocked" : "not");
    if (is_to_be_held && !is_kept)
        sim_fail(world, "controls", "partition %u offset %lld is written, and is to be held",
                 record->record.partition, (long long)record->record.offset);
    world->sometimes->count[SOMETIMES_LEFT_OUT] += is_skipped;
}

/* The worker says that the record is refused, so that its key becomes held. */
static void check_held_back(sim_world *world, sim_process *process, const leat_engine_job *job,
                            const leat_worker_held_back *answer)
{
    const leat_engine_batch *batch = &job->batch;
    sim_record *record = sim_broker_read(&world->broker, batch->records[answer->index].payload);
    const sim_control *control = record->row >= 0 ? control_now(world, (uint32_t)record->row)
                                                  : NULL;
    if (batch->retry_key == 0)
        sim_check_turn(world, process, job);
    if (!answer->is_hold)
        return;
    if (!control || !control->holds)
        sim_fail(world, "controls", "partition %u offset %lld is held back, and nothing holds it",
                 record->record.partition, (long long)record->record.offset);
    if (batch->record_count > 1)
        return;
    record->read[process->index].refused = ++world->serial;
    record->read[process->index].held_back = world->serial;
}

bool __wrap_leat_worker_holds_back(leat_worker *worker, const leat_engine_job *job, int64_t now_us);
bool __real_leat_worker_holds_back(leat_worker *worker, const leat_engine_job *job, int64_t now_us);

bool __wrap_leat_worker_holds_back(leat_worker *worker, const leat_engine_job *job, int64_t now_us)
{
    sim_world *world = sim_world_running();
    if (!__real_leat_worker_holds_back(worker, job, now_us))
        return false;
    for (uint32_t i = 0; i < world->process_count; i++)
        if (world->processes[i].worker == worker)
            check_held_back(world, &world->processes[i], job,
                            &worker->held_back[worker->held_back_count - 1]);
    return true;
}
