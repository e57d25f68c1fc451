/* plan.h - what leat plan prints. */
#ifndef LEAT_CLI_PLAN_H
#define LEAT_CLI_PLAN_H

#include "plan/plan.h"

void leat_plan_print(const leat_plan_input *input, const leat_plan *plan);
void leat_plan_print_json(const leat_plan_input *input, const leat_plan *plan);
/* What is short, and what would help, in one sentence. */
void leat_plan_print_shortage(const leat_plan_input *input, const leat_plan *plan, leat_error *ret);

#endif
