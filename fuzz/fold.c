/*
 * fold.c - records to one row, a line each: P{...} PATCH, U{...} PUT, D DELETE. Folded as far as
 * the fold goes they leave what they leave one by one, by the naive model.
 */
#include <stdlib.h>
#include <string.h>

#include "../tests/property/record/row_model.h"
#include "tables.h"
#include "target.h"

static const fuzz_column columns[] = {
    {"id", LEAT_TYPE_INT4, -1, true, NULL, LEAT_OP_SET},
    {"n", LEAT_TYPE_INT8, -1, false, "5", LEAT_OP_ADD},
    {"s", LEAT_TYPE_INT2, -1, true, "3", LEAT_OP_ADD},
    {"hi", LEAT_TYPE_INT4, -1, false, NULL, LEAT_OP_MAX},
    {"lo", LEAT_TYPE_TEXT, -1, false, NULL, LEAT_OP_MIN},
    {"f", LEAT_TYPE_FLOAT8, -1, false, NULL, LEAT_OP_ADD},
    {"l", LEAT_TYPE_JSONB, -1, false, NULL, LEAT_OP_APPEND},
    {"p", LEAT_TYPE_JSONB, -1, false, "{\"a\":1}", LEAT_OP_MERGE},
    {"t", LEAT_TYPE_TEXT, -1, false, NULL, LEAT_OP_SET},
};

enum { COLUMN_COUNT = sizeof columns / sizeof *columns, RECORDS_MAX = 24 };

typedef struct one_record {
    leat_route_op op;
    leat_body body;
} one_record;

/* False: the line is not a record that the route takes. */
static bool read_record(leat_body_parser *parser, const leat_route *route, leat_slice line,
                        one_record *ret)
{
    leat_value key = {.presence = LEAT_PRESENT, .integer = 1};
    leat_body_error error;
    if (line.size == 0)
        return false;
    ret->op = line.data[0] == 'D' ? LEAT_DELETE : line.data[0] == 'U' ? LEAT_PUT : LEAT_PATCH;
    ret->body.present = 0;
    leat_slice json = {line.data + 1, line.size - 1};
    return ret->op == LEAT_DELETE ||
           leat_body_parse(parser, route, ret->op, json, &key, &ret->body, &error) == LEAT_BODY_OK;
}

static leat_row_write write_of(leat_fold *fold, const leat_route *route, const one_record *record,
                               leat_value *values)
{
    leat_row_write write = {.values = values};
    LEAT_ASSERT(leat_fold_start(fold, route, record->op, &record->body, &write) == 0);
    return write;
}

static void apply_folded(leat_fold *fold, const leat_route *route, const char *const *defaults,
                         const one_record *records, uint32_t count, model_row *row)
{
    static leat_value values[LEAT_COLUMNS_MAX], next_values[LEAT_COLUMNS_MAX];
    leat_row_write write = write_of(fold, route, &records[0], values);
    for (uint32_t i = 1; i < count; i++) {
        leat_row_write next = write_of(fold, route, &records[i], next_values);
        leat_fold_outcome folded = leat_fold_next(fold, route, &write, &next);
        LEAT_ASSERT(folded != LEAT_FOLD_MEMORY);
        if (folded == LEAT_FOLD_DONE)
            continue;
        LEAT_ASSERT(row_model_apply_write(row, route, defaults, &write));
        write = write_of(fold, route, &records[i], values);
    }
    LEAT_ASSERT(row_model_apply_write(row, route, defaults, &write));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static leat_route made;
    const leat_route *route = &made;
    static const char *defaults[COLUMN_COUNT];
    static one_record records[RECORDS_MAX];
    if (!made.table)
        fuzz_route("/t/{id}", columns, COLUMN_COUNT, 1, &made);
    for (uint32_t i = 0; i < COLUMN_COUNT; i++)
        defaults[i] = columns[i].default_text;
    leat_body_parser *parser = leat_body_parser_new();
    leat_fold *fold = leat_fold_new();
    model_row single = {0}, folded = {0};
    fuzz_bytes bytes = {data, size};
    uint32_t count = 0;
    while (bytes.size > 0 && count < RECORDS_MAX)
        if (read_record(parser, route, fuzz_until(&bytes, '\n'), &records[count]) &&
            row_model_apply(&single, route, defaults, records[count].op, &records[count].body))
            count++;
    if (count > 0)
        apply_folded(fold, route, defaults, records, count, &folded);
    LEAT_ASSERT(model_row_difference(&single, &folded) < 0);
    model_row_clear(&single);
    model_row_clear(&folded);
    leat_fold_free(fold);
    leat_body_parser_free(parser);
    return 0;
}
