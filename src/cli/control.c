/*
 * control.c - leat control block, unblock and list: the lever for the night when one tenant or one
 * row harms all others. A command needs the configuration and the shard that the tenant or row
 * belongs to: which one that is, and how a key is spelled, any shard that answers can say. It needs
 * neither the log nor data_dir. What cannot be understood changes nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/control.h"
#include "base/diag.h"
#include "cli/ground.h"
#include "config/text.h"

enum { KEEP_DEFAULT = 100 };
#define FOR_MAX_MS (INT64_C(31) * 24 * 3600 * 1000)

/* Where a control belongs. */
typedef struct target {
    const char *table; /* NULL: a tenant */
    char what[LEAT_KEY_BYTES_MAX + 1];
    uint32_t shard; /* of the layout */
} target;

/* The configured shard of a target. */
static const leat_config_shard *shard_of(const leat_ground *on, const target *at, leat_error *error)
{
    const char *name = on->layout.shards[at->shard].name;
    const leat_config_shard *shard = leat_assembly_find_shard(&on->assembly, name);
    if (!shard)
        leat_fail(error, "it belongs to shard %s, which %s does not have", name,
                  on->assembly.config.file);
    return shard;
}

/* ---- what it is about ---- */

static void set_what(target *ret, const leat_key *key)
{
    memcpy(ret->what, key->canonical, key->canonical_size);
    ret->what[key->canonical_size] = '\0';
}

static int find_key(const leat_ground *on, const leat_options *options, target *ret,
                    leat_error *error)
{
    leat_key key;
    const leat_route *route = leat_ground_find_route(on, options, error);
    if (!route)
        return -1;
    if (leat_key_decode(route, leat_slice_of(options->key), &key, error) != 0)
        return leat_fail_prefix(error, "--key: it is no key of table %s", route->table->label);
    set_what(ret, &key);
    ret->table = route->table->label;
    ret->shard = leat_layout_shard_of_key(&on->layout, route, &key);
    return 0;
}

/* A tenant is one text in all routes: where two spell it in two ways, it is two tenants, and which
 * one is meant must be known. */
static int find_tenant(const leat_ground *on, const leat_options *options, target *ret,
                       leat_error *error)
{
    const leat_routes *routes = &on->version->routes;
    leat_error why = {"no route has a tenant (routes[].tenant)"};
    bool found = false;
    for (uint32_t i = 0; i < routes->count; i++) {
        leat_key key;
        target other = {.table = NULL};
        if (routes->routes[i].tenant_key_position < 0 ||
            leat_key_decode_tenant(&routes->routes[i], leat_slice_of(options->tenant), &key,
                                   &why) != 0)
            continue;
        set_what(&other, &key);
        if (found && strcmp(ret->what, other.what) != 0)
            return leat_fail(error,
                             "--tenant: it is %s for one route and %s for another: write the form "
                             "that is meant in full",
                             ret->what, other.what);
        other.shard = leat_layout_shard_of_tenant(&on->layout,
                                                  (leat_slice){key.canonical, key.canonical_size});
        *ret = other;
        found = true;
    }
    return found
               ? 0
               : leat_fail(error, "--tenant: there is no tenant %s: %s", options->tenant, why.text);
}

static int check_usage(const leat_options *options, leat_error *error)
{
    if (!options->tenant == !options->key)
        return leat_fail(error, "give one of --tenant and --key");
    if (options->tenant && (options->table || options->route))
        return leat_fail(error, "--tenant is a tenant of all tables: --table and --route belong to "
                                "--key");
    if (options->table && options->route)
        return leat_fail(error, "--table and --route exclude each other");
    return 0;
}

static int find_target(const leat_ground *on, const leat_options *options, target *ret,
                       leat_error *error)
{
    return options->key ? find_key(on, options, ret, error) : find_tenant(on, options, ret, error);
}

/* ---- leat control block ---- */

