/*
 * actions.c - reads a wish from JSON, has it done, and puts into words what came of it. A shard
 * that does not answer costs a time limit each time, so the lists stop asking when they have taken
 * long, and say which shards were not asked.
 */
#include "daemon/actions.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/utf8.h"
#include "config/text.h"
#include "daemon/control_put.h"
#include "daemon/hold_end.h"
#include "daemon/json.h"

enum {
    LISTED_MAX = 200, /* of each list, over all shards */
    LISTED_LEAST = 5, /* of each shard */
    LISTING_US = 20 * 1000 * 1000,
    SAID_MAX = 50, /* sentences of an answer */
    LIMIT_MAX = 1000000,
};

static void fail(leat_admin_job *job, leat_http_code code, const char *message)
{
    job->code = code;
    leat_buf_clear(&job->answer);
    leat_buf_text(&job->answer, message);
}

static void answer(leat_admin_job *job, yyjson_mut_doc *doc)
{
    char *line = leat_json_line(doc);
    leat_buf_text(&job->answer, line);
    free(line);
}

static bool is_ending(const leat_admin_job *job)
{
    return atomic_load(job->is_ending);
}

/* ---- what waits ---- */

typedef struct lists {
    yyjson_mut_doc *doc;
    yyjson_mut_val *held, *dead, *controls, *failures;
    uint32_t limit; /* of each list, for each shard */
} lists;

static yyjson_mut_val *add_row(const lists *to, yyjson_mut_val *list, const char *shard)
{
    yyjson_mut_val *row = yyjson_mut_arr_add_obj(to->doc, list);
    leat_json_add_text(to->doc, row, "shard", shard);
    return row;
}

static int list_held(const lists *to, const leat_config_shard *shard, const char *topic,
                     leat_error *error)
{
    leat_held_keys found;
    leat_held_query query = {.topic = topic, .limit = to->limit};
    int status = leat_shard_held_keys(leat_assembly_address(shard), &query, &found, error);
    for (uint32_t i = 0; status == 0 && i < found.count; i++)
        leat_json_add_held(to->doc, add_row(to, to->held, shard->name), &found.keys[i]);
    leat_held_keys_fini(&found);
    return status;
}

static int list_dead(const lists *to, const leat_config_shard *shard, const char *topic,
                     leat_error *error)
{
    leat_dead_letters found = {0};
    leat_dead_query query = {
        .topic = topic, .partition = -1, .offset = -1, .limit = to->limit, .with_bodies = false};
    int status = leat_shard_dead_letters(leat_assembly_address(shard), &query, &found, error);
    for (uint32_t i = 0; status == 0 && i < found.count; i++) {
        yyjson_mut_val *row = add_row(to, to->dead, shard->name);
        leat_json_add_text(to->doc, row, "at", found.letters[i].at);
        leat_json_add_dead(to->doc, row, &found.letters[i]);
    }
    leat_dead_letters_fini(&found);
    return status;
}

static int list_controls(const lists *to, const leat_assembly *assembly,
                         const leat_config_shard *shard, leat_error *error)
{
    leat_control_set *set;
    if (leat_control_read(assembly, shard, &set, error) != 0)
        return -1;
    for (uint32_t i = 0; i < leat_control_set_count(set) && i < to->limit; i++)
        leat_json_add_control(to->doc, add_row(to, to->controls, shard->name),
                              leat_control_set_at(set, i));
    leat_control_set_drop(set);
    return 0;
}

static void list_shard(const lists *to, const leat_assembly *assembly,
                       const leat_config_shard *shard, bool is_over)
{
    leat_error error = {"it was not asked, because others took too long to answer"};
    const char *topic = leat_config_topic(&assembly->config);
    if (!is_over && list_controls(to, assembly, shard, &error) == 0 &&
        list_held(to, shard, topic, &error) == 0 && list_dead(to, shard, topic, &error) == 0)
        return;
    leat_json_add_text(to->doc, add_row(to, to->failures, shard->name), "error", error.text);
}

void leat_action_waiting(leat_admin_job *job)
{
    yyjson_mut_val *root;
    lists to = {.doc = leat_json_new(&root)};
    const leat_config *config = &job->assembly->config;
    int64_t until_us = leat_mono_us() + LISTING_US;
    to.held = yyjson_mut_obj_add_arr(to.doc, root, "held");
    to.dead = yyjson_mut_obj_add_arr(to.doc, root, "dead");
    to.controls = yyjson_mut_obj_add_arr(to.doc, root, "controls");
    to.failures = yyjson_mut_obj_add_arr(to.doc, root, "failures");
    to.limit = LISTED_MAX / config->shard_count;
    if (to.limit < LISTED_LEAST)
        to.limit = LISTED_LEAST;
    for (uint32_t i = 0; i < config->shard_count; i++)
        list_shard(&to, job->assembly, &config->shards[i],
                   is_ending(job) || leat_mono_us() > until_us);
    answer(job, to.doc);
}

/* ---- a wish ---- */

