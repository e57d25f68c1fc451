/*
 * The catalog as JSON. Each step returns whether it worked; false always means out of memory.
 * yyjson borrows the texts, so the catalog must outlive the document. A member that is added here
 * must be read in catalog_read.c, and LEAT_CATALOG_VERSION goes up if a file without it is of no
 * use.
 */
#include "record/catalog_json.h"

#include <yyjson.h>

typedef yyjson_mut_doc doc;
typedef yyjson_mut_val val;

static bool add_placement(doc *json, val *object, const leat_placement *placement)
{
    return yyjson_mut_obj_add_uint(json, object, "placement", placement->version) &&
           yyjson_mut_obj_add_uint(json, object, "subpartitions", placement->subpartitions) &&
           yyjson_mut_obj_add_uint(json, object, "tenant_window", placement->tenant_window) &&
           yyjson_mut_obj_add_int(json, object, "tenant_position", placement->tenant_position);
}

static bool add_source(doc *json, val *root, const leat_source *source)
{
    val *object = yyjson_mut_obj_add_obj(json, root, "source");
    return object && yyjson_mut_obj_add_int(json, object, "id", source->id) &&
           yyjson_mut_obj_add_str(json, object, "log_identity", source->log_identity) &&
           yyjson_mut_obj_add_str(json, object, "topic", source->topic) &&
           yyjson_mut_obj_add_str(json, object, "topic_id", source->topic_id) &&
           yyjson_mut_obj_add_str(json, object, "hash", source->hash) &&
           add_placement(json, object, &source->placement);
}

static bool add_shards(doc *json, val *object, const leat_layout *layout)
{
    val *shards = yyjson_mut_obj_add_arr(json, object, "shards");
    bool fine = shards != NULL;
    for (uint32_t i = 0; fine && i < layout->shard_count; i++) {
        val *shard = yyjson_mut_arr_add_obj(json, shards);
        fine = shard && yyjson_mut_obj_add_str(json, shard, "name", layout->shards[i].name) &&
               yyjson_mut_obj_add_uint(json, shard, "first_partition", layout->shards[i].first) &&
               yyjson_mut_obj_add_uint(json, shard, "partitions", layout->shards[i].count);
    }
    return fine;
}

/* As runs, [slots, shard]: there are 4096 slots, and nearly all have the same shard as their
 * neighbour. */
static bool add_slots(doc *json, val *object, const leat_layout *layout)
{
    val *runs = yyjson_mut_obj_add_arr(json, object, "tenant_slots");
    bool fine = runs != NULL;
    for (uint32_t at = 0, size; fine && at < LEAT_TENANT_SLOTS; at += size) {
        size = 1;
        while (at + size < LEAT_TENANT_SLOTS &&
               layout->tenant_slots[at + size] == layout->tenant_slots[at])
            size++;
        val *run = yyjson_mut_arr_add_arr(json, runs);
        fine = run && yyjson_mut_arr_add_uint(json, run, size) &&
               yyjson_mut_arr_add_uint(json, run, layout->tenant_slots[at]);
    }
    return fine;
}

/* By shard: [["tenant", ...], ...]; of none: nothing. */
static bool add_tenants(doc *json, val *object, const leat_layout *layout)
{
    if (layout->tenant_count == 0)
        return true;
    LEAT_ASSERT(layout->tenants);
    val *lists = yyjson_mut_obj_add_arr(json, object, "tenants"), *of[LEAT_SHARDS_MAX];
    bool fine = lists != NULL;
    for (uint32_t i = 0; fine && i < layout->shard_count; i++)
        fine = (of[i] = yyjson_mut_arr_add_arr(json, lists)) != NULL;
    for (uint32_t i = 0; fine && i < leat_tenant_map_count(layout->tenants); i++) {
        uint32_t shard;
        leat_slice tenant = leat_tenant_map_at(layout->tenants, i, &shard);
        fine = yyjson_mut_arr_add_strncpy(json, of[shard], tenant.data, tenant.size);
    }
    return fine;
}

