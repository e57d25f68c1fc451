/*
 * held.c - leat dead list --held, leat dead retry and leat dead discard: keys whose records wait
 * for a person. They need the configuration and the shards, not the log. A shard or a key that
 * cannot be tried does not keep the others from it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/ground.h"
#include "cli/json.h"
#include "daemon/shard_tables.h"
#include "daemon/start_catalog.h"
#include "record/base64.h"
#include "sink/held.h"

enum { LIMIT_DEFAULT = 100, LIMIT_ALL = 1000000, KEY_WIDTH = 200, CONTROLS_EVERY_US = 1000000 };

typedef struct held_run {
    leat_ground on;
    const char *name; /* of the command */
    bool discard;
    const leat_options *options;
    const leat_table *table; /* with `key`; NULL: all keys */
    leat_key key;
    uint32_t seen; /* held keys */
    uint32_t refused;
    uint32_t failed; /* keys and shards that could not be tried */
} held_run;

static void print_failure(held_run *run, const char *shard, const leat_error *error)
{
    fflush(stdout);
    leat_print_error("leat %s: shard %s: %s", run->name, shard, error->text);
    run->failed++;
}

/* "key 7/1 of public.things". */
static void print_name(const leat_shard_held_key *key)
{
    leat_buf text = {0};
    leat_buf_printable(&text, (leat_slice){key->key, key->key_size}, KEY_WIDTH, false);
    printf("key %s of %s", text.size > 0 ? leat_buf_cstr(&text) : "", key->table);
    leat_buf_free(&text);
}

static void print_text(const char *text)
{
    leat_buf safe = {0};
    leat_buf_printable(&safe, leat_slice_of(text), SIZE_MAX, false);
    fputs(safe.size > 0 ? leat_buf_cstr(&safe) : "", stdout);
    leat_buf_free(&safe);
}

/* ---- list ---- */

static void print_key(const char *shard, const leat_shard_held_key *key)
{
    printf("shard %s, partition %" PRIu32 ": ", shard, key->partition);
    print_name(key);
    printf(" is held since %s, with %" PRId64 " record%s", key->since, key->records,
           key->records == 1 ? "" : "s");
    if (key->records > 0)
        printf(" from offset %" PRId64 " on", key->first_offset);
    printf("; refused at %s (%s): ", key->at, key->sqlstate ? key->sqlstate : "by leat");
    print_text(key->message);
    putchar('\n');
}

static void print_key_json(const char *shard, const leat_shard_held_key *key)
{
    yyjson_mut_val *object;
    yyjson_mut_doc *doc = leat_json_new(&object);
    leat_json_add_text(doc, object, "shard", shard);
    yyjson_mut_obj_add_int(doc, object, "source", key->source);
    yyjson_mut_obj_add_uint(doc, object, "partition", key->partition);
    leat_json_add_text(doc, object, "table", key->table);
    if (leat_utf8_is_text((leat_slice){key->key, key->key_size})) {
        yyjson_mut_obj_add_strncpy(doc, object, "key", key->key, key->key_size);
    } else {
        leat_buf text = {0};
        leat_base64_encode((leat_slice){key->key, key->key_size}, &text);
        yyjson_mut_obj_add_strncpy(doc, object, "key_base64", text.data, text.size);
        leat_buf_free(&text);
    }
    leat_json_add_text(doc, object, "since", key->since);
    yyjson_mut_obj_add_int(doc, object, "records", key->records);
    if (key->records > 0)
        yyjson_mut_obj_add_int(doc, object, "first_offset", key->first_offset);
    else
        yyjson_mut_obj_add_null(doc, object, "first_offset");
    yyjson_mut_obj_add_int(doc, object, "bytes", key->bytes);
    yyjson_mut_obj_add_uint(doc, object, "tries", key->tries);
    leat_json_add_text(doc, object, "at", key->at);
    leat_json_add_text(doc, object, "sqlstate", key->sqlstate);
    leat_json_add_text(doc, object, "message", key->message);
    leat_json_print(stdout, doc);
}

static void list_shard(held_run *run, const leat_config_shard *shard)
{
    leat_error error;
    leat_held_keys keys;
    const leat_options *options = run->options;
    leat_held_query query = {.topic = leat_config_topic(&run->on.assembly.config),
                             .limit = options->limit ? options->limit : LIMIT_DEFAULT};
    if (leat_shard_held_keys(leat_assembly_address(shard), &query, &keys, &error) != 0)
        print_failure(run, shard->name, &error);
    for (uint32_t i = 0; i < keys.count; i++) {
        if (options->json)
            print_key_json(shard->name, &keys.keys[i]);
        else
            print_key(shard->name, &keys.keys[i]);
    }
    run->seen += keys.count;
    leat_held_keys_fini(&keys);
}

