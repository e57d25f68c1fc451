/*
 * writer.c - the simulated side of log.h's writer for an edge: appends arrive, mostly in order.
 * One whose answer is lost may be in the log now or later. One that a recreated topic has taken is
 * acknowledged like any other: the production code's guard decides which acknowledgements to
 * believe, and when to read the topic first. What an edge has sent before its end may arrive after
 * it.
 */
#include <stdlib.h>
#include <string.h>

#include "log/kafka/topic_guard.h"
#include "world.h"

enum { WAITING_MAX = 64, BROKERS = 2 };

struct leat_log_writer {
    sim_world *world;
    leat_appended_cb on_appended;
    void *context;
    int64_t last_us;
    uint32_t waiting;
    struct append *open[WAITING_MAX]; /* without an answer yet */
    leat_topic_guard guard;
    bool is_reading_topic[BROKERS];
    int64_t read_us_of_topic[BROKERS]; /* when it began */
    bool is_recreated;                 /* a read of the topic has shown it */
    bool is_gone;                      /* nobody waits for its answers any more */
};

/* One append under way. */
typedef struct append {
    leat_log_writer *writer;
    sim_request *request; /* whose record it is */
    void *tag;
    leat_record record; /* slices into `bytes` */
    char bytes[1024];
    bool is_answered;
    bool is_acknowledged; /* waits for a read of the topic */
    leat_topic_ack ack;
    leat_append_result result;
    int64_t offset;
} append;

static void forget(leat_log_writer *writer, const append *sent)
{
    uint32_t at = 0;
    while (writer->open[at] != sent)
        at++;
    writer->open[at] = writer->open[--writer->waiting];
}

static void answer(append *sent, leat_append_result result)
{
    forget(sent->writer, sent);
    sent->writer->on_appended(sent->writer->context, sent->tag, result, sent->record.partition,
                              sent->offset, "simulated");
}

/* ---- is it the topic that was set up? ---- */

/* Waiting appends are checked again; none waits for long once a read that began later is in. */
static void judge_waiting(leat_log_writer *writer)
{
    for (uint32_t i = writer->waiting; i > 0; i--) {
        append *sent = writer->open[i - 1];
        if (!sent->is_acknowledged)
            continue;
        if (writer->is_recreated)
            answer(sent, LEAT_APPEND_UNKNOWN);
        else if (leat_topic_guard_is_shown(&writer->guard, &sent->ack))
            answer(sent, LEAT_APPENDED);
    }
}

static void topic_read_begin(leat_log_writer *writer, uint64_t broker);

static void on_topic_read(sim_world *world, void *object, uint64_t broker_and_found)
{
    (void)world;
    leat_log_writer *writer = object;
    uint64_t broker = broker_and_found / 2;
    if (writer->is_gone)
        return;
    writer->is_reading_topic[broker] = false;
    if (broker_and_found % 2)
        leat_topic_guard_checked(&writer->guard, (int32_t)broker, writer->read_us_of_topic[broker]);
    else
        writer->is_recreated = true;
    judge_waiting(writer);
    for (uint32_t i = 0; i < writer->waiting; i++)
        if (writer->open[i]->is_acknowledged)
            topic_read_begin(writer, (uint64_t)writer->open[i]->ack.broker);
}

static void on_look(sim_world *world, void *object, uint64_t broker)
{
    bool is_right = world->broker.topic == 1;
    sim_clock_plan(&world->clock, world->clock.now_us + sim_latency_us(world), on_topic_read,
                   object, 2 * broker + is_right);
}

static void topic_read_begin(leat_log_writer *writer, uint64_t broker)
{
    sim_world *world = writer->world;
    if (writer->is_reading_topic[broker])
        return;
    writer->is_reading_topic[broker] = true;
    writer->read_us_of_topic[broker] = world->clock.now_us;
    sim_clock_plan(&world->clock, world->clock.now_us + sim_latency_us(world), on_look, writer,
                   broker);
}

static void on_acknowledged(append *sent)
{
    leat_log_writer *writer = sent->writer;
    sent->ack = (leat_topic_ack){.partition = sent->record.partition,
                                 .broker = (int32_t)(sent->record.partition % BROKERS),
                                 .offset = sent->offset,
                                 .at_us = writer->world->clock.now_us};
    leat_topic_guard_verdict verdict = leat_topic_guard_check_ack(&writer->guard, &sent->ack);
    if (writer->is_recreated || verdict == LEAT_GUARD_RECREATED) {
        leat_topic_guard_doubt(&writer->guard);
        answer(sent, LEAT_APPEND_UNKNOWN);
    } else if (verdict == LEAT_GUARD_STORED) {
        answer(sent, LEAT_APPENDED);
    } else {
        sent->is_acknowledged = true;
        topic_read_begin(writer, (uint64_t)sent->ack.broker);
    }
}

/* ---- appends ---- */

static void on_answer(sim_world *world, void *object, uint64_t argument)
{
    (void)world;
    (void)argument;
    append *sent = object;
    if (sent->writer->is_gone)
        return;
    if (sent->result == LEAT_APPENDED)
        on_acknowledged(sent);
    else
        answer(sent, sent->result);
}

