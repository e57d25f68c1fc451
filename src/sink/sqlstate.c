/*
 * The meaning of an error decides the fate of a record, so every SQLSTATE of PostgreSQL 15 to 18
 * has a line in one table, and the first line that fits decides. The code alone is not enough: a
 * trigger can raise any code, and a pooler sends codes of its own, so conditions also check the
 * server's function that reported it. An error that is not known to be the row's fault is never
 * blamed on the row.
 */
#include "sink/sqlstate.h"

#include <string.h>

/* The other condition for a line to fit. */
typedef enum condition {
    ALWAYS,
    BY,     /* `function` begins with this */
    NO_ONE, /* no function of the server reports it: a pooler, or a connection about to go */
    BARE,   /* the error names a table and no constraint */
    OWN,    /* one of leat's own statements is refused */
    NOTING, /* so is the one that notes idempotency keys */
} condition;

typedef struct rule {
    const char *prefix;
    condition condition;
    const char *function;
    leat_engine_outcome outcome;
} rule;

/*
 * For a statement that writes rows. The first line that fits decides, so exceptions come before
 * their class. docs/design/sqlstate.md has the same lines with explanations; a test compares them.
 */
static const rule rules[] = {
    /* leat's own functions. */
    {"LT001", OWN, NULL, LEAT_ENGINE_FENCED},
    {"LT002", OWN, NULL, LEAT_ENGINE_WENT_BACK},
    {"LT009", OWN, NULL, LEAT_ENGINE_CHUNK_GONE},
    {"LT007", OWN, NULL, LEAT_ENGINE_KEY_TURNED},
    {"LT010", OWN, NULL, LEAT_ENGINE_REPEATED},
    {"LT012", OWN, NULL, LEAT_ENGINE_REPEATED},
    {"LT011", OWN, NULL, LEAT_ENGINE_FENCED},
    {"LT006", ALWAYS, NULL, LEAT_ENGINE_DRIFT},   /* the table has BEFORE triggers that leat has not
                                                     read yet */
    {"LT008", ALWAYS, NULL, LEAT_ENGINE_NOT_YET}, /* a trigger dropped a row; or another session has
                                                     just written it, which passes */
    {"23505", NOTING, NULL, LEAT_ENGINE_CONTENTION}, /* a write that goes the other way has just
                                                        noted the same key: the next try knows it */
    {"LT", OWN, NULL, LEAT_ENGINE_NOT_UNDERSTOOD},   /* isolation, `leat init` has not been run: of
                                                        the whole shard */
    {"LT", ALWAYS, NULL, LEAT_ENGINE_RECORD_ERROR},  /* a trigger has raised it */

    /* Prepare again. */
    {"26000", ALWAYS, NULL, LEAT_ENGINE_CONTENTION},                /* the statement is not there */
    {"42P05", ALWAYS, NULL, LEAT_ENGINE_CONTENTION},                /* another has its name */
    {"0A000", BY, "RevalidateCachedQuery", LEAT_ENGINE_CONTENTION}, /* its plan has gone stale */

    /* About a connection. About leat's connection, they leave the outcome of the transaction
     * unknown. But an ERROR of the server itself is about a connection that a function opened
     * (dblink, postgres_fdw): the transaction is undone, and that table has to wait. */
    {"08", NO_ONE, NULL, LEAT_ENGINE_UNKNOWN},
    {"57P", NO_ONE, NULL, LEAT_ENGINE_UNKNOWN},
    {"40003", NO_ONE, NULL, LEAT_ENGINE_UNKNOWN},
    {"08", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"57P", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"40003", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"HV00N", ALWAYS, NULL, LEAT_ENGINE_DRIFT},     /* a foreign table, likewise */
    {"HV", ALWAYS, NULL, LEAT_ENGINE_RECORD_ERROR}, /* any other error of a foreign data wrapper */

    /* Limits. Those of one statement are avoided by smaller batches; those of a value are bad data;
     * the others are outages. */
    {"53200", BY, "LockAcquire", LEAT_ENGINE_CONTENTION}, /* max_locks_per_transaction */
    {"53400", ALWAYS, NULL, LEAT_ENGINE_CONTENTION},      /* temp_file_limit */
    {"53", ALWAYS, NULL, LEAT_ENGINE_OUTAGE},
    {"54000", BY, "GetNewTransactionId", LEAT_ENGINE_OUTAGE}, /* the stop limit of transaction ids:
                                                                 nothing can be written */
    /* that of row locks shared by several */
    {"54000", BY, "GetNewMultiXactId", LEAT_ENGINE_OUTAGE},
    {"54", ALWAYS, NULL, LEAT_ENGINE_BAD_DATA}, /* a value too long for an index, nested too deep,
                                                   ... */

    /* The server is unwell, or does not let anybody in. */
    {"58P01", ALWAYS, NULL, LEAT_ENGINE_DRIFT}, /* a library or data file of this table is missing:
                                                   other tables go on */
    {"58", ALWAYS, NULL, LEAT_ENGINE_OUTAGE},
    {"F0", ALWAYS, NULL, LEAT_ENGINE_OUTAGE},
    {"28", ALWAYS, NULL, LEAT_ENGINE_OUTAGE},
    {"3D", ALWAYS, NULL, LEAT_ENGINE_OUTAGE},
    {"25006", ALWAYS, NULL, LEAT_ENGINE_OUTAGE}, /* read-only: a primary that was demoted */
    /* a session left in a transaction that is not ours */
    {"25P", ALWAYS, NULL, LEAT_ENGINE_OUTAGE},

    /* Another session is in the way. */
    {"57014", ALWAYS, NULL, LEAT_ENGINE_CONTENTION}, /* statement_timeout */
    {"57", ALWAYS, NULL, LEAT_ENGINE_OUTAGE},        /* an operator intervenes */
    {"55P03", ALWAYS, NULL, LEAT_ENGINE_CONTENTION}, /* lock_timeout */
    {"40", ALWAYS, NULL, LEAT_ENGINE_CONTENTION},
    {"72", BY, "TestForOldSnapshot", LEAT_ENGINE_CONTENTION}, /* snapshot too old */
    {"72", ALWAYS, NULL, LEAT_ENGINE_RECORD_ERROR},

    /* Constraints. */
    {"23503", ALWAYS, NULL, LEAT_ENGINE_NOT_YET}, /* a parent may be on its way, a child may go */
    {"23001", ALWAYS, NULL, LEAT_ENGINE_NOT_YET}, /* ON DELETE RESTRICT from PostgreSQL 18 on; 23503
                                                     before */
    {"23505", ALWAYS, NULL, LEAT_ENGINE_NOT_YET}, /* the row in the way may go */
    {"23P01", ALWAYS, NULL, LEAT_ENGINE_NOT_YET}, /* so with an exclusion constraint */
    {"23514", BY, "ExecPartitionCheck", LEAT_ENGINE_NOT_YET}, /* a partition is being attached
                                                          beside the default one, or the route's
                                                          table is one itself */
    {"23514", BY, "exec_stmt_raise", LEAT_ENGINE_BAD_DATA},   /* a trigger's own check */
    {"23514", BARE, NULL, LEAT_ENGINE_DRIFT},                 /* no partition for the row */
    {"23", ALWAYS, NULL, LEAT_ENGINE_BAD_DATA},
    {"44", ALWAYS, NULL, LEAT_ENGINE_BAD_DATA}, /* WITH CHECK OPTION of a view */

    /* Data. */
    {"2200H", ALWAYS, NULL, LEAT_ENGINE_DRIFT}, /* a sequence in a default has reached its end */
    {"22", ALWAYS, NULL, LEAT_ENGINE_BAD_DATA},
    /* \u00fc in JSON, and a database in SQL_ASCII */
    {"0A000", BY, "pg_unicode_to_server", LEAT_ENGINE_BAD_DATA},
    {"10", ALWAYS, NULL, LEAT_ENGINE_BAD_DATA},    /* XQuery */
    {"20", ALWAYS, NULL, LEAT_ENGINE_BAD_DATA},    /* CASE without a branch for the value */
    {"21", ALWAYS, NULL, LEAT_ENGINE_BAD_DATA},    /* a subquery gave more than one row */
    {"P0", ALWAYS, NULL, LEAT_ENGINE_BAD_DATA},    /* a trigger raised it: RAISE, STRICT, ASSERT */
    {"38000", ALWAYS, NULL, LEAT_ENGINE_BAD_DATA}, /* a trigger in Python, Perl or Tcl raised it */
    {"09", ALWAYS, NULL, LEAT_ENGINE_BAD_DATA},    /* the standard's word for it */

    /* The table, or an object that it depends on, does not fit. */
    {"42", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"0A", ALWAYS, NULL, LEAT_ENGINE_DRIFT}, /* not supported on such a table */
    {"3F", ALWAYS, NULL, LEAT_ENGINE_DRIFT}, /* a schema is missing */
    /* no replica identity, a view that takes no rows, ... */
    {"55", ALWAYS, NULL, LEAT_ENGINE_DRIFT},

    /* A trigger's function is wrong in itself. */
    {"03", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"0B", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"0F", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"0L", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"0P", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"0Z", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"24", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"25", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"27", ALWAYS, NULL, LEAT_ENGINE_DRIFT}, /* it changes the row it was called for */
    {"2B", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"2D", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"2F", ALWAYS, NULL, LEAT_ENGINE_DRIFT}, /* no RETURN */
    {"34", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"3800", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"39P", ALWAYS, NULL, LEAT_ENGINE_DRIFT},
    {"3B", ALWAYS, NULL, LEAT_ENGINE_DRIFT},

    /* A function that the server knows little about, such as one in C or Java: its error is about
     * its row. */
    {"38", ALWAYS, NULL, LEAT_ENGINE_RECORD_ERROR},
    {"39", ALWAYS, NULL, LEAT_ENGINE_RECORD_ERROR},

    /* Corrupted data: a person has to look before more is written. Other internal errors are an
       extension's, too. */
    {"XX001", ALWAYS, NULL, LEAT_ENGINE_NOT_UNDERSTOOD},
    {"XX002", ALWAYS, NULL, LEAT_ENGINE_NOT_UNDERSTOOD},
    {"XX", ALWAYS, NULL, LEAT_ENGINE_RECORD_ERROR},

    /* No code of PostgreSQL, and a function in PL/pgSQL or PL/Python raises it: the application's
       own P0001. */
    {"", BY, "exec_stmt_raise", LEAT_ENGINE_BAD_DATA},
    {"", BY, "PLy_", LEAT_ENGINE_BAD_DATA},
    {"", ALWAYS, NULL, LEAT_ENGINE_RECORD_ERROR},
};

