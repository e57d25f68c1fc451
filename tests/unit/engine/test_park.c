/* What is parked, and when; and how it comes back. */
#include "record/item.h"
#include "story.h"

#define SECOND INT64_C(1000000)

static const uint64_t room_to_park[] = {1000000};

static void park_begin(story *s, uint32_t partitions)
{
    story_begin(s, partitions);
    s->config.parked_max_bytes = room_to_park;
    s->config.chunk_records_max = 4;
    s->config.park_after_us = 2 * SECOND;
    s->config.park_tail_us = 5 * SECOND;
    s->config.compact_every_us = 1000 * SECOND;
    s->config.retry_min_us = 10 * SECOND; /* one failure is enough of a stall */
    s->config.retry_max_us = 20 * SECOND;
}

/* Fails the batch in flight of the subpartition until it waits, and applies that of another one. */
static void fail_until_waiting(story *s)
{
    while (s->open_count > 0)
        story_locked(s, 0);
    s->size = 0;
}

static void others_get_through(story *s, int64_t offset)
{
    story_read(s, 0, 9, offset);
    while (s->open_count > 0 && story_job(s, 0)->kind == LEAT_ENGINE_JOB_BATCH)
        story_done(s, 0, LEAT_ENGINE_APPLIED);
    s->size = 0;
}

/* Subpartition 5 is stalled by offset 0 and holds 0 to `last`; told: nothing. */
static void stall(story *s, int64_t last)
{
    story_load(s, 0, 5, 0, last);
    story_settle(s);
    fail_until_waiting(s);
}

START_TEST(a_stalled_subpartition_is_parked_with_its_progress)
{
    story s;
    park_begin(&s, 1);
    story_reading(&s, 2);
    stall(&s, 5);
    story_pass(&s, 1900000);
    others_get_through(&s, 6);
    ck_assert_int_eq(story_view(&s, 0).low, -1);
    ck_assert_uint_eq(story_view(&s, 0).stalled_records, 6);
    story_pass(&s, 300000);
    story_told(&s, "park 0/5:0,1,2,3 0/5:4,5\n");
    const leat_engine_batch_part *part = &story_job(&s, 0)->batch.parts[0];
    ck_assert(part->count == 1 && part->offsets[0] == 5 && part->newest.offset == 5);
    ck_assert_int_eq(story_view(&s, 0).low, -1); /* not before it is known to be there */
    story_parked(&s, 0, 60);
    story_told(&s, "commit 0 at 6\n");
    leat_engine_partition_view view = story_view(&s, 0);
    ck_assert_uint_eq(view.stalled_records, 6);
    ck_assert(view.low == 6 && view.applied == -1 && view.records == 0);
    ck_assert(view.parked_subpartitions == 1 && view.parked_chunks == 2);
    ck_assert(view.parked_records == 6 && view.parked_bytes == 60 && view.parked_oldest_ms == 1000);
    ck_assert_uint_eq(leat_engine_count(s.engine)->records_parked, 6);
    story_end(&s);
}
END_TEST

/* What was deleted is kept for an old snapshot. */
START_TEST(nothing_is_parked_while_the_disk_is_full_of_what_was)
{
    const uint64_t least = LEAT_ENGINE_PARKED_SIZE_LEAST;
    story s;
    park_begin(&s, 1);
    story_reading(&s, 2);
    leat_engine_parked_size(s.engine, s.now_us, 0, 2 * least);
    stall(&s, 5);
    story_pass(&s, 1900000);
    others_get_through(&s, 6);
    story_pass(&s, 300000);
    story_told(&s, "");
    others_get_through(&s, 7);
    leat_engine_parked_size(s.engine, s.now_us, 0, 2 * least - 1);
    story_pass(&s, 200000);
    story_told(&s, "park 0/5:0,1,2,3 0/5:4,5\n"); /* what stalls */
    story_end(&s);
}
END_TEST

START_TEST(nothing_is_parked_where_nothing_gets_through)
{
    story s;
    park_begin(&s, 1);
    story_reading(&s, 2);
    stall(&s, 5);
    story_pass(&s, 3 * SECOND);
    story_told(&s, "");
    others_get_through(&s, 6);
    story_pass(&s, 200000);
    story_told(&s, "park 0/5:0,1,2,3 0/5:4,5\n");
    story_end(&s);
}
END_TEST

/* What is held keeps the partition paused, and so it could never be seen that others get through.
 */
