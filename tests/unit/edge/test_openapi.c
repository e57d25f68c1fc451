/* The description of the API: what a route's settings change in it. That it is OpenAPI, and agrees
 * with the edge, is shown by tests/e2e/test_api_docs.py. */
#include "../record/fixture.h"

#include "edge/openapi.h"

static leat_routes routes;
static leat_table table;
static leat_buf text;
static yyjson_doc *doc;
static edge_openapi_options options = {.has_waits = true};

static void describe(const leat_route_spec *spec)
{
    leat_error error = {""};
    table = fixture_table();
    routes.count = 1;
    ck_assert_msg(leat_route_build(spec, &table, 0, &routes.routes[0], &error) == 0, "%s",
                  error.text);
    ck_assert_int_eq(edge_openapi_write(&routes, &options, &text), 0);
    doc = yyjson_read(text.data, text.size, 0);
    ck_assert_ptr_nonnull(doc);
}

/* The member at that JSON pointer. */
static yyjson_val *at(const char *pointer)
{
    yyjson_val *found = yyjson_doc_ptr_get(doc, pointer);
    ck_assert_msg(found, "%s: not in %s", pointer, leat_buf_cstr(&text));
    return found;
}

static bool has_word(yyjson_val *list, const char *word)
{
    size_t index, count;
    yyjson_val *value;
    yyjson_arr_foreach(list, index, count, value) if (yyjson_equals_str(value, word)) return true;
    return false;
}

static void done(void)
{
    yyjson_doc_free(doc);
    leat_buf_free(&text);
    leat_table_fini(&table);
}

#define DEVICES  "/paths/~1apps~1{app_id}~1devices~1{device}"
#define DEVICE   "/paths/~1devices~1{device}"
#define SCHEMA   "/requestBody/content/application~1json/schema"
#define EXAMPLE_ "/requestBody/content/application~1json/example"

START_TEST(a_put_must_name_what_has_no_default)
{
    describe(&(leat_route_spec){.path = "/apps/{app_id}/devices/{device}", .tenant = "app_id"});
    ck_assert(has_word(at(DEVICES "/put" SCHEMA "/required"), "sessions"));
    ck_assert(!has_word(at(DEVICES "/put" SCHEMA "/required"), "level"));
    ck_assert_uint_eq(yyjson_arr_size(at(DEVICES "/patch" SCHEMA "/required")), 0);
    at(DEVICES "/put" EXAMPLE_ "/sessions");
    ck_assert(yyjson_is_false(at(DEVICES "/put" SCHEMA "/additionalProperties")));
    ck_assert_ptr_null(yyjson_doc_ptr_get(doc, DEVICES "/put" SCHEMA "/properties/made"));
    ck_assert_uint_eq(yyjson_arr_size(at(DEVICES "/parameters")), 2);
    ck_assert(yyjson_equals_str(at(DEVICES "/parameters/0/schema/type"), "integer"));
    ck_assert_int_eq(yyjson_get_int(at(DEVICES "/parameters/1/schema/maxLength")), 20);
    done();
}
END_TEST

static const char *const names[] = {"tags", "sessions"};
static const leat_column_op ops[] = {LEAT_OP_MERGE, LEAT_OP_ADD};

static bool says(const char *pointer, const char *words)
{
    return strstr(yyjson_get_str(at(pointer)), words) != NULL;
}

START_TEST(a_put_that_merges_must_name_nothing)
{
    describe(&(leat_route_spec){.path = "/apps/{app_id}/devices/{device}",
                                .put_merge = true,
                                .other = "drop",
                                .column_names = names,
                                .column_ops = ops,
                                .column_count = COUNT_OF(ops)});
    ck_assert(says(DEVICES "/put" SCHEMA "/properties/tags/description", ". PUT merges the"));
    ck_assert(says(DEVICES "/put" SCHEMA "/properties/sessions/description", ". PUT sets it."));
    ck_assert_uint_eq(yyjson_arr_size(at(DEVICES "/put" SCHEMA "/required")), 0);
    ck_assert(yyjson_is_true(at(DEVICES "/put" SCHEMA "/additionalProperties")));
    ck_assert_ptr_nonnull(strstr(yyjson_get_str(at(DEVICES "/put/description")), "stay"));
    done();
}
END_TEST

START_TEST(a_put_sets_whatever_a_patch_does)
{
    describe(&(leat_route_spec){.path = "/apps/{app_id}/devices/{device}",
                                .column_names = names,
                                .column_ops = ops,
                                .column_count = COUNT_OF(ops)});
    ck_assert(says(DEVICES "/put" SCHEMA "/properties/tags/description", ". PUT sets it."));
    ck_assert(says(DEVICES "/patch" SCHEMA "/properties/tags/description", "PATCH merges"));
    done();
}
END_TEST

