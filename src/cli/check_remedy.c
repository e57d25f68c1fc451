/*
 * check_remedy.c - the remedy for one exact error, when the text of the server or of leat names
 * what is wrong: a statement to copy is worth more than advice. The error is recognised by its
 * text, because a failed connection has no SQLSTATE; with a server that uses another language the
 * check's general remedy is shown.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/check.h"

/* A @ is the last name in quotes in the message (libpq's own, of the host, comes first), a # for
 * the role. */
static const struct {
    const char *check;
    const char *text;
    const char *remedy;
} remedies[] = {
    {"connection", "role \"*\" does not exist",
     "CREATE ROLE \"@\" LOGIN; or correct the user in the shard's dsn"},
    {"connection", "role \"*\" is not permitted to log in", "ALTER ROLE \"@\" LOGIN;"},
    {"connection", "too many connections for role",
     "ALTER ROLE \"@\" CONNECTION LIMIT -1; or lower shards[].connections of all processes"},
    {"connection", "too many connections for database",
     "ALTER DATABASE \"@\" CONNECTION LIMIT -1; or lower shards[].connections of all processes"},
    {"connection", "password authentication failed",
     "correct the password of role \"@\" in the shard's dsn, or the variable of the environment that it takes it from"},
    {"connection", "no password supplied",
     "give the shard's dsn a password, or PGPASSFILE a line for it"},
    {"connection", "no pg_hba.conf entry",
     "add a line for this host, role, database and encryption to pg_hba.conf, and reload"},
    {"connection", "database \"*\" does not exist",
     "CREATE DATABASE \"@\"; with your tables in it, or correct dbname in the shard's dsn"},
    {"connection", "permission denied for database",
     "GRANT CONNECT ON DATABASE \"@\" TO the role in the shard's dsn;"},
    {"connection", "make it with your tables in it first",
     "run that command, or correct the shard's `sqlite` (relative to the working directory): leat creates no file of yours"},
    {"schema leat", "permission denied for schema leat",
     "GRANT USAGE ON SCHEMA leat TO \"#\";\nGRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA leat TO \"#\";"},
    {"schema leat", "permission denied for table",
     "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA leat TO \"#\";"},
    {"schema leat", "permission denied for relation",
     "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA leat TO \"#\";"},
    {"tables", "row security applies to leat's role",
     "ALTER ROLE \"#\" BYPASSRLS; or, where the policies let it see and write every row of the route, row_security: accept in the route"},
};

/* Is the text there, with a * for anything up to the next quote? */
static bool has_text(const char *what, const char *text)
{
    const char *star = strchr(text, '*');
    if (!star)
        return strstr(what, text) != NULL;
    size_t before = (size_t)(star - text);
    for (const char *at = what; *at; at++) {
        if (strncmp(at, text, before) != 0)
            continue;
        const char *quote = strchr(at + before, '"');
        if (quote && strncmp(quote, star + 1, strlen(star + 1)) == 0)
            return true;
    }
    return false;
}

static leat_slice quoted_in(const char *what, leat_slice otherwise)
{
    leat_slice last = otherwise;
    for (const char *begin = strchr(what, '"'), *end; begin && (end = strchr(begin + 1, '"'));
         begin = strchr(end + 1, '"'))
        last = (leat_slice){begin + 1, (size_t)(end - begin) - 1};
    return last;
}

static char *fill_in(const char *remedy, leat_slice quoted, leat_slice role)
{
    leat_buf out = {0};
    for (const char *c = remedy; *c; c++) {
        if (*c == '@')
            leat_buf_append(&out, quoted.data, quoted.size);
        else if (*c == '#')
            leat_buf_append(&out, role.data, role.size);
        else
            leat_buf_byte(&out, *c);
    }
    const char *text = leat_buf_cstr(&out);
    char *ret = text ? leat_must_strdup(text) : NULL;
    leat_buf_free(&out);
    return ret;
}

char *leat_remedy_of(const char *check, const char *what, const char *role)
{
    leat_slice known = leat_slice_of(role);
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
        if (strcmp(remedies[i].check, check) == 0 && has_text(what, remedies[i].text))
            return fill_in(remedies[i].remedy, quoted_in(what, known), known);
    return NULL;
}
