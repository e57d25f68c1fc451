/*
 * dead.c - leat dead list and leat dead show: the records that were refused permanently, read from
 * the shards. They work while the log or some shards are down; the exit code then shows that the
 * list is incomplete.
 */
#include "cli/dead.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/diag.h"
#include "cli/commands.h"
#include "cli/dead_line.h"
#include "cli/wish.h"
#include "config/config.h"

enum { LIMIT_DEFAULT = 100, LINES_DEFAULT = 1000 };

/* Dead letters of all shards that could be read. */
typedef struct harvest {
    leat_dead_letters *by_shard; /* as configured */
    uint32_t shard_count;
    leat_dead_entry *entries; /* newest first */
    uint32_t count;
    uint32_t failed; /* shards that could not be read */
} harvest;

/* ---- which ---- */

static int check_form(const leat_options *options, leat_error *error)
{
    if (options->lines && (options->held || options->json))
        return leat_fail(error, "--lines excludes --held and --json");
    if (options->tenant && !options->lines)
        return leat_fail(error, "--tenant belongs to --lines");
    return 0;
}

/* A route without a name has that of its table. */
static const char *route_name(const leat_config_route *route)
{
    const char *dot = strrchr(route->table, '.');
    return route->name ? route->name : dot ? dot + 1 : route->table;
}

static void put_name(leat_buf *names, const char *name)
{
    leat_buf_text(names, names->size > 0 ? "," : "[");
    leat_buf_json_string(names, leat_slice_of(name));
}

/* The names of the requested routes as a JSON array; empty for all. */
static int select_routes(const leat_config *config, const leat_options *options, leat_buf *ret,
                         leat_error *error)
{
    if (options->route && options->table)
        return leat_fail(error, "--table and --route exclude each other");
    if (options->route)
        put_name(ret, options->route);
    for (uint32_t i = 0; options->table && i < config->route_count; i++)
        if (strcmp(config->routes[i].table, options->table) == 0)
            put_name(ret, route_name(&config->routes[i]));
    if (options->table && ret->size == 0)
        return leat_fail(error, "--table: no route of %s writes %s", config->file, options->table);
    if (ret->size > 0)
        leat_buf_byte(ret, ']');
    return 0;
}

static int read_number(const char *name, const char *text, int64_t max, int64_t *ret,
                       leat_error *error)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value > max)
        return leat_fail(error, "%s must be a number from 0, not %s", name, text);
    *ret = value;
    return 0;
}

/* ---- reading ---- */

static int newer_first(const void *a, const void *b)
{
    const leat_dead_letter *x = ((const leat_dead_entry *)a)->letter,
                           *y = ((const leat_dead_entry *)b)->letter;
    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? 1 : -1;
    if (x->partition != y->partition)
        return x->partition > y->partition ? 1 : -1;
    return x->offset < y->offset ? 1 : x->offset > y->offset ? -1 : 0;
}

static void sort_entries(const leat_config *config, harvest *found)
{
    size_t total = 0;
    for (uint32_t i = 0; i < found->shard_count; i++)
        total += found->by_shard[i].count;
    found->entries = leat_must_calloc(total + 1, sizeof *found->entries);
    for (uint32_t i = 0; i < found->shard_count; i++)
        for (uint32_t k = 0; k < found->by_shard[i].count; k++)
            found->entries[found->count++] =
                (leat_dead_entry){config->shards[i].name, &found->by_shard[i].letters[k]};
    qsort(found->entries, found->count, sizeof *found->entries, newer_first);
}

/* A shard that cannot be read is reported and counted; the others are read. */
static void read_shards(const char *command, const leat_config *config, const char *only,
                        const leat_dead_query *query, harvest *ret)
{
    *ret = (harvest){.shard_count = config->shard_count};
    ret->by_shard = leat_must_calloc(config->shard_count, sizeof *ret->by_shard);
    for (uint32_t i = 0; i < config->shard_count; i++) {
        const leat_config_shard *shard = &config->shards[i];
        leat_error error = {0};
        if (only && strcmp(only, shard->name) != 0)
            continue;
        if (leat_shard_dead_letters(leat_assembly_address(shard), query, &ret->by_shard[i],
                                    &error) == 0)
            continue;
        leat_print_error("leat %s: shard %s: %s", command, shard->name, error.text);
        ret->failed++;
    }
    sort_entries(config, ret);
}

static void harvest_free(harvest *found)
{
    for (uint32_t i = 0; i < found->shard_count; i++)
        leat_dead_letters_fini(&found->by_shard[i]);
    free(found->by_shard);
    free(found->entries);
}

/* ---- with the configuration ---- */

static int load(const leat_options *options, leat_assembly *ret, leat_error *error)
{
    if (leat_wish_load(options, ret, error) != 0)
        return -1;
    if (options->shard && !leat_config_find_shard(&ret->config, leat_slice_of(options->shard)))
        return leat_fail(error, "--shard: %s has no shard %s", ret->config.file, options->shard);
    return 0;
}

/* `use` returns an exit code, or -1 with a message when the request itself is wrong. Not
 * leat_with_assembly: the log is not needed, and data_dir may belong to another user. */
static int with_config(const char *name, const leat_options *options,
                       int (*use)(const leat_assembly *assembly, const leat_options *options,
                                  leat_error *error))
{
    leat_assembly *assembly = leat_must_calloc(1, sizeof *assembly);
    leat_error error = {0};
    int code = load(options, assembly, &error) == 0 ? use(assembly, options, &error) : -1;
    if (code < 0)
        leat_print_error("leat %s: %s", name, error.text);
    leat_assembly_fini(assembly);
    free(assembly);
    return code < 0 ? LEAT_EXIT_USAGE : code;
}

/* ---- leat dead list ---- */

