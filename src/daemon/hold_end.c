/*
 * hold_end.c - takes each held row of a shard in turn and gives what is kept of it to the sink,
 * which does the rest in transactions of its own. Controls are read again while that goes on: a
 * person may add one meanwhile.
 */
#include "daemon/hold_end.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "daemon/shard_tables.h"
#include "daemon/start_catalog.h"

enum { ALL = 1000000, KEY_WIDTH = 200, CONTROLS_EVERY_US = 1000000 };

/* ---- in words ---- */

static void say(leat_hold_end *end, leat_buf *text)
{
    const char *sentence = leat_buf_cstr(text);
    end->hooks.say(end, sentence ? sentence : "");
    leat_buf_free(text);
}

/* "key 7/1 of public.things". */
static void put_name(leat_buf *out, const leat_shard_held_key *key)
{
    leat_buf_text(out, "key ");
    leat_buf_printable(out, (leat_slice){key->key, key->key_size}, KEY_WIDTH, false);
    leat_buf_printf(out, " of %s", key->table);
}

static void say_result(leat_hold_end *end, const leat_shard_held_key *key,
                       const leat_held_result *result)
{
    leat_buf text = {0};
    put_name(&text, key);
    leat_buf_printf(&text, ": %" PRIu64 " record%s %s", result->done, result->done == 1 ? "" : "s",
                    end->discard ? "given up" : "applied");
    if (!result->is_held) {
        leat_buf_text(&text, ", no longer held");
    } else if (result->refused) {
        leat_buf_printf(&text,
                        "; held, as offset %" PRId64 " is refused (%s): ", result->refused_offset,
                        result->reason.sqlstate[0] ? result->reason.sqlstate : "by leat");
        leat_buf_printable(&text, leat_slice_of(result->reason.message), SIZE_MAX, false);
    } else {
        leat_buf_text(&text, ", still held");
    }
    say(end, &text);
}

/* ---- controls ---- */

typedef struct shard_controls {
    leat_control_set *set; /* NULL: not read yet */
    int64_t read_us;
} shard_controls;

static int follow_controls(const leat_hold_end *end, const leat_config_shard *shard,
                           shard_controls *controls, leat_error *error)
{
    leat_control_set *set;
    int64_t now_us = leat_mono_us();
    if (controls->set && now_us - controls->read_us < CONTROLS_EVERY_US)
        return 0;
    if (leat_shard_read_controls(leat_assembly_address(shard), end->on->source.id, &set, error) !=
        0)
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
static bool is_blocked(leat_hold_end *end, const leat_shard_held_key *key,
                       const leat_routes *routes, const leat_control_set *controls)
{
    const leat_control *control = end->discard ? NULL : find_control(controls, routes, key);
    if (!control)
        return false;
    leat_buf text = {0};
    char words[LEAT_CONTROL_TEXT_SIZE];
    leat_control_describe(control, words, sizeof words);
    put_name(&text, key);
    leat_buf_text(&text, ": not tried, because its records are ");
    leat_buf_printable(&text, leat_slice_of(words), SIZE_MAX, false);
    say(end, &text);
    end->refused++;
    return true;
}

static void fail(leat_hold_end *end, const leat_config_shard *shard, const leat_error *error)
{
    end->failed++;
    end->hooks.fail(end, shard->name, error);
}

/* ---- rows ---- */

static void end_key(leat_hold_end *end, const leat_config_shard *shard,
                    const leat_shard_held_key *key, const leat_schema_version *version,
                    shard_controls *controls)
{
    leat_error error;
    leat_held_result result;
    leat_held_work work = {.key = key,
                           .routes = &version->routes,
                           .placement = &end->on->source.placement,
                           .discard = end->discard,
                           .most = end->discard ? end->most : 0};
    if (follow_controls(end, shard, controls, &error) != 0) {
        fail(end, shard, &error);
        return;
    }
    if (is_blocked(end, key, &version->routes, controls->set))
        return;
    int status = leat_shard_end_hold(leat_assembly_address(shard), &work, &result, &error);
    if (status == 0 || result.done > 0)
        say_result(end, key, &result);
    if (status != 0)
        fail(end, shard, &error);
    end->refused += result.refused;
}

static void end_keys(leat_hold_end *end, const leat_config_shard *shard, const leat_held_keys *keys,
                     const leat_schema_version *version)
{
    shard_controls controls = {0};
    for (uint32_t i = 0; i < keys->count; i++) {
        if (end->hooks.is_over && end->hooks.is_over(end))
            break;
        end_key(end, shard, &keys->keys[i], version, &controls);
    }
    leat_control_set_drop(controls.set);
}

/* Row statements are those of this shard's tables as they are now. */
static int read_version(leat_hold_end *end, leat_shard_address at, leat_schema_version **ret,
                        leat_error *error)
{
    leat_table *tables = NULL;
    uint32_t count = 0;
    if (leat_assembly_read_tables(end->on->assembly, at, &tables, &count, error) != 0)
        return -1;
    *ret = leat_assembly_build_version(end->on->assembly, tables, count, error);
    return *ret ? 0 : -1;
}

static int end_in_shard(leat_hold_end *end, const leat_config_shard *shard, leat_error *error)
{
    leat_held_keys keys;
    leat_schema_version *version = NULL;
    leat_shard_address at = leat_assembly_address(shard);
    leat_held_query query = {.topic = leat_config_topic(&end->on->assembly->config),
                             .table = end->table,
                             .key = {end->key.canonical, end->table ? end->key.canonical_size : 0},
                             .limit = ALL};
    int status = leat_shard_held_keys(at, &query, &keys, error);
    end->seen += keys.count;
    if (status == 0 && keys.count > 0)
        status = read_version(end, at, &version, error);
    if (version)
        end_keys(end, shard, &keys, version);
    leat_schema_version_free(version);
    leat_held_keys_fini(&keys);
    return status;
}

void leat_hold_end_shard(leat_hold_end *end, const leat_config_shard *shard)
{
    leat_error error;
    if (end_in_shard(end, shard, &error) != 0)
        fail(end, shard, &error);
}

int leat_hold_end_find(leat_hold_end *end, const leat_wish *wish, leat_error *error)
{
    end->table = NULL;
    if (!wish->key)
        return 0;
    const leat_route *route = leat_ground_find_route(end->on, wish, error);
    if (!route)
        return -1;
    if (leat_key_decode(route, leat_slice_of(wish->key), &end->key, error) != 0)
        return leat_fail_prefix(error, "%skey: it is no key of table %s", wish->dashes,
                                route->table->label);
    end->table = route->table;
    return 0;
}