static void fill_with_stalled(story *s, uint32_t others)
{
    park_begin(s, 1);
    s->config.records_max = 60;
    s->config.batch_records_max = 1;
    s->config.batch_bytes_max = 10;
    story_reading(s, 2);
    int64_t offset = 0;
    for (uint32_t i = 0; i < others; i++)
        story_read(s, 0, 10 + i, offset++);
    while (s->open_count > 0)
        story_done(s, 0, LEAT_ENGINE_APPLIED);
    while (story_read_sized(s, 0, 5, offset, 10) == LEAT_ENGINE_TAKEN)
        offset++;
    story_settle(s);
    ck_assert(story_view(s, 0).full);
    story_pass(s, 3 * SECOND); /* a long wait for the lock */
    fail_until_waiting(s);
}

START_TEST(what_fills_a_partition_is_parked_where_others_got_through)
{
    story s;
    fill_with_stalled(&s, 1);
    story_pass(&s, 200000);
    const leat_engine_job *job = story_job(&s, 0);
    ck_assert_int_eq(job->kind, LEAT_ENGINE_JOB_PARK);
    ck_assert_int_eq(job->batch.parts[0].subpartitions[0], 5);
    story_end(&s);
}
END_TEST

START_TEST(what_fills_a_partition_is_not_parked_where_there_are_no_others)
{
    story s;
    fill_with_stalled(&s, 0);
    story_pass(&s, 200000);
    story_told(&s, "");
    story_end(&s);
}
END_TEST

/* Of three subpartitions two fail: that looks like a table that is locked. */
START_TEST(what_fills_a_partition_is_not_parked_where_most_fail)
{
    story s;
    park_begin(&s, 1);
    s.config.records_max = 60;
    story_reading(&s, 3);
    story_read(&s, 0, 10, 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    int64_t offset = 1;
    while (story_read_sized(&s, 0, 5 + (uint32_t)offset % 2, offset, 10) == LEAT_ENGINE_TAKEN)
        offset++;
    story_settle(&s);
    ck_assert(story_view(&s, 0).full);
    story_pass(&s, 3 * SECOND);
    fail_until_waiting(&s);
    story_pass(&s, 200000);
    story_told(&s, "");
    story_end(&s);
}
END_TEST

START_TEST(without_a_limit_nothing_is_parked)
{
    story s;
    park_begin(&s, 1);
    s.config.parked_max_bytes = NULL;
    story_reading(&s, 2);
    stall(&s, 5);
    others_get_through(&s, 6);
    story_pass(&s, 3 * SECOND);
    others_get_through(&s, 7);
    story_pass(&s, 200000);
    story_told(&s, "");
    story_end(&s);
}
END_TEST

/* Subpartition 5 has chunks 0 to 3 and 4 to 5, and waits; subpartition 9 has applied 6. */
static void park_six(story *s)
{
    stall(s, 5);
    story_pass(s, 2100000);
    others_get_through(s, 6);
    while (s->open_count == 0)
        story_pass(s, 100000);
    story_parked(s, 0, 60);
    s->size = 0;
}

START_TEST(what_comes_after_chunks_is_parked_when_it_is_a_chunk_or_old)
{
    story s;
    park_begin(&s, 1);
    s.config.retry_min_us = s.config.retry_max_us = 1000 * SECOND;
    story_reading(&s, 2);
    park_six(&s);
    story_load(&s, 0, 5, 7, 9);
    others_get_through(&s, 10);
    story_pass(&s, 200000);
    story_told(&s, "");
    story_read(&s, 0, 5, 11); /* the fourth */
    story_pass(&s, 200000);
    story_told(&s, "park 0/5:7,8,9,11\n");
    story_parked(&s, 0, 40);
    s.size = 0;
    story_read(&s, 0, 5, 12);
    for (uint32_t i = 0; i < 9; i++) {
        others_get_through(&s, 13 + i);
        story_pass(&s, 500000);
    }
    story_told(&s, ""); /* not yet */
    while (s.open_count == 0) {
        others_get_through(&s, 30 + s.now_us / 100000);
        story_pass(&s, 200000);
    }
    story_told(&s, "park 0/5:12\n");
    story_end(&s);
}
END_TEST

/* Subpartition 5 goes on: its first chunk is applied, and the load of the second is in flight. Then
 * a record comes that gets old behind it, while others get through. */
static void age_behind_chunks(story *s)
{
    story_wait_for_job(s);
    story_loaded(s, 0, 0, 3, -1);
    while (story_job(s, s->open_count - 1)->kind == LEAT_ENGINE_JOB_BATCH)
        story_done(s, s->open_count - 1, LEAT_ENGINE_APPLIED);
    leat_engine_partition_view view = story_view(s, 0);
    ck_assert(s->open_count == 1 && view.stalled == 0 && view.parked_chunks == 1);
    story_read(s, 0, 5, 7);
    s->size = 0;
}

static void pass_beside_others(story *s, int64_t from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        story_read(s, 0, 9, from + i);
        story_done(s, s->open_count - 1, LEAT_ENGINE_APPLIED);
        s->told[s->size] = 0;
        ck_assert_ptr_null(strstr(s->told, "park"));
        s->size = 0;
        story_pass(s, 200000);
    }
}

