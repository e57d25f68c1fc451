/*
 * modes.c - the database's side of writes that are in no log: leat.write_now as in schema.sql,
 * statement by statement, since a change of the mode may come between any two; the locks that it
 * takes; and the command's steps, as in cli/mode.c. The command may end anywhere, and be given
 * again. No failover takes back a change, as with a synchronous standby: without one the document
 * promises less.
 */
#include "modes.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "server_state.h"

enum { LIVE_ROUTE = 2, LOOK_MS = 50, WAIT_MAX_MS = 3000, JOBS_MAX = 512 };

struct sim_direct_job {
    struct sim_direct *direct;
    sim_request *request;
    void *tag;
    leat_item item;
    leat_record record; /* as it is kept; slices into `bytes` */
    char bytes[1024];
    uint64_t order; /* writes with the same number go one after another */
    uint32_t row, shard, point;
    int64_t until_us;
    sim_server *server; /* NULL: it was not sent yet */
    uint32_t version;
    bool holds;      /* the lock of that version */
    bool is_through; /* the server lets it write */
    bool is_over;
    leat_direct_answer answer;
};

typedef struct sim_direct {
    leat_direct base;
    leat_direct_events events;
    sim_world *world;
    uint32_t count;
    sim_direct_job *jobs[JOBS_MAX]; /* not answered yet, in the order of the calls */
} sim_direct;

/* ---- a write's end ---- */

static void start_free(sim_direct *direct);

static void forget(sim_direct *direct, const sim_direct_job *job)
{
    uint32_t at = 0;
    while (direct->jobs[at] != job)
        at++;
    direct->count--;
    memmove(&direct->jobs[at], &direct->jobs[at + 1], (direct->count - at) * sizeof *direct->jobs);
}

static void on_answer(sim_world *world, void *object, uint64_t argument)
{
    (void)world;
    (void)argument;
    sim_direct_job *job = object;
    forget(job->direct, job);
    job->direct->events.done(job->direct->events.context, job->tag, &job->answer, &job->record);
    start_free(job->direct);
}

static void end(sim_world *world, sim_direct_job *job, leat_direct_outcome outcome)
{
    job->is_over = true;
    job->holds = job->is_through = false;
    job->answer.outcome = outcome;
    leat_item_clear(&job->item);
    sim_clock_plan(&world->clock, world->clock.now_us + sim_latency_us(world), on_answer, job, 0);
}

/* ---- its statements ---- */

typedef enum direct_step { READ_VERSION, TAKE_LOCK, READ_AGAIN, WAIT_FOR_ROW, COMMIT } direct_step;

static void on_statement(sim_world *world, void *object, uint64_t step);

static void go_on(sim_world *world, sim_direct_job *job, direct_step step)
{
    int64_t took_us = sim_around(world, world->options.values[OPT_STATEMENT_US]) +
                      sim_modes_late_us(world);
    sim_clock_plan(&world->clock, world->clock.now_us + took_us, on_statement, job, step);
}

static const sim_mode *mode_of(const sim_server *server)
{
    return &server->state.mode;
}

static bool is_held(const sim_direct_job *job)
{
    const sim_partition_state *partition = &job->server->state.partitions[job->record.partition];
    for (uint32_t i = 0; i < partition->held_count; i++)
        if (partition->held[i].key == leat_item_held_hash(&job->item))
            return true;
    return false;
}

static void read_version(sim_world *world, sim_direct_job *job)
{
    const sim_server *server = job->server;
    if (!server->is_up || server->is_read_only || server->refuse_until_us > world->clock.now_us ||
        sim_chance(world, world->options.values[OPT_ERRORS])) {
        end(world, job, LEAT_DIRECT_NOT_NOW);
        return;
    }
    job->version = mode_of(server)->setting.version;
    go_on(world, job, TAKE_LOCK);
}

static void read_again(sim_world *world, sim_direct_job *job)
{
    const leat_mode_setting *setting = &mode_of(job->server)->setting;
    bool may = setting->version == job->version && job->point >= setting->async &&
               job->point >= setting->async_before;
    if (!may || is_held(job)) {
        end(world, job, LEAT_DIRECT_NOT_NOW);
        return;
    }
    job->is_through = true;
    sim_check_let_through(world, job->server, job->row);
    go_on(world, job, WAIT_FOR_ROW);
}

static void wait_for_row(sim_world *world, sim_direct_job *job)
{
    const char *poison = sim_poison_now(world, &job->request->poison);
    if (sim_server_holds_row(job->server, job->row)) {
        if (world->clock.now_us >= job->until_us)
            end(world, job, LEAT_DIRECT_NOT_NOW);
        else
            sim_clock_plan(&world->clock, world->clock.now_us + 1000 * LOOK_MS, on_statement, job,
                           WAIT_FOR_ROW);
    } else if (job->server->fail_until_us > world->clock.now_us) {
        end(world, job, LEAT_DIRECT_NOT_NOW);
    } else if (poison) {
        end(world, job,
            sim_poison_kills(&job->request->poison) ? LEAT_DIRECT_UNKNOWN : LEAT_DIRECT_REFUSED);
    } else {
        go_on(world, job, COMMIT);
    }
}

