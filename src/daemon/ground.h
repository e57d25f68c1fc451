/*
 * ground.h - what a command or an action about tenants and keys stands on: the configuration, and
 * what any shard that answers can say: source, layout, and the routes over its tables. It needs
 * neither the log nor data_dir, which may belong to another user.
 */
#ifndef LEAT_DAEMON_GROUND_H
#define LEAT_DAEMON_GROUND_H

#include "daemon/assemble.h"

typedef struct leat_ground {
    const leat_assembly *assembly; /* its configuration only; borrowed */
    leat_source source;            /* this and the rest after leat_ground_read */
    leat_layout layout;
    leat_tenant_map *tenants;     /* which it borrows */
    leat_schema_version *version; /* of the first shard that answered */
} leat_ground;

/* How a person names things. */
typedef struct leat_wish {
    const char *dashes; /* before the names of these in messages: "--", or "" */
    const char *tenant, *key, *table, *route; /* as in the path of a request; NULL: not given */
    const char *duration;                     /* "for" */
    const char *keep;
    const char *reason;
    bool hold;
} leat_wish;

/* Reads the rest from the first shard that answers; `assembly` is set. Blocking. 0, or -1 with a
 * message. leat_ground_free works after either. */
int leat_ground_read(leat_ground *on, leat_error *error) LEAT_MUST_CHECK;
void leat_ground_free(leat_ground *on);

/* The route that `route` or `table` names, or the only table's. NULL, and a message: there is none.
 */
const leat_route *leat_ground_find_route(const leat_ground *on, const leat_wish *wish,
                                         leat_error *error);

#endif
