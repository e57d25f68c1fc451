/*
 * verify.c - leat verify: is each accepted write in its shard? The command reads what a proof rests
 * on (the log's identity and range, each shard's source, layout and tables) and refuses a log that
 * is not the one the shards were set up for. The proof itself is in src/verify.
 */
#include "cli/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "cli/with_assembly.h"
#include "config/text.h"
#include "daemon/log_identity.h"
#include "daemon/shard_tables.h"
#include "daemon/start_catalog.h"

enum {
    LIMIT_DEFAULT = 100,
    MEMORY_MIN = 64 * 1024,
    MEMORY_DEFAULT = 256 * 1024 * 1024,
    ENDS_MS = 20000,
    IGNORED_MAX = 64,
    PPM = 1000000,
};

const char leat_verify_help[] =
    "Walks the log and proves for each accepted write that it is applied, parked, held, left out by a control, or a dead letter;\n"
    "and for each row that it is as its writes say. It only reads. Edges and workers may go on.\n\n"
    "  --partition N     of this partition only\n"
    "  --from OFFSET     with --partition: from this record on\n"
    "  --to OFFSET       with --partition: before this record\n"
    "  --since TIME      what was accepted in the last 24h, 30m, ...\n"
    "  --until TIME      what was accepted longer ago than that\n"
    "  --tenant T        rows of this tenant only; as in the path of a request (percent-encoded)\n"
    "  --sample P        this percentage of the keys, chosen by their hash, with all their writes: 1 or 0.1\n"
    "  --leave-out LIST  columns, with commas between them, that other programs write too: NAME or TABLE.NAME\n"
    "  --adopted         tables may have had rows before the first write of the log\n"
    "  --accept-removed  a dead letter that was deleted is no finding\n"
    "  --memory SIZE     for keys; with more keys the log is read again for the rest. Default 256MiB\n"
    "  --pace N          at most N records of the range a second\n"
    "  --limit N         show at most N findings; default 100\n"
    "  --json            one JSON object\n\n"
    "A column is compared from the first write on that says all of it: a PUT, a DELETE, a value that is set, or any write of a\n"
    "key whose first write is in the range. Where the range says too little, the summary says so: \"in part\", \"undecided\".\n\n"
    "Exit status: 0 nothing is lost or doubled, 3 there are findings, 1 not everything could be looked at.\n";

/* What the proof rests on. */
typedef struct verify_ground {
    leat_layout layout;
    leat_tenant_map *tenants; /* which it borrows */
    leat_verify_shard shards[LEAT_SHARDS_MAX];
    leat_schema_version *versions[LEAT_SHARDS_MAX];
    leat_log_span *spans;
    char *ignored_text;
    const char *ignored[IGNORED_MAX];
    uint32_t ignored_count;
    leat_verify_config config;
} verify_ground;

static void free_ground(verify_ground *on)
{
    for (uint32_t i = 0; i < LEAT_SHARDS_MAX; i++)
        leat_schema_version_free(on->versions[i]);
    leat_tenant_map_free(on->tenants);
    free(on->spans);
    free(on->ignored_text);
    free(on);
}

/* ---- options ---- */

static int read_offset(const char *name, const char *text, int64_t none, int64_t *ret,
                       leat_error *error)
{
    char *end = NULL;
    *ret = none;
    if (!text)
        return 0;
    long long value = strtoll(text, &end, 10);
    if (*text < '0' || *text > '9' || *end)
        return leat_fail(error, "%s must be a number from 0, not %s", name, text);
    *ret = value;
    return 0;
}

static int read_number(const char *name, const char *text, leat_unit unit, int64_t none,
                       int64_t *ret, leat_error *error)
{
    *ret = none;
    if (!text || (leat_text_number(text, unit, ret) && *ret > 0))
        return 0;
    return leat_fail(error, "%s must be %s, not %s", name, leat_text_number_form(unit), text);
}

static int read_sample(const char *text, uint32_t *ret, leat_error *error)
{
    char *end = NULL;
    *ret = PPM;
    if (!text)
        return 0;
    double percent = strtod(text, &end);
    if (*end == '%')
        end++;
    if (end == text || *end || !(percent >= 0.0001) || percent > 100)
        return leat_fail(error, "--sample must be a percentage from 0.0001 to 100, not %s", text);
    *ret = (uint32_t)(percent * PPM / 100);
    return 0;
}

