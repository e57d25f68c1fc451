/*
 * parked.c - leat.parked as an array of each partition. A chunk's bytes never change, so all states
 * of a database share them.
 */
#include "parked.h"

#include <stdlib.h>
#include <string.h>

#include "record/chunk.h"
#include "server.h"
#include "world.h"

/* ---- sending ---- */

static sim_chunk chunk_of(sim_world *world, const leat_engine_batch *batch,
                          const leat_engine_chunk_cut *cut)
{
    leat_chunk_writer writer = {0};
    leat_buf bytes = {0};
    leat_error error;
    const leat_engine_batch_record *records = &batch->records[cut->first_record];
    sim_chunk chunk = {.partition = records[0].partition,
                       .subpartition = cut->subpartition,
                       .first_offset = records[0].offset,
                       .last_offset = records[cut->record_count - 1].offset,
                       .done = records[0].offset - 1,
                       .records = cut->record_count,
                       .claim = batch->parts[0].claim,
                       .oldest_ms = INT64_MAX};
    for (uint32_t i = 0; i < cut->record_count; i++) {
        const leat_item *item = records[i].payload;
        leat_chunk_add(&writer, item);
        if (item->record.accepted_ms < chunk.oldest_ms)
            chunk.oldest_ms = item->record.accepted_ms;
    }
    int ended = leat_chunk_end(&writer, &bytes, &error);
    LEAT_ASSERT(ended == 0);
    leat_chunk_writer_fini(&writer);
    sim_list_add(&world->garbage, bytes.data);
    chunk.bytes = bytes.data;
    chunk.size = bytes.size;
    return chunk;
}

void sim_parked_build(sim_world *world, sim_pipeline *pipeline, const leat_engine_batch *batch)
{
    sim_command *command = &pipeline->commands[pipeline->command_count++];
    command->kind = CMD_PARK;
    command->partition = batch->parts[0].partition;
    command->park_count = batch->cut_count;
    command->parks = leat_must_calloc(batch->cut_count, sizeof *command->parks);
    sim_list_add(&world->garbage, command->parks);
    for (uint32_t i = 0; i < batch->cut_count; i++)
        command->parks[i] = chunk_of(world, batch, &batch->cuts[i]);
}

/* ---- statements ---- */

const char *sim_parked_park(const sim_partition_state *partition, const sim_command *command,
                            sim_commit *tx, sim_answer *answer)
{
    for (uint32_t i = 0; i < command->park_count; i++)
        for (uint32_t k = 0; k < partition->chunk_count; k++)
            if (partition->chunks[k].subpartition == command->parks[i].subpartition &&
                partition->chunks[k].first_offset == command->parks[i].first_offset)
                return "LT009";
    for (uint32_t i = 0; i < command->park_count; i++) {
        tx->parked[tx->parked_count++] = command->parks[i];
        answer->parked_bytes += command->parks[i].size;
    }
    return NULL;
}

static sim_chunk *find(const sim_partition_state *partition, uint16_t subpartition,
                       const leat_engine_chunk_step *step)
{
    for (uint32_t i = 0; i < partition->chunk_count; i++) {
        sim_chunk *chunk = &partition->chunks[i];
        if (chunk->subpartition == subpartition && chunk->first_offset == step->first_offset &&
            chunk->last_offset == step->last_offset && chunk->done == step->done)
            return chunk;
    }
    return NULL;
}

const char *sim_parked_check(const sim_partition_state *partition, const sim_command *command,
                             sim_commit *tx)
{
    for (uint32_t i = 0; i < command->step_count; i++)
        if (!find(partition, command->steps_of, &command->steps[i]))
            return "LT009";
    tx->step_count = command->step_count;
    tx->steps_of = command->steps_of;
    memcpy(tx->steps, command->steps, sizeof tx->steps);
    return NULL;
}

const char *sim_parked_load(const sim_partition_state *partition, const sim_command *command,
                            sim_answer *answer)
{
    const sim_chunk *found = NULL;
    if (memcmp(partition->claim.token, command->load.claim.token, sizeof partition->claim.token) !=
        0)
        return "LT001";
    for (uint32_t i = 0; i < partition->chunk_count; i++) {
        const sim_chunk *chunk = &partition->chunks[i];
        if (chunk->subpartition == command->load.subpartition &&
            chunk->first_offset > command->load.above &&
            (!found || chunk->first_offset < found->first_offset))
            found = chunk;
    }
    if (!found)
        return "LT009";
    answer->chunk = (leat_engine_chunk){.first_offset = found->first_offset,
                                        .last_offset = found->last_offset,
                                        .done = found->done,
                                        .records = found->records,
                                        .bytes = found->bytes,
                                        .size = found->size,
                                        .codec = LEAT_CHUNK_FORMAT};
    return NULL;
}

static void add_up(leat_engine_parked *total, const sim_chunk *chunk)
{
    if (total->chunks == 0 || chunk->first_offset < total->first_offset) {
        total->first_offset = chunk->first_offset;
        total->done = chunk->done;
    }
    if (total->chunks == 0 || chunk->last_offset > total->last_offset)
        total->last_offset = chunk->last_offset;
    if (total->chunks == 0 || chunk->oldest_ms < total->oldest_ms)
        total->oldest_ms = chunk->oldest_ms;
    total->chunks++;
    total->records += chunk->records;
    total->bytes += chunk->size;
}

void sim_parked_read(sim_world *world, const sim_partition_state *partition, sim_answer *answer)
{
    leat_engine_parked *parked = leat_must_calloc(partition->chunk_count + 1, sizeof *parked);
    sim_list_add(&world->garbage, parked);
    answer->parked = parked;
    answer->parked_count = 0;
    for (uint16_t i = 0; i < LEAT_SUBPARTITIONS_MAX && partition->chunk_count > 0; i++) {
        leat_engine_parked total = {.subpartition = i};
        for (uint32_t k = 0; k < partition->chunk_count; k++)
            if (partition->chunks[k].subpartition == i)
                add_up(&total, &partition->chunks[k]);
        if (total.chunks > 0)
            parked[answer->parked_count++] = total;
    }
}

/* ---- the state ---- */

static void insert(sim_partition_state *partition, const sim_chunk *chunk)
{
    if (partition->chunk_count == partition->chunk_capacity) {
        partition->chunk_capacity = partition->chunk_capacity ? 2 * partition->chunk_capacity : 8;
        partition->chunks =
            realloc(partition->chunks, partition->chunk_capacity * sizeof *partition->chunks);
        LEAT_ASSERT(partition->chunks);
    }
    partition->chunks[partition->chunk_count++] = *chunk;
}

void sim_parked_apply(sim_partition_state *partition, const sim_commit *commit)
{
    for (uint32_t i = 0; i < commit->parked_count; i++)
        insert(partition, &commit->parked[i]);
    for (uint32_t i = 0; i < commit->step_count; i++) {
        sim_chunk *chunk = find(partition, commit->steps_of, &commit->steps[i]);
        LEAT_ASSERT(chunk);
        chunk->done = commit->steps[i].done_after;
        chunk->records = commit->steps[i].records_after;
        if (chunk->done == chunk->last_offset)
            *chunk = partition->chunks[--partition->chunk_count];
    }
}
