/*
 * compare_loads.c - leat compare: runs scripts/compare of the checkout that this program was built
 * in. The comparison starts a Kafka and a PostgreSQL of its own, and what can do that is a
 * checkout's scripts and not an installed program.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "cli/commands.h"

/* The program is build/KIND/leat there. */
static int find_script(char path[PATH_MAX])
{
    static const char script[] = "/scripts/compare";
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - sizeof script);
    if (size < 0)
        return -1;
    path[size] = 0;
    for (int levels = 3; levels > 0; levels--) {
        char *slash = strrchr(path, '/');
        if (!slash)
            return -1;
        *slash = 0;
    }
    strcat(path, script);
    return access(path, X_OK);
}

int leat_command_compare(const leat_options *options)
{
    char script[PATH_MAX];
    if (find_script(script) != 0) {
        leat_print_error(
            "leat: this program is not in a checkout of leat, and compare needs its scripts: there, run "
            "scripts/compare");
        return LEAT_EXIT_FAILED;
    }
    const char *arguments[5] = {script};
    size_t count = 1;
    if (options->quick)
        arguments[count++] = "--quick";
    arguments[count++] = "--report";
    arguments[count++] = options->report ? options->report : "compare.html";
    execv(script, (char *const *)(uintptr_t)arguments);
    leat_print_error("leat: %s: %s", script, strerror(errno));
    return LEAT_EXIT_FAILED;
}
