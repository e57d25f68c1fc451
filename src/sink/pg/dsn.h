/*
 * dsn.h - a DSN prepared for leat's connections, long and short: leat's name, UTF-8, a time limit,
 * keepalives unless the DSN sets its own, and always the primary: of several hosts the one that
 * takes writes. Data of a standby may be the past, and leat makes decisions from it. May contain a
 * password: never printed.
 */
#ifndef LEAT_SINK_PG_DSN_H
#define LEAT_SINK_PG_DSN_H

#include "base/base.h"
#include "sink/pg/lookup.h"

enum { LEAT_PG_DSN_PARAMS_MAX = 64 };

typedef struct leat_pg_dsn leat_pg_dsn;

/* The place where the last attempt succeeded. */
typedef struct leat_pg_dsn_place {
    uint32_t host;                   /* index; 0 at first */
    char address[LEAT_ADDRESS_SIZE]; /* of a name that was looked up; "" */
} leat_pg_dsn_place;

/* `owner` goes into the sessions' application_name: "leat OWNER HOST PID"; NULL, for a short
 * connection: the DSN's own, else "leat". NULL and a message, which never shows a password, when it
 * cannot be read or its target_session_attrs asks for another server than the primary. */
leat_pg_dsn *leat_pg_dsn_new(const char *dsn, const char *owner, leat_error *error);
void leat_pg_dsn_free(leat_pg_dsn *dsn);
/* For PQconnectStartParams, NULL-terminated, with those in `more_keywords` (NULL-terminated too, or
 * NULL) in place of the DSN's own; a value that is NULL is left out. Nothing is copied. */
void leat_pg_dsn_fill(const leat_pg_dsn *dsn, const char *const *more_keywords,
                      const char *const *more_values,
                      const char *ret_keywords[LEAT_PG_DSN_PARAMS_MAX + 1],
                      const char *ret_values[LEAT_PG_DSN_PARAMS_MAX + 1]);
/* Accepts any server that answers: for a diagnosis only. */
void leat_pg_dsn_take_any_server(leat_pg_dsn *dsn);
/* How long an attempt at one place may take: the DSN's connect_timeout, else 10 s. libpq leaves
 * this to callers that connect without blocking. */
int64_t leat_pg_dsn_connect_timeout_ms(const leat_pg_dsn *dsn);
bool leat_pg_dsn_has_connect_timeout(const leat_pg_dsn *dsn);
/* Shared by all connections of one thread; theirs to write. */
leat_pg_dsn_place *leat_pg_dsn_good(leat_pg_dsn *dsn);

#endif