/* A tail is no less than what is deep: it would let the table grow that is too large already. */
START_TEST(a_tail_of_what_goes_on_is_not_parked_while_the_disk_is_large)
{
    story s;
    park_begin(&s, 1);
    story_reading(&s, 4);
    park_six(&s);
    age_behind_chunks(&s);
    leat_engine_parked_size(s.engine, s.now_us, 0, LEAT_ENGINE_PARKED_SIZE_LEAST);
    pass_beside_others(&s, 100, 40);
    leat_engine_parked_size(s.engine, s.now_us, 0, 0);
    story_pass(&s, 200000);
    s.told[s.size] = 0;
    ck_assert_ptr_nonnull(strstr(s.told, "park 0/5:7\n"));
    story_end(&s);
}
END_TEST

START_TEST(parked_records_are_tried_first_and_in_order)
{
    story s;
    park_begin(&s, 1);
    story_reading(&s, 1);
    park_six(&s);
    story_load(&s, 0, 5, 7, 8);
    story_settle(&s);
    story_told(&s, ""); /* not before the chunks */
    story_pass(&s, 20 * SECOND);
    story_told(&s, "load 0/5 above -1\n");
    story_loaded(&s, 0, 0, 3, -1);
    story_told(&s, "unpark 0/5:0\n"); /* as few as when it failed last */
    const leat_engine_batch *batch = &story_job(&s, 0)->batch;
    ck_assert(batch->chunks_of == 5 && batch->chunk_count == 1 && batch->parts[0].count == 0);
    ck_assert(batch->parts[0].needs_count == 1); /* the park */
    ck_assert(batch->chunks[0].first_offset == 0 && batch->chunks[0].done_after == 0);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    ck_assert_int_eq(story_view(&s, 0).applied, 0);
    ck_assert_int_eq(story_view(&s, 0).low, 6);
    s.size = 0;
    for (uint32_t i = 0; i < 10 && leat_engine_count(s.engine)->records_unparked < 6; i++) {
        if (story_job(&s, 0)->kind == LEAT_ENGINE_JOB_LOAD)
            story_loaded(&s, 0, 4, 5, 3);
        else
            story_done(&s, 0, LEAT_ENGINE_APPLIED);
    }
    ck_assert_uint_eq(story_view(&s, 0).parked_records, 0);
    s.size = 0;
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "commit 0 at 8\n");
    ck_assert_int_eq(story_view(&s, 0).applied, 8);
    story_end(&s);
}
END_TEST

