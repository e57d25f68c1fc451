#include "fixture.h"

#include <sys/socket.h>
#include <sys/wait.h>

static sqlite_fixture f;
static leat_source source;
static leat_layout layout;
static const char *const names[] = {"a", "b"};
static const int64_t starts[] = {0, 10, 0, 5};

static void set_up(void)
{
    sqlite_begin(&f);
    source = (leat_source){.log_identity = "built-in",
                           .topic = "leat.log",
                           .topic_id = "1234",
                           .hash = "xxh3-64",
                           .placement = test_placement};
    leat_layout_even(&layout, 4, 2, names);
}

static void tear_down(void)
{
    sqlite_end(&f);
}

static void init(uint32_t shard)
{
    ck_assert_msg(leat_shard_init(sqlite_address(&f), &source, &layout, shard, starts, &f.error) ==
                      0,
                  "%s", f.error.text);
}

static void expect_refused(uint32_t shard, const char *words)
{
    ck_assert_int_eq(leat_shard_init(sqlite_address(&f), &source, &layout, shard, starts, &f.error),
                     -1);
    ck_assert_msg(strstr(f.error.text, words), "%s", f.error.text);
}

/* ---- tables ---- */

static const struct {
    const char *create, *words; /* NULL: it is taken */
} tables[] = {
    {"CREATE TABLE t (id int PRIMARY KEY, a text)", NULL},
    {"CREATE TABLE t (id integer PRIMARY KEY) STRICT", NULL},
    {"CREATE TABLE t (a uuid, b VarChar(20), PRIMARY KEY (b, a)) WITHOUT ROWID", NULL},
    {"CREATE TABLE T (id int PRIMARY KEY, p point, q)", NULL},
    {"CREATE TABLE other (id int)", "not found"},
    {"CREATE VIEW t AS SELECT 1 AS id", "it is a view"},
    {"CREATE VIRTUAL TABLE t USING fts5 (id)", "it is a virtual"},
    {"CREATE TABLE t (id int)", "has no primary key"},
    {"CREATE TABLE t (id real PRIMARY KEY)", "of a type that cannot be in a key"},
    {"CREATE TABLE t (id point PRIMARY KEY)", "of a type that leat does not know"},
    {"CREATE TABLE t (id text COLLATE NOCASE PRIMARY KEY)", "another collation than BINARY"},
    {"CREATE TABLE t (id int PRIMARY KEY, p point NOT NULL)", "NOT NULL without a default"},
    {"CREATE TABLE t (a int, b int, c int, d int, e int, f int, g int, h int, i int,"
     " PRIMARY KEY (a, b, c, d, e, f, g, h, i))",
     "more than 8 columns"},
};

START_TEST(a_table_is_taken_or_refused_with_words)
{
    sqlite_sql(&f, tables[_i].create);
    int status = sqlite_read(&f, "t");
    if (!tables[_i].words)
        ck_assert_msg(status == 0 && f.table.key_count > 0, "%s: %s", tables[_i].create,
                      f.error.text);
    else
        ck_assert_msg(status == -1 && strstr(f.error.text, tables[_i].words), "%s: %s",
                      tables[_i].create, f.error.text);
}
END_TEST

START_TEST(columns_are_read_as_declared)
{
    sqlite_sql(
        &f,
        "CREATE TABLE t (b varchar(20) DEFAULT 'x', a uuid, n INTEGER NOT NULL, g int AS (n) STORED, p point,"
        " PRIMARY KEY (a, b))");
    ck_assert_int_eq(sqlite_read(&f, "main.T"), 0);
    ck_assert_str_eq(f.table.name, "t");
    ck_assert_uint_eq(f.table.column_count, 4); /* leat knows no points */
    ck_assert_str_eq(f.table.columns[0].default_expression, "'x'");
    ck_assert_int_eq(f.table.columns[0].type_modifier, 24);
    ck_assert_uint_eq(f.table.key_columns[0], 1);
    ck_assert_uint_eq(f.table.key_columns[1], 0);
    ck_assert(f.table.columns[2].not_null && f.table.columns[2].type == LEAT_TYPE_INT8);
    ck_assert(f.table.columns[3].generated);
}
END_TEST

