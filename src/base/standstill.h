/*
 * standstill.h - the time that a libuv loop has been able to look at its sockets: a clock for time
 * limits on others. A loop stands still when its process is stopped (SIGSTOP, a paused or moved
 * virtual machine, no processor to run on) or a callback takes long. libuv then runs the timers
 * that have become due before it reads a socket (after SIGSTOP epoll_wait ends with EINTR), and
 * every limit measured by uv_now would be held against somebody whose answer has long been there.
 *
 * Each phase of a turn (the poll with its callbacks; timers and the rest) counts for as long as it
 * was meant to take, plus LEAT_STANDSTILL_MS; what is beyond counts for nothing. After a standstill
 * the clock also waits for one more poll, so a limit fires only when the sockets have been read. A
 * loop that is always slow still has a clock that goes, slower.
 *
 * Use: keep the moment something began by this clock, and in the timer's callback compare with it;
 * when the limit is not over by this clock, start the timer again for the rest. The loop needs a
 * timer that is always active: the length of a poll without end cannot be judged.
 *
 * Not thread-safe: for the loop's own thread.
 */
#ifndef LEAT_BASE_STANDSTILL_H
#define LEAT_BASE_STANDSTILL_H

#include <uv.h>

#include "base/base.h"

enum { LEAT_STANDSTILL_MS = 250 }; /* a phase may take so much longer than it was meant to */

typedef struct leat_standstill {
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    const char *name;    /* of the loop, for messages */
    int64_t counted_us;  /* of the phases that are over */
    int64_t phase_us;    /* since when this one goes on, by leat_mono_us */
    int64_t budget_us;   /* how much of it counts at most */
    int64_t last_us;     /* told last: never goes back */
    bool waits_for_poll; /* a standstill was noticed behind the last poll */
    int64_t warned_us;
} leat_standstill;

/* `name` outlives it. Its handles do not keep the loop alive. */
void leat_standstill_watch(leat_standstill *standstill, uv_loop_t *loop, const char *name);
/* The memory has to stay until the loop has run the closes. */
void leat_standstill_close(leat_standstill *standstill);
/* Microseconds that have counted; begins at leat_mono_us of the watch's begin and falls behind it
 * by each standstill. */
int64_t leat_standstill_now_us(leat_standstill *standstill);
/* By how much it is behind leat_mono_us: a moment told by leat_mono_us is by this clock earlier by
 * at most as much. */
int64_t leat_standstill_lost_us(leat_standstill *standstill);

#endif
