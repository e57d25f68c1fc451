/*
 * admin.c - what a process shows of itself, on a separate listener, so that it need not be open to
 * clients that write, and answers while the edge is full. Pages are answered in the callback of
 * their request: a scrape is a few hundred lines of text, and nothing here ever waits. What asks
 * the shards does, and so is done elsewhere (admin_jobs.h).
 */
#include "daemon/admin.h"

#include <stdlib.h>
#include <string.h>

#include "auth/bearer.h"
#include "auth/digest.h"
#include "daemon/actions.h"
#include "daemon/same_origin.h"
#include "ops/health.h"
#include "page/history.h"
#include "page/page.h"

#define NO_STORE "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"

enum { FROM_DIGITS = 19 };

struct leat_admin {
    leat_admin_config config;
    leat_http_server *http;
    bool has_token;
    leat_digest token;
    leat_history *history;
    leat_admin_jobs *jobs; /* NULL: there is nothing to act on */
    uv_timer_t sample;
    leat_buf text;
};

static void answer_text(leat_admin *admin, leat_http_request *request, leat_http_code code,
                        const char *type, const char *headers)
{
    if (admin->text.failed) {
        leat_http_abandon(request);
        return;
    }
    leat_http_answer(request, code, type, (leat_slice){admin->text.data, admin->text.size},
                     headers);
}

static void answer_error(leat_admin *admin, leat_http_request *request, leat_http_code code,
                         const char *message, const char *headers)
{
    leat_http_error_body(&admin->text, code, NULL, message);
    answer_text(admin, request, code, leat_http_body_type(code), headers);
}

/* ---- pages ---- */

static void show_metrics(leat_admin *admin, leat_http_request *request)
{
    leat_metrics_format format = leat_metrics_accepted(leat_http_request_header(request, "accept"));
    leat_metrics_write(admin->config.metrics, format, &admin->text);
    answer_text(admin, request, LEAT_HTTP_OK, leat_metrics_content_type(format),
                "Vary: Accept\r\n");
}

static void show_culprits(leat_admin *admin, leat_http_request *request)
{
    if (admin->config.culprits)
        admin->config.culprits(admin->config.context, &admin->text);
    else
        leat_buf_text(&admin->text, "{}");
    answer_text(admin, request, LEAT_HTTP_OK, LEAT_HTTP_JSON, NULL);
}

static void answer_health(leat_admin *admin, leat_http_request *request, const leat_health *health)
{
    leat_health_write(health, &admin->text);
    answer_text(admin, request, health->unready ? LEAT_HTTP_UNREADY : LEAT_HTTP_OK, LEAT_HTTP_JSON,
                NULL);
}

static void show_health(leat_admin *admin, leat_http_request *request)
{
    answer_health(admin, request, &(leat_health){0});
}

static void look_whether_ready(leat_admin *admin, leat_health *ret)
{
    ret->unready = admin->config.ready && !admin->config.ready(admin->config.context, &ret->reason);
}

static void show_ready(leat_admin *admin, leat_http_request *request)
{
    leat_health health = {0};
    look_whether_ready(admin, &health);
    answer_health(admin, request, &health);
    leat_health_free(&health);
}

/* ---- /state ---- */

/* Of "from=450": 450; 0 where the query is not that. */
static uint64_t read_from(leat_slice query)
{
    static const char name[] = "from=";
    uint64_t from = 0;
    size_t before = sizeof name - 1;
    if (query.size <= before || query.size > before + FROM_DIGITS ||
        memcmp(query.data, name, before) != 0)
        return 0;
    for (size_t i = before; i < query.size; i++) {
        if (query.data[i] < '0' || query.data[i] > '9')
            return 0;
        from = 10 * from + (uint64_t)(query.data[i] - '0');
    }
    return from;
}

