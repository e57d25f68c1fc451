/*
 * status.c - leat status: one screen that shows whether all is well, and if not, what is wrong. It
 * asks the log and the shards, never a process, so it is also right about processes that hang or
 * have died. Everything is read into one structure first: the text and the JSON cannot disagree.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/control.h"
#include "cli/told.h"
#include "cli/with_assembly.h"
#include "daemon/json.h"
#include "daemon/assembly_lag.h"
#include "watch/troubles.h"

enum { CONTROLS_SHOWN = 16 }; /* of a shard */
#define MIB 1048576.0

typedef struct shard_status {
    const char *name;
    const char *error;   /* empty: it could be read */
    uint32_t partitions; /* that are known */
    int64_t claims;      /* how often they were claimed, in all */
    leat_lag_sum lag;
    int64_t parked_max; /* bytes; as is the next */
    int64_t held_max;
    int64_t dead_letters;
    leat_shard_held held_keys;
    const leat_control_set *controls; /* borrowed; NULL: none is known */
    char held[LEAT_LAG_HELD_SIZE];    /* about its first partition that an open transaction holds
                                         back; empty: there is none */
    bool commits_async;
    leat_troubles troubles;
    leat_told told;
} shard_status;

typedef struct overview {
    leat_assembly *assembly;
    leat_lag lag;
    leat_error log_error; /* empty: the log answers */
    uint32_t shard_count;
    shard_status shards[LEAT_SHARDS_MAX];
    uint32_t unwell; /* shards in trouble */
} overview;

static bool log_answers(const overview *all)
{
    return !*all->log_error.text;
}

static bool is_well(const overview *all)
{
    return all->unwell == 0 && log_answers(all);
}

/* ---- reading ---- */

static void count_partitions(const leat_lag *lag, uint32_t shard, shard_status *ret)
{
    for (uint32_t i = 0; i < lag->count; i++) {
        if (lag->partitions[i].shard != shard || !lag->partitions[i].is_known)
            continue;
        ret->partitions++;
        ret->claims += lag->partitions[i].epoch;
    }
}

static void read_shard(overview *all, uint32_t shard, uint32_t max_seconds)
{
    shard_status *ret = &all->shards[shard];
    const leat_lag *lag = &all->lag;
    ret->name = all->assembly->config.shards[shard].name;
    ret->commits_async = leat_config_commits_async(&all->assembly->config.shards[shard]);
    ret->parked_max = all->assembly->config.shards[shard].parked_max;
    ret->held_max = all->assembly->config.shards[shard].held_max;
    ret->error = lag->errors[shard].text;
    ret->lag = lag->shards[shard];
    ret->dead_letters = lag->works[shard].dead_letters;
    ret->held_keys = lag->works[shard].held;
    ret->controls = lag->works[shard].controls;
    count_partitions(lag, shard, ret);
    const leat_lag_partition *held = leat_lag_first_held(lag, shard);
    if (held)
        leat_lag_held(held, ret->held);
    leat_troubles_find(leat_assembly_address(&all->assembly->config.shards[shard]), lag, shard,
                       max_seconds, &ret->troubles);
    leat_told_read(&lag->works[shard], &ret->told);
}

static void read_all(overview *all, uint32_t max_seconds)
{
    if (leat_assembly_read_lag(all->assembly, LEAT_LAG_WORK_NEEDED, &all->lag, &all->log_error) ==
        0)
        all->log_error.text[0] = '\0';
    all->shard_count = all->assembly->config.shard_count;
    for (uint32_t shard = 0; shard < all->shard_count; shard++) {
        read_shard(all, shard, max_seconds);
        all->unwell += all->shards[shard].troubles.count > 0;
    }
}

static void overview_free(overview *all)
{
    for (uint32_t shard = 0; shard < all->shard_count; shard++) {
        leat_troubles_fini(&all->shards[shard].troubles);
        leat_told_fini(&all->shards[shard].told);
    }
    leat_lag_fini(&all->lag);
    free(all);
}

/* ---- whether the processes agree about `commit` ---- */

