/*
 * direct.c - the statements of a write that is in no log: leat.write_now, leat.note_keys_now if it
 * has an idempotency key, its row. A batch, another such write or a change of the mode may come
 * between any two, and so each waits for what they have taken, as for rows and keys in PostgreSQL.
 */
#include "direct.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "record/idempotency.h"
#include "server_state.h"

enum { LOOK_MS = 50, WAIT_MAX_MS = 3000, JOBS_MAX = 512 };

/* Of one edge. */
typedef struct sim_direct {
    leat_direct base;
    leat_direct_events events;
    sim_world *world;
    uint32_t count; /* of its jobs that are not answered */
} sim_direct;

struct sim_direct_job {
    sim_direct *direct; /* NULL: its edge has ended */
    sim_request *request;
    void *tag;
    leat_item item;
    leat_record record; /* as it is kept, with the key that the client has sent; slices into
                           `bytes` */
    char bytes[1024];
    uint64_t order; /* writes with the same number go one after another */
    uint32_t row, shard, point;
    int64_t until_us;
    bool is_sent, is_over, is_given_up; /* the latter: the server will find that its client is
                                           gone */
    bool has_key;
    leat_write_id id; /* its key, as the edge has handed it over */
    leat_direct_answer answer;

    /* Its transaction. */
    sim_server *server; /* NULL: none has begun */
    uint64_t run;       /* the server's */
    uint32_t version;
    bool has_version; /* the lock of it */
    bool is_through;  /* the server lets it write */
    bool has_lock;    /* of its key */
    bool has_noted, has_row;
};

/* ---- a write's end ---- */

static void start_free(sim_direct *direct);

static void forget(sim_world *world, const sim_direct_job *job)
{
    sim_directs *directs = &world->modes.directs;
    uint32_t at = 0;
    while (directs->jobs[at] != job)
        at++;
    directs->count--;
    memmove(&directs->jobs[at], &directs->jobs[at + 1],
            (directs->count - at) * sizeof(sim_direct_job *));
    if (job->direct)
        job->direct->count--;
}

static void on_answer(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    sim_direct_job *job = object;
    sim_direct *direct = job->direct;
    forget(world, job);
    if (!direct)
        return;
    direct->events.done(direct->events.context, job->tag, &job->answer, &job->record);
    start_free(direct);
}

static void roll_back(sim_direct_job *job)
{
    job->has_version = job->is_through = job->has_lock = job->has_noted = job->has_row = false;
}

static void end(sim_world *world, sim_direct_job *job, leat_direct_outcome outcome)
{
    job->is_over = true;
    roll_back(job);
    job->answer.outcome = outcome;
    leat_item_clear(&job->item);
    sim_clock_plan(&world->clock, world->clock.now_us + sim_latency_us(world), on_answer, job, 0);
}

/* ---- leat.write_now ---- */

typedef enum direct_step {
    READ_VERSION,
    TAKE_VERSION,
    READ_AGAIN,
    TAKE_KEY,
    LOOK_FOR_KEY,
    MAKE_SURE,
    NOTE_KEY,
    TAKE_ROW,
    COMMIT,
} direct_step;

static void on_statement(sim_world *world, void *object, uint64_t step);

static void go_on(sim_world *world, sim_direct_job *job, direct_step step)
{
    int64_t took_us = sim_around(world, world->options.values[OPT_STATEMENT_US]) +
                      sim_modes_late_us(world);
    sim_clock_plan(&world->clock, world->clock.now_us + took_us, on_statement, job, step);
}

/* Somebody else has what the statement needs. */
static void wait_for(sim_world *world, sim_direct_job *job, direct_step step)
{
    if (world->clock.now_us >= job->until_us)
        end(world, job, LEAT_DIRECT_NOT_NOW);
    else
        sim_clock_plan(&world->clock, world->clock.now_us + 1000 * LOOK_MS, on_statement, job,
                       step);
}

static bool is_held(const sim_direct_job *job)
{
    const sim_partition_state *partition = &job->server->state.partitions[job->record.partition];
    return sim_held_has(partition, leat_item_held_hash(&job->item));
}

static void read_version(sim_world *world, sim_direct_job *job)
{
    sim_server *server = world->shards[job->shard].primary;
    if (!server->is_up || server->is_read_only || server->refuse_until_us > world->clock.now_us ||
        sim_chance(world, world->options.values[OPT_ERRORS])) {
        end(world, job, LEAT_DIRECT_NOT_NOW);
        return;
    }
    job->server = server;
    job->run = server->run;
    job->version = server->state.mode.setting.version;
    go_on(world, job, TAKE_VERSION);
}

