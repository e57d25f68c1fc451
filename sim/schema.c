/*
 * schema.c - tables and routes, built with the production code from rules as a catalog read would
 * give them. They are few and fixed, and have every operation that folding treats in its own way.
 */
#include "schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HI_STEP = 100 }; /* of values below 1,000 */

typedef struct column_rule {
    const char *name;
    leat_type type;
    const char *default_text;
    leat_column_op op;
    bool is_key;
} column_rule;

static const column_rule columns[COLUMN_COUNT] = {
    [COLUMN_APP] = {"app", LEAT_TYPE_TEXT, NULL, LEAT_OP_SET, true},
    [COLUMN_ID] = {"id", LEAT_TYPE_INT8, NULL, LEAT_OP_SET, true},
    [COLUMN_N] = {"n", LEAT_TYPE_INT8, "5", LEAT_OP_ADD, false},
    [COLUMN_HI] = {"hi", LEAT_TYPE_INT8, NULL, LEAT_OP_MAX, false},
    [COLUMN_LIST] = {"list", LEAT_TYPE_JSONB, NULL, LEAT_OP_APPEND, false},
    [COLUMN_PROPS] = {"props", LEAT_TYPE_JSONB, "{\"a\":1}", LEAT_OP_MERGE, false},
    [COLUMN_NOTE] = {"note", LEAT_TYPE_TEXT, NULL, LEAT_OP_SET, false},
    [COLUMN_GUARD] = {"guard", LEAT_TYPE_TEXT, NULL, LEAT_OP_SET, false},
};

static const char *const table_names[SIM_TABLES] = {"subs", "ordered"};

static const struct {
    const char *name, *path;
    uint32_t table;
    bool patch_existing;
} routes[] = {
    {"subs", "/apps/{app}/subs/{id}", 0, false},
    {"existing", "/apps/{app}/existing/{id}", 0, true},
    {"ordered", "/apps/{app}/ordered/{id}", 1, false},
};

static void add_column(leat_table *table, const column_rule *rule)
{
    leat_column *column = &table->columns[table->column_count];
    *column = (leat_column){
        .type = rule->type, .type_modifier = -1, .key_position = -1, .by_bytes = true};
    snprintf(column->name, sizeof column->name, "%s", rule->name);
    snprintf(column->type_name, sizeof column->type_name, "%s", leat_type_name(rule->type));
    snprintf(column->cast_name, sizeof column->cast_name, "%s", leat_type_name(rule->type));
    column->default_expression = rule->default_text ? leat_must_strdup(rule->default_text) : NULL;
    if (rule->is_key) {
        column->not_null = true;
        column->key_position = (int8_t)table->key_count;
        table->key_columns[table->key_count++] = table->column_count;
    }
    table->column_count++;
}

static void make_table(leat_table *table, uint32_t at)
{
    *table = (leat_table){.schema = "public"};
    snprintf(table->name, sizeof table->name, "%s", table_names[at]);
    snprintf(table->label, sizeof table->label, "%s", table_names[at]);
    table->is_ordered = at == 1;
    table->deletes_matter = at == 1;
    for (uint32_t i = 0; i < COLUMN_COUNT; i++)
        add_column(table, &columns[i]);
}

static leat_table *make_tables(void)
{
    leat_table *tables = leat_must_calloc(SIM_TABLES, sizeof *tables);
    for (uint32_t i = 0; i < SIM_TABLES; i++)
        make_table(&tables[i], i);
    return tables;
}

/* Only where nothing is refused for good may a route wait for it. */
static leat_on_refused on_refused_of(const sim_options *options, uint32_t route)
{
    int64_t digits = options->values[OPT_ON_REFUSED];
    bool all_heals = options->values[OPT_POISON_HEALS] && options->values[OPT_FOREIGN] == 0;
    for (uint32_t i = 0; i < route; i++)
        digits /= LEAT_ON_REFUSED_COUNT;
    leat_on_refused drawn = (leat_on_refused)(digits % LEAT_ON_REFUSED_COUNT);
    return drawn == LEAT_ON_REFUSED_STOP && !all_heals ? LEAT_ON_REFUSED_HOLD : drawn;
}

