/*
 * lock.c - which process keeps a SQLite file locked, and whether any has it open. SQLite reports
 * only that the file is busy, but its locks are POSIX record locks on known bytes of the -shm file
 * (https://sqlite.org/walformat.html: the write lock is byte 120), and the kernel names their
 * holder. A process that holds it in several samples in a row is reported; leat's own workers,
 * which hold it for each batch, are not.
 */
#include "sink/sqlite/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { WRITE_LOCK_BYTE = 120, SAMPLE_EVERY_MS = 20 };

/* 0: nobody. */
static int64_t holder_of(int fd)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = WRITE_LOCK_BYTE, .l_len = 1};
    return fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK ? (int64_t)lock.l_pid : 0;
}

static bool is_worker(const leat_shard_work *work, int64_t pid)
{
    for (uint32_t i = 0; i < work->worker_count; i++)
        if (work->workers[i].pid == pid)
            return true;
    return false;
}

static bool keeps_it(int fd, int64_t pid)
{
    int64_t until_us = leat_mono_us() + LEAT_SQLITE_LOCK_MS * INT64_C(1000);
    while (holder_of(fd) == pid) {
        if (leat_mono_us() >= until_us)
            return true;
        usleep(SAMPLE_EVERY_MS * 1000);
    }
    return false;
}

static void name_program(int64_t pid, char *ret, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%" PRId64 "/comm", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return;
    if (fgets(ret, (int)size, file))
        ret[strcspn(ret, "\n")] = '\0';
    fclose(file);
}

void leat_sqlite_find_lock(const char *file, leat_shard_work *work)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s-shm", file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) { /* or this user may not read it */
        work->is_closed = errno == ENOENT;
        return;
    }
    int64_t pid = holder_of(fd);
    if (pid > 0 && !is_worker(work, pid) && keeps_it(fd, pid)) {
        LEAT_ASSERT(work->waits.count < LEAT_SHARD_WAITS_MAX);
        leat_shard_wait *wait = &work->waits.waits[work->waits.count++];
        *wait = (leat_shard_wait){
            .is_file = true, .count = 1, .waited_ms = LEAT_SQLITE_LOCK_MS, .holder_pid = pid};
        name_program(pid, wait->holder_application, sizeof wait->holder_application);
    }
    close(fd);
}
