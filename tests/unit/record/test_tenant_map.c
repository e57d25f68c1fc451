/* The tenants that have their shard by an entry: found again whatever their number and order. */
#include "fixture.h"
#include "record/route.h"

#include <inttypes.h>

static leat_slice name_of(uint32_t number, char room[32])
{
    int size = snprintf(room, 32, "t%" PRIu32, number * 2654435761u);
    return (leat_slice){room, (size_t)size};
}

START_TEST(every_tenant_is_found_again)
{
    enum { COUNT = 20000 };
    char room[32];
    leat_error error;
    leat_tenant_map *map = leat_tenant_map_new(), *turned = leat_tenant_map_new();
    ck_assert_uint_eq(leat_tenant_map_digest(map), 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        ck_assert_int_eq(leat_tenant_map_add(map, name_of(i, room), i % 3, &error), 0);
        ck_assert_int_eq(
            leat_tenant_map_add(turned, name_of(COUNT - 1 - i, room), (COUNT - 1 - i) % 3, &error),
            0);
    }
    ck_assert_uint_eq(leat_tenant_map_count(map), COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t shard;
        ck_assert_int_eq(leat_tenant_map_find(map, name_of(i, room)), i % 3);
        ck_assert(leat_slice_equal(leat_tenant_map_at(map, i, &shard), name_of(i, room)));
        ck_assert_uint_eq(shard, i % 3);
        ck_assert_int_eq(leat_tenant_map_find(map, name_of(COUNT + i, room)), -1);
    }
    ck_assert_uint_eq(leat_tenant_map_digest(map), leat_tenant_map_digest(turned));
    leat_tenant_map_free(map);
    leat_tenant_map_free(turned);
}
END_TEST

START_TEST(a_tenant_has_one_shard)
{
    leat_error error;
    leat_tenant_map *map = leat_tenant_map_new(), *other = leat_tenant_map_new();
    ck_assert_int_eq(leat_tenant_map_add(map, LEAT_SLICE("a"), 1, &error), 0);
    ck_assert_int_eq(leat_tenant_map_add(map, LEAT_SLICE("a"), 2, &error), 1);
    ck_assert_int_eq(leat_tenant_map_find(map, LEAT_SLICE("a")), 1);
    ck_assert_int_eq(leat_tenant_map_add(other, LEAT_SLICE("a"), 2, &error), 0);
    ck_assert_uint_ne(leat_tenant_map_digest(map), leat_tenant_map_digest(other));
    leat_tenant_map_free(map);
    leat_tenant_map_free(other);
    leat_tenant_map_free(NULL);
}
END_TEST

START_TEST(there_is_a_bound)
{
    leat_error error = {""};
    leat_tenant_map *map = leat_tenant_map_new();
    for (uint32_t i = 0; i < LEAT_TENANT_MAP_MAX; i++)
        if (leat_tenant_map_add(map, (leat_slice){(const char *)&i, sizeof i}, 0, &error) != 0)
            ck_abort_msg("%" PRIu32 ": %s", i, error.text);
    ck_assert_int_eq(leat_tenant_map_add(map, LEAT_SLICE("x"), 0, &error), -1);
    ck_assert_ptr_nonnull(strstr(error.text, "more than"));
    ck_assert_int_eq(leat_tenant_map_add(map, (leat_slice){"\0\0\0", 4}, 0, &error), 1);
    leat_tenant_map_free(map);
}
END_TEST

START_TEST(an_entry_wins_over_the_hash)
{
    static const char *const names[] = {"a", "b"};
    leat_layout layout;
    leat_error error;
    leat_tenant_map *map = leat_tenant_map_new();
    leat_layout_even(&layout, 4, 2, names);
    leat_slice tenant = LEAT_SLICE("a%20b");
    uint32_t by_hash = leat_layout_shard_of_tenant(&layout, tenant);
    ck_assert_uint_eq(by_hash, layout.tenant_slots[leat_hash(tenant) % LEAT_TENANT_SLOTS]);
    ck_assert_int_eq(leat_tenant_map_add(map, tenant, 1 - by_hash, &error), 0);
    leat_layout_take_tenants(&layout, map);
    ck_assert_uint_eq(leat_layout_shard_of_tenant(&layout, tenant), 1 - by_hash);
    ck_assert_uint_eq(leat_layout_shard_of_tenant(&layout, LEAT_SLICE("c")),
                      layout.tenant_slots[leat_hash(LEAT_SLICE("c")) % LEAT_TENANT_SLOTS]);
    leat_layout_take_tenants(&layout, NULL);
    ck_assert_uint_eq(leat_layout_shard_of_tenant(&layout, tenant), by_hash);
    leat_tenant_map_free(map);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/tenant_map");
    TCase *tests = tcase_create("map");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, every_tenant_is_found_again);
    tcase_add_test(tests, a_tenant_has_one_shard);
    tcase_add_test(tests, there_is_a_bound);
    tcase_add_test(tests, an_entry_wins_over_the_hash);
    return fixture_run(suite);
}
