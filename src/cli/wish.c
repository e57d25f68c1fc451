/* wish.c - the options of a command as a wish, and its configuration. */
#include "cli/wish.h"

leat_wish leat_wish_of(const leat_options *options)
{
    return (leat_wish){.dashes = "--",
                       .tenant = options->tenant,
                       .key = options->key,
                       .table = options->table,
                       .route = options->route,
                       .duration = options->duration,
                       .keep = options->keep,
                       .reason = options->reason,
                       .hold = options->hold};
}

int leat_wish_load(const leat_options *options, leat_assembly *ret, leat_error *error)
{
    if (leat_config_load(options->config_file, &ret->config, error) != 0)
        return -1;
    return leat_assembly_check_addresses(&ret->config, error);
}
