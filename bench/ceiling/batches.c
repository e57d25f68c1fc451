/* The batches, as leat would build them, kept in memory: building them is not what is measured. */
#include "ceiling/ceiling.h"

#include <stdlib.h>
#include <string.h>

#include "record/item.h"

static void make_route(ceiling *c)
{
    leat_error error;
    if (leat_catalog_load(&c->catalog, c->load.catalog, &error) != 0)
        ceiling_die("catalog", error.text);
    const load_profile *profile = c->load.profile;
    int table = leat_catalog_table(&c->catalog, profile->table);
    if (table < 0)
        ceiling_die("catalog has no table", profile->table);
    leat_route_spec spec = {.path = profile->path,
                            .tenant = profile->tenant,
                            .column_count = 1,
                            .column_names = (const char *const[]){"session_count"},
                            .column_ops = (const leat_column_op[]){LEAT_OP_ADD}};
    c->routes = leat_must_calloc(1, sizeof *c->routes);
    c->routes->count = 1;
    if (leat_route_build(&spec, &c->catalog.tables[table], (uint32_t)table, &c->routes->routes[0],
                         &error) != 0)
        ceiling_die("route", error.text);
}

static void make_item(ceiling *c, const load_write *write, leat_item *item)
{
    leat_key *key = leat_must_calloc(1, sizeof *key);
    const leat_route *route;
    char field[LEAT_NAME_MAX + 1];
    leat_error error;
    if (leat_routes_match(c->routes, (leat_slice){write->path.data, write->path.size}, &route, key,
                          field, &error) != LEAT_MATCH_OK)
        ceiling_die("key", error.text);
    char *text = leat_must_calloc(1, key->canonical_size + write->body.size);
    memcpy(text, key->canonical, key->canonical_size);
    memcpy(text + key->canonical_size, write->body.data, write->body.size);
    item->record = (leat_record){.key = {text, key->canonical_size},
                                 .value = {text + key->canonical_size, write->body.size},
                                 .op = LEAT_SLICE("patch")};
    const leat_placement placement = {.version = 1, .subpartitions = 64, .tenant_position = -1};
    if (leat_item_decode(c->routes, &placement, item) != 0 || item->fault)
        ceiling_die("record", item->fault ? item->fault : "out of memory");
    free(key);
}

static void drop_item(leat_item *item)
{
    free((void *)(uintptr_t)item->record.key.data);
    leat_item_clear(item);
}

static void freeze_statement(ceiling *c, leat_rows *rows, uint32_t at, frozen_statement *ret)
{
    leat_shape shape;
    leat_row_statement statement;
    ret->shape = leat_shapes_find(c->shapes, leat_rows_shape(rows, at), &shape);
    if (ret->shape < 0 || leat_rows_statement(rows, at, shape, &statement) != 0)
        ceiling_die("statement", "out of memory");
    size_t size = 0;
    for (uint32_t i = 0; i < statement.param_count; i++)
        size += (size_t)statement.sizes[i];
    ret->count = (int)statement.param_count;
    ret->memory = leat_must_calloc(1, size);
    size_t used = 0;
    for (uint32_t i = 0; i < statement.param_count; i++) {
        memcpy(ret->memory + used, statement.values[i], (size_t)statement.sizes[i]);
        ret->values[i] = ret->memory + used;
        ret->sizes[i] = statement.sizes[i];
        used += (size_t)statement.sizes[i];
    }
}

/* The next write to a key of connection `owner`: as in leat, no key is written over two connections
 * at a time. */
static void next_item(ceiling *c, workload *load, uint32_t owner, leat_item *ret_item)
{
    for (;;) {
        load_write write = {0};
        workload_next(load, &write);
        make_item(c, &write, ret_item);
        leat_buf_free(&write.path);
        leat_buf_free(&write.body);
        if (ret_item->hash % c->connections == owner)
            return;
        drop_item(ret_item);
    }
}

static void freeze_batch(ceiling *c, workload *load, leat_rows *rows, uint32_t owner,
                         frozen_batch *ret)
{
    leat_item *items = leat_must_calloc(c->batch, sizeof *items);
    leat_engine_batch_record *records = leat_must_calloc(c->batch, sizeof *records);
    for (uint32_t i = 0; i < c->batch; i++) {
        next_item(c, load, owner, &items[i]);
        records[i] = (leat_engine_batch_record){.payload = &items[i], .offset = i};
    }
    leat_engine_batch batch = {.record_count = c->batch, .records = records};
    leat_rows_fault fault;
    if (leat_rows_build(rows, &batch, c->routes, &fault) != 0)
        ceiling_die("batch", fault.error.text);
    ret->count = leat_rows_statement_count(rows);
    if (ret->count > STATEMENTS_MAX)
        ceiling_die("batch", "a key is in it too often: use more --keys");
    for (uint32_t i = 0; i < ret->count; i++)
        freeze_statement(c, rows, i, &ret->statements[i]);
    if (c->form_count > 1 && (ret->count > 1 || ret->statements[0].shape > 0))
        ceiling_die("batch", "other statements can be compared only where leat has one");
    for (uint32_t i = 0; i < c->batch; i++)
        drop_item(&items[i]);
    free(items);
    free(records);
}

void ceiling_freeze(ceiling *c)
{
    workload load;
    make_route(c);
    workload_init(&load, &c->load);
    leat_rows *rows = leat_rows_new();
    c->shapes = leat_shapes_new();
    c->frozen = leat_must_calloc(c->batches, sizeof *c->frozen);
    for (uint32_t i = 0; i < c->batches; i++)
        freeze_batch(c, &load, rows, i % c->connections, &c->frozen[i]);
    leat_rows_free(rows);
}
