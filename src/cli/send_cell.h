/*
 * send_cell.h - the cells of a CSV file as values of JSON. PostgreSQL writes `2026-01-02
 * 03:04:05+00`, `t` and `{"a":1}`; the edge takes RFC 3339, true and an object. Pure.
 */
#ifndef LEAT_CLI_SEND_CELL_H
#define LEAT_CLI_SEND_CELL_H

#include "base/buf.h"

typedef enum leat_send_kind {
    LEAT_SEND_TEXT,
    LEAT_SEND_NUMBER,
    LEAT_SEND_BOOL,
    LEAT_SEND_JSON,
    LEAT_SEND_TIMESTAMP,    /* PostgreSQL's ISO form, or RFC 3339 already */
    LEAT_SEND_JSON_OR_TEXT, /* JSON where the cell is some, else a text; --types has no name for it
                             */
} leat_send_kind;

/* False: no kind has this name. */
bool leat_send_kind_named(leat_slice name, leat_send_kind *ret);
/* Appends a cell that is not null. What the kind cannot be stays as it is: the edge says what is
 * wrong with it. */
void leat_send_cell_value(leat_buf *out, leat_send_kind kind, leat_slice cell);
/* The text of a cell for a path, not percent-encoded yet. */
void leat_send_cell_text(leat_buf *out, leat_send_kind kind, leat_slice cell);
/* Whether a text is an object or an array of JSON. */
bool leat_send_cell_is_json(leat_slice cell);

#endif