typedef struct asked {
    yyjson_doc *doc; /* the texts are its */
    leat_wish wish;
    const char *shard, *action, *limit;
} asked;

/* Which members an action takes, and where their texts go. */
static const char **text_of(asked *ret, const char *name, const char *const *taken)
{
    const struct {
        const char *name;
        const char **text;
    } texts[] = {
        {"tenant", &ret->wish.tenant}, {"key", &ret->wish.key},      {"table", &ret->wish.table},
        {"route", &ret->wish.route},   {"for", &ret->wish.duration}, {"keep", &ret->wish.keep},
        {"reason", &ret->wish.reason}, {"action", &ret->action},     {"limit", &ret->limit},
        {"shard", &ret->shard},
    };
    for (; *taken; taken++)
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            if (strcmp(*taken, name) == 0 && strcmp(texts[i].name, name) == 0)
                return texts[i].text;
    return NULL;
}

static int read_members(yyjson_val *root, const char *const *taken, asked *ret, leat_error *error)
{
    size_t at, count;
    yyjson_val *name, *value;
    yyjson_obj_foreach(root, at, count, name, value)
    {
        const char **text = text_of(ret, yyjson_get_str(name), taken);
        if (!text)
            return leat_fail(error, "this action takes no member %s", yyjson_get_str(name));
        if (!yyjson_is_str(value) || strlen(yyjson_get_str(value)) != yyjson_get_len(value))
            return leat_fail(error, "%s must be a text", yyjson_get_str(name));
        *text = yyjson_get_str(value);
    }
    return 0;
}

static int check_asked(const leat_assembly *assembly, asked *ret, leat_error *error)
{
    const char *action = ret->action;
    if (ret->shard && !leat_config_find_shard(&assembly->config, leat_slice_of(ret->shard)))
        return leat_fail(error, "shard: there is no shard %s", ret->shard);
    if (action && strcmp(action, "hold") != 0 && strcmp(action, "skip") != 0)
        return leat_fail(error, "action must be hold or skip, not %s", action);
    ret->wish.hold = action && strcmp(action, "hold") == 0;
    if (ret->wish.table && ret->wish.route)
        return leat_fail(error, "table and route exclude each other");
    if (!ret->wish.key && (ret->wish.table || ret->wish.route))
        return leat_fail(error, "table and route belong to key");
    return 0;
}

static const char *or_dash(const char *text)
{
    return text ? text : "-";
}

/* False: the job has failed. `ret` is freed by fini_asked after either. `command`: the same on a
 * command line. */
static bool read_asked(leat_admin_job *job, const char *command, const char *const *taken,
                       asked *ret)
{
    leat_error error = {"the body is no JSON object"};
    *ret = (asked){.wish.dashes = ""};
    ret->doc = yyjson_read(job->body.data, job->body.size, 0);
    yyjson_val *root = yyjson_doc_get_root(ret->doc);
    if (!yyjson_is_obj(root)) {
        fail(job, LEAT_HTTP_BAD_JSON, error.text);
        return false;
    }
    if (read_members(root, taken, ret, &error) == 0 &&
        check_asked(job->assembly, ret, &error) == 0) {
        leat_info("action asked for by the admin listener command=\"%s\" shard=%s table=%s "
                  "key=\"%s\" tenant=\"%s\"",
                  command, or_dash(ret->shard), or_dash(ret->wish.table), or_dash(ret->wish.key),
                  or_dash(ret->wish.tenant));
        return true;
    }
    fail(job, LEAT_HTTP_INVALID, error.text);
    return false;
}

static void fini_asked(asked *from)
{
    yyjson_doc_free(from->doc);
}

/* ---- what was done ---- */

typedef struct done {
    leat_admin_job *job;
    yyjson_mut_doc *doc;
    yyjson_mut_val *root, *text;
    uint32_t unsaid; /* sentences beyond SAID_MAX */
} done;

static done done_new(leat_admin_job *job)
{
    done ret = {.job = job};
    ret.doc = leat_json_new(&ret.root);
    ret.text = yyjson_mut_arr(ret.doc);
    return ret;
}

static void done_say(done *to, const char *sentence)
{
    leat_buf clean = {0};
    if (yyjson_mut_arr_size(to->text) >= SAID_MAX) {
        to->unsaid++;
        return;
    }
    leat_utf8_append(&clean, leat_slice_of(sentence));
    yyjson_mut_arr_add_strncpy(to->doc, to->text, clean.data ? clean.data : "", clean.size);
    leat_buf_free(&clean);
}

static void done_answer(done *to, bool is_ok)
{
    char more[32];
    snprintf(more, sizeof more, "and %" PRIu32 " more", to->unsaid);
    if (to->unsaid > 0)
        yyjson_mut_arr_add_strcpy(to->doc, to->text, more);
    yyjson_mut_obj_add_bool(to->doc, to->root, "ok", is_ok);
    yyjson_mut_obj_add_val(to->doc, to->root, "text", to->text);
    answer(to->job, to->doc);
}

/* ---- held rows ---- */