static int read_ignored(const char *text, verify_ground *on, leat_error *error)
{
    char *rest = NULL;
    if (!text)
        return 0;
    on->ignored_text = leat_must_strdup(text);
    for (char *name = strtok_r(on->ignored_text, ",", &rest); name;
         name = strtok_r(NULL, ",", &rest)) {
        if (on->ignored_count == IGNORED_MAX)
            return leat_fail(error, "--leave-out: more than %d columns", IGNORED_MAX);
        on->ignored[on->ignored_count++] = name;
    }
    return 0;
}

static int read_options(const leat_options *options, verify_ground *on, leat_error *error)
{
    leat_verify_config *config = &on->config;
    int64_t memory, since, until, pace;
    if ((options->from || options->to) && !options->partition)
        return leat_fail(error, "--from and --to are offsets of one partition: --partition N");
    if (read_number("--memory", options->memory, LEAT_UNIT_BYTES, MEMORY_DEFAULT, &memory, error) !=
            0 ||
        read_number("--since", options->since, LEAT_UNIT_MS, 0, &since, error) != 0 ||
        read_number("--until", options->until, LEAT_UNIT_MS, 0, &until, error) != 0 ||
        read_offset("--pace", options->pace, 0, &pace, error) != 0 ||
        read_sample(options->sample, &config->sample_ppm, error) != 0 ||
        read_ignored(options->leave_out, on, error) != 0)
        return -1;
    if (memory < MEMORY_MIN)
        return leat_fail(error, "--memory must be at least 64KiB");
    config->memory = (uint64_t)memory;
    config->since_ms = since > 0 ? leat_wall_ms() - since : 0;
    config->until_ms = until > 0 ? leat_wall_ms() - until : INT64_MAX;
    config->records_per_s = pace > PPM ? PPM : (uint32_t)pace;
    config->adopted = options->adopted;
    config->tenant = options->tenant ? leat_slice_of(options->tenant) : (leat_slice){0};
    config->ignored = on->ignored;
    config->ignored_count = on->ignored_count;
    return 0;
}

/* ---- the shards ---- */

static int read_shard(const leat_assembly *assembly, const leat_source *running,
                      const leat_layout *running_layout, uint32_t index, verify_ground *on,
                      leat_error *error)
{
    leat_verify_shard *shard = &on->shards[index];
    leat_table *tables = NULL;
    uint32_t count = 0;
    leat_layout layout;
    const leat_config_shard *configured = leat_config_find_shard(
        &assembly->config, leat_slice_of(running_layout->shards[index].name));
    LEAT_ASSERT(configured);
    shard->name = configured->name;
    shard->at = leat_assembly_address(configured);
    int found =
        leat_shard_read_source(shard->at, assembly->log.topic, &shard->source, &layout, error);
    if (found == 1)
        return leat_fail(error, "it was not set up for topic %s: run `leat init` first",
                         assembly->log.topic);
    if (found != 0 ||
        leat_shard_check_source(&shard->source, &layout, running, running_layout, error) != 0)
        return -1;
    if (index == 0) {
        on->layout = layout;
        if (leat_shard_read_tenants(shard->at, assembly->log.topic, &on->layout, &on->tenants,
                                    error) != 0)
            return -1;
    }
    if (leat_assembly_read_tables(assembly, shard->at, &tables, &count, error) != 0)
        return -1;
    on->versions[index] = leat_assembly_build_version(assembly, tables, count, error);
    shard->routes = on->versions[index] ? &on->versions[index]->routes : NULL;
    return shard->routes ? 0 : -1;
}

static int read_shards(const leat_assembly *assembly, verify_ground *on, leat_error *error)
{
    leat_source running;
    leat_layout layout;
    if (leat_assembly_running_source(assembly, &running, &layout, error) != 0)
        return -1;
    for (uint32_t i = 0; i < layout.shard_count; i++)
        if (read_shard(assembly, &running, &layout, i, on, error) != 0)
            return leat_fail_prefix(error, "shard %s", layout.shards[i].name);
    return 0;
}

