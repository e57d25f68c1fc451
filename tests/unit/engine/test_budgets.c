#include "engine/budgets.h"
#include "story.h"

static const leat_holding max = {.bytes = 1000, .records = 100};

START_TEST(one_partition_may_have_it_all)
{
    leat_budgets budgets;
    leat_holding shard = {0}, partition = {0};
    leat_budgets_init(&budgets, max, 1, 1);
    for (int i = 0; i < 10; i++) {
        ck_assert_uint_gt(leat_budgets_admit(&budgets, &shard, &partition, 100), 0);
        leat_budgets_add(&budgets, &shard, &partition, 100);
    }
    ck_assert_uint_eq(leat_budgets_admit(&budgets, &shard, &partition, 1), 0);
    leat_budgets_remove(&budgets, &shard, &partition, 4, 400);
    ck_assert_uint_gt(leat_budgets_admit(&budgets, &shard, &partition, 1), 0);
    ck_assert(!leat_budgets_roomy(&budgets, &shard, &partition, 1));
    leat_budgets_remove(&budgets, &shard, &partition, 1, 100);
    ck_assert(leat_budgets_roomy(&budgets, &shard, &partition, 1));
}
END_TEST

START_TEST(however_many_are_stuck_there_is_room_for_one_more)
{
    leat_budgets budgets;
    leat_holding shard = {0}, partitions[20] = {{0}};
    leat_budgets_init(&budgets, (leat_holding){100000, 10000}, 1, 20);
    for (int i = 0; i < 20; i++) {
        uint32_t got = 0;
        while (leat_budgets_admit(&budgets, &shard, &partitions[i], 10)) {
            leat_budgets_add(&budgets, &shard, &partitions[i], 10);
            got++;
        }
        ck_assert_uint_gt(got, 0);
        if (i > 4)
            break;
    }
}
END_TEST

START_TEST(one_shard_of_several_has_half)
{
    leat_budgets budgets;
    leat_holding dead = {0}, alive = {0}, partitions[9] = {{0}};
    leat_budgets_init(&budgets, max, 2, 9);
    for (int i = 0; i < 8; i++) {
        while (leat_budgets_admit(&budgets, &dead, &partitions[i], 10))
            leat_budgets_add(&budgets, &dead, &partitions[i], 10);
    }
    ck_assert_uint_le(dead.bytes, 500);
    ck_assert_uint_le(dead.records, 50);
    ck_assert_uint_gt(leat_budgets_admit(&budgets, &alive, &partitions[8], 400), 0);
}
END_TEST

START_TEST(one_partition_alone_gets_what_is_said)
{
    for (uint32_t shards = 1; shards <= 2; shards++) {
        leat_budgets budgets;
        leat_holding shard = {0}, partition = {0};
        leat_budgets_init(&budgets, max, shards, shards);
        while (leat_budgets_admit(&budgets, &shard, &partition, 1))
            leat_budgets_add(&budgets, &shard, &partition, 1);
        ck_assert_uint_eq(leat_budgets_alone(&budgets).records, partition.records);
    }
}
END_TEST

START_TEST(with_nothing_held_any_size_is_admitted)
{
    leat_budgets budgets;
    leat_holding shard = {0}, partition = {0};
    leat_budgets_init(&budgets, max, 2, 2);
    ck_assert_uint_gt(leat_budgets_admit(&budgets, &shard, &partition, 50000), 0);
    ck_assert(leat_budgets_roomy(&budgets, &shard, &partition, 50000));
    leat_budgets_add(&budgets, &shard, &partition, 50000);
    ck_assert_uint_eq(leat_budgets_admit(&budgets, &shard, &partition, 1), 0);
}
END_TEST

START_TEST(the_last_one_that_fits_is_known_as_such)
{
    for (uint32_t partition_count = 1; partition_count <= 2; partition_count++) {
        for (uint32_t bytes = 1; bytes < 1200; bytes += 7) {
            leat_budgets budgets;
            leat_holding shard = {0}, partition = {0};
            leat_budgets_init(&budgets, max, 1, partition_count);
            uint32_t fits = leat_budgets_admit(&budgets, &shard, &partition, bytes);
            ck_assert_uint_gt(fits, 0);
            while (fits > 0) {
                leat_budgets_add(&budgets, &shard, &partition, bytes);
                uint32_t next = leat_budgets_admit(&budgets, &shard, &partition, bytes);
                ck_assert_int_eq(fits == 2, next > 0);
                fits = next;
            }
        }
    }
}
END_TEST

STORY_MAIN("budgets", one_partition_may_have_it_all,
           however_many_are_stuck_there_is_room_for_one_more, one_shard_of_several_has_half,
           one_partition_alone_gets_what_is_said, with_nothing_held_any_size_is_admitted,
           the_last_one_that_fits_is_known_as_such)