static int read_wish(const leat_options *options, leat_control_wish *ret, leat_error *error)
{
    int64_t keep = KEEP_DEFAULT;
    if (!options->duration)
        return leat_fail(error, "--for is needed: a control must end by itself");
    if (!leat_text_number(options->duration, LEAT_UNIT_MS, &ret->for_ms) || ret->for_ms < 1000 ||
        ret->for_ms > FOR_MAX_MS)
        return leat_fail(error, "--for must be from 1s to 744h (%s), not %s",
                         leat_text_number_form(LEAT_UNIT_MS), options->duration);
    if (options->keep && (!leat_text_number(options->keep, LEAT_UNIT_ONE, &keep) || keep < 0 ||
                          keep > LEAT_CONTROL_KEEP_MAX))
        return leat_fail(error, "--keep must be a number from 0 to %d, not %s",
                         LEAT_CONTROL_KEEP_MAX, options->keep);
    if (options->hold && options->keep)
        return leat_fail(error, "--keep is for records that are skipped: --hold keeps all of them");
    ret->holds = options->hold;
    ret->keep = options->hold ? 0 : (uint32_t)keep;
    ret->reason = options->reason ? options->reason : "";
    if (strlen(ret->reason) > LEAT_CONTROL_REASON_MAX)
        return leat_fail(error, "--reason is longer than %d bytes", LEAT_CONTROL_REASON_MAX);
    return 0;
}

static int put_control(const leat_ground *on, const target *at, leat_control_wish *wish,
                       leat_error *error)
{
    char name[LEAT_CONTROL_NAME_SIZE];
    leat_control_put put;
    const leat_config_shard *shard = shard_of(on, at, error);
    if (!shard)
        return -1;
    wish->table = at->table;
    wish->what = at->what;
    if (leat_shard_put_control(leat_assembly_address(shard), on->source.id, wish, &put, error) != 0)
        return leat_fail_prefix(error, "shard %s", shard->name);
    leat_control_name(at->table, at->what, name, sizeof name);
    printf("control %" PRId64 ": records of %s are %s in shard %s until %s%s; every process "
           "follows within two seconds\n",
           put.id, name, wish->holds ? "held" : "skipped", shard->name, put.until,
           put.was_there ? ", its end has changed" : "");
    return 0;
}

static int block(leat_ground *on, const leat_options *options, leat_error *error)
{
    leat_control_wish wish;
    target at = {.table = NULL};
    if (leat_ground_read(on, error) != 0 || find_target(on, options, &at, error) != 0 ||
        read_wish(options, &wish, error) != 0)
        return -1;
    return put_control(on, &at, &wish, error);
}

/* ---- leat control unblock ---- */

/* A control of a tenant holds for its keys: one key cannot be taken out of it. */
static int check_not_its_tenants(const leat_ground *on, const leat_config_shard *shard,
                                 const leat_options *options, const target *at, leat_error *error)
{
    leat_control_set *set;
    const leat_route *route = options->key ? leat_ground_find_route(on, options, error) : NULL;
    if (!route || route->tenant_key_position < 0)
        return 0;
    if (leat_shard_read_controls(leat_assembly_address(shard), on->source.id, &set, error) != 0)
        return -1;
    int status = 0;
    leat_slice tenant = leat_route_tenant(route, leat_slice_of(at->what));
    for (uint32_t i = 0; status == 0 && i < leat_control_set_count(set); i++) {
        const leat_control *control = leat_control_set_at(set, i);
        if (!control->table && leat_slice_is(tenant, control->what))
            status = leat_fail(error,
                               "key %s is %s with its tenant until %s (control %" PRId64
                               "): nothing was changed; `leat control unblock --tenant %s` ends it",
                               at->what, control->holds ? "held" : "skipped", control->until,
                               control->id, control->what);
    }
    leat_control_set_drop(set);
    return status;
}

