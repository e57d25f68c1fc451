/*
 * body.h - a JSON object body against a table: names known, values of the column's type. The same
 * code answers a client at the edge (422 with field and message) and builds the batch in the
 * worker.
 */
#ifndef LEAT_RECORD_BODY_H
#define LEAT_RECORD_BODY_H

#include "record/route.h"
#include "record/value.h"

enum { LEAT_BODY_DEPTH_MAX = 32 }; /* nesting allowed in json and jsonb values */

/* Scratch memory for parsing, reused from body to body; grows to the largest body seen. One
 * thread. */
typedef struct leat_body_parser leat_body_parser;
leat_body_parser *leat_body_parser_new(void); /* NULL: out of memory */
void leat_body_parser_free(leat_body_parser *parser);
/* Forgets the texts of earlier bodies. Between two resets, values of any number of bodies stay
 * valid. */
void leat_body_parser_reset(leat_body_parser *parser);

/* From now on bodies are only checked: json and jsonb values that are taken have no text. */
void leat_body_parser_only_check(leat_body_parser *parser);
/* From now on `json` must live as long as the values: a jsonb value may then be the part of it that
 * the client wrote, spaces included, instead of a copy without them. One that PATCH appends stays a
 * copy, because folding takes its brackets off. */
void leat_body_parser_borrow(leat_body_parser *parser);
/* That text was read already: in situ, its numbers raw, as this value. Both stay until the next
 * reset, and its texts as long as the values of the body. The next body, if it is of the same
 * `json`, is not read again. */
struct yyjson_val;
void leat_body_parser_offer(leat_body_parser *parser, leat_slice json, struct yyjson_val *value);

typedef enum leat_body_fault {
    LEAT_BODY_OK,
    LEAT_BODY_SYNTAX,  /* not JSON (invalid UTF-8 and lone surrogates too), or not an object: HTTP
                          400 */
    LEAT_BODY_REFUSED, /* a name or value that the table does not take: HTTP 422 */
    LEAT_BODY_MEMORY,  /* out of memory: HTTP 503 */
} leat_body_fault;

typedef struct leat_body {
    uint64_t present; /* bit i: column i is named (a NULL counts) */
    /* by column index; only those in `present` mean anything */
    leat_value values[LEAT_COLUMNS_MAX];
} leat_body;

typedef struct leat_body_error {
    char field[LEAT_NAME_MAX + 1]; /* "" when it does not concern one field */
    char message[256];
} leat_body_error;

/*
 * Parses `json` for an operation on the route's table. `key`: the key's values as in leat_key. An
 * empty body is an empty object. A DELETE has no body: one that it carries is not read.
 * Refused: a column that is not there, is generated, or is named twice; null in a NOT NULL column
 * (whatever its operation); a value that is not of the type; a string with U+0000 (json, jsonb:
 * anywhere inside); json and jsonb nested deeper than LEAT_BODY_DEPTH_MAX containers; numbers that
 * do not fit (integers with a fraction or an exponent; numeric, and numbers inside json and jsonb,
 * beyond what PostgreSQL can hold); NaN and the infinities where PATCH adds; PUT: a NOT NULL column
 * without default that is not named, unless PUT merges; a key column, or a tenant that leads, that
 * differs from `key`. One that agrees is dropped from `present`; but a tenant that leads and has a
 * column is always present, with the key's value. Members that are no column may be dropped or
 * collected (route->other): these then become an object, the value of the column that collects, as
 * if the body had named it; naming it beside them is refused. int and numeric take a number literal
 * or a string; float4 and float8 a number or the strings "NaN", "Infinity", "-Infinity"; date,
 * time, timestamp, timestamptz, uuid, bytea and text a string; bool true or false; json and jsonb
 * anything but null, which is SQL NULL (for `append` it is the one element that is appended); an
 * array a JSON array (array_text.h) or a string with its text form; any other type a string, a
 * number or a boolean as its text form. `json` is not needed afterwards, unless the parser borrows:
 * texts in the values live in the parser until its reset, those of the key where `key` has them. On
 * a fault `ret` means nothing and `error` is filled. Steady state: no malloc.
 */
leat_body_fault leat_body_parse(leat_body_parser *parser, const leat_route *route, leat_route_op op,
                                leat_slice json, const leat_value *key, leat_body *ret,
                                leat_body_error *error) LEAT_MUST_CHECK;

/* The tenant that the body names, for a route that has it there: the text of a string, a number or
 * a boolean, not checked any further; it lives in the parser until its reset. The parsed body is
 * kept for the next leat_body_parse, if that is of the same `json`. */
leat_body_fault leat_body_tenant(leat_body_parser *parser, const leat_route *route, leat_slice json,
                                 leat_slice *ret, leat_body_error *error) LEAT_MUST_CHECK;

#endif
