/*
 * reader.c - the simulated side of log.h for a worker: a member of the group that reads its
 * partitions. The production code (log/range.h) decides from the simulated broker's numbers whether
 * the log still fits its progress.
 */
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "base/leader_epoch.h"
#include "log/range.h"
#include "record/headers.h"
#include "world.h"

enum { FETCH_MAX = 16, REASON_SIZE = 400 };

typedef enum held_as { HOLDS_NOT, HOLDS, HOLDS_REVOKING } held_as;

typedef struct reader_part {
    held_as holding;
    bool is_sought;
    bool is_reading; /* its range is checked */
    bool is_paused;
    bool is_waiting;    /* for new records */
    uint64_t sought;    /* number of the seek */
    int64_t next;       /* offset */
    int64_t read_to;    /* everything below it was offered */
    int32_t next_epoch; /* of the record before `next`; -1: not known */
    int32_t seen_epoch; /* the highest seen since it was assigned, */
    int64_t seen;       /* up to this offset */
    int64_t low, high;
    int64_t committed;
} reader_part;

struct leat_log_reader {
    sim_world *world;
    sim_process *process;
    leat_reader_events events;
    uint64_t member; /* 0: not in the group */
    uint32_t partition_count;
    reader_part parts[SIM_PARTITIONS_MAX];
    uint64_t held;
    uint64_t commit_failures;
};

/* ---- membership ---- */

static void on_beat(sim_world *world, void *object, uint64_t argument);

static void beat_later(sim_world *world, leat_log_reader *reader)
{
    int64_t at = world->clock.now_us + 1000 * world->options.values[OPT_HEARTBEAT_MS];
    sim_process_plan(world, reader->process, at, on_beat, reader, 0);
}

static void lose_all(sim_world *world, leat_log_reader *reader)
{
    for (uint32_t p = 0; p < reader->partition_count; p++) {
        if (reader->parts[p].holding == HOLDS_NOT)
            continue;
        reader->parts[p] = (reader_part){.committed = -1};
        world->sometimes->count[SOMETIMES_LOST]++;
        reader->events.lost(reader->events.context, p);
    }
}

static void on_beat(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    leat_log_reader *reader = object;
    beat_later(world, reader);
    if (reader->process->log_cut_until_us > world->clock.now_us)
        return;
    if (reader->member && sim_group_beat(world, reader->process->index, reader->member))
        return;
    if (reader->member)
        lose_all(world, reader);
    reader->member = sim_group_join(world, reader->process->index);
}

typedef struct group_message {
    leat_log_reader *reader;
    uint64_t member;
    sim_reader_message message;
    uint32_t partition;
} group_message;

static void take_assignment(leat_log_reader *reader, uint32_t partition)
{
    reader_part *part = &reader->parts[partition];
    *part = (reader_part){.holding = HOLDS,
                          .committed = -1,
                          .next = -1,
                          .next_epoch = -1,
                          .seen = -1,
                          .seen_epoch = -1};
    sim_check_assigned(reader->process, partition);
    reader->events.assigned(reader->events.context, partition);
}

static void take_revocation(sim_world *world, leat_log_reader *reader, uint32_t partition)
{
    reader_part *part = &reader->parts[partition];
    if (part->holding != HOLDS)
        return;
    part->holding = HOLDS_REVOKING;
    part->is_sought = part->is_reading = false;
    world->sometimes->count[SOMETIMES_REVOKED]++;
    reader->events.revoked(reader->events.context, partition);
}

/* Partitions beyond those the topic was set up with stay unread. */
static void on_group_message(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    group_message now = *(group_message *)object;
    leat_log_reader *reader = now.reader;
    if (reader->member != now.member)
        return;
    bool is_known = now.partition < reader->partition_count;
    if (is_known && now.message == READER_ASSIGNED)
        take_assignment(reader, now.partition);
    else if (is_known)
        take_revocation(world, reader, now.partition);
    else if (now.message == READER_REVOKED)
        sim_group_give_back(world, reader->process->index, reader->member, now.partition);
}

void sim_reader_tell(sim_world *world, uint32_t process, uint64_t member,
                     sim_reader_message message, uint32_t partition)
{
    sim_process *to = &world->processes[process];
    if (!to->is_alive)
        return;
    group_message *reply = leat_must_calloc(1, sizeof *reply);
    *reply = (group_message){to->reader, member, message, partition};
    sim_list_add(&world->garbage, reply);
    sim_process_plan_log(world, to, world->clock.now_us + sim_latency_us(world), on_group_message,
                         reply, 0);
}

typedef struct answer {
    leat_log_reader *reader;
    int64_t since_us;
    bool ok;
} answer;

