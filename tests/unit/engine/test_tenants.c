/* Who is next, and who has a place. */
#include "engine/tenants.h"
#include "story.h"

static leat_tenant at[LEAT_TENANTS_MAX + 1];
static leat_pairing_node nodes[LEAT_TENANTS_MAX + 1];
static uint16_t buckets[LEAT_TENANT_BUCKETS];
static leat_tenants tenants;

static void begin(void)
{
    memset(at, 0, sizeof at);
    memset(buckets, 0, sizeof buckets);
    leat_tenants_init(&tenants, at, nodes, buckets);
}

static uint32_t ready(uint64_t tenant, int64_t now_us)
{
    uint32_t place = leat_tenants_take(&tenants, tenant);
    leat_tenants_ready(&tenants, place, 0, now_us);
    leat_tenants_validate(&tenants);
    return place;
}

static uint32_t first(void)
{
    return tenants.first[at[LEAT_TENANT_OTHERS].class];
}

START_TEST(who_was_served_least_is_next)
{
    begin();
    uint32_t a = ready(1, 0), b = ready(2, 0), c = ready(3, 0);
    ck_assert_uint_eq(first(), a);
    leat_tenants_serve(&tenants, a, 30000);
    leat_tenants_serve(&tenants, b, 20000);
    ck_assert_uint_eq(first(), c);
    leat_tenants_serve(&tenants, c, 25000);
    ck_assert_uint_eq(first(), b);
    leat_tenants_serve(&tenants, a, -20000);
    ck_assert_uint_eq(first(), a);
    leat_tenants_validate(&tenants);
}
END_TEST

START_TEST(of_those_that_were_served_alike_the_one_is_next_whose_record_has_waited_longest)
{
    begin();
    uint32_t a = leat_tenants_take(&tenants, 1), b = leat_tenants_take(&tenants, 2);
    leat_tenants_ready(&tenants, a, 50, 0);
    leat_tenants_ready(&tenants, b, 40, 0);
    ck_assert_uint_eq(first(), b);
    leat_tenants_serve(&tenants, b, LEAT_TENANT_EVEN_US - 1);
    ck_assert_uint_eq(first(), b);
    leat_tenants_ready(&tenants, a, 30, 0);
    ck_assert_uint_eq(first(), a);
    leat_tenants_quiet(&tenants, a, 50, 0);
    ck_assert_uint_eq(first(), b);
    leat_tenants_serve(&tenants, b, 1);
    ck_assert_uint_eq(first(), a);
    leat_tenants_serve(&tenants, a, -1);
    ck_assert_uint_eq(first(), a);
    leat_tenants_validate(&tenants);
}
END_TEST

START_TEST(who_comes_back_starts_where_the_others_are)
{
    begin();
    uint32_t a = ready(1, 0), b = ready(2, 0);
    leat_tenants_quiet(&tenants, b, 0, 0);
    leat_tenants_serve(&tenants, a, 1000000);
    leat_tenants_lead(&tenants, a);
    leat_tenants_ready(&tenants, b, 0, 10);
    ck_assert_int_eq(at[b].served_us, 1000000);
}
END_TEST

START_TEST(a_debt_outlives_a_pause_and_decays)
{
    begin();
    uint32_t a = ready(1, 0);
    leat_tenants_serve(&tenants, a, 800000);
    leat_tenants_quiet(&tenants, a, 0, 0);
    leat_tenants_ready(&tenants, a, 0, 1000);
    ck_assert_int_eq(at[a].served_us, 800000);
    leat_tenants_quiet(&tenants, a, 0, 1000);
    leat_tenants_ready(&tenants, a, 0, 2001000);
    ck_assert_int_eq(at[a].served_us, 200000);
    leat_tenants_quiet(&tenants, a, 0, 2001000);
    leat_tenants_ready(&tenants, a, 0, INT64_C(100000000));
    ck_assert_int_eq(at[a].served_us, 0);
}
END_TEST

START_TEST(debt_and_credit_are_bounded)
{
    begin();
    uint32_t a = ready(1, 0);
    leat_tenants_serve(&tenants, a, 1e9);
    ck_assert_int_eq(at[a].served_us, LEAT_TENANT_DEBT_MAX_US);
    leat_tenants_lead(&tenants, a);
    uint32_t b = ready(2, 0);
    leat_tenants_serve(&tenants, b, -1e9);
    ck_assert_int_eq(at[b].served_us, LEAT_TENANT_DEBT_MAX_US - LEAT_TENANT_BEHIND_MAX_US);
    leat_tenants_validate(&tenants);
}
END_TEST

START_TEST(a_full_table_gives_up_one_without_work_and_without_debt)
{
    begin();
    uint32_t debtor = leat_tenants_take(&tenants, 1);
    leat_tenants_serve(&tenants, debtor, 1000);
    uint32_t busy = ready(2, 0);
    for (uint64_t i = 3; i <= LEAT_TENANTS_MAX; i++)
        leat_tenants_take(&tenants, i);
    leat_tenants_validate(&tenants);
    uint32_t place = leat_tenants_take(&tenants, 100000);
    ck_assert_uint_ne(place, LEAT_TENANT_OTHERS);
    ck_assert_uint_eq(leat_tenants_find(&tenants, 1), debtor);
    ck_assert_uint_eq(leat_tenants_find(&tenants, 2), busy);
    ck_assert_uint_eq(leat_tenants_find(&tenants, 100000), place);
    for (uint64_t i = 0; i < 20000; i++)
        leat_tenants_take(&tenants, 200000 + i);
    ck_assert_uint_eq(leat_tenants_find(&tenants, 2), busy);
    leat_tenants_validate(&tenants);
}
END_TEST

START_TEST(without_room_a_tenant_counts_as_one_of_the_others)
{
    begin();
    for (uint64_t i = 1; i <= LEAT_TENANTS_MAX; i++)
        leat_tenants_ready(&tenants, leat_tenants_take(&tenants, i), 0, 0);
    ck_assert_uint_eq(leat_tenants_take(&tenants, 100000), LEAT_TENANT_OTHERS);
    leat_tenants_validate(&tenants);
}
END_TEST

START_TEST(a_tenant_that_becomes_expensive_changes_its_class)
{
    begin();
    uint32_t a = ready(1, 0), b = ready(2, 0);
    uint8_t before = at[a].class;
    leat_tenants_set_cost(&tenants, a, 50000);
    ck_assert_uint_ne(at[a].class, before);
    ck_assert_uint_eq(first(), b);
    ck_assert_uint_eq(tenants.first[at[a].class], a);
    leat_tenants_validate(&tenants);
}
END_TEST

STORY_MAIN("tenants", who_was_served_least_is_next,
           of_those_that_were_served_alike_the_one_is_next_whose_record_has_waited_longest,
           who_comes_back_starts_where_the_others_are, a_debt_outlives_a_pause_and_decays,
           debt_and_credit_are_bounded, a_full_table_gives_up_one_without_work_and_without_debt,
           without_room_a_tenant_counts_as_one_of_the_others,
           a_tenant_that_becomes_expensive_changes_its_class)
