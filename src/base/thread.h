/* thread.h - how threads are started that no signal is for, and how threads wait with an end. */
#ifndef LEAT_BASE_THREAD_H
#define LEAT_BASE_THREAD_H

#include <pthread.h>

#include "base/base.h"

/* As pthread_create, with all signals blocked in the new thread: they are for the threads that wait
 * for them. */
int leat_thread_start(pthread_t *ret, void *(*run)(void *argument), void *argument);

/* Its waits end by the clock of leat_mono_us. */
void leat_cond_init(pthread_cond_t *cond);
/* Under `lock`, until the condition is signalled or the time has come; it may also return for
 * nothing, so the caller looks at both again. The condition is one of leat_cond_init. */
void leat_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until_us);

#endif