/* ---- retry and discard ---- */

static void report(held_run *run, const leat_shard_held_key *key, const leat_held_result *result)
{
    print_name(key);
    printf(": %" PRIu64 " record%s %s", result->done, result->done == 1 ? "" : "s",
           run->discard ? "given up" : "applied");
    if (!result->is_held)
        printf(", no longer held");
    else if (result->refused) {
        printf("; held, as offset %" PRId64 " is refused (%s): ", result->refused_offset,
               result->reason.sqlstate[0] ? result->reason.sqlstate : "by leat");
        print_text(result->reason.message);
    } else {
        printf(", still held");
    }
    putchar('\n');
}

/* The controls of the shard, read again while keys are retried: a person may add one meanwhile. */
typedef struct shard_controls {
    leat_control_set *set; /* NULL: not read yet */
    int64_t read_us;
} shard_controls;

static int follow_controls(const held_run *run, const leat_config_shard *shard,
                           shard_controls *controls, leat_error *error)
{
    leat_control_set *set;
    int64_t now_us = leat_mono_us();
    if (controls->set && now_us - controls->read_us < CONTROLS_EVERY_US)
        return 0;
    if (leat_shard_read_controls(leat_assembly_address(shard), run->on.source.id, &set, error) != 0)
        return -1;
    leat_control_set_drop(controls->set);
    *controls = (shard_controls){set, now_us};
    return 0;
}

static const leat_control *find_control(const leat_control_set *set, const leat_routes *routes,
                                        const leat_shard_held_key *key)
{
    const leat_control *found = NULL;
    char name[2 * LEAT_NAME_MAX + 2];
    for (uint32_t i = 0; i < routes->count && !found; i++) {
        const leat_table *table = routes->routes[i].table;
        snprintf(name, sizeof name, "%s.%s", table->schema, table->name);
        if (strcmp(name, key->table) == 0)
            found = leat_control_set_find_key(
                set, &routes->routes[i], (leat_slice){key->key, key->key_size}, leat_mono_us());
    }
    return found;
}

/* What a control keeps from the table is not applied by hand either. */
static bool is_blocked(held_run *run, const leat_shard_held_key *key, const leat_routes *routes,
                       const leat_control_set *controls)
{
    char text[LEAT_CONTROL_REASON_MAX + 2 * LEAT_CONTROL_NAME_SIZE];
    const leat_control *control = run->discard ? NULL : find_control(controls, routes, key);
    if (!control)
        return false;
    leat_control_describe(control, text, sizeof text);
    print_name(key);
    printf(": not tried, because its records are ");
    print_text(text);
    putchar('\n');
    run->refused++;
    return true;
}

static void end_key(held_run *run, const leat_config_shard *shard, const leat_shard_held_key *key,
                    const leat_schema_version *version, shard_controls *controls)
{
    leat_error error;
    leat_held_result result;
    leat_held_work work = {.key = key,
                           .routes = &version->routes,
                           .placement = &run->on.source.placement,
                           .discard = run->discard,
                           .most = run->discard ? run->options->limit : 0};
    if (follow_controls(run, shard, controls, &error) != 0) {
        print_failure(run, shard->name, &error);
        return;
    }
    if (is_blocked(run, key, &version->routes, controls->set))
        return;
    int status = leat_shard_end_hold(leat_assembly_address(shard), &work, &result, &error);
    if (status == 0 || result.done > 0)
        report(run, key, &result);
    if (status != 0)
        print_failure(run, shard->name, &error);
    run->refused += result.refused;
}

static void end_keys(held_run *run, const leat_config_shard *shard, const leat_held_keys *keys,
                     const leat_schema_version *version)
{
    shard_controls controls = {0};
    for (uint32_t i = 0; i < keys->count; i++)
        end_key(run, shard, &keys->keys[i], version, &controls);
    leat_control_set_drop(controls.set);
}

/* Row statements are those of this shard's tables as they are now. */
static int read_version(held_run *run, leat_shard_address at, leat_schema_version **ret,
                        leat_error *error)
{
    leat_table *tables = NULL;
    uint32_t count = 0;
    if (leat_assembly_read_tables(&run->on.assembly, at, &tables, &count, error) != 0)
        return -1;
    *ret = leat_assembly_build_version(&run->on.assembly, tables, count, error);
    return *ret ? 0 : -1;
}

