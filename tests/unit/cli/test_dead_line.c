/* A dead letter as a line of `leat send`: what the write was, and what cannot be sent. */
#include "../../lib/test_placement.h"
#include "../record/fixture.h"
#include "cli/dead_line.h"

static leat_table table_of_test;
static leat_table by_id;
static leat_routes routes;
static leat_dead_line_form form;

static void add_route(const leat_route_spec *spec, const leat_table *table)
{
    leat_error error = {""};
    leat_route *route = &routes.routes[routes.count];
    route->index = routes.count++;
    ck_assert_msg(leat_route_build(spec, table, 0, route, &error) == 0, "%s", error.text);
}

static void setup(void)
{
    table_of_test = fixture_table();
    by_id = fixture_empty_table("players");
    fixture_add_key(&by_id, "id", LEAT_TYPE_TEXT, -1);
    fixture_add(&by_id, "club id", LEAT_TYPE_TEXT, -1);
    memset(&routes, 0, sizeof routes);
    add_route(&(leat_route_spec){.name = "path",
                                 .path = "/apps/{app_id}/devices/{device}",
                                 .tenant = "app_id"},
              &table_of_test);
    add_route(&(leat_route_spec){.name = "body", .path = "/of/{id}", .tenant = "body.club id"},
              &by_id);
    add_route(
        &(leat_route_spec){.name = "header", .path = "/at/{device}", .tenant = "header.X-App"},
        &table_of_test);
    add_route(&(leat_route_spec){.name = "token", .path = "/my/{device}", .tenant = "token"},
              &table_of_test);
    add_route(&(leat_route_spec){.name = "none", .path = "/none/{id}"}, &by_id);
    add_route(&(leat_route_spec){.name = "odd", .path = "/apps/{app_id}/{device}/last"},
              &table_of_test);
    add_route(&(leat_route_spec){.name = "none.shadow", .path = "/none/{id}"}, &by_id);
    routes.routes[routes.count - 1].is_shadow = true;
    routes.shadow_count = 1;
    form = (leat_dead_line_form){.routes = &routes, .placement = &test_placement};
}

static void teardown(void)
{
    leat_table_fini(&table_of_test);
    leat_table_fini(&by_id);
}

static leat_dead_letter letter_of(const char *route, const char *op, const char *key,
                                  const char *body)
{
    return (leat_dead_letter){
        .source = 3,
        .partition = 5,
        .offset = 70,
        .route = (char *)(uintptr_t)route,
        .op = (char *)(uintptr_t)op,
        .key = (char *)(uintptr_t)key,
        .key_size = strlen(key),
        .body = (char *)(uintptr_t)body,
        .body_size = body ? strlen(body) : 0,
    };
}

/* `line`: it is the answer; else `fault` is in the message, or it is another tenant's. */
static void expect(const leat_dead_letter *letter, const char *line, const char *fault)
{
    leat_buf out = {0};
    leat_error error = {""};
    leat_buf_text(&out, "before ");
    int status = leat_dead_line(&form, letter, &out, &error);
    ck_assert_msg(status == (line ? 0 : fault ? -1 : 1), "%d: %s", status, error.text);
    ck_assert_msg(!fault || strstr(error.text, fault), "%s", error.text);
    ck_assert_int_eq(strncmp(leat_buf_cstr(&out), "before ", 7), 0);
    ck_assert_str_eq(leat_buf_cstr(&out) + 7, line ? line : "");
    leat_buf_free(&out);
}

