/* Parked records on their way back into the engine. */
#include "../../lib/test_placement.h"
#include "../record/fixture.h"
#include "apply/parked.h"
#include "record/chunk.h"

static leat_worker worker;
static leat_catalog catalog;
static leat_worker_load loads[2];
static uint32_t shard_of[4];
static leat_worker_shard_state shards[1];
static leat_buf bytes;
static leat_engine_chunk row;
static leat_engine_job_result result;

static void on_ask(void *context)
{
    (void)context;
}

static leat_slice key_of(size_t i)
{
    static const char *const keys[] = {"1/a", "1/b", "1/c"};
    return leat_slice_of(keys[i]);
}

static uint16_t place_of(leat_slice key)
{
    leat_item item = {.record = {.partition = 2, .key = key, .value = LEAT_SLICE("{}")}};
    leat_worker_decode_item(&worker, &item);
    uint16_t ret = (uint16_t)item.subpartition;
    leat_item_clear(&item);
    return ret;
}

/* A chunk of the same key at offsets 10, 20 and 30, the job that has loaded it, and its row. */
static void set_up(void)
{
    static const char *const names[] = {"s"};
    leat_chunk_writer writer = {0};
    leat_error error;
    leat_schema_version *version = leat_schema_version_new();
    version->tables = leat_must_calloc(1, sizeof *version->tables);
    version->table_count = 1;
    version->tables[0] = fixture_table();
    version->routes.count = 1;
    version->routes.routes[0] = fixture_route(&version->tables[0], "/{app_id}/{device}");
    version->routes.routes[0].on_refused = LEAT_ON_REFUSED_HOLD;
    leat_layout_even(&catalog.layout, 4, 1, names);
    catalog.source.placement = test_placement;
    worker = (leat_worker){.shard_count = 1,
                           .partition_count = 4,
                           .shard_of = shard_of,
                           .shards = shards,
                           .jobs_max = 2,
                           .loads = loads};
    worker.config.catalog = &catalog;
    worker.config.schema_versions = leat_schema_versions_new(1, on_ask, NULL);
    leat_schema_versions_publish(worker.config.schema_versions, 0, version, 1);
    leat_buf_clear(&bytes);
    for (int64_t offset = 10; offset <= 30; offset += 10) {
        leat_item item = {.record = {.offset = offset,
                                     .accepted_ms = 1000 + offset,
                                     .epoch = 7,
                                     .key = key_of(0),
                                     .value = LEAT_SLICE("{\"sessions\": 1}")},
                          .headers = LEAT_SLICE("\2op\6patch\5trace\2x")};
        leat_chunk_add(&writer, &item);
    }
    ck_assert_int_eq(leat_chunk_end(&writer, &bytes, &error), 0);
    leat_chunk_writer_fini(&writer);
    row = (leat_engine_chunk){.first_offset = 10,
                              .last_offset = 30,
                              .done = 9,
                              .records = 3,
                              .bytes = bytes.data,
                              .size = bytes.size,
                              .codec = LEAT_CHUNK_FORMAT};
    result = (leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED, .chunk = &row};
    leat_engine_job job = {
        .id = 1, .kind = LEAT_ENGINE_JOB_LOAD, .partition = 2, .load = {.above = 9}};
    job.load.subpartition = place_of(key_of(0));
    leat_worker_note_load(&worker, &job);
}

static void tear_down(void)
{
    leat_schema_versions_free(worker.config.schema_versions);
    leat_buf_free(&bytes);
}

START_TEST(records_come_back_as_from_the_log)
{
    leat_worker_chunk *chunk = leat_worker_read_chunk(&worker, 1, &result);
    ck_assert_msg(chunk, "%s", result.message);
    ck_assert_uint_eq(result.loaded_count, 3);
    leat_item *items[3];
    for (uint32_t i = 0; i < 3; i++) {
        const leat_engine_record *record = &result.loaded[i];
        items[i] = record->payload;
        ck_assert_uint_eq(record->partition, 2);
        ck_assert_int_eq(record->offset, 10 * (i + 1));
        ck_assert_int_eq(record->accepted_ms, 1010 + 10 * i);
        ck_assert_int_eq(record->epoch, 7);
        ck_assert_uint_eq(record->key, leat_item_held_hash(record->payload));
        ck_assert_uint_eq(record->on_refused, LEAT_ENGINE_REFUSED_HOLD);
        ck_assert_uint_eq(items[i]->op, LEAT_PATCH);
        ck_assert_int_eq(items[i]->key[0].integer, 1);
        ck_assert(leat_slice_is(items[i]->record.value, "{\"sessions\": 1}"));
        ck_assert(leat_slice_equal(items[i]->headers, LEAT_SLICE("\2op\6patch\5trace\2x")));
    }
    leat_worker_keep_chunk(chunk, 3);
    leat_worker_release_parked(items[1]);
    leat_worker_release_parked(items[0]);
    ck_assert(leat_slice_is(items[2]->record.key, "1/a")); /* its bytes are still there */
    leat_worker_release_parked(items[2]);
}
END_TEST

