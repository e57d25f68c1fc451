/*
 * held_retry.c - an end to a held key: its records from the first on, some in a transaction. Each
 * one takes the key, reads in a statement after that, writes and deletes what it has written. What
 * the database refuses is halved until the record is known; everything before it is done by then.
 *
 * Only a step with `last` can let the key go. It keeps the owner from adding records meanwhile, so
 * it comes when few are left.
 */
#include "sink/pg/held.h"

#include <stdlib.h>
#include <string.h>

#include "record/idempotency.h"
#include "sink/kept.h"
#include "sink/pg/blocking.h"
#include "sink/pg/commit_sql.h"
#include "sink/pg/dead_letter.h"
#include "sink/pg/notes.h"
#include "sink/pg/rows.h"

enum { LOCK_MS = 10000, STEP_US = 60000000 };

static const int binary[LEAT_STATEMENT_PARAMS_MAX] = {[0 ... LEAT_STATEMENT_PARAMS_MAX - 1] = 1};

typedef struct held_step {
    leat_pg pg;
    leat_pg_params params;
    leat_rows *rows;
    const leat_held_work *work;
    leat_held_result *ret;
    uint32_t count; /* of the records that were read */
    leat_engine_batch_record records[LEAT_HELD_STEP_RECORDS];
    leat_item items[LEAT_HELD_STEP_RECORDS];
    leat_pg_notes notes;
} held_step;

/* A step ends in one of these ways. */
typedef enum held_end { STEP_FAILED = -1, STEP_DONE, STEP_REFUSED } held_end;

/* ---- statements ---- */

static PGresult *call(held_step *step, const char *sql, leat_error *error)
{
    leat_pg_params *params = &step->params;
    if (leat_pg_params_end(params) < 0) {
        leat_fail(error, "out of memory");
        return NULL;
    }
    return leat_pg_execute(&step->pg, sql, (int)params->count, params->values, params->sizes,
                           binary, error);
}

/* The parameters that name the key. */
static void begin_params(held_step *step)
{
    const leat_shard_held_key *key = step->work->key;
    leat_pg_params_begin(&step->params);
    leat_pg_params_int4(&step->params, key->source);
    leat_pg_params_int4(&step->params, (int32_t)key->partition);
    leat_pg_params_int8(&step->params, key->hash);
}

static bool is_true(const PGresult *result)
{
    return PQgetlength(result, 0, 0) == 1 && PQgetvalue(result, 0, 0)[0] != 0;
}

static int begin(held_step *step, leat_error *error)
{
    step->pg.timeout_us = STEP_US;
    step->pg.deadline_us = leat_mono_us() + STEP_US;
    if (PQtransactionStatus(step->pg.connection) == PQTRANS_INTRANS)
        return 0;
    return leat_pg_run(&step->pg, LEAT_PG_BEGIN_SYNC_SQL, error);
}

static int take_key(held_step *step, bool last, leat_error *error)
{
    begin_params(step);
    leat_pg_params_int4(&step->params, last);
    leat_pg_params_int4(&step->params, LOCK_MS);
    PGresult *result =
        call(step, "SELECT leat.retry($1::int4, $2::int4, $3::int8, $4::int4::boolean, $5::int4)",
             error);
    if (result)
        step->ret->is_held = is_true(result);
    PQclear(result);
    return result ? 0 : -1;
}

/* ---- records ---- */

static void drop_records(held_step *step)
{
    for (uint32_t i = 0; i < step->count; i++)
        leat_item_clear(&step->items[i]);
    step->count = 0;
}

static int read_record(held_step *step, const PGresult *result, int row, leat_error *error)
{
    int64_t offset;
    int32_t codec;
    leat_slice bytes = {PQgetvalue(result, row, 2), (size_t)PQgetlength(result, row, 2)};
    leat_item *item = &step->items[step->count];
    if (leat_pg_field_int8(result, row, 0, &offset) < 0 ||
        leat_pg_field_int4(result, row, 1, &codec) < 0)
        return leat_fail(error, "its row is not of a form that is known");
    if (leat_kept_read(step->work, offset, codec, bytes, item, error) != 0)
        return -1;
    step->records[step->count++] = (leat_engine_batch_record){
        .payload = item, .offset = offset, .partition = step->work->key->partition};
    return 0;
}