static model_row written(sim_world *world, const sim_direct_job *job, const sim_commit *tx)
{
    leat_body_parser *parser = leat_body_parser_new();
    leat_body body;
    leat_body_error error;
    const leat_item *item = &job->item;
    bool parses = item->op == LEAT_DELETE ||
                  leat_body_parse(parser, item->route, item->op, job->record.value, item->key,
                                  &body, &error) == LEAT_BODY_OK;
    LEAT_ASSERT(parses);
    model_row row = model_row_copy(sim_commit_row(tx, &job->server->state, job->row));
    bool good = row_model_apply(&row, item->route, world->schema.defaults, item->op, &body);
    LEAT_ASSERT(good);
    leat_body_parser_free(parser);
    return row;
}

static void commit(sim_world *world, sim_direct_job *job)
{
    if (sim_chance(world, world->options.values[OPT_DEFERRED])) {
        end(world, job, LEAT_DIRECT_NOT_NOW);
        return;
    }
    sim_commit *tx = sim_commit_new(COMMIT_DIRECT);
    sim_commit_put_row(tx, job->row, written(world, job, tx));
    tx->direct = (sim_direct_write){
        job->row, sim_check_applied_of_row(world, job->server, job->row), &job->record};
    sim_check_let_through(world, job->server, job->row);
    sim_server_commit(job->server, tx);
    world->sometimes->count[SOMETIMES_WRITTEN_DIRECTLY]++;
    bool is_unheard = sim_chance(world, world->options.values[OPT_ACK_LOST]);
    end(world, job, is_unheard ? LEAT_DIRECT_UNKNOWN : LEAT_DIRECT_APPLIED);
}

static void on_statement(sim_world *world, void *object, uint64_t step)
{
    sim_direct_job *job = object;
    if (job->is_over)
        return;
    if (step == READ_VERSION)
        job->server = world->shards[job->shard].primary;
    /* Another server, or none: the transaction is gone. */
    if (job->server != world->shards[job->shard].primary ||
        (step > READ_VERSION && !job->server->is_up)) {
        end(world, job, LEAT_DIRECT_UNKNOWN);
    } else if (job->server->paused_until_us > world->clock.now_us) {
        sim_clock_plan(&world->clock, job->server->paused_until_us, on_statement, job, step);
    } else if (step == READ_VERSION) {
        read_version(world, job);
    } else if (step == TAKE_LOCK) {
        job->holds = true;
        go_on(world, job, READ_AGAIN);
    } else if (step == READ_AGAIN) {
        read_again(world, job);
    } else if (step == WAIT_FOR_ROW) {
        wait_for_row(world, job);
    } else {
        commit(world, job);
    }
}

/* ---- taking it ---- */

static bool is_first_of_row(const sim_direct *direct, uint32_t at)
{
    for (uint32_t i = 0; i < at; i++)
        if (direct->jobs[i]->order == direct->jobs[at]->order)
            return false;
    return true;
}

static void start_free(sim_direct *direct)
{
    sim_world *world = direct->world;
    for (uint32_t i = 0; i < direct->count; i++) {
        sim_direct_job *job = direct->jobs[i];
        if (job->server || job->is_over || !is_first_of_row(direct, i))
            continue;
        job->server = world->shards[job->shard].primary; /* it is on its way */
        if (direct->events.starts(direct->events.context, job->tag)) {
            sim_clock_plan(&world->clock,
                           world->clock.now_us + sim_latency_us(world) + sim_modes_late_us(world),
                           on_statement, job, READ_VERSION);
            continue;
        }
        leat_item_clear(&job->item);
        forget(direct, job);
        i = UINT32_MAX; /* from the first again */
    }
}

static leat_slice keep(sim_direct_job *job, size_t *used, leat_slice from)
{
    LEAT_ASSERT(*used + from.size <= sizeof job->bytes);
    char *to = job->bytes + *used;
    if (from.size > 0)
        memcpy(to, from.data, from.size);
    *used += from.size;
    return (leat_slice){to, from.size};
}

static bool take(leat_direct *base, const leat_direct_write *write, const char **ret_why)
{
    sim_direct *direct = (sim_direct *)base;
    sim_world *world = direct->world;
    if (direct->count == JOBS_MAX) {
        *ret_why = "full";
        return false;
    }
    LEAT_ASSERT(write->live);
    sim_direct_job *job = leat_must_calloc(1, sizeof *job);
    sim_list_add(&world->garbage, job);
    size_t used = 0;
    job->direct = direct;
    job->request = world->clients.handled;
    job->tag = write->tag;
    job->order = write->row;
    job->point = write->point;
    job->shard = sim_world_shard_of(world, write->partition);
    job->until_us = world->clock.now_us + 1000 * WAIT_MAX_MS;
    job->record = (leat_record){.partition = write->partition,
                                .offset = -1,
                                .key = keep(job, &used, write->key),
                                .value = keep(job, &used, write->body),
                                .route = leat_slice_of(write->route->name),
                                .op = leat_slice_of(leat_route_op_name(write->op))};
    job->item.record = job->record;
    int status = leat_item_decode(sim_schema_routes(&world->schema),
                                  &world->schema.catalog.source.placement, &job->item);
    LEAT_ASSERT(status == 0 && job->item.route);
    int32_t row = sim_schema_row(&world->schema, job->item.route->table_index,
                                 job->item.key[0].text, job->item.key[1].integer);
    LEAT_ASSERT(row >= 0);
    job->row = (uint32_t)row;
    direct->jobs[direct->count++] = job;
    start_free(direct);
    return true;
}

