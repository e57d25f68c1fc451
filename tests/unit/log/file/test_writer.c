/* The built-in log's writer, and the file's identity as others read it. */
#include <sys/wait.h>

#include "fixture.h"
#include "record/headers.h"

static void finish(fixture *f)
{
    if (f->writer)
        fixture_write_end(f);
    fixture_end(f);
}

static leat_record record_of(leat_slice value)
{
    return (leat_record){.accepted_ms = 1, .key = LEAT_SLICE("k"), .value = value};
}

static bool is_ready(const void *context)
{
    return !leat_log_writer_trouble(((const fixture *)context)->writer);
}

/* ---- appending ---- */

START_TEST(answers_each_record_once)
{
    fixture f;
    fixture_open(&f, 3);
    fixture_write(&f);
    ck_assert(!leat_log_writer_trouble(f.writer));
    ck_assert_int_eq(leat_log_writer_oldest_us(f.writer, 0, leat_mono_us()), 0);
    static int seen[10000];
    leat_error error;
    for (size_t i = 0; i < 10000; i++) {
        leat_record record = record_of(LEAT_SLICE("{}"));
        record.partition = (uint32_t)i % 3;
        ck_assert_int_eq(fixture_append(&f, &record, &seen[i], &error), 0);
    }
    ck_assert_uint_eq(((const leat_local_writer *)f.writer)->waiting, 10000);
    ck_assert_int_gt(leat_log_writer_oldest_us(f.writer, 0, leat_mono_us()), 0);
    fixture_await_answers(&f);
    ck_assert_uint_eq(f.count[LEAT_APPENDED], 10000);
    ck_assert_uint_eq(((const leat_local_writer *)f.writer)->waiting, 0);
    ck_assert_int_eq(leat_log_writer_oldest_us(f.writer, 0, leat_mono_us()), 0);
    ck_assert_int_eq(f.last[0], 3333);
    ck_assert_int_eq(f.last[2], 3332);
    finish(&f);
}
END_TEST

START_TEST(refuses_what_is_too_large)
{
    fixture f;
    fixture_open(&f, 1);
    fixture_write(&f);
    leat_error error;
    size_t size = LEAT_LOCAL_RECORD_MAX;
    char *bytes = calloc(1, size);
    leat_record record = record_of((leat_slice){bytes, size});
    ck_assert_int_eq(fixture_append(&f, &record, NULL, &error), -1); /* with its key */
    record.value.size--;
    ck_assert_int_eq(fixture_append(&f, &record, NULL, &error), 0);
    fixture_await_answers(&f);
    ck_assert_uint_eq(f.count[LEAT_APPENDED], 1);
    free(bytes);
    finish(&f);
}
END_TEST

/* Another connection that has the file's write lock: the writer cannot go on meanwhile. */
static sqlite3 *hold_up(const fixture *f)
{
    leat_error error = {0};
    sqlite3 *db;
    ck_assert_msg(leat_local_connect(f->file, LEAT_LOCAL_WRITE, 5000, &db, &error) == 0, "%s",
                  error.text);
    ck_assert_msg(leat_local_run(db, "BEGIN IMMEDIATE", &error) == 0, "%s", error.text);
    return db;
}

START_TEST(full_means_later)
{
    fixture f;
    fixture_open(&f, 1);
    atomic_store(&f.config.local->busy_ms, 100 * 1000); /* however long the filling takes */
    fixture_write(&f);
    sqlite3 *holder = hold_up(&f);
    leat_error error;
    size_t size = 8 * 1024 * 1024;
    char *bytes = calloc(1, size);
    leat_record record = record_of((leat_slice){bytes, size});
    int result = 0;
    while ((result = fixture_append(&f, &record, NULL, &error)) == 0)
        ck_assert_uint_lt(f.sent, 100);
    ck_assert_int_eq(result, 1);
    ck_assert_uint_eq(f.sent, 7); /* keys count too */
    sqlite3_close_v2(holder);
    fixture_await_answers(&f);
    fixture_await(&f, is_ready, &f);
    size_t before = f.count[LEAT_APPENDED];
    ck_assert_int_eq(fixture_append(&f, &record, NULL, &error), 0);
    fixture_await_answers(&f);
    ck_assert_uint_eq(f.count[LEAT_APPENDED], before + 1);
    free(bytes);
    finish(&f);
}
END_TEST

