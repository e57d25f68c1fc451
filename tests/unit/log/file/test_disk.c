/* The built-in log on a disk that fails or hangs: the system's VFS, but for the write-ahead log. */
#include "fixture.h"

typedef enum disk_state { DISK_GOOD, DISK_FAILS, DISK_FULL, DISK_HANGS } disk_state;

/* SQLite has one VFS for the whole process, so there is one disk. */
static struct {
    _Atomic disk_state state;
    sqlite3_vfs vfs;
    sqlite3_vfs *system;
    sqlite3_io_methods methods;
    const sqlite3_io_methods *system_methods;
} disk;

static int disk_sync(sqlite3_file *file, int flags)
{
    while (atomic_load(&disk.state) == DISK_HANGS)
        usleep(1000);
    if (atomic_load(&disk.state) == DISK_FAILS)
        return SQLITE_IOERR_FSYNC;
    return disk.system_methods->xSync(file, flags);
}

static int disk_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at)
{
    return atomic_load(&disk.state) == DISK_FULL
               ? SQLITE_FULL
               : disk.system_methods->xWrite(file, bytes, size, at);
}

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                     int *ret_flags)
{
    (void)vfs;
    int code = disk.system->xOpen(disk.system, name, file, flags, ret_flags);
    if (code != SQLITE_OK || !(flags & SQLITE_OPEN_WAL))
        return code;
    if (!disk.system_methods) { /* all of that kind have the same */
        disk.system_methods = file->pMethods;
        disk.methods = *file->pMethods;
        disk.methods.xSync = disk_sync;
        disk.methods.xWrite = disk_write;
    }
    ck_assert_ptr_eq(file->pMethods, disk.system_methods);
    file->pMethods = &disk.methods;
    return SQLITE_OK;
}

static void disk_insert(void)
{
    disk.system = sqlite3_vfs_find(NULL);
    disk.vfs = *disk.system;
    disk.vfs.zName = "disk";
    disk.vfs.xOpen = disk_open;
    ck_assert_int_eq(sqlite3_vfs_register(&disk.vfs, 1), SQLITE_OK);
}

static void start(fixture *f)
{
    disk_insert();
    fixture_open(f, 1);
    fixture_write(f);
    fixture_append_keys(f, 0, 0, 5, 1);
    fixture_await_answers(f);
    leat_diag_level(LEAT_ERROR + 1);
}

static bool is_ready(const void *context)
{
    return !leat_log_writer_trouble(((const fixture *)context)->writer);
}

START_TEST(a_failed_sync_means_unknown)
{
    fixture f;
    start(&f);
    atomic_store(&disk.state, DISK_FAILS);
    fixture_append_keys(&f, 0, 5, 1, 1);
    fixture_await_answers(&f);
    ck_assert_uint_eq(f.count[LEAT_APPEND_UNKNOWN], 1);
    ck_assert(leat_local_broken(f.config.local) != NULL);
    atomic_store(&disk.state, DISK_GOOD); /* does not repair it: pages that the kernel lost are lost
                                           */
    ck_assert(leat_log_writer_trouble(f.writer));
    leat_error error;
    leat_record record = {.key = LEAT_SLICE("k")};
    ck_assert_int_eq(fixture_append(&f, &record, NULL, &error), 1);
    fixture_write_end(&f);
    fixture_end(&f);
}
END_TEST

START_TEST(a_disk_that_is_full_at_commit_means_not_appended)
{
    fixture f;
    start(&f);
    atomic_store(&disk.state, DISK_FULL);
    fixture_append_keys(&f, 0, 5, 1, 1);
    fixture_await_answers(&f);
    ck_assert_uint_eq(f.count[LEAT_NOT_APPENDED], 1);
    ck_assert(leat_log_writer_trouble(f.writer));
    atomic_store(&disk.state, DISK_GOOD);
    fixture_await(&f, is_ready, &f);
    fixture_append_keys(&f, 0, 5, 3, 1);
    fixture_await_answers(&f);
    ck_assert_uint_eq(f.count[LEAT_APPENDED], 8);
    fixture_write_end(&f);
    leat_log_close(&f.config);
    fixture_hold(&f, 1);
    ck_assert_int_eq(atomic_load(&f.config.local->parts[0].next), 8);
    fixture_end(&f);
}
END_TEST

static bool has_begun(const void *context)
{
    leat_local_commits *commits = *(leat_local_commits *const *)context;
    pthread_mutex_lock(&commits->lock);
    bool ret = commits->batch.head && !commits->todo.head;
    pthread_mutex_unlock(&commits->lock);
    return ret;
}

static bool has_ended(const void *context)
{
    leat_local_commits *commits = *(leat_local_commits *const *)context;
    pthread_mutex_lock(&commits->lock);
    bool ret = commits->ended;
    pthread_mutex_unlock(&commits->lock);
    return ret;
}

START_TEST(free_does_not_wait_for_a_disk_that_hangs)
{
    fixture f;
    start(&f);
    leat_local_log *log = f.config.local;
    leat_local_commits *commits = ((const leat_local_writer *)f.writer)->commits;
    atomic_store(&disk.state, DISK_HANGS);
    fixture_append_keys(&f, 0, 5, 1, 1);
    fixture_await(&f, has_begun, &commits);
    fixture_append_keys(&f, 0, 6, 2, 1);
    ck_assert_int_gt(leat_log_writer_oldest_us(f.writer, 0, leat_mono_us() + 1), 0);
    leat_log_writer_free(f.writer, 100);
    ck_assert_uint_eq(f.count[LEAT_APPEND_UNKNOWN], 1);
    ck_assert_uint_eq(f.count[LEAT_NOT_APPENDED], 2); /* those were not begun */
    leat_log_config again = f.config;
    leat_error error;
    leat_topic_spec spec = {.partition_count = 1};
    leat_log_close(&f.config);
    ck_assert_int_eq(leat_log_open(&again, &spec, &error), -1); /* the thread may still write */
    atomic_store(&disk.state, DISK_GOOD);
    fixture_await(&f, has_ended, &commits);
    /* what is left alone for good, but for the leak checker */
    free(leat_local_pop(&commits->batch));
    leat_local_commits_free(commits);
    log->abandoned = false;
    f.config.local = log;
    fixture_end(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("local_disk");
    TCase *tests = tcase_create("disk");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_failed_sync_means_unknown);
    tcase_add_test(tests, a_disk_that_is_full_at_commit_means_not_appended);
    tcase_add_test(tests, free_does_not_wait_for_a_disk_that_hangs);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
