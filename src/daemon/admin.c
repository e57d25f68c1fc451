#include "daemon/admin.h"

#include <stdlib.h>

struct leat_admin {
    leat_http_server *http;
    leat_metrics *metrics;
    bool (*ready)(void *context, leat_buf *why);
    void *context;
    leat_buf text;
};

static const char json_type[] = "application/json";

static void answer_text(leat_admin *admin, leat_http_request *request, int status, const char *type,
                        const char *headers)
{
    if (admin->text.failed) {
        leat_http_abandon(request);
        return;
    }
    leat_http_answer(request, status, type, (leat_slice){admin->text.data, admin->text.size},
                     headers);
}

static void show_metrics(leat_admin *admin, leat_http_request *request)
{
    leat_metrics_write(admin->metrics, &admin->text);
    answer_text(admin, request, 200, "text/plain; version=0.0.4; charset=utf-8", NULL);
}

static void show_health(leat_admin *admin, leat_http_request *request)
{
    leat_buf_text(&admin->text, "{\"status\":\"ok\"}");
    answer_text(admin, request, 200, json_type, NULL);
}

static void show_ready(leat_admin *admin, leat_http_request *request)
{
    leat_buf why = {0};
    bool ready = !admin->ready || admin->ready(admin->context, &why);
    if (ready) {
        leat_buf_text(&admin->text, "{\"status\":\"ok\"}");
    } else {
        leat_buf_text(&admin->text, "{\"status\":\"unready\",\"reason\":");
        leat_buf_json_string(&admin->text, (leat_slice){why.data, why.size});
        leat_buf_byte(&admin->text, '}');
    }
    leat_buf_free(&why);
    answer_text(admin, request, ready ? 200 : 503, json_type, NULL);
}

static void put_error(leat_buf *text, const char *code, const char *message)
{
    leat_buf_printf(text, "{\"error\":\"%s\",\"field\":null,\"message\":\"%s\"}", code, message);
}

static void on_request(void *context, leat_http_request *request)
{
    static const struct {
        const char *path;
        void (*show)(leat_admin *admin, leat_http_request *request);
    } pages[] = {{"/metrics", show_metrics}, {"/healthz", show_health}, {"/readyz", show_ready}};
    leat_admin *admin = context;
    leat_buf_clear(&admin->text);
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        if (!leat_slice_is(leat_http_request_path(request), pages[i].path))
            continue;
        leat_http_method method = leat_http_request_method(request);
        if (method == LEAT_HTTP_GET || method == LEAT_HTTP_HEAD) {
            pages[i].show(admin, request);
            return;
        }
        put_error(&admin->text, "method_not_allowed", "this path takes GET, HEAD");
        answer_text(admin, request, 405, json_type, "Allow: GET, HEAD\r\n");
        return;
    }
    put_error(&admin->text, "no_route", "/metrics, /healthz and /readyz are here");
    answer_text(admin, request, 404, json_type, NULL);
}

leat_admin *leat_admin_new(uv_loop_t *loop, const leat_http_config *config, leat_metrics *metrics,
                           bool (*ready)(void *context, leat_buf *why), void *context,
                           leat_error *error)
{
    leat_admin *admin = leat_must_calloc(1, sizeof *admin);
    admin->metrics = metrics;
    admin->ready = ready;
    admin->context = context;
    leat_http_config http = *config;
    http.connections_max = LEAT_ADMIN_CONNECTIONS;
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
