/*
 * params.h - the parameters of a row statement read as PostgreSQL would read them: binary arrays,
 * unnested side by side (src/sink/pg/statement.h).
 */
#ifndef SIM_PARAMS_H
#define SIM_PARAMS_H

#include "server.h"
#include "sink/pg/rows.h"

/* Fills a CMD_ROWS command, which owns copies of all. Asserts that the parameters make sense. */
void sim_params_read(const sim_schema *schema, const leat_row_statement *statement,
                     sim_command *ret);
void sim_params_free(sim_command *command);

#endif
