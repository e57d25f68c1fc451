/*
 * serve.c - leat run, edge and apply: the three commands differ only in the halves of the pipeline
 * that the process serves. Everything else is in daemon/serve.c, so that no half can start, drain
 * or end in a way of its own.
 */
#include "daemon/serve.h"

#include "cli/commands.h"

int leat_command_run(const leat_options *options)
{
    return leat_serve("run", true, true, options->config_file);
}

int leat_command_edge(const leat_options *options)
{
    return leat_serve("edge", true, false, options->config_file);
}

int leat_command_apply(const leat_options *options)
{
    return leat_serve("apply", false, true, options->config_file);
}
