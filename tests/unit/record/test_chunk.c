/* Records that are parked: what goes in comes out, and what is damaged is refused. */
#include "fixture.h"
#include "record/chunk.h"
#include "record/headers.h"

static leat_item item(int64_t offset, leat_slice key, leat_slice value, leat_slice headers)
{
    return (leat_item){.record = {.offset = offset,
                                  .accepted_ms = 1700000000000 + offset,
                                  .epoch = 3,
                                  .key = key,
                                  .value = value,
                                  .value_is_null = !value.data},
                       .headers = headers};
}

static const leat_slice none = {NULL, 0};

static leat_slice written(leat_buf *out, const leat_item *items, size_t count)
{
    leat_chunk_writer writer = {0};
    leat_error error;
    for (size_t i = 0; i < count; i++)
        leat_chunk_add(&writer, &items[i]);
    ck_assert_msg(leat_chunk_end(&writer, out, &error) == 0, "%s", error.text);
    leat_chunk_writer_fini(&writer);
    return (leat_slice){out->data, out->size};
}

static int next(leat_chunk_reader *chunk, leat_record *record, leat_slice *headers)
{
    leat_error error = {""};
    int taken = leat_chunk_next(chunk, record, headers, &error);
    ck_assert_msg(taken >= 0, "%s", error.text);
    return taken;
}

START_TEST(what_is_missing_differs_from_what_is_empty)
{
    leat_buf out = {0};
    const leat_item items[] = {
        item(0, none, none, LEAT_SLICE("")),
        item(1, LEAT_SLICE(""), LEAT_SLICE(""), LEAT_SLICE("\2op\6patch\5trace\0")),
        item(900, LEAT_SLICE("k"), LEAT_SLICE("\0v"), LEAT_SLICE("\2op\4put\2op\1")),
    };
    leat_chunk_reader chunk;
    leat_error error;
    leat_record record;
    leat_slice headers;
    ck_assert_int_eq(leat_chunk_open(LEAT_CHUNK_FORMAT, written(&out, items, 3), &chunk, &error),
                     0);
    ck_assert_uint_eq(chunk.count, 3);
    ck_assert_int_eq(next(&chunk, &record, &headers), 1);
    ck_assert(record.offset == 0 && !record.key.data && record.value_is_null && headers.size == 0);
    ck_assert(headers.data && !record.op.data);
    ck_assert_int_eq(record.accepted_ms, 1700000000000);
    ck_assert_int_eq(record.epoch, 3);
    ck_assert_int_eq(next(&chunk, &record, &headers), 1);
    ck_assert(record.offset == 1 && record.key.data && record.key.size == 0);
    ck_assert(!record.value_is_null && record.value.size == 0);
    ck_assert(leat_slice_is(record.op, "patch") && !record.route.data);
    ck_assert(leat_slice_equal(headers, items[1].headers));
    ck_assert_int_eq(next(&chunk, &record, &headers), 1);
    ck_assert(record.offset == 900 && leat_slice_equal(record.value, items[2].record.value));
    ck_assert(record.op.data && record.op.size == 0); /* the last one counts */
    ck_assert_int_eq(next(&chunk, &record, &headers), 0);
    free(chunk.raw);
    leat_buf_free(&out);
}
END_TEST

START_TEST(numbers_at_their_limits_come_back)
{
    leat_buf out = {0};
    leat_item items[] = {item(INT64_MAX - 1, none, none, LEAT_SLICE("")),
                         item(INT64_MAX, none, none, LEAT_SLICE(""))};
    items[0].record.accepted_ms = INT64_MIN;
    items[0].record.epoch = INT32_MIN;
    items[1].record.accepted_ms = INT64_MAX;
    items[1].record.epoch = INT32_MAX;
    leat_chunk_reader chunk;
    leat_error error;
    ck_assert_int_eq(leat_chunk_open(LEAT_CHUNK_FORMAT, written(&out, items, 2), &chunk, &error),
                     0);
    for (size_t i = 0; i < 2; i++) {
        leat_record record;
        leat_slice headers;
        ck_assert_int_eq(next(&chunk, &record, &headers), 1);
        ck_assert_int_eq(record.offset, items[i].record.offset);
        ck_assert_int_eq(record.accepted_ms, items[i].record.accepted_ms);
        ck_assert_int_eq(record.epoch, items[i].record.epoch);
    }
    free(chunk.raw);
    leat_buf_free(&out);
}
END_TEST

