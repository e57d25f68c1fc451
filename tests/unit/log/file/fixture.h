/* fixture.h - a built-in log in a folder of its own, with one writer, and a loop that runs until
 * something has happened. */
#ifndef LEAT_TESTS_LOG_LOCAL_FIXTURE_H
#define LEAT_TESTS_LOG_LOCAL_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "log/file/file_log.h"

enum { PATIENCE_MS = 60000, TICK_MS = 10 };

typedef struct fixture {
    char dir[64];
    char file[128];
    leat_log_config config;
    uv_loop_t loop;
    leat_log_writer *writer; /* NULL: none */
    size_t sent;
    size_t count[4]; /* answers, by result */
    size_t wanted;   /* answers to wait for */
    int64_t last[8]; /* of each partition, the offset last appended; -1: none */
} fixture;

static inline void fixture_file(fixture *f)
{
    memset(f, 0, sizeof *f);
    memset(f->last, 0xff, sizeof f->last);
    leat_diag_level(LEAT_ERROR);
    snprintf(f->dir, sizeof f->dir, "/tmp/leat-local-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->dir));
    snprintf(f->file, sizeof f->file, "%s/log", f->dir);
    f->config = (leat_log_config){.file = f->file, .topic = "t"};
    ck_assert_int_eq(uv_loop_init(&f->loop), 0);
}

static inline void fixture_hold(fixture *f, uint32_t partition_count)
{
    leat_error error = {0};
    leat_topic_spec spec = {.partition_count = partition_count};
    ck_assert_msg(leat_log_open(&f->config, &spec, &error) == 0, "%s", error.text);
}

static inline void fixture_open(fixture *f, uint32_t partition_count)
{
    fixture_file(f);
    fixture_hold(f, partition_count);
}

static inline void fixture_remove(const fixture *f, const char *suffix)
{
    char path[160];
    snprintf(path, sizeof path, "%s%s", f->file, suffix);
    unlink(path);
}

static inline void fixture_end(fixture *f)
{
    uv_run(&f->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&f->loop), 0);
    leat_log_close(&f->config);
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        fixture_remove(f, suffixes[i]);
    ck_assert_int_eq(rmdir(f->dir), 0);
}

static inline void fixture_tick(uv_timer_t *timer)
{
    (void)timer;
}

/* Runs the loop until `happened(context)`, which is looked at now and then at least; a test that
 * waits too long fails. */
static inline void fixture_await(fixture *f, bool (*happened)(const void *), const void *context)
{
    int64_t until_us = leat_mono_us() + (int64_t)PATIENCE_MS * 1000;
    uv_timer_t *timer = calloc(1, sizeof *timer);
    uv_timer_init(&f->loop, timer);
    uv_timer_start(timer, fixture_tick, TICK_MS, TICK_MS);
    while (!happened(context)) {
        ck_assert_msg(leat_mono_us() < until_us, "it did not happen within %d ms", PATIENCE_MS);
        uv_run(&f->loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)timer, (uv_close_cb)free);
}

/* ---- the writer ---- */

static inline size_t fixture_answered(const fixture *f)
{
    return f->count[LEAT_APPENDED] + f->count[LEAT_NOT_APPENDED] + f->count[LEAT_APPEND_UNKNOWN] +
           f->count[LEAT_APPEND_TOO_LARGE];
}

/* `tag` is where to count the answer, or NULL. */
static inline void fixture_on_appended(void *context, void *tag, leat_append_result result,
                                       uint32_t partition, int64_t offset, const char *why)
{
    fixture *f = context;
    int *seen = tag;
    if (seen)
        ck_assert_int_eq(++*seen, 1);
    f->count[result]++;
    ck_assert(result == LEAT_APPENDED || (why && offset == -1));
    if (result != LEAT_APPENDED)
        return;
    ck_assert_int_eq(offset, f->last[partition] + 1);
    f->last[partition] = offset;
}

static inline void fixture_write(fixture *f)
{
    leat_error error = {0};
    f->writer = leat_log_writer_new(&f->loop, &f->config, NULL, fixture_on_appended, f, &error);
    ck_assert_msg(f->writer, "%s", error.text);
}

static inline void fixture_write_end(fixture *f)
{
    leat_log_writer_free(f->writer, 5000);
    f->writer = NULL;
    ck_assert_uint_eq(fixture_answered(f), f->sent);
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

static inline int fixture_append(fixture *f, const leat_record *record, void *tag,
                                 leat_error *error)
{
    int result = leat_log_append(f->writer, record, tag, error);
    f->sent += result == 0;
    return result;
}

/* `count` records of one partition, whose keys are their numbers from `first` on. */
static inline void fixture_append_keys(fixture *f, uint32_t partition, int first, int count,
                                       int64_t accepted_ms)
{
    leat_error error = {0};
    for (int i = first; i < first + count; i++) {
        char key[32];
        snprintf(key, sizeof key, "%d", i);
        leat_record record = {.partition = partition,
                              .accepted_ms = accepted_ms,
                              .key = leat_slice_of(key),
                              .value = LEAT_SLICE("{}")};
        ck_assert_msg(fixture_append(f, &record, NULL, &error) == 0, "%s", error.text);
    }
}

static inline bool fixture_are_answered(const void *context)
{
    const fixture *f = context;
    return fixture_answered(f) >= f->wanted;
}

static inline void fixture_await_answers(fixture *f)
{
    f->wanted = f->sent;
    fixture_await(f, fixture_are_answered, f);
    ck_assert_uint_eq(fixture_answered(f), f->sent);
}

static inline int fixture_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}

#endif
