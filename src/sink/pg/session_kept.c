/*
 * session_kept.c - the part of a batch that is about records which are kept instead of written:
 * dead letters, and those of held keys; and about idempotency keys. Held keys come after the
 * progress and before the rows, because the last step of a retry locks the key's row first and
 * writes rows afterwards. Records that are kept behind such a key are one call for each partition;
 * memory of the pool is enough for them, because a job is sent in one go.
 */
#include "sink/pg/session_state.h"

#include <stdio.h>

#include "record/idempotency.h"
#include "sink/pg/dead_letter.h"

enum { PREPARES = 1, NOTES = 4 /* two calls, prepared */ };

/* ---- dead letters ---- */

void leat_pg_session_send_letter(leat_pg_session *session, const leat_engine_batch *batch)
{
    LEAT_ASSERT(batch->record_count == 1);
    leat_dead_letter_params(&session->params, session->shared->source_id, &batch->records[0],
                            batch->dead);
    leat_pg_session_query(session, COMMAND_DEAD_LETTER, leat_dead_letter_sql);
}

/* It is of a write that was accepted, so it is stored or the batch fails. */
static void send_conflict(leat_pg_session *session, const leat_engine_batch_record *record)
{
    leat_engine_reason reason = {.sqlstate = ""};
    snprintf(reason.message, sizeof reason.message, "%s", leat_idempotency_conflict);
    leat_dead_letter_params(&session->params, session->shared->source_id, record, &reason);
    leat_pg_session_query(session, COMMAND_DEAD_LETTER, leat_dead_letter_sql);
}

/* Records that are left out and of which a letter is kept; a few of a batch have one. */
void leat_pg_session_send_left_out(leat_pg_session *session, const leat_engine_batch *batch)
{
    leat_pg_params *params = &session->params;
    for (uint32_t i = 0; batch->skipped > 0 && i < batch->record_count; i++) {
        const leat_item *item = batch->records[i].payload;
        if (batch->records[i].conflict)
            send_conflict(session, &batch->records[i]);
        if (!batch->records[i].skip || batch->records[i].repeat || !item->control)
            continue;
        leat_engine_reason reason = {.sqlstate = ""};
        leat_control_describe(item->control, reason.message, sizeof reason.message);
        leat_dead_letter_params(params, session->shared->source_id, &batch->records[i], &reason);
        leat_pg_params_int8(params, item->control->id);
        leat_pg_params_int4(params, (int32_t)item->control->keep);
        leat_pg_session_query(session, COMMAND_KEEP, leat_keep_skipped_sql);
    }
}

/* ---- held keys ---- */

uint32_t leat_pg_session_keys_most(const leat_engine_batch *batch)
{
    uint32_t calls = batch->hold ? 1 : batch->retry_key ? 2 : 0;
    if (batch->kept > 0)
        calls += batch->part_count;
    return (calls > 0 ? calls + PREPARES : 0) + NOTES;
}

/* Half a pipeline must never be committed. */
static void give_up(leat_pg_session *session, const leat_error *error)
{
    leat_pg_conn_break(session->conn, error->text);
}

static void send_hold(leat_pg_session *session, const leat_engine_batch *batch)
{
    leat_error error;
    if (leat_pg_hold_params(&session->params, session->shared->source_id, batch, &error) != 0)
        give_up(session, &error);
    else
        leat_pg_session_query(session, COMMAND_KEYS, leat_pg_hold_sql);
}

static void send_kept(leat_pg_session *session, const leat_engine_batch *batch, uint32_t partition)
{
    leat_error error;
    leat_pg_keys *keys = &session->shared->keys;
    if (leat_pg_keys_take_kept(keys, batch, partition, &error) != 0) {
        give_up(session, &error);
        return;
    }
    if (keys->count == 0)
        return;
    leat_pg_keep_held_params(&session->params, session->shared->source_id, partition, keys);
    leat_pg_session_call(session, (job_command){.kind = COMMAND_KEYS, .statement = KEEP_NUMBER},
                         leat_pg_keep_held_sql);
}

void leat_pg_session_send_keys(leat_pg_session *session, const leat_engine_batch *batch,
                               int64_t lock_timeout_ms)
{
    LEAT_ASSERT(!batch->hold || !batch->retry_key);
    if (batch->hold)
        send_hold(session, batch);
    for (uint32_t i = 0; batch->kept > 0 && i < batch->part_count; i++)
        send_kept(session, batch, batch->parts[i].partition);
    if (!batch->retry_key)
        return;
    leat_pg_retry_params(&session->params, session->shared->source_id, batch, lock_timeout_ms);
    leat_pg_session_query(session, COMMAND_RETRY, leat_pg_retry_sql);
}

/* ---- idempotency keys ---- */

static void send_note(leat_pg_session *session, const leat_engine_batch *batch)
{
    leat_pg_notes *notes = &session->shared->notes;
    if (leat_pg_notes_take(notes, batch) != 0) {
        leat_pg_conn_break(session->conn, "out of memory");
        return;
    }
    session->key = ((const leat_item *)batch->records[0].payload)->write_id;
    leat_pg_note_params(&session->params, notes);
    job_command command = {.kind = COMMAND_NOTE,
                           .statement = session->direct ? NOTE_NOW_NUMBER : NOTE_NUMBER};
    leat_pg_session_call(session, command,
                         session->direct ? leat_pg_note_now_sql : leat_pg_note_sql);
}

/* Whether what leaves them out is still there; the keys of the batch itself are noted by now. */
static void send_repeats(leat_pg_session *session, const leat_engine_batch *batch)
{
    leat_pg_notes *notes = &session->shared->notes;
    if (leat_pg_notes_take_repeats(notes, batch) != 0) {
        leat_pg_conn_break(session->conn, "out of memory");
        return;
    }
    leat_pg_repeats_params(&session->params, notes);
    leat_pg_session_call(session, (job_command){.kind = COMMAND_NOTE, .statement = REPEATS_NUMBER},
                         leat_pg_repeats_sql);
}

void leat_pg_session_send_notes(leat_pg_session *session, const leat_engine_batch *batch)
{
    if (leat_pg_notes_any(batch))
        send_note(session, batch);
    if (batch->repeated > 0)
        send_repeats(session, batch);
}

/* Without knowing which, the batch would be sent as it was, again and again. What a worker makes of
 * it is committed after the write that has noted the key, and so a crash takes back both or the
 * later one. A client hears at once. */
void leat_pg_session_take_known(leat_pg_session *session, const PGresult *error)
{
    const char *detail = PQresultErrorField(error, PG_DIAG_MESSAGE_DETAIL);
    session->result.known = session->known;
    session->result.known_count =
        leat_pg_known_read(detail ? detail : "", session->record_count, session->known);
    if (session->result.known_count == 0)
        leat_pg_session_fail(session, LEAT_ENGINE_NOT_UNDERSTOOD,
                             PQresultErrorField(error, PG_DIAG_SQLSTATE),
                             "the shard has not said which records it means");
    else if (session->is_direct && session->shared->commits_async && !session->known[0].is_conflict)
        session->question = ASK_CONFIRM;
}

/* ---- the end of a retry ---- */

/* Also of a key that is not held any more: then its records are gone, and this says so. */
void leat_pg_session_send_retried(leat_pg_session *session, const leat_engine_batch *batch)
{
    LEAT_ASSERT(batch->retry_key);
    if (leat_pg_retried_params(&session->params, session->shared->source_id, batch) != 0)
        leat_pg_conn_break(session->conn, "out of memory");
    else
        leat_pg_session_query(session, COMMAND_RETRIED, leat_pg_retried_sql);
}
