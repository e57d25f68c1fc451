/*
 * params.c - parameters and results of the progress protocol in PostgreSQL's binary form. Values
 * are appended to one buffer, which may move, so their addresses are filled in at the end. A field
 * that is not of the expected form is an error for the caller and never a guess: the functions on
 * the other side may be of another version.
 */
#include "sink/pg/params.h"

#include <string.h>

enum {
    OID_INT2 = 21,
    OID_INT8 = 20,
    OID_BOOL = 16,
    OID_BYTEA = 17,
    NULL_SIZE = -1,       /* of a parameter that is NULL, until the end */
    ARRAY_HEAD_SIZE = 12, /* dimensions, flags, element type: the whole of an empty array */
    ARRAY_BODY_AT = 20,   /* after length and first subscript of its one dimension */
};

/* ---- out ---- */

void leat_pg_params_begin(leat_pg_params *params)
{
    leat_buf_clear(&params->bytes);
    params->count = 0;
}

static void end_one(leat_pg_params *params, size_t from)
{
    LEAT_ASSERT(params->count < LEAT_PG_PARAMS_MAX && params->bytes.size >= from);
    params->values[params->count] = NULL;
    params->sizes[params->count++] = (int)(params->bytes.size - from);
}

void leat_pg_params_int4(leat_pg_params *params, int32_t value)
{
    size_t from = params->bytes.size;
    leat_buf_be32(&params->bytes, (uint32_t)value);
    end_one(params, from);
}

void leat_pg_params_int8(leat_pg_params *params, int64_t value)
{
    size_t from = params->bytes.size;
    leat_buf_be64(&params->bytes, (uint64_t)value);
    end_one(params, from);
}

void leat_pg_params_uuid(leat_pg_params *params, const uint8_t uuid[16])
{
    size_t from = params->bytes.size;
    leat_buf_append(&params->bytes, uuid, 16);
    end_one(params, from);
}

void leat_pg_params_text(leat_pg_params *params, const char *text)
{
    leat_pg_params_bytes(params, leat_slice_of(text));
}

void leat_pg_params_bytes(leat_pg_params *params, leat_slice bytes)
{
    size_t from = params->bytes.size;
    leat_buf_slice(&params->bytes, bytes);
    end_one(params, from);
}

void leat_pg_params_borrowed(leat_pg_params *params, leat_slice bytes)
{
    LEAT_ASSERT(params->count < LEAT_PG_PARAMS_MAX && bytes.data && bytes.size <= INT32_MAX);
    params->values[params->count] = bytes.data;
    params->sizes[params->count++] = (int)bytes.size;
}

void leat_pg_params_null(leat_pg_params *params)
{
    LEAT_ASSERT(params->count < LEAT_PG_PARAMS_MAX);
    params->values[params->count] = NULL;
    params->sizes[params->count++] = NULL_SIZE;
}

void leat_pg_put_array_head(leat_buf *out, uint32_t element_oid, uint32_t count)
{
    leat_buf_be32(out, count > 0); /* dimensions: an empty array has none */
    leat_buf_be32(out, 1);         /* may hold NULLs: array_recv ignores it */
    leat_buf_be32(out, element_oid);
    if (count == 0)
        return;
    leat_buf_be32(out, count);
    leat_buf_be32(out, 1); /* first subscript */
}

void leat_pg_params_int2s(leat_pg_params *params, const int16_t *values, uint32_t count)
{
    LEAT_ASSERT(values || count == 0);
    size_t from = params->bytes.size;
    leat_pg_put_array_head(&params->bytes, OID_INT2, count);
    for (uint32_t i = 0; i < count; i++) {
        leat_buf_be32(&params->bytes, sizeof values[i]);
        leat_buf_be16(&params->bytes, (uint16_t)values[i]);
    }
    end_one(params, from);
}

void leat_pg_params_int8s(leat_pg_params *params, const int64_t *values, uint32_t count)
{
    LEAT_ASSERT(values || count == 0);
    size_t from = params->bytes.size;
    leat_pg_put_array_head(&params->bytes, OID_INT8, count);
    for (uint32_t i = 0; i < count; i++) {
        leat_buf_be32(&params->bytes, sizeof values[i]);
        leat_buf_be64(&params->bytes, (uint64_t)values[i]);
    }
    end_one(params, from);
}

