/* What is kept of held keys: how much of it there is, and whether there is room for more. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "apply/worker_state.h"

enum { PARTITIONS = 2, RECORDS = 3, SHARE = 1000 };

static leat_worker worker;
static leat_worker_shard shard_config;
static leat_worker_shard_state shard_state;
static uint32_t shard_of[PARTITIONS];
static leat_shard_held_count counts[PARTITIONS], counted[PARTITIONS];
static leat_kept_room rooms[PARTITIONS];
static leat_item items[RECORDS];
static leat_engine_batch_record records[RECORDS];
static leat_engine_job job;
static leat_engine_reason reason;
static char message[256];

static void set_up(void)
{
    shard_config = (leat_worker_shard){.name = "s", .held_max = PARTITIONS * SHARE};
    shard_state = (leat_worker_shard_state){.partitions = PARTITIONS};
    memset(counts, 0, sizeof counts);
    memset(counted, 0, sizeof counted);
    memset(rooms, 0, sizeof rooms);
    worker = (leat_worker){.shard_count = 1,
                           .partition_count = PARTITIONS,
                           .shard_of = shard_of,
                           .shards = &shard_state,
                           .held_counts = counts,
                           .held_keys = counted,
                           .kept_rooms = rooms};
    worker.config.shards = &shard_config;
    pthread_mutex_init(&worker.report_lock, NULL);
    job = (leat_engine_job){.kind = LEAT_ENGINE_JOB_BATCH,
                            .batch = {.record_count = RECORDS, .records = records, .kept = 2}};
    static char bytes[SHARE];
    for (uint32_t i = 0; i < RECORDS; i++) {
        items[i] = (leat_item){.record = {.key = LEAT_SLICE("7"), .value = {bytes, 100}}};
        records[i] = (leat_engine_batch_record){.payload = &items[i], .keep = i > 0};
    }
}

static void tear_down(void)
{
    pthread_mutex_destroy(&worker.report_lock);
}

/* The count in the shard arrives: so many bytes of partition 0. */
static void count(uint64_t bytes)
{
    leat_shard_held_count found[PARTITIONS] = {{.keys = 1, .records = 2, .bytes = bytes}};
    leat_worker_held_keys(&worker, 0, found);
    leat_worker_follow_held(&worker);
    ck_assert_uint_eq(worker.held_keys[0].bytes, bytes);
}

static uint32_t no_room_for(void)
{
    return leat_worker_no_room_for(&worker, &job, 0, message, sizeof message);
}

START_TEST(a_record_beyond_the_share_is_found)
{
    ck_assert_uint_eq(no_room_for(), UINT32_MAX);
    count(SHARE - 300);
    ck_assert_uint_eq(no_room_for(), 2);
    ck_assert_msg(strstr(message, "held_max"), "%s", message);
    count(SHARE);
    ck_assert_uint_eq(no_room_for(), 1);
    records[1].skip = true; /* by a control */
    ck_assert_uint_eq(no_room_for(), 2);
    records[2].keep = false;
    ck_assert_uint_eq(no_room_for(), UINT32_MAX);
    records[0].partition = records[1].partition = records[2].partition = 1;
    records[1].skip = false;
    ck_assert_uint_eq(no_room_for(), UINT32_MAX);
}
END_TEST

START_TEST(what_is_written_needs_no_room)
{
    count(2 * SHARE);
    job.batch.kept = 0;
    ck_assert_uint_eq(no_room_for(), UINT32_MAX);
    job.batch.record_count = 1;
    job.batch.hold = &reason; /* the first record of another key */
    ck_assert_uint_eq(no_room_for(), 0);
    shard_config.held_max = 0; /* no bound */
    ck_assert_uint_eq(no_room_for(), UINT32_MAX);
}
END_TEST

/* As with what is parked. */
START_TEST(a_subpartition_has_half_of_the_share)
{
    leat_shard_held_count found[PARTITIONS] = {
        {.keys = 2, .records = 3, .bytes = SHARE / 2 + 50, .most_bytes = SHARE / 2, .most = 5}};
    leat_worker_held_keys(&worker, 0, found);
    leat_worker_follow_held(&worker);
    job.batch.record_count = 2;
    records[1].subpartition = 5;
    ck_assert_uint_eq(no_room_for(), 1);
    ck_assert_msg(strstr(message, "its subpartition's part"), "%s", message);
    records[1].subpartition = 6;
    ck_assert_uint_eq(no_room_for(), UINT32_MAX);
}
END_TEST

