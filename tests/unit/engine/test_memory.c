/* Limits, and memory taken once. */
#include "story.h"

START_TEST(limits_make_an_engine)
{
    story s;
    story_begin(&s, 4);
    story_start(&s);
    ck_assert_int_eq(leat_engine_deadline(s.engine), INT64_MAX);
    ck_assert_int_eq(story_view(&s, 3).state, LEAT_ENGINE_UNASSIGNED);
    story_end(&s);
    leat_engine_free(NULL);
}
END_TEST

static void refused(const leat_engine_config *config, const char *word)
{
    leat_error error;
    ck_assert_ptr_null(leat_engine_new(config, &error));
    ck_assert_msg(strstr(error.text, word) != NULL, "%s", error.text);
}

START_TEST(a_limit_that_makes_no_sense_is_named)
{
    story s;
    story_begin(&s, 2);
#define REFUSED(field, value)                                                                      \
    do {                                                                                           \
        leat_engine_config config = s.config;                                                      \
        config.field = value;                                                                      \
        refused(&config, #field);                                                                  \
    } while (0)
    REFUSED(partition_count, 0);
    REFUSED(shard_count, 0);
    REFUSED(jobs_max, 0);
    REFUSED(records_max, 0);
    REFUSED(bytes_max, 0);
    REFUSED(batch_records_max, 0);
    REFUSED(batch_bytes_max, 0);
    REFUSED(table_count, 0);
    REFUSED(patience_us, -1);
    REFUSED(dead_letters_percent, 101);
    REFUSED(drain_us, 0);
    REFUSED(reclaim_min_us, -1);
    REFUSED(retry_max_us, 1);
#undef REFUSED
    s.shard_of[1] = 1;
    refused(&s.config, "shard_of[1]");
}
END_TEST

static uint32_t held_by_one_partition(uint32_t partitions, uint32_t records_max)
{
    story s;
    story_begin(&s, partitions);
    s.config.records_max = records_max;
    story_reading(&s, 1);
    uint32_t count = 0;
    while (story_read_sized(&s, 0, count % 64, count, 10) == LEAT_ENGINE_TAKEN)
        count++;
    ck_assert_uint_eq(story_view(&s, 0).records, count);
    story_end(&s);
    return count;
}

START_TEST(one_partition_holds_all_the_records_or_half_of_them_beside_others)
{
    ck_assert_uint_eq(held_by_one_partition(1, 50000), 50000);
    ck_assert_uint_eq(held_by_one_partition(2, 50000), 25000);
}
END_TEST

STORY_MAIN("memory", limits_make_an_engine, a_limit_that_makes_no_sense_is_named,
           one_partition_holds_all_the_records_or_half_of_them_beside_others)
