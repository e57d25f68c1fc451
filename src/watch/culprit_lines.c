/*
 * culprit_lines.c - a report may come from another version of leat: a member that is missing, or
 * has another type, is left out and nothing else.
 */
#include "watch/culprit_lines.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#define LEAST_SHARE    0.1 /* of the database's time: less is not worth a line */
#define LEAST_WAITED_S 1.0 /* of a record: less is no lag */

static const char *text_of(yyjson_val *row, const char *name)
{
    return yyjson_get_str(yyjson_obj_get(row, name));
}

static double number_of(yyjson_val *row, const char *name)
{
    return yyjson_get_num(yyjson_obj_get(row, name));
}

static void put_record(yyjson_val *row, leat_buf *lines)
{
    const char *key = text_of(row, "key"), *tenant = text_of(row, "tenant"),
               *reason = text_of(row, "reason");
    double attempts = number_of(row, "attempts");
    leat_buf_printf(lines, "held by offset %.0f of partition %.0f for %.0f s",
                    number_of(row, "offset"), number_of(row, "partition"),
                    number_of(row, "since_s"));
    if (key)
        leat_buf_printf(lines, ", key %s", key);
    if (tenant)
        leat_buf_printf(lines, ", tenant %s", tenant);
    leat_buf_printf(lines, ": %s", reason ? reason : "for an unknown reason");
    if (attempts > 0)
        leat_buf_printf(lines, " (%.0f attempts)", attempts);
    leat_buf_byte(lines, '\n');
}

/* Seconds that a record of this one has waited; 0: others waited more, or it is no lag. */
static double waited_of(yyjson_val *shares, yyjson_val *row)
{
    size_t i, count;
    yyjson_val *other;
    double waited_s = number_of(row, "waited_s"), records = number_of(row, "records");
    yyjson_arr_foreach(shares, i, count, other)
    {
        if (number_of(other, "waited_s") > waited_s)
            return 0;
    }
    double each_s = records > 0 ? waited_s / records : 0;
    return each_s >= LEAST_WAITED_S ? each_s : 0;
}

static void put_share(yyjson_val *shares, yyjson_val *row, const char *kind, leat_buf *lines)
{
    const char *text = text_of(row, kind);
    double oldest_s = number_of(row, "oldest_s"), waited_s = waited_of(shares, row);
    bool matters = number_of(row, "records_s") >= 1 || oldest_s > 0 || waited_s > 0 ||
                   number_of(row, "database_ratio") >= LEAST_SHARE;
    if (!text || !matters)
        return;
    leat_buf_printf(lines, "%s %s: %.1f records a second, %.0f %% of the database's time", kind,
                    text, number_of(row, "records_s"), 100 * number_of(row, "database_ratio"));
    if (waited_s > 0)
        leat_buf_printf(lines, ", the most time waited: %.0f s, %.1f s a record",
                        number_of(row, "waited_s"), waited_s);
    if (oldest_s > 0)
        leat_buf_printf(lines, ", the oldest that waits for %.0f s", oldest_s);
    leat_buf_byte(lines, '\n');
}

static void put_shares(yyjson_val *shares, const char *kind, size_t *left, leat_buf *lines)
{
    size_t i, count;
    yyjson_val *row;
    yyjson_arr_foreach(shares, i, count, row)
    {
        if (*left > 0 && (*left)--)
            put_share(shares, row, kind, lines);
    }
}

static void put_lines(yyjson_val *culprits, leat_buf *lines)
{
    size_t i, count, left = LEAT_CULPRIT_LINES_MAX;
    yyjson_val *row;
    yyjson_arr_foreach(yyjson_obj_get(culprits, "alerts"), i, count, row)
    {
        const char *text = text_of(row, "text");
        if (text && left > 0 && left--)
            leat_buf_printf(lines, "%s\n", text);
    }
    yyjson_arr_foreach(yyjson_obj_get(culprits, "partitions"), i, count, row)
    {
        if (left > 0 && left--)
            put_record(row, lines);
    }
    put_shares(yyjson_obj_get(culprits, "tenants"), "tenant", &left, lines);
    put_shares(yyjson_obj_get(culprits, "keys"), "key", &left, lines);
}

static void put_json(yyjson_val *culprits, const leat_shard_worker *worker, leat_buf *json)
{
    leat_buf process = {0};
    leat_buf_printf(&process, "%s %" PRId64, worker->host, worker->pid);
    char *text = yyjson_val_write(culprits, 0, NULL);
    if (text && !process.failed) {
        leat_buf_text(json, json->size > 0 ? ",{\"process\":" : "{\"process\":");
        leat_buf_json_string(json, (leat_slice){process.data, process.size});
        leat_buf_text(json, ",\"found\":");
        leat_buf_text(json, text);
        leat_buf_byte(json, '}');
    }
    leat_buf_free(&process);
    free(text);
}

void leat_culprit_lines(const leat_shard_work *work, leat_buf *lines, leat_buf *json)
{
    for (uint32_t i = 0; i < work->worker_count; i++) {
        const leat_shard_worker *worker = &work->workers[i];
        if (worker->heard_ms >= LEAT_REPORT_LATE_MS)
            continue;
        yyjson_doc *doc = yyjson_read(worker->report, strlen(worker->report), 0);
        yyjson_val *culprits = yyjson_obj_get(yyjson_doc_get_root(doc), "culprits");
        if (yyjson_is_obj(culprits)) {
            put_lines(culprits, lines);
            put_json(culprits, worker, json);
        }
        yyjson_doc_free(doc);
    }
}
