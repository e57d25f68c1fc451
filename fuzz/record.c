/*
 * record.c - a record of the log, as a foreign producer may write it: route, op, key and value, a
 * line each. A key that is taken has one canonical form, which decodes to itself and to the same
 * hash.
 */
#include <stdlib.h>
#include <string.h>

#include "record/item.h"
#include "tables.h"
#include "target.h"

static const fuzz_column columns[] = {
    {"app", LEAT_TYPE_TEXT, 10 + 4, true, NULL, LEAT_OP_SET},
    {"id", LEAT_TYPE_INT4, -1, true, NULL, LEAT_OP_SET},
    {"flag", LEAT_TYPE_BOOL, -1, true, NULL, LEAT_OP_SET},
    {"uuid", LEAT_TYPE_UUID, -1, true, NULL, LEAT_OP_SET},
    {"day", LEAT_TYPE_DATE, -1, true, NULL, LEAT_OP_SET},
    {"at", LEAT_TYPE_TIMESTAMPTZ, -1, true, NULL, LEAT_OP_SET},
    {"raw", LEAT_TYPE_BYTEA, -1, true, NULL, LEAT_OP_SET},
    {"n", LEAT_TYPE_INT8, -1, false, NULL, LEAT_OP_ADD},
};

static void decode(const leat_routes *routes, const leat_layout *layout, const leat_record *record,
                   leat_item *ret)
{
    *ret = (leat_item){.record = *record};
    static const leat_placement placement = {
        .version = 1, .subpartitions = 64, .tenant_position = -1};
    LEAT_ASSERT(leat_item_decode(routes, &placement, ret) == 0);
    LEAT_ASSERT(ret->subpartition < placement.subpartitions);
    LEAT_ASSERT((ret->route == NULL) == (ret->fault != NULL));
    LEAT_ASSERT(leat_item_check_place(layout, ret) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static leat_routes routes;
    static leat_layout layout;
    static const char *const names[] = {"a", "b"};
    if (routes.count == 0) {
        fuzz_route("/a/{app}/{id}/{flag}/{uuid}/{day}/{at}/{raw}", columns, 8, 7,
                   &routes.routes[0]);
        routes.routes[0].tenant_key_position = 0;
        fuzz_route("/b/{app}", columns, 1, 1, &routes.routes[1]);
        routes.routes[1].index = 1;
        memcpy(routes.routes[1].name, "b", 2);
        routes.count = 2;
        leat_layout_even(&layout, 4, 2, names);
    }
    fuzz_bytes bytes = {data, size};
    leat_record record = {.route = fuzz_until(&bytes, '\n'), .op = fuzz_until(&bytes, '\n')};
    record.key = fuzz_until(&bytes, '\n');
    record.value = (leat_slice){(const char *)bytes.data, bytes.size};
    leat_item first, second;
    decode(&routes, &layout, &record, &first);
    if (first.route) {
        record.key = first.canonical_key;
        decode(&routes, &layout, &record, &second);
        LEAT_ASSERT(second.route == first.route && second.hash == first.hash &&
                    second.op == first.op);
        LEAT_ASSERT(leat_slice_equal(second.canonical_key, first.canonical_key));
        for (uint32_t i = 0; i < first.route->table->key_count; i++)
            LEAT_ASSERT(leat_value_equal(first.route->table->columns[i].type, &first.key[i],
                                         &second.key[i]));
        leat_item_clear(&second);
    }
    leat_item_clear(&first);
    return 0;
}
