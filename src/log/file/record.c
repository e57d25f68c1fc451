/*
 * record.c - a record between the file's row and the memory that a reader hands out. A record is
 * one piece of memory followed by its bytes: those of a row are SQLite's and go with the next step.
 * A missing value differs from an empty one (a missing one deletes), so an empty slice still points
 * somewhere.
 */
#include <stdlib.h>
#include <string.h>

#include "log/file/file_log.h"
#include "record/headers.h"

/* The columns of LEAT_LOCAL_COLUMNS: offset and accepted_ms come before the headers that have a
 * column of their own, key, value and the other headers after them. */
enum { FIRST_HEADER = 2, KEY = FIRST_HEADER + LEAT_HEADER_IDEMPOTENCY + 1, VALUE, OTHER_HEADERS };
/* The first that has none. */
static const leat_header first_other = LEAT_HEADER_TRACEPARENT;

static leat_slice column(sqlite3_stmt *row, int at)
{
    LEAT_ASSERT(at >= 0);
    /* before its size; NULL when it is empty too */
    const void *data = sqlite3_column_blob(row, at);
    size_t size = (size_t)sqlite3_column_bytes(row, at);
    bool is_null = sqlite3_column_type(row, at) == SQLITE_NULL;
    return (leat_slice){data || is_null ? data : "", data ? size : 0};
}

/* A missing slice stays missing; an empty one still points somewhere. */
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
    size_t size = record->key.size + record->value.size;
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++)
        size += leat_header_value(record, header).size;
    return size;
}

leat_record leat_local_record_copy(const leat_record *record, char *bytes)
{
    LEAT_ASSERT(bytes);
    leat_record ret = *record;
    ret.key = copy_slice(record->key, &bytes);
    ret.value = copy_slice(record->value, &bytes);
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++)
        *leat_header_field(&ret, header) = copy_slice(leat_header_value(record, header), &bytes);
    return ret;
}

static void take_header(leat_record *record, leat_slice name, leat_slice value)
{
    leat_slice *field = leat_header_find(record, name);
    if (!value.data || !field)
        return;
    *field = value;
    record->header_bytes += (uint32_t)(name.size + value.size);
}

/* Damaged ones are SQLite's to find; of what is read as packed, what makes sense counts. */
static void take_others(leat_record *record, leat_slice packed)
{
    leat_slice name, value;
    while (leat_headers_take(&packed, &name, &value) > 0)
        take_header(record, name, value);
}

leat_local_record *leat_local_record_read(sqlite3_stmt *row, uint32_t partition)
{
    LEAT_ASSERT(partition < LEAT_LOCAL_PARTITIONS_MAX);
    leat_record found = {.partition = partition,
                         .offset = sqlite3_column_int64(row, 0),
                         .accepted_ms = sqlite3_column_int64(row, 1),
                         .epoch = -1,
                         .key = column(row, KEY),
                         .value = column(row, VALUE),
                         .value_is_null = sqlite3_column_type(row, VALUE) == SQLITE_NULL};
    for (leat_header header = 0; header < first_other; header++)
        take_header(&found, leat_slice_of(leat_header_name(header)),
                    column(row, FIRST_HEADER + (int)header));
    take_others(&found, column(row, OTHER_HEADERS));
    if (sqlite3_errcode(sqlite3_db_handle(row)) == SQLITE_NOMEM)
        return NULL;
    leat_local_record *ret = malloc(sizeof *ret + leat_local_record_size(&found) + 1);
    if (ret)
        ret->record = leat_local_record_copy(&found, ret->bytes);
    return ret;
}

/* ---- headers ---- */

void leat_local_headers_pack(const leat_record *record, leat_buf *out)
{
    for (leat_header header = first_other; header < LEAT_HEADER_COUNT; header++) {
        leat_slice value = leat_header_value(record, header);
        if (value.size > 0)
            leat_headers_pack(out, leat_slice_of(leat_header_name(header)), value);
    }
}

int leat_local_headers(leat_log_reader *base, void *log_handle, leat_buf *out)
{
    LEAT_ASSERT(log_handle);
    (void)base;
    const leat_local_record *held = log_handle;
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++) {
        leat_slice value = leat_header_value(&held->record, header);
        if (value.data) /* one without a value is not in the file */
            leat_headers_pack(out, leat_slice_of(leat_header_name(header)), value);
    }
    return out->failed ? -1 : 0;
}
