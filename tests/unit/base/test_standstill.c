/* The clock of a loop: the time that it does not count, and that a limit waits for the sockets. */
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/standstill.h"

enum { STOPPED_MS = 1500, LIMIT_MS = 500 };

typedef struct limited {
    uv_loop_t loop;
    leat_standstill standstill;
    uv_timer_t limit;
    uv_poll_t answer;
    int64_t since_us;
    bool has_answer;
    bool fired_early;
    bool fired;
    int slow_ms; /* of a callback, once */
} limited;

static void stand_still(int ms)
{
    struct timespec time = {ms / 1000, (ms % 1000) * 1000000L};
    nanosleep(&time, NULL);
}

static void on_limit(uv_timer_t *timer)
{
    limited *l = timer->data;
    if (l->slow_ms > 0) {
        stand_still(l->slow_ms);
        l->slow_ms = 0;
    }
    if (leat_standstill_now_us(&l->standstill) - l->since_us < LIMIT_MS * 1000)
        return;
    l->fired = true;
    l->fired_early = !l->has_answer;
    uv_timer_stop(timer);
}

static void on_answer(uv_poll_t *poll, int status, int events)
{
    limited *l = poll->data;
    (void)status;
    (void)events;
    l->has_answer = true;
    uv_poll_stop(poll);
}

static limited *open_limited(int fd)
{
    limited *l = leat_must_calloc(1, sizeof *l);
    uv_loop_init(&l->loop);
    leat_standstill_watch(&l->standstill, &l->loop, "the test");
    uv_timer_init(&l->loop, &l->limit);
    l->limit.data = l;
    uv_timer_start(&l->limit, on_limit, 50, 50);
    if (fd >= 0) {
        uv_poll_init(&l->loop, &l->answer, fd);
        l->answer.data = l;
        uv_poll_start(&l->answer, UV_READABLE, on_answer);
    }
    l->since_us = leat_standstill_now_us(&l->standstill);
    return l;
}

static void close_limited(limited *l)
{
    leat_standstill_close(&l->standstill);
    uv_close((uv_handle_t *)&l->limit, NULL);
    if (l->answer.data)
        uv_close((uv_handle_t *)&l->answer, NULL);
    uv_run(&l->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&l->loop), 0);
    free(l);
}

/* Stops this process and writes the answer while it stands. */
static pid_t stop_this_process(int fd)
{
    pid_t self = getpid(), child = fork();
    if (child != 0)
        return child;
    stand_still(200);
    kill(self, SIGSTOP);
    (void)!write(fd, "x", 1);
    stand_still(STOPPED_MS);
    kill(self, SIGCONT);
    _exit(0);
}

START_TEST(a_stopped_process_reads_before_a_limit_fires)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    limited *l = open_limited(ends[0]);
    pid_t child = stop_this_process(ends[1]);
    while (!l->fired)
        uv_run(&l->loop, UV_RUN_ONCE);
    ck_assert(l->has_answer);
    ck_assert(!l->fired_early);
    ck_assert_int_ge(leat_standstill_lost_us(&l->standstill),
                     (STOPPED_MS - 2 * LEAT_STANDSTILL_MS) * 1000);
    waitpid(child, NULL, 0);
    close_limited(l);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(a_slow_callback_counts_for_no_limit)
{
    limited *l = open_limited(-1);
    l->slow_ms = STOPPED_MS;
    while (l->slow_ms > 0)
        uv_run(&l->loop, UV_RUN_ONCE);
    ck_assert(!l->fired);
    ck_assert_int_ge(leat_standstill_lost_us(&l->standstill),
                     (STOPPED_MS - 2 * LEAT_STANDSTILL_MS) * 1000);
    while (!l->fired)
        uv_run(&l->loop, UV_RUN_ONCE);
    close_limited(l);
}
END_TEST

static void on_always_slow(uv_timer_t *timer)
{
    stand_still(LEAT_STANDSTILL_MS + 50);
    on_limit(timer);
}

START_TEST(a_loop_that_is_always_slow_has_limits_too)
{
    limited *l = open_limited(-1);
    uv_timer_start(&l->limit, on_always_slow, 0, 1);
    for (int turns = 0; !l->fired; turns++) {
        ck_assert_int_lt(turns, 50);
        uv_run(&l->loop, UV_RUN_ONCE);
    }
    close_limited(l);
}
END_TEST

START_TEST(the_clock_never_goes_back)
{
    limited *l = open_limited(-1);
    l->slow_ms = 600;
    int64_t last_us = l->since_us;
    while (!l->fired) {
        uv_run(&l->loop, UV_RUN_ONCE);
        int64_t turn_us = leat_standstill_turn_us(&l->standstill);
        int64_t now_us = leat_standstill_now_us(&l->standstill);
        ck_assert_int_ge(turn_us, last_us);
        ck_assert_int_ge(now_us, turn_us);
        ck_assert_int_eq(leat_standstill_turn_us(&l->standstill), now_us);
        last_us = now_us;
    }
    close_limited(l);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("standstill");
    TCase *tests = tcase_create("standstill");
    tcase_add_test(tests, a_stopped_process_reads_before_a_limit_fires);
    tcase_add_test(tests, a_slow_callback_counts_for_no_limit);
    tcase_add_test(tests, a_loop_that_is_always_slow_has_limits_too);
    tcase_add_test(tests, the_clock_never_goes_back);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
