#include "sink/sqlstate.h"

#include <check.h>

typedef struct expectation {
    const char *sqlstate;
    leat_outcome outcome;
} expectation;

/* At least one code of every class of the table in the design, and of every class that PostgreSQL has beside. */
static const expectation errors[] = {
    {"LT001", LEAT_FENCED},        {"LT002", LEAT_WENT_BACK},     {"LT003", LEAT_NOT_UNDERSTOOD},
    {"LT004", LEAT_NOT_UNDERSTOOD}, {"LT005", LEAT_NOT_UNDERSTOOD},
    {"08000", LEAT_UNKNOWN},       {"08006", LEAT_UNKNOWN},       {"08P01", LEAT_UNKNOWN},
    {"57P01", LEAT_UNKNOWN},       {"57P02", LEAT_UNKNOWN},       {"57P03", LEAT_UNKNOWN},
    {"57P05", LEAT_UNKNOWN},       {"40003", LEAT_UNKNOWN},
    {"53000", LEAT_OUTAGE},        {"53100", LEAT_OUTAGE},        {"53200", LEAT_OUTAGE},
    {"53300", LEAT_OUTAGE},        {"58000", LEAT_OUTAGE},        {"58030", LEAT_OUTAGE},
    {"25006", LEAT_OUTAGE},        {"28000", LEAT_OUTAGE},        {"28P01", LEAT_OUTAGE},
    {"3D000", LEAT_OUTAGE},
    {"40000", LEAT_CONTENTION},    {"40001", LEAT_CONTENTION},    {"40002", LEAT_CONTENTION},
    {"40P01", LEAT_CONTENTION},    {"55P03", LEAT_CONTENTION},    {"57014", LEAT_CONTENTION},
    {"26000", LEAT_CONTENTION},    {"0A000", LEAT_DRIFT},
    {"22000", LEAT_BAD_DATA},      {"22003", LEAT_BAD_DATA},      {"22P05", LEAT_BAD_DATA},
    {"23502", LEAT_BAD_DATA},      {"23503", LEAT_NOT_YET},       {"23505", LEAT_NOT_YET},
    {"23P01", LEAT_NOT_YET},       {"23000", LEAT_BAD_DATA},      {"23001", LEAT_BAD_DATA},
    {"23514", LEAT_BAD_DATA},      {"44000", LEAT_BAD_DATA},      {"54000", LEAT_BAD_DATA},
    {"21000", LEAT_BAD_DATA},      {"P0001", LEAT_BAD_DATA},
    {"42501", LEAT_DRIFT},         {"42703", LEAT_DRIFT},         {"42P01", LEAT_DRIFT},
    {"XX000", LEAT_NOT_UNDERSTOOD}, {"XX002", LEAT_NOT_UNDERSTOOD}, {"25001", LEAT_NOT_UNDERSTOOD},
    {"25P02", LEAT_NOT_UNDERSTOOD}, {"55000", LEAT_NOT_UNDERSTOOD}, {"55006", LEAT_NOT_UNDERSTOOD},
    {"57000", LEAT_NOT_UNDERSTOOD}, {"57PXX", LEAT_UNKNOWN},        {"38000", LEAT_NOT_UNDERSTOOD},
    {"39000", LEAT_NOT_UNDERSTOOD}, {"2F000", LEAT_NOT_UNDERSTOOD}, {"3B001", LEAT_NOT_UNDERSTOOD},
    {"34000", LEAT_NOT_UNDERSTOOD}, {"F0000", LEAT_NOT_UNDERSTOOD}, {"HV000", LEAT_NOT_UNDERSTOOD},
    {"72000", LEAT_NOT_UNDERSTOOD}, {"0B000", LEAT_NOT_UNDERSTOOD}, {"ZZZZZ", LEAT_NOT_UNDERSTOOD},
};

enum { ERROR_COUNT = sizeof errors / sizeof errors[0] };

START_TEST(error_is_classified)
{
    const expectation *expected = &errors[_i];
    leat_outcome outcome = leat_sqlstate_outcome(expected->sqlstate, "ERROR", false);
    ck_assert_msg(outcome == expected->outcome, "%s: outcome %d, expected %d", expected->sqlstate, (int)outcome,
                  (int)expected->outcome);
}
END_TEST

/* Only ERROR says that the transaction is over and undone. */
START_TEST(anything_but_an_error_is_unknown)
{
    static const char *const severities[] = {"FATAL", "PANIC", "WARNING", "NOTICE", "", "FEHLER", NULL};
    for (size_t i = 0; i < sizeof severities / sizeof severities[0]; i++) {
        ck_assert_int_eq(leat_sqlstate_outcome(errors[_i].sqlstate, severities[i], false), LEAT_UNKNOWN);
        ck_assert_int_eq(leat_sqlstate_outcome(errors[_i].sqlstate, severities[i], true), LEAT_UNKNOWN);
    }
}
END_TEST

/* A unique violation on the primary key is a foreign insert beside us; the flag changes nothing else. */
START_TEST(primary_key_matters_to_23505_only)
{
    ck_assert_int_eq(leat_sqlstate_outcome("23505", "ERROR", true), LEAT_CONTENTION);
    for (size_t i = 0; i < ERROR_COUNT; i++) {
        leat_outcome with = leat_sqlstate_outcome(errors[i].sqlstate, "ERROR", true);
        if (leat_sqlstate_outcome(errors[i].sqlstate, "ERROR", false) != with)
            ck_assert_str_eq(errors[i].sqlstate, "23505");
    }
}
END_TEST

/* An error that libpq makes itself has no SQLSTATE: nothing is known of the batch. */
START_TEST(no_valid_sqlstate_is_unknown)
{
    ck_assert_int_eq(leat_sqlstate_outcome(NULL, "ERROR", false), LEAT_UNKNOWN);
    ck_assert_int_eq(leat_sqlstate_outcome(NULL, NULL, false), LEAT_UNKNOWN);
    ck_assert_int_eq(leat_sqlstate_outcome("", "ERROR", false), LEAT_UNKNOWN);
    ck_assert_int_eq(leat_sqlstate_outcome("2350", "ERROR", false), LEAT_UNKNOWN);
    ck_assert_int_eq(leat_sqlstate_outcome("235050", "ERROR", true), LEAT_UNKNOWN);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlstate");
    TCase *tests = tcase_create("outcome");
    tcase_add_loop_test(tests, error_is_classified, 0, ERROR_COUNT);
    tcase_add_loop_test(tests, anything_but_an_error_is_unknown, 0, ERROR_COUNT);
    tcase_add_test(tests, primary_key_matters_to_23505_only);
    tcase_add_test(tests, no_valid_sqlstate_is_unknown);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
