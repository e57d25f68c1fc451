/* Each write is a slot that is idle, out or waiting to be sent again; there are as many as may be
 * without an answer, so memory is constant and a slow edge slows the load down.
 *
 * With --rate a write is due at a fixed time, whether or not the earlier ones were answered, and
 * its scheduled latency counts from then: otherwise a stall would hide the requests that it held
 * back, which is known as coordinated omission. Without a rate it is due when it is sent. */
#include "load/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_US = 1000000 };

int load_run_init(load_run *run, const load_options *options, uint32_t outstanding_max,
                  leat_error *error)
{
    *run = (load_run){.options = options, .write_count = outstanding_max};
    if (options->history) {
        run->history = fopen(options->history, "ae");
        if (!run->history)
            return leat_fail(error, "%s: %s", options->history, strerror(errno));
    }
    workload_init(&run->workload, options);
    run->writes = leat_must_calloc(outstanding_max, sizeof *run->writes);
    for (uint32_t i = outstanding_max; i-- > 0;) {
        run->writes[i].next = run->idle;
        run->idle = &run->writes[i];
    }
    run->start_us = leat_mono_us();
    run->end_us = options->seconds > 0 ? run->start_us + (int64_t)(options->seconds * 1e6)
                                       : INT64_MAX;
    run->last_answer_us = run->last_line_us = run->start_us;
    return 0;
}

void load_run_fini(load_run *run)
{
    for (uint32_t i = 0; run->writes && i < run->write_count; i++) {
        leat_buf_free(&run->writes[i].path);
        leat_buf_free(&run->writes[i].body);
    }
    free(run->writes);
    if (run->history)
        fclose(run->history);
    *run = (load_run){0};
}

/* ---- what to send ---- */

static load_write *take_retry(load_run *run, int64_t now_us)
{
    load_write *write = run->retry_first;
    if (!write || write->retry_us > now_us)
        return NULL;
    run->retry_first = write->next;
    if (!run->retry_first)
        run->retry_last = NULL;
    write->next = NULL;
    write->sent_us = now_us;
    return write;
}

static int64_t due_us(const load_run *run)
{
    if (run->options->rate <= 0)
        return run->start_us;
    return run->start_us + (int64_t)((double)run->issued * 1e6 / run->options->rate);
}

static load_write *take_new(load_run *run, int64_t now_us)
{
    int64_t due = due_us(run);
    if (run->stopping || !run->idle || run->issued >= run->options->records || due > now_us)
        return NULL;
    load_write *write = run->idle;
    run->idle = write->next;
    run->out++;
    run->issued++;
    workload_next(&run->workload, write);
    write->next = NULL;
    write->maybe = false;
    write->due_us = run->options->rate > 0 ? due : now_us;
    write->first_us = write->sent_us = now_us;
    run->stats.sent++;
    return write;
}

load_write *load_run_take(load_run *run, int64_t now_us)
{
    load_write *write = take_retry(run, now_us);
    return write ? write : take_new(run, now_us);
}

void load_run_put_back(load_run *run, load_write *write)
{
    write->retry_us = 0;
    write->next = run->retry_first;
    run->retry_first = write;
    if (!run->retry_last)
        run->retry_last = write;
}

static void retry_later(load_run *run, load_write *write, int64_t now_us)
{
    run->stats.retries++;
    write->retry_us = now_us + run->options->retry_delay_us;
    write->next = NULL;
    if (run->retry_last)
        run->retry_last->next = write;
    else
        run->retry_first = write;
    run->retry_last = write;
}

/* ---- what came back ---- */

static void count_error(load_stats *stats, const char *error)
{
    for (size_t i = 0; i < LOAD_ERRORS_MAX; i++) {
        if (stats->errors[i].error && strcmp(stats->errors[i].error, error) != 0)
            continue;
        stats->errors[i].error = error;
        stats->errors[i].count++;
        return;
    }
}

void load_run_error(load_run *run, const char *error)
{
    count_error(&run->stats, error);
}

static bool is_unknown(const load_write *write, const load_answer *answer)
{
    if (answer->status / 100 == 2)
        return false;
    return write->maybe || answer->status == 504 || (answer->status == 0 && !answer->refused);
}