static void on_commit_answer(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    answer *reply = object;
    if (!reply->ok) {
        reply->reader->commit_failures++;
        world->sometimes->count[SOMETIMES_COMMIT_REFUSED]++;
    }
    reply->reader->events.committed(reply->reader->events.context, reply->since_us, reply->ok);
}

typedef struct commit_request {
    leat_log_reader *reader;
    uint64_t member;
    uint32_t partition;
    int64_t offset;
    int64_t since_us;
} commit_request;

static void on_commit(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    commit_request *asked = object;
    answer *reply = leat_must_calloc(1, sizeof *reply);
    reply->reader = asked->reader;
    reply->since_us = asked->since_us;
    reply->ok = !sim_chance(world, world->options.values[OPT_COMMIT_LOST]) &&
                sim_group_commit(world, asked->reader->process->index, asked->member,
                                 asked->partition, asked->offset);
    sim_trace(world, "group: commit of partition %u up to %lld by process %u%s", asked->partition,
              (long long)asked->offset, asked->reader->process->index,
              reply->ok ? "" : " is refused");
    sim_list_add(&world->garbage, reply);
    sim_process_plan_log(world, asked->reader->process, world->clock.now_us + sim_latency_us(world),
                         on_commit_answer, reply, 0);
}

static void send_commit(leat_log_reader *reader, uint32_t partition, int64_t offset)
{
    sim_world *world = reader->world;
    commit_request *asked = leat_must_calloc(1, sizeof *asked);
    *asked = (commit_request){reader, reader->member, partition, offset, world->clock.now_us};
    sim_list_add(&world->garbage, asked);
    sim_process_plan_log(world, reader->process, world->clock.now_us + sim_latency_us(world),
                         on_commit, asked, 0);
}

void leat_log_reader_commit(leat_log_reader *reader, uint32_t partition, int64_t offset)
{
    sim_check_commit(reader->world, partition, offset);
    reader->parts[partition].committed = offset;
    send_commit(reader, partition, offset);
}

void leat_log_reader_confirm(leat_log_reader *reader)
{
    for (uint32_t p = 0; p < reader->partition_count; p++) {
        const reader_part *part = &reader->parts[p];
        if (part->holding == HOLDS_NOT)
            continue;
        send_commit(reader, p, part->committed > part->low ? part->committed : part->low);
        return;
    }
}

typedef struct giving {
    leat_log_reader *reader;
    uint64_t member;
    uint32_t partition;
} giving;

static void on_given_back(sim_world *world, void *object, uint64_t argument)
{
    (void)argument;
    giving *gift = object;
    sim_group_give_back(world, gift->reader->process->index, gift->member, gift->partition);
}

void leat_log_reader_give_back(leat_log_reader *reader, uint32_t partition)
{
    sim_world *world = reader->world;
    reader_part *part = &reader->parts[partition];
    if (part->holding != HOLDS_REVOKING)
        return; /* lost meanwhile, or the process drains: it leaves with all it has */
    *part = (reader_part){.committed = -1};
    giving *gift = leat_must_calloc(1, sizeof *gift);
    *gift = (giving){reader, reader->member, partition};
    sim_list_add(&world->garbage, gift);
    sim_process_plan_log(world, reader->process, world->clock.now_us + sim_latency_us(world),
                         on_given_back, gift, 0);
}

/* ---- reading ---- */

static void on_fetch(sim_world *world, void *object, uint64_t argument);

/* Partition and number of the seek in one word. */
static uint64_t pack(const leat_log_reader *reader, uint32_t partition)
{
    return reader->parts[partition].sought << 8 | partition;
}

static reader_part *unpack(leat_log_reader *reader, uint64_t packed, uint32_t *ret_partition)
{
    *ret_partition = (uint32_t)(packed & 0xff);
    reader_part *part = &reader->parts[*ret_partition];
    return part->is_sought && part->sought == packed >> 8 ? part : NULL;
}

static void fetch_later(leat_log_reader *reader, uint32_t partition)
{
    sim_world *world = reader->world;
    sim_process_plan_log(world, reader->process, world->clock.now_us + sim_latency_us(world),
                         on_fetch, reader, pack(reader, partition));
}

/* Where the epoch of the last record read ends, as librdkafka asks the brokers at each seek and
 * when the leader's epoch rises. */
static int64_t epoch_end(const sim_partition *log, const reader_part *part)
{
    return part->next_epoch >= 0 ? sim_broker_epoch_end(log, part->next_epoch) : -1;
}

