/*
 * The parts of shard.h that both backends share and that need no database: sources and layouts
 * compared and written as JSON, names of sessions, texts of waits, memory of results. A difference
 * between the stored source and the running one is an error with advice, never adjusted silently:
 * offsets and partitions of another log or layout would apply records twice or in the wrong order.
 */
#include "sink/shard_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <yyjson.h>

/* ---- what is stored against what runs ---- */

static int check_text(const char *topic, const char *what, const char *stored, const char *running,
                      const char *advice, leat_error *error)
{
    LEAT_ASSERT(stored && running);
    if (strcmp(stored, running) == 0)
        return 0;
    return leat_fail(error,
                     "topic %s: the database was set up for %s \"%s\", but this is \"%s\". %s",
                     topic, what, stored, running, advice);
}

static int check_number(const char *topic, const char *what, uint32_t stored, uint32_t running,
                        const char *advice, leat_error *error)
{
    if (stored == running)
        return 0;
    return leat_fail(
        error, "topic %s: the database was set up for %s %" PRIu32 ", but this is %" PRIu32 ". %s",
        topic, what, stored, running, advice);
}

static int check_identity(const leat_source *stored, const leat_source *running, leat_error *error)
{
    const char *topic = stored->topic;
    if (check_text(topic, "topic", stored->topic, running->topic,
                   "Use the topic it was set up for.", error) != 0 ||
        check_text(
            topic, "the log", stored->log_identity, running->log_identity,
            "Offsets of one log mean nothing in another: point the configuration at the right one, or use a "
            "topic of another name.",
            error) != 0 ||
        check_text(
            topic, "the topic id", stored->topic_id, running->topic_id,
            "The topic was recreated, so its offsets begin again: see \"A topic was deleted and recreated\" in "
            "docs/operations.md.",
            error) != 0)
        return -1;
    return 0;
}

static int check_placement(const char *topic, const leat_placement *stored,
                           const leat_placement *running, leat_error *error)
{
    const char *advice = "It never changes: the order of writes depends on it.";
    if (!leat_placement_is_valid(stored))
        return leat_fail(error,
                         "topic %s: the database was set up for placement %" PRIu32 " with %" PRIu32
                         " subpartitions, which this program does not know: use a newer leat",
                         topic, stored->version, stored->subpartitions);
    if (running->subpartitions == 0)
        return 0;
    if (check_number(topic, "placement", stored->version, running->version, advice, error) != 0 ||
        check_number(topic, "a count of subpartitions of", stored->subpartitions,
                     running->subpartitions, advice, error) != 0 ||
        check_number(topic, "a tenant window of", stored->tenant_window, running->tenant_window,
                     advice, error) != 0)
        return -1;
    return check_number(topic, "keys in which the tenant is part",
                        (uint32_t)(stored->tenant_position + 1),
                        (uint32_t)(running->tenant_position + 1), advice, error);
}

static int check_numbering(const leat_source *stored, const leat_source *running, leat_error *error)
{
    const char *topic = stored->topic;
    if (check_text(topic, "the hash", stored->hash, running->hash,
                   "Use the version of leat it was set up with.", error) != 0 ||
        check_placement(topic, &stored->placement, &running->placement, error) != 0)
        return -1;
    /* 0: not known yet. */
    if (stored->id != 0 && running->id != 0 && stored->id != running->id)
        return leat_fail(
            error,
            "topic %s: its source has id %" PRId32 " here and %" PRId32
            " in another shard. The shards "
            "were not set up together: check that each dsn is the database it should be.",
            topic, stored->id, running->id);
    return 0;
}

static int check_slots(const char *topic, const leat_layout *stored, const leat_layout *running,
                       leat_error *error)
{
    uint32_t differ = 0;
    for (uint32_t slot = 0; slot < LEAT_TENANT_SLOTS; slot++)
        differ += stored->tenant_slots[slot] != running->tenant_slots[slot];
    if (differ == 0)
        return 0;
    return leat_fail(error,
                     "topic %s: %" PRIu32
                     " of %d tenant slots belong to other shards than in the database. Use the "
                     "shards it was set up with, in that order.",
                     topic, differ, LEAT_TENANT_SLOTS);
}

