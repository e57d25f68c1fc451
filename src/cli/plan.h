/* plan.h - what leat plan prints. */
#ifndef LEAT_CLI_PLAN_H
#define LEAT_CLI_PLAN_H

#include "cli/commands.h"
#include "plan/plan.h"

void leat_plan_print(const leat_plan_input *input, const leat_plan *plan);
void leat_plan_print_json(const leat_plan_input *input, const leat_plan *plan);
/* leat plan --measure: the cost, as measured in a shard of the configuration, and its number of
 * shards. Returns an exit code, LEAT_EXIT_OK or that of the error in `error`. */
int leat_plan_measure(const leat_options *options, leat_plan_input *ret, leat_error *error);
/* What is short, and what would help, in one sentence. */
void leat_plan_print_shortage(const leat_plan_input *input, const leat_plan *plan, leat_error *ret);

#endif
