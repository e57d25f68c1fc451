/*
 * control_put.c - which tenant or row is meant, in which shard it is, and the control there. How a
 * key is spelled and which shard it belongs to, any shard that answers can say (ground.h).
 */
#include "daemon/control_put.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/text.h"
#include "engine/batch.h"

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
    const leat_config_shard *shard =
        leat_config_find_shard(&on->assembly->config, leat_slice_of(name));
    if (!shard)
        leat_fail(error, "it belongs to shard %s, which %s does not have", name,
                  on->assembly->config.file);
    return shard;
}

/* ---- what it is about ---- */

static void set_what(target *ret, const leat_key *key)
{
    memcpy(ret->what, key->canonical, key->canonical_size);
    ret->what[key->canonical_size] = '\0';
}

static int find_key(const leat_ground *on, const leat_wish *wish, target *ret, leat_error *error)
{
    leat_key key;
    const leat_route *route = leat_ground_find_route(on, wish, error);
    if (!route)
        return -1;
    if (leat_key_decode(route, leat_slice_of(wish->key), &key, error) != 0)
        return leat_fail_prefix(error, "%skey: it is no key of table %s", wish->dashes,
                                route->table->label);
    set_what(ret, &key);
    ret->table = route->table->label;
    ret->shard = leat_layout_shard_of_key(&on->layout, route, &key);
    return 0;
}

static int fail_ambiguous(const leat_wish *wish, const target *one, const target *other,
                          leat_error *error)
{
    char name[LEAT_CONTROL_NAME_SIZE], other_name[LEAT_CONTROL_NAME_SIZE];
    leat_control_name(NULL, one->what, name, sizeof name);
    leat_control_name(NULL, other->what, other_name, sizeof other_name);
    return leat_fail(error,
                     "%stenant: it is %s for one route and %s for another: write the form that is "
                     "meant in full",
                     wish->dashes, name, other_name);
}

/* A tenant is one text in all routes: where two spell it in two ways, it is two tenants, and which
 * one is meant must be known. */
static int find_tenant(const leat_ground *on, const leat_wish *wish, target *ret, leat_error *error)
{
    const leat_routes *routes = &on->version->routes;
    leat_error why = {"no route has a tenant (routes[].tenant)"};
    bool found = false;
    for (uint32_t i = 0; i < routes->count; i++) {
        leat_key key;
        target other = {.table = NULL};
        if (routes->routes[i].tenant_key_position < 0 ||
            leat_key_decode_tenant(&routes->routes[i], leat_slice_of(wish->tenant), &key, &why) !=
                0)
            continue;
        set_what(&other, &key);
        if (found && strcmp(ret->what, other.what) != 0)
            return fail_ambiguous(wish, ret, &other, error);
        other.shard = leat_layout_shard_of_tenant(&on->layout,
                                                  (leat_slice){key.canonical, key.canonical_size});
        *ret = other;
        found = true;
    }
    if (found)
        return 0;
    char name[LEAT_CONTROL_NAME_SIZE];
    leat_control_name(NULL, wish->tenant, name, sizeof name);
    return leat_fail(error, "%stenant: there is no %s: %s", wish->dashes, name, why.text);
}

int leat_control_check(const leat_wish *wish, leat_error *error)
{
    if (!wish->tenant == !wish->key)
        return leat_fail(error, "give one of %stenant and %skey", wish->dashes, wish->dashes);
    if (wish->tenant && (wish->table || wish->route))
        return leat_fail(error,
                         "%stenant is a tenant of all tables: %stable and %sroute belong to %skey",
                         wish->dashes, wish->dashes, wish->dashes, wish->dashes);
    if (wish->table && wish->route)
        return leat_fail(error, "%stable and %sroute exclude each other", wish->dashes,
                         wish->dashes);
    return 0;
}

static int find_target(const leat_ground *on, const leat_wish *wish, target *ret, leat_error *error)
{
    return wish->key ? find_key(on, wish, ret, error) : find_tenant(on, wish, ret, error);
}

/* ---- for how long, and how ---- */

