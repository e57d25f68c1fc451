/*
 * start_catalog.h - the state that a process that serves starts with: source, layout and a version
 * of the tables for each shard; from the shards, or from the catalog file that the last process
 * wrote.
 */
#ifndef LEAT_DAEMON_START_CATALOG_H
#define LEAT_DAEMON_START_CATALOG_H

#include "daemon/assemble.h"

/*
 * Fills assembly->catalog and ->versions: from the shards that answer (each is checked against the
 * configuration), else from the catalog file. A shard that does not answer, or whose tables do not
 * fit, starts with the tables of one that does. With `wait`, when there is neither, it waits for a
 * shard indefinitely and logs that. Saves the file whenever a shard answered. A SQLite file that
 * was not set up for the log yet is set up as `leat init` would. 0, or -1 with a message.
 */
int leat_assembly_load_catalog(leat_assembly *assembly, bool wait,
                               leat_error *error) LEAT_MUST_CHECK;

/* The configured routes over these tables, which it takes, also when it fails (NULL). Does not
 * block. */
leat_schema_version *leat_assembly_build_version(const leat_assembly *assembly, leat_table *tables,
                                                 uint32_t count, leat_error *error);
/* Writes the catalog file with these tables. 0, or -1 with a message. */
int leat_assembly_save_catalog(const leat_assembly *assembly, const leat_schema_version *version,
                               leat_error *error) LEAT_MUST_CHECK;

#endif
