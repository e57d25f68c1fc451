/* commands.h - the commands of `leat`, each in a file of its own, and their options. */
#ifndef LEAT_CLI_COMMANDS_H
#define LEAT_CLI_COMMANDS_H

#include "base/base.h"
#include "base/exit_code.h"

enum {
    LEAT_ADMINS_MAX = 16,  /* times that --admin is given */
    LEAT_HEADERS_MAX = 16, /* and --header */
};

/* The options of the command line. A command gets only options that it takes; those that are not
 * given are NULL, 0 or false. */
typedef struct leat_options {
    const char *config_file; /* has a default */
    const char *shard;
    const char *table;
    const char *route;
    uint32_t limit;
    uint32_t max_seconds;
    const char *tenant;
    const char *key;
    const char *duration; /* --for */
    const char *keep;
    const char *reason;
    const char *scopes;
    const char *url;
    const char *token;
    const char *ca;
    const char *cert;
    const char *path;
    const char *method;
    const char *types;
    const char *refused;
    const char *from;
    const char *batch;
    const char *share;
    const char *sample;
    const char *report;
    const char *to;
    const char *partition;
    const char *since;
    const char *until;
    const char *leave_out;
    const char *memory;
    const char *pace;
    /* `leat plan` */
    const char *writes;
    const char *spike;
    const char *spike_for;
    const char *lag;
    const char *outage;
    const char *shards;
    const char *partitions;
    const char *connections;
    const char *tenants;
    const char *tenant_skew;
    const char *keys;
    const char *key_skew;
    const char *fixed_us;
    const char *row_us;
    const char *serial;
    const char *reader_us;
    const char *record_bytes;
    bool measure;
    bool adopted;
    bool accept_removed;
    bool repeat_unknown;
    const char *idempotency; /* `leat send`: the keys of its items begin with it; NULL: none */
    bool hold;
    bool json;
    bool held;
    bool lines;
    bool once;
    bool quick;
    const char *admin[LEAT_ADMINS_MAX];
    uint32_t admin_count;
    const char *header[LEAT_HEADERS_MAX]; /* "NAME: VALUE" */
    uint32_t header_count;
    char *const *operands; /* as many as the command wants */
} leat_options;

typedef struct leat_command {
    const char *name;  /* one word, or two with a space between */
    const char *takes; /* its options' letters, as in main.c's table */
    const char *usage; /* its arguments, for the usage line */
    uint32_t operand_count;
    const char *summary;
    const char *help;
    int (*run)(const leat_options *options);
} leat_command;

/* command_table.c */
extern const leat_command leat_commands[];
extern const uint32_t leat_command_count;

int leat_command_run(const leat_options *options);
int leat_command_edge(const leat_options *options);
int leat_command_apply(const leat_options *options);
int leat_command_init(const leat_options *options);
int leat_command_check(const leat_options *options);
int leat_command_lag(const leat_options *options);
int leat_command_status(const leat_options *options);
int leat_command_top(const leat_options *options);
int leat_command_dead_list(const leat_options *options);
int leat_command_dead_list_held(const leat_options *options); /* dead list --held */
int leat_command_dead_show(const leat_options *options);
int leat_command_dead_retry(const leat_options *options);
int leat_command_dead_discard(const leat_options *options);
int leat_command_control_block(const leat_options *options);
int leat_command_control_unblock(const leat_options *options);
int leat_command_control_list(const leat_options *options);
int leat_command_mode_set(const leat_options *options);
int leat_command_mode_show(const leat_options *options);
int leat_command_mode_compare(const leat_options *options);
int leat_command_token_new(const leat_options *options);
int leat_command_send(const leat_options *options);
int leat_command_compare(const leat_options *options);
int leat_command_verify(const leat_options *options);
extern const char leat_verify_help[];
int leat_command_plan(const leat_options *options);
extern const char leat_plan_usage[];
extern const char leat_plan_help[];
int leat_command_config(const leat_options *options);  /* prints the reference */
int leat_command_metrics(const leat_options *options); /* likewise, of the metrics */
int leat_command_version(const leat_options *options);

#endif
