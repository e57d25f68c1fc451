/*
 * signals.h - what SIGTERM, SIGINT and SIGHUP do to a process that serves.
 *
 * They are blocked in every thread, and a thread of their own waits for them: from leat_signals_take() to the very end of the
 * process one always has an owner, and none kills it by default.
 *
 *   while it     the first one                                          another one
 *   starts       ends it, exit code 0: nothing has been accepted yet    -
 *   serves       asks for a drain                                       ends it at once, exit code 1
 *   tears down   ends it at once, with the exit code that it would have had
 *
 * A SIGHUP that was ignored when the process began (nohup) stays ignored. All of this is the process's, as signals are: it is taken
 * once. Any thread.
 */
#ifndef LEAT_SIGNALS_H
#define LEAT_SIGNALS_H

#include <uv.h>

#include "base/base.h"

/* From here on it starts. Before any other thread exists: they inherit what is blocked. -1: there is no such thread to be had. */
int leat_signals_take(leat_error *error);

/* From here on it serves: the first signal sends `drain`, which must be there until leat_signals_over(). */
void leat_signals_serve(uv_async_t *drain);

/* From here on it tears down, and `drain` is not used any more. */
void leat_signals_over(int exit_code);

#endif
