/*
 * session_write.c - a write that is in no log: the batch of one record, without progress. Where
 * leat.advance would check the claim, leat.write_now checks that nothing is kept of the key, that
 * no control leaves it out, and that the shard still lets it through. All that follows is as for
 * any other batch, so that both ways have one effect; but its idempotency key is noted under a
 * lock, since the same request may come through another edge at the same time.
 */
#include "sink/pg/commit_sql.h"
#include "sink/pg/session_state.h"

static const char *const enter_sql[] = LEAT_PG_WITH_SERVER(
    "SELECT leat.write_now($1::int4, $2::int4, $3::int8, $4::text, $5::int4, $6::int4,"
    " $7::text, $8::text, $9::text)",
    " WHERE " LEAT_PG_COMMITS_SYNC_SQL);

void leat_pg_session_send_enter(leat_pg_session *session, int64_t lock_timeout_ms)
{
    leat_pg_params *params = &session->params;
    const leat_sink_direct *direct = session->direct;
    bool has_timeline = leat_pg_conn_server(session->conn)->timeline[0] != '\0';
    leat_pg_params_begin(params);
    leat_pg_params_int4(params, session->shared->source_id);
    leat_pg_params_int4(params, (int32_t)direct->partition);
    leat_pg_params_int8(params, (int64_t)direct->key);
    if (direct->route)
        leat_pg_params_text(params, direct->route);
    else
        leat_pg_params_null(params);
    leat_pg_params_int4(params, (int32_t)direct->point);
    leat_pg_params_int4(params, (int32_t)lock_timeout_ms);
    leat_pg_params_text(params, direct->table);
    leat_pg_params_bytes(params, direct->row_key);
    if (direct->tenant.data)
        leat_pg_params_bytes(params, direct->tenant);
    else
        leat_pg_params_null(params);
    leat_pg_session_call(session, (job_command){.kind = COMMAND_ENTER, .statement = ENTER_NUMBER},
                         enter_sql[has_timeline]);
}

void leat_pg_session_write(leat_pg_session *session, const leat_engine_job *job,
                           const leat_sink_direct *direct)
{
    LEAT_ASSERT(job->kind == LEAT_ENGINE_JOB_BATCH && job->batch.record_count == 1);
    LEAT_ASSERT(job->batch.part_count == 0 && direct->timeout_ms > 0);
    session->direct = direct;
    leat_pg_session_start(session, job);
    session->direct = NULL;
}
