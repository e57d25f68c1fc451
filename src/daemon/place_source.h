/*
 * place_source.h - the placement of a source (base/placement.h): what a new source gets, and
 * whether the configuration goes with what is stored. Every function returns 0, or -1 with a
 * message that names setting and line.
 */
#ifndef LEAT_DAEMON_PLACE_SOURCE_H
#define LEAT_DAEMON_PLACE_SOURCE_H

#include "daemon/assemble.h"

/* Sets source->placement: as a shard has it stored, where the settings and routes must go with it;
 * of a source that no shard knows yet, as the settings and routes want it. Asks every shard. */
int leat_assembly_place_source(const leat_assembly *assembly, const leat_routes *routes,
                               leat_source *source, leat_error *error) LEAT_MUST_CHECK;
/* Do the settings go with the stored placement? */
int leat_assembly_check_placement(const leat_assembly *assembly, const leat_placement *stored,
                                  leat_error *error) LEAT_MUST_CHECK;
/* Does the route's tenant stand where the stored placement has it? */
int leat_assembly_check_tenant(const leat_assembly *assembly, const leat_placement *stored,
                               const leat_route *route, leat_error *error) LEAT_MUST_CHECK;
/* "256 subpartitions, of which each tenant has 8 (part 1 of the key)": returns `ret`. */
const char *leat_placement_describe(const leat_placement *placement, char ret[128]);

#endif
