/*
 * params.h - the parameters of one call in PostgreSQL's binary form, and binary results read back.
 * For the calls of the progress protocol and dead letters; rows have their own way (rows.h).
 */
#ifndef LEAT_SINK_PG_PARAMS_H
#define LEAT_SINK_PG_PARAMS_H

#include <libpq-fe.h>

#include "base/buf.h"

enum { LEAT_PG_PARAMS_MAX = 13 };

typedef struct leat_pg_params {
    leat_buf bytes;
    uint32_t count;
    const char *values[LEAT_PG_PARAMS_MAX]; /* complete after leat_pg_params_end */
    int sizes[LEAT_PG_PARAMS_MAX];
} leat_pg_params;

void leat_pg_params_begin(leat_pg_params *params);
void leat_pg_params_int4(leat_pg_params *params, int32_t value);
void leat_pg_params_int8(leat_pg_params *params, int64_t value);
void leat_pg_params_uuid(leat_pg_params *params, const uint8_t uuid[16]);
void leat_pg_params_text(leat_pg_params *params, const char *text);
void leat_pg_params_bytes(leat_pg_params *params, leat_slice bytes); /* bytea, or a text */
/* Not copied: they must live until the call is sent. */
void leat_pg_params_borrowed(leat_pg_params *params, leat_slice bytes);
void leat_pg_params_null(leat_pg_params *params);
void leat_pg_params_int2s(leat_pg_params *params, const int16_t *values, uint32_t count);
void leat_pg_params_int8s(leat_pg_params *params, const int64_t *values, uint32_t count);
void leat_pg_params_bools(leat_pg_params *params, const bool *values, uint32_t count);
/* bytea[] of pieces that follow each other in `bytes`; each ends at one of `ends`. */
void leat_pg_params_pieces(leat_pg_params *params, const char *bytes, const size_t *ends,
                           uint32_t count);
/* The head of an array of one dimension, as array_recv reads it; the elements follow. */
void leat_pg_put_array_head(leat_buf *out, uint32_t element_oid, uint32_t count);
/* Now `values` may be read. -1: out of memory. */
int leat_pg_params_end(leat_pg_params *params) LEAT_MUST_CHECK;
void leat_pg_params_free(leat_pg_params *params);

/* Each returns -1, with `ret` as it was, when the field is NULL or not of that form. */
int leat_pg_field_int4(const PGresult *result, int row, int column, int32_t *ret) LEAT_MUST_CHECK;
int leat_pg_field_int8(const PGresult *result, int row, int column, int64_t *ret) LEAT_MUST_CHECK;
int leat_pg_field_uuid(const PGresult *result, int row, int column,
                       uint8_t ret[16]) LEAT_MUST_CHECK;
/* An array of int2 or int8 without NULLs, of at most `max` elements. Returns how many. */
int leat_pg_field_ints(const PGresult *result, int row, int column, int64_t *ret,
                       uint32_t max) LEAT_MUST_CHECK;

#endif