static const struct {
    const char *label, *words;
} labels[] = {
    {"temp.t", "no other schema than main"},
    {"leat_sources", "leat's and SQLite's own"},
    {"sqlite_schema", "leat's and SQLite's own"},
};

START_TEST(labels_that_cannot_be)
{
    ck_assert_int_eq(sqlite_read(&f, labels[_i].label), -1);
    ck_assert_msg(strstr(f.error.text, labels[_i].words), "%s", f.error.text);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_not_made)
{
    snprintf(f.file, sizeof f.file, "%s/none.db", f.directory);
    ck_assert_int_eq(sqlite_read(&f, "t"), -1);
    ck_assert_msg(strstr(f.error.text, "does not exist") && strstr(f.error.text, "sqlite3"), "%s",
                  f.error.text);
    ck_assert_int_ne(access(f.file, F_OK), 0);
}
END_TEST

/* ---- sources ---- */

START_TEST(what_init_stores_is_read_again)
{
    leat_source stored;
    leat_layout read;
    ck_assert_int_eq(
        leat_shard_read_source(sqlite_address(&f), "leat.log", &stored, &read, &f.error), 1);
    init(1);
    ck_assert_int_eq(leat_shard_read_source(sqlite_address(&f), "other", &stored, &read, &f.error),
                     1);
    ck_assert_msg(
        leat_shard_read_source(sqlite_address(&f), "leat.log", &stored, &read, &f.error) == 0, "%s",
        f.error.text);
    ck_assert_int_eq(stored.id, source.id);
    ck_assert_int_eq(leat_shard_check_source(&stored, &read, &source, &layout, &f.error), 0);
    ck_assert_str_eq(
        sqlite_ask(&f, "SELECT group_concat(partition || ':' || low) FROM leat_partitions"),
        "2:-1,3:4");
}
END_TEST

START_TEST(init_again_changes_nothing)
{
    init(0);
    sqlite_sql(&f, "UPDATE leat_partitions SET low = 7, claims = 3");
    char claims[256];
    snprintf(
        claims, sizeof claims, "%s",
        sqlite_ask(&f, "SELECT group_concat(hex(claim) || low || claims) FROM leat_partitions"));
    init(0);
    ck_assert_str_eq(
        sqlite_ask(&f, "SELECT group_concat(hex(claim) || low || claims) FROM leat_partitions"),
        claims);
}
END_TEST

START_TEST(what_contradicts_is_refused)
{
    init(0);
    expect_refused(1, "Do two shards have one file?");
    snprintf(source.topic_id, sizeof source.topic_id, "5678");
    expect_refused(0, "the topic id");
    snprintf(source.topic_id, sizeof source.topic_id, "1234");
    leat_layout_even(&layout, 3, 1, names);
    expect_refused(0, "a count of partitions");
    leat_layout_even(&layout, 4, 2, names);
    sqlite_sql(&f, "UPDATE leat_schema_version SET version = 9");
    expect_refused(0, "use a newer leat");
    leat_source stored;
    leat_layout read;
    ck_assert_int_eq(
        leat_shard_read_source(sqlite_address(&f), "leat.log", &stored, &read, &f.error), -1);
}
END_TEST

START_TEST(a_placement_is_stored_and_read_from_any_version)
{
    const leat_placement wanted = {2, 512, 16, 1};
    leat_placement found;
    ck_assert_int_eq(leat_shard_read_placement(sqlite_address(&f), source.topic, &found, &f.error),
                     1);
    source.placement = wanted;
    init(0);
    ck_assert_int_eq(leat_shard_read_placement(sqlite_address(&f), source.topic, &found, &f.error),
                     0);
    ck_assert_mem_eq(&found, &wanted, sizeof wanted);
    ck_assert_int_eq(leat_shard_read_placement(sqlite_address(&f), "x", &found, &f.error), 1);
    leat_source stored;
    leat_layout stored_layout;
    ck_assert_int_eq(
        leat_shard_read_source(sqlite_address(&f), source.topic, &stored, &stored_layout, &f.error),
        0);
    ck_assert_mem_eq(&stored.placement, &wanted, sizeof wanted);
    source.placement.tenant_window = 8;
    expect_refused(0, "a tenant window of 16, but this is 8");
    sqlite_sql(&f, "ALTER TABLE leat_sources DROP placement;"
                   "ALTER TABLE leat_sources DROP tenant_window;"
                   "ALTER TABLE leat_sources DROP tenant_position;");
    ck_assert_int_eq(leat_shard_read_placement(sqlite_address(&f), source.topic, &found, &f.error),
                     0);
    const leat_placement old = {1, 512, 0, -1};
    ck_assert_mem_eq(&found, &old, sizeof old);
}
END_TEST