static void answer_later(append *sent, leat_append_result result)
{
    if (sent->is_answered)
        return;
    sent->is_answered = true;
    sent->result = result;
    sim_world *world = sent->writer->world;
    int64_t after_us = sim_latency_us(world) + sim_modes_late_us(world);
    sim_clock_plan(&world->clock, world->clock.now_us + after_us, on_answer, sent, 0);
}

static void on_arrival(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    append *sent = object;
    const sim_partition *partition = &world->broker.partitions[sent->record.partition];
    if (world->broker.topic != 1) {
        world->sometimes->count[SOMETIMES_WRITTEN_ELSEWHERE]++;
        sent->offset = sim_broker_append_elsewhere(world, sent->record.partition);
        answer_later(sent, LEAT_APPENDED);
        return;
    }
    if (partition->is_closed || sim_chance(world, world->options.values[OPT_NOT_APPENDED])) {
        world->sometimes->count[SOMETIMES_NOT_APPENDED]++;
        answer_later(sent, LEAT_NOT_APPENDED);
        return;
    }
    sent->offset =
        sim_broker_append(world, &sent->record, sent->request->index, &sent->request->poison)
            ->record.offset;
    answer_later(sent, LEAT_APPENDED);
}

static append *copy_append(leat_log_writer *writer, const leat_record *record, void *tag)
{
    append *sent = leat_must_calloc(1, sizeof *sent);
    sent->writer = writer;
    sent->request = writer->world->clients.handled;
    sent->tag = tag;
    sent->record = sim_record_copy(record, sent->bytes, sizeof sent->bytes);
    sent->offset = -1;
    sim_list_add(&writer->world->garbage, sent);
    return sent;
}

int leat_log_append(leat_log_writer *writer, const leat_record *record, void *tag,
                    leat_error *error)
{
    sim_world *world = writer->world;
    if (writer->waiting == WAITING_MAX || writer->is_recreated) {
        leat_fail(error, "full, or not the topic that was set up");
        return 1;
    }
    append *sent = copy_append(writer, record, tag);
    writer->open[writer->waiting++] = sent;
    int64_t at = world->clock.now_us + sim_latency_us(world) + sim_modes_late_us(world);
    writer->last_us = at > writer->last_us ? at : writer->last_us;
    if (!sim_chance(world, world->options.values[OPT_ACK_LOST])) {
        sim_clock_plan(&world->clock, writer->last_us, on_arrival, sent, 0);
        return 0;
    }
    world->sometimes->count[SOMETIMES_ACK_LOST]++;
    if (sim_below(world, 2))
        sim_clock_plan(&world->clock, writer->last_us, on_arrival, sent, 0);
    answer_later(sent, LEAT_APPEND_UNKNOWN);
    return 0;
}

leat_log_writer *leat_log_writer_new(uv_loop_t *loop, const leat_log_config *config,
                                     const leat_log_identity *identity,
                                     leat_appended_cb on_appended, void *context, leat_error *error)
{
    (void)identity;
    (void)loop;
    (void)config;
    (void)error;
    sim_world *world = sim_world_running();
    leat_log_writer *writer = leat_must_calloc(1, sizeof *writer);
    *writer = (leat_log_writer){.world = world, .on_appended = on_appended, .context = context};
    leat_topic_guard_init(&writer->guard, SIM_PARTITIONS_MAX);
    sim_list_add(&world->garbage, writer);
    return writer;
}

int64_t leat_log_writer_oldest_us(const leat_log_writer *writer, uint32_t partition, int64_t now_us)
{
    (void)writer;
    (void)partition;
    (void)now_us;
    return 0;
}

const char *leat_log_writer_trouble(leat_log_writer *writer)
{
    return writer->is_recreated ? "it is not the topic that was set up" : NULL;
}

void leat_log_writer_health(const leat_log_writer *writer, leat_log_health *ret)
{
    (void)writer;
    *ret = (leat_log_health){0};
}

const char *leat_log_writer_failed(const leat_log_writer *writer)
{
    (void)writer;
    return NULL;
}

const char *leat_log_writer_partition_trouble(leat_log_writer *writer, uint32_t partition)
{
    (void)writer;
    (void)partition;
    return NULL;
}

uint64_t leat_log_writer_refusals(const leat_log_writer *writer, leat_log_refusal cause)
{
    (void)writer;
    (void)cause;
    return 0;
}

const char *leat_log_writer_refusal_reason(const leat_log_writer *writer, leat_log_refusal cause)
{
    (void)writer;
    (void)cause;
    return NULL;
}

void leat_log_writer_free(leat_log_writer *writer, int timeout_ms)
{
    (void)timeout_ms;
    while (writer->waiting > 0) {
        append *sent = writer->open[--writer->waiting];
        writer->on_appended(writer->context, sent->tag, LEAT_APPEND_UNKNOWN, sent->record.partition,
                            -1, "the end");
    }
    leat_topic_guard_fini(&writer->guard);
    writer->is_gone = true;
}