static leat_log_range range_of(const sim_world *world, const reader_part *part, uint32_t partition)
{
    const sim_partition *log = &world->broker.partitions[partition];
    return (leat_log_range){.low = part->low,
                            .high = part->high,
                            .next = part->next,
                            .read_to = part->read_to,
                            .is_recreated = world->broker.topic != 1,
                            .start = log->start,
                            .end = log->end,
                            .epoch_end = epoch_end(log, part)};
}

static void break_part(leat_log_reader *reader, uint32_t partition, const leat_log_range *range,
                       leat_range_verdict verdict)
{
    sim_world *world = reader->world;
    char reason[REASON_SIZE];
    leat_range_reason(range, verdict, "the simulated log", reason, sizeof reason);
    reader->parts[partition].is_sought = reader->parts[partition].is_reading = false;
    world->sometimes->count[SOMETIMES_STOPPED]++;
    reader->events.broken(reader->events.context, partition, reason);
}

static void on_range(sim_world *world, void *object, uint64_t packed)
{
    leat_log_reader *reader = object;
    uint32_t partition;
    reader_part *part = unpack(reader, packed, &partition);
    if (!part)
        return;
    leat_log_range range = range_of(world, part, partition);
    leat_range_verdict verdict = leat_range_check(&range);
    if (verdict != LEAT_RANGE_FITS) {
        break_part(reader, partition, &range, verdict);
        return;
    }
    bool was_reading = part->is_reading;
    part->is_reading = true;
    if (part->next < range.start) {
        part->next = range.start;
        part->next_epoch = -1;
    }
    if (!was_reading)
        fetch_later(reader, partition);
}

static void check_range_later(leat_log_reader *reader, uint32_t partition)
{
    sim_world *world = reader->world;
    sim_process_plan_log(world, reader->process, world->clock.now_us + sim_latency_us(world),
                         on_range, reader, pack(reader, partition));
}

void leat_log_reader_seek(leat_log_reader *reader, uint32_t partition, int64_t offset,
                          const leat_log_applied *applied)
{
    reader_part *part = &reader->parts[partition];
    if (part->holding != HOLDS)
        return;
    part->is_sought = true;
    part->is_reading = part->is_paused = part->is_waiting = false;
    part->sought = ++reader->world->serial;
    part->next = offset;
    part->next_epoch = applied->epoch >= 0 || offset != part->seen + 1 ? applied->epoch
                                                                       : part->seen_epoch;
    part->read_to = -1;
    part->low = applied->low;
    part->high = applied->high;
    check_range_later(reader, partition);
}

void sim_reader_note(const sim_world *world, const sim_process *process, sim_record *record)
{
    if (record->read[process->index].life == process->life)
        return;
    record->read[process->index].life = process->life;
    record->read[process->index].at_us = world->clock.now_us - process->stood_still_us;
    record->read[process->index].refused = 0;
}

/* False: it offers no more for now. */
static bool offer(leat_log_reader *reader, uint32_t partition)
{
    sim_world *world = reader->world;
    reader_part *part = &reader->parts[partition];
    if (part->next < world->broker.partitions[partition].start) {
        part->is_reading = false; /* the requested records are lost */
        check_range_later(reader, partition);
        return false;
    }
    const sim_partition *log = &world->broker.partitions[partition];
    sim_record *record = sim_broker_find(&world->broker, partition, part->next);
    int64_t position = record ? record->record.offset : sim_broker_stable(log);
    leat_log_range range = range_of(world, part, partition);
    if (leat_range_is_rewritten(&range) ||
        (record && !leat_leader_epoch_fits(part->seen, part->seen_epoch, record->record.offset,
                                           record->record.epoch))) {
        world->sometimes->count[SOMETIMES_CUT_OFF_NOTICED]++;
        break_part(reader, partition, &range, LEAT_RANGE_REWRITTEN);
        return false;
    }
    if (position > part->next && position > part->read_to && (!record || sim_below(world, 2))) {
        part->read_to = position;
        sim_broker_saw(&world->broker, partition, position - 1);
        reader->events.read_to(reader->events.context, partition, position);
    }
    if (!record) {
        part->is_waiting = true;
        return false;
    }
    reader->held++;
    sim_reader_note(world, reader->process, record);
    sim_broker_saw(&world->broker, partition, record->record.offset);
    const leat_worker_shard_state *shard =
        &reader->process->worker->shards[sim_world_shard_of(world, partition)];
    double counted = shard->read.bytes.total;
    bool is_taken = reader->events.record(reader->events.context, &record->record, record);
    if (shard->read.bytes.total > counted)
        sim_check_read(world, reader->process, record);
    if (!is_taken) {
        reader->held--;
        part->is_paused = true;
        world->sometimes->count[SOMETIMES_BUDGET_FULL]++;
        return false;
    }
    part->next = record->record.offset + 1;
    part->next_epoch = record->record.epoch;
    part->seen = record->record.offset > part->seen ? record->record.offset : part->seen;
    part->seen_epoch = record->record.epoch > part->seen_epoch ? record->record.epoch
                                                               : part->seen_epoch;
    return true;
}

