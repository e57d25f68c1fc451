/*
 * direct.c - writes of routes that go to the database while their client waits. They pass the same
 * checks as any other write; then they are handed over, and the answer says what the database did:
 * 200 applied, 422 refused, 503 not applied, 504 unknown. The log has nothing of them, but where
 * the route has a shadow: then what was applied is appended for the shadow's table, before the
 * answer, so that a client that waits for its answers writes both in one order. An append that
 * fails, or is left out because too much of its tenant waits behind the log already, is counted and
 * harms nobody: no trouble of the log refuses a write of the table. A repeat has written nothing,
 * and neither does its shadow: so one that may have been applied is lost to the shadow, also where
 * it is sent again.
 *
 * Items of a batch to one row keep their order here too: where one was not applied, those behind it
 * that wait are refused before they are sent.
 */
#include "edge/internal.h"

#include <stdlib.h>

struct edge_direct_ticket {
    LIST_ENTRY(edge_direct_ticket) link;
    edge_asker asker;
    int64_t arrived_us;
    bool is_live;
    uint32_t shard;
    const leat_route *shadow; /* gets it too, through the log; NULL: none */
};

/* ---- answers ---- */

static void end_ticket(leat_edge *edge, edge_direct_ticket *ticket)
{
    LEAT_ASSERT(edge->direct.count > 0);
    LIST_REMOVE(ticket, link);
    edge->direct.count--;
    edge->direct.live_count -= ticket->is_live;
    edge->direct.counts[ticket->shard]--;
    leat_gauge_set(edge->metrics.sync_waiting, edge->direct.count);
    free(ticket);
    edge_drain_soon(edge);
}

static void tell_applied(leat_edge *edge, const edge_asker *asker, const char *message)
{
    if (asker->batch)
        edge_batch_applied(asker, message);
    else
        edge_answer_applied(edge, asker->request, &asker->left, message);
}

static void tell_refused(leat_edge *edge, const edge_asker *asker, const leat_direct_answer *answer)
{
    if (asker->batch)
        edge_batch_refused_by_database(asker, answer);
    else
        edge_answer_refused(edge, asker->request, answer);
}

static void on_done(void *context, void *tag, const leat_direct_answer *answer,
                    const leat_record *record)
{
    leat_edge *edge = context;
    edge_direct_ticket *ticket = tag;
    leat_count(edge->metrics.sync_writes[answer->outcome], 1);
    leat_observe(edge->metrics.sync_took, leat_mono_us() - ticket->arrived_us, 1);
    switch (answer->outcome) {
    case LEAT_DIRECT_APPLIED:
        if (ticket->shadow)
            edge_shadow_append(edge, ticket->shadow, record);
        tell_applied(edge, &ticket->asker, "");
        break;
    case LEAT_DIRECT_REPEATED:
        tell_applied(edge, &ticket->asker, answer->message);
        break;
    case LEAT_DIRECT_CONFLICT:
        edge_refuse(edge, &ticket->asker, LEAT_HTTP_INVALID, edge_idempotency_field(&ticket->asker),
                    answer->message);
        break;
    case LEAT_DIRECT_REFUSED:
        tell_refused(edge, &ticket->asker, answer);
        break;
    case LEAT_DIRECT_UNKNOWN:
        if (ticket->shadow) /* it may be applied, and then its repeats go into no shadow */
            leat_count(edge->metrics.shadow_lost, 1);
        edge_refuse(edge, &ticket->asker, LEAT_HTTP_UNKNOWN, NULL, answer->message);
        break;
    default:
        edge_refuse(edge, &ticket->asker, LEAT_HTTP_UNAVAILABLE, NULL, answer->message);
    }
    end_ticket(edge, ticket);
}

static bool on_starts(void *context, void *tag)
{
    edge_direct_ticket *ticket = tag;
    if (edge_batch_keeps_order(&ticket->asker))
        return true;
    end_ticket(context, ticket);
    return false;
}