static int read_records(held_step *step, uint32_t limit, leat_error *error)
{
    begin_params(step);
    leat_pg_params_int4(&step->params, (int32_t)limit);
    leat_pg_params_int8(&step->params, LEAT_HELD_STEP_BYTES);
    PGresult *result =
        call(step,
             "SELECT \"offset\", codec, record"
             "  FROM leat.held_records($1::int4, $2::int4, $3::int8, $4::int4, $5::int8)",
             error);
    int status = result ? 0 : -1;
    for (int row = 0; status == 0 && row < PQntuples(result); row++)
        status = read_record(step, result, row, error);
    PQclear(result);
    return status;
}

/* ---- idempotency keys ---- */

static void mark(held_step *step, uint32_t index, bool is_conflict)
{
    step->records[index].skip = step->records[index].repeat = true;
    step->records[index].conflict = is_conflict;
}

/* Those that are known, which the transaction of the key's row keeps from becoming more. */
static int find_known(held_step *step, leat_error *error)
{
    leat_pg_note_params(&step->params, &step->notes);
    PGresult *result = call(
        step,
        "SELECT k.record, (i.fingerprint <> k.fingerprint)::int4::int8"
        "  FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[]) AS k (record, a, b, fingerprint)"
        "  CROSS JOIN LATERAL (SELECT n.fingerprint FROM leat.idempotency AS n"
        "                       WHERE n.a = k.a AND n.b = k.b LIMIT 1) AS i",
        error);
    int status = result ? 0 : -1;
    for (int row = 0; status == 0 && row < PQntuples(result); row++) {
        int64_t record, is_conflict;
        if (leat_pg_field_int8(result, row, 0, &record) < 0 ||
            leat_pg_field_int8(result, row, 1, &is_conflict) < 0 || record >= step->count)
            status = leat_fail(error, "idempotency keys are not of a form that is known");
        else
            mark(step, (uint32_t)record, is_conflict != 0);
    }
    PQclear(result);
    return status;
}

static bool has_key(const held_step *step, uint32_t index)
{
    return !step->records[index].skip && leat_idempotency_has_key(&step->items[index]);
}

/* Within the step the first of a key counts. */
static void find_repeats(held_step *step)
{
    for (uint32_t i = 1; i < step->count; i++)
        for (uint32_t j = 0; j < i && has_key(step, i); j++) {
            const leat_write_id *id = &step->items[i].write_id, *first = &step->items[j].write_id;
            if (has_key(step, j) && id->a == first->a && id->b == first->b)
                mark(step, i, id->fingerprint != first->fingerprint);
        }
}

static int identify(held_step *step, leat_error *error)
{
    leat_buf scratch = {0};
    int status = 0;
    for (uint32_t i = 0; status == 0 && i < step->count; i++)
        if (has_key(step, i) && !leat_idempotency_identify(step->work->key->source, &step->items[i],
                                                           &scratch, &step->items[i].write_id))
            status = leat_fail(error, "out of memory");
    leat_buf_free(&scratch);
    return status;
}

static int take_notes(held_step *step, leat_error *error)
{
    const leat_engine_batch batch = {.record_count = step->count, .records = step->records};
    return leat_pg_notes_take(&step->notes, &batch) == 0 ? 0 : leat_fail(error, "out of memory");
}

/* Marks those that repeat a write which is applied, and notes the keys of the others. */
static int note_keys(held_step *step, leat_error *error)
{
    const leat_engine_batch batch = {.record_count = step->count, .records = step->records};
    if (!leat_pg_notes_any(&batch))
        return 0;
    if (identify(step, error) != 0 || take_notes(step, error) != 0 || find_known(step, error) != 0)
        return -1;
    find_repeats(step);
    if (take_notes(step, error) != 0)
        return -1;
    if (step->notes.count == 0)
        return 0;
    leat_pg_note_params(&step->params, &step->notes);
    PGresult *result = call(step, leat_pg_note_sql, error);
    PQclear(result);
    return result ? 0 : -1;
}

/* ---- rows ---- */

