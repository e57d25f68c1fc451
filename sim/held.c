/*
 * held.c - the tables of held keys as arrays of each partition. A record's bytes never change, so
 * all states of a database share them.
 */
#include "held.h"

#include <stdlib.h>

#include "record/chunk.h"
#include "server_state.h"

/* ---- sending ---- */

static sim_kept kept_of(sim_world *world, const leat_engine_batch_record *from, sim_record *record)
{
    leat_chunk_writer writer = {0};
    leat_buf bytes = {0};
    leat_error error;
    leat_chunk_add(&writer, from->payload);
    int ended = leat_chunk_end(&writer, &bytes, &error);
    LEAT_ASSERT(ended == 0);
    leat_chunk_writer_fini(&writer);
    sim_list_add(&world->garbage, bytes.data);
    return (sim_kept){from->key, record, bytes.data, bytes.size};
}

void sim_held_build(sim_world *world, sim_pipeline *pipeline, const leat_engine_batch *batch,
                    uint32_t partition)
{
    if (!batch->hold && batch->kept == 0)
        return;
    sim_command *command = &pipeline->commands[pipeline->command_count];
    *command = (sim_command){.kind = batch->hold ? CMD_HOLD : CMD_KEEP, .partition = partition};
    command->kept = leat_must_calloc(batch->record_count, sizeof *command->kept);
    sim_list_add(&world->garbage, command->kept);
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const leat_engine_batch_record *record = &batch->records[i];
        if (record->partition == partition && (batch->hold || record->keep))
            command->kept[command->kept_count++] = kept_of(world, record, pipeline->records[i]);
    }
    pipeline->command_count += command->kept_count > 0;
}

void sim_held_build_retry(sim_world *world, sim_pipeline *pipeline, const leat_engine_batch *batch,
                          sim_command_kind kind)
{
    sim_command *command = &pipeline->commands[pipeline->command_count++];
    *command = (sim_command){.kind = kind,
                             .partition = batch->parts[0].partition,
                             .load = {.key = batch->retry_key},
                             .kept_count = batch->record_count};
    command->kept = leat_must_calloc(batch->record_count, sizeof *command->kept);
    sim_list_add(&world->garbage, command->kept);
    for (uint32_t i = 0; i < batch->record_count; i++)
        command->kept[i] = (sim_kept){.key = batch->retry_key, .record = pipeline->records[i]};
}

/* ---- statements ---- */

bool sim_held_is_locked(const sim_server *server, const sim_session *except, uint32_t partition,
                        uint64_t key, bool *ret_by_retry)
{
    bool is_locked = false;
    *ret_by_retry = false;
    for (const sim_session *session = server->sessions; session; session = session->next) {
        const sim_commit *tx = session->is_alive && session != except ? session->tx : NULL;
        if (tx && tx->locked_key == key && tx->partition == partition)
            *ret_by_retry = is_locked = true;
        for (uint32_t i = 0; tx && i < tx->kept_count; i++)
            is_locked = is_locked || (tx->kept[i].key == key &&
                                      tx->kept[i].record->record.partition == partition);
    }
    return is_locked;
}

bool sim_held_has(const sim_partition_state *partition, uint64_t key)
{
    for (uint32_t i = 0; i < partition->held_count; i++)
        if (partition->held[i].key == key)
            return true;
    return false;
}

static void add_kept(sim_commit *tx, const sim_command *command)
{
    LEAT_ASSERT(tx->kept_count + command->kept_count >= tx->kept_count);
    tx->kept = realloc(tx->kept, (tx->kept_count + command->kept_count) * sizeof *tx->kept);
    LEAT_ASSERT(tx->kept);
    for (uint32_t i = 0; i < command->kept_count; i++)
        tx->kept[tx->kept_count++] = command->kept[i];
}

const char *sim_held_hold(const sim_partition_state *partition, const sim_command *command,
                          sim_commit *tx, int64_t now_us)
{
    if (sim_held_has(partition, command->kept[0].key))
        return "LT007";
    tx->hold = (sim_held_key){command->kept[0].key, now_us, command->kept[0].record->subpartition};
    add_kept(tx, command);
    return NULL;
}

const char *sim_held_keep(const sim_partition_state *partition, const sim_command *command,
                          sim_commit *tx)
{
    for (uint32_t i = 0; i < command->kept_count; i++)
        if (!sim_held_has(partition, command->kept[i].key))
            return "LT007";
    add_kept(tx, command);
    return NULL;
}