static int unblock(leat_ground *on, const leat_options *options, leat_error *error)
{
    target at = {.table = NULL};
    char name[LEAT_CONTROL_NAME_SIZE];
    bool was_there;
    if (leat_ground_read(on, error) != 0 || find_target(on, options, &at, error) != 0)
        return -1;
    const leat_config_shard *shard = shard_of(on, &at, error);
    if (!shard)
        return -1;
    leat_control_name(at.table, at.what, name, sizeof name);
    if (check_not_its_tenants(on, shard, options, &at, error) != 0 ||
        leat_shard_remove_control(leat_assembly_address(shard), on->source.id, at.table, at.what,
                                  &was_there, error) != 0)
        return leat_fail_prefix(error, "shard %s", shard->name);
    if (!was_there)
        return leat_fail(error, "shard %s: there is no control of %s", shard->name, name);
    printf("records of %s are applied again in shard %s\n", name, shard->name);
    return 0;
}

/* ---- leat control list ---- */

static uint32_t print_set(const char *shard, const leat_control_set *set, bool json)
{
    for (uint32_t i = 0; i < leat_control_set_count(set); i++) {
        const leat_control *control = leat_control_set_at(set, i);
        if (json)
            leat_control_print_json(shard, control);
        else
            leat_control_print(shard, control);
    }
    return leat_control_set_count(set);
}

static int read_one(const leat_config_shard *shard, const char *topic, leat_control_set **ret,
                    leat_error *error)
{
    leat_source source;
    leat_layout *layout = leat_must_calloc(1, sizeof *layout);
    leat_shard_address at = leat_assembly_address(shard);
    int found = leat_shard_read_source(at, topic, &source, layout, error);
    free(layout);
    if (found == 1)
        return leat_fail(error, "it was not set up for topic %s: run `leat init` first", topic);
    return found == 0 ? leat_shard_read_controls(at, source.id, ret, error) : -1;
}

static int list(leat_ground *on, const leat_options *options, leat_error *error)
{
    const leat_config *config = &on->assembly.config;
    uint32_t count = 0, failed = 0;
    if (options->shard && !leat_assembly_find_shard(&on->assembly, options->shard))
        return leat_fail(error, "--shard: %s has no shard %s", config->file, options->shard);
    for (uint32_t i = 0; i < config->shard_count; i++) {
        leat_control_set *set = NULL;
        const leat_config_shard *shard = &config->shards[i];
        if (options->shard && strcmp(options->shard, shard->name) != 0)
            continue;
        if (read_one(shard, leat_config_topic(config), &set, error) == 0) {
            count += print_set(shard->name, set, options->json);
            leat_control_set_drop(set);
            continue;
        }
        fflush(stdout);
        leat_print_error("leat control list: shard %s: %s", shard->name, error->text);
        failed++;
    }
    if (count == 0 && !options->json)
        printf("no controls%s\n", failed > 0 ? " in the shards that answered" : "");
    return failed > 0 ? LEAT_EXIT_FAILED : LEAT_EXIT_OK;
}

/* ---- the commands ---- */

/* What is wrong with the command line or the configuration is known before anybody is asked. `use`
 * returns an exit code, or -1 with a message. */
static int run(const char *name, const leat_options *options, bool names_target,
               int (*use)(leat_ground *on, const leat_options *options, leat_error *error))
{
    leat_ground *on = leat_must_calloc(1, sizeof *on);
    leat_error error = {0};
    leat_control_wish wish;
    int code = LEAT_EXIT_USAGE;
    bool is_fine = leat_ground_load(on, options, &error) == 0 &&
                   (!names_target || check_usage(options, &error) == 0) &&
                   (use != block || read_wish(options, &wish, &error) == 0);
    int status = is_fine ? use(on, options, &error) : -1;
    if (status < 0) {
        fflush(stdout);
        leat_print_error("leat %s: %s", name, error.text);
        code = is_fine ? LEAT_EXIT_FAILED : LEAT_EXIT_USAGE;
    } else {
        code = status;
    }
    leat_ground_free(on);
    free(on);
    return code;
}

int leat_command_control_block(const leat_options *options)
{
    return run("control block", options, true, block);
}

int leat_command_control_unblock(const leat_options *options)
{
    return run("control unblock", options, true, unblock);
}

int leat_command_control_list(const leat_options *options)
{
    return run("control list", options, false, list);
}
