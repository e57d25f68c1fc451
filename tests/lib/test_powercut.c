/* The power cut itself: kill -9 under powercut.c loses no acknowledged commit, and does lose one
 * once the disk lies. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"

enum { ROUNDS = 30, COMMITS_MAX = 60, ROW_BYTES_MAX = 20000, PATH_MAX_BYTES = 64 };

static const char *const settings =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 8; PRAGMA cache_size = 2;"
    "PRAGMA busy_timeout = 10000; CREATE TABLE IF NOT EXISTS commits (number INTEGER PRIMARY KEY, bytes BLOB)";
static const char *const insert_one =
    "INSERT INTO commits VALUES (?1, randomblob(abs(random()) % ?2))";

static void must(sqlite3 *db, int code)
{
    if (code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE)
        return;
    fprintf(stderr, "# sqlite: %s\n", sqlite3_errmsg(db));
    abort();
}

static sqlite3 *open_database(const char *path, const char *vfs)
{
    sqlite3 *db;
    must(NULL, sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs));
    return db;
}

/* -1: the statement failed, so the database is damaged. */
static int64_t number_of(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t number = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

/* A second connection, on a thread of its own, sees whole commits only. */
static void *read_for_ever(void *path)
{
    sqlite3 *db = open_database(path, NULL);
    must(db, sqlite3_exec(db, "PRAGMA busy_timeout = 10000", NULL, NULL, NULL));
    for (;;)
        if (number_of(db, "SELECT count(*) = coalesce(max(number), 0) FROM commits") != 1)
            abort();
    return NULL;
}

/* The process that dies: one commit after the other, each reported when it is acknowledged. */
_Noreturn static void commit_for_ever(char *path, int acknowledge)
{
    sqlite3 *db = open_database(path, NULL);
    must(db, sqlite3_exec(db, settings, NULL, NULL, NULL));
    pthread_t reader;
    if (pthread_create(&reader, NULL, read_for_ever, path) != 0)
        abort();
    sqlite3_stmt *insert;
    must(db, sqlite3_prepare_v2(db, insert_one, -1, &insert, NULL));
    for (int64_t number = number_of(db, "SELECT coalesce(max(number), 0) FROM commits") + 1;;
         number++) {
        must(db, sqlite3_bind_int64(insert, 1, number));
        must(db, sqlite3_bind_int(insert, 2, ROW_BYTES_MAX));
        must(db, sqlite3_step(insert));
        must(db, sqlite3_reset(insert));
        if (write(acknowledge, &number, sizeof number) != sizeof number)
            abort();
    }
}

/* Kills it after some commits and a moment more; returns the last one that was acknowledged. */
static int64_t cut_power(pid_t child, int acknowledged, leat_prng *prng)
{
    int64_t last = 0, number;
    uint64_t commits = 1 + leat_prng_below(prng, COMMITS_MAX);
    while (commits-- > 0 && read(acknowledged, &number, sizeof number) == sizeof number)
        last = number;
    usleep((useconds_t)leat_prng_below(prng, 4000));
    kill(child, SIGKILL);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "ended by itself");
    while (read(acknowledged, &number, sizeof number) == sizeof number)
        last = number;
    return last;
}

static int64_t run_until_cut(char *path, uint64_t seed)
{
    int ends[2];
    leat_prng prng = {seed};
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        char text[24];
        snprintf(text, sizeof text, "%llu", (unsigned long long)seed);
        setenv("LEAT_POWERCUT_SEED", text, 1);
        close(ends[0]);
        commit_for_ever(path, ends[1]);
    }
    close(ends[1]);
    int64_t last = cut_power(child, ends[0], &prng);
    close(ends[0]);
    return last;
}

/* The state that the next process finds, without the shim. */
static bool everything_is_there(const char *path, int64_t last)
{
    sqlite3 *db = open_database(path, "unix");
    bool whole = number_of(db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check") == 1;
    int64_t count = number_of(db, "SELECT count(*) FROM commits");
    int64_t max = number_of(db, "SELECT max(number) FROM commits");
    fprintf(stderr, "#   acknowledged %lld, found %lld\n", (long long)last, (long long)count);
    sqlite3_close(db);
    return whole && count == max && count >= last && count <= last + 1;
}

static void make_path(char *path, char *folder)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, PATH_MAX_BYTES, "%s/db", folder);
}

static void remove_all(const char *path, const char *folder)
{
    char name[PATH_MAX_BYTES + 8];
    const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
    rmdir(folder);
}

START_TEST(what_was_acknowledged_survives)
{
    char path[PATH_MAX_BYTES], folder[] = "/tmp/leat-powercut-XXXXXX";
    make_path(path, folder);
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        fprintf(stderr, "# seed %llu\n", (unsigned long long)seed);
        ck_assert_msg(everything_is_there(path, run_until_cut(path, seed)), "seed %llu",
                      (unsigned long long)seed);
    }
    remove_all(path, folder);
}
END_TEST

START_TEST(a_lying_disk_is_noticed)
{
    setenv("LEAT_POWERCUT_LIE", "1", 1);
    bool lost = false;
    for (uint64_t seed = 1; seed <= ROUNDS && !lost; seed++) {
        char path[PATH_MAX_BYTES], folder[] = "/tmp/leat-powercut-XXXXXX";
        make_path(path, folder);
        lost = !everything_is_there(path, run_until_cut(path, seed));
        remove_all(path, folder);
    }
    ck_assert(lost);
}
END_TEST

/* A file that was never synced is written through as it is closed. */
START_TEST(an_orderly_end_loses_nothing)
{
    char path[PATH_MAX_BYTES], folder[] = "/tmp/leat-powercut-XXXXXX";
    make_path(path, folder);
    sqlite3 *db = open_database(path, NULL);
    const char *sql = "PRAGMA synchronous = OFF; CREATE TABLE t (n); INSERT INTO t VALUES (7)";
    must(db, sqlite3_exec(db, sql, NULL, NULL, NULL));
    ck_assert_int_eq(number_of(db, "SELECT n FROM t"), 7);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    db = open_database(path, "unix");
    ck_assert_int_eq(number_of(db, "SELECT n FROM t"), 7);
    sqlite3_close(db);
    remove_all(path, folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("powercut");
    TCase *tests = tcase_create("powercut");
    tcase_add_test(tests, what_was_acknowledged_survives);
    tcase_add_test(tests, a_lying_disk_is_noticed);
    tcase_add_test(tests, an_orderly_end_loses_nothing);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
