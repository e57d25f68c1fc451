/*
 * with_assembly.c - exit codes and error lines are an interface that scripts rely on, so they are
 * decided here and not in each command. A command prints what it found and returns a code; only an
 * error that ends it comes back as text. Standard output is flushed before that text is printed, so
 * that the two keep their order when both go to one file.
 */
#include "cli/with_assembly.h"

#include <stdio.h>

#include "base/diag.h"

int leat_with_assembly(const char *name, const leat_options *options, leat_assembly_user *use)
{
    leat_assembly assembly;
    leat_error error = {0};
    int code = LEAT_EXIT_USAGE;
    bool failed = leat_assembly_load_config(&assembly, options->config_file, &error) != 0;
    if (!failed) {
        code = use(&assembly, options, &error);
        failed = code < 0;
        code = failed ? LEAT_EXIT_FAILED : code;
    }
    if (failed) {
        fflush(stdout);
        leat_print_error("leat %s: %s", name, error.text);
    }
    leat_assembly_fini(&assembly);
    return code;
}
