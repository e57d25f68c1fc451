/*
 * send_schema.c - JSON Schema says less than the database's types do, and enough: which columns
 * take any JSON, which true and false, and which a time with a date.
 */
#include "cli/send_schema.h"

#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/buf.h"

enum { CONNECT_S = 3, ALL_S = 5, DOCUMENT_MAX = 16 * 1024 * 1024 };

struct leat_send_schema {
    yyjson_doc *doc;
    yyjson_val *columns; /* properties of the body of a PUT, which has the key, too */
};

static size_t on_bytes(char *data, size_t size, size_t count, void *context)
{
    leat_buf *document = context;
    leat_buf_append(document, data, size * count);
    return document->failed || document->size > DOCUMENT_MAX ? 0 : size * count;
}

static bool fetch(const leat_send_target *target, leat_buf *document)
{
    leat_send_target own = *target;
    leat_buf url = {0};
    char problem[CURL_ERROR_SIZE];
    long status = 0;
    leat_send_target_init(&own);
    size_t base = strlen(own.batch_url) - strlen("batch");
    leat_buf_printf(&url, "%.*sopenapi.json", (int)base, own.batch_url);
    CURL *curl = leat_send_target_handle(&own, problem);
    curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(curl, CURLOPT_URL, leat_buf_cstr(&url));
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ALL_S);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, document);
    bool is_got = curl_easy_perform(curl) == CURLE_OK;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_cleanup(curl);
    leat_send_target_fini(&own);
    leat_buf_free(&url);
    return is_got && status == 200;
}

static yyjson_val *columns_of(yyjson_doc *doc, const char *path)
{
    static const char *const way[] = {"put",    "requestBody", "content", "application/json",
                                      "schema", "properties"};
    yyjson_val *at = yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "paths"), path);
    for (size_t i = 0; i < sizeof way / sizeof *way; i++)
        at = yyjson_obj_get(at, way[i]);
    return yyjson_is_obj(at) ? at : NULL;
}

leat_send_schema *leat_send_schema_get(const leat_send_target *target, const char *path)
{
    leat_buf document = {0};
    yyjson_doc *doc = fetch(target, &document) && document.size > 0
                          ? yyjson_read(document.data, document.size, 0)
                          : NULL;
    leat_buf_free(&document);
    yyjson_val *columns = columns_of(doc, path);
    if (!columns) {
        yyjson_doc_free(doc);
        return NULL;
    }
    leat_send_schema *schema = leat_must_calloc(1, sizeof *schema);
    *schema = (leat_send_schema){.doc = doc, .columns = columns};
    return schema;
}

void leat_send_schema_free(leat_send_schema *schema)
{
    if (!schema)
        return;
    yyjson_doc_free(schema->doc);
    free(schema);
}

static bool has_type(yyjson_val *column, const char *type)
{
    size_t index, count;
    yyjson_val *types = yyjson_obj_get(column, "type"), *one;
    yyjson_arr_foreach(types, index, count, one)
    {
        if (yyjson_equals_str(one, type))
            return true;
    }
    return false;
}

bool leat_send_schema_kind(const leat_send_schema *schema, const char *column, leat_send_kind *ret)
{
    yyjson_val *at = yyjson_obj_get(schema->columns, column);
    const char *pattern = yyjson_get_str(yyjson_obj_get(at, "pattern"));
    bool is_instant = yyjson_equals_str(yyjson_obj_get(at, "format"), "date-time");
    *ret = has_type(at, "object")                               ? LEAT_SEND_JSON_OR_TEXT
           : has_type(at, "boolean") && !has_type(at, "string") ? LEAT_SEND_BOOL
           : is_instant || (pattern && strstr(pattern, "[Tt]")) ? LEAT_SEND_TIMESTAMP
                                                                : LEAT_SEND_TEXT;
    return at != NULL;
}
