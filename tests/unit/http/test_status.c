/* The table of answers is whole, and the body of an error. A lint test holds docs/http.md to it. */
#include <stdio.h>
#include <string.h>

#include "world.h"

START_TEST(every_code_has_a_row)
{
    const leat_http_code_row *row = &leat_http_codes[_i];
    char start[32];
    snprintf(start, sizeof start, "HTTP/1.1 %d ", row->status);
    ck_assert_uint_gt(row->line.size, strlen(start) + 2);
    ck_assert_int_eq(strncmp(row->line.data, start, strlen(start)), 0);
    ck_assert_str_eq(row->line.data + row->line.size - 2, "\r\n");
    ck_assert(row->error == NULL || row->status >= 400);
    ck_assert(row->headers == NULL || strcmp(row->headers + strlen(row->headers) - 2, "\r\n") == 0);
    ck_assert((row->headers != NULL) == (row->status == 503 && row->error));
}
END_TEST

static const struct {
    leat_http_code code;
    const char *field;
    const char *message;
    const char *body;
} bodies[] = {
    {LEAT_HTTP_INVALID, "a", "is not a number",
     "{\"error\":\"invalid\",\"field\":\"a\",\"message\":\"is not a number\","
     "\"type\":\"urn:leat:error:invalid\",\"title\":\"Unprocessable Content\",\"status\":422,"
     "\"detail\":\"is not a number\"}"},
    {LEAT_HTTP_UNAVAILABLE, NULL, "",
     "{\"error\":\"unavailable\",\"field\":null,\"message\":\"\","
     "\"type\":\"urn:leat:error:unavailable\",\"title\":\"Service Unavailable\",\"status\":503,"
     "\"detail\":\"\"}"},
    {LEAT_HTTP_BAD_JSON, "", "a \"b\"\n",
     "{\"error\":\"bad_json\",\"field\":null,\"message\":\"a \\\"b\\\"\\n\","
     "\"type\":\"urn:leat:error:bad_json\",\"title\":\"Bad Request\",\"status\":400,"
     "\"detail\":\"a \\\"b\\\"\\n\"}"},
    {LEAT_HTTP_INVALID, "\"\\", "x",
     "{\"error\":\"invalid\",\"field\":\"\\\"\\\\\",\"message\":\"x\","
     "\"type\":\"urn:leat:error:invalid\",\"title\":\"Unprocessable Content\",\"status\":422,"
     "\"detail\":\"x\"}"},
};

START_TEST(an_error_has_its_members)
{
    ck_assert_str_eq(leat_http_body_type(bodies[_i].code), "application/problem+json");
    ck_assert_str_eq(leat_http_body_type(LEAT_HTTP_ACCEPTED), "application/json");
    leat_buf body = {0};
    leat_http_error_body(&body, bodies[_i].code, bodies[_i].field, bodies[_i].message);
    ck_assert_str_eq(leat_buf_cstr(&body), bodies[_i].body);
    leat_buf_free(&body);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("status");
    TCase *tests = tcase_create("status");
    tcase_add_loop_test(tests, every_code_has_a_row, 0, LEAT_HTTP_CODE_COUNT);
    tcase_add_loop_test(tests, an_error_has_its_members, 0, sizeof bodies / sizeof *bodies);
    suite_add_tcase(suite, tests);
    return world_run(suite);
}