START_TEST(too_many_means_later)
{
    fixture f;
    fixture_open(&f, 1);
    atomic_store(&f.config.local->busy_ms, 100 * 1000); /* however long the filling takes */
    fixture_write(&f);
    sqlite3 *holder = hold_up(&f);
    fixture_append_keys(&f, 0, 0, LEAT_LOCAL_WAITING_MAX, 1);
    leat_error error;
    leat_record record = record_of(LEAT_SLICE("{}"));
    ck_assert_int_eq(fixture_append(&f, &record, NULL, &error), 1);
    ck_assert_msg(strstr(error.text, "too many"), "%s", error.text);
    sqlite3_close_v2(holder);
    finish(&f);
}
END_TEST

START_TEST(a_lock_that_stays_means_not_appended)
{
    fixture f;
    fixture_open(&f, 1);
    fixture_write(&f);
    sqlite3 *holder = hold_up(&f);
    fixture_append_keys(&f, 0, 0, 10, 1);
    fixture_await_answers(&f);
    ck_assert_uint_eq(f.count[LEAT_NOT_APPENDED], 10);
    ck_assert(leat_log_writer_trouble(f.writer));
    leat_error error;
    leat_record record = record_of(LEAT_SLICE("{}"));
    ck_assert_int_eq(fixture_append(&f, &record, NULL, &error), 1);
    sqlite3_close_v2(holder);
    fixture_await(&f, is_ready, &f);
    fixture_append_keys(&f, 0, 0, 10, 1); /* the fixture wants offsets from 0 */
    fixture_await_answers(&f);
    ck_assert_uint_eq(f.count[LEAT_APPENDED], 10);
    finish(&f);
}
END_TEST

START_TEST(a_full_disk_means_not_appended)
{
    fixture f;
    fixture_open(&f, 2);
    fixture_write(&f);
    atomic_store(&f.config.local->max_pages, 100);
    static char bytes[64 * 1024];
    leat_error error;
    leat_record record = record_of((leat_slice){bytes, sizeof bytes});
    while (fixture_append(&f, &record, NULL, &error) == 0) {
        fixture_await_answers(&f);
        ck_assert_uint_lt(f.sent, 100);
    }
    size_t appended = f.count[LEAT_APPENDED];
    ck_assert_uint_eq(f.count[LEAT_NOT_APPENDED], 1);
    ck_assert_uint_gt(appended, 0);
    atomic_store(&f.config.local->max_pages, 0);
    fixture_await(&f, is_ready, &f);
    ck_assert_int_eq(fixture_append(&f, &record, NULL, &error), 0);
    fixture_await_answers(&f);
    ck_assert_uint_eq(f.count[LEAT_APPENDED], appended + 1);
    leat_log_ahead ahead[2];
    ck_assert_int_eq(
        leat_log_read_ahead(&f.config, 2, (const int64_t[]){-1, -1}, 1000, ahead, &error), 0);
    ck_assert_int_eq(ahead[0].end, (int64_t)appended + 1);
    finish(&f);
}
END_TEST

START_TEST(free_answers_what_waits)
{
    fixture f;
    fixture_open(&f, 1);
    fixture_write(&f);
    fixture_append_keys(&f, 0, 0, 20000, 1);
    leat_log_writer_free(f.writer, 30000);
    f.writer = NULL;
    ck_assert_uint_eq(f.count[LEAT_APPENDED], 20000);
    finish(&f);
}
END_TEST

START_TEST(free_is_bounded)
{
    fixture f;
    fixture_open(&f, 1);
    fixture_write(&f);
    sqlite3 *holder = hold_up(&f);
    fixture_append_keys(&f, 0, 0, 20000, 1);
    leat_log_writer_free(f.writer, 0);
    f.writer = NULL;
    ck_assert_uint_eq(fixture_answered(&f), 20000);
    ck_assert_uint_eq(f.count[LEAT_NOT_APPENDED], 20000);
    sqlite3_close_v2(holder);
    finish(&f);
}
END_TEST

