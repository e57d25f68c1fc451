/*
 * check_schema.c - checks inside a shard: leat's own schema, the tables of the routes, and the
 * privileges for both. A shard is compared with those before it in the configuration, so one
 * difference is one finding and not one for each pair.
 */
#include "cli/check.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "daemon/log_identity.h"
#include "daemon/place_source.h"
#include "daemon/shard_tables.h"
#include "daemon/start_catalog.h"
#include "daemon/tenant_file.h"
#include "sink/modes.h"

/* Against the source and layout that `leat init` would store now. */
static int compare_source(leat_examination *about, const leat_source *stored,
                          const leat_layout *layout, leat_error *error)
{
    leat_source running;
    leat_layout even;
    if (leat_assembly_running_source(about->assembly, &running, &even, error) != 0)
        return -1;
    if (leat_shard_check_source(stored, layout, &running, &even, error) != 0)
        return -1;
    /* The routes of the checks after this one are built for it. */
    about->assembly->catalog.source.placement = stored->placement;
    return leat_assembly_check_placement(about->assembly, &stored->placement, error);
}

/* Compared with the shards before it; the others have not been read yet. */
static void check_own(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    leat_error error = {0};
    const char *names[LEAT_SHARDS_MAX];
    const leat_assembly *assembly = about->assembly;
    leat_assembly_shard_names(assembly, names);
    if (leat_shard_read_self(leat_examined_address(about, shard), assembly->log.topic,
                             &about->selves[shard], &error) != 0 ||
        leat_shard_check_self(names, about->selves, assembly->config.shard_count, shard, &error) !=
            0)
        leat_finding_set_error(ret, &error);
    else
        leat_finding_set(ret, LEAT_CHECK_OK, "%s%s", about->selves[shard].where,
                         *about->selves[shard].shard ? ", set up for this shard"
                                                     : ", not set up yet");
}

static void check_schema(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    leat_error error = {0};
    leat_source stored;
    leat_layout layout;
    const char *topic = about->assembly->log.topic;
    int found = leat_shard_read_source(leat_examined_address(about, shard), topic, &stored, &layout,
                                       &error);
    if (found == 1 && leat_examined_shard(about, shard)->sqlite)
        leat_finding_set(ret, LEAT_CHECK_OK, "not set up for the log yet: `leat run` does it");
    else if (found == 1)
        leat_finding_set(ret, LEAT_CHECK_FAILED, "it knows nothing of %s %s",
                         about->assembly->config.local_path ? "the log" : "topic", topic);
    else if (found != 0 ||
             (about->has_topic && compare_source(about, &stored, &layout, &error) != 0))
        leat_finding_set_error(ret, &error);
    else
        leat_finding_set(ret, LEAT_CHECK_OK, "%s",
                         about->has_topic
                             ? "as the configuration and the log want it"
                             : "it exists; not compared with the log, which is not known");
}

static void check_tables(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    leat_assembly *assembly = about->assembly;
    leat_error error = {0};
    leat_table *tables = NULL;
    uint32_t count = 0;
    if (leat_assembly_read_tables(assembly, leat_examined_address(about, shard), &tables, &count,
                                  &error) == 0)
        assembly->versions[shard] = leat_assembly_build_version(assembly, tables, count, &error);
    if (assembly->versions[shard])
        leat_finding_set(ret, LEAT_CHECK_OK, "%" PRIu32 " tables fit the routes", count);
    else
        leat_finding_set_error(ret, &error);
}

static void check_alike(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    leat_error error = {0};
    uint32_t first = 0;
    /* This ends: the check needs tables, so at least this shard has a version. */
    while (!about->assembly->versions[first])
        first++;
    const leat_schema_version *model = about->assembly->versions[first];
    const char *name = leat_examined_shard(about, first)->name;
    if (leat_assembly_compare_tables(about->assembly, leat_examined_shard(about, shard)->name,
                                     about->assembly->versions[shard]->tables, name, model->tables,
                                     model->table_count, &error) != 0)
        leat_finding_set_error(ret, &error);
    else
        leat_finding_set(ret, LEAT_CHECK_OK, "as in shard %s%s", name,
                         first == shard ? ", itself" : "");
}