static void free_direct(leat_direct *base)
{
    sim_direct *direct = (sim_direct *)base;
    while (direct->count > 0) {
        sim_direct_job *job = direct->jobs[0];
        forget(direct, job);
        if (!job->is_over)
            leat_item_clear(&job->item);
        job->is_over = true;
        job->answer.outcome = LEAT_DIRECT_UNKNOWN;
        direct->events.done(direct->events.context, job->tag, &job->answer, &job->record);
    }
    direct->world->modes.direct = NULL;
    free(direct);
}

static const leat_direct_ops direct_ops = {.write = take, .free = free_direct};

static leat_direct *open_direct(void *context, uv_loop_t *loop, leat_standstill *standstill,
                                const leat_direct_events *events, leat_error *error)
{
    (void)loop;
    (void)standstill;
    (void)error;
    sim_world *world = context;
    sim_direct *direct = leat_must_calloc(1, sizeof *direct);
    *direct = (sim_direct){.base.ops = &direct_ops, .events = *events, .world = world};
    world->modes.direct = &direct->base;
    return &direct->base;
}

leat_direct_source sim_modes_source(sim_world *world)
{
    if (!world->modes.board)
        return (leat_direct_source){.open = NULL};
    return (leat_direct_source){.open = open_direct, .context = world, .batch_items = JOBS_MAX};
}

bool sim_modes_writes(const sim_world *world, uint32_t row)
{
    const sim_direct *direct = (const sim_direct *)world->modes.direct;
    for (uint32_t i = 0; direct && i < direct->count; i++) {
        const sim_direct_job *job = direct->jobs[i];
        if (job->row == row && job->is_through && job->server->is_up &&
            job->server == world->shards[job->shard].primary)
            return true;
    }
    return false;
}

/* ---- the edge reads ---- */

typedef struct mode_read {
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
    leat_modes_publish(world->modes.board, read->shard, read->settings, read->begun_us);
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
    read->begun_us = world->clock.now_us;
    int64_t after_us = sim_latency_us(world) + sim_modes_late_us(world);
    sim_clock_plan(&world->clock, world->clock.now_us + after_us, on_read, read, 0);
}

static void watch(sim_world *world, uint32_t shard)
{
    mode_read *read = leat_must_calloc(1, sizeof *read);
    sim_list_add(&world->garbage, read);
    read->shard = shard;
    on_watch(world, read, 0);
}

int64_t sim_modes_late_us(sim_world *world)
{
    enum { IN_1000 = 60 };
    if (!world->modes.board || !sim_chance(world, IN_1000))
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

static bool has_older_writes(const sim_world *world, uint32_t shard, uint32_t version)
{
    const sim_direct *direct = (const sim_direct *)world->modes.direct;
    for (uint32_t i = 0; direct && i < direct->count; i++)
        if (direct->jobs[i]->holds && direct->jobs[i]->version == version &&
            direct->jobs[i]->server == world->shards[shard].primary)
            return true;
    return false;
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
        if (has_older_writes(world, shard, command->wanted.before))
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
    return world->modes.board &&
           strcmp(route, sim_schema_routes(&world->schema)->routes[LIVE_ROUTE].name) == 0;
}

void sim_modes_begin(sim_world *world)
{
    static const sim_option loses[] = {OPT_TRUNCATE, OPT_RECREATE, OPT_RETENTION, OPT_GROW};
    uint32_t shards = world->schema.catalog.layout.shard_count;
    if (world->options.values[OPT_MODE] == 0)
        return;
    /* Nothing is promised of a log that loses what it has. */
    for (size_t i = 0; i < sizeof loses / sizeof *loses; i++)
        world->options.values[loses[i]] = 0;
    world->modes.board = leat_modes_new(shards, LIVE_ROUTE + 1);
    world->modes.commands = leat_must_calloc(shards, sizeof *world->modes.commands);
    for (uint32_t shard = 0; shard < shards; shard++) {
        const sim_mode first = {
            .setting = {.version = 1, .async = LEAT_MODE_POINTS, .async_before = LEAT_MODE_POINTS}};
        set_mode(world, shard, &first);
        watch(world, shard);
    }
}

void sim_modes_end(sim_world *world)
{
    leat_modes_free(world->modes.board);
    free(world->modes.commands);
}
