/*
 * mode.c - leat mode set and show: which way the writes of a live route go. A change is the same in
 * each shard, and each shard is settled by itself: one that fails keeps no other from it. Whatever
 * ends the command, the keys that move stay closed; the same command goes on from there, and the
 * one before it goes back.
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
#include "sink/modes.h"

/* What is wanted. */
typedef struct mode_change {
    leat_assembly *assembly;
    const leat_config_route *route;
    uint32_t async, shadow;              /* in points */
    bool keeps_shadow;                   /* `shadow` stays as it is */
    int32_t sources[LEAT_SHARDS_MAX];    /* leat.sources.id, by configured shard, as the next */
    leat_mode_row rows[LEAT_SHARDS_MAX]; /* as begun */
    bool has_begun[LEAT_SHARDS_MAX];
} mode_change;

/* ---- the wish ---- */

static const leat_config_route *find_route(const leat_config *config, const char *name,
                                           leat_error *error)
{
    for (uint32_t i = 0; i < config->route_count; i++) {
        const leat_config_route *route = &config->routes[i];
        if (strcmp(route->name, name) != 0)
            continue;
        if (strcmp(route->mode, "live") == 0)
            return route;
        leat_fail(error,
                  "route %s has `mode: %s`, which does not change while it is served (mode: live)",
                  name, route->mode);
        return NULL;
    }
    leat_fail(error, "%s has no route %s", config->file, name);
    return NULL;
}

static int read_wish(mode_change *change, const leat_options *options, leat_error *error)
{
    const char *mode = options->operands[1];
    uint32_t share = LEAT_MODE_POINTS;
    if (options->share && !leat_text_share(options->share, LEAT_MODE_POINTS, &share))
        return leat_fail(error, "--share must be a percentage above 0%%, such as 10%%, not %s",
                         options->share);
    change->keeps_shadow = strcmp(mode, "async") == 0;
    if (change->keeps_shadow) {
        change->async = share;
    } else if (strcmp(mode, "shadow") == 0) {
        if (!change->route->shadow_table)
            return leat_fail(error, "route %s has no shadow_table", change->route->name);
        change->shadow = share;
    } else if (strcmp(mode, "sync") != 0) {
        return leat_fail(error, "%s is no mode (async, sync or shadow)", mode);
    } else if (options->share) {
        return leat_fail(error,
                         "--share belongs to async and shadow: sync is what is left of them");
    }
    return 0;
}

/* ---- one shard ---- */

static int find_source(const leat_assembly *assembly, uint32_t shard, int32_t *ret,
                       leat_error *error)
{
    leat_source source;
    leat_layout *layout = leat_must_calloc(1, sizeof *layout);
    const char *topic = leat_config_topic(&assembly->config);
    leat_shard_address at = leat_assembly_address(&assembly->config.shards[shard]);
    int found = leat_shard_read_source(at, topic, &source, layout, error);
    free(layout);
    *ret = source.id;
    if (found == 1)
        return leat_fail(error, "it was not set up for topic %s: run `leat init` first", topic);
    return found == 0 ? 0 : -1;
}

static int find_shadow(const mode_change *change, uint32_t shard, uint32_t *ret, leat_error *error)
{
    leat_mode_rows *rows = leat_must_calloc(1, sizeof *rows);
    leat_shard_address at = leat_assembly_address(&change->assembly->config.shards[shard]);
    int status = leat_shard_read_modes(at, change->sources[shard], rows, error);
    *ret = 0;
    for (uint32_t i = 0; status == 0 && i < rows->count; i++)
        if (strcmp(rows->rows[i].route, change->route->name) == 0)
            *ret = rows->rows[i].setting.shadow;
    free(rows);
    return status;
}

/* What was given to come to these shares. */
static void write_command(char *ret, size_t size, const char *route, uint32_t async,
                          uint32_t shadow)
{
    if (async > 0)
        snprintf(ret, size, "leat mode set %s async --share %.2f%%", route, async / 100.0);
    else if (shadow > 0)
        snprintf(ret, size, "leat mode set %s shadow --share %.2f%%", route, shadow / 100.0);
    else
        snprintf(ret, size, "leat mode set %s sync", route);
}

