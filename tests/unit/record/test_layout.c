#include "fixture.h"
#include "record/route.h"

static const char *const names[] = {"a", "b", "c"};
static leat_layout layout;

START_TEST(an_even_layout_gives_each_partition_one_shard)
{
    for (uint32_t shards = 1; shards <= 3; shards++) {
        for (uint32_t partitions = shards; partitions < 20; partitions++) {
            uint32_t counts[3] = {0};
            leat_layout_even(&layout, partitions, shards, names);
            for (uint32_t i = 0; i < partitions; i++)
                counts[leat_layout_shard_of_partition(&layout, i)]++;
            for (uint32_t i = 0; i < shards; i++) {
                ck_assert_uint_eq(counts[i], layout.shards[i].count);
                ck_assert_uint_ge(counts[i], partitions / shards);
                ck_assert_uint_le(counts[i], partitions / shards + 1);
                ck_assert_str_eq(layout.shards[i].name, names[i]);
            }
        }
    }
}
END_TEST

START_TEST(an_even_layout_shares_the_slots)
{
    uint32_t counts[3] = {0};
    leat_layout_even(&layout, 6, 3, names);
    for (uint32_t slot = 0; slot < LEAT_TENANT_SLOTS; slot++)
        counts[layout.tenant_slots[slot]]++;
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_uint_ge(counts[i], LEAT_TENANT_SLOTS / 3);
}
END_TEST

static leat_key decode(const leat_route *route, const char *text)
{
    leat_key key;
    leat_error error = {""};
    ck_assert_msg(leat_key_decode(route, leat_slice_of(text), &key, &error) == 0, "%s", error.text);
    return key;
}

START_TEST(a_key_goes_to_its_tenants_shard)
{
    leat_table table = fixture_table();
    leat_route route = fixture_route(&table, "/{app_id}/{device}");
    leat_layout_even(&layout, 7, 3, names);
    bool seen[7] = {false};
    for (int i = 0; i < 500; i++) {
        char text[64];
        route.tenant_key_position = 0;
        snprintf(text, sizeof text, "%d/device%d", i / 5, i);
        leat_key key = decode(&route, text);
        char tenant[16];
        snprintf(tenant, sizeof tenant, "%d", i / 5);
        uint32_t shard = layout.tenant_slots[leat_hash(leat_slice_of(tenant)) % LEAT_TENANT_SLOTS];
        uint32_t partition = leat_layout_partition_of_key(&layout, &route, &key);
        ck_assert_uint_eq(leat_layout_shard_of_key(&layout, &route, &key), shard);
        ck_assert_uint_eq(leat_layout_shard_of_canonical(&layout, &route, leat_slice_of(text)),
                          shard);
        ck_assert_uint_eq(leat_layout_shard_of_partition(&layout, partition), shard);
        seen[partition] = true;
    }
    for (uint32_t i = 0; i < 7; i++)
        ck_assert(seen[i]);
    leat_table_fini(&table);
}
END_TEST

START_TEST(the_last_part_can_be_the_tenant)
{
    leat_table table = fixture_table();
    leat_route route = fixture_route(&table, "/{app_id}/{device}");
    leat_layout_even(&layout, 7, 3, names);
    route.tenant_key_position = 1;
    leat_key key = decode(&route, "7/a%20b");
    ck_assert_uint_eq(leat_layout_shard_of_key(&layout, &route, &key),
                      layout.tenant_slots[leat_hash(LEAT_SLICE("a%20b")) % LEAT_TENANT_SLOTS]);
    leat_table_fini(&table);
}
END_TEST

START_TEST(without_a_tenant_there_is_one_shard)
{
    leat_table table = fixture_table();
    leat_route route = fixture_route(&table, "/{app_id}/{device}");
    leat_layout_even(&layout, 2, 1, names);
    leat_key key = decode(&route, "7/abc");
    ck_assert_uint_eq(leat_layout_shard_of_key(&layout, &route, &key), 0);
    ck_assert_uint_eq(leat_layout_partition_of_key(&layout, &route, &key), (key.hash >> 32) % 2);
    leat_table_fini(&table);
}
END_TEST

/* Published numbers: producers of other make compute them too, and records are placed by them for
 * ever. */
START_TEST(placement_never_changes)
{
    ck_assert_uint_eq(leat_hash(LEAT_SLICE("")), UINT64_C(0x2d06800538d394c2));
    leat_placement placement = {.version = 1, .subpartitions = 64, .tenant_position = -1};
    leat_slice key = LEAT_SLICE("7/abc");
    ck_assert_uint_eq(leat_placement_subpartition(&placement, key, leat_hash(key)),
                      leat_hash(key) % 64);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record/layout");
    TCase *tests = tcase_create("layout");
    suite_add_tcase(suite, tests);
    tcase_add_test(tests, an_even_layout_gives_each_partition_one_shard);
    tcase_add_test(tests, an_even_layout_shares_the_slots);
    tcase_add_test(tests, a_key_goes_to_its_tenants_shard);
    tcase_add_test(tests, the_last_part_can_be_the_tenant);
    tcase_add_test(tests, without_a_tenant_there_is_one_shard);
    tcase_add_test(tests, placement_never_changes);
    return fixture_run(suite);
}
