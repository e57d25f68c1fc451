/*
 * append.c - a write on its way through the log: it is appended, and answered when the log has
 * answered. The edge does not keep what it accepts: while a record is on its way there is only its
 * ticket, which says who gets the answer. There are as many tickets as writes may be in flight, so
 * the edge's memory is bounded by that number, and there is no state that a crash could lose after
 * a 202.
 */
#include "edge/waiting.h"

#include <stdlib.h>

#include "base/pages.h"
#include "edge/trace.h"

/* Who waits for a record's answer; it is the record's tag. */
struct edge_ticket {
    edge_asker asker;
    int64_t arrived_us;
    uint32_t subpartition; /* as is `key`, of its place; 0 where there are no waits */
    uint32_t wait_s;       /* 0: it is answered as soon as the log has it */
    uint32_t route;        /* its index */
    uint64_t key;
    bool is_shadow;         /* nobody waits for it */
    const leat_route *live; /* NULL: its way does not change */
    edge_lease lease;       /* else */
    edge_seen_key seen;
    edge_ticket *next; /* free ones */
};

/* ---- tickets ---- */

void edge_tickets_init(leat_edge *edge)
{
    LEAT_ASSERT(edge->config.in_flight_max > 0 && edge->partition_count > 0);
    edge->in_flight_of = leat_must_calloc(edge->partition_count, sizeof *edge->in_flight_of);
    edge->oldest_us = leat_must_calloc(edge->partition_count, sizeof *edge->oldest_us);
    leat_shares_init(&edge->shares, edge->config.in_flight_max, edge->partition_count);
    edge->tickets = leat_must_pages(edge->config.in_flight_max, sizeof *edge->tickets);
}

void edge_tickets_fini(leat_edge *edge)
{
    LEAT_ASSERT(edge->in_flight == 0);
    leat_pages_free(edge->tickets, edge->config.in_flight_max * sizeof *edge->tickets);
    free(edge->in_flight_of);
    free(edge->oldest_us);
}

/* Those that were never used are at the end: untouched memory. */
static edge_ticket *take_ticket(leat_edge *edge)
{
    edge_ticket *ticket = edge->free_tickets;
    if (ticket)
        edge->free_tickets = ticket->next;
    else
        ticket = &edge->tickets[edge->tickets_used++];
    LEAT_ASSERT(edge->tickets_used <= edge->config.in_flight_max);
    return ticket;
}

/* Of the write whose key is in the edge. */
static void fill_ticket(leat_edge *edge, edge_ticket *ticket, const edge_write *write)
{
    const leat_edge_writes *writes = &edge->config.writes;
    leat_slice key = {edge->key.canonical, edge->key.canonical_size};
    *ticket = (edge_ticket){.asker = write->asker,
                            .arrived_us = write->arrived_us,
                            .route = write->route->index,
                            .seen = write->seen};
    if (write->route->mode == LEAT_MODE_LIVE) {
        ticket->live = write->route;
        ticket->lease = (edge_lease){.until_us = write->way_until_us,
                                     .version = write->way_version,
                                     .point = leat_mode_point(edge->key.hash)};
    }
    if (writes->waits) {
        ticket->subpartition = leat_placement_subpartition(writes->placement, key, edge->key.hash);
        ticket->key = leat_route_held_hash(write->route, key);
    }
    ticket->wait_s = write->asker.batch ? 0 : edge_waiting_wish(edge, write->asker.request);
    if (ticket->wait_s > 0)
        edge_waiting_expect(edge, write->partition);
}

static void give_ticket(leat_edge *edge, edge_ticket *ticket)
{
    ticket->next = edge->free_tickets;
    edge->free_tickets = ticket;
}

/* ---- into the log ---- */

/* The log has not taken the record: `result` as of leat_log_append. */
static void answer_not_taken(leat_edge *edge, const edge_write *write, int result,
                             const char *reason)
{
    LEAT_ASSERT(result != 0);
    const char *trouble = result > 0 ? leat_log_writer_trouble(edge->writer) : NULL;
    leat_http_code code = result < 0 ? LEAT_HTTP_TOO_LARGE
                          : trouble  ? LEAT_HTTP_UNAVAILABLE
                                     : LEAT_HTTP_OVERLOADED;
    edge_refuse(edge, &write->asker, code, NULL, trouble ? trouble : reason);
}

void edge_append(leat_edge *edge, const edge_write *write)
{
    leat_slice none = {"", 0};
    leat_record record = {
        .partition = write->partition,
        .offset = -1,
        .accepted_ms = leat_wall_ms(),
        .key = {edge->key.canonical, edge->key.canonical_size},
        .value = write->body,
        .route = write->names_route ? leat_slice_of(write->route->name) : none,
        .op = write->op == LEAT_PUT ? none : leat_slice_of(leat_route_op_name(write->op)),
        .idempotency = write->idempotency.data ? write->idempotency : none,
    };
    leat_error error;
    uint64_t *in_flight = &edge->in_flight_of[write->partition];
    if (!leat_shares_take(&edge->shares, in_flight, 1)) {
        edge_refuse(edge, &write->asker, LEAT_HTTP_OVERLOADED, NULL,
                    "too many writes of this partition wait for the log");
        return;
    }
    edge_ticket *ticket = take_ticket(edge);
    fill_ticket(edge, ticket, write);
    edge_trace_append(edge, &write->asker, &record);
    int result = leat_log_append(edge->writer, &record, ticket, &error);
    if (result != 0) {
        leat_shares_give(&edge->shares, in_flight, 1);
        if (ticket->wait_s > 0)
            edge_waiting_expected(edge, write->partition);
        give_ticket(edge, ticket);
        answer_not_taken(edge, write, result, error.text);
        return;
    }
    edge->in_flight++;
    if (*in_flight == 1)
        edge->oldest_us[write->partition] = write->arrived_us;
    leat_gauge_set(edge->metrics.in_flight, edge->in_flight);
    if (!write->asker.batch)
        leat_http_request_drop_body(write->asker.request);
}