void leat_pg_params_bools(leat_pg_params *params, const bool *values, uint32_t count)
{
    LEAT_ASSERT(values || count == 0);
    size_t from = params->bytes.size;
    leat_pg_put_array_head(&params->bytes, OID_BOOL, count);
    for (uint32_t i = 0; i < count; i++) {
        leat_buf_be32(&params->bytes, 1);
        leat_buf_byte(&params->bytes, (char)values[i]);
    }
    end_one(params, from);
}

void leat_pg_params_pieces(leat_pg_params *params, const char *bytes, const size_t *ends,
                           uint32_t count)
{
    size_t from = params->bytes.size, at = 0;
    leat_pg_put_array_head(&params->bytes, OID_BYTEA, count);
    for (uint32_t i = 0; i < count; at = ends[i++]) {
        leat_buf_be32(&params->bytes, (uint32_t)(ends[i] - at));
        leat_buf_slice(&params->bytes, (leat_slice){bytes + at, ends[i] - at});
    }
    end_one(params, from);
}

int leat_pg_params_end(leat_pg_params *params)
{
    LEAT_ASSERT(params->count <= LEAT_PG_PARAMS_MAX);
    if (params->bytes.failed)
        return -1;
    const char *at = params->bytes.data;
    for (uint32_t i = 0; i < params->count; i++) {
        if (params->values[i])
            continue;
        bool is_null = params->sizes[i] == NULL_SIZE;
        params->values[i] = is_null ? NULL : at;
        params->sizes[i] = is_null ? 0 : params->sizes[i];
        at += params->sizes[i];
    }
    return 0;
}

void leat_pg_params_free(leat_pg_params *params)
{
    leat_buf_free(&params->bytes);
}

/* ---- in ---- */

static uint64_t read_be(const char *at, size_t size)
{
    LEAT_ASSERT(size <= sizeof(uint64_t));
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | (unsigned char)at[i];
    return value;
}

/* The field's bytes when it has exactly `size` of them. */
static const char *field(const PGresult *result, int row, int column, size_t size)
{
    LEAT_ASSERT(row >= 0 && column >= 0);
    if (row >= PQntuples(result) || column >= PQnfields(result) ||
        PQgetisnull(result, row, column) || (size_t)PQgetlength(result, row, column) != size)
        return NULL;
    return PQgetvalue(result, row, column);
}

int leat_pg_field_int4(const PGresult *result, int row, int column, int32_t *ret)
{
    const char *at = field(result, row, column, 4);
    if (!at)
        return -1;
    *ret = (int32_t)read_be(at, 4);
    return 0;
}

int leat_pg_field_int8(const PGresult *result, int row, int column, int64_t *ret)
{
    const char *at = field(result, row, column, 8);
    if (!at)
        return -1;
    *ret = (int64_t)read_be(at, 8);
    return 0;
}

int leat_pg_field_uuid(const PGresult *result, int row, int column, uint8_t ret[16])
{
    const char *at = field(result, row, column, 16);
    if (!at)
        return -1;
    memcpy(ret, at, 16);
    return 0;
}

static int64_t read_int(const char *at, size_t width)
{
    LEAT_ASSERT(width == 2 || width == 8);
    return width == 2 ? (int16_t)read_be(at, 2) : (int64_t)read_be(at, 8);
}

int leat_pg_field_ints(const PGresult *result, int row, int column, int64_t *ret, uint32_t max)
{
    LEAT_ASSERT(row >= 0 && column >= 0);
    if (row >= PQntuples(result) || column >= PQnfields(result) || PQgetisnull(result, row, column))
        return -1;
    const char *at = PQgetvalue(result, row, column);
    size_t size = (size_t)PQgetlength(result, row, column);
    if (size == ARRAY_HEAD_SIZE && read_be(at, 4) == 0)
        return 0;
    if (size < ARRAY_BODY_AT || read_be(at, 4) != 1)
        return -1;
    uint64_t oid = read_be(at + 8, 4);
    size_t width = oid == OID_INT2 ? 2 : 8;
    uint64_t count = read_be(at + 12, 4);
    if ((oid != OID_INT2 && oid != OID_INT8) || count > max ||
        size != ARRAY_BODY_AT + count * (4 + width))
        return -1; /* a NULL would make it shorter */
    for (uint64_t i = 0; i < count; i++)
        ret[i] = read_int(at + ARRAY_BODY_AT + i * (4 + width) + 4, width);
    return (int)count;
}
