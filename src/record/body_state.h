/*
 * body_state.h - the inside of parsing a body, shared by its members (body.c), those that are no
 * column (body_other.c) and their values (body_value.c). Not for use elsewhere.
 */
#ifndef LEAT_RECORD_BODY_STATE_H
#define LEAT_RECORD_BODY_STATE_H

#include "record/arena.h"
#include "record/body.h"

struct leat_body_parser {
    leat_arena arena;
    leat_block reader;
    leat_block writer;
    leat_buf array;                  /* the text of one, until it is copied into the arena */
    leat_buf other;                  /* the object of the members that are no column */
    bool only_checks;                /* nobody wants the values */
    bool borrows;                    /* the text of a body outlives its values */
    uint8_t usual[LEAT_COLUMNS_MAX]; /* a guess: the column of a body's n-th member */
    leat_slice read;                 /* a body that was read and is not parsed yet: its text, */
    yyjson_val *object;              /* and itself */
};

/* One body being read. */
typedef struct leat_body_reading {
    leat_body_parser *parser;
    const leat_route *route;
    leat_route_op op;
    const leat_value *key;
    leat_body *body;
    leat_body_error *error;
    bool has_tenant; /* the body names a tenant that has no column */
    bool is_plain;   /* its text has no backslash: each string is in it as it is, without U+0000 */
    /* Where the parser borrows, and has read this body itself: its text as it came, and the copy
     * that its values point into, byte for byte at the same places. */
    leat_slice source;
    const char *copy;
} leat_body_reading;

/* Both fill the reading's error and return LEAT_BODY_REFUSED. */
leat_body_fault leat_body_refuse(leat_body_reading *reading, leat_slice field, const char *message);
leat_body_fault leat_body_refuse_column(leat_body_reading *reading, const leat_column *column,
                                        const char *message);
leat_body_fault leat_body_out_of_memory(leat_body_error *error);

/* A value of the column that is not null. Its text lives in the parser until its reset. */
leat_body_fault leat_body_read_value(leat_body_reading *reading, const leat_column *column,
                                     yyjson_val *json, leat_value *ret) LEAT_MUST_CHECK;

/* Copies a text into the parser's memory: a json, jsonb or array value. Without data: it could not
 * be written, out of memory. */
leat_body_fault leat_body_keep_text(leat_body_reading *reading, leat_slice text,
                                    leat_value *ret) LEAT_MUST_CHECK;
/* The JSON text, minified, until the next one is written. Without data: out of memory. */
leat_slice leat_body_written(leat_body_reading *reading, yyjson_val *json);
/* Why jsonb would reject the value, or NULL. `outside`: containers that it will be put in. */
const char *leat_body_json_problem(const leat_body_reading *reading, yyjson_val *json,
                                   size_t outside);

/* A member that is no column, by the route's rule for them. */
leat_body_fault leat_body_read_other(leat_body_reading *reading, yyjson_val *name,
                                     yyjson_val *value) LEAT_MUST_CHECK;
/* After all members: those that were collected become the value of their column. */
leat_body_fault leat_body_take_collected(leat_body_reading *reading) LEAT_MUST_CHECK;
/* The text of a string, a number or a boolean; without data for anything else. */
leat_slice leat_body_scalar_text(yyjson_val *json);

/* Of a string or a number. */
static inline leat_slice leat_body_text(yyjson_val *json)
{
    return (leat_slice){unsafe_yyjson_get_str(json), unsafe_yyjson_get_len(json)};
}

#endif