static const struct {
    const char *route, *op, *key, *body, *tenant;
    const char *line;  /* without its idempotency key */
    const char *fault; /* NULL with it: it is another tenant's */
} cases[] = {
    {"path", "put", "7/a%20b%2Fc", "{\"n\":1.0}", NULL,
     "{\"method\":\"PUT\",\"path\":\"/apps/7/devices/a%20b%2Fc\",\"body\":{\"n\":1.0}", NULL},
    {"path", "patch", "007/%61", "{\"a\": \"x\\ny\",\r\n \"b\": 2}", NULL,
     "{\"method\":\"PATCH\",\"path\":\"/apps/7/devices/a\",\"body\":{\"a\": \"x\\ny\",   \"b\": 2}",
     NULL},
    {"path", "delete", "7/a", NULL, NULL, "{\"method\":\"DELETE\",\"path\":\"/apps/7/devices/a\"",
     NULL},
    {"path", NULL, "7/a", NULL, NULL, "{\"method\":\"DELETE\",\"path\":\"/apps/7/devices/a\"",
     NULL},
    {"path", "patch", "7/a", "{}", "007",
     "{\"method\":\"PATCH\",\"path\":\"/apps/7/devices/a\",\"body\":{}", NULL},
    {"path", "patch", "7/a", "{}", "8", NULL, NULL},
    {"path", "patch", "7/a", "{}", "x", NULL, "--tenant: app_id: "},
    {"body", "put", "a%26b/1", "{\"club id\":\"a&b\"}", NULL,
     "{\"method\":\"PUT\",\"path\":\"/of/1\",\"body\":{\"club id\":\"a&b\"}", NULL},
    {"body", "delete", "a%26b/1", NULL, NULL,
     "{\"method\":\"DELETE\",\"path\":\"/of/1?club%20id=a%26b\"", NULL},
    {"header", "patch", "7/a", "{}", "7", "{\"method\":\"PATCH\",\"path\":\"/at/a\",\"body\":{}",
     NULL},
    {"header", "patch", "7/a", "{}", "8", NULL, NULL},
    {"header", "patch", "7/a", "{}", NULL, NULL, "in the header x-app, which all lines"},
    {"token", "patch", "7/a", "{}", NULL, NULL, "--tenant 7 lists those"},
    {"none", "patch", "1", "{}", NULL, "{\"method\":\"PATCH\",\"path\":\"/none/1\",\"body\":{}",
     NULL},
    {"none", "patch", "1", "{}", "7", NULL, NULL},
    {"gone", "patch", "1", "{}", NULL, NULL, "there is no route \"gone\""},
    {NULL, "patch", "1", "{}", NULL, NULL, "there are several routes"},
    {"none.shadow", "patch", "1", "{}", NULL, NULL, "the shadow of a route"},
    {"none", "merge", "1", "{}", NULL, NULL, "no operation \"merge\""},
    {"path", "patch", "7", "{}", NULL, NULL, "key: "},
    {"path", "patch", "", "{}", NULL, NULL, "key: "},
    {"odd", "patch", "7/devices", "{}", NULL, NULL,
     "/apps/7/devices/last does not lead to route odd"},
    {"none", "patch", "1", "{\"a\":", NULL, NULL, "not a JSON object"},
    {"none", "patch", "1", "[]", NULL, NULL, "not a JSON object"},
    {"none", "patch", "1", "{\"a\":\"\xff\"}", NULL, NULL, "not a JSON object"},
};

START_TEST(a_letter_is_the_write_that_it_was)
{
    leat_buf line = {0};
    form.tenant = cases[_i].tenant;
    leat_dead_letter letter =
        letter_of(cases[_i].route, cases[_i].op, cases[_i].key, cases[_i].body);
    if (cases[_i].line)
        leat_buf_printf(&line, "%s,\"idempotency_key\":\"dead-3-5-70\"}", cases[_i].line);
    expect(&letter, line.size > 0 ? leat_buf_cstr(&line) : NULL, cases[_i].fault);
    leat_buf_free(&line);
}
END_TEST

/* Its client may have sent it again; and of a line that is refused once more there is a second
 * letter, which is the same write. */
START_TEST(a_record_keeps_its_own_idempotency_key)
{
    static const struct {
        const char *headers, *key;
    } given[] = {
        {"{\"op\":\"delete\",\"idempotency\":\"k-1\"}", "k-1"},
        {"{\"idempotency\":\"k-1\",\"idempotency\":\"\\\"k-2\\\"\"}", "k-2"},
        {"{\"idempotency\":\"a b\"}", "dead-3-5-70"},
        {"{\"idempotency\":{\"base64\":\"/w==\"}}", "dead-3-5-70"},
        {"{\"idempotency\":null}", "dead-3-5-70"},
        {"{\"op\":\"delete\"}", "dead-3-5-70"},
    };
    for (size_t i = 0; i < COUNT_OF(given); i++) {
        leat_buf line = {0};
        leat_dead_letter letter = letter_of("none", "delete", "1", NULL);
        letter.headers = (char *)(uintptr_t)given[i].headers;
        leat_buf_printf(&line,
                        "{\"method\":\"DELETE\",\"path\":\"/none/1\",\"idempotency_key\":\"%s\"}",
                        given[i].key);
        expect(&letter, leat_buf_cstr(&line), NULL);
        leat_buf_free(&line);
    }
}
END_TEST

/* A line says something else than such a body, and would not be the repeat that its key says. */
START_TEST(what_a_line_cannot_repeat_is_left_out)
{
    static const char *const bodies[] = {"{\n\"n\":1}", "{\"n\":1}\n", " {\"n\":1}", "{\"n\":1}"};
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        leat_dead_letter letter = letter_of("path", "patch", "7/a", bodies[i]);
        letter.headers = (char *)(uintptr_t)"{\"op\":\"patch\",\"idempotency\":\"k-1\"}";
        bool is_last = i + 1 == COUNT_OF(bodies);
        expect(&letter,
               is_last ? "{\"method\":\"PATCH\",\"path\":\"/apps/7/devices/a\",\"body\":{\"n\":1},"
                         "\"idempotency_key\":\"k-1\"}"
                       : NULL,
               is_last ? NULL : "which a line cannot repeat");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli/dead_line");
    TCase *tests = tcase_create("dead_line");
    suite_add_tcase(suite, tests);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, a_letter_is_the_write_that_it_was, 0, (int)COUNT_OF(cases));
    tcase_add_test(tests, a_record_keeps_its_own_idempotency_key);
    tcase_add_test(tests, what_a_line_cannot_repeat_is_left_out);
    return fixture_run(suite);
}
