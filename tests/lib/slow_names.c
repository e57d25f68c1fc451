/*
 * slow_names.c - leat whose resolver hangs for the name slow.test: for as long as the file
 * LEAT_SLOW_NAMES exists. Queries meanwhile are noted in it. Otherwise the name is that of this
 * machine.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int __real_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret);
int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret);

static void note(const char *path)
{
    FILE *file = fopen(path, "a");
    if (!file)
        return;
    fputs("asked\n", file);
    fclose(file);
}

int __wrap_getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                       struct addrinfo **ret)
{
    const char *path = getenv("LEAT_SLOW_NAMES");
    if (!name || !path || strcmp(name, "slow.test") != 0)
        return __real_getaddrinfo(name, service, hints, ret);
    if (access(path, F_OK) == 0)
        note(path);
    while (access(path, F_OK) == 0)
        usleep(20000);
    return __real_getaddrinfo("127.0.0.1", service, hints, ret);
}