static void show_state(leat_admin *admin, leat_http_request *request)
{
    leat_health health = {0};
    look_whether_ready(admin, &health);
    leat_buf_byte(&admin->text, '{');
    if (admin->config.state)
        admin->config.state(admin->config.context, &admin->text);
    leat_buf_printf(
        &admin->text, "\"now_ms\":%lld,\"every_s\":%d,\"acts\":%s,\"is_ready\":%s,\"reason\":",
        (long long)leat_wall_ms(), LEAT_HISTORY_EVERY_MS / 1000,
        admin->jobs && admin->has_token ? "true" : "false", health.unready ? "false" : "true");
    leat_buf_json_string(&admin->text, (leat_slice){health.reason.data, health.reason.size});
    leat_buf_byte(&admin->text, ',');
    leat_history_write(admin->history, read_from(leat_http_request_query(request)), &admin->text);
    leat_buf_byte(&admin->text, '}');
    leat_health_free(&health);
    answer_text(admin, request, LEAT_HTTP_OK, LEAT_HTTP_JSON, NO_STORE);
}

static void show_page(leat_admin *admin, leat_http_request *request)
{
    size_t bytes;
    const leat_http_file *page = leat_page_files;
    if (!leat_http_answer_unchanged(request, page->etag) &&
        leat_http_answer_file(request, page, &bytes) != 0)
        answer_error(admin, request, LEAT_HTTP_OVERLOADED, "out of memory", NULL);
}

static void on_sample(uv_timer_t *timer)
{
    leat_admin *admin = timer->data;
    leat_history_take(admin->history, leat_mono_us(), leat_wall_ms());
}

/* ---- requests ---- */

/* Answers and returns false when not. */
static bool may_see(leat_admin *admin, leat_http_request *request)
{
    leat_slice shown = leat_bearer_token(leat_http_request_header(request, "authorization"));
    leat_digest digest = leat_digest_of(shown);
    if (shown.size > 0 && leat_digest_equal(&digest, &admin->token))
        return true;
    answer_error(admin, request, LEAT_HTTP_UNAUTHORIZED,
                 shown.size > 0 ? "the token is not admin_token's"
                                : "a token is needed (Authorization: Bearer TOKEN; admin_token)",
                 LEAT_BEARER_CHALLENGE "\r\n");
    return false;
}

/* Who may see a page, or act. */
typedef enum admin_who {
    EVERYBODY,
    TOKEN,  /* whoever has the token; where there is none whoever reaches the listener, but no page
               of another site whose name has come to point here */
    PERSON, /* whoever has the token, and nobody where there is none; no page of another site for
               them: it shows what is in records, or acts with leat's rights, and every user of this
               machine can reach the listener */
} admin_who;

typedef struct admin_page {
    const char *path;
    admin_who who;
    bool acts; /* by POST */
    void (*show)(leat_admin *admin, leat_http_request *request);
    leat_admin_work *work; /* instead: takes a while */
} admin_page;

/* What acts is last. */
static const admin_page pages[] = {
    {"/", EVERYBODY, false, show_page, NULL},
    {"/metrics", TOKEN, false, show_metrics, NULL},
    {"/state", TOKEN, false, show_state, NULL},
    {"/culprits", TOKEN, false, show_culprits, NULL},
    {"/healthz", EVERYBODY, false, show_health, NULL},
    {"/readyz", EVERYBODY, false, show_ready, NULL},
    {"/waiting", PERSON, false, NULL, leat_action_waiting},
    {"/held/retry", PERSON, true, NULL, leat_action_retry},
    {"/held/discard", PERSON, true, NULL, leat_action_discard},
    {"/controls/block", PERSON, true, NULL, leat_action_block},
    {"/controls/unblock", PERSON, true, NULL, leat_action_unblock},
};

enum { PAGE_COUNT = sizeof pages / sizeof *pages };

static const admin_page *find_page(leat_slice path)
{
    for (size_t i = 0; i < PAGE_COUNT; i++)
        if (leat_slice_is(path, pages[i].path))
            return &pages[i];
    return NULL;
}

/* Answers and returns false when the method is another. */
static bool is_method(leat_admin *admin, leat_http_request *request, bool acts)
{
    leat_http_method method = leat_http_request_method(request);
    if (acts ? method == LEAT_HTTP_POST : method == LEAT_HTTP_GET || method == LEAT_HTTP_HEAD)
        return true;
    answer_error(admin, request, LEAT_HTTP_METHOD_NOT_ALLOWED,
                 acts ? "this path takes POST" : "this path takes GET, HEAD",
                 acts ? "Allow: POST\r\n" : "Allow: GET, HEAD\r\n");
    return false;
}