/* A tenant that differs is named where both maps are at hand (daemon/tenant_file.h). */
static int check_tenants(const char *topic, const leat_layout *stored, const leat_layout *running,
                         leat_error *error)
{
    if (running->tenant_count < 0 || (stored->tenant_count == running->tenant_count &&
                                      stored->tenant_digest == running->tenant_digest))
        return 0;
    return leat_fail(
        error,
        "topic %s: the database was set up with other shards for some tenants: %" PRId64
        " have an entry there, %" PRId64
        " here. A tenant's shard does not change once the source is set up.",
        topic, stored->tenant_count, running->tenant_count);
}

static int check_layout(const char *topic, const leat_layout *stored, const leat_layout *running,
                        leat_error *error)
{
    if (check_number(
            topic, "a count of partitions of", stored->partition_count, running->partition_count,
            "Adding partitions moves keys between them and would break their order: use a new topic.",
            error) != 0 ||
        check_number(topic, "a count of shards of", stored->shard_count, running->shard_count,
                     "Use the shards it was set up with, or a new topic.", error) != 0)
        return -1;
    for (uint32_t i = 0; i < stored->shard_count; i++) {
        const char *advice = "Use the shards it was set up with, in that order.";
        if (check_text(topic, "the shard", stored->shards[i].name, running->shards[i].name, advice,
                       error) != 0 ||
            check_number(topic, "a shard whose first partition is", stored->shards[i].first,
                         running->shards[i].first, advice, error) != 0 ||
            check_number(topic, "a shard whose count of partitions is", stored->shards[i].count,
                         running->shards[i].count, advice, error) != 0)
            return -1;
    }
    return check_slots(topic, stored, running, error) != 0
               ? -1
               : check_tenants(topic, stored, running, error);
}

int leat_shard_check_source(const leat_source *stored, const leat_layout *stored_layout,
                            const leat_source *running, const leat_layout *running_layout,
                            leat_error *error)
{
    if (check_identity(stored, running, error) != 0 || check_numbering(stored, running, error) != 0)
        return -1;
    return check_layout(stored->topic, stored_layout, running_layout, error);
}

/* ---- what is stored ---- */

int32_t leat_source_id(const leat_source *source)
{
    char text[sizeof source->log_identity + sizeof source->topic + sizeof source->topic_id];
    int size = snprintf(text, sizeof text, "%s\n%s\n%s", source->log_identity, source->topic,
                        source->topic_id);
    LEAT_ASSERT(size > 0 && (size_t)size < sizeof text);
    int32_t id = (int32_t)(leat_hash((leat_slice){text, (size_t)size}) & 0x7fffffff);
    return id ? id : 1;
}

static bool add_shards(yyjson_mut_doc *json, yyjson_mut_val *root, const leat_layout *layout)
{
    yyjson_mut_val *shards = yyjson_mut_obj_add_arr(json, root, "shards");
    bool fine = shards != NULL;
    for (uint32_t i = 0; fine && i < layout->shard_count; i++) {
        yyjson_mut_val *shard = yyjson_mut_arr_add_obj(json, shards);
        fine = shard && yyjson_mut_obj_add_str(json, shard, "name", layout->shards[i].name) &&
               yyjson_mut_obj_add_uint(json, shard, "first", layout->shards[i].first) &&
               yyjson_mut_obj_add_uint(json, shard, "count", layout->shards[i].count);
    }
    return fine;
}