START_TEST(what_is_done_is_left_out)
{
    row.done = 20;
    row.records = 1;
    leat_worker_chunk *chunk = leat_worker_read_chunk(&worker, 1, &result);
    ck_assert_msg(chunk, "%s", result.message);
    ck_assert_uint_eq(result.loaded_count, 1);
    ck_assert_int_eq(result.loaded[0].offset, 30);
    leat_worker_keep_chunk(chunk, 0); /* there was no room */
}
END_TEST

START_TEST(what_the_engine_does_not_take_is_dropped)
{
    leat_worker_chunk *chunk = leat_worker_read_chunk(&worker, 1, &result);
    leat_item *first = result.loaded[0].payload;
    leat_worker_keep_chunk(chunk, 1);
    leat_worker_release_parked(first);
}
END_TEST

START_TEST(other_answers_have_nothing_to_read)
{
    result.outcome = LEAT_ENGINE_FENCED;
    ck_assert_ptr_null(leat_worker_read_chunk(&worker, 1, &result));
    result = (leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED};
    ck_assert_ptr_null(leat_worker_read_chunk(&worker, 0, &result));
    ck_assert_int_eq(result.outcome, LEAT_ENGINE_APPLIED);
    leat_worker_keep_chunk(NULL, 0);
}
END_TEST

/* ---- records of a held key ---- */

/* Two records, each a chunk of its own, in place of the chunk. */
static leat_engine_chunk kept[2];

static void keep_two(size_t second_key)
{
    size_t ends[2];
    leat_error error;
    leat_buf_clear(&bytes);
    for (int64_t i = 0; i < 2; i++) {
        leat_chunk_writer writer = {0};
        leat_slice key = key_of(i == 0 ? 0 : second_key);
        leat_item item = {.record = {.offset = 10 + i, .key = key, .value = LEAT_SLICE("{}")},
                          .headers = LEAT_SLICE("\2op\6patch")};
        leat_chunk_add(&writer, &item);
        ck_assert_int_eq(leat_chunk_end(&writer, &bytes, &error), 0);
        leat_chunk_writer_fini(&writer);
        ends[i] = bytes.size;
    }
    for (int64_t i = 0; i < 2; i++)
        kept[i] = (leat_engine_chunk){.first_offset = 10 + i,
                                      .last_offset = 10 + i,
                                      .done = 9 + i,
                                      .records = 1,
                                      .bytes = bytes.data + (i == 0 ? 0 : ends[0]),
                                      .size = i == 0 ? ends[0] : ends[1] - ends[0],
                                      .codec = LEAT_CHUNK_FORMAT};
    result =
        (leat_engine_job_result){.outcome = LEAT_ENGINE_APPLIED, .kept = kept, .kept_count = 2};
}

START_TEST(what_is_kept_of_a_key_comes_back)
{
    keep_two(0);
    loads[1].subpartition++; /* it need not be known */
    leat_worker_chunk *chunk = leat_worker_read_chunk(&worker, 1, &result);
    ck_assert_msg(chunk, "%s", result.message);
    ck_assert_uint_eq(result.loaded_count, 2);
    leat_item *first = result.loaded[0].payload, *second = result.loaded[1].payload;
    ck_assert_int_eq(result.loaded[1].offset, 11);
    ck_assert_uint_eq(result.loaded[1].key, leat_item_held_hash(second));
    ck_assert_uint_eq(second->op, LEAT_PATCH);
    leat_worker_keep_chunk(chunk, 2);
    leat_worker_release_parked(first);
    ck_assert(leat_slice_is(second->record.key, "1/a"));
    leat_worker_release_parked(second);
    keep_two(0);
    leat_worker_keep_chunk(leat_worker_read_chunk(&worker, 1, &result), 0);
    result.kept_count = 0;
    ck_assert_ptr_null(leat_worker_read_chunk(&worker, 1, &result));
    ck_assert_int_eq(result.outcome, LEAT_ENGINE_APPLIED);
}
END_TEST

