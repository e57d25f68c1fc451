/*
 * catch_up.c - a report may come from another version of leat: a number that is missing, or has
 * another type, is not known.
 */
#include "watch/catch_up.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <yyjson.h>

/* NAN: it is not there, or no number. */
static double number_of(yyjson_val *object, const char *name)
{
    yyjson_val *value = yyjson_obj_get(object, name);
    return yyjson_is_num(value) ? yyjson_get_num(value) : NAN;
}

static void add_worker(leat_catch_up *to, yyjson_val *drain)
{
    double waiting = number_of(drain, "waiting"), drained_s = number_of(drain, "drained_s"),
           arriving_s = number_of(drain, "arriving_s"), seconds = number_of(drain, "catch_up_s");
    if (!isnan(drained_s))
        to->drained_s += drained_s;
    if (!isnan(arriving_s))
        to->arriving_s += arriving_s;
    if (isnan(seconds)) {
        to->is_known = to->is_known && !isnan(waiting) && waiting <= 0;
        return;
    }
    to->is_never = to->is_never || seconds * 1000 >= LEAT_CATCH_UP_NEVER_MS;
    to->seconds = seconds > to->seconds ? seconds : to->seconds;
}

/* Of partitions that do not fit a report has the number. */
static bool has_partitions(yyjson_val *report)
{
    yyjson_val *partitions = yyjson_obj_get(report, "partitions");
    return !yyjson_is_arr(partitions) || yyjson_arr_size(partitions) > 0;
}

leat_catch_up leat_catch_up_of(const leat_shard_work *work)
{
    leat_catch_up ret = {.is_known = true};
    uint32_t heard = 0;
    for (uint32_t i = 0; i < work->worker_count; i++) {
        const leat_shard_worker *worker = &work->workers[i];
        if (worker->heard_ms >= LEAT_REPORT_LATE_MS)
            continue;
        yyjson_doc *doc = yyjson_read(worker->report, strlen(worker->report), 0);
        yyjson_val *report = yyjson_doc_get_root(doc);
        if (has_partitions(report)) {
            add_worker(&ret, yyjson_obj_get(report, "drain"));
            heard++;
        }
        yyjson_doc_free(doc);
    }
    ret.is_known = ret.is_known && heard > 0;
    ret.waits = ret.seconds * 1000 > LEAT_CATCH_UP_LEAST_MS;
    return ret;
}

const char *leat_catch_up_words(const leat_catch_up *of, char ret[LEAT_CATCH_UP_SIZE])
{
    *ret = '\0';
    if (!of->is_known || !of->waits)
        return ret;
    if (of->is_never)
        snprintf(ret, LEAT_CATCH_UP_SIZE,
                 "%s not catch up: %.0f records a second come, %.0f are applied",
                 of->drained_s > of->arriving_s ? "a part of it does" : "does", of->arriving_s,
                 of->drained_s);
    else
        snprintf(ret, LEAT_CATCH_UP_SIZE,
                 "caught up in about %.0f s (%.0f records a second are applied, %.0f come)",
                 of->seconds, of->drained_s, of->arriving_s);
    return ret;
}
