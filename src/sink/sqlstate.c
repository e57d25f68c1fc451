#include "sink/sqlstate.h"

#include <string.h>

typedef struct rule {
    const char *prefix;
    leat_outcome outcome;
} rule;

/* The first prefix that fits decides, so exceptions stand before their class. */
static const rule rules[] = {
    {"LT001", LEAT_FENCED},
    {"LT002", LEAT_WENT_BACK},

    /* The words of a pooler or of a connection about to go: they do not tell what became of the transaction. */
    {"08", LEAT_UNKNOWN},
    {"57P", LEAT_UNKNOWN},
    {"40003", LEAT_UNKNOWN}, /* statement_completion_unknown */

    {"53", LEAT_OUTAGE},
    {"58", LEAT_OUTAGE},
    {"25006", LEAT_OUTAGE}, /* read-only: a primary that was demoted */
    {"28", LEAT_OUTAGE},
    {"3D", LEAT_OUTAGE},

    {"40", LEAT_CONTENTION},
    {"55P03", LEAT_CONTENTION}, /* lock_timeout */
    {"57014", LEAT_CONTENTION}, /* statement_timeout */
    {"26", LEAT_CONTENTION},    /* the prepared statement is not there */

    {"23503", LEAT_NOT_YET}, /* a parent may be on its way */
    {"23505", LEAT_NOT_YET}, /* the row in the way may go */
    {"23P01", LEAT_NOT_YET}, /* so with an exclusion constraint */

    {"22", LEAT_BAD_DATA},
    {"23", LEAT_BAD_DATA},
    {"44", LEAT_BAD_DATA},
    {"54", LEAT_BAD_DATA},
    {"21", LEAT_BAD_DATA},
    {"P0", LEAT_BAD_DATA}, /* raised by a trigger */

    {"42", LEAT_DRIFT},
    {"0A", LEAT_DRIFT}, /* not supported on such a table. A plan that has gone stale says so too: pg_answers.c */
};

leat_outcome leat_sqlstate_outcome(const char *sqlstate, const char *severity, bool primary_key)
{
    if (!severity || strcmp(severity, "ERROR") != 0)
        return LEAT_UNKNOWN;
    if (!sqlstate || strlen(sqlstate) != 5)
        return LEAT_UNKNOWN;
    if (primary_key && strcmp(sqlstate, "23505") == 0)
        return LEAT_CONTENTION;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (strncmp(sqlstate, rules[i].prefix, strlen(rules[i].prefix)) == 0)
            return rules[i].outcome;
    }
    return LEAT_NOT_UNDERSTOOD;
}