START_TEST(a_chunk_behind_those_that_were_given_up_is_not_the_next)
{
    story s;
    park_begin(&s, 1);
    story_reading(&s, 2);
    park_six(&s);
    story_pass(&s, 20 * SECOND);
    story_loaded(&s, 0, 0, 3, -1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_told(&s, "load 0/5 above -1\nunpark 0/5:0\nload 0/5 above 3\nunpark 0/5:1,2\n");
    while (s.open_count > 1) /* until it waits, and gives up what it has loaded */
        story_locked(&s, 1);
    s.size = 0;
    story_loaded(&s, 0, 4, 5, 3);
    story_pass(&s, 20 * SECOND);
    story_told(&s, "load 0/5 above -1\n");
    story_loaded(&s, 0, 0, 3, 0);
    story_told(&s, "unpark 0/5:1\n");
    story_end(&s);
}
END_TEST

START_TEST(a_park_that_fails_is_tried_again_and_held_against_nobody)
{
    story s;
    park_begin(&s, 1);
    story_reading(&s, 2);
    stall(&s, 5);
    story_pass(&s, 2100000);
    others_get_through(&s, 6);
    while (s.open_count == 0)
        story_pass(&s, 100000);
    s.size = 0;
    story_done(&s, 0, LEAT_ENGINE_BAD_DATA);
    story_told(&s, "not parked 0/5 at 0\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->dead_letters, 0);
    ck_assert_uint_eq(story_view(&s, 0).records, 6);
    while (s.open_count == 0 || story_job(&s, 0)->kind != LEAT_ENGINE_JOB_PARK) {
        if (s.open_count > 0)
            story_locked(&s, 0);
        others_get_through(&s, 7 + s.now_us / 100000);
        story_pass(&s, 200000);
    }
    story_end(&s);
}
END_TEST

START_TEST(an_unknown_park_is_claimed_again)
{
    story s;
    park_begin(&s, 1);
    story_reading(&s, 2);
    stall(&s, 5);
    story_pass(&s, 2100000);
    others_get_through(&s, 6);
    while (s.open_count == 0)
        story_pass(&s, 100000);
    s.size = 0;
    story_done(&s, 0, LEAT_ENGINE_UNKNOWN);
    story_told(&s, "pause 0\nclaim 0\n");
    story_end(&s);
}
END_TEST

START_TEST(a_chunk_that_is_not_there_is_claimed_again)
{
    story s;
    park_begin(&s, 1);
    story_reading(&s, 1);
    park_six(&s);
    story_pass(&s, 20 * SECOND);
    s.size = 0;
    story_done(&s, 0, LEAT_ENGINE_CHUNK_GONE);
    story_told(&s, "pause 0\nclaim 0\n");
    story_end(&s);
}
END_TEST

START_TEST(a_chunk_that_cannot_be_read_stalls_its_subpartition_alone)
{
    story s;
    park_begin(&s, 1);
    story_reading(&s, 1);
    park_six(&s);
    story_pass(&s, 20 * SECOND);
    s.size = 0;
    story_done(&s, 0, LEAT_ENGINE_NOT_UNDERSTOOD);
    story_told(&s, "not parked 0/5 at 0\n");
    ck_assert_uint_eq(leat_engine_count(s.engine)->shards_halted, 0);
    story_read(&s, 0, 9, 7);
    story_told(&s, "batch 0/9:7\n");
    leat_engine_trouble trouble;
    ck_assert_uint_eq(leat_engine_troubles(s.engine, 0, &trouble, 1), 1);
    ck_assert(trouble.outcome == LEAT_ENGINE_NOT_UNDERSTOOD && !trouble.payload);
    ck_assert(trouble.parked == 6 && trouble.offset == 0);
    story_end(&s);
}
END_TEST

START_TEST(a_partition_that_may_park_no_more_is_paused)
{
    static const uint64_t little[] = {100};
    story s;
    park_begin(&s, 1);
    s.config.parked_max_bytes = little;
    story_reading(&s, 1);
    stall(&s, 5);
    story_pass(&s, 2100000);
    others_get_through(&s, 6);
    while (s.open_count == 0)
        story_pass(&s, 100000);
    s.size = 0;
    story_parked(&s, 0, 120);
    story_told(&s, "commit 0 at 6\npause 0\n");
    ck_assert(story_view(&s, 0).parked_full && !story_view(&s, 0).full);
    story_pass(&s, 20 * SECOND);
    story_loaded(&s, 0, 0, 3, -1);
    s.size = 0;
    for (uint32_t i = 0; i < 10 && story_view(&s, 0).parked_full; i++) {
        if (story_job(&s, 0)->kind == LEAT_ENGINE_JOB_LOAD)
            story_loaded(&s, 0, 4, 5, 3);
        else
            story_done(&s, 0, LEAT_ENGINE_APPLIED);
    }
    ck_assert(!story_view(&s, 0).paused);
    story_end(&s);
}
END_TEST

/* ---- the size of a chunk, with the sizes of the worker ---- */

/* A record of so many bytes, as the worker counts it. */
#define HELD(bytes) ((uint32_t)sizeof(leat_item) + (bytes))
#define MIB         (UINT64_C(1) << 20)

static void sizes_begin(story *s, uint32_t partitions, uint64_t memory)
{
    leat_engine_config defaults;
    leat_engine_config_defaults(&defaults);
    park_begin(s, partitions);
    s->config.chunk_records_max = defaults.chunk_records_max;
    s->config.overhead_bytes = sizeof(leat_item);
    s->config.bytes_max = memory;
}

/* How many of `count` records of so many bytes are in the first chunk? */
static uint32_t in_first_chunk(uint32_t partitions, uint64_t memory, uint32_t bytes, int64_t count)
{
    story s;
    sizes_begin(&s, partitions, memory);
    story_reading(&s, 2);
    ck_assert_int_eq(story_read_sized(&s, 0, 5, 0, HELD(bytes)), LEAT_ENGINE_TAKEN);
    story_settle(&s);
    fail_until_waiting(&s);
    for (int64_t offset = 1; offset < count; offset++)
        ck_assert_int_eq(story_read_sized(&s, 0, 5, offset, HELD(bytes)), LEAT_ENGINE_TAKEN);
    story_pass(&s, 2100000);
    ck_assert_int_eq(story_read_sized(&s, 0, 9, count, HELD(bytes)), LEAT_ENGINE_TAKEN);
    story_settle(&s);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_wait_for_job(&s);
    const leat_engine_job *job = story_job(&s, 0);
    ck_assert_int_eq(job->kind, LEAT_ENGINE_JOB_PARK);
    uint32_t records = job->batch.cuts[0].record_count;
    story_end(&s);
    return records;
}

START_TEST(a_chunk_has_its_full_size_where_there_is_memory)
{
    ck_assert_uint_eq(in_first_chunk(1, 256 * MIB, 100, 10001), 10000);
    ck_assert_uint_eq(in_first_chunk(1, 256 * MIB, 1000, 2000), MIB / 1000);
}
END_TEST

/* A quarter of 24 MiB may be loaded, a partition of several gets half of it, and a chunk is half of
 * that. */
enum { IN_A_CHUNK = (3 << 19) / (sizeof(leat_item) + 100) };

START_TEST(two_chunks_fit_into_what_a_partition_may_have_loaded)
{
    ck_assert_uint_eq(in_first_chunk(2, 24 * MIB, 100, 2 * IN_A_CHUNK), IN_A_CHUNK);
}
END_TEST

static void load_whole(story *s, uint32_t n, int64_t first, int64_t last)
{
    static leat_engine_record records[IN_A_CHUNK];
    leat_engine_chunk chunk = {
        .first_offset = first, .last_offset = last, .done = first - 1, .size = 100};
    for (int64_t offset = first; offset <= last; offset++)
        records[chunk.records++] = (leat_engine_record){
            .offset = offset, .epoch = -1, .subpartition = 5, .bytes = HELD(100), .payload = s};
    ck_assert_int_eq(story_job(s, n)->kind, LEAT_ENGINE_JOB_LOAD);
    story_result(s, n,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .chunk = &chunk,
                                           .loaded = records,
                                           .loaded_count = chunk.records});
}

START_TEST(a_chunk_is_loaded_whole_while_the_one_before_is_applied)
{
    story s;
    sizes_begin(&s, 2, 24 * MIB);
    story_start(&s);
    story_slots(&s, 0, 4);
    story_assigned(&s, 0);
    leat_engine_progress progress = story_nothing(&s);
    progress.offsets[5] = 2 * IN_A_CHUNK - 1;
    leat_engine_parked parked = {.subpartition = 5,
                                 .chunks = 2,
                                 .done = -1,
                                 .last_offset = 2 * IN_A_CHUNK - 1,
                                 .records = 2 * IN_A_CHUNK,
                                 .bytes = 200,
                                 .oldest_ms = 1};
    story_result(&s, 0,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .progress = &progress,
                                           .parked = &parked,
                                           .parked_count = 1});
    story_wait_for_job(&s);
    load_whole(&s, 0, 0, IN_A_CHUNK - 1);
    ck_assert_uint_eq(story_view(&s, 0).loaded, IN_A_CHUNK);
    ck_assert_uint_eq(s.open_count, 2);
    uint32_t load = story_job(&s, 0)->kind == LEAT_ENGINE_JOB_LOAD ? 0 : 1;
    load_whole(&s, load, IN_A_CHUNK, 2 * IN_A_CHUNK - 1);
    ck_assert_uint_eq(story_view(&s, 0).loaded, 2 * IN_A_CHUNK);
    story_end(&s);
}
END_TEST

