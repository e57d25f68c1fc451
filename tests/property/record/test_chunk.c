/*
 * Any records come out of a chunk as they went in. The model is a copy of each.
 * LEAT_TEST_SEED=n repeats a run, LEAT_TEST_ROUNDS=n makes it longer.
 */
#include "../../lib/setting.h"
#include "../../unit/record/fixture.h"
#include "record/chunk.h"
#include "record/headers.h"

enum { ROUNDS = 300, RECORDS_MAX = 200, BYTES_MAX = 300 };

typedef struct model {
    leat_item item;
    leat_buf headers;
    leat_slice op; /* the last header of that name */
} model;

static leat_slice copy(const char *data, size_t size)
{
    char *bytes = leat_must_calloc(1, size + 1);
    memcpy(bytes, data, size);
    return (leat_slice){bytes, size};
}

/* Missing, empty or some bytes; often ones that repeat, as in a log. */
static leat_slice any_bytes(leat_prng *prng)
{
    char bytes[BYTES_MAX];
    uint64_t kind = leat_prng_below(prng, 8);
    size_t size = kind < 2 ? 0 : (size_t)leat_prng_below(prng, BYTES_MAX);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(kind < 5 ? 'a' + (int)(i % 7) : (int)leat_prng_below(prng, 256));
    return kind == 0 ? (leat_slice){NULL, 0} : copy(bytes, size);
}

static void add_headers(leat_prng *prng, model *m)
{
    for (uint64_t i = leat_prng_below(prng, 4); i > 0; i--) {
        bool is_op = leat_prng_below(prng, 2);
        leat_slice name = is_op ? LEAT_SLICE("op") : any_bytes(prng), value = any_bytes(prng);
        leat_headers_pack(&m->headers, name, value);
        if (is_op) {
            free((char *)(uintptr_t)m->op.data);
            m->op = value;
        } else {
            free((char *)(uintptr_t)name.data);
            free((char *)(uintptr_t)value.data);
        }
    }
    m->item.headers = (leat_slice){m->headers.data ? m->headers.data : "", m->headers.size};
}

static void make_record(leat_prng *prng, int64_t *offset, model *ret)
{
    *ret = (model){0};
    *offset += 1 + (int64_t)leat_prng_below(prng, leat_prng_below(prng, 9) ? 3 : UINT32_MAX);
    ret->item.record = (leat_record){
        .offset = *offset,
        .accepted_ms = leat_prng_below(prng, 9) ? 1700000000000 + *offset
                                                : (int64_t)leat_prng_next(prng),
        .epoch = (int32_t)leat_prng_below(prng, 5) - 1,
        .key = any_bytes(prng),
        .value = any_bytes(prng),
    };
    ret->item.record.value_is_null = !ret->item.record.value.data;
    add_headers(prng, ret);
}

static bool same_slice(leat_slice a, leat_slice b)
{
    return !a.data == !b.data && leat_slice_equal(a, b);
}

static void expect_same(leat_chunk_reader *chunk, const model *m)
{
    const leat_record *wanted = &m->item.record;
    leat_record got;
    leat_slice headers;
    leat_error error = {""};
    ck_assert_msg(leat_chunk_next(chunk, &got, &headers, &error) == 1, "%s", error.text);
    ck_assert_int_eq(got.offset, wanted->offset);
    ck_assert_int_eq(got.accepted_ms, wanted->accepted_ms);
    ck_assert_int_eq(got.epoch, wanted->epoch);
    ck_assert(same_slice(got.key, wanted->key) && same_slice(got.value, wanted->value));
    ck_assert_int_eq(got.value_is_null, wanted->value_is_null);
    ck_assert(same_slice(got.op, m->op) && leat_slice_equal(headers, m->item.headers));
}

static void discard(model *m)
{
    free((char *)(uintptr_t)m->item.record.key.data);
    free((char *)(uintptr_t)m->item.record.value.data);
    free((char *)(uintptr_t)m->op.data);
    leat_buf_free(&m->headers);
}

static void round_trip(leat_prng *prng, leat_chunk_writer *writer)
{
    static model models[RECORDS_MAX];
    uint32_t count = 1 + (uint32_t)leat_prng_below(prng, RECORDS_MAX);
    int64_t offset = (int64_t)leat_prng_below(prng, UINT32_MAX) - 1;
    leat_buf out = {0};
    leat_error error = {""};
    leat_chunk_reader chunk;
    for (uint32_t i = 0; i < count; i++) {
        make_record(prng, &offset, &models[i]);
        leat_chunk_add(writer, &models[i].item);
    }
    leat_buf_text(&out, "before");
    ck_assert_int_eq(leat_chunk_end(writer, &out, &error), 0);
    leat_slice bytes = {out.data + 6, out.size - 6};
    ck_assert_msg(leat_chunk_open(LEAT_CHUNK_FORMAT, bytes, &chunk, &error) == 0, "%s", error.text);
    ck_assert_uint_eq(chunk.count, count);
    for (uint32_t i = 0; i < count; i++)
        expect_same(&chunk, &models[i]);
    leat_record none;
    leat_slice headers;
    ck_assert_int_eq(leat_chunk_next(&chunk, &none, &headers, &error), 0);
    for (uint32_t i = 0; i < count; i++)
        discard(&models[i]);
    free(chunk.raw);
    leat_buf_free(&out);
}

START_TEST(any_records_come_out_as_they_went_in)
{
    leat_prng prng = {setting("LEAT_TEST_SEED", (uint64_t)leat_wall_ms() / 1000)};
    leat_chunk_writer writer = {0};
    for (uint64_t i = setting("LEAT_TEST_ROUNDS", ROUNDS); i > 0; i--)
        round_trip(&prng, &writer);
    leat_chunk_writer_fini(&writer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("chunk");
    TCase *tests = tcase_create("chunk");
    tcase_add_test(tests, any_records_come_out_as_they_went_in);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
