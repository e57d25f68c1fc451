/*
 * send_source.h - what `leat send` sends: the items of a file or a pipe, one after the other. Lines
 * are items already, {"method":...,"path":...,"body":...}, or what an earlier run kept of refused
 * ones, {"status":...,"item":{...}}. Rows of CSV become items: each column is a parameter of the
 * path or a member of the body. Nothing here waits, except for a file's own disk.
 */
#ifndef LEAT_CLI_SEND_SOURCE_H
#define LEAT_CLI_SEND_SOURCE_H

#include "cli/send_schema.h"

typedef struct leat_send_source leat_send_source;

typedef struct leat_send_form {
    const char *file; /* "-": standard input */
    const char *path; /* "/apps/{app_id}/devices/{device}"; NULL: lines, not CSV */
    const char *method;
    const char *types;       /* "active:bool,score:number,tags:json"; NULL: none is named */
    const char *idempotency; /* items without a key get this and `-LINE`; NULL: none does */
    uint64_t from; /* the first line that is sent, from 1 on; a row counts where it begins */
} leat_send_form;

typedef struct leat_send_item {
    char *text; /* one line of JSON, without its end; the caller frees it */
    size_t size;
    uint64_t line;
    uint64_t row;        /* a hash of its path without query: of equal ones the order is kept */
    bool may_be_applied; /* an earlier run kept it so, and it has no idempotency key of its own */
    const char *misfit;  /* a column whose cell is not what its kind says, so the item is not to be
                            sent; the source's; NULL: none */
    leat_send_kind misfit_kind;
} leat_send_item;

typedef enum leat_send_next {
    LEAT_SEND_ITEM,
    LEAT_SEND_WAIT, /* more bytes are needed: leat_send_source_fill, when there are some */
    LEAT_SEND_END,
    LEAT_SEND_BROKEN, /* with a message that names the line */
} leat_send_next;

/* NULL: the file, the path or the types are at fault. */
leat_send_source *leat_send_source_open(const leat_send_form *form, leat_error *error);
/* Before the first item. Takes the schema, which says what the columns are that --types does not
 * name; without it they are text. */
void leat_send_source_take_schema(leat_send_source *source, leat_send_schema *schema);
void leat_send_source_free(leat_send_source *source);
/* What to poll for. */
int leat_send_source_fd(const leat_send_source *source);
/* Bytes of the file; 0: not known. */
uint64_t leat_send_source_size(const leat_send_source *source);
/* Bytes and lines that items were made of, or that were skipped. */
uint64_t leat_send_source_at(const leat_send_source *source);
uint64_t leat_send_source_line(const leat_send_source *source);
leat_send_next leat_send_source_next(leat_send_source *source, leat_send_item *ret,
                                     leat_error *error);
/* Reads once. 0, or -1 with a message. */
int leat_send_source_fill(leat_send_source *source, leat_error *error) LEAT_MUST_CHECK;

#endif