static const char *const commit_words[] = {
    [LEAT_STATUS_COMMIT_UNSAID] = NULL,
    [LEAT_STATUS_COMMIT_SYNC] = "sync",
    [LEAT_STATUS_COMMIT_ASYNC] = "async",
};

static leat_status_commit own_commit(const shard_status *shard)
{
    return shard->commits_async ? LEAT_STATUS_COMMIT_ASYNC : LEAT_STATUS_COMMIT_SYNC;
}

/* It works, and has another setting than the configuration here. */
static bool differs(const shard_status *shard, const leat_status_process *process)
{
    return process->works && process->commit != LEAT_STATUS_COMMIT_UNSAID &&
           process->commit != own_commit(shard);
}

static bool any_differs(const shard_status *shard)
{
    for (uint32_t i = 0; i < shard->troubles.process_count; i++)
        if (differs(shard, &shard->troubles.processes[i]))
            return true;
    return false;
}

/* ---- text ---- */

static void print_process(const leat_troubles *troubles, const leat_status_process *process)
{
    leat_buf text = {0};
    leat_buf_printf(&text, "%s: ", process->name);
    if (process->sessions > 0 || !troubles->is_pooled)
        leat_buf_printf(&text, "%" PRIu32 " sessions, %" PRIu32 " busy, ", process->sessions,
                        process->busy);
    leat_buf_printf(&text, "%" PRIu32 " partitions", process->partition_count);
    if (process->heard_ms >= LEAT_REPORT_LATE_MS)
        leat_buf_printf(&text, ", not heard for %" PRId64 " s", process->heard_ms / 1000);
    else if (process->heard_ms >= 0)
        leat_buf_printf(&text, ", heard %" PRId64 " s ago", process->heard_ms / 1000);
    leat_buf_text(&text, process->works ? "" : ": it does not work");
    const char *line = leat_buf_cstr(&text);
    leat_told_print_line("    ", line ? line : "");
    leat_buf_free(&text);
}

/* No trouble: it is so while the setting is being changed, and then records move. */
static void print_commits(const shard_status *shard)
{
    for (uint32_t i = 0; i < shard->troubles.process_count; i++) {
        const leat_status_process *process = &shard->troubles.processes[i];
        char text[sizeof process->name + 80];
        if (!differs(shard, process))
            continue;
        snprintf(text, sizeof text, "process %s has commit: %s, this configuration %s",
                 process->name, commit_words[process->commit], commit_words[own_commit(shard)]);
        leat_told_print_line("    ", text);
    }
}

/* A control is what somebody wants, not a trouble, but whoever wonders why a row stays as it is
 * must see it. */
static void print_controls(const shard_status *shard)
{
    for (uint32_t i = 0; shard->controls && i < leat_control_set_count(shard->controls); i++) {
        char text[LEAT_CONTROL_TEXT_SIZE];
        if (i == CONTROLS_SHOWN) {
            printf("    and %" PRIu32 " more controls: leat control list\n",
                   leat_control_set_count(shard->controls) - i);
            return;
        }
        leat_control_describe(leat_control_set_at(shard->controls, i), text, sizeof text);
        leat_told_print_line("    records are ", text);
    }
}

static void print_parked(const shard_status *shard)
{
    if (shard->lag.parked > 0)
        printf("    %" PRId64 " records parked, %.1f MiB of %.1f MiB\n", shard->lag.parked,
               (double)shard->lag.parked_bytes / MIB, (double)shard->parked_max / MIB);
}

/* As with dead letters, what is said of each is elsewhere. */
static void print_held_keys(const leat_shard_held *held, int64_t held_max)
{
    char text[sizeof held->reason + 160];
    if (held->keys == 0)
        return;
    snprintf(text, sizeof text,
             "%" PRId64 " keys are held with %" PRId64 " records, the first for %" PRId64
             " s%s%s; kept %.1f MiB of %.1f MiB: leat dead list --held",
             held->keys, held->records, held->since_ms / 1000,
             *held->reason ? ", refused with " : "", held->reason, (double)held->bytes / MIB,
             (double)held_max / MIB);
    leat_told_print_line("    ", text);
}