static void on_fetch(sim_world *world, void *object, uint64_t packed)
{
    leat_log_reader *reader = object;
    uint32_t partition;
    reader_part *part = unpack(reader, packed, &partition);
    if (!part || !part->is_reading || part->is_paused || part->is_waiting)
        return;
    for (uint32_t left = 1 + sim_below(world, FETCH_MAX); left > 0; left--)
        if (!offer(reader, partition))
            return;
    fetch_later(reader, partition);
}

void leat_log_reader_pause(leat_log_reader *reader, uint32_t partition)
{
    reader->parts[partition].is_paused = true;
    reader->world->sometimes->count[SOMETIMES_BUDGET_FULL]++;
}

void leat_log_reader_resume(leat_log_reader *reader, uint32_t partition)
{
    reader_part *part = &reader->parts[partition];
    if (!part->is_sought || !part->is_paused)
        return;
    part->is_paused = false;
    part->is_waiting = false;
    part->sought = ++reader->world->serial; /* events planned before the pause do not count twice */
    if (part->is_reading)
        fetch_later(reader, partition);
    else
        check_range_later(reader, partition);
}

void sim_readers_wake(sim_world *world, uint32_t partition)
{
    for (uint32_t i = 0; i < world->process_count; i++) {
        leat_log_reader *reader = world->processes[i].reader;
        if (!world->processes[i].is_alive || !reader || partition >= reader->partition_count)
            continue;
        if (!reader->parts[partition].is_waiting)
            continue;
        reader->parts[partition].is_waiting = false;
        fetch_later(reader, partition);
    }
}

void sim_readers_recheck(sim_world *world, uint32_t partition, bool start)
{
    for (uint32_t i = 0; i < world->process_count; i++) {
        leat_log_reader *reader = world->processes[i].reader;
        if (!world->processes[i].is_alive || !reader || !reader->parts[partition].is_sought)
            continue;
        const sim_partition *log = &world->broker.partitions[partition];
        bool sees = !start || reader->parts[partition].next < log->start;
        if (sees || world->broker.topic != 1)
            check_range_later(reader, partition);
    }
}

/* ---- life ---- */

leat_log_reader *leat_log_reader_new(uv_loop_t *loop, const leat_log_config *config,
                                     const leat_log_identity *identity,
                                     const leat_reader_events *events, leat_error *error)
{
    (void)loop;
    (void)config;
    (void)error;
    sim_world *world = sim_world_running();
    leat_log_reader *reader = leat_must_calloc(1, sizeof *reader);
    *reader = (leat_log_reader){.world = world,
                                .process = world->starting,
                                .events = *events,
                                .partition_count = identity->partition_count};
    for (uint32_t p = 0; p < SIM_PARTITIONS_MAX; p++)
        reader->parts[p].committed = reader->parts[p].next = -1;
    world->starting->reader = reader;
    sim_process_plan(world, reader->process, world->clock.now_us + sim_latency_us(world), on_beat,
                     reader, 0);
    return reader;
}

void leat_log_reader_free(leat_log_reader *reader, int timeout_ms)
{
    (void)timeout_ms;
    free(reader);
}

int64_t leat_log_reader_end(const leat_log_reader *reader, uint32_t partition)
{
    return reader->world->broker.partitions[partition].end;
}

uint64_t leat_log_reader_commit_failures(const leat_log_reader *reader)
{
    return reader->commit_failures;
}

void leat_log_reader_health(const leat_log_reader *reader, leat_log_health *ret)
{
    (void)reader;
    *ret = (leat_log_health){0};
}

int leat_log_headers(leat_log_reader *reader, void *log_handle, leat_buf *out)
{
    (void)reader;
    const leat_record *record = &((const sim_record *)log_handle)->record;
    for (leat_header i = 0; i < LEAT_HEADER_COUNT; i++)
        leat_headers_pack(out, leat_slice_of(leat_header_name(i)), leat_header_value(record, i));
    return out->failed ? -1 : 0;
}

void leat_log_release(leat_log_reader *reader, void *log_handle)
{
    LEAT_ASSERT(log_handle && reader->held > 0);
    reader->held--;
}

bool sim_reader_holds(const leat_log_reader *reader, uint32_t partition, bool fully)
{
    held_as holding = reader->parts[partition].holding;
    return holding == HOLDS || (holding == HOLDS_REVOKING && !fully);
}

uint64_t sim_reader_held(const leat_log_reader *reader)
{
    return reader->held;
}