static void take_version(sim_world *world, sim_direct_job *job)
{
    job->has_version = true;
    go_on(world, job, READ_AGAIN);
}

static void read_again(sim_world *world, sim_direct_job *job)
{
    const leat_mode_setting *setting = &job->server->state.mode.setting;
    bool may = setting->version == job->version && job->point >= setting->async &&
               job->point >= setting->async_before;
    if (!may || is_held(job)) {
        end(world, job, LEAT_DIRECT_NOT_NOW);
        return;
    }
    job->is_through = true;
    sim_check_let_through(world, job->server, job->row);
    go_on(world, job, job->has_key ? TAKE_KEY : TAKE_ROW);
}

/* ---- leat.note_keys_now ---- */

static bool is_in(const sim_direct_job *job, const sim_server *server)
{
    return job->server == server && server->is_up && job->run == server->run && !job->is_over;
}

static bool is_key_locked(const sim_world *world, const sim_direct_job *by)
{
    const sim_directs *directs = &world->modes.directs;
    for (uint32_t i = 0; i < directs->count; i++) {
        const sim_direct_job *job = directs->jobs[i];
        if (job != by && job->has_lock && job->id.a == by->id.a && is_in(job, by->server))
            return true;
    }
    return false;
}

static void take_key(sim_world *world, sim_direct_job *job)
{
    if (is_key_locked(world, job)) {
        world->sometimes->count[SOMETIMES_KEY_WAITED]++;
        wait_for(world, job, TAKE_KEY);
        return;
    }
    job->has_lock = true;
    go_on(world, job, LOOK_FOR_KEY);
}

static sim_direct_write write_of(const sim_direct_job *job)
{
    return (sim_direct_write){.row = job->row, .op = job->item.op, .record = &job->record};
}

static void end_known(sim_world *world, sim_direct_job *job, leat_direct_outcome outcome)
{
    sim_direct_write write = write_of(job);
    sim_check_known(world, job->server, &write, outcome);
    world->sometimes->count[outcome == LEAT_DIRECT_CONFLICT ? SOMETIMES_DIRECT_CONFLICTING
                                                            : SOMETIMES_DIRECT_REPEATED]++;
    end(world, job, outcome);
}

/* What is known is perhaps not on the disk yet, and of what this transaction has written nothing
 * makes it wait: so another one does, before the client is told. */
static void look_for_key(sim_world *world, sim_direct_job *job)
{
    const leat_write_id *known = sim_notes_find(&job->server->state.notes, &job->id);
    if (!known)
        go_on(world, job, NOTE_KEY);
    else if (known->fingerprint != job->id.fingerprint)
        end_known(world, job, LEAT_DIRECT_CONFLICT);
    else
        go_on(world, job, MAKE_SURE);
}

static void make_sure(sim_world *world, sim_direct_job *job)
{
    sim_server_flush(job->server);
    end_known(world, job, LEAT_DIRECT_REPEATED);
}

/* The unique index: a batch may have looked at the same moment. What it stops is tried again. */
static void note_key(sim_world *world, sim_direct_job *job)
{
    if (sim_sessions_have_noted(job->server, &job->id)) {
        wait_for(world, job, NOTE_KEY);
    } else if (sim_notes_find(&job->server->state.notes, &job->id)) {
        roll_back(job);
        go_on(world, job, READ_VERSION);
    } else {
        job->has_noted = true;
        go_on(world, job, TAKE_ROW);
    }
}

/* ---- the row ---- */

static bool is_row_taken(const sim_direct_job *job)
{
    return sim_server_holds_row(job->server, job->row) ||
           sim_sessions_have_row(job->server, job->row) ||
           sim_directs_have_row(job->server, job->row);
}

