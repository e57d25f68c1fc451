/*
 * plan_measure.c - leat plan --measure: finds the shard and the table in the configuration, has
 * them measured (sink/measure.h), and makes a line of what came out. What was measured goes to
 * standard error, so that the plan alone is the output.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/plan.h"
#include "cli/wish.h"
#include "sink/measure.h"

static atomic_bool stop;

static void on_signal(int number)
{
    (void)number;
    atomic_store(&stop, true);
}

/* Without a name: the first; as below. */
static const leat_config_shard *find_shard(const leat_config *config, const char *name)
{
    return name ? leat_config_find_shard(config, leat_slice_of(name)) : config->shards;
}

static const leat_config_route *find_route(const leat_config *config, const char *name)
{
    for (uint32_t i = 0; i < config->route_count; i++)
        if (!name || strcmp(config->routes[i].name, name) == 0)
            return &config->routes[i];
    return NULL;
}

static void use(const leat_measurement *measured, const leat_config_shard *shard,
                leat_plan_input *ret)
{
    leat_plan_fit(measured->sizes, measured->batch_us, measured->size_count, &ret->fixed_us,
                  &ret->row_us);
    ret->serial = leat_plan_serial(LEAT_MEASURE_CONNECTIONS, measured->speed_up);
    fprintf(stderr, "measured with %u rows%s, one connection:", measured->copied,
            leat_config_commits_async(shard) ? " and commit: async" : "");
    for (uint32_t i = 0; i < measured->size_count; i++)
        fprintf(stderr, "%s %u in %.2f ms", i ? "," : "", measured->sizes[i],
                measured->batch_us[i] / 1e3);
    fprintf(stderr, "; %d connections are %.2f times as fast\n", LEAT_MEASURE_CONNECTIONS,
            measured->speed_up);
}

static int measure(const leat_config *config, const leat_options *options, leat_plan_input *ret,
                   leat_error *error)
{
    const leat_config_shard *shard = find_shard(config, options->shard);
    const leat_config_route *route = find_route(config, options->route);
    if (!shard || !route) {
        leat_fail(error, "%s has no %s %s", config->file, shard ? "route" : "shard",
                  shard ? options->route : options->shard);
        return LEAT_EXIT_USAGE;
    }
    const char *const labels[] = {route->table};
    leat_table *table = leat_must_calloc(1, sizeof *table);
    leat_measurement measured;
    leat_shard_address at = leat_assembly_address(shard);
    int status = leat_shard_read_tables(at, labels, 1, table, error) < 0 ? -1 : 0;
    if (status == 0) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        status = leat_measure(at, table, leat_config_commits_async(shard), &stop, &measured, error);
    }
    if (status == 0) {
        use(&measured, shard, ret);
        ret->shards = config->shard_count;
        ret->records_max = (double)config->records_max;
        ret->memory_max = (double)config->memory_max;
    } else {
        leat_fail_prefix(error, "shard %s", shard->name);
    }
    leat_table_fini(table);
    free(table);
    return status == 0 ? LEAT_EXIT_OK : LEAT_EXIT_FAILED;
}

int leat_plan_measure(const leat_options *options, leat_plan_input *ret, leat_error *error)
{
    leat_assembly assembly = {0};
    int code = LEAT_EXIT_USAGE;
    if (leat_wish_load(options, &assembly, error) == 0)
        code = measure(&assembly.config, options, ret, error);
    leat_assembly_fini(&assembly);
    return code;
}
