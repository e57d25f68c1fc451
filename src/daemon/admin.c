/*
 * admin.c - metrics and health on a separate listener, so that they need not be open to clients
 * that write, and answer while the edge is full. Everything is answered in the callback of its
 * request: a scrape is a few hundred lines of text, and nothing here ever waits.
 */
#include "daemon/admin.h"

#include <stdlib.h>

#include "auth/bearer.h"
#include "auth/digest.h"
#include "ops/health.h"

struct leat_admin {
    leat_http_server *http;
    bool has_token;
    leat_digest token;
    leat_metrics *metrics;
    bool (*ready)(void *context, leat_buf *why);
    void (*culprits)(void *context, leat_buf *out);
    void *context;
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

static void show_metrics(leat_admin *admin, leat_http_request *request)
{
    leat_metrics_format format = leat_metrics_accepted(leat_http_request_header(request, "accept"));
    leat_metrics_write(admin->metrics, format, &admin->text);
    answer_text(admin, request, LEAT_HTTP_OK, leat_metrics_content_type(format),
                "Vary: Accept\r\n");
}

static void show_culprits(leat_admin *admin, leat_http_request *request)
{
    if (admin->culprits)
        admin->culprits(admin->context, &admin->text);
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

static void show_ready(leat_admin *admin, leat_http_request *request)
{
    leat_health health = {0};
    health.unready = admin->ready && !admin->ready(admin->context, &health.reason);
    answer_health(admin, request, &health);
    leat_health_free(&health);
}

static void answer_error(leat_admin *admin, leat_http_request *request, leat_http_code code,
                         const char *message, const char *headers)
{
    leat_http_error_body(&admin->text, code, NULL, message);
    answer_text(admin, request, code, leat_http_body_type(code), headers);
}

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

static void on_request(void *context, leat_http_request *request)
{
    static const struct {
        const char *path;
        bool is_open;
        void (*show)(leat_admin *admin, leat_http_request *request);
    } pages[] = {{"/metrics", false, show_metrics},
                 {"/culprits", false, show_culprits},
                 {"/healthz", true, show_health},
                 {"/readyz", true, show_ready}};
    leat_admin *admin = context;
    leat_buf_clear(&admin->text);
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (!leat_slice_is(leat_http_request_path(request), pages[i].path))
            continue;
        if (admin->has_token && !pages[i].is_open && !may_see(admin, request))
            return;
        leat_http_method method = leat_http_request_method(request);
        if (method == LEAT_HTTP_GET || method == LEAT_HTTP_HEAD) {
            pages[i].show(admin, request);
            return;
        }
        answer_error(admin, request, LEAT_HTTP_METHOD_NOT_ALLOWED, "this path takes GET, HEAD",
                     "Allow: GET, HEAD\r\n");
        return;
    }
    answer_error(admin, request, LEAT_HTTP_NO_ROUTE,
                 "/metrics, /culprits, /healthz and /readyz are here", NULL);
}

leat_admin *leat_admin_new(uv_loop_t *loop, const leat_http_config *config, const char *token,
                           leat_metrics *metrics, bool (*ready)(void *context, leat_buf *why),
                           void (*culprits)(void *context, leat_buf *out), void *context,
                           leat_error *error)
{
    leat_admin *admin = leat_must_calloc(1, sizeof *admin);
    LEAT_ASSERT(!token || *token);
    admin->has_token = token != NULL;
    if (token)
        admin->token = leat_digest_of(leat_slice_of(token));
    admin->metrics = metrics;
    admin->ready = ready;
    admin->culprits = culprits;
    admin->context = context;
    leat_http_config http = *config;
    http.connections_max = LEAT_ADMIN_CONNECTIONS;
    http.streams_max = 0;
    admin->http = leat_http_listen(loop, &http, on_request, admin, error);
    if (!admin->http) {
        free(admin);
        return NULL;
    }
    return admin;
}

int leat_admin_port(const leat_admin *admin)
{
    return leat_http_port(admin->http);
}

/* Every request is answered where it is handed over, so none refers to the admin after the
 * close. */
void leat_admin_free(leat_admin *admin)
{
    if (!admin)
        return;
    leat_http_close(admin->http);
    leat_buf_free(&admin->text);
    free(admin);
}
