/*
 * ground.h - what a command about tenants and keys stands on: the configuration, and what any shard
 * that answers can say: source, layout, and the routes over its tables. It needs neither the log
 * nor data_dir, which may belong to another user.
 */
#ifndef LEAT_CLI_GROUND_H
#define LEAT_CLI_GROUND_H

#include "cli/commands.h"
#include "daemon/assemble.h"

typedef struct leat_ground {
    leat_assembly assembly; /* its configuration only */
    leat_source source;     /* with the rest after leat_ground_read */
    leat_layout layout;
    leat_tenant_map *tenants;     /* which it borrows */
    leat_schema_version *version; /* of the first shard that answered */
} leat_ground;

/* Reads the configuration and asks nobody. 0, or -1 with a message, as the next one.
 * leat_ground_free works after either. */
int leat_ground_load(leat_ground *on, const leat_options *options,
                     leat_error *error) LEAT_MUST_CHECK;
int leat_ground_read(leat_ground *on, leat_error *error) LEAT_MUST_CHECK;
void leat_ground_free(leat_ground *on);

/* The route that --route or --table names, or the only table's. NULL, and a message: there is none.
 */
const leat_route *leat_ground_find_route(const leat_ground *on, const leat_options *options,
                                         leat_error *error);

#endif