START_TEST(a_writer_begins_anew_after_each_chunk)
{
    leat_buf first = {0}, second = {0};
    leat_item a = item(5, LEAT_SLICE("a"), none, LEAT_SLICE(""));
    leat_chunk_writer writer = {0};
    leat_error error;
    leat_chunk_add(&writer, &a);
    ck_assert_int_eq(leat_chunk_end(&writer, &first, &error), 0);
    leat_chunk_add(&writer, &a);
    ck_assert_int_eq(leat_chunk_end(&writer, &second, &error), 0);
    ck_assert(leat_slice_equal((leat_slice){first.data, first.size},
                               (leat_slice){second.data, second.size}));
    leat_chunk_writer_fini(&writer);
    leat_buf_free(&first);
    leat_buf_free(&second);
}
END_TEST

static void expect_refused(int format, leat_slice bytes, const char *reason)
{
    leat_chunk_reader chunk;
    leat_error error = {""};
    ck_assert_int_eq(leat_chunk_open(format, bytes, &chunk, &error), -1);
    ck_assert_msg(strstr(error.text, reason) != NULL, "%s", error.text);
}

START_TEST(another_format_is_not_guessed_at)
{
    leat_buf out = {0};
    leat_item one = item(5, LEAT_SLICE("a"), none, LEAT_SLICE(""));
    leat_slice bytes = written(&out, &one, 1);
    expect_refused(LEAT_CHUNK_FORMAT + 1, bytes, "format 2: this leat knows only 1");
    out.data[0]++;
    expect_refused(LEAT_CHUNK_FORMAT, bytes, "damaged");
    leat_buf_free(&out);
}
END_TEST

START_TEST(a_size_out_of_range_takes_no_memory)
{
    static const leat_slice heads[] = {
        {"", 0},
        {"\1", 1},
        {"\1\0\1", 3},                                      /* no record */
        {"\1\1\0", 3},                                      /* no bytes */
        {"\1\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 12}, /* 16 EiB */
        {"\1\xff\xff\xff\xff\x0f\1", 7},                    /* four billion records */
        {"\1\1\x05hello", 8},                               /* no frame */
    };
    for (size_t i = 0; i < COUNT_OF(heads); i++)
        expect_refused(LEAT_CHUNK_FORMAT, heads[i], "their head makes no sense");
}
END_TEST

/* Some bits of a frame mean nothing: then the record is what it was. */
START_TEST(a_byte_that_was_changed_is_found_or_changes_nothing)
{
    leat_buf out = {0};
    leat_item one =
        item(5, LEAT_SLICE("key"), LEAT_SLICE("{\"n\": 123456789}"), LEAT_SLICE("\2op\4put"));
    leat_slice bytes = written(&out, &one, 1);
    for (size_t i = 0; i < bytes.size; i++) {
        leat_chunk_reader chunk;
        leat_error error;
        leat_record record;
        leat_slice headers;
        out.data[i] ^= 0x10;
        if (leat_chunk_open(LEAT_CHUNK_FORMAT, bytes, &chunk, &error) == 0) {
            ck_assert_int_eq(leat_chunk_next(&chunk, &record, &headers, &error), 1);
            ck_assert(record.offset == 5 && leat_slice_equal(record.value, one.record.value));
            /* the count is outside the frame */
            int taken = leat_chunk_next(&chunk, &record, &headers, &error);
            ck_assert_int_eq(taken, chunk.count == 1 ? 0 : -1);
            free(chunk.raw);
        }
        out.data[i] ^= 0x10;
    }
    expect_refused(LEAT_CHUNK_FORMAT, (leat_slice){bytes.data, bytes.size - 1}, "damaged");
    leat_buf_free(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chunk");
    TCase *tests = tcase_create("chunk");
    tcase_add_test(tests, what_is_missing_differs_from_what_is_empty);
    tcase_add_test(tests, numbers_at_their_limits_come_back);
    tcase_add_test(tests, a_writer_begins_anew_after_each_chunk);
    tcase_add_test(tests, another_format_is_not_guessed_at);
    tcase_add_test(tests, a_size_out_of_range_takes_no_memory);
    tcase_add_test(tests, a_byte_that_was_changed_is_found_or_changes_nothing);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