START_TEST(version_1_keeps_its_progress)
{
    init(0);
    sqlite_sql(
        &f,
        "ALTER TABLE leat_partitions DROP COLUMN newest; ALTER TABLE leat_partitions DROP COLUMN newest_at_ms;"
        "ALTER TABLE leat_partitions RENAME COLUMN claims TO epoch; DROP TRIGGER leat_keep_parked; DROP TABLE leat_parked;"
        "ALTER TABLE leat_partitions ADD COLUMN low_at_ms INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE leat_partitions DROP COLUMN newest_epoch; ALTER TABLE leat_progress DROP COLUMN newest_at_ms;"
        "ALTER TABLE leat_progress DROP COLUMN newest_epoch;"
        "UPDATE leat_partitions SET low = 7, low_at_ms = 1234 WHERE partition = 1;"
        "DROP TRIGGER leat_note_removed; DROP TABLE leat_removed_letters;"
        "DROP TRIGGER leat_note_removed_control; DROP TRIGGER leat_note_changed_control;"
        "DROP TABLE leat_ended_controls;"
        "DROP INDEX leat_dead_letters_control; ALTER TABLE leat_dead_letters DROP COLUMN control;"
        "ALTER TABLE leat_sources DROP COLUMN placement; ALTER TABLE leat_sources DROP COLUMN tenant_window;"
        "ALTER TABLE leat_sources DROP COLUMN tenant_position; ALTER TABLE leat_sources DROP COLUMN idempotency_ms;"
        "UPDATE leat_schema_version SET version = 1");
    leat_source stored;
    leat_layout read;
    ck_assert_int_eq(
        leat_shard_read_source(sqlite_address(&f), "leat.log", &stored, &read, &f.error), -1);
    ck_assert_ptr_nonnull(strstr(f.error.text, "run `leat init`"));
    init(0);
    ck_assert_str_eq(
        sqlite_ask(
            &f,
            "SELECT group_concat(low || ' ' || newest || ' ' || newest_at_ms || ' ' || newest_epoch, ', ') FROM"
            " (SELECT * FROM leat_partitions ORDER BY partition LIMIT 2)"),
        "-1 -1 0 -1, 7 7 1234 -1");
    ck_assert_int_eq(
        leat_shard_read_source(sqlite_address(&f), "leat.log", &stored, &read, &f.error), 0);
}
END_TEST

/* It takes what is parked for written. */
START_TEST(a_program_that_does_not_know_parked_records_gets_no_claim)
{
    init(0);
    sqlite3_stmt *claim;
    ck_assert_int_eq(
        sqlite3_prepare_v2(f.db, "UPDATE leat_partitions SET epoch = epoch + 1", -1, &claim, NULL),
        SQLITE_ERROR);
    ck_assert_str_eq(sqlite3_errmsg(f.db), "no such column: epoch");
}
END_TEST

static void close_own(void)
{
    sqlite3_close(f.db);
    f.db = NULL;
}

/* Without a connection of this process, as the contract of the look for a lock wants it. */
static leat_shard_work read_work(void)
{
    leat_shard_work work;
    close_own();
    ck_assert_int_eq(leat_shard_read_work(sqlite_address(&f), "leat.log", &work, &f.error), 0);
    ck_assert_int_eq(sqlite3_open(f.file, &f.db), SQLITE_OK);
    return work;
}

/* A process has one row, the newest word counts, and takes it away; one that was not heard for long
 * is swept by another. */