static int read_times(const leat_wish *wish, leat_control_wish *ret, leat_error *error)
{
    if (!wish->duration)
        return leat_fail(error, "%sfor is needed: a control must end by itself", wish->dashes);
    if (!leat_text_number(wish->duration, LEAT_UNIT_MS, &ret->for_ms) || ret->for_ms < 1000 ||
        ret->for_ms > FOR_MAX_MS)
        return leat_fail(error, "%sfor must be from 1s to 744h (%s), not %s", wish->dashes,
                         leat_text_number_form(LEAT_UNIT_MS), wish->duration);
    return 0;
}

int leat_control_read_wish(const leat_wish *wish, leat_control_wish *ret, leat_error *error)
{
    int64_t keep = KEEP_DEFAULT;
    if (read_times(wish, ret, error) != 0)
        return -1;
    if (wish->keep && (!leat_text_number(wish->keep, LEAT_UNIT_ONE, &keep) || keep < 0 ||
                       keep > LEAT_CONTROL_KEEP_MAX))
        return leat_fail(error, "%skeep must be a number from 0 to %d, not %s", wish->dashes,
                         LEAT_CONTROL_KEEP_MAX, wish->keep);
    if (wish->hold && wish->keep)
        return leat_fail(error, "%skeep is for records that are skipped: %shold keeps all of them",
                         wish->dashes, wish->dashes);
    ret->holds = wish->hold;
    ret->keep = wish->hold ? 0 : (uint32_t)keep;
    ret->reason = wish->reason ? wish->reason : "";
    if (strlen(ret->reason) > LEAT_CONTROL_REASON_MAX)
        return leat_fail(error, "%sreason is longer than %d bytes", wish->dashes,
                         LEAT_CONTROL_REASON_MAX);
    return 0;
}

/* ---- the control of a key's tenant ---- */

static const char *done_by(const leat_control *control)
{
    return control->holds ? "held" : "skipped";
}

/* The control that a key comes under where it has none of its own; NULL: there is none. It is of
 * the set, which is to be dropped. */
static int find_its_tenants(const leat_ground *on, const leat_config_shard *shard,
                            const leat_wish *wish, const target *at, leat_control_set **ret_set,
                            const leat_control **ret, leat_error *error)
{
    const leat_route *route = wish->key ? leat_ground_find_route(on, wish, error) : NULL;
    *ret_set = NULL;
    *ret = NULL;
    if (!route || route->tenant_key_position < 0)
        return 0;
    if (leat_shard_read_controls(leat_assembly_address(shard), on->source.id, ret_set, error) != 0)
        return -1;
    leat_slice tenant = leat_route_tenant(route, leat_slice_of(at->what));
    *ret = leat_control_set_find_tenant(*ret_set, tenant, leat_mono_us());
    return 0;
}

/* `advice`: about the tenant. It stands behind names, which are cut where they leave no room. */
static void fail_with_tenants(const target *at, const leat_control *tenants, const char *advice,
                              leat_error *error)
{
    char name[LEAT_CONTROL_NAME_SIZE], tenant[LEAT_CONTROL_NAME_SIZE];
    leat_control_name(at->table, at->what, name, sizeof name);
    leat_control_name(NULL, tenants->what, tenant, sizeof tenant);
    leat_fail(error,
              "%s is %s with its tenant until %s (control %" PRId64
              "): nothing was changed; unblock %s %s",
              name, done_by(tenants), tenants->until, tenants->id, tenant, advice);
}

/* A row of a tenant that is held is not skipped by a slip, nor the reverse. 1: it would be. */
static int check_against_tenants(const leat_ground *on, const leat_config_shard *shard,
                                 const leat_wish *wish, const target *at,
                                 const leat_control_wish *control, leat_error *error)
{
    leat_control_set *set;
    const leat_control *tenants;
    int status = find_its_tenants(on, shard, wish, at, &set, &tenants, error);
    if (tenants && tenants->holds != control->holds) {
        status = 1;
        fail_with_tenants(at, tenants,
                          "first, then its records are applied until it is blocked again", error);
    }
    leat_control_set_drop(set);
    return status;
}

/* ---- in effect ---- */

