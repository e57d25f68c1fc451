/*
 * send.c - leat send: a file into an edge, by batches. It reads no faster than the edge takes, so
 * any size passes through a few megabytes of memory. Whatever ends it, it says how far it came, as
 * the line to go on from.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "cli/bar.h"
#include "cli/commands.h"
#include "cli/send_lane.h"
#include "config/config.h"
#include "http/status.h"
#include "record/idempotency.h"

enum {
    LANES = 8,
    TURN_MS = 200,
    STOP_WAIT_MS = 5000, /* after an interrupt, for what has been read */
    EXIT_INTERRUPTED = 130,
};

static volatile sig_atomic_t interrupts;

static void on_interrupt(int signal)
{
    (void)signal;
    interrupts++;
}

typedef struct send_run {
    const leat_options *options;
    leat_config config; /* where the command line does not say all */
    bool has_config;
    char url[512];
    char token[4096];
    leat_send_form form;
    leat_send_config to;
    leat_send_source *source;
    leat_send_lanes *lanes;
    leat_send_item next; /* read, and its lane was full; text NULL: none */
    uint64_t left_out;   /* of an earlier run, which may have applied them */
    uint64_t misfits;    /* refused here */
    bool is_read;        /* the file's end has come, or reading ended */
    bool is_broken;      /* the file, with `why` */
    leat_error why;
    int64_t stop_us;
    leat_bar bar;
} send_run;

/* ---- what is asked for ---- */

static int load_config(send_run *run, leat_error *error)
{
    if (run->has_config)
        return 0;
    run->has_config = true;
    return leat_config_load(run->options->config_file, &run->config, error);
}

/* Listening on every address, an edge is reached on this machine's own. */
static int find_url(send_run *run, leat_error *error)
{
    char host[256];
    int port;
    if (run->options->url) {
        run->to.target.url = run->options->url;
        return 0;
    }
    if (load_config(run, error) != 0 ||
        leat_config_address(run->config.listen, host, sizeof host, &port, error) != 0)
        return leat_fail_prefix(error, "without --url the configuration says where the edge is");
    bool is_any = !*host || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    bool is_v6 = strchr(host, ':') && !is_any;
    snprintf(run->url, sizeof run->url, is_v6 ? "%s://[%s]:%d" : "%s://%s:%d",
             run->config.tls_certificate ? "https" : "http", is_any ? "127.0.0.1" : host, port);
    run->to.target.url = run->url;
    return 0;
}

static int find_path(send_run *run, leat_error *error)
{
    run->form.path = run->options->path;
    if (!run->options->route)
        return 0;
    if (run->options->path)
        return leat_fail(error, "--route and --path say the same");
    if (load_config(run, error) != 0)
        return -1;
    for (uint32_t i = 0; i < run->config.route_count; i++) {
        const leat_config_route *route = &run->config.routes[i];
        if (strcmp(route->name ? route->name : route->table, run->options->route) == 0)
            run->form.path = route->path;
    }
    return run->form.path ? 0
                          : leat_fail(error, "--route: %s has no route %s",
                                      run->options->config_file, run->options->route);
}

static int check_method(const char *method, leat_error *error)
{
    return strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0 ||
                   strcmp(method, "DELETE") == 0
               ? 0
               : leat_fail(error, "--method is PUT, PATCH or DELETE, not %s", method);
}

/* The line's number follows it. */
static int check_idempotency(const char *text, leat_error *error)
{
    enum { KEY_MAX = 200 };
    leat_slice key;
    const char *fault = text ? leat_idempotency_key_read(leat_slice_of(text), &key) : NULL;
    if (!fault && text && (*text == '"' || key.size > KEY_MAX))
        fault = "it is the beginning of keys, without quotes, and has at most 200 characters";
    return fault ? leat_fail(error, "--idempotency: %s", fault) : 0;
}

static int check_headers(const leat_options *options, leat_error *error)
{
    for (uint32_t i = 0; i < options->header_count; i++)
        if (leat_send_target_check_header(options->header[i], error) != 0)
            return leat_fail_prefix(error, "--header");
    return 0;
}