static bool is_set(const char *field)
{
    return field && field[0] != '\0';
}

static bool begins_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool fits(const rule *line, const leat_sql_error *error, leat_sql_part part)
{
    if (!begins_with(error->sqlstate, line->prefix))
        return false;
    switch (line->condition) {
    case ALWAYS:
        return true;
    case BY:
        return is_set(error->function) && begins_with(error->function, line->function);
    case NO_ONE:
        return !is_set(error->function);
    case BARE:
        return is_set(error->table) && !is_set(error->constraint);
    case OWN:
        return part == LEAT_SQL_OWN;
    case NOTING:
        return part == LEAT_SQL_OWN && is_set(error->table) &&
               begins_with(error->table, "idempotency_");
    }
    return false;
}

static leat_engine_outcome outcome_by_rule(const leat_sql_error *error, leat_sql_part part)
{
    const rule *line = rules;
    while (!fits(line, error, part)) { /* the last one fits all */
        line++;
        LEAT_ASSERT(line < rules + sizeof rules / sizeof *rules);
    }
    return line->outcome;
}

/* RAISE in PL/pgSQL and exceptions of PL/Python can have any code: they do not mean that the server
 * is unwell or the table has changed, only that somebody's code reports this about the row. leat's
 * own functions are in PL/pgSQL too. */
