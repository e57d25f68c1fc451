/*
 * notes.c - the keys of all records of a batch are noted by one call, which also finds those that
 * are known: a batch without repeats, the usual one, needs no answer before its rows. A batch that
 * leaves repeats out shows their keys in a second call, so that the others have none.
 */
#include "sink/pg/notes.h"

#include <stdlib.h>
#include <string.h>

#include "record/idempotency.h"
#include "sink/pg/commit_sql.h"

const char leat_pg_note_sql[] =
    "SELECT leat.note_keys($1::int8[], $2::int8[], $3::int8[], $4::int8[])";
const char leat_pg_note_now_sql[] =
    "SELECT leat.note_keys_now($1::int8[], $2::int8[], $3::int8[], $4::int8[])";
const char leat_pg_repeats_sql[] =
    "SELECT leat.check_repeats($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::bool[])";

const char leat_pg_confirm_sql[] =
    "SELECT " LEAT_PG_WRITES_LEAST_SQL " FROM leat.idempotency AS n"
    " WHERE n.a = $1::int8 AND n.b = $2::int8 AND " LEAT_PG_COMMITS_SYNC_SQL " LIMIT 1";

static bool is_noted(const leat_engine_batch_record *record)
{
    return !record->skip && !record->keep && leat_idempotency_has_key(record->payload);
}

static bool is_repeat(const leat_engine_batch_record *record)
{
    return record->repeat;
}

bool leat_pg_notes_any(const leat_engine_batch *batch)
{
    for (uint32_t i = 0; i < batch->record_count; i++)
        if (is_noted(&batch->records[i]))
            return true;
    return false;
}

/* One piece of memory for the five. */
static int reserve(leat_pg_notes *notes, uint32_t count)
{
    if (count <= notes->capacity)
        return 0;
    int64_t *grown =
        realloc(notes->records, (size_t)count * (4 * sizeof *grown + sizeof *notes->conflicts));
    if (!grown)
        return -1;
    *notes = (leat_pg_notes){.capacity = count,
                             .records = grown,
                             .a = grown + count,
                             .b = grown + 2 * (size_t)count,
                             .fingerprints = grown + 3 * (size_t)count,
                             .conflicts = (bool *)(grown + 4 * (size_t)count)};
    return 0;
}

static int take(leat_pg_notes *notes, const leat_engine_batch *batch,
                bool (*is_wanted)(const leat_engine_batch_record *record))
{
    notes->count = 0;
    if (reserve(notes, batch->record_count) != 0)
        return -1;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        if (!is_wanted(&batch->records[i]))
            continue;
        const leat_item *item = batch->records[i].payload;
        notes->records[notes->count] = i;
        notes->a[notes->count] = (int64_t)item->write_id.a;
        notes->b[notes->count] = (int64_t)item->write_id.b;
        notes->conflicts[notes->count] = batch->records[i].conflict;
        notes->fingerprints[notes->count++] = (int64_t)item->write_id.fingerprint;
    }
    return 0;
}

int leat_pg_notes_take(leat_pg_notes *notes, const leat_engine_batch *batch)
{
    return take(notes, batch, is_noted);
}

int leat_pg_notes_take_repeats(leat_pg_notes *notes, const leat_engine_batch *batch)
{
    return take(notes, batch, is_repeat);
}

void leat_pg_notes_fini(leat_pg_notes *notes)
{
    free(notes->records);
    *notes = (leat_pg_notes){0};
}

void leat_pg_note_params(leat_pg_params *params, const leat_pg_notes *notes)
{
    LEAT_ASSERT(notes->count > 0);
    leat_pg_params_begin(params);
    leat_pg_params_int8s(params, notes->records, notes->count);
    leat_pg_params_int8s(params, notes->a, notes->count);
    leat_pg_params_int8s(params, notes->b, notes->count);
    leat_pg_params_int8s(params, notes->fingerprints, notes->count);
}

void leat_pg_repeats_params(leat_pg_params *params, const leat_pg_notes *notes)
{
    leat_pg_note_params(params, notes);
    leat_pg_params_bools(params, notes->conflicts, notes->count);
}

void leat_pg_confirm_params(leat_pg_params *params, const leat_write_id *key)
{
    leat_pg_params_begin(params);
    leat_pg_params_int8(params, (int64_t)key->a);
    leat_pg_params_int8(params, (int64_t)key->b);
}

uint32_t leat_pg_known_read(const char *detail, uint32_t record_count,
                            leat_engine_known ret[LEAT_PG_KNOWN_MAX])
{
    uint32_t count = 0;
    while (count < LEAT_PG_KNOWN_MAX) {
        char *end;
        unsigned long record = strtoul(detail, &end, 10);
        if (end == detail || record >= record_count || *end == '\0' || !strchr("=!-", *end))
            return 0;
        ret[count++] = (leat_engine_known){(uint32_t)record, *end == '!', *end == '-'};
        detail = end + 1;
        if (*detail == '\0')
            return count;
    }
    return 0;
}
