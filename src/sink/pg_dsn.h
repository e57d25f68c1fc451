/*
 * pg_dsn.h - a DSN made ready for leat's connections, the long ones and the short: leat's name, UTF-8, a time limit,
 * keepalives unless the DSN says otherwise, and always the primary: of several hosts the one that takes writes. What is
 * read from a standby may be the past, and leat decides by what it reads. May hold a password: never printed.
 */
#ifndef LEAT_PG_DSN_H
#define LEAT_PG_DSN_H

#include "base/base.h"

typedef struct leat_pg_dsn leat_pg_dsn;

/* `owner` goes into the sessions' application_name: "leat OWNER HOST PID"; NULL, for a short connection: the DSN's own,
 * else "leat". NULL and a message, which never shows a password, when it cannot be read or its target_session_attrs asks
 * for another server than the primary. */
leat_pg_dsn *leat_pg_dsn_new(const char *dsn, const char *owner, leat_error *error);
void leat_pg_dsn_free(leat_pg_dsn *dsn);
/* NULL-terminated, for PQconnectStartParams. */
const char *const *leat_pg_dsn_keywords(const leat_pg_dsn *dsn);
const char *const *leat_pg_dsn_values(const leat_pg_dsn *dsn);
/* For a diagnosis, and nothing else: whatever server answers. */
void leat_pg_dsn_take_any_server(leat_pg_dsn *dsn);
/* How long a connection attempt may take: the DSN's connect_timeout, else 10 s. libpq leaves this to the caller who
 * connects without blocking; one that blocks it holds to it for each host. */
int64_t leat_pg_dsn_connect_timeout_ms(const leat_pg_dsn *dsn);

#endif
