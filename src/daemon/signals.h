/*
 * signals.h - what signals do to a process that serves.
 *
 * Signals that would kill it by default, and do not mean a fault of its own, are blocked in every
 * thread; a thread of their own waits for them, from leat_signals_take() to the very end of the
 * process. SIGTERM, SIGINT, SIGHUP, SIGQUIT and SIGPWR ask for an end:
 *
 * - while it is starting: it ends at once, exit code 0, because nothing was accepted yet;
 * - while it serves: it leaves, if that takes any time and the signal is not SIGINT, behind which a
 *   person waits; else it drains;
 * - while it leaves: it drains;
 * - while it drains: it ends at once, exit code 1;
 * - while it tears down: it ends at once, with the exit code that it would have had.
 *
 * SIGHUP never ends a process whose configuration names files that are read again (reload.h),
 * whatever part of leat it is. While it serves it asks for that; while it starts too, and they are
 * read again as soon as it serves; later it asks for nothing. Until the configuration is known a
 * SIGHUP waits.
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

/* While it is starting, once: the configuration is known. `reads_again`: it names files that are
 * read again, so SIGHUP is for them; else it asks for an end, also one that has waited. */
void leat_signals_configured(bool reads_again);

/* Phase "serving": SIGHUP sends `reload`, if it is for files, and the others send `drain`: for a
 * drain and, if it `leaves` before one, for that; leat_signals_leaving() tells which. Both must
 * exist until leat_signals_over(). */
void leat_signals_serve(uv_async_t *drain, uv_async_t *reload, bool leaves);
bool leat_signals_leaving(void);
/* The drain has begun, whatever the cause: nothing is left to be hurried by a signal. */
void leat_signals_left(void);

/* Phase "tearing down": neither is used any longer. */
void leat_signals_over(int exit_code);

#endif
