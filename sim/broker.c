/*
 * broker.c - the log as an array of records, and everything that happens to a log in its lifetime.
 * A record stays in memory even when its offset is cut off or goes to another one: the checkers
 * compare records by identity, so two at one offset stay two. The production code decides which row
 * a record writes, since the oracle checks order and effects, not the reading of keys.
 */
#include "broker.h"

#include <stdlib.h>
#include <string.h>

#include "world.h"

void sim_broker_begin(sim_world *world)
{
    world->broker =
        (sim_broker){.partition_count = world->schema.catalog.layout.partition_count, .topic = 1};
    for (uint32_t p = 0; p < SIM_PARTITIONS_MAX; p++) {
        world->broker.partitions[p].seen = -1;
        world->broker.partitions[p].open = INT64_MAX;
    }
}

static void free_record(sim_record *record)
{
    free(record->bytes);
    free(record);
}

void sim_broker_end(sim_broker *broker)
{
    for (uint32_t p = 0; p < SIM_PARTITIONS_MAX; p++) {
        for (uint32_t i = 0; i < broker->partitions[p].count; i++)
            free_record(broker->partitions[p].records[i]);
        free(broker->partitions[p].records);
        free(broker->partitions[p].live);
    }
}

/* ---- records ---- */

leat_record sim_record_copy(const leat_record *from, char *bytes, size_t size)
{
    leat_record made = *from;
    leat_slice *const parts[] = {&made.key, &made.value, &made.route, &made.op, &made.idempotency};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        LEAT_ASSERT(parts[i]->size <= size);
        if (parts[i]->size > 0)
            memcpy(bytes, parts[i]->data, parts[i]->size);
        parts[i]->data = bytes;
        bytes += parts[i]->size;
        size -= parts[i]->size;
    }
    return made;
}

static sim_record *copy_record(const leat_record *from)
{
    sim_record *made = leat_must_calloc(1, sizeof *made);
    size_t size = from->key.size + from->value.size + from->route.size + from->op.size +
                  from->idempotency.size;
    made->bytes = leat_must_calloc(1, size + 1);
    made->record = sim_record_copy(from, made->bytes, size);
    return made;
}

/* Its row is decided once, with the worker's code: the oracle checks order and effects, not the
 * reading of keys, which has its own tests. */
static void find_row(sim_world *world, sim_record *made)
{
    leat_item item = {.record = made->record};
    LEAT_ASSERT(leat_item_decode(sim_schema_routes(&world->schema),
                                 &world->schema.catalog.source.placement, &item) == 0);
    if (item.record.partition < world->broker.partition_count)
        LEAT_ASSERT(leat_item_check_place(&world->schema.catalog.layout, &item) == 0);
    made->subpartition = item.subpartition;
    made->op = item.op;
    made->row = -1;
    if (!item.fault && item.route)
        made->row = sim_schema_row(&world->schema, item.route->table_index, item.key[0].text,
                                   item.key[1].integer);
    leat_item_clear(&item);
}

static void take_in(sim_partition *partition, sim_record *record)
{
    if (partition->count == partition->capacity) {
        partition->capacity = partition->capacity ? 2 * partition->capacity : 64;
        partition->records =
            realloc(partition->records, partition->capacity * sizeof *partition->records);
        partition->live = realloc(partition->live, partition->capacity * sizeof *partition->live);
        LEAT_ASSERT(partition->records && partition->live);
    }
    record->index = partition->count;
    partition->records[partition->count++] = record;
    partition->live[partition->live_count++] = record;
}

sim_record *sim_broker_append(sim_world *world, const leat_record *record, uint32_t request,
                              const sim_poison *poison)
{
    sim_partition *partition = &world->broker.partitions[record->partition];
    sim_record *made = copy_record(record);
    if (sim_chance(world, world->options.values[OPT_GAPS]))
        partition->end += 1 + (int64_t)sim_below(world, 5);
    made->record.offset = partition->end++;
    made->record.epoch = partition->epoch;
    made->is_reused = made->record.offset < partition->reused;
    made->request = request;
    made->poison = *poison;
    find_row(world, made);
    take_in(partition, made);
    world->broker.record_count++;
    sim_trace(world, "log: partition %u offset %lld: request %d, %.*s %.*s %.*s %.*s%s%s",
              record->partition, (long long)made->record.offset, (int)request,
              (int)record->route.size, record->route.data, (int)record->key.size, record->key.data,
              (int)record->value.size, record->value.data, (int)record->idempotency.size,
              record->idempotency.data ? record->idempotency.data : "",
              poison->sqlstate[0] ? " poisoned " : "", poison->sqlstate);
    sim_readers_wake(world, record->partition);
    return made;
}

