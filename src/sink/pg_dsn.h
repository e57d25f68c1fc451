/*
 * pg_dsn.h - a DSN made ready for connections that live long: leat's name, UTF-8, a primary, keepalives; unless the
 * DSN says otherwise. May hold a password: never printed.
 */
#ifndef LEAT_PG_DSN_H
#define LEAT_PG_DSN_H

#include "base/base.h"

typedef struct leat_pg_dsn leat_pg_dsn;

/* `owner` goes into the sessions' application_name: "leat OWNER HOST PID". NULL and a message (without any of the DSN's
 * text) when it cannot be read. */
leat_pg_dsn *leat_pg_dsn_new(const char *dsn, const char *owner, leat_error *error);
void leat_pg_dsn_free(leat_pg_dsn *dsn);
/* NULL-terminated, for PQconnectStartParams. */
const char *const *leat_pg_dsn_keywords(const leat_pg_dsn *dsn);
const char *const *leat_pg_dsn_values(const leat_pg_dsn *dsn);
/* How long a connection attempt may take: the DSN's connect_timeout, else 10 s. libpq leaves this to the caller. */
int64_t leat_pg_dsn_connect_timeout_ms(const leat_pg_dsn *dsn);

#endif
