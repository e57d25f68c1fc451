/*
 * sql.h - the statements of one route on a SQLite file, as text. Pure. Columns are those that leat may write, in the
 * order of the table.
 */
#ifndef LEAT_SINK_SQLITE_SQL_H
#define LEAT_SINK_SQLITE_SQL_H

#include "record/route.h"

typedef enum leat_lite_statement {
    LEAT_LITE_SELECT,   /* parameters: the key in primary-key order; one column for each other column */
    LEAT_LITE_DEFAULTS, /* none; likewise, what each starts from */
    LEAT_LITE_UPSERT,   /* the key, then the other columns; writes no row that would stay as it is */
    LEAT_LITE_DELETE,   /* the key */
    LEAT_LITE_IS_THERE, /* the key, then the other columns; a row where the table has just this one */
    LEAT_LITE_STATEMENT_COUNT,
} leat_lite_statement;

/* Is this one of the "other columns"? */
bool leat_lite_is_written(const leat_column *column);
void leat_lite_sql(leat_lite_statement which, const leat_table *table, leat_buf *out);

#endif
