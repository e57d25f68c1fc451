/*
 * report_text.c - a report is put together from pieces that are JSON already, and what does not fit
 * is left out: a shard must never refuse it for its size.
 */
#include "apply/report_text.h"

#include <inttypes.h>
#include <stdlib.h>

#include <yyjson.h>

#include "sink/shard.h"

/* With the facts and culprits less than LEAT_REPORT_BYTES_MAX. */
enum { PARTITIONS_BYTES_MAX = 24 * 1024 };

static size_t count_numbers(const leat_buf *list)
{
    size_t count = 1;
    for (size_t i = 0; i < list->size; i++)
        count += list->data[i] == ',';
    return count;
}

/* The elements are JSON already, written by each worker: they are taken over as they are. */
static yyjson_mut_val *list_of(yyjson_mut_doc *doc, const leat_buf *elements)
{
    leat_buf list = {0};
    yyjson_mut_val *value = NULL;
    leat_buf_byte(&list, '[');
    leat_buf_append(&list, elements->data, elements->size);
    leat_buf_byte(&list, ']');
    if (!elements->failed && !list.failed)
        value = yyjson_mut_rawncpy(doc, list.data, list.size);
    leat_buf_free(&list);
    return value;
}

void leat_report_write(const leat_buf *partitions, const leat_buf *facts, leat_buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    bool is_whole = yyjson_mut_obj_add_val(doc, root, "partitions",
                                           partitions->size <= PARTITIONS_BYTES_MAX
                                               ? list_of(doc, partitions)
                                               : yyjson_mut_uint(doc, count_numbers(partitions))) &&
                    yyjson_mut_obj_add_val(doc, root, "facts", list_of(doc, facts));
    size_t size = 0;
    char *text = is_whole ? yyjson_mut_write(doc, 0, &size) : NULL;
    if (text)
        leat_buf_append(out, text, size);
    LEAT_ASSERT(out->size <= LEAT_REPORT_BYTES_MAX);
    out->failed = out->failed || !text;
    free(text);
    yyjson_mut_doc_free(doc);
}

void leat_report_add(leat_buf *report, const char *name, const leat_buf *value)
{
    if (report->failed || report->size == 0)
        return;
    LEAT_ASSERT(report->data[report->size - 1] == '}');
    report->size--;
    leat_buf_printf(report, ",\"%s\":", name);
    leat_buf_append(report, value->data, value->size);
    leat_buf_byte(report, '}');
    report->failed = report->failed || value->failed;
    LEAT_ASSERT(report->size <= LEAT_REPORT_BYTES_MAX);
}

void leat_report_add_commit(leat_buf *report, bool commits_async)
{
    leat_buf text = {0};
    leat_buf_text(&text, commits_async ? "\"async\"" : "\"sync\"");
    leat_report_add(report, "commit", &text);
    leat_buf_free(&text);
}

static void put_number(leat_buf *out, const char *name, double value, bool is_known)
{
    if (is_known)
        leat_buf_printf(out, ",\"%s\":%.1f", name, value);
    else
        leat_buf_printf(out, ",\"%s\":null", name);
}

void leat_report_add_drain(leat_buf *report, const leat_drain *drain)
{
    leat_buf text = {0};
    leat_buf_printf(&text, "{\"waiting\":%" PRIu64, drain->waiting);
    put_number(&text, "drained_s", drain->drained_per_s, drain->drained_per_s > 0);
    put_number(&text, "arriving_s", drain->arrivals_per_s, drain->arrivals_per_s >= 0);
    put_number(&text, "catch_up_s", (double)drain->catch_up_ms / 1000, drain->catch_up_ms >= 0);
    leat_buf_byte(&text, '}');
    leat_report_add(report, "drain", &text);
    leat_buf_free(&text);
}