static bool add_layout(doc *json, val *root, const leat_layout *layout)
{
    val *object = yyjson_mut_obj_add_obj(json, root, "layout");
    return object && yyjson_mut_obj_add_uint(json, object, "partitions", layout->partition_count) &&
           add_shards(json, object, layout) && add_slots(json, object, layout) &&
           add_tenants(json, object, layout);
}

static bool add_column(doc *json, val *columns, const leat_column *column)
{
    val *object = yyjson_mut_arr_add_obj(json, columns);
    bool fine = object && yyjson_mut_obj_add_str(json, object, "name", column->name) &&
                yyjson_mut_obj_add_str(json, object, "type", leat_type_name(column->type)) &&
                yyjson_mut_obj_add_str(json, object, "type_name", column->type_name) &&
                yyjson_mut_obj_add_str(json, object, "cast_name", column->cast_name) &&
                yyjson_mut_obj_add_uint(json, object, "type_oid", column->type_oid) &&
                yyjson_mut_obj_add_int(json, object, "type_modifier", column->type_modifier) &&
                yyjson_mut_obj_add_bool(json, object, "not_null", column->not_null) &&
                yyjson_mut_obj_add_bool(json, object, "generated", column->generated) &&
                yyjson_mut_obj_add_bool(json, object, "is_array", column->is_array) &&
                yyjson_mut_obj_add_bool(json, object, "by_bytes", column->by_bytes);
    if (fine && column->default_expression)
        fine = yyjson_mut_obj_add_str(json, object, "default", column->default_expression);
    return fine;
}

static bool add_table(doc *json, val *tables, const leat_table *table)
{
    val *object = yyjson_mut_arr_add_obj(json, tables);
    bool fine = object && yyjson_mut_obj_add_str(json, object, "schema", table->schema) &&
                yyjson_mut_obj_add_str(json, object, "name", table->name) &&
                yyjson_mut_obj_add_str(json, object, "label", table->label) &&
                yyjson_mut_obj_add_bool(json, object, "is_ordered", table->is_ordered) &&
                yyjson_mut_obj_add_bool(json, object, "deletes_matter", table->deletes_matter);
    val *key = fine ? yyjson_mut_obj_add_arr(json, object, "primary_key") : NULL;
    fine = key != NULL;
    for (uint32_t i = 0; fine && i < table->key_count; i++)
        fine = yyjson_mut_arr_add_str(json, key, table->columns[table->key_columns[i]].name);
    val *columns = fine ? yyjson_mut_obj_add_arr(json, object, "columns") : NULL;
    fine = columns != NULL;
    for (uint32_t i = 0; fine && i < table->column_count; i++)
        fine = add_column(json, columns, &table->columns[i]);
    return fine;
}

static bool add_all(doc *json, const leat_catalog *catalog)
{
    val *root = yyjson_mut_obj(json);
    yyjson_mut_doc_set_root(json, root);
    bool fine = root && yyjson_mut_obj_add_uint(json, root, "version", LEAT_CATALOG_VERSION) &&
                add_source(json, root, &catalog->source) &&
                add_layout(json, root, &catalog->layout);
    val *tables = fine ? yyjson_mut_obj_add_arr(json, root, "tables") : NULL;
    fine = tables != NULL;
    for (uint32_t i = 0; fine && i < catalog->table_count; i++)
        fine = add_table(json, tables, &catalog->tables[i]);
    return fine;
}

char *leat_catalog_to_json(const leat_catalog *catalog, size_t *ret_size)
{
    doc *json = yyjson_mut_doc_new(NULL);
    char *text = NULL;
    if (json && add_all(json, catalog))
        text = yyjson_mut_write(json, YYJSON_WRITE_PRETTY_TWO_SPACES | YYJSON_WRITE_NEWLINE_AT_END,
                                ret_size);
    yyjson_mut_doc_free(json);
    return text;
}
