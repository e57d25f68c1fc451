/*
 * schema.h - the tables of the simulated databases, and the routes that write them.
 *
 *   subs     key (app, id). n: add, default 5; hi: max with a step; list: append; props: merge;
 * note, guard: set ordered  the same, written record by record (a further unique constraint), and
 * its deletes matter
 *
 * Routes: subs, existing (the same table; PATCHes of missing rows are dropped), ordered. `guard` of
 * a poisoned record has the SQLSTATE it is refused with.
 */
#ifndef SIM_SCHEMA_H
#define SIM_SCHEMA_H

#include "options.h"
#include "record/controls.h"
#include "record/schema_versions.h"
#include "record/catalog.h"

enum { SIM_TABLES = 2, SIM_SHARDS_MAX = 4, SIM_PARTITIONS_MAX = 8, SIM_APPS_MAX = 8 };

enum {
    COLUMN_APP,
    COLUMN_ID,
    COLUMN_N,
    COLUMN_HI,
    COLUMN_LIST,
    COLUMN_PROPS,
    COLUMN_NOTE,
    COLUMN_GUARD,
    COLUMN_COUNT
};

/* What an operator has said of a tenant or a row, for a time of the world's clock. */
enum { SIM_ROW_CONTROLS = 4 };

typedef struct sim_control {
    int64_t until_us;
    bool holds; /* else its records are skipped */
    uint32_t row;
} sim_control;

typedef struct sim_schema {
    uint32_t apps, ids;
    uint32_t row_count; /* rows there can be: SIM_TABLES * apps * ids */
    leat_catalog catalog;
    leat_schema_versions *schema_versions;
    leat_controls *controls;
    sim_control tenant_controls[SIM_APPS_MAX];
    sim_control row_controls[SIM_ROW_CONTROLS];
    const char *defaults[COLUMN_COUNT]; /* as row_model.h has them */
} sim_schema;

void sim_schema_begin(sim_schema *schema, const sim_options *options);
void sim_schema_end(sim_schema *schema);
const leat_routes *sim_schema_routes(const sim_schema *schema);
/* Index of a row in [0, row_count), -1: there can be no such row. */
int32_t sim_schema_row(const sim_schema *schema, uint32_t table, leat_slice app, int64_t id);
/* Its tenant; the label of its table. */
uint32_t sim_schema_app(const sim_schema *schema, uint32_t row);
const char *sim_schema_table(const sim_schema *schema, uint32_t row);
void sim_schema_name_row(const sim_schema *schema, uint32_t row, char *ret, size_t size);

#endif
