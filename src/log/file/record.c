#include <stdlib.h>
#include <string.h>

#include "log/header_value.h"
#include "log/file/file_log.h"

static leat_slice column(sqlite3_stmt *row, int at)
{
    /* before its size; NULL when it is empty too */
    const void *data = sqlite3_column_blob(row, at);
    size_t size = (size_t)sqlite3_column_bytes(row, at);
    bool is_null = sqlite3_column_type(row, at) == SQLITE_NULL;
    return (leat_slice){data || is_null ? data : "", data ? size : 0};
}

/* No data stays none; what is empty keeps a place to point at. */
static leat_slice copy_slice(leat_slice from, char **at)
{
    leat_slice ret = {from.data ? *at : NULL, from.size};
    if (from.size > 0)
        memcpy(*at, from.data, from.size);
    *at += from.size;
    return ret;
}

size_t leat_local_record_size(const leat_record *record)
{
    return record->key.size + record->value.size + record->route.size + record->op.size;
}

leat_record leat_local_record_copy(const leat_record *record, char *bytes)
{
    leat_record ret = *record;
    ret.key = copy_slice(record->key, &bytes);
    ret.value = copy_slice(record->value, &bytes);
    ret.route = copy_slice(record->route, &bytes);
    ret.op = copy_slice(record->op, &bytes);
    return ret;
}

leat_local_record *leat_local_record_read(sqlite3_stmt *row, uint32_t partition)
{
    leat_record found = {.partition = partition,
                         .offset = sqlite3_column_int64(row, 0),
                         .accepted_ms = sqlite3_column_int64(row, 1),
                         .epoch = -1,
                         .route = column(row, 2),
                         .op = column(row, 3),
                         .key = column(row, 4),
                         .value = column(row, 5),
                         .value_is_null = sqlite3_column_type(row, 5) == SQLITE_NULL};
    if (sqlite3_errcode(sqlite3_db_handle(row)) == SQLITE_NOMEM)
        return NULL;
    leat_local_record *ret = malloc(sizeof *ret + leat_local_record_size(&found) + 1);
    if (ret)
        ret->record = leat_local_record_copy(&found, ret->bytes);
    return ret;
}

/* ---- headers ---- */

static void write_header(leat_buf *out, const char *name, leat_slice value, bool *first)
{
    if (!value.data)
        return;
    if (!*first)
        leat_buf_byte(out, ',');
    *first = false;
    leat_buf_json_string(out, leat_slice_of(name));
    leat_buf_byte(out, ':');
    leat_log_write_header_value(out, value.data, value.size);
}

int leat_local_headers(leat_log_reader *base, void *log_handle, leat_buf *out)
{
    (void)base;
    const leat_local_record *held = log_handle;
    bool first = true;
    leat_buf_byte(out, '{');
    write_header(out, "route", held->record.route, &first);
    write_header(out, "op", held->record.op, &first);
    leat_buf_byte(out, '}');
    return out->failed ? -1 : 0;
}
