/*
 * sqlstate.h - the meaning of a PostgreSQL error for its job. Pure. The table is total: every
 * SQLSTATE of PostgreSQL 15 to 18 has a line with its reason, in sqlstate.c and in
 * docs/design/sqlstate.md.
 */
#ifndef LEAT_SINK_SQLSTATE_H
#define LEAT_SINK_SQLSTATE_H

#include "engine/batch.h"

/* Which statement was refused. Only a statement with the data of records can be refused because of
 * them: for any other, the table's bad data or drift means something else. */
typedef enum leat_sql_part {
    LEAT_SQL_ROWS,    /* writes rows, or commits them */
    LEAT_SQL_PREPARE, /* is the text of one that writes rows, without any data: it does not fit the
                         table (drift) */
    LEAT_SQL_LETTER,  /* keeps a dead letter: it is held until a person has acted (drift), then its
                         record is tried again */
    LEAT_SQL_OWN, /* claims, advances, compacts, asks: no record's data. 54 is an outage, the rest
                     is not understood */
} leat_sql_part;

/* An error as the server sent it; each field may be NULL, as in errors that libpq makes itself. */
typedef struct leat_sql_error {
    const char *sqlstate;   /* PG_DIAG_SQLSTATE */
    const char *severity;   /* PG_DIAG_SEVERITY_NONLOCALIZED. Only ERROR means that the job has
                               failed; after anything else it may have been applied or still be */
    const char *table;      /* PG_DIAG_TABLE_NAME */
    const char *constraint; /* PG_DIAG_CONSTRAINT_NAME */
    const char *function;   /* PG_DIAG_SOURCE_FUNCTION: the function of the server that reports it,
                               the same in every language. A pooler's own errors have none. It
                               separates errors raised by a trigger from the server's own */
} leat_sql_error;

leat_engine_outcome leat_sqlstate_outcome(const leat_sql_error *error, leat_sql_part part);

/* Both may be NULL. The server is about to end the connection: FATAL, or a warning where a crash or
 * an immediate stop ends all of them (57P02, 57P01). */
bool leat_sqlstate_is_last_word(const char *severity, const char *sqlstate);
/* It may be NULL or "". Another backend has crashed: the server ends all sessions and recovers,
 * under a postmaster that stays. */
bool leat_sqlstate_is_crash(const char *sqlstate);

#endif
