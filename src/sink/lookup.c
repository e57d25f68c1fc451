#include "sink/lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Owned by whoever asked and by the thread, until both have let go. */
struct leat_lookup {
    pthread_mutex_t lock;
    char *host;
    int wake_fd;
    bool is_dropped;
    bool is_done;
    leat_addresses found;
};

static void destroy(leat_lookup *lookup)
{
    pthread_mutex_destroy(&lookup->lock);
    free(lookup->host);
    free(lookup);
}

static bool has(const leat_addresses *found, const char *text)
{
    for (uint32_t i = 0; i < found->count; i++)
        if (strcmp(found->text[i], text) == 0)
            return true;
    return false;
}

static void take_address(leat_addresses *found, const struct addrinfo *info)
{
    char *text = found->text[found->count];
    if (getnameinfo(info->ai_addr, info->ai_addrlen, text, LEAT_ADDRESS_SIZE, NULL, 0, NI_NUMERICHOST) == 0 && !has(found, text))
        found->count++;
}

static void look_up(const char *host, leat_addresses *found)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *infos = NULL;
    int status = getaddrinfo(host, NULL, &hints, &infos);
    for (struct addrinfo *info = infos; info && found->count < LEAT_LOOKUP_ADDRESSES; info = info->ai_next)
        take_address(found, info);
    if (infos)
        freeaddrinfo(infos);
    if (found->count == 0)
        snprintf(found->error, sizeof found->error, "%s", status ? gai_strerror(status) : "it has no address");
}

static void *run(void *argument)
{
    leat_lookup *lookup = argument;
    leat_addresses found = {0};
    look_up(lookup->host, &found);
    found.found_us = leat_mono_us();
    pthread_mutex_lock(&lookup->lock);
    bool is_dropped = lookup->is_dropped;
    lookup->found = found;
    lookup->is_done = true;
    uint64_t one = 1;
    if (lookup->wake_fd >= 0)
        (void)!write(lookup->wake_fd, &one, sizeof one);
    pthread_mutex_unlock(&lookup->lock);
    if (is_dropped)
        destroy(lookup);
    return NULL;
}

/* Signals are for the threads that wait for them. */
static int start_thread(leat_lookup *lookup)
{
    sigset_t all, before;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = pthread_create(&thread, NULL, run, lookup);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status == 0)
        pthread_detach(thread);
    return status;
}

leat_lookup *leat_lookup_start(const char *host, int wake_fd)
{
    leat_lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup)
        return NULL;
    pthread_mutex_init(&lookup->lock, NULL);
    lookup->wake_fd = wake_fd;
    lookup->host = strdup(host);
    if (lookup->host && start_thread(lookup) == 0)
        return lookup;
    destroy(lookup);
    return NULL;
}

void leat_lookup_wake(leat_lookup *lookup, int wake_fd)
{
    pthread_mutex_lock(&lookup->lock);
    lookup->wake_fd = wake_fd;
    pthread_mutex_unlock(&lookup->lock);
}

bool leat_lookup_take(leat_lookup *lookup, leat_addresses *ret)
{
    pthread_mutex_lock(&lookup->lock);
    bool is_done = lookup->is_done;
    if (is_done)
        *ret = lookup->found;
    pthread_mutex_unlock(&lookup->lock);
    return is_done;
}

void leat_lookup_drop(leat_lookup *lookup)
{
    if (!lookup)
        return;
    pthread_mutex_lock(&lookup->lock);
    bool is_done = lookup->is_done;
    lookup->is_dropped = true;
    lookup->wake_fd = -1;
    pthread_mutex_unlock(&lookup->lock);
    if (is_done)
        destroy(lookup);
}
