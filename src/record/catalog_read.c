/*
 * The catalog's JSON is read as a list of requirements: each names a member and its form. The first
 * one that fails is kept with its place, and the rest do nothing, so that a whole object is read
 * before its result is checked. Everything that other code relies on is checked here (sizes, keys,
 * a shard for each slot), because a file can be edited or damaged, and a wrong layout would send
 * records to the wrong partition.
 */
#include "record/catalog_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

typedef struct reader {
    char place[256]; /* "tables[0].columns[2]", for messages */
    leat_error *error;
    bool failed;
} reader;

static void fault(reader *in, const char *name, const char *problem)
{
    if (!in->failed)
        leat_fail(in->error, "damaged: %s%s%s %s", in->place, in->place[0] && name[0] ? "." : "",
                  name, problem);
    in->failed = true;
}

static yyjson_val *member(reader *in, yyjson_val *object, const char *name)
{
    yyjson_val *value = yyjson_obj_get(object, name);
    if (!value)
        fault(in, name, "is missing");
    return value;
}

static void read_string(reader *in, yyjson_val *object, const char *name, char *ret,
                        size_t capacity)
{
    yyjson_val *value = member(in, object, name);
    if (!yyjson_is_str(value) || yyjson_get_len(value) >= capacity ||
        strlen(yyjson_get_str(value)) != yyjson_get_len(value)) {
        fault(in, name, "is not a string, or too long");
        return;
    }
    memcpy(ret, yyjson_get_str(value), yyjson_get_len(value) + 1);
}

static int64_t read_integer(reader *in, yyjson_val *object, const char *name, int64_t min,
                            int64_t max)
{
    yyjson_val *value = member(in, object, name);
    bool fits = yyjson_is_int(value) &&
                !(yyjson_is_uint(value) && yyjson_get_uint(value) > INT64_MAX);
    int64_t number = fits ? yyjson_get_sint(value) : 0;
    if (!fits || number < min || number > max) {
        fault(in, name, "is not an integer in its range");
        return min;
    }
    return number;
}

static bool read_bool(reader *in, yyjson_val *object, const char *name)
{
    yyjson_val *value = member(in, object, name);
    if (!yyjson_is_bool(value))
        fault(in, name, "is not a boolean");
    return yyjson_get_bool(value);
}

/* The array, or NULL; its size is within the limits. */
static yyjson_val *read_array(reader *in, yyjson_val *object, const char *name, size_t min,
                              size_t max)
{
    yyjson_val *value = member(in, object, name);
    if (yyjson_is_arr(value) && yyjson_arr_size(value) >= min && yyjson_arr_size(value) <= max)
        return value;
    fault(in, name, "is not an array, or has too few or too many elements");
    return NULL;
}

static void read_placement(reader *in, yyjson_val *object, leat_placement *ret)
{
    const int64_t most = LEAT_SUBPARTITIONS_MAX;
    ret->version = (uint32_t)read_integer(in, object, "placement", 1, 2);
    ret->subpartitions = (uint32_t)read_integer(in, object, "subpartitions", 1, most);
    ret->tenant_window = (uint32_t)read_integer(in, object, "tenant_window", 0, most);
    ret->tenant_position =
        (int32_t)read_integer(in, object, "tenant_position", -1, LEAT_KEY_COLUMNS_MAX - 1);
    if (!in->failed && !leat_placement_is_valid(ret))
        fault(in, "tenant_window", "does not go with the placement beside it");
}

static void read_source(reader *in, yyjson_val *object, leat_source *ret)
{
    ret->id = (int32_t)read_integer(in, object, "id", INT32_MIN, INT32_MAX);
    read_string(in, object, "log_identity", ret->log_identity, sizeof ret->log_identity);
    read_string(in, object, "topic", ret->topic, sizeof ret->topic);
    read_string(in, object, "topic_id", ret->topic_id, sizeof ret->topic_id);
    read_string(in, object, "hash", ret->hash, sizeof ret->hash);
    read_placement(in, object, &ret->placement);
}

/* ---- Layout ---- */

/* Ranges may be in any order, but each partition must be in exactly one. */
static bool covers_partitions(const leat_layout *layout)
{
    uint64_t covered = 0;
    for (uint32_t i = 0; i < layout->shard_count; i++) {
        covered += layout->shards[i].count;
        for (uint32_t k = 0; k < i; k++) {
            uint64_t end = (uint64_t)layout->shards[i].first + layout->shards[i].count;
            uint64_t other_end = (uint64_t)layout->shards[k].first + layout->shards[k].count;
            if (layout->shards[i].first < other_end && layout->shards[k].first < end)
                return false;
        }
    }
    return covered == layout->partition_count;
}

