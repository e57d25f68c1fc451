/*
 * hosts.h - the places that a DSN leads to, one after another: each address of each host is an
 * attempt of its own with its own time limit. libpq resolves several hosts by a blocking lookup and
 * has one limit for all; here that is done for connections on a loop and for those that block.
 *
 * Hosts, addresses and ports are those that libpq would use: from the DSN, its service, the
 * environment, and the defaults. They are read again for each attempt. A name is looked up again
 * too, off the thread (lookup.h), and goes to libpq as `hostaddr` beside `host`, so that
 * certificates and .pgpass are still checked by the name. A host whose name takes long is skipped
 * while others are left. The place that last succeeded is tried first. Unlike libpq, leat also
 * tries the next place when a server answers and refuses (no free connection, a password): it looks
 * for the one that accepts it and its writes.
 *
 * Limits: load_balance_hosts changes nothing here. A service in LDAP is read by a blocking call of
 * libpq's.
 */
#ifndef LEAT_SINK_PG_HOSTS_H
#define LEAT_SINK_PG_HOSTS_H

#include <libpq-fe.h>

#include "sink/pg/dsn.h"

typedef struct leat_pg_hosts leat_pg_hosts;

/* Where the next attempt goes; each may be NULL: libpq's own. Valid until the next call. */
typedef struct leat_pg_place {
    const char *host;
    const char *hostaddr;
    const char *port;
} leat_pg_place;

typedef enum leat_pg_hosts_step {
    LEAT_PG_HOSTS_PLACE, /* `ret` is filled */
    /* names are being looked up: call again when leat_pg_hosts_fd is readable */
    LEAT_PG_HOSTS_WAIT,
    LEAT_PG_HOSTS_END, /* all have been tried */
} leat_pg_hosts_step;

/* `dsn` outlives it. */
leat_pg_hosts *leat_pg_hosts_new(leat_pg_dsn *dsn);
void leat_pg_hosts_free(leat_pg_hosts *hosts);

/* Begins an attempt: all places are tried, from the one that last succeeded. */
void leat_pg_hosts_begin(leat_pg_hosts *hosts);
leat_pg_hosts_step leat_pg_hosts_next(leat_pg_hosts *hosts, leat_pg_place *ret);
/* An eventfd, open from WAIT to leat_pg_hosts_end. */
int leat_pg_hosts_fd(const leat_pg_hosts *hosts);
/* The time for names that are still being looked up is over. Their lookups go on and serve the next
 * attempt. */
void leat_pg_hosts_give_up(leat_pg_hosts *hosts);
/* Appends the faults of places that could not even be tried to `text`, "; " between. */
void leat_pg_hosts_append_failures(const leat_pg_hosts *hosts, char *text, size_t size);
/* Is the last place the one that last succeeded? Before any did: the first one. */
bool leat_pg_hosts_is_at_good(const leat_pg_hosts *hosts);
/* The attempt is over. `is_good`: the last place succeeded. Nobody may watch the eventfd any
 * longer. */
void leat_pg_hosts_end(leat_pg_hosts *hosts, bool is_good);
/* How long a lookup, and one place, may take: the DSN's connect_timeout; else 10 s, 5 s where there
 * are several places. */
int64_t leat_pg_hosts_limit_ms(const leat_pg_hosts *hosts);

/* Begins to connect there, without blocking. NULL: out of memory. */
PGconn *leat_pg_hosts_connect(const leat_pg_hosts *hosts, const leat_pg_place *place);

/* Appends one line, with "; " before it if there is text. libpq's messages of several lines become
 * one. */
void leat_pg_hosts_append(char *text, size_t size, const char *message);

#endif