/* `text` NULL: not given. */
static int read_number(const char *name, const char *text, uint64_t otherwise, uint64_t most,
                       uint64_t *ret, leat_error *error)
{
    char *end;
    errno = 0;
    *ret = text ? strtoull(text, &end, 10) : otherwise;
    if (text && (*text < '1' || *text > '9' || *end || errno || *ret > most))
        return leat_fail(error, "%s takes a number from 1 to %llu, not %s", name,
                         (unsigned long long)most, text);
    return 0;
}

static int read_options(send_run *run, leat_error *error)
{
    const leat_options *options = run->options;
    const char *token = options->token ? options->token : getenv("LEAT_TOKEN");
    run->form = (leat_send_form){
        .file = options->operands[0],
        .method = options->method ? options->method : "PUT",
        .types = options->types,
        .idempotency = options->idempotency,
    };
    if (check_idempotency(options->idempotency, error) != 0 || check_headers(options, error) != 0)
        return -1;
    run->to = (leat_send_config){
        .target = {.token = token && *token ? token : NULL,
                   .ca = options->ca,
                   .cert = options->cert,
                   .header = options->header,
                   .header_count = options->header_count},
        .lanes = LANES,
        .give_up_s = LEAT_SEND_GIVE_UP_S,
        .repeats_unknown = options->repeat_unknown || options->idempotency,
    };
    uint64_t batch;
    if (read_number("--from", options->from, 1, INT64_MAX, &run->form.from, error) != 0 ||
        read_number("--batch", options->batch, LEAT_SEND_BATCH, LEAT_SEND_BATCH_MAX, &batch,
                    error) != 0)
        return -1;
    run->to.batch = (uint32_t)batch;
    if (find_url(run, error) != 0 || find_path(run, error) != 0 ||
        check_method(run->form.method, error) != 0)
        return -1;
    if (!run->form.path && (options->method || options->types))
        return leat_fail(error, "--method and --types are for CSV: they need --path or --route");
    return 0;
}

static int open_all(send_run *run, leat_error *error)
{
    run->source = leat_send_source_open(&run->form, error);
    if (!run->source)
        return -1;
    run->to.kept = leat_send_kept_open(run->options->refused, run->options->from != NULL,
                                       leat_send_source_fd(run->source), error);
    if (!run->to.kept)
        return -1;
    run->lanes = leat_send_lanes_new(&run->to, error);
    if (run->lanes && run->form.path)
        leat_send_source_take_schema(run->source,
                                     leat_send_schema_get(&run->to.target, run->form.path));
    return run->lanes ? 0 : -1;
}

/* ---- progress ---- */

static leat_send_counts all_counts(const send_run *run)
{
    leat_send_counts counts = *leat_send_lanes_counts(run->lanes);
    counts.unknown += run->left_out;
    counts.refused += run->misfits;
    return counts;
}

/* Skipped lines are done, too: they are not in the counts, but in the place in the file. What has
 * been read and has no answer is not. */
static double done_share(const send_run *run)
{
    uint64_t size = leat_send_source_size(run->source);
    double read = (double)leat_send_source_line(run->source);
    double left = (double)leat_send_lanes_left(run->lanes) + (run->next.text ? 1 : 0);
    double answered = read > left ? (read - left) / read : 0;
    return size == 0 ? -1 : answered * (double)leat_send_source_at(run->source) / (double)size;
}

static void show_progress(send_run *run)
{
    leat_send_counts counts = all_counts(run);
    uint64_t not_accepted = counts.refused + counts.unknown;
    const char *trouble = leat_send_lanes_trouble(run->lanes);
    leat_buf more = {0};
    if (!leat_bar_is_due(&run->bar))
        return;
    if (not_accepted > 0)
        leat_buf_printf(&more, "  %" PRIu64 " not accepted", not_accepted);
    if (trouble)
        leat_buf_printf(&more, "  trying again: %.60s", trouble);
    leat_bar_show(&run->bar, &(leat_bar_state){.share = done_share(run),
                                               .done = counts.accepted + not_accepted,
                                               .unit = "items",
                                               .more = more.size > 0 ? leat_buf_cstr(&more) : ""});
    leat_buf_free(&more);
}

/* ---- the run ---- */

static bool has_bytes(const send_run *run)
{
    struct pollfd wish = {.fd = leat_send_source_fd(run->source), .events = POLLIN};
    return poll(&wish, 1, 0) > 0;
}

