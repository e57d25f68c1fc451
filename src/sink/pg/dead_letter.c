/*
 * dead_letter.c - a record as a row that can always be stored: bytes that are not UTF-8 become NULL
 * or are replaced, times outside PostgreSQL's range are clamped. A dead letter that could not be
 * stored would hold up its subpartition indefinitely, with no way out.
 */
#include "sink/pg/dead_letter.h"

#include "base/utf8.h"
#include "record/headers.h"

/* PostgreSQL counts from 2000 on. */
#define EPOCH_2000_MS INT64_C(946684800000)
/* 9999-12-31: in the log a time is any number; PostgreSQL and its readers have limits. */
#define ACCEPTED_MAX_MS INT64_C(253402300799999)

/* ON CONFLICT: after a commit with an unknown outcome the letter may be there already. A user may
 * have a trigger on the table, so the settings of leat.advance are restored first. */
const char leat_dead_letter_sql[] =
    "INSERT INTO leat.dead_letters"
    " (source, partition, \"offset\", route, key, op, headers, body, sqlstate, message, accepted_at)"
    " SELECT $1::int4, $2::int4, $3::int8, $4::text, $5::bytea, $6::text, $7::text::jsonb, $8::bytea, $9::text,"
    " $10::text, $11::timestamptz WHERE (SELECT leat.give_back()) ON CONFLICT DO NOTHING";

const char leat_keep_skipped_sql[] =
    "SELECT leat.keep_skipped($1::int4, $2::int4, $3::int8, $4::text, $5::bytea, $6::text, $7::text::jsonb, $8::bytea,"
    " $9::text, $10::text, $11::timestamptz, $12::int8, $13::int4)";

static void put_bytes(leat_pg_params *params, leat_slice bytes, bool is_null)
{
    if (is_null)
        leat_pg_params_null(params);
    else
        leat_pg_params_bytes(params, bytes);
}

/* `taken`: the name that leat assumed where the record has none; NULL: not known. */
static void put_name(leat_pg_params *params, leat_slice name, const char *taken)
{
    if (name.size == 0 && taken)
        name = leat_slice_of(taken);
    put_bytes(params, name, name.size == 0 || !leat_utf8_is_text(name));
}

static void put_headers(leat_pg_params *params, leat_slice headers)
{
    leat_buf json = {0};
    if (headers.data)
        leat_headers_write_json(&json, headers);
    put_bytes(params, (leat_slice){json.data, json.size}, !headers.data);
    params->bytes.failed = params->bytes.failed || json.failed;
    leat_buf_free(&json);
}

static void put_message(leat_pg_params *params, const char *message)
{
    leat_buf text = {0};
    leat_utf8_append(&text, leat_slice_of(message));
    leat_pg_params_bytes(params, (leat_slice){text.data, text.size});
    params->bytes.failed = params->bytes.failed || text.failed;
    leat_buf_free(&text);
}

static void put_accepted(leat_pg_params *params, int64_t accepted_ms)
{
    int64_t ms = accepted_ms < 0 ? 0 : accepted_ms;
    ms = ms > ACCEPTED_MAX_MS ? ACCEPTED_MAX_MS : ms;
    leat_pg_params_int8(params, (ms - EPOCH_2000_MS) * 1000);
}

void leat_dead_letter_params(leat_pg_params *params, int32_t source_id,
                             const leat_engine_batch_record *record,
                             const leat_engine_reason *reason)
{
    LEAT_ASSERT(record->payload && reason);
    const leat_item *item = record->payload;
    const leat_record *from = &item->record;
    leat_pg_params_begin(params);
    leat_pg_params_int4(params, source_id);
    leat_pg_params_int4(params, (int32_t)record->partition);
    leat_pg_params_int8(params, record->offset);
    put_name(params, from->route, item->route ? item->route->name : NULL);
    put_bytes(params, from->key, !from->key.data);
    put_name(params, from->op, item->route ? leat_route_op_name(item->op) : NULL);
    put_headers(params, item->headers);
    put_bytes(params, from->value, from->value_is_null);
    put_bytes(params, leat_slice_of(reason->sqlstate), reason->sqlstate[0] == '\0');
    put_message(params, reason->message);
    put_accepted(params, from->accepted_ms);
}
