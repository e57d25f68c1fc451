/*
 * modes.c - the row of leat.modes: edges read it now and then, and the command changes it, step by
 * step as in cli/mode.c. The command may end anywhere, and be given again. No failover takes back a
 * change, as with a synchronous standby: without one the document promises less.
 */
#include "modes.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "direct.h"
#include "server_state.h"

enum { LIVE_ROUTE = 2, LOOK_MS = 50 };

static const sim_mode *mode_of(const sim_server *server)
{
    return &server->state.mode;
}

bool sim_modes_are_on(const sim_world *world)
{
    return world->options.values[OPT_MODE] > 0;
}

/* ---- an edge reads ---- */

typedef struct mode_read {
    sim_edge *edge;
    uint32_t shard;
    int64_t begun_us;
    leat_mode_setting settings[LIVE_ROUTE + 1];
} mode_read;

static void on_watch(sim_world *world, void *object, uint64_t argument);

/* The next begins when this one is over. */
static void watch_again(sim_world *world, mode_read *read)
{
    sim_clock_plan(&world->clock, world->clock.now_us + 1000 * LEAT_MODE_EVERY_MS, on_watch, read,
                   0);
}

static void on_read_back(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    mode_read *read = object;
    if (!read->edge->is_alive)
        return;
    leat_modes_publish(read->edge->board, read->shard, read->settings, read->begun_us);
    watch_again(world, read);
}

static void on_read(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    mode_read *read = object;
    const sim_server *server = world->shards[read->shard].primary;
    if (!server->is_up || server->paused_until_us > world->clock.now_us) {
        watch_again(world, read);
        return;
    }
    read->settings[LIVE_ROUTE] = mode_of(server)->setting;
    int64_t after_us = sim_latency_us(world) + sim_modes_late_us(world);
    sim_clock_plan(&world->clock, world->clock.now_us + after_us, on_read_back, read, 0);
}

static void on_watch(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    mode_read *read = object;
    if (!read->edge->is_alive)
        return;
    read->begun_us = world->clock.now_us;
    int64_t after_us = sim_latency_us(world) + sim_modes_late_us(world);
    sim_clock_plan(&world->clock, world->clock.now_us + after_us, on_read, read, 0);
}

void sim_modes_watch(sim_world *world, sim_edge *edge)
{
    for (uint32_t shard = 0; edge->board && shard < world->schema.catalog.layout.shard_count;
         shard++) {
        mode_read *read = leat_must_calloc(1, sizeof *read);
        sim_list_add(&world->garbage, read);
        read->edge = edge;
        read->shard = shard;
        on_watch(world, read, 0);
    }
}

leat_modes *sim_modes_board(const sim_world *world)
{
    return sim_modes_are_on(world)
               ? leat_modes_new(world->schema.catalog.layout.shard_count, LIVE_ROUTE + 1)
               : NULL;
}

int64_t sim_modes_late_us(sim_world *world)
{
    enum { IN_1000 = 60 };
    if (!sim_modes_are_on(world) || !sim_chance(world, IN_1000))
        return 0;
    return 1000 * (500 + (int64_t)sim_below(world, 5500));
}

/* ---- the command ---- */

static void set_mode(sim_world *world, uint32_t shard, const sim_mode *mode)
{
    sim_server *server = world->shards[shard].primary;
    sim_commit *tx = sim_commit_new(COMMIT_MODE);
    tx->mode = *mode;
    sim_server_commit(server, tx);
    world->shards[shard].kept = server->commits.count;
}

static void read_ends(sim_world *world, sim_mode_command *command)
{
    command->ends = leat_must_calloc(SIM_PARTITIONS_MAX, sizeof *command->ends);
    sim_list_add(&world->garbage, command->ends);
    for (uint32_t p = 0; p < world->broker.partition_count; p++)
        command->ends[p] = world->broker.partitions[p].end;
}

/* -1: keys are held, so it gives up; 1: all is applied that was in the log. */
static int log_is_empty(const sim_world *world, uint32_t shard, const sim_mode_command *command)
{
    const sim_state *state = &world->shards[shard].primary->state;
    for (uint32_t p = 0; p < world->broker.partition_count; p++) {
        const sim_partition_state *partition = &state->partitions[p];
        if (sim_world_shard_of(world, p) != shard)
            continue;
        if (partition->low < command->ends[p] - 1 || partition->chunk_count > 0)
            return 0;
        if (partition->held_count > 0)
            return -1;
    }
    return 1;
}

static bool leaves_log(const sim_mode *mode)
{
    return leat_mode_leaves_log(&mode->setting);
}

static void on_command(sim_world *world, void *object, uint64_t life_and_step);

static void command_goes_on(sim_world *world, uint32_t shard, sim_mode_step step, int64_t after_us)
{
    sim_mode_command *command = &world->modes.commands[shard];
    sim_clock_plan(&world->clock, world->clock.now_us + after_us, on_command, command,
                   8 * command->life + step);
}