static int fail_under_way(const leat_mode_row *row, leat_error *error)
{
    const leat_mode_setting *setting = &row->setting;
    char on[LEAT_NAME_MAX + 64], back[LEAT_NAME_MAX + 64];
    write_command(on, sizeof on, row->route, setting->async, setting->shadow);
    write_command(back, sizeof back, row->route, setting->async_before, setting->shadow);
    return leat_fail(error,
                     "a change from %.2f%% to %.2f%% async is under way there and has to be ended "
                     "first: %s, or back: %s",
                     setting->async_before / 100.0, setting->async / 100.0, on, back);
}

static int begin(mode_change *change, uint32_t shard, leat_error *error)
{
    leat_shard_address at = leat_assembly_address(&change->assembly->config.shards[shard]);
    leat_mode_row *row = &change->rows[shard];
    uint32_t shadow = change->shadow;
    if (find_source(change->assembly, shard, &change->sources[shard], error) != 0 ||
        (change->keeps_shadow && find_shadow(change, shard, &shadow, error) != 0))
        return -1;
    int status = leat_shard_begin_mode(at, change->sources[shard], change->route->name,
                                       change->async, shadow, row, error);
    change->has_begun[shard] = status == 0;
    return status == 1 ? fail_under_way(row, error) : status;
}

static bool is_under_way(const leat_mode_row *row)
{
    return row->setting.async != row->setting.async_before;
}

/* "schema.table", by which keys are held. */
static int count_held(const mode_change *change, uint32_t shard, int64_t *ret, leat_error *error)
{
    char qualified[2 * LEAT_NAME_MAX + 2];
    leat_shard_address at = leat_assembly_address(&change->assembly->config.shards[shard]);
    leat_table *table = leat_must_calloc(1, sizeof *table);
    const char *label = change->route->table;
    int status = leat_shard_read_tables(at, &label, 1, table, error) == 0 ? 0 : -1;
    if (status == 0) {
        snprintf(qualified, sizeof qualified, "%s.%s", table->schema, table->name);
        status = leat_shard_count_held(at, change->sources[shard], qualified, ret, error);
        leat_table_fini(table);
    }
    free(table);
    return status;
}

/* The log is left: all of it up to now is in the table, and nothing is kept back. */
static int empty_log(const mode_change *change, uint32_t shard, leat_error *error)
{
    int64_t held = 0;
    if (leat_wait_for_log(change->assembly, shard, error) != 0 ||
        count_held(change, shard, &held, error) != 0)
        return -1;
    if (held == 0)
        return 0;
    return leat_fail(error,
                     "%" PRId64
                     " keys of table %s are held, and their records would be overtaken: see `leat "
                     "dead list --held`, then give this command again",
                     held, change->route->table);
}

typedef struct last_look {
    const mode_change *change;
    uint32_t shard;
} last_look;

static int look_last(void *context, leat_error *error)
{
    const last_look *at = context;
    return empty_log(at->change, at->shard, error);
}

/* Whichever way the keys move: once a change is settled, no write by the version before it is
 * under way, and so none by any older one. */
static int settle(const mode_change *change, uint32_t shard, leat_error *error)
{
    const leat_config_shard *at = &change->assembly->config.shards[shard];
    const leat_mode_row *row = &change->rows[shard];
    last_look last = {change, shard};
    bool leaves_log = leat_mode_leaves_log(&row->setting);
    int status =
        leat_shard_await_writes(leat_assembly_address(at), change->sources[shard], row, error);
    if (status == 0 && leaves_log)
        status = empty_log(change, shard, error);
    if (status == 0 && is_under_way(row))
        status = leat_shard_settle_mode(leat_assembly_address(at), change->sources[shard], row,
                                        leaves_log ? look_last : NULL, &last, error);
    if (status != 0)
        return leat_fail_prefix(error, "shard %s", at->name);
    printf("shard %s: of the keys of %s, %.2f%% go into the log, the others into the database",
           at->name, row->route, row->setting.async / 100.0);
    if (row->setting.shadow > row->setting.async)
        printf(" (up to %.2f%% with the shadow table)", row->setting.shadow / 100.0);
    printf("\n");
    fflush(stdout);
    return 0;
}

/* ---- leat mode set ---- */

/* Of several errors the first is told; the others are said at once. */
static void note_failure(int *status, leat_error *error, const leat_error *found)
{
    if (*status == 0)
        *error = *found;
    else
        leat_print_error("leat mode set: %s", found->text);
    *status = -1;
}

