/*
 * signals.h - what signals do to a process that serves.
 *
 * Signals that would kill it by default, and do not mean a fault of its own, are blocked in every
 * thread; a thread of their own waits for them, from leat_signals_take() to the very end of the
 * process. SIGTERM, SIGINT, SIGHUP, SIGQUIT and SIGPWR ask for an end:
 *
 *   while it is    the first one                                         another one
 *   starting       ends it, exit code 0: nothing was accepted yet        -
 *   serving        asks for a drain                                      ends it at once, code 1
 *   tearing down   ends it at once, with the exit code it would have had
 *
 * SIGHUP asks a process that has files to read again (reload.h) for that instead, while it serves,
 * and for nothing while it drains.
 *
 * SIGUSR1, SIGUSR2, those of timers and the real-time ones are ignored; each is logged once. A
 * signal other than SIGTERM and SIGINT that was ignored or caught when the process began (nohup, a
 * profiler) stays so. A signal that means a fault (SIGABRT, SIGSEGV, ...) ends the process with a
 * core. All of this is process-wide, as signals are; call it once. Any thread.
 */
#ifndef LEAT_DAEMON_SIGNALS_H
#define LEAT_DAEMON_SIGNALS_H

#include <uv.h>

#include "base/base.h"

/* Phase "starting". Before any other thread exists: they inherit what is blocked. -1: the thread
 * could not be started. */
int leat_signals_take(leat_error *error);

/* Phase "serving": the first signal sends `drain`, and SIGHUP `reload` (NULL: `drain` too). Both
 * must exist until leat_signals_over(). */
void leat_signals_serve(uv_async_t *drain, uv_async_t *reload);

/* Phase "tearing down": neither is used any longer. */
void leat_signals_over(int exit_code);

#endif