static void settle(sim_world *world, uint32_t shard, sim_mode_command *command)
{
    sim_mode settled = command->wanted;
    world->sometimes->count[SOMETIMES_MODE_MOVED] += leaves_log(&settled);
    settled.setting.async_before = settled.setting.async;
    sim_trace(world, "shard %u: of the keys %u go into the log", shard, settled.setting.async);
    set_mode(world, shard, &settled);
    command->life = 0;
}

static sim_mode_step run_command(sim_world *world, uint32_t shard, sim_mode_command *command,
                                 sim_mode_step step)
{
    int empty;
    switch (step) {
    case STEP_ACKNOWLEDGED:
        return STEP_LOCKS;
    case STEP_LOCKS:
        if (sim_directs_have_version(world->shards[shard].primary, command->wanted.before))
            return step;
        read_ends(world, command);
        return leaves_log(&command->wanted) ? STEP_LOG : STEP_SETTLE;
    case STEP_LOG:
        empty = log_is_empty(world, shard, command);
        if (empty < 0)
            command->life = 0;
        return empty > 0 ? STEP_SETTLE : step;
    case STEP_SETTLE:
        settle(world, shard, command);
    }
    return step;
}

static bool can_be_changed(const sim_world *world, uint32_t shard)
{
    const sim_shard *at = &world->shards[shard];
    return at->primary->is_up && !at->primary->is_read_only && !at->old &&
           at->primary->paused_until_us <= world->clock.now_us &&
           at->primary->refuse_until_us <= world->clock.now_us;
}

static void on_command(sim_world *world, void *object, uint64_t life_and_step)
{
    sim_mode_command *command = object;
    uint32_t shard = (uint32_t)(command - world->modes.commands);
    sim_mode_step step = (sim_mode_step)(life_and_step % 8);
    if (command->life == 0 || command->life != life_and_step / 8)
        return;
    int64_t after_us = 1000 * LOOK_MS;
    if (step == STEP_ACKNOWLEDGED && leaves_log(&command->wanted) && command->wanted.before > 0)
        after_us = 1000 * LEAT_MODE_SETTLE_MS;
    if (can_be_changed(world, shard))
        step = run_command(world, shard, command, step);
    if (command->life != 0)
        command_goes_on(world, shard, step, after_us);
}

/* Another share, or, of a change under way, the same again or back. */
static sim_mode draw_mode(sim_world *world, const sim_mode *now)
{
    sim_mode next = *now;
    leat_mode_setting *setting = &next.setting;
    if (setting->async != setting->async_before) {
        if (sim_below(world, 2)) {
            setting->async = now->setting.async_before;
            setting->async_before = now->setting.async;
        }
        return next;
    }
    setting->async = LEAT_MODE_POINTS / 4 * sim_below(world, 5);
    next.before = setting->async == now->setting.async ? now->before : setting->version;
    setting->version += setting->async != now->setting.async;
    return next;
}

void sim_modes_change(sim_world *world)
{
    uint32_t shard = sim_below(world, world->schema.catalog.layout.shard_count);
    sim_mode_command *command = &world->modes.commands[shard];
    if (!can_be_changed(world, shard) || (command->life != 0 && sim_below(world, 2)))
        return;
    command->wanted = draw_mode(world, mode_of(world->shards[shard].primary));
    command->life = ++world->serial;
    sim_trace(world, "shard %u: %u of the keys are to go into the log, not %u", shard,
              command->wanted.setting.async, command->wanted.setting.async_before);
    set_mode(world, shard, &command->wanted);
    command_goes_on(world, shard, STEP_ACKNOWLEDGED, sim_latency_us(world));
}

/* ---- its life ---- */

bool sim_modes_is_live(const sim_world *world, const char *route)
{
    return sim_modes_are_on(world) &&
           strcmp(route, sim_schema_routes(&world->schema)->routes[LIVE_ROUTE].name) == 0;
}

void sim_modes_begin(sim_world *world)
{
    static const sim_option loses[] = {OPT_TRUNCATE, OPT_RECREATE, OPT_RETENTION, OPT_GROW};
    uint32_t shards = world->schema.catalog.layout.shard_count;
    if (!sim_modes_are_on(world))
        return;
    /* Nothing is promised of a log that loses what it has. */
    for (size_t i = 0; i < sizeof loses / sizeof *loses; i++)
        world->options.values[loses[i]] = 0;
    world->modes.commands = leat_must_calloc(shards, sizeof *world->modes.commands);
    for (uint32_t shard = 0; shard < shards; shard++) {
        const sim_mode first = {
            .setting = {.version = 1, .async = LEAT_MODE_POINTS, .async_before = LEAT_MODE_POINTS}};
        set_mode(world, shard, &first);
    }
}

void sim_modes_end(sim_world *world)
{
    sim_directs_end(world);
    free(world->modes.commands);
}