/* It counts against no rate: a write that is applied already has had its turn. What holds is what
 * protects the log and the shards behind it. */
void edge_shadow_append(leat_edge *edge, const leat_route *shadow, const leat_record *applied)
{
    leat_error error;
    leat_record record = *applied;
    record.accepted_ms = leat_wall_ms();
    record.route = leat_slice_of(shadow->name);
    record.idempotency = (leat_slice){"", 0}; /* repeats have been found already */
    uint64_t *in_flight = &edge->in_flight_of[record.partition];
    if (!edge_admission_takes_shadow(edge, shadow, &record) ||
        edge->in_flight >= edge->config.in_flight_max ||
        !leat_shares_take(&edge->shares, in_flight, 1)) {
        leat_count(edge->metrics.shadow_lost, 1);
        return;
    }
    edge_ticket *ticket = take_ticket(edge);
    *ticket = (edge_ticket){.is_shadow = true, .arrived_us = leat_mono_us()};
    if (leat_log_append(edge->writer, &record, ticket, &error) != 0) {
        leat_shares_give(&edge->shares, in_flight, 1);
        give_ticket(edge, ticket);
        leat_count(edge->metrics.shadow_lost, 1);
        return;
    }
    edge->in_flight++;
    if (*in_flight == 1)
        edge->oldest_us[record.partition] = ticket->arrived_us;
    leat_gauge_set(edge->metrics.in_flight, edge->in_flight);
}

/* ---- the log's answers ---- */

static bool has_earlier(const leat_edge *edge, uint32_t partition, int64_t arrived_us)
{
    int64_t now_us = leat_mono_us();
    int64_t waits_us = leat_log_writer_oldest_us(edge->writer, partition, now_us);
    return waits_us > 0 && now_us - waits_us < arrived_us;
}

/* A partition's records are stored in their order, but one that is refused may be answered before
 * others that came earlier. */
static void note_answered(leat_edge *edge, uint32_t partition, int64_t arrived_us, bool is_stored)
{
    int64_t *oldest_us = &edge->oldest_us[partition];
    if (arrived_us > *oldest_us && (is_stored || !has_earlier(edge, partition, arrived_us)))
        *oldest_us = arrived_us;
}

int64_t edge_oldest_us(const leat_edge *edge)
{
    int64_t oldest_us = INT64_MAX;
    for (uint32_t i = 0; edge->in_flight > 0 && i < edge->partition_count; i++)
        if (edge->in_flight_of[i] > 0 && edge->oldest_us[i] < oldest_us)
            oldest_us = edge->oldest_us[i];
    return oldest_us;
}

static void tell_accepted(leat_edge *edge, const edge_ticket *ticket, uint32_t partition,
                          int64_t offset)
{
    const leat_write_place place = {.partition = partition,
                                    .subpartition = ticket->subpartition,
                                    .offset = offset,
                                    .key = ticket->key};
    if (ticket->asker.batch)
        edge_batch_accepted(&ticket->asker, &place);
    else if (ticket->wait_s > 0)
        edge_waiting_begin(edge, ticket->asker.request, &place, ticket->wait_s,
                           &ticket->asker.left);
    else
        edge_answer_accepted(edge, ticket->asker.request, &place, &ticket->asker.left);
}

void edge_on_appended(void *context, void *tag, leat_append_result result, uint32_t partition,
                      int64_t offset, const char *why)
{
    static const leat_http_code answers[] = {
        [LEAT_NOT_APPENDED] = LEAT_HTTP_UNAVAILABLE,
        [LEAT_APPEND_UNKNOWN] = LEAT_HTTP_UNKNOWN,
        [LEAT_APPEND_TOO_LARGE] = LEAT_HTTP_TOO_LARGE,
    };
    leat_edge *edge = context;
    edge_ticket ticket = *(edge_ticket *)tag;
    LEAT_ASSERT(edge->in_flight > 0 && partition < edge->partition_count);
    edge->in_flight--;
    leat_shares_give(&edge->shares, &edge->in_flight_of[partition], 1);
    note_answered(edge, partition, ticket.arrived_us, result == LEAT_APPENDED);
    leat_gauge_set(edge->metrics.in_flight, edge->in_flight);
    give_ticket(edge, tag);
    if (!ticket.is_shadow) /* its request may have gone */
        edge_trace_appended(edge, &ticket.asker, result, partition, offset,
                            edge->metrics.durable[ticket.route]);
    if (ticket.is_shadow) {
        leat_count(
            result == LEAT_APPENDED ? edge->metrics.shadow_appended : edge->metrics.shadow_lost, 1);
    } else if (result == LEAT_APPENDED) {
        edge->taken_us = leat_mono_us();
        edge_idempotency_note(edge, &ticket.seen);
        leat_observe(edge->metrics.durable[ticket.route], edge->taken_us - ticket.arrived_us, 1);
        if (!ticket.live || edge_way_may_accept(edge, ticket.live, partition, &ticket.lease))
            tell_accepted(edge, &ticket, partition, offset);
        else
            edge_refuse(edge, &ticket.asker, LEAT_HTTP_UNKNOWN, NULL,
                        "the write is in the log, but its key may go another way by now, and other "
                        "writes of it may be applied first");
    } else {
        edge_refuse(edge, &ticket.asker, answers[result], NULL,
                    why ? why : "the log gave no reason");
    }
    if (ticket.wait_s > 0)
        edge_waiting_expected(edge, partition);
    edge_drain_soon(edge);
}
