/*
 * writer.c - what the edge finds behind log.h's writer: appends that arrive in order, most of them. One whose answer is lost
 * may be in the log or come to be.
 */
#include <stdlib.h>
#include <string.h>

#include "world.h"

enum { WAITING_MAX = 64 };

struct leat_log_writer {
    sim_world *world;
    leat_appended_cb on_appended;
    void *context;
    int64_t last_us;
    uint32_t waiting;
    struct append *open[WAITING_MAX]; /* without an answer yet */
};

/* One append under way. */
typedef struct append {
    leat_log_writer *writer;
    sim_request *request;
    leat_record record; /* slices into `bytes` */
    char bytes[1024];
    bool is_answered;
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

static void on_answer(sim_world *world, void *object, uint64_t argument)
{
    (void)world;
    (void)argument;
    append *sent = object;
    forget(sent->writer, sent);
    sent->writer->on_appended(sent->writer->context, sent->request, sent->result, sent->record.partition, sent->offset,
                              "simulated");
}

static void answer_later(append *sent, leat_append_result result)
{
    if (sent->is_answered)
        return;
    sent->is_answered = true;
    sent->result = result;
    sim_world *world = sent->writer->world;
    sim_clock_plan(&world->clock, world->clock.now_us + sim_latency_us(world), on_answer, sent, 0);
}

static void on_arrival(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    append *sent = object;
    const sim_partition *partition = &world->broker.partitions[sent->record.partition];
    if (partition->is_closed || sim_chance(world, world->options.values[OPT_NOT_APPENDED])) {
        world->sometimes->count[SOMETIMES_NOT_APPENDED]++;
        answer_later(sent, LEAT_NOT_APPENDED);
        return;
    }
    sent->offset = sim_broker_append(world, &sent->record, sent->request->index, &sent->request->poison)->record.offset;
    answer_later(sent, LEAT_APPENDED);
}

static leat_slice keep(append *sent, size_t *used, leat_slice from)
{
    LEAT_ASSERT(*used + from.size <= sizeof sent->bytes);
    char *to = sent->bytes + *used;
    if (from.size > 0)
        memcpy(to, from.data, from.size);
    *used += from.size;
    return (leat_slice){to, from.size};
}

static append *copy_append(leat_log_writer *writer, const leat_record *record, void *tag)
{
    append *sent = leat_must_calloc(1, sizeof *sent);
    size_t used = 0;
    sent->writer = writer;
    sent->request = tag;
    sent->record = *record;
    sent->record.key = keep(sent, &used, record->key);
    sent->record.value = keep(sent, &used, record->value);
    sent->record.route = keep(sent, &used, record->route);
    sent->record.op = keep(sent, &used, record->op);
    sent->offset = -1;
    sim_list_add(&writer->world->garbage, sent);
    return sent;
}

int leat_log_append(leat_log_writer *writer, const leat_record *record, void *tag, leat_error *error)
{
    sim_world *world = writer->world;
    if (writer->waiting == WAITING_MAX) {
        leat_fail(error, "full");
        return 1;
    }
    append *sent = copy_append(writer, record, tag);
    writer->open[writer->waiting++] = sent;
    int64_t at = world->clock.now_us + sim_latency_us(world);
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

leat_log_writer *leat_log_writer_new(uv_loop_t *loop, const leat_log_config *config, leat_appended_cb on_appended,
                                     void *context, leat_error *error)
{
    (void)loop;
    (void)config;
    (void)error;
    sim_world *world = sim_world_running();
    leat_log_writer *writer = leat_must_calloc(1, sizeof *writer);
    *writer = (leat_log_writer){.world = world, .on_appended = on_appended, .context = context};
    world->clients.writer = writer;
    return writer;
}

int64_t leat_log_writer_oldest_us(const leat_log_writer *writer, int64_t now_us)
{
    (void)writer;
    (void)now_us;
    return 0;
}

size_t leat_log_writer_waiting(const leat_log_writer *writer)
{
    return writer->waiting;
}

bool leat_log_writer_ready(const leat_log_writer *writer)
{
    (void)writer;
    return true;
}

void leat_log_writer_free(leat_log_writer *writer, int timeout_ms)
{
    (void)timeout_ms;
    while (writer->waiting > 0) {
        append *sent = writer->open[--writer->waiting];
        writer->on_appended(writer->context, sent->request, LEAT_APPEND_UNKNOWN, sent->record.partition, -1, "the end");
    }
    free(writer);
}
