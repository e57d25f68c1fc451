/*
 * client.c - the writes. Every PUT and PATCH appends its own number to a list in its row, so that
 * the final row shows which writes it got and in which order. Rows are drawn by Zipf's law: a few
 * hot ones come together in a batch, most are rare. Poison is a number in the record that the
 * database refuses; it may heal, so that a refused record passes later.
 */
#include "client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

enum { BURST = 12 };

/* ---- what is refused ---- */

static const struct {
    const char *sqlstate;
    bool passes; /* the missing row may come */
} refusals[] = {
    {"53100", true},  {"57P03", true},  {"XX000", true}, /* by a trigger, for this row */
    {"22003", false}, {"22001", false}, {"23514", false}, {"23502", false}, {"44000", false},
    {"P0001", false}, {"54000", false}, {"21000", false}, {"23503", true},  {"23505", true},
};

static sim_poison draw_poison(sim_world *world)
{
    uint32_t at = sim_below(world, sizeof refusals / sizeof *refusals);
    sim_poison poison = {.heals_at_us = INT64_MAX};
    snprintf(poison.sqlstate, sizeof poison.sqlstate, "%s", refusals[at].sqlstate);
    if (refusals[at].passes && sim_below(world, 2))
        poison.heals_at_us = world->clock.now_us + 1000 * sim_around(world, 1000);
    return poison;
}

/* One that ends its session, or all sessions of its server. */
static sim_poison draw_killer(sim_world *world)
{
    bool crashes = sim_chance(world, world->options.values[OPT_CRASHER]);
    sim_poison poison = {.heals_at_us = INT64_MAX};
    snprintf(poison.sqlstate, sizeof poison.sqlstate, "%s", crashes ? SIM_CRASHES : SIM_KILLS);
    return poison;
}

/* Returns its number. */
static uint32_t plant_poison(sim_world *world, sim_poison poison, sim_poison *ret)
{
    sim_clients *clients = &world->clients;
    *ret = poison;
    clients->poisons =
        realloc(clients->poisons, (clients->poison_count + 1) * sizeof *clients->poisons);
    LEAT_ASSERT(clients->poisons);
    clients->poisons[clients->poison_count] = *ret;
    return clients->poison_count++;
}

const char *sim_clients_poison(sim_world *world, leat_slice guard)
{
    char text[16] = "";
    snprintf(text, sizeof text, "%.*s", (int)guard.size, guard.data);
    return sim_poison_now(world, &world->clients.poisons[strtoul(text, NULL, 10)]);
}

const char *sim_poison_now(const sim_world *world, const sim_poison *poison)
{
    /* An error that may be its table's waits indefinitely when no other record of the table comes.
     */
    bool is_judged_by_others = poison->sqlstate[0] == '5' || poison->sqlstate[0] == 'X';
    bool is_healed = world->clock.now_us >= poison->heals_at_us ||
                     (sim_poison_kills(poison)
                          ? world->is_mended
                          : world->is_healing &&
                                (world->options.values[OPT_POISON_HEALS] || is_judged_by_others));
    return is_healed || !poison->sqlstate[0] ? NULL : poison->sqlstate;
}

/* ---- a write ---- */

typedef struct client_write {
    leat_route_op op;
    uint32_t app, id;
    const char *route;
} client_write;

/* Zipf's law with exponent 1: the k-th of n comes up k times less often than the first. */
static uint32_t zipf(sim_world *world, uint32_t n)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += 720720 / (i + 1);
    uint32_t at = sim_below(world, sum), k = 0;
    for (; k + 1 < n && at >= 720720 / (k + 1); k++)
        at -= 720720 / (k + 1);
    return k;
}

static client_write draw_write(sim_world *world)
{
    static const char *const routes[] = {"subs", "subs", "subs", "existing", "ordered"};
    const int64_t *option = world->options.values;
    client_write write = {.op = LEAT_PATCH, .route = routes[sim_below(world, 5)]};
    int64_t at = sim_below(world, 1000);
    if (at < option[OPT_PUT])
        write.op = LEAT_PUT;
    else if (at < option[OPT_PUT] + option[OPT_DELETE])
        write.op = LEAT_DELETE;
    bool hot = (int64_t)sim_below(world, 1000) < option[OPT_HOT];
    write.app = hot ? 0 : zipf(world, (uint32_t)option[OPT_APPS]);
    write.id = hot ? 0 : zipf(world, (uint32_t)option[OPT_IDS]);
    return write;
}

