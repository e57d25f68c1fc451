/*
 * dead_line.c - the record is decoded as a worker would, by the routes of now, and a path is only
 * written if it leads back to the record's route. The body's bytes are the record's, but for line
 * ends between its members: numbers stay as they were written.
 */
#include "cli/dead_line.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

#include "daemon/json.h"
#include "record/chars.h"
#include "record/headers.h"
#include "record/idempotency.h"

static leat_slice text_of(const char *text)
{
    return leat_slice_of(text ? text : "");
}

/* ---- the record ---- */

static leat_record record_of(const leat_dead_letter *letter)
{
    return (leat_record){
        .partition = letter->partition,
        .offset = letter->offset,
        .key = {letter->key ? letter->key : "", letter->key_size},
        .value = {letter->body ? letter->body : "", letter->body_size},
        .route = text_of(letter->route),
        .op = text_of(letter->op),
        .value_is_null = !letter->body,
    };
}

static int decode(const leat_dead_line_form *form, leat_item *item, leat_error *error)
{
    if (leat_item_decode(form->routes, form->placement, item) != 0)
        return leat_fail(error, "out of memory");
    if (item->fault)
        return leat_fail(error, "%s", item->fault);
    if (item->route->is_shadow)
        return leat_fail(error, "no request leads to %s, the shadow of a route", item->route->name);
    return 0;
}

/* ---- its tenant ---- */

static int needs_tenant(const leat_route *route, leat_slice tenant, leat_error *error)
{
    bool is_header = route->tenant_from == LEAT_TENANT_IN_HEADER;
    return leat_fail(error,
                     "its tenant is in the %s%s, which all lines that are sent at once share: "
                     "--tenant %.*s lists those of this one",
                     is_header ? "header " : "", route->tenant_name, (int)tenant.size, tenant.data);
}

/* As leat_dead_line. */
static int check_tenant(const leat_item *item, const char *wanted, leat_error *error)
{
    const leat_route *route = item->route;
    if (route->tenant_key_position < 0)
        return wanted ? 1 : 0;
    leat_slice tenant = leat_route_tenant(route, item->canonical_key);
    bool is_shared = route->tenant_from == LEAT_TENANT_IN_HEADER ||
                     route->tenant_from == LEAT_TENANT_IN_TOKEN;
    if (!wanted)
        return is_shared ? needs_tenant(route, tenant, error) : 0;
    leat_key key;
    if (leat_key_decode_tenant(route, leat_slice_of(wanted), &key, error) != 0)
        return leat_fail_prefix(error, "--tenant");
    return leat_slice_equal(tenant, (leat_slice){key.canonical, key.canonical_size}) ? 0 : 1;
}

/* ---- the line ---- */

/* A DELETE has no body, so a tenant that the body would name is in the query. */
static int append_path(leat_buf *out, const leat_dead_line_form *form, const leat_item *item,
                       leat_error *error)
{
    leat_buf path = {0};
    leat_key key;
    char field[LEAT_NAME_MAX + 1];
    const leat_route *route = item->route, *found = NULL;
    leat_route_path(route, item->canonical_key, &path);
    leat_match match = leat_routes_match(form->routes, (leat_slice){path.data, path.size}, &found,
                                         &key, field, error);
    bool leads_back = (match == LEAT_MATCH_OK || match == LEAT_MATCH_NEEDS_TENANT) &&
                      found == route;
    if (leads_back && route->tenant_from == LEAT_TENANT_IN_BODY && item->op == LEAT_DELETE) {
        leat_buf_byte(&path, '?');
        leat_buf_percent(&path, leat_slice_of(route->tenant_name));
        leat_buf_byte(&path, '=');
        leat_buf_slice(&path, leat_route_tenant(route, item->canonical_key));
    }
    leat_buf_json_string(out, (leat_slice){path.data, path.size});
    if (!leads_back)
        leat_fail(error, "its path %.*s does not lead to route %s", (int)path.size, path.data,
                  route->name);
    leat_buf_free(&path);
    return leads_back ? 0 : -1;
}