START_TEST(a_process_says_what_it_knows)
{
    init(0);
    leat_shard_reporter *reporter =
        leat_shard_reporter_new((leat_shard_address){.sqlite = f.file}, source.id);
    leat_shard_report report = {
        .instance = "i1", .host = "h", .pid = 5, .clock_ms = 7, .json = "{}"};
    ck_assert_int_eq(leat_shard_reporter_send(reporter, &report, &f.error), 0);
    sqlite_sql(&f, "UPDATE leat_workers SET at = at - 601000");
    leat_shard_reporter_free(reporter);
    reporter = leat_shard_reporter_new((leat_shard_address){.sqlite = f.file}, source.id);
    report =
        (leat_shard_report){.instance = "i2", .host = "h", .pid = 6, .clock_ms = 8, .json = "{}"};
    ck_assert_int_eq(leat_shard_reporter_send(reporter, &report, &f.error), 0);
    report.json = "{\"facts\":[]}";
    ck_assert_int_eq(leat_shard_reporter_send(reporter, &report, &f.error), 0);
    leat_shard_reporter_rest(reporter);
    leat_shard_work work = read_work();
    ck_assert_uint_eq(work.worker_count, 1);
    ck_assert(work.workers[0].pid == 6 && work.workers[0].clock_ms == 8 &&
              work.workers[0].heard_ms < LEAT_REPORT_LATE_MS);
    ck_assert_str_eq(work.workers[0].report, "{\"facts\":[]}");
    leat_shard_work_fini(&work);
    report.instance = "i1"; /* one that was killed before */
    ck_assert_int_eq(leat_shard_reporter_send(reporter, &report, &f.error), 0);
    sqlite_sql(&f, "UPDATE leat_workers SET at = at - 30000 WHERE instance = 'i1'");
    ck_assert_int_eq(leat_shard_reporter_remove(reporter, "i2", &f.error), 0);
    leat_shard_reporter_free(reporter);
    work = read_work();
    ck_assert_uint_eq(work.worker_count, 0);
    leat_shard_work_fini(&work);
}
END_TEST

START_TEST(held_keys_are_counted_where_they_are)
{
    init(0);
    leat_shard_held_count held[2];
    leat_shard_reporter *reporter = leat_shard_reporter_new(sqlite_address(&f), source.id);
    ck_assert_int_eq(leat_shard_reporter_count_held(reporter, &test_placement, 2, held, &f.error),
                     0);
    ck_assert(held[0].keys == 0 && held[1].keys == 0 && held[1].bytes == 0);
    sqlite_sql(
        &f,
        "INSERT INTO leat_held SELECT s.id, n.value % 2, n.value, 't', CAST(n.value AS blob), 0, 0, 0, NULL, '' FROM leat_sources AS s,"
        " json_each('[5, 6, 7]') AS n;"
        "INSERT INTO leat_parked_keys SELECT s.id, n.value % 2, n.value, o.value, 0, 1, zeroblob(n.value) FROM leat_sources AS s,"
        " json_each('[6, 7]') AS n, json_each('[10, 11]') AS o");
    ck_assert_int_eq(leat_shard_reporter_count_held(reporter, &test_placement, 2, held, &f.error),
                     0);
    ck_assert(held[0].keys == 1 && held[1].keys == 2);
    ck_assert(held[1].records == 2 && held[1].bytes == 14 && held[1].most_bytes == 14);
    ck_assert(held[0].records == 2 && held[0].bytes == 12 && held[0].most_bytes == 12);
    ck_assert_uint_eq(held[1].most, leat_placement_subpartition(&test_placement, LEAT_SLICE("7"),
                                                                leat_hash(LEAT_SLICE("7"))));
    sqlite_sql(&f, "DELETE FROM leat_held WHERE hash = 5"); /* as a person does */
    ck_assert_int_eq(leat_shard_reporter_count_held(reporter, &test_placement, 2, held, &f.error),
                     0);
    ck_assert(held[0].keys == 1 && held[1].keys == 1);
    leat_shard_reporter_free(reporter);
}
END_TEST

