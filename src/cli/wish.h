/* wish.h - what the commands about tenants and rows begin with: their options as a wish
 * (daemon/ground.h), and the configuration. They need neither the log nor data_dir, which may
 * belong to another user. */
#ifndef LEAT_CLI_WISH_H
#define LEAT_CLI_WISH_H

#include "cli/commands.h"
#include "daemon/ground.h"

/* Borrows the options' texts. */
leat_wish leat_wish_of(const leat_options *options);
/* Reads the configuration and asks nobody. 0, or -1 with a message. leat_assembly_fini works after
 * either. */
int leat_wish_load(const leat_options *options, leat_assembly *ret,
                   leat_error *error) LEAT_MUST_CHECK;

#endif
