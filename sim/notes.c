/* notes.c - idempotency keys in a simulated database. They are few: a list will do. */
#include "notes.h"

#include <stdlib.h>

#include "record/idempotency.h"
#include "server.h"
#include "world.h"

enum { KNOWN_MAX = 3 }; /* of a batch with more the others are told of the next time */

void sim_notes_add(sim_notes *notes, const leat_write_id *id)
{
    if (notes->count == notes->capacity) {
        notes->capacity = notes->capacity ? 2 * notes->capacity : 16;
        notes->all = realloc(notes->all, notes->capacity * sizeof *notes->all);
        LEAT_ASSERT(notes->all);
    }
    notes->all[notes->count++] = *id;
}

void sim_notes_free(sim_notes *notes)
{
    free(notes->all);
    *notes = (sim_notes){0};
}

const leat_write_id *sim_notes_find(const sim_notes *notes, const leat_write_id *id)
{
    for (uint32_t i = 0; i < notes->count; i++)
        if (notes->all[i].a == id->a && notes->all[i].b == id->b)
            return &notes->all[i];
    return NULL;
}

/* The index would stop it, and the batch would be tried again for nothing. */
static void check_once(sim_world *world, const sim_note *notes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (notes[i].id.a == notes[k].id.a && notes[i].id.b == notes[k].id.b)
                sim_fail(world, "repeats", "a batch notes one key twice");
}

static bool is_noted(const leat_engine_batch_record *record)
{
    return !record->skip && !record->keep && leat_idempotency_has_key(record->payload);
}

static bool is_repeat(const leat_engine_batch_record *record)
{
    return record->repeat;
}

/* NULL: there are none. */
static const sim_command *build(sim_world *world, sim_pipeline *pipeline, sim_command_kind kind,
                                const leat_engine_batch *batch,
                                bool (*is_wanted)(const leat_engine_batch_record *record))
{
    sim_command *command = &pipeline->commands[pipeline->command_count];
    sim_note *notes = leat_must_calloc(batch->record_count + 1, sizeof *notes);
    uint32_t count = 0;
    sim_list_add(&world->garbage, notes);
    for (uint32_t i = 0; i < batch->record_count; i++) {
        const leat_engine_batch_record *record = &batch->records[i];
        const leat_item *item = record->payload;
        if (is_wanted(record))
            notes[count++] = (sim_note){i, item->write_id, record->conflict};
    }
    if (count == 0)
        return NULL;
    pipeline->command_count++;
    command->kind = kind;
    command->notes = notes;
    command->note_count = count;
    return command;
}

void sim_notes_build(sim_world *world, sim_pipeline *pipeline, const leat_engine_batch *batch)
{
    const sim_command *command = build(world, pipeline, CMD_NOTE, batch, is_noted);
    if (command)
        check_once(world, command->notes, command->note_count);
}

void sim_notes_build_repeats(sim_world *world, sim_pipeline *pipeline,
                             const leat_engine_batch *batch)
{
    if (batch->repeated > 0)
        build(world, pipeline, CMD_REPEATS, batch, is_repeat);
}

bool sim_notes_look(sim_world *world, const sim_notes *notes, const sim_command *command,
                    sim_answer *answer)
{
    leat_engine_known *known = leat_must_calloc(KNOWN_MAX, sizeof *known);
    sim_list_add(&world->garbage, known);
    answer->known = known;
    for (uint32_t i = 0; i < command->note_count && answer->known_count < KNOWN_MAX; i++) {
        const sim_note *note = &command->notes[i];
        const leat_write_id *found = sim_notes_find(notes, &note->id);
        if (found)
            known[answer->known_count++] = (leat_engine_known){
                .record = note->record, .is_conflict = found->fingerprint != note->id.fingerprint};
    }
    return answer->known_count > 0;
}

bool sim_notes_miss(sim_world *world, const sim_notes *notes, const sim_notes *tx,
                    const sim_command *command, sim_answer *answer)
{
    leat_engine_known *known = leat_must_calloc(KNOWN_MAX, sizeof *known);
    sim_list_add(&world->garbage, known);
    answer->known = known;
    for (uint32_t i = 0; i < command->note_count && answer->known_count < KNOWN_MAX; i++) {
        const sim_note *note = &command->notes[i];
        const leat_write_id *found = sim_notes_find(notes, &note->id);
        found = found ? found : sim_notes_find(tx, &note->id);
        if (!found || (found->fingerprint != note->id.fingerprint) != note->is_conflict)
            known[answer->known_count++] =
                (leat_engine_known){.record = note->record, .is_lost = true};
    }
    return answer->known_count > 0;
}

bool sim_notes_note(const sim_notes *notes, const sim_command *command, sim_notes *tx)
{
    for (uint32_t i = 0; i < command->note_count; i++) {
        const leat_write_id *id = &command->notes[i].id;
        if (sim_notes_find(tx, id) || sim_notes_find(notes, id))
            return false;
        sim_notes_add(tx, id);
    }
    return true;
}

bool sim_notes_identify(const sim_world *world, const sim_record *record, leat_write_id *ret)
{
    leat_item item = {.record = record->record};
    leat_buf scratch = {0};
    LEAT_ASSERT(leat_item_decode(sim_schema_routes(&world->schema),
                                 &world->schema.catalog.source.placement, &item) == 0);
    bool has = leat_idempotency_has_key(&item);
    if (has)
        LEAT_ASSERT(
            leat_idempotency_identify(world->schema.catalog.source.id, &item, &scratch, ret));
    leat_buf_free(&scratch);
    leat_item_clear(&item);
    return has;
}
