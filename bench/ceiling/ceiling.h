/*
 * ceiling.h - the parts of leat-ceiling: batches made beforehand (batches.c), what a query makes of
 * their parameters (parameters.c), connections that write them by several statements in turn
 * (turns.c), and the command line (main.c).
 */
#ifndef LEAT_BENCH_CEILING_H
#define LEAT_BENCH_CEILING_H

#include "load/workload.h"
#include "record/catalog.h"
#include "sink/pg/rows.h"
#include "sink/pg/shapes.h"

enum { CONNECTIONS_MAX = 64, STATEMENTS_MAX = 8, FORMS_MAX = 8 };

/* A batch's statements with their parameters, copied out of the builder. */
typedef struct frozen_statement {
    int shape;
    int count;
    char *memory;
    const char *values[LEAT_STATEMENT_PARAMS_MAX];
    int sizes[LEAT_STATEMENT_PARAMS_MAX];
} frozen_statement;

typedef struct frozen_batch {
    uint32_t count;
    frozen_statement statements[STATEMENTS_MAX];
    frozen_statement *of_form[FORMS_MAX]; /* NULL: the form takes leat's parameters */
} frozen_batch;

/* A way to write the rows: leat's statements, or one that takes the same rows. */
typedef struct statement_form {
    const char *name;
    char *sql;        /* NULL: leat's own */
    char *parameters; /* a query of leat's parameters, whose one row has the form's; or NULL */
    bool is_leats;    /* it is, or is made of it: it is planned by leat.plan_rows, as leat's are */
} statement_form;

typedef struct ceiling {
    const char *dsn;
    const char *settings;
    uint32_t connections, batch, batches;
    double seconds;
    bool fill;
    uint32_t form_count; /* the first is leat's own */
    statement_form forms[FORMS_MAX];
    load_options load;
    leat_catalog catalog;
    leat_routes *routes;
    leat_shapes *shapes;
    frozen_batch *frozen;
} ceiling;

_Noreturn void ceiling_die(const char *what, const char *why);

/* Makes all batches; connection i has each one whose number is i modulo the connections. */
void ceiling_freeze(ceiling *c);
/* Makes the parameters of the forms that have a query for them, by one connection. */
void ceiling_make_parameters(ceiling *c);
/* Writes every batch once, or all of them again and again for the time that was asked for. Prints
 * the figures. */
void ceiling_run(ceiling *c);

#endif
