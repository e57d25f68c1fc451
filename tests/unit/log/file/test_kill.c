/* kill -9 at any moment: what was answered is in the file, and no offset is given twice. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "fixture.h"

enum { ROUNDS = 20, PARTITIONS = 3, SEED = 7 };

/* A child's report of an answer; one write, so that it comes whole. */
typedef struct ack {
    uint32_t partition;
    int64_t offset;
    int64_t number;
} ack;

/* ---- the child ---- */

typedef struct appender {
    fixture f;
    int out;
    int64_t number; /* of the next record */
} appender;

static void append_more(appender *a)
{
    char value[32];
    leat_error error;
    snprintf(value, sizeof value, "%lld", (long long)a->number);
    leat_record record = {.partition = (uint32_t)(a->number % PARTITIONS),
                          .accepted_ms = 1,
                          .key = LEAT_SLICE("k"),
                          .value = leat_slice_of(value)};
    if (leat_log_append(a->f.writer, &record, (void *)(uintptr_t)a->number, &error) != 0)
        _exit(3);
    a->number++;
}

static void on_appended(void *context, void *tag, leat_append_result result, uint32_t partition,
                        int64_t offset, const char *why)
{
    (void)why;
    appender *a = context;
    if (result != LEAT_APPENDED)
        _exit(4);
    ack said = {.partition = partition, .offset = offset, .number = (int64_t)(uintptr_t)tag};
    if (write(a->out, &said, sizeof said) != sizeof said)
        _exit(5);
    append_more(a);
}

static _Noreturn void append_for_ever(const fixture *f, int out, int64_t first_number)
{
    appender a = {.f = {.config = f->config}, .out = out, .number = first_number};
    leat_error error;
    leat_topic_spec spec = {.partition_count = PARTITIONS};
    if (uv_loop_init(&a.f.loop) != 0 || leat_log_open(&a.f.config, &spec, &error) != 0)
        _exit(1);
    a.f.writer = leat_log_writer_new(&a.f.loop, &a.f.config, NULL, on_appended, &a, &error);
    if (!a.f.writer)
        _exit(2);
    for (int i = 0; i < 40; i++)
        append_more(&a);
    uv_run(&a.f.loop, UV_RUN_DEFAULT);
    _exit(6);
}

/* ---- the parent ---- */

/* Records known to be appended; the greatest answered offset of each partition. */
typedef struct known {
    int64_t numbers[PARTITIONS][200000]; /* by offset; -1: that offset was not answered */
    int64_t end[PARTITIONS];             /* after the last one answered */
    int64_t found[PARTITIONS]; /* after the last one found in the file after the previous round */
    int64_t next_number;
} known;

static void take_acks(known *k, int in)
{
    ack said;
    while (read(in, &said, sizeof said) == sizeof said) {
        ck_assert_int_lt(said.offset, 200000);
        ck_assert_int_ge(said.offset, k->found[said.partition]); /* none is given twice */
        ck_assert_int_eq(k->numbers[said.partition][said.offset], -1);
        k->numbers[said.partition][said.offset] = said.number;
        k->end[said.partition] = said.offset + 1;
    }
}

static void expect_all(known *k, const fixture *f)
{
    leat_error error = {0};
    sqlite3 *db;
    int64_t next[PARTITIONS];
    ck_assert_msg(leat_local_connect(f->file, LEAT_LOCAL_READ, 1000, &db, &error) == 0, "%s",
                  error.text);
    ck_assert_msg(leat_local_ranges(db, PARTITIONS, NULL, next, &error) == 0, "%s", error.text);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        sqlite3_stmt *row = leat_local_prepare(
            db, &error, "SELECT offset, value FROM leat_records_%u ORDER BY offset", p);
        int64_t offset = 0;
        for (; sqlite3_step(row) == SQLITE_ROW; offset++) {
            ck_assert_int_eq(sqlite3_column_int64(row, 0), offset);
            int64_t number = strtoll((const char *)sqlite3_column_text(row, 1), NULL, 10);
            if (k->numbers[p][offset] >= 0)
                ck_assert_int_eq(number, k->numbers[p][offset]);
        }
        sqlite3_finalize(row);
        ck_assert_int_ge(offset, k->end[p]);
        ck_assert_int_eq(next[p], offset);
        k->found[p] = offset;
    }
    sqlite3_close_v2(db);
}

static void kill_once(known *k, const fixture *f, uint64_t after_us)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_ge(fcntl(ends[1], F_SETPIPE_SZ, 1024 * 1024), 1024 * 1024); /* it is read when the
                                                                                 child is dead */
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        append_for_ever(f, ends[1], k->next_number);
    }
    close(ends[1]);
    usleep((useconds_t)after_us);
    kill(child, SIGKILL);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status), "the child ended by itself: %d", WEXITSTATUS(status));
    take_acks(k, ends[0]);
    close(ends[0]);
    k->next_number += 1000 * 1000;
}

START_TEST(what_was_answered_is_there)
{
    fixture f;
    fixture_open(&f, PARTITIONS);
    leat_log_close(&f.config);
    known *k = malloc(sizeof *k);
    memset(k->numbers, 0xff, sizeof k->numbers);
    memset(k->end, 0, sizeof k->end);
    memset(k->found, 0, sizeof k->found);
    k->next_number = 1;
    leat_prng prng = {SEED};
    for (int i = 0; i < ROUNDS; i++) {
        kill_once(k, &f, 1000 + leat_prng_below(&prng, 150 * 1000));
        expect_all(k, &f);
    }
    ck_assert_int_gt(k->end[0], 0);
    ck_assert_int_gt(k->end[PARTITIONS - 1], 0);
    free(k);
    fixture_end(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("local_kill");
    TCase *tests = tcase_create("file");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, what_was_answered_is_there);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
