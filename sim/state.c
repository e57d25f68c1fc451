/*
 * state.c - a database as the sum of its commits. A commit is applied whole and kept, so that a
 * failover that loses the last few is the older commits applied again to an empty state: no state
 * is ever undone step by step, which could go wrong in the same way as the tested code.
 */
#include "state.h"

#include <stdlib.h>
#include <string.h>

/* ---- a commit ---- */

sim_commit *sim_commit_new(sim_commit_kind kind)
{
    sim_commit *commit = leat_must_calloc(1, sizeof *commit);
    commit->kind = kind;
    return commit;
}

void sim_commit_free(sim_commit *commit)
{
    if (!commit)
        return;
    for (uint32_t i = 0; i < commit->image_count; i++)
        model_row_clear(&commit->images[i].after);
    for (uint32_t i = 0; i < commit->progress_count; i++) {
        free(commit->progress[i].subpartitions);
        free(commit->progress[i].offsets);
    }
    free(commit->images);
    free(commit->fates);
    free(commit->kept);
    sim_notes_free(&commit->notes);
    free(commit->compaction);
    free(commit);
}

const model_row *sim_commit_row(const sim_commit *commit, const sim_state *state, uint32_t row)
{
    for (uint32_t i = commit->image_count; i-- > 0;)
        if (commit->images[i].row == row)
            return &commit->images[i].after;
    return &state->rows[row];
}

void sim_commit_put_row(sim_commit *commit, uint32_t row, model_row after)
{
    if (commit->image_count == commit->image_capacity) {
        commit->image_capacity = commit->image_capacity ? 2 * commit->image_capacity : 8;
        commit->images = realloc(commit->images, commit->image_capacity * sizeof *commit->images);
        LEAT_ASSERT(commit->images);
    }
    commit->images[commit->image_count++] = (sim_row_image){row, after};
}

static void *copy_of(const void *from, size_t size)
{
    void *copy = leat_must_calloc(1, size ? size : 1);
    memcpy(copy, from, size);
    return copy;
}

void sim_commit_put_progress(sim_commit *commit, const leat_engine_batch_part *part)
{
    LEAT_ASSERT(commit->progress_count < SIM_PARTITIONS_MAX);
    commit->progress[commit->progress_count++] = (sim_progress_row){
        .partition = part->partition,
        .seq = part->seq,
        .count = part->count,
        .subpartitions = copy_of(part->subpartitions, part->count * sizeof *part->subpartitions),
        .offsets = copy_of(part->offsets, part->count * sizeof *part->offsets),
        .newest = part->newest,
    };
}

void sim_commit_put_fate(sim_commit *commit, sim_record *record, sim_fate fate)
{
    if ((commit->fate_count & (commit->fate_count - 1)) == 0) {
        size_t capacity = commit->fate_count ? 2 * (size_t)commit->fate_count : 1;
        commit->fates = realloc(commit->fates, capacity * sizeof *commit->fates);
        LEAT_ASSERT(commit->fates);
    }
    commit->fates[commit->fate_count++] = (sim_record_fate){record, fate};
}

/* ---- the state ---- */

void sim_state_begin(sim_state *state, const sim_schema *schema, const sim_broker *broker)
{
    *state = (sim_state){.row_count = schema->row_count,
                         .partition_count = broker->partition_count,
                         .subpartitions = schema->catalog.source.placement.subpartitions};
    state->rows = leat_must_calloc(state->row_count, sizeof *state->rows);
    state->partitions = leat_must_calloc(state->partition_count, sizeof *state->partitions);
    for (uint32_t p = 0; p < state->partition_count; p++) {
        sim_partition_state *partition = &state->partitions[p];
        partition->low = -1;
        partition->newest = (leat_engine_newest){-1, 0, -1};
        partition->base_offsets =
            leat_must_calloc(state->subpartitions, sizeof *partition->base_offsets);
        for (uint32_t i = 0; i < state->subpartitions; i++)
            partition->base_offsets[i] = -1;
    }
}

void sim_state_end(sim_state *state)
{
    for (uint32_t i = 0; i < state->row_count; i++)
        model_row_clear(&state->rows[i]);
    for (uint32_t p = 0; p < state->partition_count; p++) {
        free(state->partitions[p].base_offsets);
        free(state->partitions[p].rows);
        free(state->partitions[p].fates);
        free(state->partitions[p].chunks);
        free(state->partitions[p].held);
        free(state->partitions[p].kept);
    }
    sim_notes_free(&state->notes);
    free(state->direct);
    free(state->rows);
    free(state->partitions);
    *state = (sim_state){0};
}