/* ---- a full partition ---- */

/* Each of `shallow` subpartitions holds one record, and 5 all the rest that there is room for. */
static void fill(story *s, uint32_t shallow)
{
    int64_t offset = 0;
    for (uint32_t i = 0; i < shallow; i++)
        story_read_sized(s, 0, 10 + i, offset++, 10);
    while (story_read_sized(s, 0, 5, offset++, 10) == LEAT_ENGINE_TAKEN)
        ;
}

/* Each 10 ms the only job is applied, and 5 gets as much as there is room for, until the job is a
 * park. Returns how many were applied. */
static uint32_t applied_until_park(story *s, uint32_t most)
{
    uint32_t applied = 0;
    int64_t offset = 1000;
    for (; applied < most && story_job(s, 0)->kind != LEAT_ENGINE_JOB_PARK; applied++) {
        while (story_read_sized(s, 0, 5, offset, 10) == LEAT_ENGINE_TAKEN)
            offset++;
        story_done(s, 0, LEAT_ENGINE_APPLIED);
        story_pass(s, 10000);
    }
    return applied;
}

static void parks_only_5(story *s)
{
    const leat_engine_job *job = story_job(s, 0);
    ck_assert_int_eq(job->kind, LEAT_ENGINE_JOB_PARK);
    ck_assert_uint_eq(job->batch.parts[0].count, 1);
    ck_assert_int_eq(job->batch.parts[0].subpartitions[0], 5);
}

