/* rules_state.h - what the files of rules share: rules.c, and rules_shards.c with those of a shard.
 */
#ifndef LEAT_CONFIG_RULES_STATE_H
#define LEAT_CONFIG_RULES_STATE_H

#include "config/rules.h"

typedef struct rules_checker {
    const leat_node *root;
    leat_config *config;
    leat_error *error;
} rules_checker;

/* Of a list that has it. */
static inline const leat_node *rules_entry(const rules_checker *c, const char *list, uint32_t index)
{
    const leat_node *node = leat_node_get(c->root, list)->first;
    while (index-- > 0)
        node = node->next;
    return node;
}

/* -1: the message names the setting. */
int rules_check_shard(const rules_checker *c, uint32_t index);

#endif
