/* When a trouble is said, acted on and given up: single cases, and random days against a model that
 * counts milliseconds. */
#include <check.h>
#include <stdlib.h>

#include "base/rate_limit.h"
#include "log/kafka/watchdog.h"

enum { MS = 1000, S = 1000 * MS };

static const leat_watchdog_limits limits = {
    .bad_us = 10 * (int64_t)S, .renew_us = 30 * (int64_t)S, .give_up_us = 100 * (int64_t)S};

/* Looks once a second up to `until_s`; returns all that was wanted. */
static unsigned look_until(leat_watchdog *dog, int64_t *now_s, int64_t until_s)
{
    unsigned ret = 0;
    while (*now_s < until_s)
        ret |= leat_watchdog_check(dog, ++*now_s * S);
    return ret;
}

static leat_watchdog begin(int64_t now_s)
{
    leat_watchdog dog;
    leat_watchdog_init(&dog, &limits, now_s * S);
    return dog;
}

START_TEST(is_said_then_acted_on_then_given_up)
{
    int64_t now_s = 1000;
    leat_watchdog dog = begin(now_s);
    ck_assert_uint_eq(look_until(&dog, &now_s, 1009), 0);
    ck_assert_int_eq(leat_watchdog_bad_us(&dog), 0);
    ck_assert_uint_eq(look_until(&dog, &now_s, 1010), LEAT_WATCHDOG_LOG);
    ck_assert_int_eq(leat_watchdog_bad_us(&dog), 10 * (int64_t)S);
    ck_assert_uint_eq(look_until(&dog, &now_s, 1029), 0);
    ck_assert_uint_eq(look_until(&dog, &now_s, 1030), LEAT_WATCHDOG_RENEW);
    ck_assert_uint_eq(look_until(&dog, &now_s, 1059), 0);
    ck_assert_uint_eq(look_until(&dog, &now_s, 1060), LEAT_WATCHDOG_RENEW);
    ck_assert_uint_eq(look_until(&dog, &now_s, 1070), LEAT_WATCHDOG_LOG);
    ck_assert_uint_eq(look_until(&dog, &now_s, 1099), LEAT_WATCHDOG_RENEW);
    ck_assert_uint_eq(look_until(&dog, &now_s, 1100), LEAT_WATCHDOG_GIVE_UP);
    /* once, and nothing is replaced any longer */
    ck_assert_uint_eq(look_until(&dog, &now_s, 1129), 0);
}
END_TEST

START_TEST(ends_when_all_is_well)
{
    int64_t now_s = 1000;
    leat_watchdog dog = begin(now_s);
    look_until(&dog, &now_s, 1005);
    ck_assert_int_eq(leat_watchdog_good(&dog, 1005 * (int64_t)S), 0); /* nobody had heard of it */
    look_until(&dog, &now_s, 1020);
    ck_assert_int_eq(leat_watchdog_good(&dog, 1020 * (int64_t)S), 15 * (int64_t)S);
    ck_assert_int_eq(leat_watchdog_good(&dog, 1021 * (int64_t)S), 0);
    ck_assert_uint_eq(look_until(&dog, &now_s, 1030), 0);
    ck_assert_uint_eq(look_until(&dog, &now_s, 1031), LEAT_WATCHDOG_LOG);
}
END_TEST

START_TEST(a_pause_counts_against_nobody)
{
    int64_t now_s = 1000;
    leat_watchdog dog = begin(now_s);
    look_until(&dog, &now_s, 1008);
    now_s = 5000; /* the process stood still */
    ck_assert_uint_eq(leat_watchdog_check(&dog, now_s * S), 0);
    ck_assert_uint_eq(look_until(&dog, &now_s, 5001), 0);
    ck_assert_uint_eq(look_until(&dog, &now_s, 5002), LEAT_WATCHDOG_LOG);
}
END_TEST

START_TEST(never_gives_up_when_told_so)
{
    int64_t now_s = 1000;
    leat_watchdog dog;
    leat_watchdog_init(&dog, &(leat_watchdog_limits){.bad_us = S, .renew_us = 10 * (int64_t)S},
                       now_s * S);
    unsigned wishes = look_until(&dog, &now_s, 100000);
    ck_assert_uint_eq(wishes, LEAT_WATCHDOG_LOG | LEAT_WATCHDOG_RENEW);
}
END_TEST

/* ---- against a model ---- */

/* Counts the observed time, one step at a time; a step that is too long does not count. */
typedef struct model {
    int64_t bad_ms, since_renewal_ms, since_said_ms;
    bool said, gave_up;
} model;

static unsigned model_look(model *m, const leat_watchdog_limits *l, int64_t step_ms)
{
    unsigned ret = 0;
    int64_t seen_ms = step_ms * MS > LEAT_WATCHDOG_PAUSE_US ? 0 : step_ms;
    m->bad_ms += seen_ms;
    m->since_renewal_ms += seen_ms;
    m->since_said_ms += step_ms; /* a line a minute is one by the reader's clock */
    if (m->bad_ms * MS >= l->bad_us && (!m->said || m->since_said_ms * MS >= LEAT_RATE_LIMIT_US)) {
        m->said = true;
        m->since_said_ms = 0;
        ret |= LEAT_WATCHDOG_LOG;
    }
    if (l->give_up_us && m->bad_ms * MS >= l->give_up_us && !m->gave_up) {
        m->gave_up = true;
        return ret | LEAT_WATCHDOG_GIVE_UP;
    }
    if (m->since_renewal_ms * MS >= l->renew_us && !m->gave_up) {
        m->since_renewal_ms = 0;
        ret |= LEAT_WATCHDOG_RENEW;
    }
    return ret;
}

static int64_t any(unsigned *seed, int64_t least, int64_t most)
{
    return least + rand_r(seed) % (most - least + 1);
}

START_TEST(does_what_the_model_does)
{
    unsigned seed = (unsigned)_i;
    leat_watchdog_limits l = {.bad_us = any(&seed, 1, 20) * S, .renew_us = any(&seed, 5, 60) * S};
    l.give_up_us = any(&seed, 0, 2) * 60 * S;
    int64_t now_ms = any(&seed, 1, 100000);
    leat_watchdog dog;
    model m = {0};
    leat_watchdog_init(&dog, &l, now_ms * MS);
    for (int i = 0; i < 2000; i++) {
        int64_t step_ms = any(&seed, 0, 50) == 0 ? any(&seed, 2001, 1000000) : any(&seed, 1, 2000);
        now_ms += step_ms;
        ck_assert_uint_eq(leat_watchdog_check(&dog, now_ms * MS), model_look(&m, &l, step_ms));
        ck_assert_int_eq(leat_watchdog_bad_us(&dog), m.bad_ms * MS >= l.bad_us ? m.bad_ms * MS : 0);
        if (any(&seed, 0, 40) > 0)
            continue;
        ck_assert_int_eq(leat_watchdog_good(&dog, now_ms * MS), m.said ? m.bad_ms * MS : 0);
        m = (model){.gave_up = m.gave_up};
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("watchdog");
    TCase *tcase = tcase_create("watchdog");
    tcase_add_test(tcase, is_said_then_acted_on_then_given_up);
    tcase_add_test(tcase, ends_when_all_is_well);
    tcase_add_test(tcase, a_pause_counts_against_nobody);
    tcase_add_test(tcase, never_gives_up_when_told_so);
    tcase_add_loop_test(tcase, does_what_the_model_does, 1, 200);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