/* While others of it wait as long, the shard is busy with them, and it is in its turn. */
START_TEST(a_full_partition_parks_its_deep_subpartition_once_nothing_else_can_run)
{
    story s;
    park_begin(&s, 1);
    s.config.records_max = 100;
    s.config.batch_records_max = 1;
    s.config.batch_bytes_max = 10;
    s.config.age_bound_us = 1000;
    story_reading(&s, 1);
    fill(&s, 30);
    story_settle(&s);
    ck_assert_uint_ge(applied_until_park(&s, 120), 60); /* it has every second turn */
    parks_only_5(&s);
    story_end(&s);
}
END_TEST

/* The shard is busy with another partition all the time. */
START_TEST(a_deep_subpartition_that_waits_for_much_longer_than_others_is_parked)
{
    story s;
    park_begin(&s, 2);
    s.config.records_max = 400;
    s.config.batch_records_max = 1;
    s.config.batch_bytes_max = 10;
    s.config.age_bound_us = 1000;
    story_reading(&s, 1);
    fill(&s, 6); /* which are the oldest, and soon applied */
    s.now_us += 1000;
    for (uint32_t i = 0; i < 80; i++)
        story_read_sized(&s, 1, 10 + i % 40, i, 10);
    story_settle(&s);
    while (story_job(&s, 0)->batch.records[0].partition == 1 ||
           story_job(&s, 0)->batch.records[0].subpartition == 5)
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_locked(&s, 0); /* one of the others waits for a locked row, and does not count */
    ck_assert_uint_ge(applied_until_park(&s, 90), 25);
    parks_only_5(&s);
    ck_assert_uint_gt(story_view(&s, 1).records, 0);
    story_end(&s);
}
END_TEST

START_TEST(what_is_deep_is_not_parked_while_the_disk_is_large)
{
    story s;
    park_begin(&s, 1);
    s.config.records_max = 100;
    s.config.batch_records_max = 1;
    s.config.batch_bytes_max = 10;
    s.config.age_bound_us = 1000;
    story_reading(&s, 1);
    leat_engine_parked_size(s.engine, s.now_us, 0, LEAT_ENGINE_PARKED_SIZE_LEAST);
    fill(&s, 30);
    story_settle(&s);
    ck_assert_uint_eq(applied_until_park(&s, 120), 120);
    story_end(&s);
}
END_TEST

START_TEST(where_all_hold_as_much_nothing_is_parked)
{
    story s;
    park_begin(&s, 1);
    s.config.records_max = 60;
    s.config.batch_records_max = 1;
    s.config.batch_bytes_max = 10;
    story_reading(&s, 1);
    int64_t offset = 0;
    while (story_read_sized(&s, 0, 5 + (uint32_t)offset % 20, offset, 10) == LEAT_ENGINE_TAKEN)
        offset++;
    story_settle(&s);
    for (uint32_t i = 0; i < 50; i++) {
        ck_assert_int_eq(story_job(&s, 0)->kind, LEAT_ENGINE_JOB_BATCH);
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
        story_pass(&s, 10000);
    }
    story_end(&s);
}
END_TEST

