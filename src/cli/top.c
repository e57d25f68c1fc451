/*
 * top.c - leat top: what the dashboard shows, in a terminal. It asks the processes themselves, so
 * it shows what they know this second; `leat status` asks the log and the shards, and so is right
 * about processes that hang.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "base/diag.h"
#include "cli/commands.h"
#include "cli/top_screen.h"
#include "config/config.h"

enum { EVERY_MS = 2000, URL_SIZE = 320 };

typedef struct top_run {
    leat_top_sources sources;
    leat_top_frame frame;
    leat_top_view view;
    bool is_over;
    bool is_changed;    /* the terminal or the view, lately */
    char url[URL_SIZE]; /* of the configuration */
    leat_config config;
} top_run;

/* ---- whom to ask ---- */

/* The listener of the process with this configuration on this machine. */
static int take_config(top_run *run, const leat_options *options, leat_error *error)
{
    char host[256];
    int port;
    if (leat_config_load(options->config_file, &run->config, error) != 0)
        return -1;
    if (strcmp(run->config.admin, "off") == 0)
        return leat_fail(error, "%s has admin: off, so there is nobody to ask", run->config.file);
    if (leat_config_address(run->config.admin, host, sizeof host, &port, error) != 0)
        return leat_config_blame(&run->config, error, "admin");
    if (port == 0)
        return leat_fail(error,
                         "%s lets the system choose the port of admin: --admin URL is needed",
                         run->config.file);
    bool is_any = !*host || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    bool is_six = strchr(host, ':') != NULL;
    snprintf(run->url, sizeof run->url, is_six && !is_any ? "http://[%s]:%d" : "http://%s:%d",
             is_any ? "127.0.0.1" : host, port);
    run->sources.sources[run->sources.count++].url = run->url;
    if (!run->sources.token)
        run->sources.token = run->config.admin_token;
    return 0;
}

static int find_sources(top_run *run, const leat_options *options, leat_error *error)
{
    const char *token = options->token ? options->token : getenv("LEAT_ADMIN_TOKEN");
    run->sources.token = token && *token ? token : NULL;
    if (options->admin_count == 0)
        return take_config(run, options, error);
    for (uint32_t i = 0; i < options->admin_count; i++) {
        if (strncmp(options->admin[i], "http://", 7) != 0 &&
            strncmp(options->admin[i], "https://", 8) != 0)
            return leat_fail(error, "--admin takes a URL (http://host:9464), not %s",
                             options->admin[i]);
        run->sources.sources[run->sources.count++].url = options->admin[i];
    }
    return 0;
}

/* ---- showing ---- */

static void draw(top_run *run)
{
    char clock[16];
    time_t now = time(NULL);
    struct tm local;
    strftime(clock, sizeof clock, "%H:%M:%S", localtime_r(&now, &local));
    leat_top_draw(&run->frame, &run->sources, run->view.sort, clock, run->view.is_paused);
}

static bool has_failed(const leat_top_sources *sources)
{
    for (uint32_t i = 0; i < sources->count; i++)
        if (*sources->sources[i].error.text)
            return true;
    return false;
}

static int show_once(top_run *run)
{
    uint32_t height;
    leat_top_size(&run->frame.width, &height);
    leat_top_fetch(&run->sources, NULL);
    draw(run);
    for (uint32_t i = 0; i < run->frame.count; i++) {
        const char *line = leat_buf_cstr(&run->frame.lines[i].text);
        puts(line ? line : "");
    }
    return has_failed(&run->sources) ? LEAT_EXIT_FAILED : LEAT_EXIT_OK;
}

static void show(top_run *run)
{
    uint32_t height;
    leat_top_size(&run->frame.width, &height);
    draw(run);
    leat_top_show(&run->frame, &run->view, height);
}

/* What has happened within that time, if anything. */
static void follow(top_run *run, int64_t wait_ms)
{
    char key = '\0';
    leat_top_event event = leat_top_wait(wait_ms, &key);
    run->is_over = run->is_over || event == LEAT_TOP_END ||
                   (event == LEAT_TOP_KEY && !leat_top_take_key(&run->view, key));
    run->is_changed = event != LEAT_TOP_NOTHING;
}

/* One that hangs is waited for, and keys work meanwhile. */
static bool go_on(void *context)
{
    top_run *run = context;
    if (!run->is_over)
        follow(run, 0);
    if (!run->is_over && run->is_changed)
        show(run);
    return !run->is_over;
}

static int show_live(top_run *run)
{
    const leat_top_meanwhile also = {go_on, run};
    int64_t due_us = 0;
    while (!run->is_over) {
        int64_t left_us = due_us - leat_mono_us();
        if (left_us <= 0 && !run->view.is_paused)
            leat_top_fetch(&run->sources, &also);
        if (run->is_over)
            break;
        if (left_us <= 0)
            due_us = leat_mono_us() + EVERY_MS * 1000;
        show(run);
        left_us = due_us - leat_mono_us();
        follow(run, left_us > 0 ? (left_us + 999) / 1000 : 0);
    }
    leat_top_leave();
    return LEAT_EXIT_OK;
}

/* ---- the command ---- */

int leat_command_top(const leat_options *options)
{
    leat_error error = {0};
    top_run *run = leat_must_calloc(1, sizeof *run);
    int code = LEAT_EXIT_USAGE;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (find_sources(run, options, &error) != 0)
        leat_print_error("leat top: %s", error.text);
    else if (options->once)
        code = show_once(run);
    else if (leat_top_enter())
        code = show_live(run);
    else
        leat_print_error("leat top: this is no terminal: use --once");
    leat_top_frame_fini(&run->frame);
    leat_top_sources_fini(&run->sources);
    leat_config_fini(&run->config);
    curl_global_cleanup();
    free(run);
    return code;
}