/* They must be the first ones of it. */
const char *sim_held_retry(const sim_partition_state *partition, const sim_command *command,
                           sim_commit *tx, sim_answer *answer)
{
    sim_kept kept[SIM_KEYS_RETRIED_MAX + 1];
    uint32_t count = sim_held_records(partition, command->load.key, kept, SIM_KEYS_RETRIED_MAX + 1);
    if (!sim_held_has(partition, command->load.key) || count < command->kept_count)
        return "LT007";
    for (uint32_t i = 0; i < command->kept_count; i++)
        if (kept[i].record != command->kept[i].record)
            return "LT007";
    tx->retry_key = command->load.key;
    tx->partition = command->partition;
    tx->lets_go = count == command->kept_count;
    answer->is_held = !tx->lets_go;
    return NULL;
}

void sim_held_load(sim_world *world, const sim_partition_state *partition,
                   const sim_command *command, sim_answer *answer)
{
    uint32_t most = command->load.most;
    sim_kept *kept = leat_must_calloc(most, sizeof *kept);
    leat_engine_chunk *chunks = leat_must_calloc(most, sizeof *chunks);
    sim_list_add(&world->garbage, chunks);
    answer->kept = chunks;
    answer->kept_count = sim_held_records(partition, command->load.key, kept, most);
    for (uint32_t i = 0; i < answer->kept_count; i++) {
        int64_t offset = kept[i].record->record.offset;
        chunks[i] = (leat_engine_chunk){.first_offset = offset,
                                        .last_offset = offset,
                                        .done = offset - 1,
                                        .records = 1,
                                        .bytes = kept[i].bytes,
                                        .size = kept[i].size,
                                        .codec = LEAT_CHUNK_FORMAT};
    }
    free(kept);
}

static int by_key(const void *a, const void *b)
{
    const leat_engine_held *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

void sim_held_read(sim_world *world, const sim_partition_state *partition, sim_answer *answer)
{
    leat_engine_held *held = leat_must_calloc(partition->held_count + 1, sizeof *held);
    sim_list_add(&world->garbage, held);
    for (uint32_t i = 0; i < partition->held_count; i++)
        held[i] = (leat_engine_held){
            .key = partition->held[i].key,
            .subpartition = (uint16_t)partition->held[i].subpartition,
            .since_ms = (world->clock.now_us - partition->held[i].since_us) / 1000};
    qsort(held, partition->held_count, sizeof *held, by_key);
    answer->held = held;
    answer->held_count = partition->held_count;
}

static int by_offset(const void *a, const void *b)
{
    const sim_kept *x = a, *y = b;
    int64_t first = x->record->record.offset, second = y->record->record.offset;
    return (first > second) - (first < second);
}

uint32_t sim_held_records(const sim_partition_state *partition, uint64_t key, sim_kept *ret,
                          uint32_t max)
{
    sim_kept *all = leat_must_calloc(partition->kept_count + 1, sizeof *all);
    uint32_t count = 0;
    for (uint32_t i = 0; i < partition->kept_count; i++)
        if (partition->kept[i].key == key)
            all[count++] = partition->kept[i];
    qsort(all, count, sizeof *all, by_offset);
    count = count < max ? count : max;
    for (uint32_t i = 0; i < count; i++)
        ret[i] = all[i];
    free(all);
    return count;
}

/* ---- the state ---- */

static void remove_key(sim_partition_state *partition, uint64_t key)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < partition->held_count; i++)
        if (partition->held[i].key != key)
            partition->held[left++] = partition->held[i];
    partition->held_count = left;
}

static bool is_taken(const sim_commit *commit, const sim_record *record)
{
    for (uint32_t i = 0; i < commit->fate_count; i++)
        if (commit->fates[i].record == record)
            return true;
    return false;
}

static void take(sim_partition_state *partition, const sim_commit *commit)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < partition->kept_count; i++)
        if (partition->kept[i].key != commit->retry_key ||
            !is_taken(commit, partition->kept[i].record))
            partition->kept[left++] = partition->kept[i];
    partition->kept_count = left;
    if (commit->lets_go)
        remove_key(partition, commit->retry_key);
}

static void keep(sim_partition_state *partition, const sim_kept *kept)
{
    if (partition->kept_count == partition->kept_capacity) {
        partition->kept_capacity = partition->kept_capacity ? 2 * partition->kept_capacity : 8;
        partition->kept =
            realloc(partition->kept, partition->kept_capacity * sizeof *partition->kept);
        LEAT_ASSERT(partition->kept);
    }
    partition->kept[partition->kept_count++] = *kept;
}

void sim_held_apply(sim_state *state, const sim_commit *commit)
{
    if (commit->retry_key != 0)
        take(&state->partitions[commit->partition], commit);
    if (commit->hold.key != 0) {
        sim_partition_state *partition =
            &state->partitions[commit->kept[0].record->record.partition];
        partition->held =
            realloc(partition->held, (partition->held_count + 1) * sizeof *partition->held);
        LEAT_ASSERT(partition->held);
        partition->held[partition->held_count++] = commit->hold;
    }
    for (uint32_t i = 0; i < commit->kept_count; i++)
        keep(&state->partitions[commit->kept[i].record->record.partition], &commit->kept[i]);
}