static leat_engine_outcome blame_the_row(leat_engine_outcome outcome, const leat_sql_error *error)
{
    bool is_raised = is_set(error->function) && (begins_with(error->function, "exec_stmt_raise") ||
                                                 begins_with(error->function, "PLy_"));
    bool is_elsewhere = outcome == LEAT_ENGINE_OUTAGE || outcome == LEAT_ENGINE_DRIFT;
    return is_raised && is_elsewhere && !begins_with(error->sqlstate, "LT")
               ? LEAT_ENGINE_RECORD_ERROR
               : outcome;
}

/* It has no record's data, so no record is to blame. */
static leat_engine_outcome blame_nobody(leat_engine_outcome outcome, const char *sqlstate,
                                        leat_sql_part part)
{
    LEAT_ASSERT(part != LEAT_SQL_ROWS);
    if (outcome != LEAT_ENGINE_BAD_DATA && outcome != LEAT_ENGINE_NOT_YET &&
        outcome != LEAT_ENGINE_DRIFT && outcome != LEAT_ENGINE_RECORD_ERROR)
        return outcome;
    if (part != LEAT_SQL_OWN)
        return LEAT_ENGINE_DRIFT;
    return begins_with(sqlstate, "54") ? LEAT_ENGINE_OUTAGE : LEAT_ENGINE_NOT_UNDERSTOOD;
}

leat_engine_outcome leat_sqlstate_outcome(const leat_sql_error *error, leat_sql_part part)
{
    LEAT_ASSERT(part <= LEAT_SQL_OWN);
    if (!error->severity || strcmp(error->severity, "ERROR") != 0)
        return LEAT_ENGINE_UNKNOWN;
    if (!error->sqlstate || strlen(error->sqlstate) != 5)
        return LEAT_ENGINE_UNKNOWN;
    leat_engine_outcome outcome = outcome_by_rule(error, part);
    if (part == LEAT_SQL_ROWS)
        return blame_the_row(outcome, error);
    return blame_nobody(outcome, error->sqlstate, part);
}

bool leat_sqlstate_is_last_word(const char *severity, const char *sqlstate)
{
    return (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0)) ||
           (sqlstate && begins_with(sqlstate, "57P"));
}

bool leat_sqlstate_is_crash(const char *sqlstate)
{
    return sqlstate && strcmp(sqlstate, "57P02") == 0;
}
