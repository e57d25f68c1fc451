/*
 * troubles.c - evidence that needs no process comes first: the lag, leat's sessions and what they
 * wait for. Then the reports of processes that work. A report may be missing (a server that crashed
 * empties leat.workers, and a role may lack the right to write it) and may outlive its process, so
 * silence never counts as health: where no report shows that a partition moves, its age decides.
 */
#include "watch/troubles.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

enum {
    /* Some states are normal for a moment and count as trouble only after these times: */
    HELD_MS = 10 * 1000,    /* an open transaction */
    UNOWNED_MS = 10 * 1000, /* a partition without a process, while the group rebalances */
    WAIT_MS = 2 * 1000,     /* a wait for a lock */
};

/* ---- lines ---- */

static void add_line(leat_troubles *troubles, const char *kind, char *text, char *json,
                     int64_t age_ms)
{
    if (troubles->count == LEAT_TROUBLES_MAX || !text || !json) {
        troubles->left_out++;
        free(text);
        free(json);
        return;
    }
    leat_trouble_line *line = &troubles->lines[troubles->count++];
    *line = (leat_trouble_line){.text = text, .json = json, .age_ms = age_ms};
    snprintf(line->kind, sizeof line->kind, "%s", kind);
}

/* With the age as "seconds", and whatever else the object has. Takes the document. */
static void add_object(leat_troubles *troubles, yyjson_mut_doc *doc, yyjson_mut_val *object,
                       const char *kind, const char *text, int64_t age_ms)
{
    if (age_ms >= 0)
        yyjson_mut_obj_add_real(doc, object, "seconds", (double)age_ms / 1000);
    else
        yyjson_mut_obj_add_null(doc, object, "seconds");
    yyjson_mut_doc_set_root(doc, object);
    add_line(troubles, kind, leat_must_strdup(text),
             yyjson_mut_write(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL), age_ms);
    yyjson_mut_doc_free(doc);
}

LEAT_PRINTF(4, 5)
static void add_text(leat_troubles *troubles, const char *kind, int64_t age_ms, const char *format,
                     ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    LEAT_ASSERT(doc);
    yyjson_mut_val *object = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_strcpy(doc, object, "kind", kind);
    yyjson_mut_obj_add_strcpy(doc, object, "words", text);
    add_object(troubles, doc, object, kind, text, age_ms);
}

/* Among the troubles that no process reported. */
static bool is_seen(const leat_troubles *troubles, const char *kind)
{
    for (uint32_t i = 0; i < troubles->seen_count; i++)
        if (strcmp(troubles->lines[i].kind, kind) == 0)
            return true;
    return false;
}

/* ---- processes ---- */

/* The name that its sessions have, where a long host name is cut. */
static void session_name(const leat_shard_worker *worker, char *ret, size_t size)
{
    snprintf(ret, size, "%.*s %" PRId64, LEAT_SESSION_HOST_MAX, worker->host, worker->pid);
}

static const leat_shard_process *sessions_of(const leat_shard_work *work,
                                             const leat_shard_worker *worker)
{
    char name[64];
    session_name(worker, name, sizeof name);
    for (uint32_t i = 0; i < work->process_count; i++)
        if (strcmp(work->processes[i].name, name) == 0)
            return &work->processes[i];
    return NULL;
}

static bool has_row(const leat_shard_work *work, const leat_shard_process *process)
{
    char name[64];
    for (uint32_t i = 0; i < work->worker_count; i++) {
        session_name(&work->workers[i], name, sizeof name);
        if (strcmp(name, process->name) == 0)
            return true;
    }
    return false;
}

