/* body.c - a JSON body against a table with a column of each type: the same answer twice, whatever
 * stands there. */
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "record/fold.h"
#include "tables.h"
#include "target.h"

static const fuzz_column columns[] = {
    {"id", LEAT_TYPE_INT8, -1, true, NULL, LEAT_OP_SET},
    {"flag", LEAT_TYPE_BOOL, -1, false, NULL, LEAT_OP_SET},
    {"small", LEAT_TYPE_INT2, -1, false, NULL, LEAT_OP_ADD},
    {"num", LEAT_TYPE_INT4, -1, true, "5", LEAT_OP_MAX},
    {"big", LEAT_TYPE_INT8, -1, true, NULL, LEAT_OP_MIN},
    {"f4", LEAT_TYPE_FLOAT4, -1, false, NULL, LEAT_OP_ADD},
    {"f8", LEAT_TYPE_FLOAT8, -1, false, NULL, LEAT_OP_SET},
    {"dec", LEAT_TYPE_NUMERIC, ((6 << 16) | 2) + 4, false, NULL, LEAT_OP_ADD},
    {"any", LEAT_TYPE_NUMERIC, -1, false, NULL, LEAT_OP_MAX},
    {"word", LEAT_TYPE_TEXT, 8 + 4, false, NULL, LEAT_OP_SET},
    {"uuid", LEAT_TYPE_UUID, -1, false, NULL, LEAT_OP_SET},
    {"day", LEAT_TYPE_DATE, -1, false, NULL, LEAT_OP_MAX},
    {"hour", LEAT_TYPE_TIME, -1, false, NULL, LEAT_OP_SET},
    {"local", LEAT_TYPE_TIMESTAMP, -1, false, NULL, LEAT_OP_SET},
    {"at", LEAT_TYPE_TIMESTAMPTZ, -1, false, NULL, LEAT_OP_MIN},
    {"raw", LEAT_TYPE_BYTEA, -1, false, NULL, LEAT_OP_SET},
    {"list", LEAT_TYPE_JSONB, -1, false, NULL, LEAT_OP_APPEND},
    {"props", LEAT_TYPE_JSONB, -1, false, NULL, LEAT_OP_MERGE},
    {"doc", LEAT_TYPE_JSON, -1, false, NULL, LEAT_OP_SET},
    {"other", LEAT_TYPE_OTHER, -1, false, NULL, LEAT_OP_SET},
};

enum { COLUMN_COUNT = sizeof columns / sizeof *columns };

/* An accepted body has a binary form, and the same one each time. */
static void put_all(const leat_route *route, const leat_body *body, leat_buf *out)
{
    for (uint32_t i = 0; i < COLUMN_COUNT; i++)
        if (body->present >> i & 1)
            leat_value_binary(&route->table->columns[i], &body->values[i], out);
}

static void check_accepted(leat_fold *fold, const leat_route *route, leat_route_op op,
                           const leat_body *body)
{
    leat_value values[LEAT_COLUMNS_MAX];
    leat_row_write write = {.values = values};
    LEAT_ASSERT((body->present & 1) == 0); /* the key agrees, and is dropped */
    LEAT_ASSERT(leat_fold_start(fold, route, op, body, &write) == 0);
    LEAT_ASSERT(write.present == body->present && (write.operated & ~write.present) == 0);
    for (uint32_t i = 0; i < COLUMN_COUNT; i++)
        LEAT_ASSERT(!(body->present >> i & 1) || !columns[i].not_null ||
                    body->values[i].presence == LEAT_PRESENT);
}

static leat_slice minified(leat_slice json, leat_buf *out)
{
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)json.data, json.size,
                                       YYJSON_READ_NUMBER_AS_RAW, NULL, NULL);
    LEAT_ASSERT(doc);
    size_t size;
    char *text = yyjson_write_opts(doc, YYJSON_WRITE_NOFLAG, NULL, &size, NULL);
    LEAT_ASSERT(text);
    leat_buf_clear(out);
    leat_buf_append(out, text, size);
    free(text);
    yyjson_doc_free(doc);
    return (leat_slice){out->data, out->size};
}

/* What is borrowed from the body says the same as the copy, but for spaces and escapes. */
static void check_borrowed(const leat_route *route, leat_route_op op, leat_slice json,
                           const leat_value *key, const leat_body *copied)
{
    leat_body_parser *parser = leat_body_parser_new();
    leat_body body;
    leat_body_error error;
    leat_buf out = {0};
    leat_body_parser_borrow(parser);
    LEAT_ASSERT(leat_body_parse(parser, route, op, json, key, &body, &error) == LEAT_BODY_OK);
    LEAT_ASSERT(body.present == copied->present);
    for (uint32_t i = 0; i < COLUMN_COUNT; i++) {
        bool is_null = body.values[i].presence == LEAT_NULL;
        if (columns[i].type != LEAT_TYPE_JSONB || !(body.present >> i & 1) || is_null)
            continue;
        LEAT_ASSERT(leat_slice_equal(minified(body.values[i].text, &out), copied->values[i].text));
        LEAT_ASSERT(columns[i].op != LEAT_OP_APPEND ||
                    leat_slice_equal(body.values[i].text, copied->values[i].text));
    }
    leat_buf_free(&out);
    leat_body_parser_free(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static leat_route made;
    const leat_route *route = &made;
    if (!made.table)
        fuzz_route("/t/{id}", columns, COLUMN_COUNT, 1, &made);
    if (size == 0)
        return 0;
    leat_route_op op = data[0] & 1 ? LEAT_PUT : LEAT_PATCH;
    leat_slice json = {(const char *)data + 1, size - 1};
    leat_value key = {.presence = LEAT_PRESENT, .integer = 7};
    leat_body_parser *parser = leat_body_parser_new();
    leat_fold *fold = leat_fold_new();
    leat_body first, second;
    leat_body_error error = {0};
    leat_buf one = {0}, two = {0};
    leat_body_fault fault = leat_body_parse(parser, route, op, json, &key, &first, &error);
    LEAT_ASSERT(fault == LEAT_BODY_OK || error.message[0]);
    LEAT_ASSERT(leat_body_parse(parser, route, op, json, &key, &second, &error) == fault);
    if (fault == LEAT_BODY_OK) {
        put_all(route, &first, &one);
        put_all(route, &second, &two);
        LEAT_ASSERT(first.present == second.present && one.size == two.size);
        LEAT_ASSERT(one.size == 0 || memcmp(one.data, two.data, one.size) == 0);
        check_accepted(fold, route, op, &first);
        check_borrowed(route, op, json, &key, &first);
    }
    leat_buf_free(&one);
    leat_buf_free(&two);
    leat_fold_free(fold);
    leat_body_parser_free(parser);
    return 0;
}
