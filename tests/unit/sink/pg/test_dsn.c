/* A DSN made ready: always the primary, a time limit, leat's name; and what is refused. Asks no
 * server. */
#include "sink/pg/dsn.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* The value that libpq takes: the last one. */
static const char *value_of(const leat_pg_dsn *dsn, const char *keyword)
{
    const char *found = NULL, *keywords[LEAT_PG_DSN_PARAMS_MAX + 1],
               *values[LEAT_PG_DSN_PARAMS_MAX + 1];
    leat_pg_dsn_fill(dsn, NULL, NULL, keywords, values);
    for (size_t i = 0; keywords[i]; i++)
        if (strcmp(keywords[i], keyword) == 0)
            found = values[i];
    return found;
}

static leat_pg_dsn *made(const char *text, const char *owner)
{
    leat_error error = {0};
    leat_pg_dsn *dsn = leat_pg_dsn_new(text, owner, &error);
    ck_assert_msg(dsn != NULL, "%s: %s", text, error.text);
    return dsn;
}

static const struct {
    const char *dsn;
    const char *target;
} targets[] = {
    {"host=a,b port=1,2 dbname=d", "read-write"},
    {"postgresql://a,b/d", "read-write"},
    {"host=a target_session_attrs=''", "read-write"},
    {"host=a target_session_attrs=read-write", "read-write"},
    {"postgresql://a/d?target_session_attrs=primary", "primary"},
};

START_TEST(a_primary_is_asked_for)
{
    setenv("PGTARGETSESSIONATTRS", "standby", 1);
    for (size_t owned = 0; owned < 2; owned++) {
        leat_pg_dsn *dsn = made(targets[_i].dsn, owned ? "1 g" : NULL);
        ck_assert_str_eq(value_of(dsn, "target_session_attrs"), targets[_i].target);
        leat_pg_dsn_take_any_server(dsn);
        ck_assert_str_eq(value_of(dsn, "target_session_attrs"), "any");
        leat_pg_dsn_free(dsn);
    }
}
END_TEST

static const struct {
    const char *dsn;
    const char *words;
} refused[] = {
    {"host=a password=secret target_session_attrs=any", "target_session_attrs=any"},
    {"host=a password=secret target_session_attrs=read-only", "target_session_attrs=read-only"},
    {"postgresql://u:secret@a/d?target_session_attrs=standby", "target_session_attrs=standby"},
    {"postgresql://u:secret@a/d?target_session_attrs=prefer-standby",
     "target_session_attrs=prefer-standby"},
    {"postgresql://u:se@cret@a/d", "%40"},
    {"host=a secret", "the dsn cannot be read"},
};

START_TEST(what_cannot_be_is_refused)
{
    leat_error error = {0};
    ck_assert_ptr_null(leat_pg_dsn_new(refused[_i].dsn, NULL, &error));
    ck_assert_msg(strstr(error.text, refused[_i].words) != NULL, "%s", error.text);
    ck_assert_msg(!strstr(error.text, "secret"), "%s", error.text);
}
END_TEST

static const struct {
    const char *dsn;
    int64_t timeout_ms;
    const char *seconds;
} limits[] = {
    {"host=a", 10000, "10"},
    {"host=a connect_timeout=3", 3000, "3"},
    {"host=a connect_timeout=0", 10000, "10"},
    {"host=a connect_timeout=-1", 10000, "10"},
    {"host=a connect_timeout=99999", 10000, "10"},
};

START_TEST(an_attempt_has_a_time_limit)
{
    leat_pg_dsn *dsn = made(limits[_i].dsn, NULL);
    ck_assert_int_eq(leat_pg_dsn_connect_timeout_ms(dsn), limits[_i].timeout_ms);
    ck_assert_str_eq(value_of(dsn, "connect_timeout"), limits[_i].seconds);
    leat_pg_dsn_free(dsn);
}
END_TEST

START_TEST(only_a_worker_has_its_owner_in_its_name)
{
    leat_pg_dsn *worker = made("host=a application_name=mine", "7 abc"),
                *look = made("host=a application_name=mine", NULL), *plain = made("host=a", NULL);
    ck_assert(strncmp(value_of(worker, "application_name"), "leat 7 abc ", 11) == 0);
    ck_assert_str_eq(value_of(look, "application_name"), "mine");
    ck_assert_str_eq(value_of(plain, "application_name"), "leat");
    leat_pg_dsn_free(worker);
    leat_pg_dsn_free(look);
    leat_pg_dsn_free(plain);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pg_dsn");
    TCase *tests = tcase_create("dsn");
    suite_add_tcase(suite, tests);
    tcase_add_loop_test(tests, a_primary_is_asked_for, 0, sizeof targets / sizeof *targets);
    tcase_add_loop_test(tests, what_cannot_be_is_refused, 0, sizeof refused / sizeof *refused);
    tcase_add_loop_test(tests, an_attempt_has_a_time_limit, 0, sizeof limits / sizeof *limits);
    tcase_add_test(tests, only_a_worker_has_its_owner_in_its_name);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
