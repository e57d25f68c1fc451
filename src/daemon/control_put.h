/*
 * control_put.h - puts controls of a tenant or a row in effect and ends them, for `leat control`
 * and for the same on the admin listener. What cannot be understood changes nothing. Blocking; one
 * thread.
 */
#ifndef LEAT_DAEMON_CONTROL_PUT_H
#define LEAT_DAEMON_CONTROL_PUT_H

#include "daemon/ground.h"

/* Functions return 0, or -1 with a message that has the names of `wish` with its dashes. */

/* Does it name one tenant or one row? Asks nobody. */
int leat_control_check(const leat_wish *wish, leat_error *error) LEAT_MUST_CHECK;
/* What a new control wants, without what it is about; borrows. Asks nobody. */
int leat_control_read_wish(const leat_wish *wish, leat_control_wish *ret,
                           leat_error *error) LEAT_MUST_CHECK;

/* The next two return 1 instead of -1 when it is the wish that cannot be done, and not the shard
 * that could not do it. */

/* A row comes under its own control before that of its tenant. So where the tenant has one that
 * does the other thing, of skip and hold, a row of it gets none. Who blocks the tenant in the same
 * moment may not be seen. */

/* Puts one in effect in its shard, in place of one of the same tenant or row. `ret_said` gets a
 * sentence of what was done. `on` has been read. */
int leat_control_block(const leat_ground *on, const leat_wish *wish, leat_buf *ret_said,
                       leat_error *error) LEAT_MUST_CHECK;
/* Ends one; that there was none is an error. A row's own control ends alone: the sentence says it
 * where the row still comes under its tenant's. */
int leat_control_unblock(const leat_ground *on, const leat_wish *wish, leat_buf *ret_said,
                         leat_error *error) LEAT_MUST_CHECK;
/* The controls in one shard, to be dropped. `on` needs its assembly only. */
int leat_control_read(const leat_assembly *assembly, const leat_config_shard *shard,
                      leat_control_set **ret, leat_error *error) LEAT_MUST_CHECK;

#endif