START_TEST(a_refusal_is_noted_with_the_first_record_only)
{
    init(0);
    leat_shard_reporter *reporter = leat_shard_reporter_new(sqlite_address(&f), source.id);
    sqlite_sql(
        &f,
        "INSERT INTO leat_held SELECT id, 1, 6, 't', x'37', 0, 0, 0, '23503', 'no parent' FROM leat_sources;"
        "INSERT INTO leat_parked_keys SELECT s.id, 1, 6, n.value, 0, 1, x'0102' FROM leat_sources AS s, json_each('[10, 11]') AS n");
    leat_shard_key_note note = {.partition = 1, .hash = 6, .offset = 11, .message = "damaged"};
    for (; note.offset >= 10; note.offset--) {
        ck_assert_int_eq(leat_shard_reporter_note_key(reporter, &note, &f.error), 0);
        ck_assert_str_eq(
            sqlite_ask(&f, "SELECT tries || coalesce(sqlstate, '-') || message FROM leat_held"),
            note.offset == 11 ? "023503no parent" : "1-damaged");
    }
    leat_shard_reporter_free(reporter);
}
END_TEST

/* Has the file open, and so FILE-shm, until the other end is closed; says so by a byte. */
static _Noreturn void keep_open(int end)
{
    char byte = 0;
    sqlite3 *db;
    bool is_open = sqlite3_open(f.file, &db) == SQLITE_OK &&
                   sqlite3_exec(db, "SELECT 1 FROM leat_sources", NULL, NULL, NULL) == SQLITE_OK;
    if (is_open && write(end, &byte, 1) == 1)
        is_open = read(end, &byte, 1) == 0;
    sqlite3_close(db);
    _exit(is_open ? 0 : 1);
}

static void expect_closed(bool is_closed)
{
    leat_shard_work work;
    ck_assert_int_eq(leat_shard_read_work(sqlite_address(&f), "leat.log", &work, &f.error), 0);
    ck_assert_int_eq(work.is_closed, is_closed);
    leat_shard_work_fini(&work);
}

START_TEST(a_file_that_no_process_has_open)
{
    int ends[2], status;
    char byte;
    init(0);
    close_own();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        keep_open(ends[1]);
    }
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], &byte, 1), 1);
    expect_closed(false);
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    expect_closed(true);
}
END_TEST

START_TEST(an_init_that_fails_leaves_nothing)
{
    sqlite_sql(&f, "CREATE TABLE leat_progress (mine int)"); /* in the way of nothing but the last
                                                                of the tables */
    sqlite_sql(&f, "CREATE VIEW leat_dead_letters AS SELECT 1");
    ck_assert_int_eq(leat_shard_init(sqlite_address(&f), &source, &layout, 0, starts, &f.error),
                     -1);
    ck_assert_str_eq(
        sqlite_ask(&f, "SELECT count(*) FROM sqlite_schema WHERE name = 'leat_sources'"), "0");
}
END_TEST

/* ---- looks ---- */

START_TEST(progress_is_the_highest_of_base_and_rows)
{
    leat_shard_partition *parts;
    uint32_t count;
    init(0);
    char sql[256];
    snprintf(
        sql, sizeof sql,
        "INSERT INTO leat_progress VALUES (%d, 1, 1, x'00030007', x'00000000000000110000000000000012', 0, -1)",
        source.id);
    sqlite_sql(&f, sql);
    sqlite_sql(
        &f,
        "INSERT INTO leat_parked SELECT id, 0, 5, 10, 11, 9, 2, 50, 1, x'010203' FROM leat_sources");
    sqlite_sql(
        &f,
        "INSERT INTO leat_parked SELECT id, 0, 6, 12, 12, 11, 1, 40, 1, x'0102' FROM leat_sources");
    sqlite_sql(&f, "UPDATE leat_partitions SET claims = 2, low = 10 WHERE partition = 0");
    ck_assert_int_eq(
        leat_shard_read_progress(sqlite_address(&f), "leat.log", &parts, &count, &f.error), 0);
    ck_assert_uint_eq(count, 2);
    ck_assert(parts[0].partition == 0 && parts[0].epoch == 2 && parts[0].low == 10 &&
              parts[0].applied == 10);
    ck_assert(parts[1].partition == 1 && parts[1].low == 9 && parts[1].applied == 18);
    ck_assert(parts[0].parked == 3 && parts[0].parked_bytes == 5 &&
              parts[0].parked_oldest_ms == 40);
    ck_assert_int_eq(parts[0].parked_below, 1); /* one chunk reaches from 10 to 11, one is at 12 */
    ck_assert(parts[1].parked == 0 && parts[1].parked_bytes == 0 && parts[1].parked_oldest_ms == 0);
    free(parts);
}
END_TEST

