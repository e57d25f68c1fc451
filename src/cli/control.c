/*
 * control.c - leat control block, unblock and list: the lever for the night when one tenant or one
 * row harms all others. A command needs the configuration and the shard that the tenant or row
 * belongs to: which one that is, and how a key is spelled, any shard that answers can say. It needs
 * neither the log nor data_dir. What cannot be understood changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "cli/commands.h"
#include "cli/control.h"
#include "cli/wish.h"
#include "daemon/control_put.h"

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

static int list(leat_ground *on, const leat_options *options, leat_error *error)
{
    const leat_config *config = &on->assembly->config;
    uint32_t count = 0, failed = 0;
    if (options->shard && !leat_config_find_shard(config, leat_slice_of(options->shard)))
        return leat_fail(error, "--shard: %s has no shard %s", config->file, options->shard);
    for (uint32_t i = 0; i < config->shard_count; i++) {
        leat_control_set *set = NULL;
        const leat_config_shard *shard = &config->shards[i];
        if (options->shard && strcmp(options->shard, shard->name) != 0)
            continue;
        if (leat_control_read(on->assembly, shard, &set, error) == 0) {
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

/* ---- leat control block, unblock ---- */

static int change(leat_ground *on, const leat_options *options, leat_error *error,
                  int (*use)(const leat_ground *on, const leat_wish *wish, leat_buf *ret_said,
                             leat_error *error))
{
    leat_buf said = {0};
    leat_wish wish = leat_wish_of(options);
    int status = leat_ground_read(on, error) == 0 ? use(on, &wish, &said, error) : -1;
    if (status == 0)
        puts(leat_buf_cstr(&said));
    leat_buf_free(&said);
    return status == 0 ? 0 : -1;
}

static int block(leat_ground *on, const leat_options *options, leat_error *error)
{
    return change(on, options, error, leat_control_block);
}

static int unblock(leat_ground *on, const leat_options *options, leat_error *error)
{
    return change(on, options, error, leat_control_unblock);
}

/* ---- the commands ---- */

/* What is wrong with the command line or the configuration is known before anybody is asked. `use`
 * returns an exit code, or -1 with a message. */
static int run(const char *name, const leat_options *options, bool names_target,
               int (*use)(leat_ground *on, const leat_options *options, leat_error *error))
{
    leat_assembly *assembly = leat_must_calloc(1, sizeof *assembly);
    leat_ground *on = leat_must_calloc(1, sizeof *on);
    leat_error error = {0};
    leat_control_wish control;
    leat_wish wish = leat_wish_of(options);
    on->assembly = assembly;
    bool is_fine = leat_wish_load(options, assembly, &error) == 0 &&
                   (!names_target || leat_control_check(&wish, &error) == 0) &&
                   (use != block || leat_control_read_wish(&wish, &control, &error) == 0);
    int code = is_fine ? use(on, options, &error) : -1;
    if (code < 0) {
        fflush(stdout);
        leat_print_error("leat %s: %s", name, error.text);
        code = is_fine ? LEAT_EXIT_FAILED : LEAT_EXIT_USAGE;
    }
    leat_ground_free(on);
    free(on);
    leat_assembly_fini(assembly);
    free(assembly);
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