static void count_answer(load_stats *stats, const load_write *write, const load_answer *answer,
                         int64_t now_us)
{
    if (answer->status / 100 == 2) {
        stats->acked++;
        hist_add(&stats->latency, now_us - write->sent_us);
        hist_add(&stats->second, now_us - write->sent_us);
        hist_add(&stats->scheduled, now_us - write->due_us);
    } else if (is_unknown(write, answer)) {
        stats->unknown++;
    } else {
        stats->refused++;
    }
    if (answer->status > 0 && answer->status < LOAD_STATUS_MAX)
        stats->statuses[answer->status]++;
    if (answer->error)
        count_error(stats, answer->error);
}

static void write_history(load_run *run, const load_write *write, const load_answer *answer)
{
    if (!run->history)
        return;
    FILE *out = run->history;
    fprintf(out, "{\"seq\":%llu,\"key\":\"%.*s\",\"op\":\"%s\"", (unsigned long long)write->seq,
            (int)write->path.size, write->path.data, leat_route_op_name(write->op));
    if (answer->status)
        fprintf(out, ",\"status\":%d", answer->status);
    if (answer->partition >= 0)
        fprintf(out, ",\"partition\":%lld,\"offset\":%lld", (long long)answer->partition,
                (long long)answer->offset);
    if (answer->error)
        fprintf(out, ",\"error\":\"%s\"", answer->error);
    fputs("}\n", out);
}

static bool may_retry(const load_run *run, load_write *write, const load_answer *answer)
{
    write->maybe = write->maybe || (answer->status != 503 && is_unknown(write, answer));
    return answer->status == 503 || (run->options->retry_unknown && is_unknown(write, answer));
}

void load_run_answer(load_run *run, load_write *write, const load_answer *answer, int64_t now_us)
{
    if (!run->failure && may_retry(run, write, answer)) {
        retry_later(run, write, now_us);
        return;
    }
    count_answer(&run->stats, write, answer, now_us);
    write_history(run, write, answer);
    if (answer->status / 100 == 2)
        run->last_answer_us = now_us;
    LEAT_ASSERT(run->out > 0);
    run->out--;
    write->next = run->idle;
    run->idle = write;
}

/* ---- progress and the end ---- */

static void show_line(load_run *run, int64_t now_us)
{
    load_stats *stats = &run->stats;
    double span = (double)(now_us - run->last_line_us) / 1e6;
    if (!run->options->quiet)
        fprintf(
            stderr,
            "%5.0f s  sent %llu  acked %llu  refused %llu  unknown %llu  retries %llu  %.0f/s  p50 %.2f ms  p99 "
            "%.2f ms\n",
            (double)(now_us - run->start_us) / 1e6, (unsigned long long)stats->sent,
            (unsigned long long)stats->acked, (unsigned long long)stats->refused,
            (unsigned long long)stats->unknown, (unsigned long long)stats->retries,
            (double)(stats->acked - stats->acked_before) / span, hist_ms(&stats->second, 0.5),
            hist_ms(&stats->second, 0.99));
    stats->second = (hist){0};
    stats->acked_before = stats->acked;
    run->last_line_us = now_us;
}

void load_run_stop(load_run *run)
{
    run->stopping = true;
}

void load_run_abandon(load_run *run)
{
    const load_answer answer = {
        .partition = -1, .offset = -1, .error = "given up", .refused = true};
    int64_t now_us = leat_mono_us();
    LEAT_ASSERT(run->failure);
    for (load_write *write = run->retry_first, *next; write; write = next) {
        next = write->next;
        load_run_answer(run, write, &answer, now_us);
    }
    run->retry_first = run->retry_last = NULL;
}

static bool all_issued(const load_run *run)
{
    return run->stopping || run->issued >= run->options->records;
}

void load_run_tick(load_run *run, int64_t now_us)
{
    if (now_us >= run->end_us)
        run->stopping = true;
    if (run->out == 0 && !all_issued(run) && run->options->rate > 0 &&
        due_us(run) > run->last_answer_us)
        run->last_answer_us = now_us; /* nothing was due: silence is not a sign */
    if (!run->failure && now_us - run->last_answer_us > run->options->give_up_us)
        run->failure = "nothing was acknowledged for as long as --give-up allows";
    if (now_us - run->last_line_us >= LINE_US) {
        show_line(run, now_us);
        if (run->history)
            fflush(run->history);
    }
}

bool load_run_over(const load_run *run)
{
    return run->failure || (all_issued(run) && run->out == 0);
}
