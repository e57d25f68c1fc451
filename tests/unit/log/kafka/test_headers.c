/* All headers of a record, and what a person sees of them, whatever bytes they are. */
#include "../../record/fixture.h"

#include "log/kafka/kafka.h"
#include "record/headers.h"

static const struct {
    const char *value;
    ssize_t size; /* -1 with a NULL value: none */
    const char *json;
} cases[] = {
    {"patch", 5, "{\"h\":\"patch\"}"},
    {"", 0, "{\"h\":\"\"}"},
    {NULL, -1, "{\"h\":null}"},
    {"a\"\\\n\xc3\xa4", 6, "{\"h\":\"a\\\"\\\\\\n\xc3\xa4\"}"},
    {"\xff", 1, "{\"h\":{\"base64\":\"/w==\"}}"},
    {"\xff\xfe", 2, "{\"h\":{\"base64\":\"//4=\"}}"},
    {"a\0b", 3, "{\"h\":{\"base64\":\"YQBi\"}}"}, /* jsonb takes no U+0000 */
    {"\xc3", 1, "{\"h\":{\"base64\":\"ww==\"}}"},
    {"\xed\xa0\x80", 3, "{\"h\":{\"base64\":\"7aCA\"}}"}, /* a surrogate */
};

static void expect(const rd_kafka_headers_t *headers, const char *json)
{
    leat_buf packed = {0}, out = {0};
    ck_assert_int_eq(leat_kafka_pack_headers(headers, &packed), 0);
    leat_headers_write_json(&out, (leat_slice){packed.data, packed.size});
    ck_assert_str_eq(leat_buf_cstr(&out), json);
    leat_buf_free(&packed);
    leat_buf_free(&out);
}

START_TEST(one_value)
{
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers, "h", -1, cases[_i].value, cases[_i].size);
    expect(headers, cases[_i].json);
    rd_kafka_headers_destroy(headers);
}
END_TEST

START_TEST(several_and_none)
{
    expect(NULL, "{}");
    rd_kafka_headers_t *headers = rd_kafka_headers_new(3);
    rd_kafka_header_add(headers, "op", -1, "put", 3);
    rd_kafka_header_add(headers, "n\xff\"", -1, "1", 1);
    rd_kafka_header_add(headers, "op", -1, "patch", 5);
    expect(headers, "{\"op\":\"put\",\"n\xef\xbf\xbd\\\"\":\"1\",\"op\":\"patch\"}");
    rd_kafka_headers_destroy(headers);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kafka_headers");
    TCase *tests = tcase_create("kafka_headers");
    tcase_add_loop_test(tests, one_value, 0, COUNT_OF(cases));
    tcase_add_test(tests, several_and_none);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