static int append_body(leat_buf *out, leat_slice body, leat_error *error)
{
    yyjson_doc *doc = leat_json_read(body);
    bool is_object = yyjson_is_obj(yyjson_doc_get_root(doc));
    yyjson_doc_free(doc);
    if (!is_object)
        return leat_fail(error, "its body is not a JSON object");
    leat_buf_text(out, ",\"body\":");
    for (size_t i = 0; i < body.size; i++) /* in a text they would be escaped */
        leat_buf_byte(out, body.data[i] == '\n' || body.data[i] == '\r' ? ' ' : body.data[i]);
    return 0;
}

/* The last header of that name counts. Without data: the record has no key. */
static leat_slice own_key(yyjson_val *headers)
{
    leat_slice key = {0};
    size_t index, count;
    yyjson_val *name, *value;
    yyjson_obj_foreach(headers, index, count, name, value)
    {
        if (yyjson_equals_str(name, leat_header_name(LEAT_HEADER_IDEMPOTENCY)))
            key = (leat_slice){yyjson_get_str(value), yyjson_get_len(value)};
    }
    return key.data && !leat_idempotency_key_read(key, &key) ? key : (leat_slice){0};
}

/* What a line says must be what the client wrote, byte by byte, to be a repeat of it. */
static bool is_one_line(leat_slice body)
{
    bool is_trimmed = body.size > 0 && !isspace((unsigned char)body.data[0]) &&
                      !isspace((unsigned char)body.data[body.size - 1]);
    return is_trimmed && !memchr(body.data, '\n', body.size) && !memchr(body.data, '\r', body.size);
}

/* With its own key the record is a repeat of what its client has sent again meanwhile, and a letter
 * that is refused once more goes on having this one. */
static int append_key(leat_buf *out, const leat_item *item, const leat_dead_letter *letter,
                      leat_error *error)
{
    yyjson_doc *doc = leat_json_read(text_of(letter->headers));
    leat_slice own = own_key(yyjson_doc_get_root(doc));
    leat_buf_text(out, ",\"idempotency_key\":");
    if (own.data)
        leat_buf_json_string(out, own);
    else
        leat_buf_printf(out, "\"dead-%" PRId32 "-%" PRIu32 "-%" PRId64 "\"", letter->source,
                        letter->partition, letter->offset);
    bool is_repeat = !own.data || item->op == LEAT_DELETE || is_one_line(item->record.value);
    yyjson_doc_free(doc);
    return is_repeat
               ? 0
               : leat_fail(error, "it has an idempotency key of its own, and its body has line "
                                  "ends or spaces around it, which a line cannot repeat");
}

static int append_line(leat_buf *out, const leat_dead_line_form *form, const leat_item *item,
                       const leat_dead_letter *letter, leat_error *error)
{
    static const char *const methods[LEAT_ROUTE_OP_COUNT] = {
        [LEAT_PUT] = "PUT", [LEAT_PATCH] = "PATCH", [LEAT_DELETE] = "DELETE"};
    leat_buf_printf(out, "{\"method\":\"%s\",\"path\":", methods[item->op]);
    if (append_path(out, form, item, error) != 0 ||
        (item->op != LEAT_DELETE && append_body(out, item->record.value, error) != 0) ||
        append_key(out, item, letter, error) != 0)
        return -1;
    leat_buf_byte(out, '}');
    return out->failed ? leat_fail(error, "out of memory") : 0;
}

int leat_dead_line(const leat_dead_line_form *form, const leat_dead_letter *letter, leat_buf *out,
                   leat_error *error)
{
    leat_item item = {.record = record_of(letter)};
    size_t size = out->size;
    int status = decode(form, &item, error);
    if (status == 0)
        status = check_tenant(&item, form->tenant, error);
    if (status == 0)
        status = append_line(out, form, &item, letter, error);
    if (status != 0)
        out->size = size;
    leat_item_clear(&item);
    return status;
}
