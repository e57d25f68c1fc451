#include "engine/ready.h"
#include "story.h"

enum { QUEUES = 6 };

static leat_queue queues[QUEUES];
static leat_tenant tenants[LEAT_TENANTS_MAX + 1];
static leat_pairing_node nodes[LEAT_TENANTS_MAX + 1], ages[QUEUES];
static uint16_t buckets[LEAT_TENANT_BUCKETS];
static leat_ready ready;

static void begin(void)
{
    for (uint32_t i = 0; i < QUEUES; i++)
        leat_queue_init(&queues[i]);
    memset(tenants, 0, sizeof tenants);
    memset(buckets, 0, sizeof buckets);
    leat_tenants_init(&ready.tenants, tenants, nodes, buckets);
    leat_ready_init(&ready, ages);
}

static void add_of(uint64_t tenant, uint32_t id, uint32_t depth, int64_t head_us)
{
    queues[id].count = depth;
    leat_ready_add(&ready, queues, id, &(leat_record_slot){.read_us = head_us, .tenant = tenant},
                   0);
    leat_ready_validate(&ready, queues);
}

static void add(uint32_t id, uint32_t depth, int64_t head_us)
{
    add_of(0, id, depth, head_us);
}

static uint32_t take_of(uint64_t tenant, int64_t overdue_us)
{
    uint32_t at = leat_tenants_find(&ready.tenants, tenant);
    if (tenants[at].ready == 0)
        return LEAT_INDEX_NONE;
    uint32_t id = leat_ready_first(&ready, at, overdue_us);
    leat_ready_remove(&ready, queues, id, 0);
    leat_ready_validate(&ready, queues);
    return id;
}

static uint32_t take(int64_t overdue_us)
{
    return take_of(0, overdue_us);
}

START_TEST(overdue_by_age_then_by_depth)
{
    begin();
    ck_assert_uint_eq(take(0), LEAT_INDEX_NONE);
    add(0, 1, 30);
    add(1, 100, 50);
    add(2, 9, 60);
    add(3, 10, 20);
    ck_assert_uint_eq(take(31), 3);
    ck_assert_uint_eq(take(31), 0);
    ck_assert_uint_eq(take(31), 1);
    ck_assert_uint_eq(take(31), 2);
    ck_assert_uint_eq(take(31), LEAT_INDEX_NONE);
}
END_TEST

START_TEST(age_and_depth_count_inside_a_tenant)
{
    begin();
    add_of(7, 0, 1, 10);
    add_of(7, 1, 100, 20);
    add_of(8, 2, 1, 90);
    add_of(8, 3, 2, 95);
    ck_assert_uint_eq(take_of(8, 50), 3);
    ck_assert_uint_eq(take_of(7, 50), 0);
    ck_assert_uint_eq(take_of(7, 50), 1);
    ck_assert_uint_eq(take_of(7, 50), LEAT_INDEX_NONE);
    ck_assert_uint_eq(take_of(8, 91), 2);
}
END_TEST

START_TEST(a_queue_that_grows_moves_up)
{
    begin();
    add(0, 4, 1);
    add(1, 3, 2);
    for (uint32_t i = 0; i < 5; i++) {
        queues[1].count++;
        leat_ready_deepened(&ready, queues, 1);
        leat_ready_validate(&ready, queues);
    }
    ck_assert_uint_eq(take(0), 1);
}
END_TEST

START_TEST(those_that_run_alone_are_kept_apart)
{
    begin();
    queues[4].retry.alone = true;
    queues[5].retry.alone = true;
    add(5, 50, 1);
    add(4, 50, 0);
    add(0, 1, 2);
    ck_assert_uint_eq(leat_ready_first_alone(&ready), 5);
    ck_assert_uint_eq(take(100), 0);
    ck_assert_uint_eq(take(100), LEAT_INDEX_NONE);
    leat_ready_remove(&ready, queues, 5, 0);
    ck_assert_uint_eq(leat_ready_first_alone(&ready), 4);
}
END_TEST

/* One that waits for a locked row ends none, and may do so for hours. */
START_TEST(who_has_had_the_fewest_trials_is_tried_first)
{
    static const uint8_t unknowns[] = {4, 2, 2, 2}, put_off[] = {0, 0, 1, 0};
    begin();
    for (uint32_t id = 0; id < 4; id++) {
        queues[id].narrow.unknowns = unknowns[id];
        queues[id].narrow.put_off = put_off[id];
        add(id, 1, (int64_t)id);
    }
    static const uint32_t order[] = {1, 3, 2, 0, LEAT_INDEX_NONE};
    for (uint32_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(leat_ready_first_trial(&ready, queues), order[i]);
        if (order[i] != LEAT_INDEX_NONE)
            leat_ready_remove(&ready, queues, order[i], 0);
    }
}
END_TEST

STORY_MAIN("ready", overdue_by_age_then_by_depth, age_and_depth_count_inside_a_tenant,
           a_queue_that_grows_moves_up, those_that_run_alone_are_kept_apart,
           who_has_had_the_fewest_trials_is_tried_first)
