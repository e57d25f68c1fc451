#include "sink/pg_dsn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpq-fe.h>

enum {
    PARAMS_MAX = 64,
    CONNECT_TIMEOUT_MS = 10000,
};

struct leat_pg_dsn {
    PQconninfoOption *options;
    const char *keywords[PARAMS_MAX + 1];
    const char *values[PARAMS_MAX + 1];
    uint32_t count;
    char application_name[64]; /* NAMEDATALEN */
};

typedef struct parameter {
    const char *keyword;
    const char *value;
} parameter;

/* An unanswered write is given up after as long as a job is: see pg_conn.c. */
static const parameter defaults[] = {
    {"target_session_attrs", "read-write"}, {"keepalives", "1"},       {"keepalives_idle", "15"},
    {"keepalives_interval", "5"},           {"keepalives_count", "3"}, {"tcp_user_timeout", "60000"},
};

static const char *given(const leat_pg_dsn *dsn, const char *keyword)
{
    for (const PQconninfoOption *option = dsn->options; option->keyword; option++)
        if (strcmp(option->keyword, keyword) == 0)
            return option->val;
    return NULL;
}

static void add(leat_pg_dsn *dsn, const char *keyword, const char *value)
{
    LEAT_ASSERT(dsn->count < PARAMS_MAX);
    dsn->keywords[dsn->count] = keyword;
    dsn->values[dsn->count] = value;
    dsn->count++;
}

/* Begins with "leat" and the owner whatever the DSN says: leat.terminate_holders ends no session of another name, and
 * leat_postgres_refuse_others finds other groups by it. */
static void name_application(leat_pg_dsn *dsn, const char *owner)
{
    char host[24] = "";
    gethostname(host, sizeof host - 1);
    snprintf(dsn->application_name, sizeof dsn->application_name, "leat %s %s %ld", owner, host, (long)getpid());
}

static void add_all(leat_pg_dsn *dsn)
{
    for (const PQconninfoOption *option = dsn->options; option->keyword; option++) {
        bool is_ours = strcmp(option->keyword, "application_name") == 0 ||
                       strcmp(option->keyword, "client_encoding") == 0;
        if (option->val && !is_ours)
            add(dsn, option->keyword, option->val);
    }
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (!given(dsn, defaults[i].keyword))
            add(dsn, defaults[i].keyword, defaults[i].value);
    add(dsn, "client_encoding", "UTF8");
    add(dsn, "application_name", dsn->application_name);
}

leat_pg_dsn *leat_pg_dsn_new(const char *text, const char *owner, leat_error *error)
{
    leat_pg_dsn *dsn = leat_must_calloc(1, sizeof *dsn);
    dsn->options = PQconninfoParse(text, NULL); /* its message may quote a password */
    if (!dsn->options) {
        leat_fail(error, "the dsn is no valid connection string");
        free(dsn);
        return NULL;
    }
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

const char *const *leat_pg_dsn_keywords(const leat_pg_dsn *dsn)
{
    return dsn->keywords;
}

const char *const *leat_pg_dsn_values(const leat_pg_dsn *dsn)
{
    return dsn->values;
}

int64_t leat_pg_dsn_connect_timeout_ms(const leat_pg_dsn *dsn)
{
    const char *given_s = given(dsn, "connect_timeout");
    long seconds = given_s ? strtol(given_s, NULL, 10) : 0;
    return seconds > 0 && seconds < 3600 ? seconds * 1000 : CONNECT_TIMEOUT_MS;
}