/* ---- the range ---- */

static int choose_span(const leat_options *options, uint32_t partition, int64_t start, int64_t end,
                       leat_log_span *ret, leat_error *error)
{
    int64_t wanted, from, to;
    if (read_offset("--partition", options->partition, -1, &wanted, error) != 0 ||
        read_offset("--from", options->from, start, &from, error) != 0 ||
        read_offset("--to", options->to, end, &to, error) != 0)
        return -1;
    *ret = (leat_log_span){.from = 0, .to = -1};
    if (wanted >= 0 && wanted != partition)
        return 0;
    *ret = (leat_log_span){.from = from > start ? from : start, .to = to < end ? to : end};
    return 0;
}

static int choose_range(const leat_assembly *assembly, const leat_options *options,
                        verify_ground *on, leat_error *error)
{
    uint32_t count = on->layout.partition_count;
    int64_t *offsets = leat_must_calloc(count, sizeof *offsets), wanted;
    int64_t *starts = leat_must_calloc(count, sizeof *starts);
    leat_log_ahead *ends = leat_must_calloc(count, sizeof *ends);
    on->spans = leat_must_calloc(count, sizeof *on->spans);
    for (uint32_t p = 0; p < count; p++)
        offsets[p] = -1;
    int status = read_offset("--partition", options->partition, -1, &wanted, error);
    if (status == 0 && wanted >= count)
        status = leat_fail(error, "--partition: there are %" PRIu32, count);
    if (status == 0)
        status = leat_log_starts(&assembly->log, count, ENDS_MS, starts, error);
    if (status == 0)
        status = leat_log_read_ahead(&assembly->log, count, offsets, ENDS_MS, ends, error);
    for (uint32_t p = 0; p < count && status == 0; p++)
        status = choose_span(options, p, starts[p], ends[p].stable, &on->spans[p], error);
    free(ends);
    free(starts);
    free(offsets);
    return status;
}

/* ---- the command ---- */

static int prove(const leat_assembly *assembly, const leat_options *options, verify_ground *on,
                 leat_error *error)
{
    leat_verify_result result;
    leat_verify_print print = {.json = options->json,
                               .limit = options->limit ? options->limit : LIMIT_DEFAULT};
    leat_verify_config *config = &on->config;
    config->log = &assembly->log;
    config->idempotency_ms = assembly->config.idempotency_ms;
    config->layout = &on->layout;
    config->shard_count = on->layout.shard_count;
    config->shards = on->shards;
    config->spans = on->spans;
    config->context = &print;
    config->on_finding = leat_verify_print_finding;
    config->on_progress = leat_verify_print_progress;
    leat_bar_begin(&print.bar, options->json);
    int status = leat_verify_run(config, &result, error);
    if (status == 0)
        leat_verify_print_result(&print, &result, config->sample_ppm < PPM);
    leat_verify_print_fini(&print);
    if (status != 0)
        return -1;
    uint64_t found = leat_verify_found(&result);
    if (options->accept_removed)
        found -= result.findings[LEAT_FINDING_REMOVED];
    return found > 0                 ? LEAT_EXIT_CHECK
           : result.offsets_gone > 0 ? LEAT_EXIT_FAILED /* not all could be looked at */
                                     : LEAT_EXIT_OK;
}

static int verify(leat_assembly *assembly, const leat_options *options, leat_error *error)
{
    verify_ground *on = leat_must_calloc(1, sizeof *on);
    int code = read_options(options, on, error);
    if (code != 0) {
        leat_print_error("leat verify: %s", error->text);
        free_ground(on);
        return LEAT_EXIT_USAGE;
    }
    if (leat_assembly_identify(assembly, false, error) != 0 ||
        read_shards(assembly, on, error) != 0 || choose_range(assembly, options, on, error) != 0)
        code = -1;
    else
        code = prove(assembly, options, on, error);
    free_ground(on);
    return code;
}

int leat_command_verify(const leat_options *options)
{
    return leat_with_assembly("verify", options, verify);
}