static int end_in_shard(held_run *run, const leat_config_shard *shard, leat_error *error)
{
    leat_held_keys keys;
    leat_schema_version *version = NULL;
    leat_shard_address at = leat_assembly_address(shard);
    leat_held_query query = {.topic = leat_config_topic(&run->on.assembly.config),
                             .table = run->table,
                             .key = {run->key.canonical, run->table ? run->key.canonical_size : 0},
                             .limit = LIMIT_ALL};
    int status = leat_shard_held_keys(at, &query, &keys, error);
    run->seen += keys.count;
    if (status == 0 && keys.count > 0)
        status = read_version(run, at, &version, error);
    if (version)
        end_keys(run, shard, &keys, version);
    leat_schema_version_free(version);
    leat_held_keys_fini(&keys);
    return status;
}

static void end_shard(held_run *run, const leat_config_shard *shard)
{
    leat_error error;
    if (end_in_shard(run, shard, &error) != 0)
        print_failure(run, shard->name, &error);
}

/* ---- the commands ---- */

static int check_usage(const leat_options *options, bool lists, bool needs_key, leat_error *error)
{
    if (lists && (options->table || options->route))
        return leat_fail(error, "--held lists keys of all tables: --table and --route go without");
    if (needs_key && !options->key)
        return leat_fail(error, "--key is needed");
    if (!lists && !options->key && (options->table || options->route))
        return leat_fail(error, "--table and --route belong to --key");
    if (options->table && options->route)
        return leat_fail(error, "--table and --route exclude each other");
    return 0;
}

static int find_key(held_run *run, leat_error *error)
{
    if (leat_ground_read(&run->on, error) != 0)
        return -1;
    if (!run->options->key)
        return 0;
    const leat_route *route = leat_ground_find_route(&run->on, run->options, error);
    if (!route)
        return -1;
    if (leat_key_decode(route, leat_slice_of(run->options->key), &run->key, error) != 0)
        return leat_fail_prefix(error, "--key: it is no key of table %s", route->table->label);
    run->table = route->table;
    return 0;
}

static void each_shard(held_run *run, void (*use)(held_run *run, const leat_config_shard *shard))
{
    const leat_config *config = &run->on.assembly.config;
    for (uint32_t i = 0; i < config->shard_count; i++)
        if (!run->options->shard || strcmp(run->options->shard, config->shards[i].name) == 0)
            use(run, &config->shards[i]);
    if (run->seen == 0 && !run->options->json)
        printf("%s held%s\n", run->table ? "it is not" : "no key is",
               run->failed > 0 ? " in the shards that answered" : "");
}

static int exit_code(const held_run *run, bool lists)
{
    if (run->failed > 0)
        return LEAT_EXIT_FAILED;
    return !lists && run->refused > 0 ? LEAT_EXIT_CHECK : LEAT_EXIT_OK;
}

static int run_command(const char *name, const leat_options *options, bool lists, bool discard)
{
    held_run *run = leat_must_calloc(1, sizeof *run);
    leat_error error = {0};
    run->name = name;
    run->options = options;
    run->discard = discard;
    int code = LEAT_EXIT_USAGE;
    int status = leat_ground_load(&run->on, options, &error);
    if (status == 0)
        status = check_usage(options, lists, discard, &error);
    if (status == 0 && options->shard &&
        !leat_assembly_find_shard(&run->on.assembly, options->shard))
        status = leat_fail(&error, "--shard: %s has no shard %s", run->on.assembly.config.file,
                           options->shard);
    if (status == 0) {
        code = LEAT_EXIT_FAILED;
        status = lists ? 0 : find_key(run, &error);
    }
    if (status == 0) {
        each_shard(run, lists ? list_shard : end_shard);
        code = exit_code(run, lists);
    } else {
        leat_print_error("leat %s: %s", name, error.text);
    }
    leat_ground_free(&run->on);
    free(run);
    return code;
}

int leat_command_dead_list_held(const leat_options *options)
{
    return run_command("dead list", options, true, false);
}

int leat_command_dead_retry(const leat_options *options)
{
    return run_command("dead retry", options, false, false);
}

int leat_command_dead_discard(const leat_options *options)
{
    return run_command("dead discard", options, false, true);
}
