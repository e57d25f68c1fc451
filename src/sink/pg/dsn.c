/*
 * dsn.c - a DSN with leat's own settings in place of those that must not differ: the session's
 * name, by which other processes find it, UTF-8, and a target that takes writes. Keepalives end a
 * connection that the network has forgotten; a DSN may set its own.
 */
#include "sink/pg/dsn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "sink/shard_ops.h"

enum {
    CONNECT_TIMEOUT_MS = 10000,
    PLACE_PARAMS = 8, /* left for those of leat_pg_dsn_fill */
};

struct leat_pg_dsn {
    PQconninfoOption *options;
    const char *keywords[LEAT_PG_DSN_PARAMS_MAX];
    const char *values[LEAT_PG_DSN_PARAMS_MAX];
    uint32_t count;
    uint32_t target; /* where target_session_attrs is */
    int64_t connect_timeout_ms;
    bool has_connect_timeout;
    leat_pg_dsn_place good;
    char connect_timeout[24];
    char application_name[LEAT_SESSION_NAME_SIZE]; /* NAMEDATALEN */
};

typedef struct parameter {
    const char *keyword;
    const char *value;
} parameter;

/* A connection that the network forgot while it was idle ends within 11 s. No tcp_user_timeout:
 * with it keepalives_count means nothing to Linux, and it also ends a connection whose server stops
 * reading because a statement takes long. conn.c watches for data that is sent and not
 * acknowledged. */
static const parameter defaults[] = {
    {"keepalives", "1"},
    {"keepalives_idle", "5"},
    {"keepalives_interval", "2"},
    {"keepalives_count", "3"},
};

static const char *const other_servers[] = {"any", "read-only", "standby", "prefer-standby"};

/* Keywords that add_all sets itself. */
static const char *const ours[] = {"application_name", "client_encoding", "connect_timeout",
                                   "target_session_attrs"};

static const char *given(const leat_pg_dsn *dsn, const char *keyword)
{
    LEAT_ASSERT(dsn->options);
    for (const PQconninfoOption *option = dsn->options; option->keyword; option++)
        if (strcmp(option->keyword, keyword) == 0)
            return option->val && option->val[0] ? option->val : NULL;
    return NULL;
}

