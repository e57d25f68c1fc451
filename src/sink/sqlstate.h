/*
 * sqlstate.h - what an error of PostgreSQL means for the job it came back for. Pure.
 */
#ifndef LEAT_SQLSTATE_H
#define LEAT_SQLSTATE_H

#include "engine/batch.h"

/*
 * `sqlstate` and `severity` as the server sent them (PG_DIAG_SQLSTATE, PG_DIAG_SEVERITY_NONLOCALIZED); either may be
 * NULL, as in errors libpq makes itself. `primary_key`: the constraint the error names is the primary key of the table
 * written, which makes 23505 a foreign insert beside us rather than a row in the way.
 *
 * Only the severity ERROR says that the job has failed; after anything else it may have been applied or still be.
 */
leat_outcome leat_sqlstate_outcome(const char *sqlstate, const char *severity, bool primary_key);

#endif
