/* commands.h - what `leat` can do; one small file a command. */
#ifndef LEAT_COMMANDS_H
#define LEAT_COMMANDS_H

#include "base/base.h"

/* Exit codes: the same for every command. */
enum { LEAT_EXIT_OK = 0, LEAT_EXIT_FAILED = 1, LEAT_EXIT_USAGE = 2, LEAT_EXIT_CHECK = 3 };

typedef struct leat_command {
    const char *name;
    const char *summary;
    const char *help;
    int (*run)(const char *config_file);
    bool needs_config;
} leat_command;

int leat_command_run(const char *config_file);
int leat_command_edge(const char *config_file);
int leat_command_apply(const char *config_file);
int leat_command_init(const char *config_file);
int leat_command_config(const char *config_file); /* prints the reference */
int leat_command_version(const char *config_file);

#endif
