/*
 * slow_sync.c - storage whose syncs take LEAT_SYNC_US microseconds longer, for a server that is
 * started with this library (LEAT_PG_PRELOAD of scripts/postgres): each fsync and fdatasync is
 * done, and then waits. So the disk is a slow one for whoever waits for it, and keeps what it
 * should.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef int (*sync_fn)(int fd);

static void wait_us(long us)
{
    struct timespec left = {us / 1000000, us % 1000000 * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

static int sync_slowly(const char *name, int fd)
{
    const char *us = getenv("LEAT_SYNC_US");
    sync_fn sync = (sync_fn)dlsym(RTLD_NEXT, name);
    int status = sync(fd), error = errno;
    if (us)
        wait_us(atol(us));
    errno = error;
    return status;
}

int fsync(int fd)
{
    return sync_slowly("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_slowly("fdatasync", fd);
}