static void read_report(const leat_shard_worker *worker, leat_status_process *ret)
{
    yyjson_doc *doc = yyjson_read(worker->report, strlen(worker->report), 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *commit = yyjson_obj_get(root, "commit"),
               *partitions = yyjson_obj_get(root, "partitions");
    uint64_t count = yyjson_is_int(partitions) ? yyjson_get_uint(partitions)
                                               : yyjson_arr_size(partitions);
    ret->partition_count = (uint32_t)count;
    ret->commit = yyjson_equals_str(commit, "async")  ? LEAT_STATUS_COMMIT_ASYNC
                  : yyjson_equals_str(commit, "sync") ? LEAT_STATUS_COMMIT_SYNC
                                                      : LEAT_STATUS_COMMIT_UNSAID;
    yyjson_doc_free(doc);
}

/* A process that has not missed a report counts as working if it has sessions; where sessions have
 * no names, or those of other processes, the report is enough, unless nobody has the file open. One
 * that has never reported (its role may not write leat.workers) counts as working as long as it has
 * sessions of its own. */
static void find_processes(leat_shard_address at, const leat_shard_work *work, leat_troubles *ret)
{
    bool counts_sessions = at.dsn != NULL && !work->is_pooled;
    /* The file that they would report to is locked. */
    bool cannot_report = work->waits.count > 0 && work->waits.waits[0].is_file;
    ret->is_pooled = work->is_pooled;
    ret->processes =
        leat_must_calloc(work->worker_count + work->process_count + 1, sizeof *ret->processes);
    for (uint32_t i = 0; i < work->worker_count; i++) {
        const leat_shard_worker *worker = &work->workers[i];
        const leat_shard_process *sessions = sessions_of(work, worker);
        leat_status_process *process = &ret->processes[ret->process_count++];
        *process = (leat_status_process){.heard_ms = worker->heard_ms,
                                         .sessions = sessions ? sessions->sessions : 0,
                                         .busy = sessions ? sessions->busy : 0};
        read_report(worker, process);
        snprintf(process->name, sizeof process->name, "%s %" PRId64, worker->host, worker->pid);
        process->works = (worker->heard_ms < LEAT_REPORT_LATE_MS || cannot_report) &&
                         (sessions || !counts_sessions) && !work->is_closed;
    }
    for (uint32_t i = 0; counts_sessions && i < work->process_count; i++) {
        if (has_row(work, &work->processes[i]))
            continue;
        leat_status_process *process = &ret->processes[ret->process_count++];
        *process = (leat_status_process){.works = true,
                                         .heard_ms = -1,
                                         .sessions = work->processes[i].sessions,
                                         .busy = work->processes[i].busy};
        snprintf(process->name, sizeof process->name, "%s", work->processes[i].name);
    }
}

static uint32_t count_working(const leat_troubles *troubles)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < troubles->process_count; i++)
        count += troubles->processes[i].works;
    return count;
}

/* One that works without a report: the server has crashed and leat.workers is empty, or its role
 * may not write it. NULL: none. */
static const leat_status_process *find_unreported(const leat_troubles *troubles)
{
    for (uint32_t i = 0; i < troubles->process_count; i++)
        if (troubles->processes[i].works && troubles->processes[i].heard_ms < 0)
            return &troubles->processes[i];
    return NULL;
}

/* ---- their reports ---- */

/* A wait that the server shows now is left out: it is among the troubles already. */
static void take_fact(leat_troubles *troubles, const leat_shard_worker *worker, const char *process,
                      yyjson_val *fact)
{
    const char *text = yyjson_get_str(yyjson_obj_get(fact, "words")),
               *kind = yyjson_get_str(yyjson_obj_get(fact, "kind"));
    bool is_wait = kind && (strcmp(kind, "lock") == 0 || strcmp(kind, "commit") == 0);
    yyjson_val *since = yyjson_obj_get(fact, "since_ms");
    int64_t age_ms =
        yyjson_is_int(since) ? worker->clock_ms - yyjson_get_sint(since) + worker->heard_ms : -1;
    if (!text || !kind || (is_wait && is_seen(troubles, kind)))
        return;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    LEAT_ASSERT(doc);
    yyjson_mut_val *object = yyjson_val_mut_copy(doc, fact);
    LEAT_ASSERT(object);
    yyjson_mut_obj_remove_key(object, "since_ms");
    yyjson_mut_obj_add_strcpy(doc, object, "process", process);
    uint32_t before = troubles->count;
    add_object(troubles, doc, object, kind, text, age_ms < 0 ? -1 : age_ms);
    if (troubles->count > before)
        troubles->lines[before].is_least = yyjson_is_true(yyjson_obj_get(fact, "at_least"));
}

