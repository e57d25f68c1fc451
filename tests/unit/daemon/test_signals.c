/* What SIGHUP does, by phase. Signals are process-wide: each test is a process of its own (Check
 * forks). */
#include "../record/fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/diag.h"
#include "daemon/signals.h"

typedef struct signals_world {
    uv_loop_t loop;
    uv_async_t drain, reload;
    uint32_t drains, reloads;
} signals_world;

static void on_drain(uv_async_t *async)
{
    signals_world *world = async->data;
    world->drains++;
}

static void on_reload(uv_async_t *async)
{
    signals_world *world = async->data;
    world->reloads++;
}

static signals_world *world_new(void)
{
    leat_error error = {""};
    signals_world *world = leat_must_calloc(1, sizeof *world);
    signal(SIGHUP, SIG_DFL);
    ck_assert_int_eq(uv_loop_init(&world->loop), 0);
    uv_async_init(&world->loop, &world->drain, on_drain);
    uv_async_init(&world->loop, &world->reload, on_reload);
    world->drain.data = world->reload.data = world;
    ck_assert_int_eq(leat_signals_take(&error), 0);
    return world;
}

static void world_free(signals_world *world)
{
    uv_close((uv_handle_t *)&world->drain, NULL);
    uv_close((uv_handle_t *)&world->reload, NULL);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&world->loop), 0);
    free(world);
}

static void wait_until_taken(int number)
{
    sigset_t pending;
    do {
        usleep(100);
        sigpending(&pending);
    } while (sigismember(&pending, number));
}

/* The second one is only taken when the first is dealt with. */
static void hang_up(void)
{
    for (int i = 0; i < 2; i++) {
        kill(getpid(), SIGHUP);
        wait_until_taken(SIGHUP);
    }
}

static void turn_until(signals_world *world, const uint32_t *count)
{
    int64_t until = leat_mono_us() + INT64_C(20000000);
    while (*count == 0) {
        uv_run(&world->loop, UV_RUN_NOWAIT);
        usleep(100);
        ck_assert_msg(leat_mono_us() < until, "nothing was asked for");
    }
}

/* From before the configuration is known to the end of the process. */
START_TEST(test_a_hangup_for_files_ends_nothing)
{
    signals_world *world = world_new();
    hang_up();
    leat_signals_configured(true);
    hang_up();
    leat_signals_serve(&world->drain, &world->reload, true);
    turn_until(world, &world->reloads);
    hang_up();
    world->reloads = 0;
    turn_until(world, &world->reloads);
    ck_assert_uint_eq(world->drains, 0);
    ck_assert(!leat_signals_leaving());
    kill(getpid(), SIGTERM);
    turn_until(world, &world->drains);
    hang_up(); /* it leaves */
    ck_assert(leat_signals_leaving());
    leat_signals_left();
    hang_up(); /* it drains */
    leat_signals_over(3);
    hang_up();
    world_free(world);
}
END_TEST

START_TEST(test_a_hangup_without_files)
{
    signals_world *world = world_new();
    leat_signals_configured(false);
    leat_signals_serve(&world->drain, &world->reload, false);
    kill(getpid(), SIGHUP);
    turn_until(world, &world->drains);
    ck_assert_uint_eq(world->reloads, 0);
    leat_signals_over(3);
    kill(getpid(), SIGHUP);
    for (;;)
        pause();
}
END_TEST

/* One that has come before the configuration was known. */
START_TEST(test_a_hangup_that_waited)
{
    world_new();
    hang_up();
    leat_signals_configured(false);
    for (;;)
        pause();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("daemon_signals");
    TCase *signals = tcase_create("signals");
    tcase_set_timeout(signals, 60);
    tcase_add_test(signals, test_a_hangup_for_files_ends_nothing);
    tcase_add_exit_test(signals, test_a_hangup_without_files, 3);
    tcase_add_exit_test(signals, test_a_hangup_that_waited, 0);
    suite_add_tcase(s, signals);
    return s;
}

int main(void)
{
    return fixture_run(suite());
}