static void put_props(sim_world *world, leat_buf *out)
{
    static const char *const props[] = {"{}",
                                        "{\"a\":null}",
                                        "{\"a\":{\"b\":1}}",
                                        "{\"a\":{\"b\":null,\"c\":2}}",
                                        "{\"b\":\"x\"}",
                                        "{\"a\":3,\"c\":{\"d\":null}}",
                                        "{\"c\":{\"e\":4}}"};
    leat_buf_printf(out, ",\"props\":%s", props[sim_below(world, 7)]);
}

/* Every PUT and PATCH leaves its number in `list`, so that a row shows its writes and their
 * order. */
static void put_body(sim_world *world, const client_write *write, uint32_t number,
                     sim_poison *ret_poison, leat_buf *out)
{
    leat_buf_printf(out, write->op == LEAT_PUT ? "{\"list\":[%u]" : "{\"list\":%u", number);
    if (sim_below(world, 2))
        leat_buf_printf(out, ",\"n\":%d", (int)sim_below(world, 21) - 10);
    if (sim_below(world, 4) == 0)
        leat_buf_printf(out, ",\"hi\":%u", sim_below(world, 1000));
    if (sim_below(world, 4) == 0)
        put_props(world, out);
    if (sim_below(world, 4) == 0)
        leat_buf_printf(out, sim_below(world, 4) ? ",\"note\":\"%u\"" : ",\"note\":null", number);
    if (sim_chance(world, world->options.values[OPT_KILLER]))
        leat_buf_printf(out, ",\"guard\":\"%u\"",
                        plant_poison(world, draw_killer(world), ret_poison));
    else if (sim_chance(world, world->options.values[OPT_POISON]))
        leat_buf_printf(out, ",\"guard\":\"%u\"",
                        plant_poison(world, draw_poison(world), ret_poison));
    leat_buf_byte(out, '}');
}

/* ---- again ---- */

enum { TIMES_MAX = 4, AGAIN_MS = 400, MUCH_LATER_MS = 5000 };

/* Now and then so late that the row's key goes another way by then. */
static int64_t again_us(sim_world *world)
{
    bool is_much_later = sim_modes_are_on(world) && sim_below(world, 2) > 0;
    return world->clock.now_us + 1000 * sim_around(world, is_much_later ? MUCH_LATER_MS : AGAIN_MS);
}

static void on_again(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    sim_clients *clients = &world->clients;
    const sim_request *before = object;
    sim_request *request = leat_must_calloc(1, sizeof *request);
    *request = *before;
    clients->to_repeat--;
    clients->requests[clients->count] = request;
    request->index = clients->count++;
    request->status = 0;
    request->times++;
    memcpy(request->body, before->body_again, before->body_again_size);
    request->body_size = before->body_again_size;
    if (request->method != LEAT_HTTP_DELETE && sim_below(world, 8) == 0) { /* another write */
        snprintf(request->body, sizeof request->body, "{\"n\":7}");
        request->body_size = strlen(request->body);
        request->poison = (sim_poison){.sqlstate = ""};
    }
    memcpy(request->body_again, request->body, request->body_size);
    request->body_again_size = request->body_size;
    sim_http_request(world, request);
}

void sim_clients_answered(sim_world *world, const sim_request *request)
{
    if (!request->key[0] || request->times == TIMES_MAX)
        return;
    bool is_open = request->status == 503 || request->status == 504;
    if (!is_open && (int64_t)sim_below(world, 1000) >= world->options.values[OPT_REPEATS])
        return;
    world->clients.to_repeat++;
    sim_clock_plan(&world->clock, again_us(world), on_again, (void *)(uintptr_t)request, 0);
}

typedef struct late_attempt {
    uint32_t request;
    const leat_record *record;
} late_attempt;

