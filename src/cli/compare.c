/*
 * compare.c - leat mode compare: is a shadow table like its table? While writes go on, the log is
 * behind the database, so what differs at one moment says little. A row counts only if it differs,
 * and what is in the log at that moment is applied, and it differs still although nobody has
 * written the real row meanwhile.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/diag.h"
#include "daemon/json.h"
#include "cli/log_wait.h"
#include "cli/with_assembly.h"
#include "config/text.h"
#include "sink/difference.h"

enum {
    LIMIT_DEFAULT = 20,
    LOOKED_AT_MAX = 1000,
    APPENDED_US = 1000 * 1000, /* a write is in the log a moment after it is in the table */
};

typedef struct comparison {
    leat_assembly *assembly;
    const leat_options *options;
    const leat_config_route *route;
    uint32_t points;
    uint64_t differ;
    bool is_more; /* a shard had more than are looked at */
} comparison;

static const leat_config_route *find_route(const leat_config *config, const char *name,
                                           leat_error *error)
{
    for (uint32_t i = 0; i < config->route_count; i++)
        if (strcmp(config->routes[i].name, name) == 0) {
            if (config->routes[i].shadow_table)
                return &config->routes[i];
            leat_fail(error, "route %s has no shadow_table", name);
            return NULL;
        }
    leat_fail(error, "%s has no route %s", config->file, name);
    return NULL;
}

/* ---- what differs ---- */

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Both are ordered by key. */
static bool was_there(const leat_differences *before, const leat_difference *row)
{
    for (uint32_t i = 0; i < before->count; i++)
        if (strcmp(before->rows[i].key, row->key) == 0)
            return is_same(before->rows[i].row, row->row);
    return false;
}

static void print_row(const comparison *on, const char *shard, const leat_difference *row)
{
    if (!on->options->json) {
        printf("%s %s\n  %-8s %s\n  %-8s %s\n", shard, row->key, "table", row->row ? row->row : "-",
               "shadow", row->shadow ? row->shadow : "-");
        return;
    }
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "shard", shard);
    const char *const names[] = {"key", "table", "shadow"};
    const char *const texts[] = {row->key, row->row, row->shadow};
    for (size_t i = 0; i < 3; i++)
        yyjson_mut_obj_add_val(doc, root, names[i],
                               texts[i] ? yyjson_mut_raw(doc, texts[i]) : yyjson_mut_null(doc));
    leat_json_print(stdout, doc);
}

static void print_rows(comparison *on, const char *shard, const leat_differences *before,
                       const leat_differences *now)
{
    uint32_t limit = on->options->limit > 0 ? on->options->limit : LIMIT_DEFAULT;
    for (uint32_t i = 0; i < now->count; i++) {
        if (!was_there(before, &now->rows[i]))
            continue;
        if (on->differ++ < limit)
            print_row(on, shard, &now->rows[i]);
    }
    on->is_more = on->is_more || now->total > now->count;
}

/* ---- one shard ---- */

static int read_tables(const comparison *on, leat_shard_address at, leat_table ret[2],
                       leat_error *error)
{
    const char *const labels[] = {on->route->table, on->route->shadow_table};
    return leat_shard_read_tables(at, labels, 2, ret, error) == 0 ? 0 : -1;
}

static int compare_shard(comparison *on, uint32_t index, leat_error *error)
{
    const leat_config_shard *shard = &on->assembly->config.shards[index];
    leat_shard_address at = leat_assembly_address(shard);
    leat_table *tables = leat_must_calloc(2, sizeof *tables);
    leat_differences before = {0}, now = {0};
    int status = read_tables(on, at, tables, error);
    if (status == 0) {
        const leat_difference_query query = {.table = &tables[0],
                                             .shadow = &tables[1],
                                             .points = on->points,
                                             .limit = LOOKED_AT_MAX};
        status = leat_shard_read_differences(at, &query, &before, error);
        if (before.count > 0)
            usleep(APPENDED_US);
        if (status == 0 && before.count > 0)
            status = leat_wait_for_log(on->assembly, index, error);
        if (status == 0 && before.count > 0)
            status = leat_shard_read_differences(at, &query, &now, error);
        leat_table_fini(&tables[0]);
        leat_table_fini(&tables[1]);
    }
    if (status == 0)
        print_rows(on, shard->name, &before, &now);
    else
        leat_fail_prefix(error, "shard %s", shard->name);
    leat_differences_fini(&before);
    leat_differences_fini(&now);
    free(tables);
    return status;
}

/* ---- the command ---- */

static int read_points(const leat_options *options, uint32_t *ret, leat_error *error)
{
    *ret = LEAT_DIFFERENCE_POINTS;
    if (!options->sample || leat_text_share(options->sample, LEAT_DIFFERENCE_POINTS, ret))
        return 0;
    return leat_fail(error, "--sample must be a percentage above 0%%, such as 1%% or 0.5%%, not %s",
                     options->sample);
}

static void print_end(const comparison *on)
{
    if (on->options->json)
        return;
    if (on->differ == 0)
        printf("%s and %s are alike%s\n", on->route->table, on->route->shadow_table,
               on->is_more ? " in the rows that were looked at twice, but more differed at first; "
                             "run it again"
                           : "");
    else
        printf("%" PRIu64 " rows differ%s\n", on->differ, on->is_more ? ", and perhaps more" : "");
}

static int compare(leat_assembly *assembly, const leat_options *options, leat_error *error)
{
    comparison on = {.assembly = assembly, .options = options};
    on.route = find_route(&assembly->config, options->operands[0], error);
    if (!on.route || read_points(options, &on.points, error) != 0)
        return -1;
    if (leat_wait_for_log(assembly, UINT32_MAX, error) != 0)
        return -1;
    for (uint32_t i = 0; i < assembly->config.shard_count; i++)
        if (compare_shard(&on, i, error) != 0)
            return -1;
    print_end(&on);
    return on.differ > 0 || on.is_more ? LEAT_EXIT_CHECK : LEAT_EXIT_OK;
}

int leat_command_mode_compare(const leat_options *options)
{
    return leat_with_assembly("mode compare", options, compare);
}
