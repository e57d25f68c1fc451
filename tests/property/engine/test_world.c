/*
 * The engine in a random world against a model of the shards: whatever happens, every record is
 * applied or kept as a dead letter, exactly once and in order, and once the faults stop that is so
 * soon. Keys are held, tried again and let go meanwhile, also by people. The checks are in the
 * world (world_*.c) and in the model (database.c); leat_engine_validate runs after every event.
 *
 * TEST_SEED=n runs that world alone; TEST_SEEDS=n sets how many.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "world.h"

enum { SEEDS = 4000 };

/* A broken invariant aborts: print which world it was. */
static char failed_at[64];

static void say_seed(int number)
{
    (void)number;
    size_t size = 0;
    while (failed_at[size])
        size++;
    ssize_t written = write(STDERR_FILENO, failed_at, size);
    (void)written;
}

static void run_world(uint64_t seed, world_sometimes *sometimes)
{
    test_world *world = leat_must_calloc(1, sizeof *world);
    world_begin(world, seed, sometimes);
    uint32_t steps = 100 + world_below(world, 500);
    for (uint32_t i = 0; i < steps; i++)
        world_step(world);
    world_heal_and_finish(world);
    world_end(world);
    free(world);
}

static void check_sometimes(const world_sometimes *s)
{
    const struct {
        const char *name;
        uint64_t count;
    } counters[] = {
#define COUNTER(name) {#name, s->name}
        COUNTER(fenced),
        COUNTER(unknown_applied),
        COUNTER(unknown_never),
        COUNTER(unknown_late),
        COUNTER(late_done),
        COUNTER(late_refused),
        COUNTER(went_back),
        COUNTER(rewound),
        COUNTER(paused),
        COUNTER(refused_for_room),
        COUNTER(stale),
        COUNTER(alone),
        COUNTER(limited),
        COUNTER(held),
        COUNTER(alone_isolated),
        COUNTER(skipped),
        COUNTER(shared_parts),
        COUNTER(compacted),
        COUNTER(claims_failed),
        COUNTER(confirms),
        COUNTER(revoked),
        COUNTER(lost),
        COUNTER(zombies),
        COUNTER(failovers),
        COUNTER(shards_down),
        COUNTER(drained),
        COUNTER(contention),
        COUNTER(outage),
        COUNTER(last_compaction),
        COUNTER(waited_claim),
        COUNTER(buried),
        COUNTER(dead_lettered),
        COUNTER(table_stopped),
        COUNTER(halted),
        COUNTER(probed),
        COUNTER(not_yet),
        COUNTER(looked),
        COUNTER(parked),
        COUNTER(loads),
        COUNTER(loads_stale),
        COUNTER(unparked),
        COUNTER(unparked_part),
        COUNTER(unparked_many),
        COUNTER(unparked_dead),
        COUNTER(unparked_bad),
        COUNTER(chunk_gone),
        COUNTER(claimed_parked),
        COUNTER(park_unknown),
        COUNTER(unpark_unknown),
        COUNTER(load_unknown),
        COUNTER(key_held),
        COUNTER(key_left),
        COUNTER(kept),
        COUNTER(kept_parked),
        COUNTER(claimed_held),
        COUNTER(key_turned),
        COUNTER(keys_full),
        COUNTER(retried),
        COUNTER(retry_refused),
        COUNTER(retry_unknown),
        COUNTER(key_let_go),
        COUNTER(person_retried),
        COUNTER(person_discarded),
        COUNTER(person_let_go),
        COUNTER(left_out),
        COUNTER(called_off),
        COUNTER(parks_stalled),
#undef COUNTER
    };
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        fprintf(stderr, "# %s %llu\n", counters[i].name, (unsigned long long)counters[i].count);
        ck_assert_msg(counters[i].count > 0, "%s never happened", counters[i].name);
    }
}

START_TEST(every_record_is_applied_once_and_in_order)
{
    world_sometimes sometimes = {0};
    const char *one = getenv("TEST_SEED");
    const char *many = getenv("TEST_SEEDS");
    if (one) {
        run_world(strtoull(one, NULL, 10), &sometimes);
        return;
    }
    signal(SIGABRT, say_seed);
    uint64_t seeds = many ? strtoull(many, NULL, 10) : SEEDS;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        snprintf(failed_at, sizeof failed_at, "# again with TEST_SEED=%llu\n",
                 (unsigned long long)seed);
        run_world(seed, &sometimes);
    }
    check_sometimes(&sometimes);
}
END_TEST

int main(void)
{
    TCase *cases = tcase_create("world");
    tcase_set_timeout(cases, 600);
    tcase_add_test(cases, every_record_is_applied_once_and_in_order);
    Suite *suite = suite_create("engine world");
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_ENV);
    srunner_free(runner);
    return 0;
}