static void note_reason(held_step *step, const char *sqlstate, const char *message)
{
    snprintf(step->ret->reason.sqlstate, sizeof step->ret->reason.sqlstate, "%s", sqlstate);
    snprintf(step->ret->reason.message, sizeof step->ret->reason.message, "%s", message);
}

/* After a statement with the data of records has failed, or the commit. */
static held_end refused_or_failed(held_step *step, const leat_error *error)
{
    if (!leat_kept_is_refusal(step->pg.as_rows))
        return STEP_FAILED;
    size_t where = strlen(step->pg.where);
    bool is_named = strncmp(error->text, step->pg.where, where) == 0 && error->text[where] == ':';
    note_reason(step, step->pg.sqlstate, error->text + (is_named ? where + 2 : 0));
    return STEP_REFUSED;
}

static held_end write_statement(held_step *step, uint32_t at, leat_error *error)
{
    leat_row_statement statement;
    leat_buf sql = {0};
    leat_shape shape = leat_rows_shape(step->rows, at);
    const char *settings = leat_shape_is_planned_plainly(&shape) ? "SELECT leat.plan_plainly()"
                                                                 : "SELECT leat.plan_rows()";
    PGresult *result = leat_pg_query(&step->pg, settings, 0, NULL, error);
    if (!result)
        return STEP_FAILED;
    PQclear(result);
    leat_statement_build(&shape, &sql);
    if (sql.failed || leat_rows_statement(step->rows, at, shape, &statement) < 0) {
        leat_buf_free(&sql);
        leat_fail(error, "out of memory");
        return STEP_FAILED;
    }
    result = leat_pg_execute(&step->pg, leat_buf_cstr(&sql), (int)statement.param_count,
                             statement.values, statement.sizes, binary, error);
    leat_buf_free(&sql);
    PQclear(result);
    return result ? STEP_DONE : refused_or_failed(step, error);
}

static held_end write_letter(held_step *step, uint32_t index, const leat_engine_reason *reason,
                             leat_error *error)
{
    leat_dead_letter_params(&step->params, step->work->key->source, &step->records[index], reason);
    PGresult *result = call(step, leat_dead_letter_sql, error);
    PQclear(result);
    return result ? STEP_DONE : STEP_FAILED;
}

static held_end write_conflicts(held_step *step, leat_error *error)
{
    leat_engine_reason reason = {.sqlstate = ""};
    snprintf(reason.message, sizeof reason.message, "%s", leat_idempotency_conflict);
    for (uint32_t i = 0; i < step->count; i++)
        if (step->records[i].conflict && write_letter(step, i, &reason, error) != STEP_DONE)
            return STEP_FAILED;
    return STEP_DONE;
}

static held_end write_rows(held_step *step, leat_error *error)
{
    leat_rows_fault fault = {0};
    leat_engine_batch batch = {.record_count = step->count, .records = step->records};
    if (note_keys(step, error) != 0)
        return STEP_FAILED;
    if (leat_rows_build(step->rows, &batch, step->work->routes, &fault) < 0) {
        *error = fault.error;
        if (!leat_kept_is_refusal(fault.outcome))
            return STEP_FAILED;
        note_reason(step, "", fault.error.text);
        return STEP_REFUSED;
    }
    held_end end = STEP_DONE;
    for (uint32_t i = 0; end == STEP_DONE && i < leat_rows_statement_count(step->rows); i++)
        end = write_statement(step, i, error);
    return end == STEP_DONE ? write_conflicts(step, error) : end;
}

static held_end write_letters(held_step *step, leat_error *error)
{
    for (uint32_t i = 0; i < step->count; i++) {
        leat_engine_reason reason =
            leat_kept_letter_reason(step->work->key, step->records[i].offset);
        if (write_letter(step, i, &reason, error) != STEP_DONE)
            return STEP_FAILED;
    }
    return STEP_DONE;
}

/* ---- steps ---- */