/* ---- the file ---- */

START_TEST(only_one_process_has_it)
{
    fixture f;
    fixture_open(&f, 1);
    leat_log_config other = {.file = f.file, .topic = "t"};
    leat_topic_spec spec = {.partition_count = 1};
    leat_error error = {0};
    ck_assert_int_eq(leat_log_open(&other, &spec, &error), -1);
    char wanted[64];
    snprintf(wanted, sizeof wanted, "is in use by another process (pid %ld)", (long)getpid());
    ck_assert_msg(strstr(error.text, wanted), "%s", error.text);
    ck_assert_ptr_null(other.local);
    leat_log_close(&f.config);
    ck_assert_msg(leat_log_open(&other, &spec, &error) == 0, "%s", error.text);
    leat_log_close(&other);
    finish(&f);
}
END_TEST

START_TEST(keeps_its_partitions)
{
    fixture f;
    fixture_open(&f, 4);
    leat_log_close(&f.config);
    leat_topic_spec spec = {.partition_count = 5};
    leat_error error = {0};
    ck_assert_int_eq(leat_log_open(&f.config, &spec, &error), -1);
    ck_assert_msg(strstr(error.text, "log.local.partitions is 5") &&
                      strstr(error.text, "was made with 4"),
                  "%s", error.text);
    spec.partition_count = 0; /* as it is */
    ck_assert_msg(leat_log_open(&f.config, &spec, &error) == 0, "%s", error.text);
    finish(&f);
}
END_TEST

START_TEST(is_made_once)
{
    fixture f;
    fixture_file(&f);
    leat_error error = {0};
    leat_log_identity identity;
    leat_topic_spec none = {0};
    leat_topic_spec spec = {.partition_count = 3};
    ck_assert_int_eq(leat_log_identify(&f.config, 1000, &identity, &error), 1);
    ck_assert_int_eq(leat_log_open(&f.config, &none, &error), -1); /* does not make it */
    ck_assert_int_ne(access(f.file, F_OK), 0);
    ck_assert_int_eq(leat_log_create_topic(&f.config, &spec, 1000, &error), 0);
    ck_assert_int_eq(leat_log_create_topic(&f.config, &spec, 1000, &error), 1);
    ck_assert_msg(leat_log_identify(&f.config, 1000, &identity, &error) == 0, "%s", error.text);
    ck_assert_str_eq(identity.cluster, "built-in");
    ck_assert_uint_eq(strlen(identity.topic_id), 32);
    ck_assert_uint_eq(identity.partition_count, 3);
    ck_assert_int_eq(leat_log_check(&f.config, &error), 0);
    char value[32];
    ck_assert_int_eq(
        leat_log_topic_setting(&f.config, "cleanup.policy", 1000, value, sizeof value, &error), -1);
    fixture_end(&f);
}
END_TEST