static void say_row(leat_hold_end *end, const char *sentence)
{
    done_say(end->context, sentence);
}

static void say_failure(leat_hold_end *end, const char *shard, const leat_error *error)
{
    char text[sizeof error->text + LEAT_NAME_MAX + sizeof "shard : "];
    snprintf(text, sizeof text, "shard %s: %s", shard, error->text);
    done_say(end->context, text);
}

static bool is_over(const leat_hold_end *end)
{
    const done *to = end->context;
    return is_ending(to->job);
}

static void end_shards(leat_hold_end *end, const char *only, done *to)
{
    const leat_config *config = &end->on->assembly->config;
    for (uint32_t i = 0; i < config->shard_count && !is_ending(to->job); i++)
        if (!only || strcmp(only, config->shards[i].name) == 0)
            leat_hold_end_shard(end, &config->shards[i]);
    if (end->seen == 0 && end->failed == 0)
        done_say(to, end->table ? "it is not held" : "no key is held");
}

/* Two of these are too large for the stack of a thread of the pool. */
typedef struct holds_ended {
    leat_ground on;
    leat_hold_end end;
    done to;
} holds_ended;

static void end_hold(leat_admin_job *job, const asked *from, bool discard, uint32_t most)
{
    leat_error error;
    holds_ended *all = leat_must_calloc(1, sizeof *all);
    leat_http_code code = LEAT_HTTP_OK;
    all->on.assembly = job->assembly;
    all->to = done_new(job);
    all->end = (leat_hold_end){.on = &all->on,
                               .discard = discard,
                               .most = most,
                               .hooks = {say_row, say_failure, is_over},
                               .context = &all->to};
    if (leat_ground_read(&all->on, &error) != 0)
        code = LEAT_HTTP_UNAVAILABLE;
    else if (leat_hold_end_find(&all->end, &from->wish, &error) != 0)
        code = LEAT_HTTP_INVALID;
    if (code == LEAT_HTTP_OK) {
        end_shards(&all->end, from->shard, &all->to);
        done_answer(&all->to, all->end.failed == 0 && all->end.refused == 0);
    } else {
        fail(job, code, error.text);
        yyjson_mut_doc_free(all->to.doc);
    }
    leat_ground_free(&all->on);
    free(all);
}

void leat_action_retry(leat_admin_job *job)
{
    static const char *const taken[] = {"shard", "key", "table", "route", NULL};
    asked from;
    if (read_asked(job, "dead retry", taken, &from))
        end_hold(job, &from, false, 0);
    fini_asked(&from);
}

void leat_action_discard(leat_admin_job *job)
{
    static const char *const taken[] = {"shard", "key", "table", "route", "limit", NULL};
    asked from;
    int64_t most = 0;
    if (!read_asked(job, "dead discard", taken, &from)) {
        fini_asked(&from);
        return;
    }
    if (!from.wish.key)
        fail(job, LEAT_HTTP_INVALID, "key is needed");
    else if (from.limit &&
             (!leat_text_number(from.limit, LEAT_UNIT_ONE, &most) || most < 1 || most > LIMIT_MAX))
        fail(job, LEAT_HTTP_INVALID, "limit must be a number from 1 to 1000000");
    else
        end_hold(job, &from, true, (uint32_t)most);
    fini_asked(&from);
}

/* ---- controls ---- */

static void change_control(leat_admin_job *job, const leat_wish *wish,
                           int (*use)(const leat_ground *on, const leat_wish *wish,
                                      leat_buf *ret_said, leat_error *error))
{
    leat_error error;
    leat_buf said = {0};
    leat_ground *on = leat_must_calloc(1, sizeof *on);
    on->assembly = job->assembly;
    int status = -1;
    if (leat_control_check(wish, &error) != 0)
        status = 1;
    else if (leat_ground_read(on, &error) == 0)
        status = use(on, wish, &said, &error);
    if (status == 0) {
        done to = done_new(job);
        done_say(&to, leat_buf_cstr(&said));
        done_answer(&to, true);
    } else {
        fail(job, status > 0 ? LEAT_HTTP_INVALID : LEAT_HTTP_UNAVAILABLE, error.text);
    }
    leat_buf_free(&said);
    leat_ground_free(on);
    free(on);
}

void leat_action_block(leat_admin_job *job)
{
    static const char *const taken[] = {"tenant", "key",    "table", "route", "for",
                                        "action", "reason", "keep",  NULL};
    leat_error error;
    leat_control_wish control;
    asked from;
    if (read_asked(job, "control block", taken, &from)) {
        if (leat_control_read_wish(&from.wish, &control, &error) != 0)
            fail(job, LEAT_HTTP_INVALID, error.text);
        else
            change_control(job, &from.wish, leat_control_block);
    }
    fini_asked(&from);
}

void leat_action_unblock(leat_admin_job *job)
{
    static const char *const taken[] = {"tenant", "key", "table", "route", NULL};
    asked from;
    if (read_asked(job, "control unblock", taken, &from))
        change_control(job, &from.wish, leat_control_unblock);
    fini_asked(&from);
}
