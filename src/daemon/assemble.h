/*
 * assemble.h - everything that a configuration file leads to: the settings of the log, its
 * identity, the shards' addresses, source and layout, tables and routes. This is the state;
 * log_identity.h (the log), shard_tables.h (the databases) and start_catalog.h (the start of a
 * process that serves) read and check its parts.
 */
#ifndef LEAT_DAEMON_ASSEMBLE_H
#define LEAT_DAEMON_ASSEMBLE_H

#include "auth/auth.h"
#include "config/config.h"
#include "http/http.h"
#include "log/log.h"
#include "record/catalog.h"
#include "record/schema_versions.h"
#include "sink/shard.h"

enum {
    LEAT_START_BROKER_MS = 5000, /* time limit of a question to the log */
    LEAT_START_WAIT_S = 2,       /* between two attempts, where it waits */
};

typedef struct leat_assembly {
    leat_config config;
    leat_log_config log;
    leat_log_property *properties;
    leat_log_identity identity; /* of a topic that has grown: with the number of partitions that it
                                   was set up with */
    uint32_t found_partitions;  /* as many as the topic has */
    leat_catalog catalog;       /* its tables: those of the file, when it was needed */
    char *catalog_file;         /* data_dir/TOPIC.catalog.json */
    leat_schema_version *versions[LEAT_SHARDS_MAX]; /* by configured shard: the version at start of
                                                       a process that serves. The function that
                                                       takes one sets it to NULL */
    int64_t catalog_read_us[LEAT_SHARDS_MAX]; /* when its read began; 0: it comes from another shard
                                                 or the file */
} leat_assembly;

/* Functions that return an int return 0, or -1 with a message, unless they say more.
 * leat_assembly_fini works after any of them. One thread, unless a function says more. */

/* Reads the configuration, makes data_dir, sets the level of diagnostics. -1: the configuration is
 * at fault. */
int leat_assembly_load_config(leat_assembly *assembly, const char *file,
                              leat_error *error) LEAT_MUST_CHECK;
/* Can every shard's address be used at all? Asks nobody. */
int leat_assembly_check_addresses(const leat_config *config, leat_error *error) LEAT_MUST_CHECK;

/* Who may write; its texts are borrowed. False: nothing is configured, everybody may. */
bool leat_assembly_auth(const leat_config *config, leat_auth_config *ret);

/* The edge's certificate, zeroed where it speaks in cleartext; its texts are borrowed. The files
 * are looked at: 0, and when the certificate ends (0: there is none), or -1, and `error` names the
 * setting of the bad one. */
int leat_assembly_tls(const leat_config *config, leat_http_tls_config *ret, int64_t *ret_expires_s,
                      leat_error *error) LEAT_MUST_CHECK;

/* Where a configured shard is. Borrowed. */
leat_shard_address leat_assembly_address(const leat_config_shard *shard);
/* The configured names. Borrowed. */
void leat_assembly_shard_names(const leat_assembly *assembly, const char *ret[LEAT_SHARDS_MAX]);

void leat_assembly_fini(leat_assembly *assembly);

#endif