START_TEST(where_the_others_fill_it_the_deep_ones_are_not_parked)
{
    story s;
    park_begin(&s, 1);
    s.config.records_max = 60;
    s.config.batch_records_max = 1;
    s.config.batch_bytes_max = 10;
    story_reading(&s, 1);
    /* 5 and 6 have three shares each, which are a third of all. */
    for (int64_t offset = 0, taken = LEAT_ENGINE_TAKEN; taken == LEAT_ENGINE_TAKEN; offset++) {
        uint32_t i = (uint32_t)offset % 26;
        taken = story_read_sized(&s, 0, 5 + (i < 20 ? i : i % 2), offset, 10);
    }
    story_settle(&s);
    ck_assert(story_view(&s, 0).full);
    for (uint32_t i = 0; i < 50; i++) {
        ck_assert_int_eq(story_job(&s, 0)->kind, LEAT_ENGINE_JOB_BATCH);
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
        story_pass(&s, 10000);
    }
    story_end(&s);
}
END_TEST

/* 5 and 6 have six shares each, which are 12 of 20, and are older than the others: as where many
 * tenants are served in turn, of which some write a little more. */
START_TEST(where_the_deep_ones_fill_half_of_it_they_are_not_parked)
{
    story s;
    park_begin(&s, 1);
    s.config.records_max = 200;
    s.config.batch_records_max = 1;
    s.config.batch_bytes_max = 10;
    story_reading(&s, 1);
    int64_t offset = 0;
    while (offset < 120) {
        ck_assert_int_eq(story_read_sized(&s, 0, 5 + (uint32_t)offset % 2, offset, 10),
                         LEAT_ENGINE_TAKEN);
        offset++;
    }
    story_pass(&s, 1000000);
    while (story_read_sized(&s, 0, 7 + (uint32_t)offset % 18, offset, 10) == LEAT_ENGINE_TAKEN)
        offset++;
    story_settle(&s);
    ck_assert(story_view(&s, 0).full);
    for (uint32_t i = 0; i < 50; i++) {
        ck_assert_int_eq(story_job(&s, 0)->kind, LEAT_ENGINE_JOB_BATCH);
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
        story_pass(&s, 10000);
    }
    story_end(&s);
}
END_TEST

/* ---- claims ---- */

START_TEST(a_claim_finds_what_is_parked_and_spreads_the_first_tries)
{
    story s;
    park_begin(&s, 1);
    story_start(&s);
    story_slots(&s, 0, 1);
    story_assigned(&s, 0);
    leat_engine_progress progress = story_nothing(&s);
    leat_engine_parked parked[20];
    for (uint16_t i = 0; i < 20; i++) {
        progress.offsets[i] = 100 + i;
        parked[i] = (leat_engine_parked){.subpartition = i,
                                         .chunks = 1,
                                         .first_offset = 100 + i,
                                         .done = 99 + i,
                                         .last_offset = 100 + i,
                                         .records = 1,
                                         .bytes = 10,
                                         .oldest_ms = 1};
    }
    story_result(&s, 0,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .progress = &progress,
                                           .parked = parked,
                                           .parked_count = 20});
    ck_assert_uint_eq(story_view(&s, 0).parked_subpartitions, 20);
    ck_assert_uint_eq(s.open_count, 0);
    story_wait_for_job(&s);
    int64_t first_us = s.now_us;
    ck_assert_int_eq(story_job(&s, 0)->kind, LEAT_ENGINE_JOB_LOAD);
    int64_t offset = 100 + story_job(&s, 0)->load.subpartition;
    story_loaded(&s, 0, offset, offset, offset - 1);
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    story_wait_for_job(&s);
    ck_assert_int_gt(s.now_us, first_us);
    story_end(&s);
}
END_TEST