static void read_shards(reader *in, yyjson_val *object, leat_layout *ret)
{
    yyjson_val *shards = read_array(in, object, "shards", 1, LEAT_SHARDS_MAX);
    size_t i, count;
    yyjson_val *shard;
    yyjson_arr_foreach(shards, i, count, shard)
    {
        snprintf(in->place, sizeof in->place, "layout.shards[%zu]", i);
        read_string(in, shard, "name", ret->shards[i].name, sizeof ret->shards[i].name);
        int64_t first = read_integer(in, shard, "first_partition", 0, ret->partition_count);
        ret->shards[i].first = (uint32_t)first;
        ret->shards[i].count =
            (uint32_t)read_integer(in, shard, "partitions", 1, ret->partition_count - first);
        ret->shard_count++;
    }
    snprintf(in->place, sizeof in->place, "layout");
    if (!in->failed && !covers_partitions(ret))
        fault(in, "shards", "do not have each partition exactly once");
}

/* The slot after the run. */
static uint32_t read_run(reader *in, yyjson_val *run, uint32_t at, leat_layout *ret)
{
    yyjson_val *size = yyjson_arr_get(run, 0);
    yyjson_val *shard = yyjson_arr_get(run, 1);
    bool fine = yyjson_is_uint(size) && yyjson_is_uint(shard) &&
                yyjson_get_uint(size) <= LEAT_TENANT_SLOTS - at &&
                yyjson_get_uint(shard) < ret->shard_count;
    if (!fine) {
        fault(in, "tenant_slots", "has a run that is not [slots, shard]");
        return at;
    }
    memset(ret->tenant_slots + at, (int)yyjson_get_uint(shard), yyjson_get_uint(size));
    return at + (uint32_t)yyjson_get_uint(size);
}

static void read_slots(reader *in, yyjson_val *object, leat_layout *ret)
{
    yyjson_val *runs = read_array(in, object, "tenant_slots", 1, LEAT_TENANT_SLOTS);
    uint32_t at = 0;
    size_t i, count;
    yyjson_val *run;
    yyjson_arr_foreach(runs, i, count, run) at = read_run(in, run, at, ret);
    if (at != LEAT_TENANT_SLOTS)
        fault(in, "tenant_slots", "are not all there");
}

static void read_tenants_of(reader *in, yyjson_val *list, uint32_t shard, leat_tenant_map *ret)
{
    size_t i, count;
    yyjson_val *tenant;
    leat_error error = {"is there twice"};
    yyjson_arr_foreach(list, i, count, tenant)
    {
        leat_slice text = {yyjson_get_str(tenant), yyjson_get_len(tenant)};
        if (text.size == 0 || leat_tenant_map_add(ret, text, shard, &error) != 0) {
            fault(in, "tenants", text.size == 0 ? "has one that is not a text" : error.text);
            return;
        }
    }
}

static void read_tenants(reader *in, yyjson_val *object, leat_catalog *ret)
{
    if (in->failed || !yyjson_obj_get(object, "tenants"))
        return;
    yyjson_val *lists =
        read_array(in, object, "tenants", ret->layout.shard_count, ret->layout.shard_count);
    ret->tenants = leat_tenant_map_new();
    size_t i, count;
    yyjson_val *list;
    yyjson_arr_foreach(lists, i, count, list) read_tenants_of(in, list, (uint32_t)i, ret->tenants);
    leat_layout_take_tenants(&ret->layout, ret->tenants);
}

static void read_layout(reader *in, yyjson_val *object, leat_layout *ret)
{
    ret->partition_count = (uint32_t)read_integer(in, object, "partitions", 1, INT32_MAX);
    read_shards(in, object, ret);
    read_slots(in, object, ret);
}

/* ---- Tables ---- */

static leat_type read_type(reader *in, yyjson_val *object)
{
    char name[32] = "";
    read_string(in, object, "type", name, sizeof name);
    leat_type type = leat_type_by_name(name);
    if (type == LEAT_TYPE_OTHER && strcmp(name, leat_type_name(LEAT_TYPE_OTHER)) != 0)
        fault(in, "type", "is not known");
    return type;
}

static void read_default(reader *in, yyjson_val *object, leat_column *ret)
{
    yyjson_val *text = yyjson_obj_get(object, "default");
    if (!text)
        return;
    ret->default_expression = yyjson_is_str(text) ? strdup(yyjson_get_str(text)) : NULL;
    if (!ret->default_expression)
        fault(in, "default", "is not a string");
}

static void read_column(reader *in, yyjson_val *object, leat_column *ret)
{
    read_string(in, object, "name", ret->name, sizeof ret->name);
    ret->type = read_type(in, object);
    read_string(in, object, "type_name", ret->type_name, sizeof ret->type_name);
    read_string(in, object, "cast_name", ret->cast_name, sizeof ret->cast_name);
    ret->type_oid = (uint32_t)read_integer(in, object, "type_oid", 0, UINT32_MAX);
    ret->type_modifier = (int32_t)read_integer(in, object, "type_modifier", INT32_MIN, INT32_MAX);
    ret->not_null = read_bool(in, object, "not_null");
    ret->generated = read_bool(in, object, "generated");
    ret->is_array = read_bool(in, object, "is_array");
    ret->by_bytes = read_bool(in, object, "by_bytes");
    ret->key_position = -1;
    read_default(in, object, ret);
}