static int put(const leat_ground *on, const leat_config_shard *shard, const target *at,
               const leat_control_wish *control, leat_buf *ret_said, leat_error *error)
{
    leat_control_put put;
    char name[LEAT_CONTROL_NAME_SIZE];
    if (leat_shard_put_control(leat_assembly_address(shard), on->source.id, control, &put, error) !=
        0)
        return -1;
    leat_control_name(at->table, at->what, name, sizeof name);
    if (put.is_other) {
        leat_fail(error,
                  "%s is %s until %s (control %" PRId64
                  "): nothing was changed; unblock it first, then its records are applied until it "
                  "is blocked again",
                  name, control->holds ? "skipped" : "held", put.until, put.id);
        return 1;
    }
    leat_buf_printf(ret_said,
                    "control %" PRId64
                    ": records of %s are %s in shard %s until %s%s; every process "
                    "follows within two seconds",
                    put.id, name, control->holds ? "held" : "skipped", shard->name, put.until,
                    put.was_there ? ", its end has changed" : "");
    if (control->holds)
        leat_buf_printf(
            ret_said,
            ". At most %d rows of a partition are held, %d of them in one subpartition: "
            "beyond that its records wait",
            LEAT_HELD_KEYS_MAX, LEAT_HELD_KEYS_EACH_MAX);
    return 0;
}

int leat_control_block(const leat_ground *on, const leat_wish *wish, leat_buf *ret_said,
                       leat_error *error)
{
    leat_control_wish control;
    target at = {.table = NULL};
    if (find_target(on, wish, &at, error) != 0 ||
        leat_control_read_wish(wish, &control, error) != 0)
        return 1;
    const leat_config_shard *shard = shard_of(on, &at, error);
    if (!shard)
        return 1;
    control.table = at.table;
    control.what = at.what;
    int status = check_against_tenants(on, shard, wish, &at, &control, error);
    if (status == 0)
        status = put(on, shard, &at, &control, ret_said, error);
    if (status != 0)
        leat_fail_prefix(error, "shard %s", shard->name);
    return status;
}

/* ---- not any more ---- */

static void say_removed(const leat_config_shard *shard, const char *name,
                        const leat_control *tenants, leat_buf *ret_said)
{
    if (tenants)
        leat_buf_printf(ret_said,
                        "the control of %s is removed in shard %s; its records are still %s with "
                        "its tenant until %s (control %" PRId64 ")",
                        name, shard->name, done_by(tenants), tenants->until, tenants->id);
    else
        leat_buf_printf(ret_said, "records of %s are applied again in shard %s", name, shard->name);
}

/* `tenants`: the control that the key comes under without its own; NULL: there is none. */
static int fail_to_remove(const target *at, const char *name, const leat_control *tenants,
                          leat_error *error)
{
    if (tenants)
        fail_with_tenants(at, tenants, "to end that", error);
    else
        leat_fail(error, "there is no control of %s", name);
    return 1;
}

int leat_control_unblock(const leat_ground *on, const leat_wish *wish, leat_buf *ret_said,
                         leat_error *error)
{
    target at = {.table = NULL};
    char name[LEAT_CONTROL_NAME_SIZE];
    bool was_there = false;
    leat_control_set *set;
    const leat_control *tenants;
    if (find_target(on, wish, &at, error) != 0)
        return 1;
    const leat_config_shard *shard = shard_of(on, &at, error);
    if (!shard)
        return 1;
    leat_control_name(at.table, at.what, name, sizeof name);
    int status = find_its_tenants(on, shard, wish, &at, &set, &tenants, error);
    if (status == 0)
        status = leat_shard_remove_control(leat_assembly_address(shard), on->source.id, at.table,
                                           at.what, &was_there, error);
    if (status == 0 && !was_there)
        status = fail_to_remove(&at, name, tenants, error);
    if (status == 0)
        say_removed(shard, name, tenants, ret_said);
    else
        leat_fail_prefix(error, "shard %s", shard->name);
    leat_control_set_drop(set);
    return status;
}

/* ---- what there is ---- */

int leat_control_read(const leat_assembly *assembly, const leat_config_shard *shard,
                      leat_control_set **ret, leat_error *error)
{
    leat_source source;
    const char *topic = leat_config_topic(&assembly->config);
    leat_layout *layout = leat_must_calloc(1, sizeof *layout);
    leat_shard_address at = leat_assembly_address(shard);
    int found = leat_shard_read_source(at, topic, &source, layout, error);
    free(layout);
    if (found == 1)
        return leat_fail(error, "it was not set up for topic %s: run `leat init` first", topic);
    return found == 0 ? leat_shard_read_controls(at, source.id, ret, error) : -1;
}