static void make_routes(leat_schema_version *version, const sim_options *options)
{
    leat_error error;
    for (uint32_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        leat_route_spec spec = {.name = routes[i].name,
                                .path = routes[i].path,
                                .tenant = "app",
                                .patch_existing = routes[i].patch_existing,
                                .on_refused = on_refused_of(options, i)};
        leat_route *route = &version->routes.routes[version->routes.count++];
        route->index = i;
        LEAT_ASSERT(leat_route_build(&spec, &version->tables[routes[i].table], routes[i].table,
                                     route, &error) == 0);
        if (routes[i].table == 1 && options->values[OPT_MODE] > 0)
            route->mode = LEAT_MODE_LIVE;
        for (uint32_t column = 0; column < COLUMN_COUNT; column++)
            route->ops[column] = columns[column].op;
        route->steps[COLUMN_HI] = (leat_step){.is_set = true, .integer = HI_STEP};
    }
    LEAT_ASSERT(leat_routes_check(&version->routes, &error) == 0);
}

static void ask_nobody(void *context)
{
    (void)context; /* no table is altered here */
}

static leat_placement placement_of(const sim_options *options)
{
    uint32_t count = (uint32_t)options->values[OPT_SUBPARTITIONS];
    uint32_t window = (uint32_t)options->values[OPT_WINDOW], most = count / LEAT_TENANT_WINDOW_PART;
    window = window < most ? window : most;
    return window > 0
               ? (leat_placement){2, count, window, 0} /* of the app */
               : (leat_placement){.version = 1, .subpartitions = count, .tenant_position = -1};
}

static void make_catalog(sim_schema *schema, const sim_options *options)
{
    static const char *const names[SIM_SHARDS_MAX] = {"a", "b", "c", "d"};
    leat_catalog *catalog = &schema->catalog;
    catalog->source = (leat_source){.id = 1,
                                    .log_identity = "sim",
                                    .topic = "writes",
                                    .topic_id = "one",
                                    .hash = "xxh3-64",
                                    .placement = placement_of(options)};
    leat_layout_even(&catalog->layout, (uint32_t)options->values[OPT_PARTITIONS],
                     (uint32_t)options->values[OPT_SHARDS], names);
    catalog->table_count = SIM_TABLES;
    catalog->tables = make_tables();
}

void sim_schema_begin(sim_schema *schema, const sim_options *options)
{
    *schema = (sim_schema){.apps = (uint32_t)options->values[OPT_APPS],
                           .ids = (uint32_t)options->values[OPT_IDS]};
    schema->row_count = SIM_TABLES * schema->apps * schema->ids;
    make_catalog(schema, options);
    uint32_t shards = schema->catalog.layout.shard_count;
    schema->schema_versions = leat_schema_versions_new(shards, ask_nobody, NULL);
    schema->controls = leat_controls_new(shards);
    for (uint32_t shard = 0; shard < shards; shard++) {
        leat_schema_version *version = leat_schema_version_new();
        version->table_count = SIM_TABLES;
        version->tables = make_tables();
        make_routes(version, options);
        leat_schema_versions_publish(schema->schema_versions, shard, version, 1);
    }
    for (uint32_t i = 0; i < COLUMN_COUNT; i++)
        schema->defaults[i] = columns[i].default_text;
}

void sim_schema_end(sim_schema *schema)
{
    leat_schema_versions_free(schema->schema_versions);
    leat_controls_free(schema->controls);
    leat_catalog_fini(&schema->catalog);
}

const leat_routes *sim_schema_routes(const sim_schema *schema)
{
    return &leat_schema_versions_newest(schema->schema_versions, 0)->routes;
}

int32_t sim_schema_row(const sim_schema *schema, uint32_t table, leat_slice app, int64_t id)
{
    char text[16];
    for (uint32_t i = 0; i < schema->apps; i++) {
        snprintf(text, sizeof text, "a%u", i);
        if (leat_slice_is(app, text) && id >= 0 && id < (int64_t)schema->ids && table < SIM_TABLES)
            return (int32_t)((table * schema->apps + i) * schema->ids + (uint32_t)id);
    }
    return -1;
}

uint32_t sim_schema_app(const sim_schema *schema, uint32_t row)
{
    LEAT_ASSERT(row < schema->row_count);
    return row % (schema->apps * schema->ids) / schema->ids;
}

const char *sim_schema_table(const sim_schema *schema, uint32_t row)
{
    LEAT_ASSERT(row < schema->row_count);
    return table_names[row / (schema->apps * schema->ids)];
}

void sim_schema_name_row(const sim_schema *schema, uint32_t row, char *ret, size_t size)
{
    snprintf(ret, size, "%s(a%u, %u)", sim_schema_table(schema, row), sim_schema_app(schema, row),
             row % schema->ids);
}