/* However many partitions there are, each has some. */
START_TEST(a_small_bound_is_not_none)
{
    shard_config.held_max = 1;
    count(1);
    ck_assert_uint_eq(no_room_for(), 1);
}
END_TEST

/* Else it would never be held. */
START_TEST(one_record_always_fits)
{
    job.batch.record_count = 1;
    job.batch.hold = &reason;
    items[0].record.value.size = SHARE;
    ck_assert_uint_eq(no_room_for(), UINT32_MAX);
    count(1);
    ck_assert_uint_eq(no_room_for(), 0);
}
END_TEST

/* A count may have been taken before what has just been kept. */
START_TEST(what_was_kept_since_a_count_takes_room)
{
    count(0);
    leat_worker_note_kept(&worker, &job);
    uint64_t kept = leat_kept_room_used(&rooms[0]);
    ck_assert_uint_ge(kept, 200);
    count(0);
    ck_assert_uint_eq(leat_kept_room_used(&rooms[0]), kept);
    leat_worker_follow_held(&worker); /* it is the same count */
    ck_assert_uint_eq(leat_kept_room_used(&rooms[0]), kept);
    count(150);
    ck_assert_uint_eq(leat_kept_room_used(&rooms[0]), 150);
    ck_assert_uint_eq(leat_kept_room_used(&rooms[1]), 0);
}
END_TEST

START_TEST(what_was_not_kept_after_all_takes_no_room)
{
    static const struct {
        leat_engine_outcome outcome;
        bool is_kept, is_counted;
    } cases[] = {{LEAT_ENGINE_APPLIED, true, true},
                 {LEAT_ENGINE_UNKNOWN, true, false},
                 {LEAT_ENGINE_OUTAGE, false, false},
                 {LEAT_ENGINE_CONTENTION, false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tear_down();
        set_up();
        count(0);
        leat_worker_note_kept(&worker, &job);
        uint64_t kept = leat_kept_room_used(&rooms[0]);
        leat_worker_follow_kept(&worker, &job, cases[i].outcome);
        ck_assert_uint_eq(leat_kept_room_used(&rooms[0]), cases[i].is_kept ? kept : 0);
        ck_assert((shard_state.held.flood.bytes.total > 0) == cases[i].is_counted);
    }
}
END_TEST

START_TEST(half_of_a_subpartitions_part_is_half)
{
    leat_shard_held_count found[PARTITIONS] = {
        {.keys = 1, .records = 2, .bytes = 300, .most = 3, .most_bytes = SHARE / 4}};
    leat_worker_held_keys(&worker, 0, found);
    leat_worker_follow_held(&worker);
    leat_held_sum sum = {0};
    leat_worker_held_add(&worker, 0, &sum);
    ck_assert_uint_eq(sum.half, 1);
    found[0].most_bytes--;
    leat_worker_held_keys(&worker, 0, found);
    leat_worker_follow_held(&worker);
    leat_worker_held_add(&worker, 0, &sum);
    ck_assert_uint_eq(sum.half, 1);
}
END_TEST

START_TEST(notes_are_taken_once_and_are_bounded)
{
    leat_shard_key_note ret[LEAT_KEY_NOTES_MAX];
    for (uint32_t i = 0; i < LEAT_KEY_NOTES_MAX + 5; i++)
        leat_worker_note_left(&worker, 0,
                              &(leat_shard_key_note){.offset = i, .message = "because"});
    ck_assert_uint_eq(leat_worker_take_notes(&worker, 0, ret), LEAT_KEY_NOTES_MAX);
    ck_assert_int_eq(ret[3].offset, 3);
    ck_assert_str_eq(ret[3].message, "because");
    ck_assert_uint_eq(leat_worker_take_notes(&worker, 0, ret), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("held");
    TCase *tests = tcase_create("held");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, a_record_beyond_the_share_is_found);
    tcase_add_test(tests, what_is_written_needs_no_room);
    tcase_add_test(tests, a_subpartition_has_half_of_the_share);
    tcase_add_test(tests, a_small_bound_is_not_none);
    tcase_add_test(tests, one_record_always_fits);
    tcase_add_test(tests, what_was_kept_since_a_count_takes_room);
    tcase_add_test(tests, what_was_not_kept_after_all_takes_no_room);
    tcase_add_test(tests, half_of_a_subpartitions_part_is_half);
    tcase_add_test(tests, notes_are_taken_once_and_are_bounded);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_ENV);
    srunner_free(runner);
    return 0;
}
