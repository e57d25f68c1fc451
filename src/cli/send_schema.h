/*
 * send_schema.h - the types of a route's columns, as the edge's /openapi.json has them. libcurl
 * must be initialized. The call waits for the edge, for a few seconds at most.
 */
#ifndef LEAT_CLI_SEND_SCHEMA_H
#define LEAT_CLI_SEND_SCHEMA_H

#include "cli/send_cell.h"
#include "cli/send_target.h"

typedef struct leat_send_schema leat_send_schema;

/* Of the route with this path; the caller frees it. NULL: it cannot be had. `target` need not be
 * initialized. */
leat_send_schema *leat_send_schema_get(const leat_send_target *target, const char *path);
void leat_send_schema_free(leat_send_schema *schema);
/* False: there is no such column. */
bool leat_send_schema_kind(const leat_send_schema *schema, const char *column, leat_send_kind *ret);

#endif
