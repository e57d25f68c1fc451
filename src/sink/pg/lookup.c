/*
 * lookup.c - one thread for each host name under way, shared by all callers that need the same one.
 * The thread knows only its query and frees it when nobody waits any longer, so a resolver that
 * hangs holds up a thread and never a loop, and the process can end meanwhile.
 */
#include "sink/pg/lookup.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/thread.h"

enum {
    A_NAME_MAX = 4,           /* threads that look up one name */
    JOINED_MAX_US = 30000000, /* under way for longer: the resolver may have lost it, and a new one
                                 may get an answer */
};

/* Owned by one thread. It is in `queries` until it has its answer, and lives until its last lookup
 * is dropped. */
typedef struct query {
    struct query *next;
    leat_lookup *askers;
    int64_t since_us;
    bool is_done;
    leat_addresses found;
    char host[];
} query;

struct leat_lookup {
    leat_lookup *next; /* of the query's */
    query *query;
    int wake_fd;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of everything here */
static query *queries;                                   /* under way, the youngest first */

/* ---- the thread ---- */

static bool has_address(const leat_addresses *found, const char *text)
{
    for (uint32_t i = 0; i < found->count; i++)
        if (strcmp(found->text[i], text) == 0)
            return true;
    return false;
}

static void take_address(leat_addresses *found, const struct addrinfo *info)
{
    LEAT_ASSERT(found->count < LEAT_LOOKUP_ADDRESSES);
    char *text = found->text[found->count];
    if (getnameinfo(info->ai_addr, info->ai_addrlen, text, LEAT_ADDRESS_SIZE, NULL, 0,
                    NI_NUMERICHOST) == 0 &&
        !has_address(found, text))
        found->count++;
}

static void look_up(const char *host, leat_addresses *found)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *infos = NULL;
    int status = getaddrinfo(host, NULL, &hints, &infos);
    for (struct addrinfo *info = infos; info && found->count < LEAT_LOOKUP_ADDRESSES;
         info = info->ai_next)
        take_address(found, info);
    if (infos)
        freeaddrinfo(infos);
    if (found->count == 0)
        snprintf(found->error, sizeof found->error, "%s",
                 status ? gai_strerror(status) : "it has no address");
}

static void leave_queries(query *of)
{
    query **at = &queries;
    while (*at != of) {
        LEAT_ASSERT(*at);
        at = &(*at)->next;
    }
    *at = of->next;
}

static void wake(const leat_lookup *lookup)
{
    uint64_t one = 1;
    if (lookup->wake_fd >= 0)
        (void)!write(lookup->wake_fd, &one, sizeof one);
}

static void *run_query(void *argument)
{
    LEAT_ASSERT(!((query *)argument)->is_done);
    query *mine = argument;
    leat_addresses found = {0};
    look_up(mine->host, &found);
    found.found_us = leat_mono_us();
    pthread_mutex_lock(&lock);
    leave_queries(mine);
    mine->found = found;
    mine->is_done = true;
    for (const leat_lookup *asker = mine->askers; asker; asker = asker->next)
        wake(asker);
    if (!mine->askers)
        free(mine);
    pthread_mutex_unlock(&lock);
    return NULL;
}

static int start_thread(query *of)
{
    pthread_t thread;
    int status = leat_thread_start(&thread, run_query, of);
    if (status == 0)
        pthread_detach(thread);
    return status;
}

/* ---- lookups ---- */

/* A query under way that can be joined; NULL: a new one is needed. */
static query *find_query(const char *host)
{
    query *youngest = NULL;
    uint32_t count = 0;
    for (query *at = queries; at; at = at->next) {
        if (strcmp(at->host, host) != 0)
            continue;
        youngest = youngest ? youngest : at;
        count++;
    }
    bool joins = youngest &&
                 (count >= A_NAME_MAX || leat_mono_us() - youngest->since_us < JOINED_MAX_US);
    return joins ? youngest : NULL;
}

static query *begin_query(const char *host)
{
    size_t size = strlen(host) + 1;
    query *ret = calloc(1, sizeof *ret + size);
    if (!ret)
        return NULL;
    memcpy(ret->host, host, size);
    ret->since_us = leat_mono_us();
    if (start_thread(ret) != 0) {
        free(ret);
        return NULL;
    }
    ret->next = queries; /* its thread takes the lock, held here, before it reads `queries` */
    queries = ret;
    return ret;
}

leat_lookup *leat_lookup_start(const char *host, int wake_fd)
{
    LEAT_ASSERT(host && host[0]);
    leat_lookup *lookup = calloc(1, sizeof *lookup);
    if (!lookup)
        return NULL;
    pthread_mutex_lock(&lock);
    query *of = find_query(host);
    of = of ? of : begin_query(host);
    if (of) {
        *lookup = (leat_lookup){.next = of->askers, .query = of, .wake_fd = wake_fd};
        of->askers = lookup;
    }
    pthread_mutex_unlock(&lock);
    if (of)
        return lookup;
    free(lookup);
    return NULL;
}

void leat_lookup_wake(leat_lookup *lookup, int wake_fd)
{
    LEAT_ASSERT(lookup->query);
    pthread_mutex_lock(&lock);
    lookup->wake_fd = wake_fd;
    if (lookup->query->is_done)
        wake(lookup);
    pthread_mutex_unlock(&lock);
}

bool leat_lookup_take(leat_lookup *lookup, leat_addresses *ret)
{
    LEAT_ASSERT(lookup->query);
    pthread_mutex_lock(&lock);
    bool is_done = lookup->query->is_done;
    if (is_done)
        *ret = lookup->query->found;
    pthread_mutex_unlock(&lock);
    return is_done;
}

void leat_lookup_drop(leat_lookup *lookup)
{
    if (!lookup)
        return;
    pthread_mutex_lock(&lock);
    query *of = lookup->query;
    leat_lookup **at = &of->askers;
    while (*at != lookup) {
        LEAT_ASSERT(*at);
        at = &(*at)->next;
    }
    *at = lookup->next;
    if (!of->askers && of->is_done)
        free(of);
    pthread_mutex_unlock(&lock);
    free(lookup);
}
