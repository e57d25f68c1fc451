/* with_assembly.h - the frame of every command: it reads the configuration, prints an error,
 * chooses the exit code and frees memory. */
#ifndef LEAT_CLI_WITH_ASSEMBLY_H
#define LEAT_CLI_WITH_ASSEMBLY_H

#include "cli/commands.h"
#include "daemon/assemble.h"

/* A command's own work. Returns its exit code, or -1 with a message in `error`. */
typedef int leat_assembly_user(leat_assembly *assembly, const leat_options *options,
                               leat_error *error);

/* Returns the exit code of `leat NAME`: that of `use`, LEAT_EXIT_FAILED when it returns -1, and
 * LEAT_EXIT_USAGE when the configuration is at fault. */
int leat_with_assembly(const char *name, const leat_options *options, leat_assembly_user *use);

#endif
