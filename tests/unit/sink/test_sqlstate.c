/* What each error means: a line for each line of the table, and what it means for statements that
 * hold no data. */
#include "sink/sqlstate.h"

#include <check.h>

typedef struct expectation {
    leat_sql_error error;
    leat_engine_outcome outcome;
} expectation;

#define SAID(state, ...) {.sqlstate = state, .severity = "ERROR", ##__VA_ARGS__}
#define IN(name)         .function = name

static const expectation errors[] = {
    {SAID("LT001", IN("exec_stmt_raise")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("LT003", IN("exec_stmt_raise")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("LT009", IN("exec_stmt_raise")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("LT006", IN("exec_stmt_raise")), LEAT_ENGINE_DRIFT},
    {SAID("LT008", IN("exec_stmt_raise")), LEAT_ENGINE_NOT_YET},
    /* Prepare again. */
    {SAID("26000", IN("FetchPreparedStatement")), LEAT_ENGINE_CONTENTION},
    {SAID("42P05", IN("StorePreparedStatement")), LEAT_ENGINE_CONTENTION},
    {SAID("0A000", IN("RevalidateCachedQuery")), LEAT_ENGINE_CONTENTION},
    {SAID("0A000", IN("transformInsertStmt")), LEAT_ENGINE_DRIFT},
    {SAID("0A000", IN("pg_unicode_to_server")), LEAT_ENGINE_BAD_DATA},
    /* A connection: ours, or one that a function opened. */
    {SAID("08000"), LEAT_ENGINE_UNKNOWN},
    {SAID("08P01"), LEAT_ENGINE_UNKNOWN},
    {SAID("57P01"), LEAT_ENGINE_UNKNOWN},
    {SAID("57P03", IN("")), LEAT_ENGINE_UNKNOWN},
    {SAID("40003"), LEAT_ENGINE_UNKNOWN},
    {SAID("08001", IN("dblink_get_conn")), LEAT_ENGINE_DRIFT},
    {SAID("08006", IN("exec_stmt_raise")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("57P01", IN("dblink_res_error")), LEAT_ENGINE_DRIFT},
    {SAID("40003", IN("exec_stmt_raise")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("40003", IN("pqsecure_read")), LEAT_ENGINE_DRIFT},
    {SAID("HV00N", IN("connect_pg_server")), LEAT_ENGINE_DRIFT},
    {SAID("HV000", IN("exec_stmt_raise")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("HV000"), LEAT_ENGINE_RECORD_ERROR},
    /* Raised in the database's name. */
    {SAID("28000", IN("exec_stmt_raise")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("53100", IN("exec_stmt_raise")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("58030", IN("exec_stmt_raise")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("25006", IN("exec_stmt_raise")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("57P03", IN("exec_stmt_raise")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("57000", IN("PLy_elog_impl")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("42501", IN("exec_stmt_raise")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("0A000", IN("exec_stmt_raise")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("55000", IN("exec_stmt_raise")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("57014", IN("exec_stmt_raise")), LEAT_ENGINE_CONTENTION},
    {SAID("40001", IN("exec_stmt_raise")), LEAT_ENGINE_CONTENTION},
    {SAID("22003", IN("exec_stmt_raise")), LEAT_ENGINE_BAD_DATA},
    {SAID("23503", IN("exec_stmt_raise")), LEAT_ENGINE_NOT_YET},
    /* Limits. */
    {SAID("53000"), LEAT_ENGINE_OUTAGE},
    {SAID("53100", IN("mdextend")), LEAT_ENGINE_OUTAGE},
    {SAID("53200", IN("AllocSetAlloc")), LEAT_ENGINE_OUTAGE},
    {SAID("53200", IN("LockAcquireExtended")), LEAT_ENGINE_CONTENTION},
    {SAID("53300"), LEAT_ENGINE_OUTAGE},
    {SAID("53400", IN("FileWrite")), LEAT_ENGINE_CONTENTION},
    {SAID("54000", IN("GetNewTransactionId")), LEAT_ENGINE_OUTAGE},
    {SAID("54000", IN("GetNewMultiXactId")), LEAT_ENGINE_OUTAGE},
    {SAID("54000", IN("_bt_check_third_page")), LEAT_ENGINE_BAD_DATA},
    {SAID("54000"), LEAT_ENGINE_BAD_DATA},
    {SAID("54001", IN("check_stack_depth")), LEAT_ENGINE_BAD_DATA},
    {SAID("54011"), LEAT_ENGINE_BAD_DATA},
    {SAID("54023"), LEAT_ENGINE_BAD_DATA},
    /* The server. */
    {SAID("58000"), LEAT_ENGINE_OUTAGE},
    {SAID("58030"), LEAT_ENGINE_OUTAGE},
    {SAID("58P01", IN("internal_load_library")), LEAT_ENGINE_DRIFT},
    {SAID("58P02"), LEAT_ENGINE_OUTAGE},
    {SAID("58P03"), LEAT_ENGINE_OUTAGE},
    {SAID("F0000"), LEAT_ENGINE_OUTAGE},
    {SAID("28000"), LEAT_ENGINE_OUTAGE},
    {SAID("28P01"), LEAT_ENGINE_OUTAGE},
    {SAID("3D000"), LEAT_ENGINE_OUTAGE},
    {SAID("25006"), LEAT_ENGINE_OUTAGE},
    {SAID("25P02"), LEAT_ENGINE_OUTAGE},
    {SAID("25P04"), LEAT_ENGINE_OUTAGE},
    /* In the way. */
    {SAID("57014"), LEAT_ENGINE_CONTENTION},
    {SAID("57000"), LEAT_ENGINE_OUTAGE},
    {SAID("55P03"), LEAT_ENGINE_CONTENTION},
    {SAID("40000"), LEAT_ENGINE_CONTENTION},
    {SAID("40001"), LEAT_ENGINE_CONTENTION},
    {SAID("40002"), LEAT_ENGINE_CONTENTION},
    {SAID("40P01"), LEAT_ENGINE_CONTENTION},
    {SAID("72000", IN("TestForOldSnapshot_impl")), LEAT_ENGINE_CONTENTION},
    {SAID("72000"), LEAT_ENGINE_RECORD_ERROR},
    /* Constraints. */
    {SAID("23503", .table = "t", .constraint = "t_fkey"), LEAT_ENGINE_NOT_YET},
    {SAID("23001", .table = "t", .constraint = "t_fkey"), LEAT_ENGINE_NOT_YET},
    {SAID("23505", .table = "t", .constraint = "t_key"), LEAT_ENGINE_NOT_YET},
    {SAID("23P01", .table = "t", .constraint = "t_excl"), LEAT_ENGINE_NOT_YET},
    {SAID("23514", .table = "t", .constraint = "small", IN("ExecConstraints")),
     LEAT_ENGINE_BAD_DATA},
    {SAID("23514", .constraint = "a_domain", IN("domain_check_input")), LEAT_ENGINE_BAD_DATA},
    {SAID("23514", .table = "t", IN("ExecFindPartition")), LEAT_ENGINE_DRIFT},
    {SAID("23514", .table = "t", .constraint = ""), LEAT_ENGINE_DRIFT},
    {SAID("23514", .table = "t", IN("ExecPartitionCheckEmitError")), LEAT_ENGINE_NOT_YET},
    {SAID("23514", IN("exec_stmt_raise")), LEAT_ENGINE_BAD_DATA},
    {SAID("23514", .table = "t", IN("exec_stmt_raise")), LEAT_ENGINE_BAD_DATA},
    {SAID("23502", .table = "t"), LEAT_ENGINE_BAD_DATA},
    {SAID("23000"), LEAT_ENGINE_BAD_DATA},
    {SAID("44000"), LEAT_ENGINE_BAD_DATA},
    /* Data. */
    {SAID("2200H", IN("nextval_internal")), LEAT_ENGINE_DRIFT},
    {SAID("22000"), LEAT_ENGINE_BAD_DATA},
    {SAID("22003", IN("int84")), LEAT_ENGINE_BAD_DATA},
    {SAID("22P05"), LEAT_ENGINE_BAD_DATA},
    {SAID("10608"), LEAT_ENGINE_BAD_DATA},
    {SAID("20000"), LEAT_ENGINE_BAD_DATA},
    {SAID("21000"), LEAT_ENGINE_BAD_DATA},
    {SAID("P0000"), LEAT_ENGINE_BAD_DATA},
    {SAID("P0001"), LEAT_ENGINE_BAD_DATA},
    {SAID("P0004"), LEAT_ENGINE_BAD_DATA},
    {SAID("38000", IN("PLy_elog_impl")), LEAT_ENGINE_BAD_DATA},
    {SAID("09000"), LEAT_ENGINE_BAD_DATA},
    /* The table. */
    {SAID("42501"), LEAT_ENGINE_DRIFT},
    {SAID("42703"), LEAT_ENGINE_DRIFT},
    {SAID("42P01"), LEAT_ENGINE_DRIFT},
    {SAID("428C9"), LEAT_ENGINE_DRIFT},
    {SAID("0A000"), LEAT_ENGINE_DRIFT},
    {SAID("3F000"), LEAT_ENGINE_DRIFT},
    {SAID("55000", IN("CheckCmdReplicaIdentity")), LEAT_ENGINE_DRIFT},
    {SAID("55006"), LEAT_ENGINE_DRIFT},
    {SAID("55P02"), LEAT_ENGINE_DRIFT},
    {SAID("55P04"), LEAT_ENGINE_DRIFT},
    /* A trigger that is wrong in itself. */
    {SAID("03000"), LEAT_ENGINE_DRIFT},
    {SAID("0B000"), LEAT_ENGINE_DRIFT},
    {SAID("0F001"), LEAT_ENGINE_DRIFT},
    {SAID("0LP01"), LEAT_ENGINE_DRIFT},
    {SAID("0P000"), LEAT_ENGINE_DRIFT},
    {SAID("0Z002"), LEAT_ENGINE_DRIFT},
    {SAID("24000"), LEAT_ENGINE_DRIFT},
    {SAID("25001"), LEAT_ENGINE_DRIFT},
    {SAID("27000"), LEAT_ENGINE_DRIFT},
    {SAID("2BP01"), LEAT_ENGINE_DRIFT},
    {SAID("2D000"), LEAT_ENGINE_DRIFT},
    {SAID("2F005"), LEAT_ENGINE_DRIFT},
    {SAID("34000"), LEAT_ENGINE_DRIFT},
    {SAID("38001"), LEAT_ENGINE_DRIFT},
    {SAID("38999"), LEAT_ENGINE_RECORD_ERROR},
    {SAID("39P01"), LEAT_ENGINE_DRIFT},
    {SAID("39004"), LEAT_ENGINE_RECORD_ERROR},
    {SAID("3B001"), LEAT_ENGINE_DRIFT},
    /* Not understood, and an application's own. */
    {SAID("XX000", IN("elog_finish")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("XX001", IN("exec_stmt_raise")), LEAT_ENGINE_NOT_UNDERSTOOD},
    {SAID("XX002"), LEAT_ENGINE_NOT_UNDERSTOOD},
    {SAID("ZZ123", IN("exec_stmt_raise")), LEAT_ENGINE_BAD_DATA},
    {SAID("ZZ123", IN("PLy_output")), LEAT_ENGINE_BAD_DATA},
    {SAID("ZZ123", IN("somebody_else")), LEAT_ENGINE_RECORD_ERROR},
    {SAID("ZZ123"), LEAT_ENGINE_RECORD_ERROR},
};

enum { ERROR_COUNT = sizeof errors / sizeof errors[0] };

START_TEST(error_is_classified)
{
    const expectation *expected = &errors[_i];
    leat_engine_outcome outcome = leat_sqlstate_outcome(&expected->error, LEAT_SQL_ROWS);
    ck_assert_msg(outcome == expected->outcome, "line %d, %s: %s, expected %s", _i,
                  expected->error.sqlstate, leat_engine_outcome_name(outcome),
                  leat_engine_outcome_name(expected->outcome));
}
END_TEST

/* A statement without a record's data blames none, nor does it blame the row for what is raised;
 * all else is as it is with data. */
START_TEST(no_record_is_blamed_for_a_statement_without_its_data)
{
    leat_engine_outcome rows = leat_sqlstate_outcome(&errors[_i].error, LEAT_SQL_ROWS);
    leat_engine_outcome prepare = leat_sqlstate_outcome(&errors[_i].error, LEAT_SQL_PREPARE);
    leat_engine_outcome letter = leat_sqlstate_outcome(&errors[_i].error, LEAT_SQL_LETTER);
    leat_engine_outcome own = leat_sqlstate_outcome(&errors[_i].error, LEAT_SQL_OWN);
    const char *state = errors[_i].error.sqlstate;
    leat_sql_error unraised = errors[_i].error;
    if (rows == LEAT_ENGINE_RECORD_ERROR)
        unraised.function = "somebody_else";
    leat_engine_outcome plain = leat_sqlstate_outcome(&unraised, LEAT_SQL_ROWS);
    bool blames = plain == LEAT_ENGINE_BAD_DATA || plain == LEAT_ENGINE_NOT_YET ||
                  plain == LEAT_ENGINE_DRIFT || plain == LEAT_ENGINE_RECORD_ERROR;
    ck_assert_int_eq(letter, prepare);
    ck_assert_int_eq(prepare, blames ? LEAT_ENGINE_DRIFT : plain);
    if (state[0] == 'L' && state[1] == 'T')
        return; /* as is said below */
    ck_assert_int_eq(own, !blames                              ? plain
                          : state[0] == '5' && state[1] == '4' ? LEAT_ENGINE_OUTAGE
                                                               : LEAT_ENGINE_NOT_UNDERSTOOD);
}
END_TEST

START_TEST(leat_s_own_words_count_where_leat_says_them)
{
    static const struct {
        const char *sqlstate;
        leat_engine_outcome outcome;
    } words[] = {{"LT001", LEAT_ENGINE_FENCED},         {"LT002", LEAT_ENGINE_WENT_BACK},
                 {"LT003", LEAT_ENGINE_NOT_UNDERSTOOD}, {"LT004", LEAT_ENGINE_NOT_UNDERSTOOD},
                 {"LT009", LEAT_ENGINE_CHUNK_GONE},     {"LT007", LEAT_ENGINE_KEY_TURNED},
                 {"LT010", LEAT_ENGINE_REPEATED},       {"LT012", LEAT_ENGINE_REPEATED}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        leat_sql_error error = {
            .sqlstate = words[i].sqlstate, .severity = "ERROR", .function = "exec_stmt_raise"};
        ck_assert_int_eq(leat_sqlstate_outcome(&error, LEAT_SQL_OWN), words[i].outcome);
        ck_assert_int_eq(leat_sqlstate_outcome(&error, LEAT_SQL_ROWS), LEAT_ENGINE_RECORD_ERROR);
        ck_assert_int_eq(leat_sqlstate_outcome(&error, LEAT_SQL_LETTER), LEAT_ENGINE_DRIFT);
    }
}
END_TEST

/* Of the keys of writes: who goes the other way was there first, and the next try knows it. Of any
 * other table of leat's it is not understood. */
START_TEST(a_key_that_was_noted_meanwhile_is_contention)
{
    leat_sql_error error = {.sqlstate = "23505",
                            .severity = "ERROR",
                            .table = "idempotency_3",
                            .constraint = "idempotency_3_pkey",
                            .function = "_bt_check_unique"};
    ck_assert_int_eq(leat_sqlstate_outcome(&error, LEAT_SQL_OWN), LEAT_ENGINE_CONTENTION);
    ck_assert_int_eq(leat_sqlstate_outcome(&error, LEAT_SQL_ROWS), LEAT_ENGINE_NOT_YET);
    error.table = "progress";
    ck_assert_int_eq(leat_sqlstate_outcome(&error, LEAT_SQL_OWN), LEAT_ENGINE_NOT_UNDERSTOOD);
    error.table = NULL;
    ck_assert_int_eq(leat_sqlstate_outcome(&error, LEAT_SQL_OWN), LEAT_ENGINE_NOT_UNDERSTOOD);
}
END_TEST

/* Only ERROR means that the transaction is over and undone. */
START_TEST(anything_but_an_error_is_unknown)
{
    static const char *const severities[] = {"FATAL", "PANIC",  "WARNING", "NOTICE",
                                             "",      "FEHLER", NULL};
    for (size_t i = 0; i < sizeof severities / sizeof severities[0]; i++) {
        leat_sql_error error = errors[_i].error;
        error.severity = severities[i];
        for (leat_sql_part part = LEAT_SQL_ROWS; part <= LEAT_SQL_OWN; part++)
            ck_assert_int_eq(leat_sqlstate_outcome(&error, part), LEAT_ENGINE_UNKNOWN);
    }
}
END_TEST

/* An error that libpq makes itself has no SQLSTATE: nothing is known of the batch. */
START_TEST(no_valid_sqlstate_is_unknown)
{
    static const char *const states[] = {NULL, "", "2350", "235050"};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        leat_sql_error error = {.sqlstate = states[i], .severity = "ERROR"};
        ck_assert_int_eq(leat_sqlstate_outcome(&error, LEAT_SQL_ROWS), LEAT_ENGINE_UNKNOWN);
    }
}
END_TEST

START_TEST(a_connection_s_end_is_told_by_severity_or_code)
{
    ck_assert(leat_sqlstate_is_last_word("FATAL", "53300"));
    ck_assert(leat_sqlstate_is_last_word("PANIC", NULL));
    ck_assert(leat_sqlstate_is_last_word("WARNING", "57P02"));
    ck_assert(leat_sqlstate_is_last_word(NULL, "57P01"));
    ck_assert(!leat_sqlstate_is_last_word("WARNING", "57014"));
    ck_assert(!leat_sqlstate_is_last_word("ERROR", ""));
    ck_assert(!leat_sqlstate_is_last_word(NULL, NULL));
}
END_TEST

START_TEST(only_one_code_is_a_crash)
{
    static const char *const others[] = {NULL, "", "57P01", "57P03", "57P", "57P02: text"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        ck_assert(!leat_sqlstate_is_crash(others[i]));
    ck_assert(leat_sqlstate_is_crash("57P02"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlstate");
    TCase *tests = tcase_create("outcome");
    tcase_add_loop_test(tests, error_is_classified, 0, ERROR_COUNT);
    tcase_add_loop_test(tests, no_record_is_blamed_for_a_statement_without_its_data, 0,
                        ERROR_COUNT);
    tcase_add_loop_test(tests, anything_but_an_error_is_unknown, 0, ERROR_COUNT);
    tcase_add_test(tests, no_valid_sqlstate_is_unknown);
    tcase_add_test(tests, a_connection_s_end_is_told_by_severity_or_code);
    tcase_add_test(tests, only_one_code_is_a_crash);
    tcase_add_test(tests, leat_s_own_words_count_where_leat_says_them);
    tcase_add_test(tests, a_key_that_was_noted_meanwhile_is_contention);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
