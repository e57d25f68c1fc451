/* check_tables.c - tables: the oracle. Records one by one, in the order of the log, to rows, as
 * plainly as possible; and between those of its row each write that is in no log, after as many of
 * them as were applied before it. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "world.h"

typedef struct judge {
    sim_world *world;
    const sim_state *state;
    leat_body_parser *parser;
    leat_body body;
    model_row *rows;
    uint32_t *applied; /* by row: records of the log */
    bool *is_done;     /* of the writes that are in no log */
} judge;

static void apply(judge *oracle, const leat_record *record, uint32_t row)
{
    const leat_routes *routes = sim_schema_routes(&oracle->world->schema);
    leat_item item = {.record = *record};
    leat_body_error error;
    LEAT_ASSERT(leat_item_decode(routes, &oracle->world->schema.catalog.source.placement, &item) ==
                    0 &&
                item.route);
    leat_body_parser_reset(oracle->parser);
    if (item.op != LEAT_DELETE &&
        leat_body_parse(oracle->parser, item.route, item.op, record->value, item.key, &oracle->body,
                        &error) != LEAT_BODY_OK)
        sim_fail(oracle->world, "tables",
                 "partition %u offset %lld is applied, and makes no sense: %s", record->partition,
                 (long long)record->offset, error.message);
    row_model_apply(&oracle->rows[row], item.route, oracle->world->schema.defaults, item.op,
                    &oracle->body);
    leat_item_clear(&item);
}

/* Those that were before the next record of their row; `at_end`: all that are left. */
static void apply_direct(judge *oracle, uint32_t row, bool at_end)
{
    for (uint32_t i = 0; i < oracle->state->direct_count; i++) {
        const sim_direct_write *write = &oracle->state->direct[i];
        bool is_due = write->row == row && write->position <= oracle->applied[row];
        if (oracle->is_done[i] || !(is_due || at_end))
            continue;
        oracle->is_done[i] = true;
        apply(oracle, write->record, write->row);
    }
}

static void apply_all(judge *oracle, uint32_t shard)
{
    for (uint32_t p = 0; p < oracle->world->broker.partition_count; p++) {
        const sim_partition *partition = &oracle->world->broker.partitions[p];
        if (sim_world_shard_of(oracle->world, p) != shard)
            continue;
        for (uint32_t i = 0; i < partition->count; i++) {
            const sim_record *record = partition->records[i];
            if (sim_state_fate(oracle->state, record) != FATE_APPLIED || record->row < 0)
                continue;
            apply_direct(oracle, (uint32_t)record->row, false);
            apply(oracle, &record->record, (uint32_t)record->row);
            oracle->applied[record->row]++;
        }
    }
    apply_direct(oracle, 0, true);
}

static const char *shown(const model_row *row, int column)
{
    if (column == LEAT_COLUMNS_MAX)
        return row->exists ? "there" : "not there";
    return row->values[column] ? row->values[column] : "NULL";
}

/* A column with a step may be behind by less than the step. Every route has the same steps. */
static void forgive_step(const judge *oracle, model_row *wanted, const model_row *found)
{
    const leat_route *route = &sim_schema_routes(&oracle->world->schema)->routes[0];
    if (!route->steps[COLUMN_HI].is_set || !wanted->values[COLUMN_HI] ||
        !row_model_within_step(route, COLUMN_HI, wanted->values[COLUMN_HI],
                               found->values[COLUMN_HI]))
        return;
    free(wanted->values[COLUMN_HI]);
    wanted->values[COLUMN_HI] = strdup(found->values[COLUMN_HI]);
    LEAT_ASSERT(wanted->values[COLUMN_HI]);
}

static void compare(const judge *oracle, uint32_t at)
{
    model_row *wanted = &oracle->rows[at];
    const model_row *found = &oracle->state->rows[at];
    forgive_step(oracle, wanted, found);
    int column = model_row_difference(wanted, found);
    if (column < 0)
        return;
    char name[64];
    sim_schema_name_row(&oracle->world->schema, at, name, sizeof name);
    sim_fail(oracle->world, "tables", "%s column %d is %s, and one by one it would be %s", name,
             column, shown(found, column), shown(wanted, column));
}

void sim_check_tables(sim_world *world, uint32_t shard)
{
    judge oracle = {.world = world,
                    .state = sim_server_view_of(world->shards[shard].primary).state};
    oracle.parser = leat_body_parser_new();
    oracle.rows = leat_must_calloc(oracle.state->row_count, sizeof *oracle.rows);
    oracle.applied = leat_must_calloc(oracle.state->row_count, sizeof *oracle.applied);
    oracle.is_done = leat_must_calloc(oracle.state->direct_count + 1, sizeof *oracle.is_done);
    apply_all(&oracle, shard);
    for (uint32_t i = 0; i < oracle.state->row_count; i++)
        compare(&oracle, i);
    for (uint32_t i = 0; i < oracle.state->row_count; i++)
        model_row_clear(&oracle.rows[i]);
    free(oracle.rows);
    free(oracle.applied);
    free(oracle.is_done);
    leat_body_parser_free(oracle.parser);
}