static void take_row(sim_world *world, sim_direct_job *job)
{
    const char *poison = sim_poison_now(world, &job->request->poison);
    if (is_row_taken(job)) {
        wait_for(world, job, TAKE_ROW);
    } else if (job->server->fail_until_us > world->clock.now_us) {
        end(world, job, LEAT_DIRECT_NOT_NOW);
    } else if (poison) {
        end(world, job,
            sim_poison_kills(&job->request->poison) ? LEAT_DIRECT_UNKNOWN : LEAT_DIRECT_REFUSED);
    } else {
        job->has_row = true;
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
    tx->direct = write_of(job);
    tx->direct.position = sim_check_applied_of_row(world, job->server, job->row);
    if (job->has_noted)
        sim_notes_add(&tx->notes, &job->id);
    sim_check_let_through(world, job->server, job->row);
    sim_server_commit(job->server, tx);
    sim_clients_written(world, job->request, &job->record);
    world->sometimes->count[SOMETIMES_WRITTEN_DIRECTLY]++;
    bool is_unheard = sim_chance(world, world->options.values[OPT_ACK_LOST]);
    end(world, job, is_unheard ? LEAT_DIRECT_UNKNOWN : LEAT_DIRECT_APPLIED);
}

static void (*const run[])(sim_world *world, sim_direct_job *job) = {
    [READ_VERSION] = read_version, [TAKE_VERSION] = take_version, [READ_AGAIN] = read_again,
    [TAKE_KEY] = take_key,         [LOOK_FOR_KEY] = look_for_key, [NOTE_KEY] = note_key,
    [MAKE_SURE] = make_sure,       [TAKE_ROW] = take_row,         [COMMIT] = commit,
};

static void on_statement(sim_world *world, void *object, uint64_t step)
{
    sim_direct_job *job = object;
    const sim_server *server = world->shards[job->shard].primary;
    if (job->is_over)
        return;
    /* Another server, or another start of it, or none: the transaction is gone. */
    if (step > READ_VERSION && (!is_in(job, server) || job->is_given_up))
        end(world, job, LEAT_DIRECT_UNKNOWN);
    else if (server->paused_until_us > world->clock.now_us)
        sim_clock_plan(&world->clock, server->paused_until_us, on_statement, job, step);
    else
        run[step](world, job);
}

/* ---- taking it ---- */

static bool is_first_of_row(const sim_directs *directs, const sim_direct_job *job)
{
    uint32_t at = 0;
    while (directs->jobs[at]->direct != job->direct || directs->jobs[at]->order != job->order)
        at++;
    return directs->jobs[at] == job;
}

static void start_free(sim_direct *direct)
{
    sim_world *world = direct->world;
    sim_directs *directs = &world->modes.directs;
    for (uint32_t i = 0; i < directs->count; i++) {
        sim_direct_job *job = directs->jobs[i];
        if (job->direct != direct || job->is_sent || job->is_over || !is_first_of_row(directs, job))
            continue;
        job->is_sent = true;
        if (direct->events.starts(direct->events.context, job->tag)) {
            sim_clock_plan(&world->clock,
                           world->clock.now_us + sim_latency_us(world) + sim_modes_late_us(world),
                           on_statement, job, READ_VERSION);
            continue;
        }
        leat_item_clear(&job->item);
        forget(world, job);
        i = UINT32_MAX; /* from the first again */
    }
}

static void decode(sim_world *world, sim_direct_job *job, const leat_direct_write *write)
{
    leat_buf scratch = {0};
    leat_record record = {.partition = write->partition,
                          .offset = -1,
                          .key = write->key,
                          .value = write->body,
                          .route = leat_slice_of(write->route->name),
                          .op = leat_slice_of(leat_route_op_name(write->op)),
                          .idempotency = write->idempotency};
    job->record = sim_record_copy(&record, job->bytes, sizeof job->bytes);
    job->item.record = job->record;
    job->record.idempotency = leat_slice_of(job->request->key);
    int status = leat_item_decode(sim_schema_routes(&world->schema),
                                  &world->schema.catalog.source.placement, &job->item);
    LEAT_ASSERT(status == 0 && job->item.route);
    job->has_key = leat_idempotency_has_key(&job->item);
    if (job->has_key)
        LEAT_ASSERT(leat_idempotency_identify(world->schema.catalog.source.id, &job->item, &scratch,
                                              &job->id));
    leat_buf_free(&scratch);
}

static void add(sim_directs *directs, sim_direct_job *job)
{
    if (directs->count == directs->capacity) {
        directs->capacity = directs->capacity ? 2 * directs->capacity : 64;
        directs->jobs = realloc(directs->jobs, directs->capacity * sizeof(sim_direct_job *));
        LEAT_ASSERT(directs->jobs);
    }
    directs->jobs[directs->count++] = job;
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
    job->direct = direct;
    job->request = world->clients.handled;
    job->tag = write->tag;
    job->order = write->row;
    job->point = write->point;
    job->shard = sim_world_shard_of(world, write->partition);
    job->until_us = world->clock.now_us + 1000 * WAIT_MAX_MS;
    decode(world, job, write);
    int32_t row = sim_schema_row(&world->schema, job->item.route->table_index,
                                 job->item.key[0].text, job->item.key[1].integer);
    LEAT_ASSERT(row >= 0);
    job->row = (uint32_t)row;
    direct->count++;
    add(&world->modes.directs, job);
    start_free(direct);
    return true;
}

/* ---- its life ---- */

/* Its edge ends, and with it the connection; what has all arrived may be done all the same. */
static void leave(sim_world *world, sim_direct *direct, sim_direct_job *job)
{
    const leat_direct_answer unknown = {.outcome = LEAT_DIRECT_UNKNOWN};
    bool is_open = job->is_sent && !job->is_over;
    job->is_given_up = is_open && sim_below(world, 2) > 0;
    direct->events.done(direct->events.context, job->tag, &unknown, &job->record);
    job->direct = NULL;
    if (job->is_sent)
        return;
    job->is_over = true;
    leat_item_clear(&job->item);
    forget(world, job);
}

static void free_direct(leat_direct *base)
{
    sim_direct *direct = (sim_direct *)base;
    sim_directs *directs = &direct->world->modes.directs;
    for (uint32_t i = directs->count; i-- > 0;)
        if (directs->jobs[i]->direct == direct)
            leave(direct->world, direct, directs->jobs[i]);
    free(direct);
}

/* Nobody asks an edge here whether it is ready. */
static const char *trouble(const leat_direct *base, uint32_t shard)
{
    (void)base, (void)shard;
    return NULL;
}

static const leat_direct_ops direct_ops = {.write = take, .trouble = trouble, .free = free_direct};

static leat_direct *open_direct(void *context, uv_loop_t *loop, leat_standstill *standstill,
                                const leat_direct_events *events, leat_error *error)
{
    (void)loop;
    (void)standstill;
    (void)error;
    sim_direct *direct = leat_must_calloc(1, sizeof *direct);
    *direct = (sim_direct){.base.ops = &direct_ops, .events = *events, .world = context};
    return &direct->base;
}

leat_direct_source sim_direct_source(sim_world *world)
{
    if (!sim_modes_are_on(world))
        return (leat_direct_source){.open = NULL};
    return (leat_direct_source){.open = open_direct, .context = world, .batch_items = JOBS_MAX};
}

void sim_directs_end(sim_world *world)
{
    sim_directs *directs = &world->modes.directs;
    for (uint32_t i = 0; i < directs->count; i++)
        if (!directs->jobs[i]->is_over)
            leat_item_clear(&directs->jobs[i]->item);
    free(directs->jobs);
}

/* ---- questions ---- */

bool sim_directs_write(const sim_server *server, uint32_t row)
{
    const sim_directs *directs = &server->world->modes.directs;
    for (uint32_t i = 0; i < directs->count; i++)
        if (directs->jobs[i]->row == row && directs->jobs[i]->is_through &&
            is_in(directs->jobs[i], server))
            return true;
    return false;
}

bool sim_directs_have_row(const sim_server *server, uint32_t row)
{
    const sim_directs *directs = &server->world->modes.directs;
    for (uint32_t i = 0; i < directs->count; i++)
        if (directs->jobs[i]->row == row && directs->jobs[i]->has_row &&
            is_in(directs->jobs[i], server))
            return true;
    return false;
}

bool sim_directs_have_noted(const sim_server *server, const leat_write_id *id)
{
    const sim_directs *directs = &server->world->modes.directs;
    for (uint32_t i = 0; i < directs->count; i++) {
        const sim_direct_job *job = directs->jobs[i];
        if (job->has_noted && job->id.a == id->a && job->id.b == id->b && is_in(job, server))
            return true;
    }
    return false;
}

bool sim_directs_have_version(const sim_server *server, uint32_t version)
{
    const sim_directs *directs = &server->world->modes.directs;
    for (uint32_t i = 0; i < directs->count; i++)
        if (directs->jobs[i]->has_version && directs->jobs[i]->version == version &&
            is_in(directs->jobs[i], server))
            return true;
    return false;
}
