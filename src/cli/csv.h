/*
 * csv.h - rows of a CSV file (RFC 4180), while its bytes come in pieces. Fields are separated by
 * commas, rows by LF or CRLF; a field in quotes may contain both, and a quote as two. Pure.
 *
 * Our own, because libcsv does not tell "" from a field that is empty: as PostgreSQL's COPY writes
 * it, the first is an empty text and the second is NULL.
 */
#ifndef LEAT_CLI_CSV_H
#define LEAT_CLI_CSV_H

#include "base/buf.h"

enum { LEAT_CSV_FIELDS_MAX = 256 };

typedef struct leat_csv_field {
    size_t at, size; /* within the row's text */
    bool is_quoted;
} leat_csv_field;

/* Zeroed at first; used again and again. */
typedef struct leat_csv_row {
    leat_buf text;
    uint32_t count; /* 0: an empty line */
    leat_csv_field fields[LEAT_CSV_FIELDS_MAX];
} leat_csv_row;

leat_slice leat_csv_text(const leat_csv_row *row, uint32_t field);
void leat_csv_free(leat_csv_row *row);

/* Reads the row at the beginning of `bytes`; `is_last`: no more will come. 1: a row, of `ret_used`
 * bytes with its end; 0: it is not whole (`is_last`: there is none); -1: it breaks the rules. */
int leat_csv_read(leat_slice bytes, bool is_last, leat_csv_row *ret, size_t *ret_used,
                  leat_error *error) LEAT_MUST_CHECK;

#endif
