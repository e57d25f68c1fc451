/* audit.h - rows held against what their writes say; not for use outside src/sink/pg. */
#ifndef LEAT_SINK_PG_AUDIT_H
#define LEAT_SINK_PG_AUDIT_H

#include "sink/audit.h"
#include "sink/pg/blocking.h"

/* Scratch memory. */
typedef struct leat_pg_audit_rows leat_pg_audit_rows;
leat_pg_audit_rows *leat_pg_audit_rows_new(void);
void leat_pg_audit_rows_free(leat_pg_audit_rows *rows);

/* leat_shard_audit_rows, in the transaction of `pg`. */
int leat_pg_audit_compare(leat_pg_audit_rows *scratch, leat_pg *pg, const leat_route *route,
                          uint64_t columns, const leat_audit_row *rows, uint32_t count,
                          leat_audit_answer *ret, leat_error *error) LEAT_MUST_CHECK;

#endif
