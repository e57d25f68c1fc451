/*
 * health.c - the edge's health pages and the admin listener's are read by the same load balancers
 * and scripts, so both are written here. The page has a status of its own besides the HTTP status:
 * a degraded process answers 200, because taking it out of service would help nobody, but people
 * must be able to see it.
 */
#include "ops/health.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

void leat_health_free(leat_health *health)
{
    leat_buf_free(&health->reason);
    leat_buf_free(&health->degraded);
    *health = (leat_health){0};
}

void leat_health_set_unready(leat_health *health, const char *format, ...)
{
    va_list arguments;
    health->unready = true;
    leat_buf_clear(&health->reason);
    va_start(arguments, format);
    leat_buf_vprintf(&health->reason, format, arguments);
    va_end(arguments);
}

void leat_health_add_degraded(leat_health *health, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    leat_buf_vprintf(&health->degraded, format, arguments);
    va_end(arguments);
    leat_buf_byte(&health->degraded, '\0');
}

static const char *status_name(const leat_health *health)
{
    if (health->unready)
        return "unready";
    return health->degraded.size > 0 ? "degraded" : "ok";
}

static void add_degraded(yyjson_mut_doc *doc, yyjson_mut_val *root, const leat_buf *degraded)
{
    LEAT_ASSERT(degraded->data[degraded->size - 1] == '\0');
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "degraded");
    for (size_t at = 0; at < degraded->size; at += strlen(degraded->data + at) + 1)
        yyjson_mut_arr_add_str(doc, list, degraded->data + at);
}

/* Texts of brokers may contain anything, UTF-8 or not: they are shown as they are. */
void leat_health_write(const leat_health *health, leat_buf *out)
{
    LEAT_ASSERT(health->unready || health->reason.size == 0);
    if (health->reason.failed || health->degraded.failed) {
        out->failed = true;
        return;
    }
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "status", status_name(health));
    if (health->unready)
        yyjson_mut_obj_add_strn(doc, root, "reason", health->reason.data ? health->reason.data : "",
                                health->reason.size);
    if (health->degraded.size > 0)
        add_degraded(doc, root, &health->degraded);
    size_t size = 0;
    char *text = yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, &size);
    if (text)
        leat_buf_append(out, text, size);
    out->failed = out->failed || !text;
    free(text);
    yyjson_mut_doc_free(doc);
}