static void read_key(reader *in, yyjson_val *object, leat_table *ret)
{
    yyjson_val *names = read_array(in, object, "primary_key", 0, LEAT_KEY_COLUMNS_MAX);
    size_t i, count;
    yyjson_val *name;
    yyjson_arr_foreach(names, i, count, name)
    {
        leat_slice text = {yyjson_get_str(name), yyjson_get_len(name)};
        int column = text.data ? leat_table_column(ret, text) : -1;
        if (column < 0 || ret->columns[column].key_position >= 0) {
            fault(in, "primary_key", "names something that is not a column, or one twice");
            return;
        }
        ret->columns[column].key_position = (int8_t)i;
        ret->key_columns[ret->key_count++] = (uint32_t)column;
    }
}

static void read_table(reader *in, size_t index, yyjson_val *object, leat_table *ret)
{
    snprintf(in->place, sizeof in->place, "tables[%zu]", index);
    read_string(in, object, "schema", ret->schema, sizeof ret->schema);
    read_string(in, object, "name", ret->name, sizeof ret->name);
    read_string(in, object, "label", ret->label, sizeof ret->label);
    ret->is_ordered = read_bool(in, object, "is_ordered");
    ret->deletes_matter = read_bool(in, object, "deletes_matter");
    yyjson_val *columns = read_array(in, object, "columns", 0, LEAT_COLUMNS_MAX);
    size_t i, count;
    yyjson_val *column;
    yyjson_arr_foreach(columns, i, count, column)
    {
        snprintf(in->place, sizeof in->place, "tables[%zu].columns[%zu]", index, i);
        read_column(in, column, &ret->columns[ret->column_count++]);
    }
    snprintf(in->place, sizeof in->place, "tables[%zu]", index);
    read_key(in, object, ret);
}

static void read_tables(reader *in, yyjson_val *root, leat_catalog *ret)
{
    yyjson_val *tables = read_array(in, root, "tables", 0, LEAT_ROUTES_MAX);
    size_t wanted = yyjson_arr_size(tables);
    ret->tables = wanted ? calloc(wanted, sizeof *ret->tables) : NULL;
    if (wanted && !ret->tables) {
        leat_fail(in->error, "out of memory");
        in->failed = true;
        return;
    }
    size_t i, count;
    yyjson_val *table;
    yyjson_arr_foreach(tables, i, count, table)
        read_table(in, i, table, &ret->tables[ret->table_count++]);
}

/* ---- The whole ---- */

/* 1: an older version. */
static int check_version(yyjson_val *root, leat_error *error)
{
    yyjson_val *version = yyjson_obj_get(root, "version");
    if (!yyjson_is_uint(version))
        return leat_fail(error, "not a catalog: it has no version");
    unsigned long long number = yyjson_get_uint(version);
    if (number > LEAT_CATALOG_VERSION)
        return leat_fail(error,
                         "has version %llu, written by a newer leat; this one reads version %d",
                         number, LEAT_CATALOG_VERSION);
    if (number == LEAT_CATALOG_VERSION)
        return 0;
    leat_fail(
        error,
        "has version %llu, written by an older leat; `leat init` writes it again, and so does "
        "leat as soon as a shard answers",
        number);
    return 1;
}

static int read_root(yyjson_val *root, leat_catalog *ret, leat_error *error)
{
    int status = check_version(root, error);
    if (status != 0)
        return status;
    leat_catalog *catalog = calloc(1, sizeof *catalog);
    if (!catalog)
        return leat_fail(error, "out of memory");
    reader in = {.error = error};
    snprintf(in.place, sizeof in.place, "source");
    read_source(&in, yyjson_obj_get(root, "source"), &catalog->source);
    snprintf(in.place, sizeof in.place, "layout");
    read_layout(&in, yyjson_obj_get(root, "layout"), &catalog->layout);
    read_tenants(&in, yyjson_obj_get(root, "layout"), catalog);
    in.place[0] = '\0';
    read_tables(&in, root, catalog);
    if (in.failed)
        leat_catalog_fini(catalog);
    else
        *ret = *catalog;
    free(catalog);
    return in.failed ? -1 : 0;
}

int leat_catalog_from_json(leat_slice json, leat_catalog *ret, leat_error *error)
{
    yyjson_read_err problem;
    char *text = malloc(json.size + YYJSON_PADDING_SIZE);
    if (!text)
        return leat_fail(error, "out of memory");
    memcpy(text, json.data, json.size);
    memset(text + json.size, 0, YYJSON_PADDING_SIZE);
    yyjson_doc *doc = yyjson_read_opts(text, json.size, YYJSON_READ_INSITU, NULL, &problem);
    int status =
        doc ? read_root(yyjson_doc_get_root(doc), ret, error)
            : leat_fail(error, "damaged: not JSON: %s at byte %zu", problem.msg, problem.pos);
    yyjson_doc_free(doc);
    free(text);
    return status;
}