static void start_work(leat_admin *admin, leat_http_request *request, leat_admin_work *work)
{
    if (!admin->jobs)
        answer_error(admin, request, LEAT_HTTP_NO_ROUTE, "this process has no shards", NULL);
    else if (!leat_admin_jobs_start(admin->jobs, request, work))
        answer_error(admin, request, LEAT_HTTP_OVERLOADED,
                     "other requests to the shards are at work: try again", NULL);
}

static void answer_page(leat_admin *admin, leat_http_request *request, const admin_page *page)
{
    const char *why = NULL;
    leat_http_code code = LEAT_HTTP_OK;
    if (admin->has_token && page->who != EVERYBODY && !may_see(admin, request))
        return;
    if (!is_method(admin, request, page->acts))
        return;
    if (page->who == PERSON && !admin->has_token) {
        code = LEAT_HTTP_FORBIDDEN;
        why = "this needs an admin_token in the configuration";
    } else if (page->who == TOKEN && !admin->has_token && !leat_same_origin_is_address(request)) {
        code = LEAT_HTTP_FORBIDDEN;
        why = "without an admin_token this takes localhost or an IP address for its host, no name";
    } else if (page->who == PERSON) {
        code = leat_same_origin(request, page->acts, &why);
    }
    if (code != LEAT_HTTP_OK)
        answer_error(admin, request, code, why, NULL);
    else if (page->work)
        start_work(admin, request, page->work);
    else
        page->show(admin, request);
}

/* Names those that are there. */
static void answer_no_page(leat_admin *admin, leat_http_request *request)
{
    leat_buf names = {0};
    for (size_t i = 0; i < PAGE_COUNT; i++)
        leat_buf_printf(&names, "%s%s",
                        i == 0                                ? "here are "
                        : pages[i].acts && !pages[i - 1].acts ? "; and by POST "
                                                              : ", ",
                        pages[i].path);
    answer_error(admin, request, LEAT_HTTP_NO_ROUTE,
                 names.failed ? "there is no such page" : leat_buf_cstr(&names), NULL);
    leat_buf_free(&names);
}

static void on_request(void *context, leat_http_request *request)
{
    leat_admin *admin = context;
    leat_buf_clear(&admin->text);
    const admin_page *page = find_page(leat_http_request_path(request));
    if (page) {
        answer_page(admin, request, page);
        return;
    }
    answer_no_page(admin, request);
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle)
{
    leat_admin *admin = handle->data;
    leat_history_free(admin->history);
    leat_buf_free(&admin->text);
    free(admin);
}

leat_admin *leat_admin_new(uv_loop_t *loop, const leat_admin_config *config, leat_error *error)
{
    leat_admin *admin = leat_must_calloc(1, sizeof *admin);
    LEAT_ASSERT(!config->token || *config->token);
    admin->config = *config;
    admin->has_token = config->token != NULL;
    if (config->token)
        admin->token = leat_digest_of(leat_slice_of(config->token));
    leat_http_config http = config->http;
    http.connections_max = LEAT_ADMIN_CONNECTIONS;
    http.streams_max = 0;
    admin->http = leat_http_listen(loop, &http, on_request, admin, error);
    if (!admin->http) {
        free(admin);
        return NULL;
    }
    admin->history = leat_history_new(config->metrics, config->shards, config->shard_count);
    uv_timer_init(loop, &admin->sample);
    admin->sample.data = admin;
    uv_timer_start(&admin->sample, on_sample, 0, LEAT_HISTORY_EVERY_MS);
    if (config->assembly)
        admin->jobs = leat_admin_jobs_new(loop, config->assembly);
    return admin;
}

int leat_admin_port(const leat_admin *admin)
{
    return leat_http_port(admin->http);
}

/* A request that is at work does not refer to the admin. */
void leat_admin_free(leat_admin *admin)
{
    if (!admin)
        return;
    leat_http_close(admin->http);
    leat_admin_jobs_free(admin->jobs);
    uv_close((uv_handle_t *)&admin->sample, on_closed);
}
