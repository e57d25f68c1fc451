/*
 * tenant_file.h - the map of tenants to shards as a configuration gives it (tenants.map), and
 * whether it is what the shards were set up with. Every function returns 0, or -1 with a message.
 */
#ifndef LEAT_DAEMON_TENANT_FILE_H
#define LEAT_DAEMON_TENANT_FILE_H

#include "daemon/assemble.h"

/* Reads the configured file: lines "tenant,shard", the tenant as it is in a path, percent-encoded
 * where necessary. Empty lines and those that begin with '#' are passed over, and so is a first
 * line "tenant,shard"; so is a mark U+FEFF before it. A tenant takes the form that it has in the
 * keys of the routes, which must be the same one in all of them. `ret`: NULL when there is no such
 * setting, else the caller's to free. */
int leat_assembly_read_tenant_file(const leat_assembly *assembly, const leat_routes *routes,
                                   leat_tenant_map **ret, leat_error *error) LEAT_MUST_CHECK;
/* Is the configured map the stored one (NULL: there is none)? 0 also where none is configured. The
 * message names a tenant that differs, and how. */
int leat_assembly_check_tenants(const leat_assembly *assembly, const leat_tenant_map *stored,
                                const leat_tenant_map *configured,
                                leat_error *error) LEAT_MUST_CHECK;

#endif