static void on_late_arrival(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    const late_attempt *attempt = object;
    leat_record record = *attempt->record;
    record.accepted_ms = leat_wall_ms();
    world->clients.to_repeat--;
    if (!world->broker.partitions[record.partition].is_closed)
        sim_broker_append(world, &record, attempt->request,
                          &world->clients.requests[attempt->request]->poison);
}

void sim_clients_written(sim_world *world, sim_request *request, const leat_record *record)
{
    enum { ONE_OF = 4, LATE_MS = 500 };
    sim_clients *clients = &world->clients;
    if (!request->key[0] || request->times == TIMES_MAX || sim_below(world, ONE_OF) > 0)
        return;
    sim_request *before = leat_must_calloc(1, sizeof *before);
    late_attempt *attempt = leat_must_calloc(1, sizeof *attempt);
    sim_list_add(&world->garbage, attempt);
    *attempt = (late_attempt){clients->count, record};
    request->times++;
    *before = *request;
    before->index = clients->count;
    before->status = 504;
    clients->requests[clients->count++] = before;
    clients->answered++;
    clients->to_repeat++;
    sim_clock_plan(&world->clock, world->clock.now_us + 1000 * sim_around(world, LATE_MS),
                   on_late_arrival, attempt, 0);
}

/* Only now and then a key of its own: what repeats it has the same. */
static void give_key(sim_world *world, sim_request *request)
{
    int64_t keys = world->options.values[OPT_KEYS];
    if (keys == 0 || (int64_t)sim_below(world, 1000) >= keys)
        return;
    snprintf(request->key, sizeof request->key, "k%u", request->index);
    memcpy(request->body_again, request->body, request->body_size);
    request->body_again_size = request->body_size;
}

/* ---- through the edge ---- */

static void make_bad(sim_world *world, sim_request *request)
{
    static const char *const bodies[] = {"{\"list\":",    "[]", "{\"nothing\":1}",
                                         "{\"n\":\"x\"}", "",   "{\"n\":1.5}"};
    if (sim_below(world, 4) == 0) {
        snprintf(request->path, sizeof request->path, "/apps/a0/%s/x",
                 sim_below(world, 2) ? "subs" : "nowhere");
        return;
    }
    snprintf(request->body, sizeof request->body, "%s", bodies[sim_below(world, 6)]);
    request->body_size = strlen(request->body);
    request->method = LEAT_HTTP_PUT;
}

static void send_request(sim_world *world, uint32_t number)
{
    static const leat_http_method methods[] = {[LEAT_PUT] = LEAT_HTTP_PUT,
                                               [LEAT_PATCH] = LEAT_HTTP_PATCH,
                                               [LEAT_DELETE] = LEAT_HTTP_DELETE};
    sim_clients *clients = &world->clients;
    client_write write = draw_write(world);
    sim_request *request = leat_must_calloc(1, sizeof *request);
    clients->requests[clients->count] = request;
    request->index = clients->count++;
    request->method = methods[write.op];
    snprintf(request->path, sizeof request->path, "/apps/a%u/%s/%u", write.app, write.route,
             write.id);
    leat_buf body = {0};
    if (write.op != LEAT_DELETE)
        put_body(world, &write, number, &request->poison, &body);
    LEAT_ASSERT(body.size < sizeof request->body);
    if (body.size > 0)
        memcpy(request->body, body.data, body.size);
    request->body_size = body.size;
    leat_buf_free(&body);
    if (sim_chance(world, world->options.values[OPT_BAD_REQUESTS]))
        make_bad(world, request);
    give_key(world, request);
    sim_http_request(world, request);
}

/* ---- past the edge ---- */

/* The record's place, by the rule that docs/record-format.md gives foreign producers. */
static uint32_t partition_of(sim_world *world, const leat_record *record)
{
    leat_key key;
    leat_error error;
    const leat_route *route = leat_routes_by_name(sim_schema_routes(&world->schema), record->route);
    if (!route || leat_key_decode(route, record->key, &key, &error) != 0)
        return sim_below(world, world->broker.partition_count);
    return leat_layout_partition_of_key(&world->schema.catalog.layout, route, &key);
}