START_TEST(what_is_kept_and_makes_no_sense_is_refused)
{
    static const char *const reasons[] = {
        "the record of a held key at offset 11 cannot be read: what is kept is not one record",
        "at offset 10 cannot be read: parked records are damaged"};
    keep_two(0);
    kept[0].first_offset += _i == 0;
    kept[0].size -= _i == 1;
    ck_assert_ptr_null(leat_worker_read_chunk(&worker, 1, &result));
    ck_assert_int_eq(result.outcome, LEAT_ENGINE_NOT_UNDERSTOOD);
    ck_assert_uint_eq(result.loaded_count, 0);
    ck_assert_msg(strstr(result.message, reasons[_i]), "%s", result.message);
}
END_TEST

/* They are applied, and then it is the first. */
START_TEST(what_is_kept_before_it_is_read)
{
    keep_two(_i == 2 ? 1 : 0); /* of another subpartition */
    kept[1].first_offset += _i == 0;
    kept[1].size -= _i == 1;
    leat_worker_chunk *chunk = leat_worker_read_chunk(&worker, 1, &result);
    ck_assert_int_eq(result.outcome, LEAT_ENGINE_APPLIED);
    ck_assert_uint_eq(result.loaded_count, 1);
    ck_assert_int_eq(result.loaded[0].offset, 10);
    leat_item *first = result.loaded[0].payload;
    leat_worker_keep_chunk(chunk, 1);
    leat_worker_release_parked(first);
}
END_TEST

static void expect_refused(const char *reason)
{
    leat_worker_chunk *chunk = leat_worker_read_chunk(&worker, 1, &result);
    ck_assert_ptr_null(chunk);
    ck_assert_int_eq(result.outcome, LEAT_ENGINE_NOT_UNDERSTOOD);
    ck_assert_uint_eq(result.loaded_count, 0);
    ck_assert_msg(strstr(result.message, reason), "%s", result.message);
}

START_TEST(a_chunk_that_does_not_fit_its_row_is_refused)
{
    static const struct {
        leat_engine_chunk row;
        const char *reason;
    } cases[] = {
        {{.first_offset = 9, .last_offset = 30, .done = 8, .records = 3},
         "at offset 9 cannot be read: its first record is at offset 10"},
        {{.first_offset = 10, .last_offset = 31, .done = 9, .records = 3},
         "its last record is at offset 30, its row says 31"},
        {{.first_offset = 10, .last_offset = 30, .done = 10, .records = 3},
         "2 of its records are parked, its row says 3"},
        {{.first_offset = 10, .last_offset = 30, .done = 9, .records = 3, .codec = 1}, "format 2"},
    };
    row.first_offset = cases[_i].row.first_offset;
    row.last_offset = cases[_i].row.last_offset;
    row.done = cases[_i].row.done;
    row.records = cases[_i].row.records;
    row.codec += cases[_i].row.codec;
    expect_refused(cases[_i].reason);
}
END_TEST

START_TEST(damaged_bytes_are_refused)
{
    bytes.data[bytes.size - 6] ^= 1;
    expect_refused("parked records are damaged");
}
END_TEST

START_TEST(a_record_of_another_subpartition_is_refused)
{
    loads[1].subpartition++;
    expect_refused("its record at offset 10 belongs to subpartition");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("parked");
    TCase *tests = tcase_create("parked");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, records_come_back_as_from_the_log);
    tcase_add_test(tests, what_is_done_is_left_out);
    tcase_add_test(tests, what_the_engine_does_not_take_is_dropped);
    tcase_add_test(tests, other_answers_have_nothing_to_read);
    tcase_add_loop_test(tests, a_chunk_that_does_not_fit_its_row_is_refused, 0, 4);
    tcase_add_test(tests, what_is_kept_of_a_key_comes_back);
    tcase_add_loop_test(tests, what_is_kept_and_makes_no_sense_is_refused, 0, 2);
    tcase_add_loop_test(tests, what_is_kept_before_it_is_read, 0, 3);
    tcase_add_test(tests, damaged_bytes_are_refused);
    tcase_add_test(tests, a_record_of_another_subpartition_is_refused);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
