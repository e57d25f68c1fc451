/*
 * admin_jobs.h - requests of the admin listener whose answer takes a while, because shards are
 * asked: each is worked on by a thread of libuv's pool, a few at a time, and answered on the loop's
 * thread.
 */
#ifndef LEAT_DAEMON_ADMIN_JOBS_H
#define LEAT_DAEMON_ADMIN_JOBS_H

#include <stdatomic.h>

#include "daemon/assemble.h"

enum { LEAT_ADMIN_JOBS_MAX = 2 }; /* at once; the pool has a thread for each */

typedef struct leat_admin_jobs leat_admin_jobs;

typedef struct leat_admin_job {
    const leat_assembly *assembly;
    leat_slice body;               /* of the request */
    const _Atomic bool *is_ending; /* true: whatever can be left out is to be left out */
    /* The work fills these: an error's message, or the answer's JSON. */
    leat_http_code code; /* LEAT_HTTP_OK at first */
    leat_buf answer;
} leat_admin_job;

/* On a thread of the pool; may block for as long as a few calls to a shard take. */
typedef void leat_admin_work(leat_admin_job *job);

leat_admin_jobs *leat_admin_jobs_new(uv_loop_t *loop, const leat_assembly *assembly);
/* Takes the request, and answers it when the work is done. False: too many are at work; it is not
 * taken. */
bool leat_admin_jobs_start(leat_admin_jobs *jobs, leat_http_request *request,
                           leat_admin_work *work);
/* After the listener was closed. What is at work is hastened and its request abandoned; the memory
 * is freed when the loop has seen the end of it. The assembly outlives that. NULL: none. */
void leat_admin_jobs_free(leat_admin_jobs *jobs);

#endif