/* `owned`: [partition], set for each partition of a working process; all are set where it has too
 * many to list. */
static void take_report(leat_troubles *troubles, const leat_shard_worker *worker,
                        const char *process, bool *owned, uint32_t count)
{
    yyjson_doc *doc = yyjson_read(worker->report, strlen(worker->report), 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *value;
    for (uint32_t i = 0; i < count && yyjson_is_int(yyjson_obj_get(root, "partitions")); i++)
        owned[i] = true;
    yyjson_arr_iter at = yyjson_arr_iter_with(yyjson_obj_get(root, "partitions"));
    while ((value = yyjson_arr_iter_next(&at)))
        if (yyjson_is_int(value) && yyjson_get_uint(value) < count)
            owned[yyjson_get_uint(value)] = true;
    at = yyjson_arr_iter_with(yyjson_obj_get(root, "facts"));
    while ((value = yyjson_arr_iter_next(&at)))
        take_fact(troubles, worker, process, value);
    yyjson_doc_free(doc);
}

/* ---- evidence from outside ---- */

/* A process that keeps the lock of a SQLite file does no harm while there are no records. */
static void find_waits(leat_troubles *troubles, const leat_shard_waits *waits, bool has_records)
{
    char text[LEAT_WAIT_TEXT_SIZE];
    for (uint32_t i = 0; i < waits->count; i++) {
        const leat_shard_wait *wait = &waits->waits[i];
        if (wait->waited_ms >= WAIT_MS && (has_records || !wait->is_file))
            add_text(troubles, wait->is_commit ? "commit" : "lock",
                     wait->is_file ? -1 : wait->waited_ms, "%s",
                     leat_shard_describe_wait(wait, text));
    }
}

/* The shard's partition with the oldest record, of those with owned[partition] == `wanted`. */
static const leat_lag_partition *oldest(const leat_lag *lag, uint32_t shard, const bool *owned,
                                        bool wanted, uint32_t *ret_count)
{
    const leat_lag_partition *found = NULL;
    *ret_count = 0;
    for (uint32_t i = 0; i < lag->count; i++) {
        const leat_lag_partition *at = &lag->partitions[i];
        if (at->shard != shard || !at->is_known || at->records == 0 || owned[i] != wanted)
            continue;
        ++*ret_count;
        if (!found || at->age_ms > found->age_ms)
            found = at;
    }
    return found;
}

static void find_unowned(leat_troubles *troubles, const leat_lag *lag, uint32_t shard,
                         const bool *owned)
{
    uint32_t count;
    const leat_lag_partition *at = oldest(lag, shard, owned, false, &count);
    const leat_status_process *unreported = find_unreported(troubles);
    if (!at || at->age_ms <= UNOWNED_MS)
        return;
    if (unreported)
        add_text(
            troubles, "unowned", at->age_ms,
            "partition=%" PRIu32 " offset=%" PRId64
            " records wait, and no process reports to have this partition (%" PRIu32
            " partitions are like it); process %s has reported nothing since the server started, or may not write leat.workers",
            at->partition, at->low + 1, count, unreported->name);
    else
        add_text(troubles, "unowned", at->age_ms,
                 "partition=%" PRIu32 " offset=%" PRId64
                 " records wait, and no process has this partition (%" PRIu32
                 " partitions are like it)",
                 at->partition, at->low + 1, count);
}

/* The owner of a partition would report it if nothing in it moved. */
static void find_old(leat_troubles *troubles, const leat_lag *lag, uint32_t shard,
                     const bool *owned, uint32_t max_seconds)
{
    uint32_t count;
    const leat_lag_partition *silent = oldest(lag, shard, owned, false, &count),
                             *moving = oldest(lag, shard, owned, true, &count);
    if (silent && silent->age_ms > LEAT_STATUS_AGE_MS)
        add_text(troubles, "old", silent->age_ms,
                 "partition=%" PRIu32 " offset=%" PRId64 " the oldest record is %" PRId64
                 " s old, and no process reports that it moves",
                 silent->partition, silent->low + 1, silent->age_ms / 1000);
    const leat_lag_partition *at = !moving || (silent && silent->age_ms > moving->age_ms) ? silent
                                                                                          : moving;
    if (max_seconds > 0 && at && at->age_ms > (int64_t)max_seconds * 1000)
        add_text(troubles, "old", at->age_ms,
                 "partition=%" PRIu32 " offset=%" PRId64 " the oldest record is %" PRId64
                 " s old, more than --max-seconds %" PRIu32,
                 at->partition, at->low + 1, at->age_ms / 1000, max_seconds);
}

static void find_held(leat_troubles *troubles, const leat_lag *lag, uint32_t shard)
{
    char text[LEAT_LAG_HELD_SIZE];
    const leat_lag_partition *at = leat_lag_first_held(lag, shard);
    if (!at || lag->shards[shard].age_ms <= HELD_MS)
        return;
    troubles->is_held = true;
    add_text(troubles, "open transaction", -1, "%s", leat_lag_held(at, text));
}

/* Called when no process works here. One that ends in order takes its row away: where a row is
 * left, something has ended it, or it hangs, whether records wait by now or not. */
static void find_nobody(leat_troubles *troubles, const leat_lag *lag, uint32_t shard)
{
    const leat_status_process *last = NULL;
    for (uint32_t i = 0; i < troubles->process_count; i++)
        if (troubles->processes[i].heard_ms >= 0 &&
            (!last || troubles->processes[i].heard_ms < last->heard_ms))
            last = &troubles->processes[i];
    bool has_records = lag->shards[shard].records > 0;
    if (last)
        add_text(troubles, "nobody", last->heard_ms,
                 "%s: process %s was heard last, %" PRId64 " s ago%s",
                 has_records ? "records wait and nobody applies them" : "no process works here",
                 last->name, last->heard_ms / 1000,
                 has_records ? "" : ", and has not ended in order");
    else if (has_records)
        add_text(troubles, "nobody", -1, "records wait and nobody applies them");
}

void leat_troubles_find(leat_shard_address at, const leat_lag *lag, uint32_t shard,
                        uint32_t max_seconds, leat_troubles *ret)
{
    const leat_shard_work *work = &lag->works[shard];
    LEAT_ASSERT(shard < LEAT_SHARDS_MAX);
    *ret = (leat_troubles){0};
    if (*lag->errors[shard].text) {
        add_text(ret, "error", -1, "the shard cannot be read");
        return;
    }
    bool *owned = leat_must_calloc(lag->count + 1, sizeof *owned);
    find_processes(at, work, ret);
    find_held(ret, lag, shard);
    if (lag->shards[shard].age_ms < 0)
        add_text(ret, "age", -1,
                 "the record above a low water could not be read: it may no longer be in the log");
    if (count_working(ret) == 0)
        find_nobody(ret, lag, shard);
    find_waits(ret, &work->waits, lag->shards[shard].records > 0);
    ret->seen_count = ret->count;
    for (uint32_t i = 0; i < work->worker_count; i++)
        if (ret->processes[i].works)
            take_report(ret, &work->workers[i], ret->processes[i].name, owned, lag->count);
    if (count_working(ret) > 0)
        find_unowned(ret, lag, shard, owned);
    find_old(ret, lag, shard, owned, max_seconds);
    free(owned);
}

void leat_troubles_fini(leat_troubles *troubles)
{
    for (uint32_t i = 0; i < troubles->count; i++) {
        free(troubles->lines[i].text);
        free(troubles->lines[i].json);
    }
    free(troubles->processes);
    *troubles = (leat_troubles){0};
}