/* Where nobody can wait for a write or ask about it, nothing is said of that. */
START_TEST(without_waits_there_is_nothing_to_ask)
{
    static const char *const successes[LEAT_MODE_COUNT] = {
        [LEAT_MODE_ASYNC] = NULL,
        [LEAT_MODE_SYNC] = "#/components/responses/Applied",
        [LEAT_MODE_SHADOW] = "#/components/responses/Applied",
        [LEAT_MODE_LIVE] = "#/components/responses/Applied",
    };
    options.has_waits = false;
    describe(&(leat_route_spec){.path = "/apps/{app_id}/devices/{device}", .mode = (leat_mode)_i});
    options.has_waits = true;
    const char *all = leat_buf_cstr(&text);
    ck_assert_ptr_null(strstr(all, "refer"));
    ck_assert_ptr_null(strstr(all, "token"));
    ck_assert_ptr_null(strstr(all, "/writes"));
    yyjson_val *applied = yyjson_doc_ptr_get(doc, DEVICES "/put/responses/200/$ref");
    ck_assert_int_eq(applied != NULL, successes[_i] != NULL);
    ck_assert(!applied || yyjson_equals_str(applied, successes[_i]));
    ck_assert_uint_eq(yyjson_arr_size(at("/components/schemas/Accepted/required")), 3);
    ck_assert(!has_word(at("/components/schemas/Accepted/required"), "token"));
    done();
}
END_TEST

/* What a write is answered with, by the ways that it may go. */
START_TEST(a_route_has_the_answers_of_its_mode)
{
    static const struct {
        const char *applied;
        bool may_be_accepted;
    } cases[LEAT_MODE_COUNT] = {
        [LEAT_MODE_ASYNC] = {"#/components/responses/200", true},
        [LEAT_MODE_SYNC] = {"#/components/responses/Applied", false},
        [LEAT_MODE_SHADOW] = {"#/components/responses/Applied", false},
        [LEAT_MODE_LIVE] = {"#/components/responses/AppliedEitherWay", true},
    };
    describe(&(leat_route_spec){.path = "/apps/{app_id}/devices/{device}", .mode = (leat_mode)_i});
    static const char *const methods[] = {"put", "patch", "delete"};
    for (size_t i = 0; i < 3; i++) {
        char pointer[128];
        snprintf(pointer, sizeof pointer, DEVICES "/%s/responses/200/$ref", methods[i]);
        ck_assert_str_eq(yyjson_get_str(at(pointer)), cases[_i].applied);
        snprintf(pointer, sizeof pointer, DEVICES "/%s/responses/202/$ref", methods[i]);
        yyjson_val *accepted = yyjson_doc_ptr_get(doc, pointer);
        ck_assert_int_eq(accepted != NULL, cases[_i].may_be_accepted);
        ck_assert(!accepted || yyjson_equals_str(accepted, "#/components/responses/202"));
    }
    at("/components/responses/202");
    at(cases[_i].applied + 1);
    done();
}
END_TEST

START_TEST(a_tenant_of_the_body_is_needed_there_and_in_the_query_of_a_delete)
{
    describe(&(leat_route_spec){.path = "/devices/{device}", .tenant = "body.app_id"});
    ck_assert(has_word(at(DEVICE "/put" SCHEMA "/required"), "app_id"));
    ck_assert(has_word(at(DEVICE "/patch" SCHEMA "/required"), "app_id"));
    ck_assert_int_eq(yyjson_get_int(at(DEVICE "/patch" EXAMPLE_ "/app_id")), 1);
    ck_assert(yyjson_equals_str(at(DEVICE "/delete/parameters/1/name"), "app_id"));
    ck_assert(yyjson_equals_str(at(DEVICE "/delete/parameters/1/in"), "query"));
    ck_assert(yyjson_equals_str(at(DEVICE "/delete/parameters/1/schema/type"), "integer"));
    done();
}
END_TEST

START_TEST(a_tenant_of_a_header_is_a_parameter_of_all)
{
    describe(&(leat_route_spec){.path = "/devices/{device}", .tenant = "header.x-app-id"});
    ck_assert(yyjson_equals_str(at(DEVICE "/parameters/1/name"), "x-app-id"));
    ck_assert(yyjson_equals_str(at(DEVICE "/parameters/1/in"), "header"));
    ck_assert(yyjson_is_true(at(DEVICE "/parameters/1/required")));
    done();
}
END_TEST

START_TEST(a_token_is_asked_for_where_the_edge_does)
{
    const leat_route_spec route = {.path = "/apps/{app_id}/devices/{device}"};
    describe(&route);
    ck_assert_ptr_null(yyjson_doc_ptr_get(doc, "/security"));
    ck_assert_ptr_null(yyjson_doc_ptr_get(doc, "/components/securitySchemes"));
    done();
    options.needs_token = true;
    describe(&route);
    at("/security/0/token");
    ck_assert(yyjson_equals_str(at("/components/securitySchemes/token/scheme"), "bearer"));
    ck_assert_uint_eq(yyjson_arr_size(at("/paths/~1healthz/get/security")), 0);
    done();
    options.needs_token = false;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("openapi");
    TCase *tests = tcase_create("openapi");
    tcase_add_test(tests, a_put_must_name_what_has_no_default);
    tcase_add_test(tests, a_put_that_merges_must_name_nothing);
    tcase_add_test(tests, a_put_sets_whatever_a_patch_does);
    tcase_add_loop_test(tests, without_waits_there_is_nothing_to_ask, 0, LEAT_MODE_COUNT);
    tcase_add_loop_test(tests, a_route_has_the_answers_of_its_mode, 0, LEAT_MODE_COUNT);
    tcase_add_test(tests, a_tenant_of_the_body_is_needed_there_and_in_the_query_of_a_delete);
    tcase_add_test(tests, a_tenant_of_a_header_is_a_parameter_of_all);
    tcase_add_test(tests, a_token_is_asked_for_where_the_edge_does);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
