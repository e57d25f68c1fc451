/*
 * nth_fault.c - makes the n-th call of one kind fail, or a signal come there, once. Linking it into
 * a program is enough; LEAT_FAIL=KIND:N in the environment selects it, and "nth: failed" on
 * standard error shows that it happened. For tests.
 *
 *   alloc   malloc, calloc, realloc and strdup of statically linked code, which is all of leat: out
 *           of memory
 *   send    send() of any code, libpq too: ECONNRESET, and the connection is lost
 *   recv    recv(), likewise
 *   write   write, pwrite of a regular file, SQLite's too: EIO
 *   space   the same calls: ENOSPC
 *   sync    fsync, fdatasync: EIO
 *   term    close(), and the end of the process after main(): it succeeds, and SIGTERM comes
 *
 * Allocations are caught at link time (--wrap), the others because the linker finds them before the
 * C library's. One call is one count, from the start of the process, over all threads.
 */
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

/* Process-wide, like the calls that they count. */
static char kind[16];
static long wanted;
static atomic_long calls;

__attribute__((constructor)) static void read_wish(void)
{
    const char *wish = getenv("LEAT_FAIL");
    const char *colon = wish ? strchr(wish, ':') : NULL;
    if (!colon || (size_t)(colon - wish) >= sizeof kind)
        return;
    memcpy(kind, wish, (size_t)(colon - wish));
    wanted = atol(colon + 1);
}

static bool fails(const char *this_kind)
{
    static const char said[] = "nth: failed\n";
    if (wanted == 0 || strcmp(kind, this_kind) != 0 || atomic_fetch_add(&calls, 1) + 1 != wanted)
        return false;
    return write(STDERR_FILENO, said, sizeof said - 1) > 0;
}

/* ---- allocations ---- */

void *__wrap_malloc(size_t size)
{
    return fails("alloc") ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails("alloc") ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails("alloc") ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
    return fails("alloc") ? NULL : __real_strdup(text);
}

/* ---- sockets ---- */

static ssize_t reset(int fd)
{
    shutdown(fd, SHUT_RDWR);
    errno = ECONNRESET;
    return -1;
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    static ssize_t (*real)(int, const void *, size_t, int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "send");
    if (!fails("send"))
        return real(fd, data, size, flags);
    return reset(fd);
}

ssize_t recv(int fd, void *data, size_t size, int flags)
{
    static ssize_t (*real)(int, void *, size_t, int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "recv");
    if (!fails("recv"))
        return real(fd, data, size, flags);
    return reset(fd);
}

/* ---- files ---- */

static bool write_fails(int fd)
{
    struct stat found;
    int before = errno;
    bool is_file = fstat(fd, &found) == 0 && S_ISREG(found.st_mode) && fd != STDERR_FILENO &&
                   fd != STDOUT_FILENO;
    errno = before;
    if (is_file && fails("write"))
        errno = EIO;
    else if (is_file && fails("space"))
        errno = ENOSPC;
    else
        return false;
    return true;
}

ssize_t write(int fd, const void *data, size_t size)
{
    static ssize_t (*real)(int, const void *, size_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "write");
    return write_fails(fd) ? -1 : real(fd, data, size);
}

/* With 64-bit offsets everywhere its symbol is pwrite64. */
ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    static ssize_t (*real)(int, const void *, size_t, off_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "pwrite64");
    return write_fails(fd) ? -1 : real(fd, data, size, at);
}

int fsync(int fd)
{
    static int (*real)(int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    if (!fails("sync"))
        return real(fd);
    errno = EIO;
    return -1;
}

int fdatasync(int fd)
{
    static int (*real)(int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "fdatasync");
    if (!fails("sync"))
        return real(fd);
    errno = EIO;
    return -1;
}

/* ---- signals ---- */

/* Descriptors are closed while it starts, while it serves, and last of all when its loops have
 * ended. */
int close(int fd)
{
    static int (*real)(int);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "close");
    if (fails("term"))
        kill(getpid(), SIGTERM);
    return real(fd);
}

__attribute__((destructor)) static void at_the_end(void)
{
    if (fails("term"))
        kill(getpid(), SIGTERM);
}