/* A malformed record: it must become a dead letter. */
static void make_senseless(sim_world *world, leat_record *record, sim_poison *poison)
{
    *poison = (sim_poison){.sqlstate = "none", .heals_at_us = INT64_MAX};
    switch (sim_below(world, 5)) {
    case 0:
        record->route = LEAT_SLICE("nowhere");
        break;
    case 1:
        record->key = LEAT_SLICE("a0/%zz");
        break;
    case 2:
        record->op = LEAT_SLICE("put");
        record->value = LEAT_SLICE("{\"n\":");
        record->value_is_null = false;
        break;
    case 3:
        record->op = LEAT_SLICE("patch");
        record->value = LEAT_SLICE("{\"nothing\":1}");
        record->value_is_null = false;
        break;
    default:
        record->op = LEAT_SLICE("upsert");
    }
}

static uint32_t misplace(sim_world *world, uint32_t partition, sim_poison *poison)
{
    uint32_t other = sim_below(world, world->broker.partition_count);
    if (sim_world_shard_of(world, other) == sim_world_shard_of(world, partition))
        return partition;
    world->sometimes->count[SOMETIMES_MISPLACED]++;
    *poison = (sim_poison){.sqlstate = "none", .heals_at_us = INT64_MAX};
    return other;
}

static void produce_foreign(sim_world *world, uint32_t number)
{
    client_write write = draw_write(world);
    if (sim_modes_is_live(world, write.route)) /* no other producer may write to such a route */
        write.route = "subs";
    char key[32];
    leat_buf body = {0};
    sim_poison poison = {.sqlstate = ""};
    if (write.op != LEAT_DELETE)
        put_body(world, &write, number, &poison, &body);
    snprintf(key, sizeof key, sim_below(world, 2) ? "a%u/%u" : "a%u/00%u", write.app, write.id);
    leat_record record = {
        .accepted_ms = leat_wall_ms(),
        .key = leat_slice_of(key),
        .value = {body.data ? body.data : "", body.size},
        .route = leat_slice_of(write.route),
        .op = leat_slice_of(leat_route_op_name(write.op)),
        .value_is_null = body.size == 0,
    };
    if (sim_below(world, 4) == 0)
        make_senseless(world, &record, &poison);
    record.partition = partition_of(world, &record);
    if (sim_below(world, 8) == 0)
        record.partition = misplace(world, record.partition, &poison);
    if (world->broker.grown > 0 && sim_below(world, 8) == 0)
        record.partition = world->broker.partition_count;
    if (!world->broker.partitions[record.partition].is_closed)
        sim_broker_append(world, &record, SIM_FOREIGN, &poison);
    leat_buf_free(&body);
}

/* ---- the population ---- */

static void on_send(sim_world *world, void *object, uint64_t left_of_burst)
{
    (void)object;
    sim_clients *clients = &world->clients;
    int64_t wanted = world->options.values[OPT_RECORDS];
    if (clients->sent == wanted)
        return;
    uint32_t number = clients->sent++;
    if (sim_chance(world, world->options.values[OPT_FOREIGN]))
        produce_foreign(world, number);
    else
        send_request(world, number);
    int64_t distance_us = sim_around(world, 1000 * world->options.values[OPT_DURATION_MS] / wanted);
    if (left_of_burst > 0)
        distance_us = sim_below(world, 100);
    else if (sim_below(world, 32) == 0)
        left_of_burst = BURST;
    sim_clock_plan(&world->clock, world->clock.now_us + distance_us, on_send, NULL,
                   left_of_burst ? left_of_burst - 1 : 0);
}

void sim_clients_begin(sim_world *world)
{
    sim_clients *clients = &world->clients;
    clients->requests =
        leat_must_calloc((1 + TIMES_MAX) * (size_t)world->options.values[OPT_RECORDS] + 1,
                         sizeof *clients->requests);
    sim_clock_plan(&world->clock, world->clock.now_us, on_send, NULL, 0);
}

void sim_clients_end(sim_world *world)
{
    sim_clients *clients = &world->clients;
    for (uint32_t i = 0; i < clients->count; i++)
        free(clients->requests[i]);
    free(clients->requests);
    free(clients->poisons);
}

bool sim_clients_are_done(const sim_world *world)
{
    const sim_clients *clients = &world->clients;
    return clients->sent == world->options.values[OPT_RECORDS] && clients->to_repeat == 0 &&
           clients->answered == clients->count;
}