START_TEST(with_one_slot_a_load_and_a_try_take_turns)
{
    story s;
    park_begin(&s, 1);
    story_start(&s);
    story_slots(&s, 0, 1);
    story_assigned(&s, 0);
    leat_engine_progress progress = story_nothing(&s);
    leat_engine_parked parked[3];
    for (uint16_t i = 0; i < 3; i++) {
        progress.offsets[i] = 100 + i;
        parked[i] = (leat_engine_parked){.subpartition = i,
                                         .chunks = 1,
                                         .first_offset = 100 + i,
                                         .done = 99 + i,
                                         .last_offset = 100 + i,
                                         .records = 1,
                                         .bytes = 10,
                                         .oldest_ms = 1};
    }
    story_result(&s, 0,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .progress = &progress,
                                           .parked = parked,
                                           .parked_count = 3});
    story_read(&s, 0, 9, 0);
    story_pass(&s, 60 * SECOND); /* all three are wanted, and the slot is taken */
    story_done(&s, 0, LEAT_ENGINE_APPLIED);
    for (int i = 0; i < 3; i++) {
        int64_t offset = 100 + story_job(&s, 0)->load.subpartition;
        story_loaded(&s, 0, offset, offset, offset - 1);
        ck_assert_int_eq(story_job(&s, 0)->kind, LEAT_ENGINE_JOB_BATCH);
        story_done(&s, 0, LEAT_ENGINE_APPLIED);
    }
    ck_assert_uint_eq(story_view(&s, 0).parked_subpartitions, 0);
    story_end(&s);
}
END_TEST

START_TEST(a_claim_that_makes_no_sense_stops_the_partition)
{
    story s;
    park_begin(&s, 1);
    story_start(&s);
    story_slots(&s, 0, 1);
    story_assigned(&s, 0);
    leat_engine_progress progress = story_nothing(&s);
    leat_engine_parked parked = {.subpartition = 3,
                                 .chunks = 1,
                                 .first_offset = 5,
                                 .done = 4,
                                 .last_offset = 6, /* progress has not passed it */
                                 .records = 2,
                                 .bytes = 10};
    story_result(&s, 0,
                 &(leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED,
                                           .bad_record = -1,
                                           .partition = -1,
                                           .progress = &progress,
                                           .parked = &parked,
                                           .parked_count = 1});
    ck_assert_int_eq(story_view(&s, 0).state, LEAT_ENGINE_STOPPED);
    story_end(&s);
}
END_TEST

START_TEST(nothing_is_loaded_from_a_revoke_on)
{
    story s;
    park_begin(&s, 1);
    story_reading(&s, 1);
    park_six(&s);
    story_pass(&s, 20 * SECOND);
    story_told(&s, "load 0/5 above -1\n");
    story_revoked(&s, 0);
    s.size = 0;
    story_loaded(&s, 0, 0, 3, -1);
    ck_assert(strstr(s.told, "unpark") == NULL && strstr(s.told, "load") == NULL);
    ck_assert_uint_eq(s.released, 7); /* those that were parked, and the other one */
    story_end(&s);
}
END_TEST

STORY_MAIN("park", a_stalled_subpartition_is_parked_with_its_progress,
           nothing_is_parked_while_the_disk_is_full_of_what_was,
           nothing_is_parked_where_nothing_gets_through,
           what_is_deep_is_not_parked_while_the_disk_is_large,
           what_fills_a_partition_is_parked_where_others_got_through,
           what_fills_a_partition_is_not_parked_where_there_are_no_others,
           what_fills_a_partition_is_not_parked_where_most_fail, without_a_limit_nothing_is_parked,
           what_comes_after_chunks_is_parked_when_it_is_a_chunk_or_old,
           a_tail_of_what_goes_on_is_not_parked_while_the_disk_is_large,
           parked_records_are_tried_first_and_in_order,
           a_chunk_behind_those_that_were_given_up_is_not_the_next,
           a_park_that_fails_is_tried_again_and_held_against_nobody,
           an_unknown_park_is_claimed_again, a_chunk_that_is_not_there_is_claimed_again,
           a_chunk_that_cannot_be_read_stalls_its_subpartition_alone,
           a_partition_that_may_park_no_more_is_paused,
           a_chunk_has_its_full_size_where_there_is_memory,
           two_chunks_fit_into_what_a_partition_may_have_loaded,
           a_chunk_is_loaded_whole_while_the_one_before_is_applied,
           a_full_partition_parks_its_deep_subpartition_once_nothing_else_can_run,
           a_deep_subpartition_that_waits_for_much_longer_than_others_is_parked,
           where_all_hold_as_much_nothing_is_parked,
           where_the_others_fill_it_the_deep_ones_are_not_parked,
           where_the_deep_ones_fill_half_of_it_they_are_not_parked,
           a_claim_finds_what_is_parked_and_spreads_the_first_tries,
           with_one_slot_a_load_and_a_try_take_turns,
           a_claim_that_makes_no_sense_stops_the_partition, nothing_is_loaded_from_a_revoke_on)
