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
/* What a cell of this kind is, for a person: "a number". */
const char *leat_send_kind_words(leat_send_kind kind);
/* Appends a cell that is not null, as one value of JSON whatever is in it: a cell may come from
 * somebody who must not write other columns. False: it is not what its kind says, and became a
 * text, which is not to be sent, because some columns would take it. */
bool leat_send_cell_value(leat_buf *out, leat_send_kind kind, leat_slice cell) LEAT_MUST_CHECK;
/* The text of a cell for a path, not percent-encoded yet. */
void leat_send_cell_text(leat_buf *out, leat_send_kind kind, leat_slice cell);
/* Whether a text is an object or an array of JSON. */
bool leat_send_cell_is_json(leat_slice cell);

#endif
