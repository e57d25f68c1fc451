/*
 * standstill.h - a clock for time limits on others: it counts only time in which a libuv loop could
 * read its sockets. A loop stands still when its process is stopped (SIGSTOP, a paused or moved
 * virtual machine, no processor to run on) or a callback takes long. libuv then runs the timers
 * that have become due before it reads a socket (after SIGSTOP epoll_wait ends with EINTR). A limit
 * measured by uv_now would have passed although the answer has been in the socket for long.
 *
 * Each phase of a turn (the poll with its callbacks; timers and the rest) counts for as long as it
 * was meant to take, plus LEAT_STANDSTILL_MS; time beyond that does not count. After a standstill
 * the clock also waits for one more poll, so a limit is over only when the sockets have been read.
 * The clock of a loop that is always slow still runs, more slowly.
 *
 * Use: keep the moment something began by this clock, and compare with it in the timer's callback;
 * when the limit is not over by this clock, start the timer again for the rest. The loop needs a
 * timer that is always active: a poll without a timeout has no length that it was meant to take.
 *
 * Not thread-safe: for the loop's own thread.
 */
#ifndef LEAT_BASE_STANDSTILL_H
#define LEAT_BASE_STANDSTILL_H

#include <uv.h>

#include "base/base.h"

enum { LEAT_STANDSTILL_MS = 250 }; /* a phase may take this much longer than intended */

typedef struct leat_standstill {
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    const char *name;    /* of the loop, for the log */
    int64_t counted_us;  /* of the phases that are over */
    int64_t phase_us;    /* since when this one goes on, by leat_mono_us */
    int64_t budget_us;   /* at most this much of it counts */
    int64_t last_us;     /* the value returned last: it never goes back */
    bool waits_for_poll; /* a standstill was noticed after the last poll */
    int64_t warned_us;
} leat_standstill;

/* `name` outlives it. Its handles do not keep the loop alive. */
void leat_standstill_watch(leat_standstill *standstill, uv_loop_t *loop, const char *name);
/* The memory has to stay until the loop has run the closes. */
void leat_standstill_close(leat_standstill *standstill);
/* Microseconds that have counted. Starts at leat_mono_us, and each standstill makes it later. */
int64_t leat_standstill_now_us(leat_standstill *standstill);
/* The same as of the turn's poll, without asking the system: for the moment when something begins.
 * It is earlier by what the turn has taken so far, and by one millisecond at most besides. */
int64_t leat_standstill_turn_us(leat_standstill *standstill);
/* How far it is behind leat_mono_us. A moment of leat_mono_us is at most this much earlier by this
 * clock. */
int64_t leat_standstill_lost_us(leat_standstill *standstill);

#endif