/* Keeps the item instead of sending it. One that cannot be kept stays, so that the line to go on
 * from is its own. */
static void keep_unsent(send_run *run, leat_slice answer, uint64_t *count)
{
    if (leat_send_kept_add(run->to.kept, &run->next, answer, &run->why) != 0) {
        run->is_read = run->is_broken = true;
        return;
    }
    (*count)++;
    free(run->next.text);
    run->next.text = NULL;
}

/* The edge could not refuse it: what is not JSON is a text here, and a column of JSON takes one.
 * True: refused. */
static bool refuse_misfit(send_run *run)
{
    char message[64];
    leat_buf answer = {0};
    if (!run->next.misfit)
        return false;
    snprintf(message, sizeof message, "the cell is not %s",
             leat_send_kind_words(run->next.misfit_kind));
    leat_http_error_item(&answer, LEAT_HTTP_INVALID, run->next.misfit, message, 0);
    keep_unsent(run, (leat_slice){answer.data, answer.size}, &run->misfits);
    leat_buf_free(&answer);
    return true;
}

/* What an earlier run kept because nobody knows about it (504) goes on being unknown: sent again it
 * could be applied twice. An --idempotency of now is not the key of that time. True: left out. */
static bool leave_out(send_run *run)
{
    static const char why[] = "{\"status\":504,\"error\":\"unknown\",\"field\":null,\"message\":"
                              "\"left out: it may have been applied by an earlier run; "
                              "--repeat-unknown sends it again\"}";
    if (!run->next.may_be_applied || run->options->repeat_unknown)
        return false;
    keep_unsent(run, leat_slice_of(why), &run->left_out);
    return true;
}

/* False: the lanes are full, or the file has nothing more for now. */
static bool read_one(send_run *run, bool *ret_waits)
{
    if (!run->next.text) {
        switch (leat_send_source_next(run->source, &run->next, &run->why)) {
        case LEAT_SEND_ITEM:
            break;
        case LEAT_SEND_WAIT:
            *ret_waits = !has_bytes(run);
            if (*ret_waits)
                return false;
            if (leat_send_source_fill(run->source, &run->why) == 0)
                return true;
            run->is_read = run->is_broken = true;
            return false;
        case LEAT_SEND_END:
            run->is_read = true;
            return false;
        case LEAT_SEND_BROKEN:
            run->is_read = run->is_broken = true;
            return false;
        }
    }
    if (leave_out(run) || refuse_misfit(run))
        return !run->is_broken;
    if (!leat_send_lanes_have_room(run->lanes, run->next.row))
        return false;
    leat_send_lanes_add(run->lanes, &run->next);
    run->next.text = NULL;
    return true;
}

/* True: it is time to end. An interrupt ends the reading; what has been read is sent, unless that
 * takes long or there is another one. */
static bool is_interrupted(send_run *run)
{
    if (interrupts == 0)
        return false;
    run->is_read = true;
    if (run->stop_us == 0) {
        run->stop_us = leat_mono_us();
        leat_bar_clear(&run->bar);
        leat_print_error("interrupted: what has been read is sent; once more ends it at once");
    }
    if (interrupts > 1)
        return true;
    if (leat_mono_us() - run->stop_us > STOP_WAIT_MS * INT64_C(1000))
        leat_send_lanes_stop(run->lanes);
    return leat_send_lanes_left(run->lanes) == 0 ||
           (leat_send_lanes_busy(run->lanes) == 0 &&
            leat_mono_us() - run->stop_us > STOP_WAIT_MS * INT64_C(1000));
}

static int send_all(send_run *run, leat_error *error)
{
    while (!is_interrupted(run)) {
        bool waits = false;
        while (!run->is_read && interrupts == 0 && read_one(run, &waits))
            continue;
        if (run->is_read && leat_send_lanes_left(run->lanes) == 0 &&
            (run->is_broken || !run->next.text))
            return 0;
        int fd = waits ? leat_send_source_fd(run->source) : -1;
        if (leat_send_lanes_turn(run->lanes, fd, TURN_MS, error) != 0)
            return -1;
        show_progress(run);
    }
    return 0;
}

/* ---- the end ---- */