static void print_trouble(const leat_trouble_line *trouble)
{
    char before[64];
    if (trouble->age_ms < 0)
        snprintf(before, sizeof before, "    UNWELL, ");
    else
        snprintf(before, sizeof before, "    UNWELL for %s%" PRId64 " s, ",
                 trouble->is_least ? "at least " : "", trouble->age_ms / 1000);
    leat_told_print_line(before, trouble->text);
}

static void print_shard(const overview *all, const shard_status *shard)
{
    char seconds[LEAT_LAG_SECONDS_SIZE];
    const leat_troubles *troubles = &shard->troubles;
    printf("shard %s: ", shard->name);
    if (*shard->error) {
        leat_told_print_line("UNWELL, ", shard->error);
        return;
    }
    if (log_answers(all))
        printf("%" PRIu32 " partitions claimed %" PRId64 " times, %" PRId64
               " records behind at most, the oldest %s s, ",
               shard->partitions, shard->claims, shard->lag.records,
               leat_lag_seconds(shard->lag.age_ms, seconds));
    printf("%" PRId64 " dead letters%s\n", shard->dead_letters,
           shard->commits_async ? ", commit: async" : "");
    for (uint32_t i = 0; i < troubles->process_count; i++)
        print_process(troubles, &troubles->processes[i]);
    print_commits(shard);
    if (troubles->is_pooled)
        printf("    behind a pooler: a session has the name of the process that used it last\n");
    print_parked(shard);
    print_held_keys(&shard->held_keys, shard->held_max);
    print_controls(shard);
    leat_told_print(&shard->told);
    for (uint32_t i = 0; i < troubles->count; i++)
        print_trouble(&troubles->lines[i]);
    if (troubles->left_out > 0)
        printf("    and %" PRIu32 " more\n", troubles->left_out);
    if (!troubles->is_held && *shard->held)
        printf("    %s\n", shard->held);
}

static void print_text(const overview *all)
{
    const leat_assembly *assembly = all->assembly;
    if (log_answers(all))
        printf("log: %s %s, %" PRIu32 " partitions\n", assembly->log.file ? "file" : "topic",
               assembly->log.file ? assembly->log.file : assembly->log.topic,
               assembly->identity.partition_count);
    else
        leat_told_print_line("log: UNWELL, ", all->log_error.text);
    for (uint32_t shard = 0; shard < all->shard_count; shard++)
        print_shard(all, &all->shards[shard]);
    printf("%s\n", is_well(all) ? "all is well" : "not all is well");
}

/* ---- JSON ---- */

static void add_process(yyjson_mut_doc *doc, yyjson_mut_val *list,
                        const leat_status_process *process)
{
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, list);
    leat_json_add_text(doc, object, "name", process->name);
    yyjson_mut_obj_add_bool(doc, object, "works", process->works);
    yyjson_mut_obj_add_uint(doc, object, "sessions", process->sessions);
    yyjson_mut_obj_add_uint(doc, object, "busy", process->busy);
    yyjson_mut_obj_add_uint(doc, object, "partitions", process->partition_count);
    leat_json_add_seconds(doc, object, "heard", process->heard_ms);
    leat_json_add_text(doc, object, "commit", commit_words[process->commit]);
}

/* Of a shard that could be read. */
static void add_work(yyjson_mut_doc *doc, yyjson_mut_val *object, const shard_status *shard)
{
    yyjson_mut_obj_add_int(doc, object, "dead_letters", shard->dead_letters);
    yyjson_mut_val *held = yyjson_mut_obj_add_obj(doc, object, "held_keys");
    yyjson_mut_obj_add_int(doc, held, "keys", shard->held_keys.keys);
    yyjson_mut_obj_add_int(doc, held, "records", shard->held_keys.records);
    yyjson_mut_obj_add_int(doc, held, "bytes", shard->held_keys.bytes);
    yyjson_mut_obj_add_int(doc, held, "max_bytes", shard->held_max);
    bool is_some = shard->held_keys.keys > 0;
    leat_json_add_seconds(doc, held, "seconds", is_some ? shard->held_keys.since_ms : -1);
    leat_json_add_reason(doc, held, "reason", is_some ? shard->held_keys.reason : "");
    yyjson_mut_val *processes = yyjson_mut_obj_add_arr(doc, object, "processes");
    for (uint32_t i = 0; i < shard->troubles.process_count; i++)
        add_process(doc, processes, &shard->troubles.processes[i]);
    yyjson_mut_obj_add_bool(doc, object, "pooled", shard->troubles.is_pooled);
    leat_told_add(doc, object, &shard->told);
    yyjson_mut_val *controls = yyjson_mut_obj_add_arr(doc, object, "controls");
    for (uint32_t i = 0; shard->controls && i < leat_control_set_count(shard->controls); i++)
        leat_json_add_control(doc, yyjson_mut_arr_add_obj(doc, controls),
                              leat_control_set_at(shard->controls, i));
}