static bool is_among(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void add(leat_pg_dsn *dsn, const char *keyword, const char *value)
{
    LEAT_ASSERT(dsn->count < LEAT_PG_DSN_PARAMS_MAX - PLACE_PARAMS);
    dsn->keywords[dsn->count] = keyword;
    dsn->values[dsn->count] = value;
    dsn->count++;
}

/* Begins with "leat" and the owner whatever the DSN says: leat.terminate_holders ends no session of
 * another name, and leat_shard_refuse_others finds other groups by it. */
static void name_application(leat_pg_dsn *dsn, const char *owner)
{
    if (!owner) {
        const char *name = given(dsn, "application_name");
        snprintf(dsn->application_name, sizeof dsn->application_name, "%s", name ? name : "leat");
        return;
    }
    leat_shard_session_name(owner, dsn->application_name);
}

static void add_all(leat_pg_dsn *dsn)
{
    LEAT_ASSERT(dsn->count == 0);
    for (const PQconninfoOption *option = dsn->options; option->keyword; option++)
        if (option->val && !is_among(option->keyword, ours, sizeof ours / sizeof *ours))
            add(dsn, option->keyword, option->val);
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (!given(dsn, defaults[i].keyword))
            add(dsn, defaults[i].keyword, defaults[i].value);
    add(dsn, "client_encoding", "UTF8");
    add(dsn, "application_name", dsn->application_name);
    add(dsn, "connect_timeout", dsn->connect_timeout);
    const char *target = given(dsn, "target_session_attrs");
    dsn->target = dsn->count;
    add(dsn, "target_session_attrs", target ? target : "read-write");
}

static void limit_attempts(leat_pg_dsn *dsn)
{
    const char *given_s = given(dsn, "connect_timeout");
    long seconds = given_s ? strtol(given_s, NULL, 10) : 0;
    dsn->has_connect_timeout = seconds > 0 && seconds <= 3600;
    dsn->connect_timeout_ms = dsn->has_connect_timeout ? seconds * 1000 : CONNECT_TIMEOUT_MS;
    LEAT_ASSERT(dsn->connect_timeout_ms > 0);
    snprintf(dsn->connect_timeout, sizeof dsn->connect_timeout, "%lld",
             (long long)(dsn->connect_timeout_ms / 1000));
}

/* An '@' inside the host is the rest of a password that contained one and was not
 * percent-encoded. */
static int check(const leat_pg_dsn *dsn, leat_error *error)
{
    const char *host = given(dsn, "host"), *target = given(dsn, "target_session_attrs");
    if (host && strchr(host + 1, '@'))
        return leat_fail(
            error,
            "the dsn cannot be read: an '@' in the user or the password must be written %%40");
    if (target && is_among(target, other_servers, sizeof other_servers / sizeof *other_servers))
        return leat_fail(
            error,
            "the dsn has target_session_attrs=%s, but leat reads and writes at the primary only: leave it out, "
            "or set it to read-write or primary",
            target);
    return 0;
}

leat_pg_dsn *leat_pg_dsn_new(const char *text, const char *owner, leat_error *error)
{
    LEAT_ASSERT(text);
    leat_pg_dsn *dsn = leat_must_calloc(1, sizeof *dsn);
    dsn->options = PQconninfoParse(text, NULL); /* its message may quote a password */
    if (!dsn->options) {
        leat_fail(error,
                  "the dsn cannot be read: key=value pairs or postgresql://... are expected");
        free(dsn);
        return NULL;
    }
    if (check(dsn, error) != 0) {
        leat_pg_dsn_free(dsn);
        return NULL;
    }
    limit_attempts(dsn);
    name_application(dsn, owner);
    add_all(dsn);
    return dsn;
}

void leat_pg_dsn_free(leat_pg_dsn *dsn)
{
    if (!dsn)
        return;
    PQconninfoFree(dsn->options);
    free(dsn);
}

static bool is_replaced(const char *keyword, const char *const *more_keywords)
{
    for (; more_keywords && *more_keywords; more_keywords++)
        if (strcmp(keyword, *more_keywords) == 0)
            return true;
    return false;
}

void leat_pg_dsn_fill(const leat_pg_dsn *dsn, const char *const *more_keywords,
                      const char *const *more_values,
                      const char *ret_keywords[LEAT_PG_DSN_PARAMS_MAX + 1],
                      const char *ret_values[LEAT_PG_DSN_PARAMS_MAX + 1])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < dsn->count; i++) {
        if (is_replaced(dsn->keywords[i], more_keywords))
            continue;
        ret_keywords[count] = dsn->keywords[i];
        ret_values[count++] = dsn->values[i];
    }
    for (uint32_t i = 0; more_keywords && more_keywords[i]; i++) {
        if (!more_values[i])
            continue;
        LEAT_ASSERT(count < LEAT_PG_DSN_PARAMS_MAX);
        ret_keywords[count] = more_keywords[i];
        ret_values[count++] = more_values[i];
    }
    ret_keywords[count] = ret_values[count] = NULL;
}

void leat_pg_dsn_take_any_server(leat_pg_dsn *dsn)
{
    LEAT_ASSERT(dsn->target < dsn->count);
    dsn->values[dsn->target] = "any";
}

int64_t leat_pg_dsn_connect_timeout_ms(const leat_pg_dsn *dsn)
{
    LEAT_ASSERT(dsn->connect_timeout_ms > 0);
    return dsn->connect_timeout_ms;
}

bool leat_pg_dsn_has_connect_timeout(const leat_pg_dsn *dsn)
{
    return dsn->has_connect_timeout;
}

leat_pg_dsn_place *leat_pg_dsn_good(leat_pg_dsn *dsn)
{
    return &dsn->good;
}

static int check_address(const char *text, leat_error *error)
{
    leat_pg_dsn *dsn = leat_pg_dsn_new(text, NULL, error);
    leat_pg_dsn_free(dsn);
    return dsn ? 0 : -1;
}

const leat_shard_address_ops leat_pg_address = {.check = check_address};
