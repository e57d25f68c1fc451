/* Spans as a receiver of OTLP in JSON wants them: hexadecimal ids, integers for enumerations, texts
 * for 64 bits, and nothing that is null. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "trace/span.h"

static const leat_span_source source = {"leat", "1.2", "i", "h"};
static const leat_trace_context own = {
    .trace_id = {0x0a, 0xf7, [15] = 0x9c}, .span_id = {0xb7, [7] = 0x31}, .flags = 3};

static void expect_json(const leat_span *span, const char *spans)
{
    leat_buf out = {0}, wanted = {0};
    const leat_span *list[] = {span};
    leat_spans_write(list, 1, &source, &out);
    leat_buf_text(&wanted,
                  "{\"resourceSpans\":[{\"resource\":{\"attributes\":["
                  "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"leat\"}},"
                  "{\"key\":\"service.version\",\"value\":{\"stringValue\":\"1.2\"}},"
                  "{\"key\":\"service.instance.id\",\"value\":{\"stringValue\":\"i\"}},"
                  "{\"key\":\"host.name\",\"value\":{\"stringValue\":\"h\"}}]},"
                  "\"scopeSpans\":[{\"scope\":{\"name\":\"leat\",\"version\":\"" LEAT_VERSION "\"},"
                  "\"schemaUrl\":\"https://opentelemetry.io/schemas/1.30.0\",\"spans\":[");
    leat_buf_text(&wanted, spans);
    leat_buf_text(&wanted, "]}]}]}");
    ck_assert_str_eq(leat_buf_cstr(&out), leat_buf_cstr(&wanted));
    leat_buf_free(&out);
    leat_buf_free(&wanted);
}

START_TEST(the_smallest_span_has_no_member_that_it_does_not_need)
{
    leat_span *span = leat_span_new(LEAT_SPAN_SERVER, &own, "PUT", LEAT_SLICE(""));
    span->start_ns = 1700000000000000000;
    span->end_ns = 1700000000000000001;
    expect_json(span, "{\"traceId\":\"0af7000000000000000000000000009c\","
                      "\"spanId\":\"b700000000000031\",\"flags\":259,\"name\":\"PUT\",\"kind\":2,"
                      "\"startTimeUnixNano\":\"1700000000000000000\","
                      "\"endTimeUnixNano\":\"1700000000000000001\"}");
    leat_span_free(span);
}
END_TEST

START_TEST(a_span_has_all_that_it_was_given)
{
    leat_span *span = leat_span_new(LEAT_SPAN_CONSUMER, &own, "process", LEAT_SLICE("t\xff"));
    span->start_ns = 9;
    span->end_ns = 8; /* a clock went back: a span does not */
    leat_span_parent(span, (const uint8_t[8]){1}, true);
    leat_span_state(span, LEAT_SLICE("a=b"));
    leat_span_integer(span, "n", INT64_MIN);
    leat_span_number(span, "x", 0.25);
    leat_span_true(span, "is");
    leat_span_fail(span, "23505");
    leat_span_link_to(span, &(leat_span_link){.to = own, .partition = -1});
    leat_span_link_to(span, &(leat_span_link){.to = own, .is_remote = true, .offset = 1});
    ck_assert_uint_eq(span->link_room, 4); /* many spans wait in a queue */
    expect_json(
        span, "{\"traceId\":\"0af7000000000000000000000000009c\",\"spanId\":\"b700000000000031\","
              "\"traceState\":\"a=b\",\"parentSpanId\":\"0100000000000000\",\"flags\":771,"
              "\"name\":\"process t\xef\xbf\xbd\",\"kind\":5,\"startTimeUnixNano\":\"9\","
              "\"endTimeUnixNano\":\"9\",\"attributes\":["
              "{\"key\":\"n\",\"value\":{\"intValue\":\"-9223372036854775808\"}},"
              "{\"key\":\"x\",\"value\":{\"doubleValue\":0.25}},"
              "{\"key\":\"is\",\"value\":{\"boolValue\":true}},"
              "{\"key\":\"error.type\",\"value\":{\"stringValue\":\"23505\"}}],\"links\":["
              "{\"traceId\":\"0af7000000000000000000000000009c\",\"spanId\":\"b700000000000031\","
              "\"flags\":259},"
              "{\"traceId\":\"0af7000000000000000000000000009c\",\"spanId\":\"b700000000000031\","
              "\"flags\":771,\"attributes\":["
              "{\"key\":\"messaging.destination.partition.id\",\"value\":{\"stringValue\":\"0\"}},"
              "{\"key\":\"messaging.kafka.offset\",\"value\":{\"intValue\":\"1\"}}]}],"
              "\"status\":{\"code\":2}}");
    leat_span_free(span);
}
END_TEST

START_TEST(links_and_texts_have_their_bounds)
{
    char large[4096];
    memset(large, 'x', sizeof large);
    leat_span *span =
        leat_span_new(LEAT_SPAN_CLIENT, &own, "apply", (leat_slice){large, sizeof large});
    leat_span_state(span, LEAT_SLICE("a=b")); /* no room: it is left out whole */
    leat_span_text(span, "empty", LEAT_SLICE("y"));
    for (int i = 0; i < 10000; i++)
        leat_span_link_to(span, &(leat_span_link){.to = own, .partition = i, .offset = i});
    leat_buf out = {0};
    const leat_span *list[] = {span, span};
    leat_spans_write(list, 2, &source, &out);
    yyjson_doc *doc = yyjson_read(out.data, out.size, 0);
    yyjson_val *found = yyjson_doc_ptr_get(doc, "/resourceSpans/0/scopeSpans/0/spans/1");
    ck_assert_uint_eq(yyjson_get_len(yyjson_obj_get(found, "name")), LEAT_SPAN_TEXT_SIZE);
    ck_assert_ptr_null(yyjson_obj_get(found, "traceState"));
    ck_assert_uint_eq(yyjson_arr_size(yyjson_obj_get(found, "links")), LEAT_SPAN_LINKS_MAX);
    ck_assert_uint_eq(yyjson_get_uint(yyjson_obj_get(found, "droppedLinksCount")),
                      10000 - LEAT_SPAN_LINKS_MAX);
    yyjson_doc_free(doc);
    leat_buf_free(&out);
    leat_span_free(span);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("span");
    TCase *tests = tcase_create("span");
    tcase_add_test(tests, the_smallest_span_has_no_member_that_it_does_not_need);
    tcase_add_test(tests, a_span_has_all_that_it_was_given);
    tcase_add_test(tests, links_and_texts_have_their_bounds);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
