/*
 * admin_jobs.c - a job is a copy of what its request says, so that its thread shares nothing with
 * the loop but the configuration, which never changes, and the wish to end. More than a few at once
 * are refused: each may hold a connection to a shard, and a page that is open in many windows must
 * not become load.
 */
#include "daemon/admin_jobs.h"

#include <stdlib.h>
#include <string.h>

typedef struct running {
    uv_work_t work;
    leat_admin_jobs *jobs;
    leat_http_request *request;
    leat_admin_work *run;
    char *body;
    leat_admin_job job;
} running;

struct leat_admin_jobs {
    uv_loop_t *loop;
    const leat_assembly *assembly;
    _Atomic bool is_ending;
    uint32_t count; /* at work */
    bool is_closed; /* the owner has freed it */
};

leat_admin_jobs *leat_admin_jobs_new(uv_loop_t *loop, const leat_assembly *assembly)
{
    leat_admin_jobs *jobs = leat_must_calloc(1, sizeof *jobs);
    jobs->loop = loop;
    jobs->assembly = assembly;
    return jobs;
}

static void answer(running *at)
{
    leat_admin_job *job = &at->job;
    leat_buf text = {0};
    const char *said = leat_buf_cstr(&job->answer);
    if (at->jobs->is_closed || !said) {
        leat_http_abandon(at->request);
        return;
    }
    if (leat_http_codes[job->code].error)
        leat_http_error_body(&text, job->code, NULL, said);
    else
        leat_buf_text(&text, said);
    leat_http_answer(at->request, job->code, leat_http_body_type(job->code),
                     (leat_slice){text.data, text.size},
                     "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
    leat_buf_free(&text);
}

static void on_work(uv_work_t *work)
{
    running *at = work->data;
    at->run(&at->job);
}

static void on_done(uv_work_t *work, int status)
{
    running *at = work->data;
    leat_admin_jobs *jobs = at->jobs;
    LEAT_ASSERT(status == 0 && jobs->count > 0);
    answer(at);
    leat_buf_free(&at->job.answer);
    free(at->body);
    free(at);
    jobs->count--;
    if (jobs->is_closed && jobs->count == 0)
        free(jobs);
}

bool leat_admin_jobs_start(leat_admin_jobs *jobs, leat_http_request *request, leat_admin_work *work)
{
    LEAT_ASSERT(!jobs->is_closed);
    if (jobs->count == LEAT_ADMIN_JOBS_MAX)
        return false;
    running *at = leat_must_calloc(1, sizeof *at);
    leat_slice body = leat_http_request_body(request);
    at->body = leat_must_calloc(body.size + 1, 1);
    if (body.size > 0)
        memcpy(at->body, body.data, body.size);
    at->jobs = jobs;
    at->request = request;
    at->run = work;
    at->job = (leat_admin_job){.assembly = jobs->assembly,
                               .body = {at->body, body.size},
                               .is_ending = &jobs->is_ending,
                               .code = LEAT_HTTP_OK};
    at->work.data = at;
    int status = uv_queue_work(jobs->loop, &at->work, on_work, on_done);
    LEAT_ASSERT(status == 0);
    jobs->count++;
    return true;
}

void leat_admin_jobs_free(leat_admin_jobs *jobs)
{
    if (!jobs)
        return;
    jobs->is_closed = true;
    atomic_store(&jobs->is_ending, true);
    if (jobs->count == 0)
        free(jobs);
}