/* The digest as a text: JSON numbers need not have 64 bits. */
static bool add_tenants(yyjson_mut_doc *json, yyjson_mut_val *root, const leat_layout *layout)
{
    char digest[LEAT_DIGEST_SIZE];
    if (layout->tenant_count <= 0)
        return true;
    snprintf(digest, sizeof digest, "%016" PRIx64, layout->tenant_digest);
    yyjson_mut_val *tenants = yyjson_mut_obj_add_obj(json, root, "tenants");
    return tenants && yyjson_mut_obj_add_sint(json, tenants, "count", layout->tenant_count) &&
           yyjson_mut_obj_add_strcpy(json, tenants, "digest", digest);
}

int leat_layout_read_tenants(leat_layout *layout, int64_t count, const char *digest,
                             leat_error *error)
{
    char *end;
    layout->tenant_count = count;
    layout->tenant_digest = strtoull(digest, &end, 16);
    layout->tenants = NULL;
    if (count >= 0 && count <= LEAT_TENANT_MAP_MAX && *end == '\0' &&
        (count == 0) == (*digest == '\0'))
        return 0;
    return leat_fail(error, "the layout's tenants make no sense");
}

char *leat_layout_to_json(const leat_layout *layout)
{
    LEAT_ASSERT(layout->shard_count > 0 && layout->shard_count <= LEAT_SHARDS_MAX);
    yyjson_mut_doc *json = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(json);
    char *text = NULL;
    if (root && yyjson_mut_obj_add_uint(json, root, "partitions", layout->partition_count) &&
        add_shards(json, root, layout) && add_tenants(json, root, layout))
        text = yyjson_mut_val_write(root, YYJSON_WRITE_NOFLAG, NULL);
    yyjson_mut_doc_free(json);
    return text;
}

/* ---- which database is which shard's ---- */

int leat_layout_name_shard(const leat_layout *layout, uint32_t first, uint32_t last,
                           const char *where, char ret[LEAT_NAME_MAX + 1], leat_error *error)
{
    LEAT_ASSERT(first <= last);
    for (uint32_t i = 0; i < layout->shard_count; i++) {
        uint32_t from = layout->shards[i].first;
        if (first < from || last >= from + layout->shards[i].count)
            continue;
        snprintf(ret, LEAT_NAME_MAX + 1, "%s", layout->shards[i].name);
        return 0;
    }
    return leat_fail(error,
                     "%s: it holds partitions %" PRIu32 " to %" PRIu32
                     ", which its layout gives to no one shard: leat never "
                     "writes that. Restore it from a backup",
                     where, first, last);
}