static int compare_tenants(leat_examination *about, uint32_t shard, uint32_t *ret_count,
                           leat_error *error)
{
    leat_source source;
    leat_layout layout;
    leat_tenant_map *stored = NULL, *configured = NULL;
    const leat_assembly *assembly = about->assembly;
    leat_shard_address at = leat_examined_address(about, shard);
    int status = leat_shard_read_source(at, assembly->log.topic, &source, &layout, error);
    if (status == 0)
        status = leat_shard_read_tenants(at, assembly->log.topic, &layout, &stored, error);
    if (status == 0)
        status = leat_assembly_read_tenant_file(assembly, &assembly->versions[shard]->routes,
                                                &configured, error);
    if (status == 0)
        status = leat_assembly_check_tenants(assembly, stored, configured, error);
    *ret_count = stored ? leat_tenant_map_count(stored) : 0;
    leat_tenant_map_free(stored);
    leat_tenant_map_free(configured);
    return status;
}

static void check_tenants(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    leat_error error = {0};
    uint32_t count = 0;
    int status = compare_tenants(about, shard, &count, &error);
    if (status == 1)
        leat_finding_set(ret, LEAT_CHECK_SKIPPED, "not set up yet");
    else if (status != 0)
        leat_finding_set_error(ret, &error);
    else
        leat_finding_set(ret, LEAT_CHECK_OK, "%" PRIu32 " tenants have a shard of their own",
                         count);
}

static void check_privileges(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    leat_error error = {0};
    leat_buf missing = {0}, grants = {0};
    const leat_schema_version *version = about->assembly->versions[shard];
    const char *role = about->servers[shard].role;
    if (leat_shard_missing_privileges(leat_examined_address(about, shard), version->tables,
                                      version->table_count,
                                      leat_config_commits_async(leat_examined_shard(about, shard)),
                                      &missing, &grants, &error) != 0) {
        leat_finding_set_error(ret, &error);
    } else if (missing.size > 0) {
        leat_finding_set(ret, LEAT_CHECK_FAILED, "role %s lacks %s", role, leat_buf_cstr(&missing));
        /* Ready to copy, with the role's name in it. */
        ret->exact = leat_must_strdup(leat_buf_cstr(&grants));
    } else {
        leat_finding_set(ret, LEAT_CHECK_OK, "role %s has all that leat needs", role);
    }
    leat_buf_free(&missing);
    leat_buf_free(&grants);
}

/* What may be parked of one partition. */
static int64_t parked_share(const leat_examination *about, uint32_t shard, uint32_t partitions)
{
    return leat_examined_shard(about, shard)->parked_max / (partitions > 0 ? partitions : 1);
}

static void check_parked(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    leat_error error = {0};
    leat_shard_partition *parts = NULL;
    uint32_t count = 0;
    int64_t records = 0, bytes = 0, most = 0;
    if (leat_shard_read_progress(leat_examined_address(about, shard), about->assembly->log.topic,
                                 &parts, &count, &error) != 0) {
        leat_finding_set(ret, LEAT_CHECK_SKIPPED, "needs schema leat"); /* which is another check */
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        records += parts[i].parked;
        bytes += parts[i].parked_bytes;
        most = parts[i].parked_bytes > most ? parts[i].parked_bytes : most;
    }
    free(parts);
    int64_t share = parked_share(about, shard, count);
    bool is_much = records > 0 && most > share / 2;
    leat_finding_set(ret, is_much ? LEAT_CHECK_WARNING : LEAT_CHECK_OK,
                     "%" PRId64 " records are parked, in %" PRId64
                     " bytes; the fullest partition has %" PRId64 " of its %" PRId64 " bytes",
                     records, bytes, most, share);
}

/* Has anybody said which way the writes of this route go? */
static bool is_said(const leat_mode_rows *rows, const char *route)
{
    for (uint32_t i = 0; i < rows->count; i++)
        if (strcmp(rows->rows[i].route, route) == 0)
            return rows->rows[i].setting.version > 0;
    return false;
}

