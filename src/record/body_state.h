/*
 * body_state.h - the inside of parsing a body, shared by its members (body.c) and their values
 * (body_value.c). Not for use elsewhere.
 */
#ifndef LEAT_RECORD_BODY_STATE_H
#define LEAT_RECORD_BODY_STATE_H

#include "record/arena.h"
#include "record/body.h"

struct leat_body_parser {
    leat_arena arena;
    leat_block reader;
    leat_block writer;
    leat_buf array; /* the text of one, until it is copied into the arena */
};

/* One body being read. */
typedef struct leat_body_reading {
    leat_body_parser *parser;
    const leat_route *route;
    leat_route_op op;
    const leat_value *key;
    leat_body *body;
    leat_body_error *error;
} leat_body_reading;

/* Both fill the reading's error and return LEAT_BODY_REFUSED. */
leat_body_fault leat_body_refuse(leat_body_reading *reading, leat_slice field, const char *message);
leat_body_fault leat_body_refuse_column(leat_body_reading *reading, const leat_column *column,
                                        const char *message);
leat_body_fault leat_body_out_of_memory(leat_body_error *error);

/* A value of the column that is not null. Its text lives in the parser until its reset. */
leat_body_fault leat_body_read_value(leat_body_reading *reading, const leat_column *column,
                                     yyjson_val *json, leat_value *ret) LEAT_MUST_CHECK;

/* Of a string or a number. */
static inline leat_slice leat_body_text(yyjson_val *json)
{
    return (leat_slice){unsafe_yyjson_get_str(json), unsafe_yyjson_get_len(json)};
}

#endif