static int find_name(const char *const *names, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

/* Another shard's, by the stored name; leat_shard_check_source handles a name that is not
 * configured. */
static int check_owner(const char *const *names, const leat_shard_self *selves, uint32_t count,
                       uint32_t shard, leat_error *error)
{
    LEAT_ASSERT(shard < count);
    const leat_shard_self *self = &selves[shard];
    int owner = strcmp(self->shard, names[shard]) == 0 ? -1 : find_name(names, count, self->shard);
    if (owner < 0)
        return 0;
    if (strcmp(selves[owner].shard, names[shard]) == 0)
        return leat_fail(
            error,
            "shards %s and %s are swapped: %s holds the partitions of shard %s, and %s those of shard %s. Swap "
            "where they lead to",
            names[shard], names[owner], self->where, names[owner], selves[owner].where,
            names[shard]);
    return leat_fail(
        error,
        "shard %s: %s holds the partitions of shard %s: it is that shard's database, or a copy of it. Let shard "
        "%s lead to the database that was set up for it",
        names[shard], self->where, names[owner], names[shard]);
}

int leat_shard_check_self(const char *const *names, const leat_shard_self *selves, uint32_t count,
                          uint32_t shard, leat_error *error)
{
    LEAT_ASSERT(shard < count);
    const leat_shard_self *self = &selves[shard];
    for (uint32_t i = 0; *self->database && i < count; i++) {
        if (i == shard || strcmp(selves[i].database, self->database) != 0)
            continue;
        bool after = i < shard;
        return leat_fail(error, "shards %s and %s lead to one database (%s, %s): give each its own",
                         names[after ? i : shard], names[after ? shard : i],
                         selves[after ? i : shard].where, selves[after ? shard : i].where);
    }
    return check_owner(names, selves, count, shard, error);
}

/* ---- small things ---- */

void leat_shard_owner(const leat_source *source, const char *group, char ret[LEAT_OWNER_SIZE])
{
    uint64_t hash = leat_hash(leat_slice_of(group));
    snprintf(ret, LEAT_OWNER_SIZE, "%" PRId32 " %08" PRIx32, source->id, (uint32_t)hash);
}

/* The host name is cut, so that the process id after it never is. */
void leat_shard_session_name(const char *owner, char ret[LEAT_SESSION_NAME_SIZE])
{
    char host[LEAT_SESSION_HOST_MAX + 1] = "";
    gethostname(host, sizeof host - 1);
    snprintf(ret, LEAT_SESSION_NAME_SIZE, "leat %s %s %ld", owner, host, (long)getpid());
}

static void append_holder(const leat_shard_wait *wait, char *ret, size_t size)
{
    LEAT_ASSERT(size > 0);
    if (wait->holder_pid == 0) {
        snprintf(
            ret, size,
            "which no session has: a prepared transaction (pg_prepared_xacts), or it was just given back");
        return;
    }
    snprintf(ret, size,
             "which session pid=%" PRId64 " application_name=\"%s\" user=%s has%s%s%s%s%s%s",
             wait->holder_pid, wait->holder_application, wait->holder_user,
             *wait->holder_state ? ", it is " : "", wait->holder_state,
             *wait->holder_since ? ", its transaction began " : "", wait->holder_since,
             *wait->holder_query ? ", its query " : "", wait->holder_query);
}

const char *leat_shard_describe_wait(const leat_shard_wait *wait, char ret[LEAT_WAIT_TEXT_SIZE])
{
    char others[48] = "";
    if (wait->is_file) {
        snprintf(ret, LEAT_WAIT_TEXT_SIZE,
                 "another process keeps the file's lock: pid=%" PRId64 " program \"%s\"",
                 wait->holder_pid, wait->holder_application);
        return ret;
    }
    if (wait->count > 1)
        snprintf(others, sizeof others, ", and %" PRIu32 " more like it", wait->count - 1);
    int used = snprintf(ret, LEAT_WAIT_TEXT_SIZE,
                        "a session of leat (pid %" PRId64 "%s) has waited %" PRId64 " s for ",
                        wait->pid, others, wait->waited_ms / 1000);
    LEAT_ASSERT(used > 0 && used < LEAT_WAIT_TEXT_SIZE);
    char *at = ret + used;
    size_t left = LEAT_WAIT_TEXT_SIZE - (size_t)used;
    if (wait->is_commit) {
        snprintf(at, left, "a synchronous standby to confirm its commit: %s", wait->standbys);
        return ret;
    }
    used = snprintf(at, left, "a lock%s%s, ", *wait->relation ? " on " : "", wait->relation);
    append_holder(wait, at + used, left - (size_t)used);
    return ret;
}

void leat_shard_work_fini(leat_shard_work *work)
{
    for (uint32_t i = 0; i < work->worker_count; i++)
        free(work->workers[i].report);
    free(work->workers);
    free(work->processes);
    leat_control_set_drop(work->controls);
    *work = (leat_shard_work){0};
}

void leat_dead_letters_fini(leat_dead_letters *letters)
{
    for (uint32_t i = 0; i < letters->count; i++) {
        leat_dead_letter *letter = &letters->letters[i];
        char *const texts[] = {letter->at,      letter->accepted_at, letter->route,
                               letter->op,      letter->headers,     letter->sqlstate,
                               letter->message, letter->key,         letter->body};
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
            free(texts[t]);
    }
    free(letters->letters);
    *letters = (leat_dead_letters){0};
}
