/*
 * tenant_file.c - a file of tenants and shards is read line by line, so that a million of them need
 * no more memory than their map. A line is wrong alone: the message names it. What the shards have
 * stored counts; a file that differs is refused, because a tenant whose shard changed would leave
 * its rows, and the records that wait for them, in the shard where they are.
 */
#include "daemon/tenant_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* A file being read. */
typedef struct reading {
    const leat_assembly *assembly;
    const leat_routes *routes;
    leat_tenant_map *map;
    leat_error *error;
    uint32_t line;
} reading;

static int fail_setting(const leat_assembly *assembly, leat_error *error)
{
    return leat_config_blame(&assembly->config, error, "tenants.map");
}

static int fail_line(const reading *r)
{
    leat_fail_prefix(r->error, "%s:%" PRIu32, r->assembly->config.tenants_map, r->line);
    return fail_setting(r->assembly, r->error);
}

/* ---- a line ---- */

/* The form of the tenant in keys: the same for all routes, or nobody would know which one is
 * meant. */
static int find_form(const reading *r, leat_slice tenant, char ret[LEAT_KEY_BYTES_MAX],
                     size_t *ret_size)
{
    bool found = false;
    for (uint32_t i = 0; i < r->routes->count; i++) {
        leat_key key;
        const leat_route *route = &r->routes->routes[i];
        if (route->tenant_key_position < 0)
            continue;
        if (leat_key_decode_tenant(route, tenant, &key, r->error) != 0)
            return leat_fail_prefix(r->error, "route %s", route->name);
        if (found &&
            (key.canonical_size != *ret_size || memcmp(key.canonical, ret, *ret_size) != 0))
            return leat_fail(r->error,
                             "the tenant has another form in route %s than in those before it",
                             route->name);
        found = true;
        *ret_size = key.canonical_size;
        memcpy(ret, key.canonical, key.canonical_size);
    }
    return found ? 0 : leat_fail(r->error, "no route has a tenant");
}

/* -1: there is none of that name. */
static int find_shard(const reading *r, leat_slice name)
{
    const leat_config *config = &r->assembly->config;
    const leat_config_shard *shard = leat_config_find_shard(config, name);
    if (shard)
        return (int)(shard - config->shards);
    return leat_fail(r->error, "there is no shard \"%.*s\"", name.size > 64 ? 64 : (int)name.size,
                     name.data);
}

static int read_line(reading *r, leat_slice line)
{
    char form[LEAT_KEY_BYTES_MAX];
    size_t size = 0;
    const char *comma = memchr(line.data, ',', line.size);
    if (!comma)
        return leat_fail(r->error, "must be tenant,shard");
    leat_slice tenant = {line.data, (size_t)(comma - line.data)};
    int shard = find_shard(r, (leat_slice){comma + 1, line.size - tenant.size - 1});
    if (shard < 0 || find_form(r, tenant, form, &size) != 0)
        return -1;
    int added = leat_tenant_map_add(r->map, (leat_slice){form, size}, (uint32_t)shard, r->error);
    return added == 1 ? leat_fail(r->error, "the tenant %.*s is there twice",
                                  size > 128 ? 128 : (int)size, form)
                      : added;
}

static leat_slice trim(const char *line, ssize_t size)
{
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
        size--;
    return (leat_slice){line, (size_t)size};
}

/* ---- the file ---- */

static int read_lines(reading *r, FILE *file)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    int status = 0;
    while (status == 0 && (size = getline(&line, &capacity, file)) >= 0) {
        leat_slice text = trim(line, size);
        size_t mark_size = r->line++ == 0 ? leat_utf8_mark_size(text) : 0;
        text = (leat_slice){text.data + mark_size, text.size - mark_size};
        bool is_passed_over = text.size == 0 || text.data[0] == '#' ||
                              (r->line == 1 && leat_slice_is(text, "tenant,shard"));
        if (!is_passed_over && read_line(r, text) != 0)
            status = fail_line(r);
    }
    if (status == 0 && ferror(file)) {
        leat_fail(r->error, "%s: %s", r->assembly->config.tenants_map, strerror(errno));
        status = fail_setting(r->assembly, r->error);
    }
    free(line);
    return status;
}

int leat_assembly_read_tenant_file(const leat_assembly *assembly, const leat_routes *routes,
                                   leat_tenant_map **ret, leat_error *error)
{
    const char *path = assembly->config.tenants_map;
    *ret = NULL;
    if (!path)
        return 0;
    FILE *file = fopen(path, "re");
    if (!file) {
        leat_fail(error, "%s: %s", path, strerror(errno));
        return fail_setting(assembly, error);
    }
    reading r = {assembly, routes, leat_tenant_map_new(), error, 0};
    int status = read_lines(&r, file);
    fclose(file);
    if (status == 0)
        *ret = r.map;
    else
        leat_tenant_map_free(r.map);
    return status;
}

/* ---- the stored map ---- */

static const char *shard_name(const leat_assembly *assembly, int shard)
{
    LEAT_ASSERT(shard < (int)assembly->config.shard_count);
    return shard < 0 ? "the shard of its hash" : assembly->config.shards[shard].name;
}

/* The first tenant of `map` that has another shard in `other`. */
static bool find_difference(const leat_tenant_map *map, const leat_tenant_map *other,
                            leat_slice *ret_tenant, int *ret_shard, int *ret_other)
{
    for (uint32_t i = 0; map && i < leat_tenant_map_count(map); i++) {
        uint32_t shard;
        *ret_tenant = leat_tenant_map_at(map, i, &shard);
        *ret_shard = (int)shard;
        *ret_other = other ? leat_tenant_map_find(other, *ret_tenant) : -1;
        if (*ret_other != *ret_shard)
            return true;
    }
    return false;
}

int leat_assembly_check_tenants(const leat_assembly *assembly, const leat_tenant_map *stored,
                                const leat_tenant_map *configured, leat_error *error)
{
    leat_slice tenant;
    int here, there;
    if (!configured || (!find_difference(configured, stored, &tenant, &here, &there) &&
                        !find_difference(stored, configured, &tenant, &there, &here)))
        return 0;
    leat_fail(error,
              "tenant %.*s: the source was set up for %s, and %s says %s. A tenant's shard "
              "does not change once the source is set up (correct the file, or use a new topic)",
              tenant.size > 128 ? 128 : (int)tenant.size, tenant.data, shard_name(assembly, there),
              assembly->config.tenants_map, shard_name(assembly, here));
    return fail_setting(assembly, error);
}
