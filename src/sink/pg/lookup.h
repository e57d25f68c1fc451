/*
 * lookup.h - the addresses of one host name, looked up by a thread of its own, which is shared by
 * all who need it meanwhile. libpq looks names up in the thread that connects, and one slow
 * resolver would hold up a loop with all its shards. uv_getaddrinfo does not serve: all loops of a
 * process share half of libuv's four threads for it, so that two slow names stop every other, and a
 * loop cannot be closed before its lookups have returned.
 *
 * A lookup cannot be cancelled: one that is dropped ends whenever the resolver does. At most a few
 * are under way for one name, so a resolver that never answers does not pile up threads.
 */
#ifndef LEAT_SINK_PG_LOOKUP_H
#define LEAT_SINK_PG_LOOKUP_H

#include "base/base.h"

enum { LEAT_LOOKUP_ADDRESSES = 8, LEAT_ADDRESS_SIZE = 64 };

/* In the resolver's order; those after the eighth are left out. */
typedef struct leat_addresses {
    uint32_t count;
    char text[LEAT_LOOKUP_ADDRESSES][LEAT_ADDRESS_SIZE]; /* numeric, for libpq's hostaddr */
    char error[128];                                     /* why there are none */
    int64_t found_us;                                    /* leat_mono_us */
} leat_addresses;

typedef struct leat_lookup leat_lookup;

/* Starts it, or joins one that is under way. `wake_fd`, an eventfd, is written to when it is done;
 * -1: nobody waits. NULL: no memory or no thread. */
leat_lookup *leat_lookup_start(const char *host, int wake_fd);
/* Sets the eventfd to wake, which is woken at once when it is done. It must not be closed before it
 * was replaced here. */
void leat_lookup_wake(leat_lookup *lookup, int wake_fd);
/* Is it done? Then `ret` is filled. */
bool leat_lookup_take(leat_lookup *lookup, leat_addresses *ret);
/* Nobody waits any longer. May be NULL. */
void leat_lookup_drop(leat_lookup *lookup);

#endif
