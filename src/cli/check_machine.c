/*
 * check_machine.c - checks of what this machine and the configuration file say, before anything
 * else is asked. They need nobody's answer, so they come first in the list.
 */
#include "cli/check.h"

#include <inttypes.h>

static void check_configuration(leat_examination *about, uint32_t shard, leat_finding *ret)
{
    (void)shard;
    const leat_config *config = &about->assembly->config;
    leat_finding_set(ret, LEAT_CHECK_OK, "%s, %" PRIu32 " shards, %" PRIu32 " routes", config->file,
                     config->shard_count, config->route_count);
}

static const leat_check rows[] = {
    {"configuration", LEAT_ABOUT_PROCESS, LEAT_NEEDS_NOTHING, check_configuration, "", ""},
};

const leat_check_list leat_checks_of_machine = {rows, sizeof rows / sizeof *rows};
