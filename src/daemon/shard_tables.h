/*
 * shard_tables.h - the databases behind the shards: is each shard's a separate one, and which
 * tables does it have. Blocking. Every function that can fail returns 0, or -1 with a message.
 */
#ifndef LEAT_DAEMON_SHARD_TABLES_H
#define LEAT_DAEMON_SHARD_TABLES_H

#include "daemon/assemble.h"

/* Has each shard a database of its own, and the one that was set up for it? Each database
 * identifies itself; one that does not answer is an error with `all`, else it is left out. */
int leat_assembly_check_databases(const leat_assembly *assembly, bool all,
                                  leat_error *error) LEAT_MUST_CHECK;

/* The configured tables as one database has them now; owned by the caller. 1 instead of -1: one is
 * UNLOGGED, and must not be written to. Any thread, also several at once. */
int leat_assembly_read_tables(const leat_assembly *assembly, leat_shard_address at,
                              leat_table **ret_tables, uint32_t *ret_count,
                              leat_error *error) LEAT_MUST_CHECK;
/* The tables of the first shard; all others must have the same. */
int leat_assembly_read_common_tables(const leat_assembly *assembly, leat_table **ret_tables,
                                     uint32_t *ret_count, leat_error *error) LEAT_MUST_CHECK;
/* Are the tables of one shard like those of another? -1: `error` says which one is not, and how. */
int leat_assembly_compare_tables(const leat_assembly *assembly, const char *shard,
                                 const leat_table *tables, const char *first_shard,
                                 const leat_table *first, uint32_t count,
                                 leat_error *error) LEAT_MUST_CHECK;
/* Puts file, line and setting of the first route to that table before the message; -1. */
int leat_assembly_blame_table(const leat_assembly *assembly, const char *label, leat_error *error);

#endif