START_TEST(dead_letters_are_found_newest_first)
{
    init(0);
    char sql[1024];
    snprintf(
        sql, sizeof sql,
        "INSERT INTO leat_dead_letters (source, partition, \"offset\", route, key, op, body, sqlstate, message,"
        " accepted_at, at) VALUES"
        " (%1$d, 0, 1, 'r', x'006b', 'put', x'7b7d', '22003', 'm', '2026-01-02T03:04:05.000Z', '2026-01-02T03:04:05.678Z'),"
        " (%1$d, 0, 2, 's', NULL, NULL, NULL, NULL, 'm', '2026-01-02T03:04:05.000Z', '2026-01-02T03:04:06.000Z'),"
        " (%1$d, 1, 1, NULL, NULL, NULL, NULL, NULL, 'm', '2026-01-02T03:04:05.000Z', '2026-01-02T03:04:04.000Z')",
        source.id);
    sqlite_sql(&f, sql);
    leat_dead_letters found;
    leat_dead_query query = {
        .topic = "leat.log", .partition = -1, .offset = -1, .limit = 2, .with_bodies = true};
    ck_assert_int_eq(leat_shard_dead_letters(sqlite_address(&f), &query, &found, &f.error), 0);
    ck_assert(found.count == 2 && found.letters[0].offset == 2 && !found.letters[0].key &&
              !found.letters[0].body);
    ck_assert(found.letters[1].key_size == 2 && memcmp(found.letters[1].key, "\0k", 2) == 0);
    ck_assert_int_eq(found.letters[1].at_us, INT64_C(1767323045678000));
    leat_dead_letters_fini(&found);
    query = (leat_dead_query){
        .topic = "leat.log", .routes = "[\"r\"]", .partition = 0, .offset = 1, .limit = 9};
    ck_assert_int_eq(leat_shard_dead_letters(sqlite_address(&f), &query, &found, &f.error), 0);
    ck_assert(found.count == 1 && strcmp(found.letters[0].route, "r") == 0 &&
              !found.letters[0].body);
    leat_dead_letters_fini(&found);
    leat_shard_work work = read_work();
    ck_assert_int_eq(work.dead_letters, 3);
    leat_shard_work_fini(&work);
    query.topic = "other";
    ck_assert_int_eq(leat_shard_dead_letters(sqlite_address(&f), &query, &found, &f.error), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite_source");
    TCase *tests = tcase_create("file");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_loop_test(tests, a_table_is_taken_or_refused_with_words, 0,
                        sizeof tables / sizeof *tables);
    tcase_add_test(tests, columns_are_read_as_declared);
    tcase_add_loop_test(tests, labels_that_cannot_be, 0, sizeof labels / sizeof *labels);
    tcase_add_test(tests, a_file_that_is_not_there_is_not_made);
    tcase_add_test(tests, what_init_stores_is_read_again);
    tcase_add_test(tests, init_again_changes_nothing);
    tcase_add_test(tests, what_contradicts_is_refused);
    tcase_add_test(tests, a_placement_is_stored_and_read_from_any_version);
    tcase_add_test(tests, version_1_keeps_its_progress);
    tcase_add_test(tests, a_program_that_does_not_know_parked_records_gets_no_claim);
    tcase_add_test(tests, a_process_says_what_it_knows);
    tcase_add_test(tests, held_keys_are_counted_where_they_are);
    tcase_add_test(tests, a_refusal_is_noted_with_the_first_record_only);
    tcase_add_test(tests, a_file_that_no_process_has_open);
    tcase_add_test(tests, an_init_that_fails_leaves_nothing);
    tcase_add_test(tests, progress_is_the_highest_of_base_and_rows);
    tcase_add_test(tests, dead_letters_are_found_newest_first);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
