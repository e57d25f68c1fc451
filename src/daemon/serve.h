/*
 * serve.h - the process that serves: an edge, workers, or both, with the admin listener, from its
 * configuration file until a signal drains it or it cannot go on.
 */
#ifndef LEAT_DAEMON_SERVE_H
#define LEAT_DAEMON_SERVE_H

#include "base/base.h"

/* Runs in the calling thread, which must be the process's only one; returns the exit code
 * (base/exit_code.h). `command` is the name of the command in messages. */
int leat_serve(const char *command, bool with_edge, bool with_apply, const char *config_file);

#endif