static void add_lag(yyjson_mut_doc *doc, yyjson_mut_val *object, const shard_status *shard)
{
    yyjson_mut_obj_add_uint(doc, object, "partitions", shard->partitions);
    yyjson_mut_obj_add_int(doc, object, "claims", shard->claims);
    yyjson_mut_obj_add_int(doc, object, "records", shard->lag.records);
    yyjson_mut_obj_add_int(doc, object, "parked", shard->lag.parked);
    yyjson_mut_obj_add_int(doc, object, "parked_bytes", shard->lag.parked_bytes);
    yyjson_mut_obj_add_int(doc, object, "parked_max_bytes", shard->parked_max);
    leat_json_add_seconds(doc, object, "seconds", shard->lag.age_ms);
}

static void add_shard(yyjson_mut_doc *doc, yyjson_mut_val *list, const overview *all,
                      const shard_status *shard)
{
    const leat_troubles *troubles = &shard->troubles;
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, list);
    leat_json_add_text(doc, object, "shard", shard->name);
    leat_json_add_text(doc, object, "commit", commit_words[own_commit(shard)]);
    yyjson_mut_obj_add_bool(doc, object, "commit_differs", any_differs(shard));
    leat_json_add_reason(doc, object, "error", shard->error);
    leat_json_add_text(doc, object, "trouble",
                       troubles->count > 0 ? troubles->lines[0].text : NULL);
    leat_json_add_reason(doc, object, "held", shard->held);
    yyjson_mut_val *lines = yyjson_mut_obj_add_arr(doc, object, "troubles");
    for (uint32_t i = 0; i < troubles->count; i++)
        yyjson_mut_arr_append(lines, yyjson_mut_rawcpy(doc, troubles->lines[i].json));
    if (*shard->error)
        return;
    add_work(doc, object, shard);
    if (log_answers(all))
        add_lag(doc, object, shard);
}

static void print_json(const overview *all)
{
    yyjson_mut_val *root;
    yyjson_mut_doc *doc = leat_json_new(&root);
    yyjson_mut_obj_add_bool(doc, root, "well", is_well(all));
    leat_json_add_reason(doc, root, "topic", all->assembly->log.topic);
    leat_json_add_reason(doc, root, "log_error", all->log_error.text);
    yyjson_mut_val *shards = yyjson_mut_obj_add_arr(doc, root, "shards");
    for (uint32_t shard = 0; shard < all->shard_count; shard++)
        add_shard(doc, shards, all, &all->shards[shard]);
    leat_json_print(stdout, doc);
}

/* ---- the command ---- */

/* When nothing answers, it may be this machine that is cut off. */
static int exit_code(const overview *all)
{
    bool all_silent = all->lag.log_is_silent;
    for (uint32_t shard = 0; shard < all->shard_count; shard++)
        all_silent = all_silent && all->lag.silent[shard];
    if (all_silent)
        return LEAT_EXIT_FAILED;
    return is_well(all) ? LEAT_EXIT_OK : LEAT_EXIT_CHECK;
}

static int show_status(leat_assembly *assembly, const leat_options *options, leat_error *error)
{
    (void)error; /* a log or shard that does not answer is shown, so it is not an error here */
    overview *all = leat_must_calloc(1, sizeof *all);
    all->assembly = assembly;
    read_all(all, options->max_seconds);
    (options->json ? print_json : print_text)(all);
    int code = exit_code(all);
    overview_free(all);
    return code;
}

int leat_command_status(const leat_options *options)
{
    return leat_with_assembly("status", options, show_status);
}