static void print_summary(const harvest *found, uint32_t shown)
{
    const char *where = found->failed > 0 ? " in the shards that answered" : "";
    if (found->count == 0)
        printf("no dead letters%s\n", where);
    else if (shown < found->count)
        printf("\nthe newest %u of the dead letters%s; there are more: --limit N\n", shown, where);
    else
        printf("\n%u dead letter%s%s\n", shown, shown == 1 ? "" : "s", where);
}

static void print_list(const harvest *found, uint32_t shown, bool json)
{
    for (uint32_t i = 0; json && i < shown; i++)
        leat_dead_print_json(stdout, &found->entries[i]);
    if (!json && shown > 0)
        leat_dead_print_table(stdout, found->entries, shown);
    if (!json)
        print_summary(found, shown);
}

/* The writes of a row are in one partition, so among lines they have the order in which they were
 * accepted. When they were refused says less. */
static int by_place(const void *a, const void *b)
{
    const leat_dead_letter *x = ((const leat_dead_entry *)a)->letter,
                           *y = ((const leat_dead_entry *)b)->letter;
    if (x->partition != y->partition)
        return x->partition < y->partition ? -1 : 1;
    return x->offset < y->offset ? -1 : x->offset > y->offset ? 1 : 0;
}

/* False: it is left out, and why has been said. */
static bool print_line(const leat_dead_line_form *form, const leat_dead_entry *entry)
{
    leat_buf line = {0};
    leat_error error = {0};
    int status = leat_dead_line(form, entry->letter, &line, &error);
    if (status == 0)
        printf("%.*s\n", (int)line.size, line.data);
    leat_buf_free(&line);
    if (status < 0)
        leat_print_error("leat dead list: partition %" PRIu32 ", offset %" PRId64
                         " is left out: %s",
                         entry->letter->partition, entry->letter->offset, error.text);
    return status >= 0;
}

/* Returns the exit code. */
static int print_lines(const leat_assembly *assembly, const leat_options *options, harvest *found,
                       uint32_t shown)
{
    leat_ground *on = leat_must_calloc(1, sizeof *on);
    leat_error error = {0};
    int code = LEAT_EXIT_OK;
    on->assembly = assembly;
    if (leat_ground_read(on, &error) == 0) {
        leat_dead_line_form form = {.routes = &on->version->routes,
                                    .placement = &on->source.placement,
                                    .tenant = options->tenant};
        qsort(found->entries, shown, sizeof *found->entries, by_place);
        for (uint32_t i = 0; i < shown; i++)
            if (!print_line(&form, &found->entries[i]))
                code = LEAT_EXIT_FAILED;
    } else {
        leat_print_error("leat dead list: %s", error.text);
        code = LEAT_EXIT_FAILED;
    }
    if (shown < found->count) {
        leat_print_error("leat dead list: these are the newest %u; there are more: --limit N",
                         shown);
        code = LEAT_EXIT_FAILED;
    }
    leat_ground_free(on);
    free(on);
    return code;
}

static int list(const leat_assembly *assembly, const leat_options *options, leat_error *error)
{
    const leat_config *config = &assembly->config;
    leat_buf routes = {0};
    if (check_form(options, error) != 0 || select_routes(config, options, &routes, error) != 0) {
        leat_buf_free(&routes);
        return -1;
    }
    harvest found;
    uint32_t otherwise = options->lines ? LINES_DEFAULT : LIMIT_DEFAULT;
    uint32_t limit = options->limit ? options->limit : otherwise;
    /* Reads one more than it shows, to know whether there are more. */
    leat_dead_query query = {.topic = leat_config_topic(config),
                             .routes = routes.size > 0 ? leat_buf_cstr(&routes) : NULL,
                             .partition = -1,
                             .offset = -1,
                             .limit = limit + 1,
                             .with_bodies = options->json || options->lines};
    read_shards("dead list", config, options->shard, &query, &found);
    uint32_t shown = found.count < limit ? found.count : limit;
    int code = LEAT_EXIT_OK;
    if (options->lines)
        code = print_lines(assembly, options, &found, shown);
    else
        print_list(&found, shown, options->json);
    if (found.failed > 0)
        code = LEAT_EXIT_FAILED;
    harvest_free(&found);
    leat_buf_free(&routes);
    return code;
}

int leat_command_dead_list(const leat_options *options)
{
    if (options->held && !options->lines && !options->tenant)
        return leat_command_dead_list_held(options);
    return with_config("dead list", options, list);
}

/* ---- leat dead show ---- */

static int show(const leat_assembly *assembly, const leat_options *options, leat_error *error)
{
    int64_t partition = 0, offset = 0;
    if (read_number("PARTITION", options->operands[0], INT32_MAX, &partition, error) != 0 ||
        read_number("OFFSET", options->operands[1], INT64_MAX, &offset, error) != 0)
        return -1;
    harvest found;
    leat_dead_query query = {.topic = leat_config_topic(&assembly->config),
                             .partition = partition,
                             .offset = offset,
                             .limit = 1,
                             .with_bodies = true};
    read_shards("dead show", &assembly->config, options->shard, &query, &found);
    int code = found.count > 0 ? LEAT_EXIT_OK : LEAT_EXIT_FAILED;
    if (found.count == 0)
        leat_print_error("leat dead show: there is no dead letter of partition %" PRId64
                         ", offset %" PRId64 "%s",
                         partition, offset, found.failed > 0 ? " in the shards that answered" : "");
    else if (options->json)
        leat_dead_print_json(stdout, &found.entries[0]);
    else
        leat_dead_print_whole(stdout, &found.entries[0]);
    harvest_free(&found);
    return code;
}

int leat_command_dead_show(const leat_options *options)
{
    return with_config("dead show", options, show);
}