static int end_records(held_step *step, bool last, leat_error *error)
{
    int64_t offsets[LEAT_HELD_STEP_RECORDS];
    for (uint32_t i = 0; i < step->count; i++)
        offsets[i] = step->records[i].offset;
    begin_params(step);
    leat_pg_params_int8s(&step->params, offsets, step->count);
    leat_pg_params_int4(&step->params, last);
    PGresult *result = call(
        step, "SELECT leat.retried($1::int4, $2::int4, $3::int8, $4::int8[], $5::int4::boolean)",
        error);
    if (result)
        step->ret->is_held = is_true(result);
    PQclear(result);
    return result ? 0 : -1;
}

static held_end write_and_commit(held_step *step, bool last, leat_error *error)
{
    held_end end = step->work->discard ? write_letters(step, error) : write_rows(step, error);
    if (end != STEP_DONE)
        return end;
    if (end_records(step, last, error) != 0)
        return STEP_FAILED;
    return leat_pg_commit(&step->pg, error) == 0 ? STEP_DONE : refused_or_failed(step, error);
}

/* The records stay, for their number, until drop_records. */
static held_end run_step(held_step *step, uint32_t limit, bool last, leat_error *error)
{
    LEAT_ASSERT(limit > 0 && limit <= LEAT_HELD_STEP_RECORDS && step->count == 0);
    if (begin(step, error) != 0 || take_key(step, last, error) != 0)
        return STEP_FAILED;
    if (!step->ret->is_held)
        return STEP_DONE;
    if (read_records(step, limit, error) != 0)
        return STEP_FAILED;
    held_end end = write_and_commit(step, last, error);
    step->ret->is_held = step->ret->is_held || end != STEP_DONE;
    return end;
}

/* Of one record alone; kept with its key. */
static int note_refusal(held_step *step, leat_error *error)
{
    const leat_engine_reason *reason = &step->ret->reason;
    step->ret->refused = true;
    step->ret->refused_offset = step->records[0].offset;
    if (begin(step, error) != 0)
        return -1;
    begin_params(step);
    if (reason->sqlstate[0])
        leat_pg_params_text(&step->params, reason->sqlstate);
    else
        leat_pg_params_null(&step->params);
    leat_pg_params_text(&step->params, reason->message);
    PGresult *result = call(
        step, "SELECT leat.retry_failed($1::int4, $2::int4, $3::int8, $4::text, $5::text)", error);
    PQclear(result);
    return result ? leat_pg_commit(&step->pg, error) : -1;
}

static uint32_t smaller(uint64_t a, uint64_t b)
{
    return (uint32_t)(a < b ? a : b);
}

static int run_steps(held_step *step, leat_error *error)
{
    const leat_held_work *work = step->work;
    uint32_t most = LEAT_HELD_STEP_RECORDS;
    bool last = false;
    while (step->ret->is_held) {
        uint64_t left = work->most > 0 ? work->most - step->ret->done : most;
        if (left == 0)
            return 0;
        uint32_t limit = smaller(left, most);
        held_end end = run_step(step, limit, last || work->most > 0, error);
        uint32_t count = step->count;
        if (end == STEP_REFUSED && leat_pg_run(&step->pg, "ROLLBACK", error) != 0)
            end = STEP_FAILED;
        if (end == STEP_REFUSED && count == 1)
            return note_refusal(step, error);
        drop_records(step);
        if (end == STEP_FAILED)
            return -1;
        if (end == STEP_REFUSED) {
            most = count / 2;
            continue;
        }
        step->ret->done += count;
        last = count < limit;
        most = smaller(2 * (uint64_t)most, LEAT_HELD_STEP_RECORDS);
    }
    return 0;
}

int leat_pg_end_hold(const char *dsn, const leat_held_work *work, leat_held_result *ret,
                     leat_error *error)
{
    held_step *step = leat_must_calloc(1, sizeof *step);
    step->work = work;
    step->ret = ret;
    step->rows = leat_rows_new();
    int status = step->rows ? leat_pg_open_to_change(&step->pg, dsn, error)
                            : leat_fail(error, "out of memory");
    if (status == 0)
        status = run_steps(step, error);
    if (step->rows)
        leat_pg_close(&step->pg);
    drop_records(step);
    leat_rows_free(step->rows);
    leat_pg_params_free(&step->params);
    leat_pg_notes_fini(&step->notes);
    free(step);
    return status;
}
