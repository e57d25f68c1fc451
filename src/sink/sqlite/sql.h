/*
 * sql.h - the statements of one route on a SQLite file, as text. Pure. Columns are those that leat
 * may write, in the order of the table.
 */
#ifndef LEAT_SINK_SQLITE_SQL_H
#define LEAT_SINK_SQLITE_SQL_H

#include "record/route.h"

typedef enum leat_sqlite_statement {
    LEAT_SQLITE_SELECT,   /* parameters: the key in primary-key order; one column for each other
                             column */
    LEAT_SQLITE_DEFAULTS, /* none; likewise, the starting value of each */
    /* the key, then the other columns; does not write a row that would not change */
    LEAT_SQLITE_UPSERT,
    LEAT_SQLITE_DELETE,   /* the key */
    LEAT_SQLITE_IS_THERE, /* the key, then the other columns; a row where the table has just this
                             one */
    LEAT_SQLITE_STATEMENT_COUNT,
} leat_sqlite_statement;

/* Is this one of the "other columns"? */
bool leat_sqlite_is_written(const leat_column *column);
void leat_sqlite_sql(leat_sqlite_statement which, const leat_table *table, leat_buf *out);

#endif
