/*
 * held.c - leat dead list --held, leat dead retry and leat dead discard: keys whose records wait
 * for a person. They need the configuration and the shards, not the log. A shard or a key that
 * cannot be tried does not keep the others from it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/diag.h"
#include "base/printable.h"
#include "cli/commands.h"
#include "cli/wish.h"
#include "daemon/hold_end.h"
#include "daemon/json.h"

enum { LIMIT_DEFAULT = 100 };

typedef struct held_run {
    const char *name; /* of the command */
    const leat_options *options;
    leat_assembly assembly;
    leat_ground on;
    leat_hold_end end;
} held_run;

static void print_failure(leat_hold_end *end, const char *shard, const leat_error *error)
{
    const held_run *run = end->context;
    fflush(stdout);
    leat_print_error("leat %s: shard %s: %s", run->name, shard, error->text);
}

static void print_sentence(leat_hold_end *end, const char *sentence)
{
    (void)end;
    puts(sentence);
}

/* "key 7/1 of public.things". */
static void print_name(const leat_shard_held_key *key)
{
    leat_buf text = {0};
    leat_buf_printable(&text, (leat_slice){key->key, key->key_size}, SIZE_MAX, false);
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
    if (*key->message) {
        printf("; refused at %s (%s): ", key->at, key->sqlstate ? key->sqlstate : "by leat");
        print_text(key->message);
    } else {
        printf("; not refused since those before it were done with");
    }
    putchar('\n');
}

static void print_key_json(const char *shard, const leat_shard_held_key *key)
{
    yyjson_mut_val *object;
    yyjson_mut_doc *doc = leat_json_new(&object);
    leat_json_add_text(doc, object, "shard", shard);
    leat_json_add_held(doc, object, key);
    leat_json_print(stdout, doc);
}

static void list_shard(held_run *run, const leat_config_shard *shard)
{
    leat_error error;
    leat_held_keys keys;
    const leat_options *options = run->options;
    leat_held_query query = {.topic = leat_config_topic(&run->assembly.config),
                             .limit = options->limit ? options->limit : LIMIT_DEFAULT};
    if (leat_shard_held_keys(leat_assembly_address(shard), &query, &keys, &error) != 0) {
        print_failure(&run->end, shard->name, &error);
        run->end.failed++;
    }
    for (uint32_t i = 0; i < keys.count; i++) {
        if (options->json)
            print_key_json(shard->name, &keys.keys[i]);
        else
            print_key(shard->name, &keys.keys[i]);
    }
    run->end.seen += keys.count;
    leat_held_keys_fini(&keys);
}

/* ---- retry and discard ---- */

static void end_shard(held_run *run, const leat_config_shard *shard)
{
    leat_hold_end_shard(&run->end, shard);
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
    leat_wish wish = leat_wish_of(run->options);
    if (leat_ground_read(&run->on, error) != 0)
        return -1;
    return leat_hold_end_find(&run->end, &wish, error);
}

static void each_shard(held_run *run, void (*use)(held_run *run, const leat_config_shard *shard))
{
    const leat_config *config = &run->assembly.config;
    for (uint32_t i = 0; i < config->shard_count; i++)
        if (!run->options->shard || strcmp(run->options->shard, config->shards[i].name) == 0)
            use(run, &config->shards[i]);
    if (run->end.seen == 0 && !run->options->json)
        printf("%s held%s\n", run->end.table ? "it is not" : "no key is",
               run->end.failed > 0 ? " in the shards that answered" : "");
}

static int exit_code(const held_run *run, bool lists)
{
    if (run->end.failed > 0)
        return LEAT_EXIT_FAILED;
    return !lists && run->end.refused > 0 ? LEAT_EXIT_CHECK : LEAT_EXIT_OK;
}

static int run_command(const char *name, const leat_options *options, bool lists, bool discard)
{
    held_run *run = leat_must_calloc(1, sizeof *run);
    leat_error error = {0};
    run->name = name;
    run->options = options;
    run->on.assembly = &run->assembly;
    run->end = (leat_hold_end){.on = &run->on,
                               .discard = discard,
                               .most = discard ? options->limit : 0,
                               .hooks = {.say = print_sentence, .fail = print_failure},
                               .context = run};
    int code = LEAT_EXIT_USAGE;
    int status = leat_wish_load(options, &run->assembly, &error);
    if (status == 0)
        status = check_usage(options, lists, discard, &error);
    if (status == 0 && options->shard &&
        !leat_config_find_shard(&run->assembly.config, leat_slice_of(options->shard)))
        status = leat_fail(&error, "--shard: %s has no shard %s", run->assembly.config.file,
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
    leat_assembly_fini(&run->assembly);
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