static uint32_t index_of(const sim_partition *partition, int64_t offset)
{
    uint32_t low = 0, high = partition->live_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (partition->live[middle]->record.offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

sim_record *sim_broker_find(const sim_broker *broker, uint32_t at, int64_t offset)
{
    const sim_partition *partition = &broker->partitions[at];
    uint32_t index = index_of(partition, offset);
    index = index > partition->first ? index : partition->first;
    bool is_there = index < partition->live_count &&
                    partition->live[index]->record.offset < partition->open;
    return is_there ? partition->live[index] : NULL;
}

sim_record *sim_broker_at(const sim_broker *broker, uint32_t at, int64_t offset)
{
    const sim_partition *partition = &broker->partitions[at];
    uint32_t index = index_of(partition, offset);
    bool is_there = index < partition->live_count &&
                    partition->live[index]->record.offset == offset;
    return is_there ? partition->live[index] : NULL;
}

sim_record *sim_broker_read(const sim_broker *broker, const leat_item *item)
{
    const sim_partition *partition = &broker->partitions[item->record.partition];
    for (uint32_t i = partition->count; i > 0; i--) {
        sim_record *found = partition->records[i - 1];
        if (found->record.offset == item->record.offset &&
            found->record.epoch == item->record.epoch)
            return found;
    }
    LEAT_ASSERT(!"a record that was never in the log");
}

void sim_broker_saw(sim_broker *broker, uint32_t at, int64_t offset)
{
    sim_partition *partition = &broker->partitions[at];
    if (offset > partition->seen)
        partition->seen = offset;
}

/* ---- what happens to a log ---- */

void sim_broker_trim(sim_world *world, uint32_t at, int64_t start)
{
    sim_partition *partition = &world->broker.partitions[at];
    if (start <= partition->start || start > partition->end)
        return;
    partition->start = start;
    while (partition->first < partition->live_count &&
           partition->live[partition->first]->record.offset < start)
        partition->live[partition->first++]->is_gone = true;
    /* Nobody can know whether there was a record between two offsets, so in doubt it is a loss. */
    partition->is_damaged = partition->is_damaged || start > sim_world_safe_low(world, at) + 1;
    sim_trace(world, "log: partition %u starts at offset %lld now%s", at, (long long)start,
              partition->is_damaged ? ": what is gone may not be applied everywhere" : "");
    sim_readers_recheck(world, at, true);
}

/* An unclean election. Records that nobody has seen are as if they had never existed; where lost
 * records were seen a person may be needed, because new records take their offsets. */
void sim_broker_truncate(sim_world *world, uint32_t at, int64_t end)
{
    sim_partition *partition = &world->broker.partitions[at];
    if (end >= partition->end || end < partition->start || partition->epoch + 1 == SIM_EPOCHS_MAX)
        return;
    bool was_seen = partition->seen >= end;
    while (partition->live_count > 0 &&
           partition->live[partition->live_count - 1]->record.offset >= end) {
        sim_record *record = partition->live[--partition->live_count];
        record->is_gone = record->is_cut_off = true;
    }
    if (partition->first > partition->live_count)
        partition->first = partition->live_count;
    if (was_seen) {
        partition->is_damaged = true;
        partition->reused = partition->seen + 1 > partition->reused ? partition->seen + 1
                                                                    : partition->reused;
        partition->seen = end - 1;
    }
    if (partition->open >= end)
        partition->open = INT64_MAX;
    partition->end = end;
    for (int32_t epoch = 0; epoch <= partition->epoch; epoch++)
        if (partition->epoch_starts[epoch] > end)
            partition->epoch_starts[epoch] = end;
    partition->epoch_starts[++partition->epoch] = end;
    sim_trace(world, "log: partition %u ends at offset %lld now, leader epoch %d%s", at,
              (long long)end, (int)partition->epoch,
              was_seen ? ": somebody has seen what is gone" : "");
    sim_readers_recheck(world, at, false);
}

int64_t sim_broker_epoch_end(const sim_partition *partition, int32_t epoch)
{
    return epoch < partition->epoch ? partition->epoch_starts[epoch + 1] : partition->end;
}

/* ---- what others do ---- */

int64_t sim_broker_stable(const sim_partition *partition)
{
    return partition->open < partition->end ? partition->open : partition->end;
}

void sim_broker_begin_transaction(sim_world *world, uint32_t at)
{
    sim_partition *partition = &world->broker.partitions[at];
    if (partition->is_closed || partition->open != INT64_MAX)
        return;
    partition->open = partition->end;
    /* none of its records counts: it is aborted */
    partition->end += 1 + (int64_t)sim_below(world, 3);
    sim_trace(world, "log: partition %u: a transaction is open from offset %lld on", at,
              (long long)partition->open);
}

void sim_broker_end_transaction(sim_world *world, uint32_t at)
{
    sim_partition *partition = &world->broker.partitions[at];
    if (partition->open == INT64_MAX)
        return;
    partition->open = INT64_MAX;
    partition->end++;
    sim_trace(world, "log: partition %u: it is aborted, and its marker ends before offset %lld", at,
              (long long)partition->end);
    sim_readers_wake(world, at);
}

/* Nothing of the new topic counts: leat must not read it. */
void sim_broker_recreate(sim_world *world)
{
    sim_broker *broker = &world->broker;
    broker->topic++;
    sim_trace(world, "log: the topic is recreated");
    for (uint32_t p = 0; p < broker->partition_count; p++) {
        broker->partitions[p].is_damaged = broker->partitions[p].is_closed = true;
        sim_readers_recheck(world, p, true);
    }
}

/* Others write there too. */
int64_t sim_broker_append_elsewhere(sim_world *world, uint32_t at)
{
    sim_partition *partition = &world->broker.partitions[at];
    partition->other_end += sim_below(world, 2) ? sim_below(world, 20) : 0;
    sim_trace(world, "another log: partition %u offset %lld", at, (long long)partition->other_end);
    return partition->other_end++;
}

void sim_broker_grow(sim_world *world)
{
    if (world->broker.partition_count + world->broker.grown < SIM_PARTITIONS_MAX)
        world->broker.grown++;
    sim_trace(world, "log: %u partitions now", world->broker.partition_count + world->broker.grown);
}