/* ---- a write ---- */

static const leat_route *shadow_of(const leat_edge *edge, const edge_write *write)
{
    const leat_routes *routes =
        &leat_schema_versions_newest(edge->config.schema_versions, 0)->routes;
    if (write->way != LEAT_WAY_SHADOW || write->route->shadow < 0)
        return NULL;
    LEAT_ASSERT((uint32_t)write->route->shadow < routes->count);
    return &routes->routes[write->route->shadow];
}

void edge_direct_write(leat_edge *edge, const edge_write *write)
{
    const char *why;
    LEAT_ASSERT(edge->direct.source); /* there are routes for it */
    edge_direct_ticket *ticket = malloc(sizeof *ticket);
    if (!ticket) {
        edge_refuse(edge, &write->asker, LEAT_HTTP_OVERLOADED, NULL, "out of memory");
        return;
    }
    *ticket = (edge_direct_ticket){
        .asker = write->asker,
        .arrived_us = write->arrived_us,
        .shard = leat_layout_shard_of_partition(edge->config.layout, write->partition),
        .is_live = write->route->mode == LEAT_MODE_LIVE,
        .shadow = shadow_of(edge, write)};
    const leat_direct_write wanted = {
        .route = write->route,
        .op = write->op,
        .partition = write->partition,
        .key = {edge->key.canonical, edge->key.canonical_size},
        .body = write->body,
        .idempotency = write->idempotency,
        .row = write->asker.row,
        .live = write->route->mode == LEAT_MODE_LIVE ? write->route->name : NULL,
        .point = leat_mode_point(edge->key.hash),
        .tag = ticket};
    if (!leat_direct_take(edge->direct.source, &wanted, &why)) {
        free(ticket);
        leat_count(edge->metrics.sync_writes[LEAT_DIRECT_NOT_NOW], 1);
        edge_refuse(edge, &write->asker, LEAT_HTTP_OVERLOADED, NULL, why);
        return;
    }
    LIST_INSERT_HEAD(&edge->direct.tickets, ticket, link);
    edge->direct.count++;
    edge->direct.live_count += ticket->is_live;
    edge->direct.counts[ticket->shard]++;
    if (ticket->asker.batch)
        edge_batch_goes_to(ticket->asker.batch, UINT64_C(1) << ticket->shard);
    leat_gauge_set(edge->metrics.sync_waiting, edge->direct.count);
    if (!write->asker.batch)
        leat_http_request_drop_body(write->asker.request);
}

bool edge_direct_is_full(const leat_edge *edge, uint64_t shards)
{
    _Static_assert(LEAT_SHARDS_MAX <= 64, "a bit for each");
    for (uint64_t rest = shards; rest != 0; rest &= rest - 1)
        if (edge->direct.counts[__builtin_ctzll(rest)] >= edge->config.direct.batch_items)
            return true;
    return false;
}

bool edge_direct_has_row(const leat_edge *edge, uint64_t row)
{
    const edge_direct_ticket *ticket;
    if (edge->direct.live_count == 0)
        return false;
    LIST_FOREACH(ticket, &edge->direct.tickets, link)
    if (ticket->is_live && ticket->asker.row == row)
        return true;
    return false;
}

/* ---- its life ---- */

int edge_direct_init(leat_edge *edge, uv_loop_t *loop, leat_error *error)
{
    const leat_direct_source *from = &edge->config.direct;
    const leat_direct_events events = {.context = edge, .starts = on_starts, .done = on_done};
    LIST_INIT(&edge->direct.tickets);
    if (!from->open)
        return 0;
    edge->direct.source = from->open(from->context, loop, from->standstill, &events, error);
    return edge->direct.source ? 0 : -1;
}

void edge_direct_free(leat_edge *edge)
{
    leat_direct_free(edge->direct.source);
    edge->direct.source = NULL;
    LEAT_ASSERT(edge->direct.count == 0 && LIST_EMPTY(&edge->direct.tickets));
}