static int begin_all(mode_change *change, leat_error *error)
{
    int status = 0;
    leat_error found;
    for (uint32_t i = 0; i < change->assembly->config.shard_count; i++) {
        if (begin(change, i, &found) == 0)
            continue;
        leat_fail_prefix(&found, "shard %s", change->assembly->config.shards[i].name);
        note_failure(&status, error, &found);
    }
    return status;
}

/* May edges go by what was before? Of the first shares of a route there was nothing. */
static bool has_leases(const mode_change *change)
{
    for (uint32_t i = 0; i < change->assembly->config.shard_count; i++)
        if (change->has_begun[i] && leat_mode_leaves_log(&change->rows[i].setting) &&
            change->rows[i].before > 0)
            return true;
    return false;
}

static int change_all(mode_change *change, leat_error *error)
{
    leat_assembly *assembly = change->assembly;
    leat_error found;
    int status = begin_all(change, error);
    /* From the commit on, so that no edge goes by what it had read before. */
    if (has_leases(change))
        usleep(LEAT_MODE_SETTLE_MS * 1000);
    for (uint32_t i = 0; i < assembly->config.shard_count; i++)
        if (change->has_begun[i] && settle(change, i, &found) != 0)
            note_failure(&status, error, &found);
    return status;
}

/* What is wrong with the command line is known before a shard is asked. */
static int set(leat_assembly *assembly, const leat_options *options, leat_error *error)
{
    mode_change *change = leat_must_calloc(1, sizeof *change);
    change->assembly = assembly;
    change->route = find_route(&assembly->config, options->operands[0], error);
    bool is_fine = change->route && read_wish(change, options, error) == 0;
    int status = is_fine ? change_all(change, error) : -1;
    free(change);
    if (is_fine)
        return status == 0 ? LEAT_EXIT_OK : -1;
    leat_print_error("leat mode set: %s", error->text);
    return LEAT_EXIT_USAGE;
}

int leat_command_mode_set(const leat_options *options)
{
    return leat_with_assembly("mode set", options, set);
}

/* ---- leat mode show ---- */

static void print_row(const char *shard, const leat_mode_row *row, bool json)
{
    const leat_mode_setting *setting = &row->setting;
    if (!json) {
        printf("%-16s  %-24s  %6.2f%%  %6.2f%%  %s%s\n", shard, row->route, setting->async / 100.0,
               setting->shadow / 100.0, row->since,
               is_under_way(row) ? "  a change is under way: give `leat mode set` again" : "");
        return;
    }
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = leat_json_new(&root);
    leat_json_add_text(doc, root, "shard", shard);
    leat_json_add_text(doc, root, "route", row->route);
    yyjson_mut_obj_add_real(doc, root, "async_percent", setting->async / 100.0);
    yyjson_mut_obj_add_real(doc, root, "async_percent_before", setting->async_before / 100.0);
    yyjson_mut_obj_add_real(doc, root, "shadow_percent", setting->shadow / 100.0);
    leat_json_add_text(doc, root, "since", row->since);
    leat_json_print(stdout, doc);
}

static int show(leat_assembly *assembly, const leat_options *options, leat_error *error)
{
    leat_mode_rows *rows = leat_must_calloc(1, sizeof *rows);
    int status = 0;
    if (!options->json)
        printf("%-16s  %-24s  %7s  %7s  %s\n", "shard", "route", "async", "shadow", "since");
    for (uint32_t i = 0; status == 0 && i < assembly->config.shard_count; i++) {
        const leat_config_shard *shard = &assembly->config.shards[i];
        int32_t source;
        if (shard->sqlite)
            continue;
        status = find_source(assembly, i, &source, error);
        if (status == 0)
            status = leat_shard_read_modes(leat_assembly_address(shard), source, rows, error);
        for (uint32_t r = 0; status == 0 && r < rows->count; r++)
            print_row(shard->name, &rows->rows[r], options->json);
        if (status != 0)
            leat_fail_prefix(error, "shard %s", shard->name);
    }
    free(rows);
    return status == 0 ? LEAT_EXIT_OK : -1;
}

int leat_command_mode_show(const leat_options *options)
{
    return leat_with_assembly("mode show", options, show);
}