static void find_unsaid(const leat_config *config, const leat_mode_rows *rows, leat_finding *ret)
{
    leat_buf names = {0}, commands = {0};
    for (uint32_t i = 0; i < config->route_count; i++) {
        const leat_config_route *route = &config->routes[i];
        if (strcmp(route->mode, "live") != 0 || is_said(rows, route->name))
            continue;
        leat_buf_printf(&names, "%s%s", names.size > 0 ? ", " : "", route->name);
        leat_buf_printf(&commands, "%sleat mode set %s sync    # or: async",
                        commands.size > 0 ? "\n" : "", route->name);
    }
    if (names.size > 0) {
        leat_finding_set(ret, LEAT_CHECK_WARNING,
                         "nobody has said which way the writes of these go: %s",
                         leat_buf_cstr(&names));
        ret->exact = leat_must_strdup(leat_buf_cstr(&commands));
    } else {
        leat_finding_set(ret, LEAT_CHECK_OK, "it is known which way the writes of each go");
    }
    leat_buf_free(&names);
    leat_buf_free(&commands);
}

static void check_live_routes(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    leat_error error = {0};
    leat_source source;
    leat_layout layout;
    leat_mode_rows *rows = leat_must_calloc(1, sizeof *rows);
    leat_shard_address at = leat_examined_address(about, shard);
    int status = leat_shard_read_source(at, about->assembly->log.topic, &source, &layout, &error);
    if (status == 0)
        status = leat_shard_read_modes(at, source.id, rows, &error);
    if (status == 1)
        leat_finding_set(ret, LEAT_CHECK_SKIPPED, "not set up yet");
    else if (status != 0)
        leat_finding_set_error(ret, &error);
    else
        find_unsaid(&about->assembly->config, rows, ret);
    free(rows);
}

static const leat_check rows[] = {
    {"own database", LEAT_ABOUT_ANY_SHARD, LEAT_NEEDS_PRIMARY, check_own,
     "a partition belongs to one shard's database permanently: another one does not have its progress",
     "correct the dsn or file of the shards; nothing has to be changed in a database"},
    {"schema leat", LEAT_ABOUT_ANY_SHARD, LEAT_NEEDS_PRIMARY, check_schema,
     "progress is stored there; offsets of another log or layout mean nothing",
     "run `leat init` as the owner of the schema; if it refuses, it names the contradiction"},
    {"tables", LEAT_ABOUT_ANY_SHARD, LEAT_NEEDS_PRIMARY, check_tables,
     "a route that does not fit its table cannot be served",
     "create or alter the table, or correct the route"},
    {"tables alike", LEAT_ABOUT_ANY_SHARD, LEAT_NEEDS_TABLES, check_alike,
     "the edge accepts a write that one of the shards cannot take",
     "run the same migrations in every shard"},
    {"tenant map", LEAT_ABOUT_ANY_SHARD, LEAT_NEEDS_TABLES, check_tenants,
     "a tenant's writes would go to another shard than its rows are in, so a process with another map does not start",
     "correct the file of tenants.map: what is stored counts"},
    {"privileges", LEAT_ABOUT_POSTGRES, LEAT_NEEDS_TABLES, check_privileges,
     "writes that need them wait until they are granted",
     "GRANT them to the role, as docs/operations.md lists them"},
    {"live routes", LEAT_ABOUT_LIVE_ROUTES, LEAT_NEEDS_TABLES, check_live_routes,
     "every write of such a route to this shard is answered 503 until it is said",
     "leat mode set ROUTE sync, or async"},
    {"parked records", LEAT_ABOUT_ANY_SHARD, LEAT_NEEDS_TABLES, check_parked,
     "once its share is used up a partition is read no further, and everything in it waits",
     "end what stalls (`leat status` names it), or the flood: parking only postpones. shards[].parked_max gives more room"},
};

const leat_check_list leat_checks_of_schema = {rows, sizeof rows / sizeof *rows};