static void insert_progress(sim_partition_state *partition, const sim_progress_row *row)
{
    if (partition->row_count == partition->row_capacity) {
        partition->row_capacity = partition->row_capacity ? 2 * partition->row_capacity : 16;
        partition->rows =
            realloc(partition->rows, partition->row_capacity * sizeof *partition->rows);
        LEAT_ASSERT(partition->rows);
    }
    partition->rows[partition->row_count++] = *row;
}

static void set_fate(sim_state *state, const sim_record_fate *change)
{
    sim_partition_state *partition = &state->partitions[change->record->record.partition];
    uint32_t index = change->record->index;
    if (index >= partition->fate_count) {
        uint32_t count = 2 * index + 16;
        partition->fates = realloc(partition->fates, count);
        LEAT_ASSERT(partition->fates);
        memset(partition->fates + partition->fate_count, FATE_NONE, count - partition->fate_count);
        partition->fate_count = count;
    }
    partition->fates[index] = (uint8_t)change->fate;
}

static void compact(sim_partition_state *partition, const leat_engine_compaction *compaction)
{
    partition->base_seq = compaction->base_seq;
    memcpy(partition->base_offsets, compaction->base_offsets,
           compaction->subpartitions * sizeof *partition->base_offsets);
    partition->low = compaction->low;
    partition->newest = compaction->newest;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < partition->row_count; i++)
        if (partition->rows[i].seq > compaction->base_seq)
            partition->rows[kept++] = partition->rows[i];
    partition->row_count = kept;
}

static void add_direct(sim_state *state, const sim_direct_write *write)
{
    if (state->direct_count == state->direct_capacity) {
        state->direct_capacity = state->direct_capacity ? 2 * state->direct_capacity : 16;
        state->direct = realloc(state->direct, state->direct_capacity * sizeof *state->direct);
        LEAT_ASSERT(state->direct);
    }
    state->direct[state->direct_count++] = *write;
}

void sim_state_apply(sim_state *state, const sim_commit *commit)
{
    for (uint32_t i = 0; i < commit->image_count; i++) {
        model_row *row = &state->rows[commit->images[i].row];
        model_row_clear(row);
        *row = model_row_copy(&commit->images[i].after);
    }
    for (uint32_t i = 0; i < commit->progress_count; i++)
        insert_progress(&state->partitions[commit->progress[i].partition], &commit->progress[i]);
    if (commit->parked_count > 0 || commit->step_count > 0)
        sim_parked_apply(&state->partitions[commit->progress[0].partition], commit);
    sim_held_apply(state, commit);
    for (uint32_t i = 0; i < commit->notes.count; i++)
        sim_notes_add(&state->notes, &commit->notes.all[i]);
    for (uint32_t i = 0; i < commit->fate_count; i++)
        set_fate(state, &commit->fates[i]);
    if (commit->kind == COMMIT_CLAIM) {
        state->partitions[commit->partition].claim = commit->claim;
        state->partitions[commit->partition].epoch++;
    }
    if (commit->kind == COMMIT_MODE)
        state->mode = commit->mode;
    if (commit->kind == COMMIT_DIRECT)
        add_direct(state, &commit->direct);
    if (commit->compaction)
        compact(&state->partitions[commit->partition], commit->compaction);
}

sim_fate sim_state_fate(const sim_state *state, const sim_record *record)
{
    const sim_partition_state *partition = &state->partitions[record->record.partition];
    return record->index < partition->fate_count ? (sim_fate)partition->fates[record->index]
                                                 : FATE_NONE;
}

int64_t *sim_state_offsets(const sim_state *state, uint32_t at)
{
    const sim_partition_state *partition = &state->partitions[at];
    int64_t *offsets = leat_must_calloc(state->subpartitions, sizeof *offsets);
    for (uint32_t i = 0; i < state->subpartitions; i++)
        offsets[i] = partition->base_offsets[i] > partition->low ? partition->base_offsets[i]
                                                                 : partition->low;
    for (uint32_t i = 0; i < partition->row_count; i++) {
        const sim_progress_row *row = &partition->rows[i];
        for (uint32_t k = 0; k < row->count; k++) {
            int64_t *offset = &offsets[row->subpartitions[k]];
            *offset = row->offsets[k] > *offset ? row->offsets[k] : *offset;
        }
    }
    return offsets;
}

bool sim_state_has_seq(const sim_state *state, uint32_t at, int64_t seq)
{
    const sim_partition_state *partition = &state->partitions[at];
    if (seq <= partition->base_seq)
        return true;
    for (uint32_t i = 0; i < partition->row_count; i++)
        if (partition->rows[i].seq == seq)
            return true;
    return false;
}