static void make_other(const fixture *f, const char *sql)
{
    sqlite3 *db;
    ck_assert_int_eq(sqlite3_open(f->file, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close_v2(db);
}

static void expect_refused(fixture *f, const char *words)
{
    leat_error error = {0};
    leat_topic_spec spec = {.partition_count = 1};
    leat_log_identity identity;
    ck_assert_int_eq(leat_log_open(&f->config, &spec, &error), -1);
    ck_assert_msg(strstr(error.text, words), "%s", error.text);
    ck_assert_int_eq(leat_log_identify(&f->config, 1000, &identity, &error), -1);
    ck_assert_msg(strstr(error.text, words), "%s", error.text);
}

START_TEST(refuses_what_is_no_log)
{
    fixture f;
    fixture_file(&f);
    make_other(&f, "CREATE TABLE cats (name TEXT)");
    expect_refused(&f, "not a log of leat's");
    fixture_end(&f);

    fixture_open(&f, 1);
    leat_log_close(&f.config);
    make_other(&f, "UPDATE leat_log SET version = 3");
    expect_refused(&f, "version 3, this leat knows version 2");
    fixture_end(&f);

    fixture_file(&f);
    FILE *file = fopen(f.file, "w");
    for (int i = 0; i < 1000; i++)
        fputs("no database\n", file);
    fclose(file);
    expect_refused(&f, "not a database");
    fixture_end(&f);
}
END_TEST

static void expect_text(const fixture *f, const char *sql, const char *expected)
{
    sqlite3 *db;
    sqlite3_stmt *row;
    ck_assert_int_eq(sqlite3_open(f->file, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(row), SQLITE_ROW);
    ck_assert_str_eq((const char *)sqlite3_column_text(row, 0), expected);
    sqlite3_finalize(row);
    sqlite3_close_v2(db);
}

static const leat_record old_records[] = {
    {.accepted_ms = 1, .key = LEAT_SLICE("a"), .value = LEAT_SLICE("{}")},
    {.accepted_ms = 2,
     .key = LEAT_SLICE("b"),
     .value = LEAT_SLICE("{\"n\":1}"),
     .route = LEAT_SLICE("devices"),
     .op = LEAT_SLICE("patch")},
    {.accepted_ms = 3, .key = LEAT_SLICE("c"), .value_is_null = true, .op = LEAT_SLICE("delete")},
};
static const leat_record new_record = {.accepted_ms = 4,
                                       .key = LEAT_SLICE("d"),
                                       .value = LEAT_SLICE("{}"),
                                       .route = LEAT_SLICE("devices"),
                                       .idempotency = LEAT_SLICE("k-1"),
                                       .traceparent = LEAT_SLICE("x")};

enum { OLD = sizeof old_records / sizeof *old_records };

static void append_to(fixture *f, uint32_t partition, const leat_record *record)
{
    leat_error error = {0};
    leat_record one = *record;
    one.partition = partition;
    ck_assert_int_eq(fixture_append(f, &one, NULL, &error), 0);
}

static void expect_slice(leat_slice found, leat_slice wanted)
{
    ck_assert_uint_eq(found.size, wanted.size);
    ck_assert(wanted.size == 0 || memcmp(found.data, wanted.data, wanted.size) == 0);
}

static void expect_next(leat_log_walk *walk, const leat_record *wanted)
{
    leat_error error = {0};
    leat_record found;
    ck_assert_msg(leat_log_walk_next(walk, 1000, &found, &error) == 1, "%s", error.text);
    ck_assert_int_eq(found.accepted_ms, wanted->accepted_ms);
    ck_assert_int_eq(found.value_is_null, wanted->value_is_null);
    expect_slice(found.key, wanted->key);
    expect_slice(found.value, wanted->value);
    for (leat_header header = 0; header < LEAT_HEADER_COUNT; header++)
        expect_slice(leat_header_value(&found, header), leat_header_value(wanted, header));
}

static const leat_log_span all_of_it[] = {{0}, {.to = OLD + 1}};

/* Its records stay as they were, and new ones go behind them. */
START_TEST(a_log_of_version_1_is_taken_over)
{
    fixture f;
    leat_error error = {0};
    leat_log_identity identity;
    fixture_open(&f, 2);
    fixture_write(&f);
    for (int i = 0; i < OLD; i++)
        append_to(&f, 1, &old_records[i]);
    fixture_await_answers(&f);
    fixture_write_end(&f);
    leat_log_close(&f.config);
    make_other(&f, "ALTER TABLE leat_records_0 DROP COLUMN idempotency;"
                   "ALTER TABLE leat_records_1 DROP COLUMN idempotency;"
                   "ALTER TABLE leat_records_0 DROP COLUMN headers;"
                   "ALTER TABLE leat_records_1 DROP COLUMN headers;"
                   "UPDATE leat_log SET version = 1");
    ck_assert_int_eq(leat_log_identify(&f.config, 1000, &identity, &error), 0);
    ck_assert_ptr_null(leat_log_walk_new(&f.config, 2, all_of_it, &error));
    ck_assert_msg(strstr(error.text, "is of version 1: start this version of leat on it first"),
                  "%s", error.text);
    expect_text(&f, "SELECT version FROM leat_log", "1"); /* whoever only asks changes nothing */
    fixture_hold(&f, 2);
    fixture_write(&f);
    append_to(&f, 1, &new_record);
    fixture_await_answers(&f);
    expect_text(&f, "SELECT version FROM leat_log", "2");
    leat_log_walk *walk = leat_log_walk_new(&f.config, 2, all_of_it, &error);
    ck_assert_msg(walk, "%s", error.text);
    for (int i = 0; i < OLD; i++)
        expect_next(walk, &old_records[i]);
    expect_next(walk, &new_record);
    leat_log_walk_free(walk);
    finish(&f);
}
END_TEST

/* A making that was cut off leaves a file without tables. */
START_TEST(an_empty_file_is_filled)
{
    fixture f;
    fixture_file(&f);
    make_other(&f, "PRAGMA journal_mode = WAL");
    leat_error error = {0};
    leat_log_identity identity;
    ck_assert_int_eq(leat_log_identify(&f.config, 1000, &identity, &error), 1);
    fixture_hold(&f, 2);
    ck_assert_int_eq(leat_log_identify(&f.config, 1000, &identity, &error), 0);
    finish(&f);
}
END_TEST

/* ---- asked from another process ---- */

static int ask(const fixture *f)
{
    leat_error error = {0};
    int64_t starts[2];
    leat_log_ahead ahead[2];
    const int64_t offsets[2] = {3, 0};
    leat_log_identity identity;
    leat_log_config config = {.file = f->file, .topic = "t"};
    if (leat_log_identify(&config, 1000, &identity, &error) != 0 || identity.partition_count != 2)
        return 1;
    if (leat_log_starts(&config, 2, 1000, starts, &error) != 0 || starts[0] != 0 || starts[1] != 0)
        return 2;
    if (leat_log_read_ahead(&config, 2, offsets, 1000, ahead, &error) != 0)
        return 3;
    if (ahead[0].end != 5 || ahead[0].stable != 5 || ahead[0].first != 3 ||
        ahead[0].accepted_ms != 777)
        return 4;
    if (ahead[1].end != 0 || ahead[1].stable != 0 || ahead[1].first != 0 ||
        ahead[1].accepted_ms != 0)
        return 5;
    const int64_t none[2] = {5, -1};
    if (leat_log_read_ahead(&config, 2, none, 1000, ahead, &error) != 0)
        return 6;
    if (ahead[0].first != 5 || ahead[0].accepted_ms != 0 || ahead[1].end != 0 ||
        ahead[1].first != -1)
        return 7;
    return 0;
}

START_TEST(others_can_ask_while_it_is_open)
{
    fixture f;
    fixture_open(&f, 2);
    fixture_write(&f);
    fixture_append_keys(&f, 0, 0, 5, 777);
    fixture_await_answers(&f);
    ck_assert_int_eq(ask(&f), 0); /* this process too */
    pid_t child = fork();
    if (child == 0)
        _exit(ask(&f));
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    fixture_append_keys(&f, 0, 5, 5, 777); /* and it did no harm */
    fixture_await_answers(&f);
    finish(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("local_writer");
    TCase *tests = tcase_create("file");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, answers_each_record_once);
    tcase_add_test(tests, refuses_what_is_too_large);
    tcase_add_test(tests, full_means_later);
    tcase_add_test(tests, too_many_means_later);
    tcase_add_test(tests, a_lock_that_stays_means_not_appended);
    tcase_add_test(tests, a_full_disk_means_not_appended);
    tcase_add_test(tests, free_answers_what_waits);
    tcase_add_test(tests, free_is_bounded);
    tcase_add_test(tests, only_one_process_has_it);
    tcase_add_test(tests, keeps_its_partitions);
    tcase_add_test(tests, is_made_once);
    tcase_add_test(tests, refuses_what_is_no_log);
    tcase_add_test(tests, a_log_of_version_1_is_taken_over);
    tcase_add_test(tests, an_empty_file_is_filled);
    tcase_add_test(tests, others_can_ask_while_it_is_open);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
