/* thread.c - thin covers of pthreads, so that clocks and signals are right everywhere. */
#include "base/thread.h"

#include <signal.h>
#include <time.h>

int leat_thread_start(pthread_t *ret, void *(*run)(void *argument), void *argument)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = pthread_create(ret, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

void leat_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    int status = pthread_cond_init(cond, &monotonic);
    LEAT_ASSERT(status == 0);
    pthread_condattr_destroy(&monotonic);
}

void leat_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_us)
{
    LEAT_ASSERT(until_us >= 0);
    const struct timespec until = {.tv_sec = until_us / 1000000,
                                   .tv_nsec = until_us % 1000000 * 1000};
    pthread_cond_timedwait(cond, lock, &until);
}
