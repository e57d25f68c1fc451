/*
 * signals.h - what signals do to a process that serves.
 *
 * All those that would kill it by default and that tell of no fault of its own are blocked in every
 * thread, and a thread of their own waits for them: from leat_signals_take() to the very end of the
 * process one always has an owner. SIGTERM, SIGINT, SIGHUP, SIGQUIT and SIGPWR ask for an end:
 *
 *   while it     the first one                                          another one
 *   starts       ends it, exit code 0: nothing has been accepted yet    -
 *   serves       asks for a drain                                       ends it at once, exit code
 * 1 tears down   ends it at once, with the exit code that it would have had
 *
 * SIGUSR1, SIGUSR2, the timers' and the real-time ones mean nothing: a line of the log says so,
 * once. Other than SIGTERM and SIGINT a signal that was ignored or caught when the process began
 * (nohup, a profiler) stays so. What tells of a fault (SIGABRT, SIGSEGV, ...) ends it with a core.
 * All of this is the process's, as signals are: it is taken once. Any thread.
 */
#ifndef LEAT_DAEMON_SIGNALS_H
#define LEAT_DAEMON_SIGNALS_H

#include <uv.h>

#include "base/base.h"

/* From here on it starts. Before any other thread exists: they inherit what is blocked. -1: there
 * is no such thread to be had. */
int leat_signals_take(leat_error *error);

/* From here on it serves: the first signal sends `drain`, which must be there until
 * leat_signals_over(). */
void leat_signals_serve(uv_async_t *drain);

/* From here on it tears down, and `drain` is not used any more. */
void leat_signals_over(int exit_code);

#endif