/* The first line that is not decided; 0: all are. */
static uint64_t line_to_go_on(const send_run *run)
{
    uint64_t line = leat_send_lanes_first_line(run->lanes);
    if (run->next.text && (line == 0 || run->next.line < line))
        line = run->next.line;
    bool is_at_end = run->is_read && !run->is_broken && interrupts == 0;
    return line > 0 || is_at_end ? line : leat_send_source_line(run->source) + 1;
}

/* What was refused has to be mended; what is unknown may be right, and applied already. */
static void print_advice(const send_run *run, const leat_send_counts *counts)
{
    const char *file = run->options->refused;
    if (counts->refused + counts->unknown == 0)
        return;
    if (!file)
        puts("--refused FILE keeps those that are not accepted");
    else if (counts->refused > 0)
        printf(
            "those that were not accepted are in %s; once the refused ones are mended, send that "
            "file\n",
            file);
    if (file && counts->unknown > 0)
        printf(
            "the lines of %s with \"status\":504 may have been applied: there is nothing to mend, "
            "and only --repeat-unknown sends them again\n",
            file);
}

static void print_counts(send_run *run)
{
    leat_send_counts counts = all_counts(run);
    double seconds = leat_bar_seconds(&run->bar);
    uint64_t done = counts.accepted + counts.refused + counts.unknown;
    leat_bar_clear(&run->bar);
    printf("%llu accepted, %llu refused, %llu unknown, in %.1f s (%.0f/s)\n",
           (unsigned long long)counts.accepted, (unsigned long long)counts.refused,
           (unsigned long long)counts.unknown, seconds, seconds > 0 ? (double)done / seconds : 0);
    print_advice(run, &counts);
}

/* The file cannot be sent as it was asked for: there is nothing to go on from. */
static bool is_wrong_from_the_start(const send_run *run)
{
    leat_send_counts counts = all_counts(run);
    return run->is_broken && counts.accepted + counts.refused + counts.unknown == 0 &&
           leat_send_lanes_left(run->lanes) == 0;
}

static int end_run(send_run *run, int status, leat_error *error)
{
    leat_send_counts counts = all_counts(run);
    if (is_wrong_from_the_start(run))
        return leat_fail(error, "%s: %s", run->form.file, run->why.text);
    uint64_t line = line_to_go_on(run);
    print_counts(run);
    if (line > 0)
        printf("to go on: the same command with --from %llu\n", (unsigned long long)line);
    uint64_t read = leat_send_source_line(run->source) + 1;
    uint64_t left = leat_send_lanes_left(run->lanes) + (run->next.text != NULL);
    if (line > 0 && (line + left < read || leat_send_lanes_busy(run->lanes) > 0))
        puts("of the lines from there on, some may have been accepted already");
    if (status == 0 && run->is_broken)
        status = leat_fail(error, "%s: %s", run->form.file, run->why.text);
    if (status != 0)
        return -1;
    if (interrupts > 0)
        return EXIT_INTERRUPTED;
    return counts.refused + counts.unknown > 0 ? LEAT_EXIT_CHECK : LEAT_EXIT_OK;
}

static int run_it(send_run *run, leat_error *error)
{
    struct sigaction interrupt = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGTERM, &interrupt, NULL);
    leat_bar_begin(&run->bar, false);
    int status = send_all(run, error);
    return end_run(run, status, error);
}

static void free_run(send_run *run)
{
    free(run->next.text);
    leat_send_lanes_free(run->lanes);
    leat_send_source_free(run->source);
    if (run->has_config)
        leat_config_fini(&run->config);
    free(run);
}

int leat_command_send(const leat_options *options)
{
    send_run *run = leat_must_calloc(1, sizeof *run);
    run->options = options;
    leat_error error = {0};
    int code = LEAT_EXIT_USAGE;
    bool failed = read_options(run, &error) != 0 || open_all(run, &error) != 0;
    if (!failed) {
        code = run_it(run, &error);
        failed = code < 0;
        code = !failed ? code : is_wrong_from_the_start(run) ? LEAT_EXIT_USAGE : LEAT_EXIT_FAILED;
    }
    leat_error late;
    if (leat_send_kept_close(run->to.kept, &late) != 0 && !failed) {
        failed = true;
        error = late;
        code = LEAT_EXIT_FAILED;
    }
    if (failed) {
        fflush(stdout);
        leat_print_error("leat send: %s", error.text);
    }
    free_run(run);
    return code;
}
