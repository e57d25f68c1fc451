/*
 * rules.h - what settings must say together, after each of them is right on its own: unique names,
 * enough connections, a tenant where there are several shards.
 */
#ifndef LEAT_CONFIG_RULES_H
#define LEAT_CONFIG_RULES_H

#include "config/config.h"
#include "config/tree.h"

/* Also gives routes without a name that of their table. The tree gives the lines. */
int leat_rules_check(const leat_node *root, leat_config *config, leat_error *error) LEAT_MUST_CHECK;

#endif
