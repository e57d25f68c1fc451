/*
 * rules.h - the rules about several settings at once, after each is right on its own: unique names,
 * enough connections, a tenant if there are several shards.
 */
#ifndef LEAT_CONFIG_RULES_H
#define LEAT_CONFIG_RULES_H

#include "config/config.h"
#include "config/tree.h"

/* Also gives a route without a name that of its table. `root` is the file's tree, for the lines. */
int leat_rules_check(const leat_node *root, leat_config *config, leat_error *error) LEAT_MUST_CHECK;

#endif
