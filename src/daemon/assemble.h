/*
 * assemble.h - from a configuration file to everything a command needs: the log's identity, tables,
 * routes, layout.
 */
#ifndef LEAT_DAEMON_ASSEMBLE_H
#define LEAT_DAEMON_ASSEMBLE_H

#include "config/config.h"
#include "log/log.h"
#include "record/schema_versions.h"
#include "record/catalog.h"
#include "sink/shard.h"

typedef struct leat_assembly {
    leat_config config;
    leat_log_config log;
    leat_log_property *properties;
    leat_log_identity identity; /* of a topic that has grown: with the number of partitions that it
                                   was set up with */
    uint32_t found_partitions;  /* as many as the topic has */
    leat_catalog catalog;       /* its tables: those of the file, when it was needed */
    char *catalog_file;         /* data_dir/TOPIC.catalog.json */
    leat_schema_version *versions[LEAT_SHARDS_MAX]; /* by configured shard: what a serving process
                                                      starts with. Who takes one leaves NULL */
    int64_t catalog_read_us[LEAT_SHARDS_MAX];       /* when the look that gave it began; 0: it is
                                                       another's, or the file's */
} leat_assembly;

/* Every function returns 0 or -1 with a message; leat_assembly_fini works on whatever was
 * reached. */

/* Reads the configuration, makes data_dir, sets the level of diagnostics. -1: the configuration is
 * at fault. */
int leat_assembly_load_config(leat_assembly *assembly, const char *file,
                              leat_error *error) LEAT_MUST_CHECK;

/* Is every shard's address one that can be used at all? Asks nobody. */
int leat_assembly_check_addresses(const leat_config *config, leat_error *error) LEAT_MUST_CHECK;

/* Has each shard a database of its own, and the one that was set up for it? By what the databases
 * say of themselves; one that does not answer is an error when `all` are wanted, else left out. */
int leat_assembly_check_databases(const leat_assembly *assembly, bool all,
                                  leat_error *error) LEAT_MUST_CHECK;
/* The configured names. */
void leat_assembly_shard_names(const leat_assembly *assembly, const char *ret[LEAT_SHARDS_MAX]);

/* The log's identity; waits for the broker for ever (saying so) when `wait`, else tries once (1: it
 * does not answer). A topic that does not exist is an error that names `leat init`, and the
 * built-in log's file one that names `leat run`. */
int leat_assembly_identify(leat_assembly *assembly, bool wait, leat_error *error) LEAT_MUST_CHECK;
/* Of a topic that does not exist: -1 and what became of it when a shard that answers was set up for
 * it. */
int leat_assembly_check_not_deleted(const leat_assembly *assembly,
                                    leat_error *error) LEAT_MUST_CHECK;

/* The log that was set up, as the catalog has it. */
leat_log_identity leat_assembly_stored_identity(const leat_assembly *assembly);

/* A log with another number of partitions than the configuration says (when it does) is not the one
 * that was meant. */
int leat_assembly_check_partitions(const leat_assembly *assembly,
                                   leat_error *error) LEAT_MUST_CHECK;

/* Behind leat_log_identify: of a topic that got more partitions since it was set up, as the catalog
 * file or else a shard knows, those that it was set up with go on; nothing is written to the
 * others, nor read. */
void leat_assembly_limit_partitions(leat_assembly *assembly);

/* A topic whose old records may be compacted away cannot carry PATCH: -1. 1: the brokers do not
 * tell, `error` says why. */
int leat_assembly_check_compaction(const leat_assembly *assembly,
                                   leat_error *error) LEAT_MUST_CHECK;

/* The source as this configuration and log describe it, and an even layout. */
int leat_assembly_running_source(const leat_assembly *assembly, leat_source *ret_source,
                                 leat_layout *ret_layout, leat_error *error) LEAT_MUST_CHECK;

/* The configured tables as one database has them now. Blocking; any thread, also several at
 * once. */
int leat_assembly_read_tables(const leat_assembly *assembly, leat_shard_address at,
                              leat_table **ret_tables, uint32_t *ret_count,
                              leat_error *error) LEAT_MUST_CHECK;
/* Are the tables of one shard like those of another? -1: `error` says which is not, and in what. */
int leat_assembly_compare_tables(const leat_assembly *assembly, const char *shard,
                                 const leat_table *tables, const char *first_shard,
                                 const leat_table *first, uint32_t count,
                                 leat_error *error) LEAT_MUST_CHECK;
/* Puts file, line and setting of the first route to that table before the message; -1. */
int leat_assembly_blame_table(const leat_assembly *assembly, const char *label, leat_error *error);
/* The same of all shards, which must be alike. */
int leat_assembly_read_common_tables(const leat_assembly *assembly, leat_table **ret_tables,
                                     uint32_t *ret_count, leat_error *error) LEAT_MUST_CHECK;

/* The configured routes over these tables, which it takes, also when it fails (NULL). */
leat_schema_version *leat_assembly_build_version(const leat_assembly *assembly, leat_table *tables,
                                                 uint32_t count, leat_error *error);

/* Writes the catalog file with these tables. */
int leat_assembly_save_catalog(const leat_assembly *assembly, const leat_schema_version *version,
                               leat_error *error) LEAT_MUST_CHECK;

/*
 * Source, layout and a version for each shard, for a process that serves: from the shards that
 * answer (each is checked against the configuration), else from the catalog file. A shard that does
 * not answer, or whose tables do not fit, starts with the tables of one that does. With `wait`,
 * when there is neither, it waits for a shard for ever, saying so. Saves the file whenever a shard
 * answered. A SQLite file that knows nothing of the log yet is set up as `leat init` would.
 */
int leat_assembly_load_catalog(leat_assembly *assembly, bool wait,
                               leat_error *error) LEAT_MUST_CHECK;

/* Where a configured shard is. */
leat_shard_address leat_assembly_address(const leat_config_shard *shard);
/* The configured shard of that name; NULL when there is none. */
const leat_config_shard *leat_assembly_find_shard(const leat_assembly *assembly, const char *name);

void leat_assembly_fini(leat_assembly *assembly);

#endif
