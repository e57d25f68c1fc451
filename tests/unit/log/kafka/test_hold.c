/* When records go to the client: single cases, and random traffic against a model that knows each
 * record by its number. */
#include <check.h>
#include <string.h>

#include "log/kafka/hold.h"

enum { BOUND_US = 1000, ROUNDS = 200, STEPS = 200 };

static void add(leat_hold *hold, const char *value)
{
    leat_record record = {.key = LEAT_SLICE("k"), .value = leat_slice_of(value)};
    ck_assert(leat_hold_add(hold, &record, NULL));
}

/* Hands over all, and returns how many there were. */
static uint32_t send_all(leat_hold *hold, int64_t now_us)
{
    leat_record record;
    void *tag;
    uint32_t count = 0;
    leat_hold_begin(hold, now_us);
    while (leat_hold_first(hold, &record, &tag)) {
        leat_hold_advance(hold);
        count++;
    }
    return count;
}

static bool is_due(const leat_hold *hold, int64_t now_us)
{
    return leat_hold_is_due(hold, BOUND_US, now_us);
}

START_TEST(one_that_comes_alone_goes_at_once)
{
    leat_hold hold = {0};
    ck_assert(!is_due(&hold, 50000));
    for (int64_t now_us = 50000; now_us < 55000; now_us += BOUND_US) {
        add(&hold, "{}");
        ck_assert(is_due(&hold, now_us));
        ck_assert_uint_eq(send_all(&hold, now_us), 1);
    }
    leat_hold_fini(&hold);
}
END_TEST

START_TEST(those_that_follow_soon_go_together)
{
    leat_hold hold = {0};
    add(&hold, "{}");
    ck_assert_uint_eq(send_all(&hold, 50000), 1);
    for (int i = 0; i < 5; i++)
        add(&hold, "{}");
    ck_assert(!is_due(&hold, 50999));
    ck_assert_int_eq(leat_hold_due_us(&hold, BOUND_US), 51000);
    ck_assert(is_due(&hold, 51000));
    ck_assert_uint_eq(send_all(&hold, 51000), 5);
    leat_hold_fini(&hold);
}
END_TEST

START_TEST(none_waits_longer_than_the_bound_for_an_answer)
{
    leat_hold hold = {0};
    add(&hold, "{}");
    ck_assert_uint_eq(send_all(&hold, 50000), 1);
    add(&hold, "{}");
    ck_assert(!is_due(&hold, 50999));
    ck_assert(is_due(&hold, 51000));
    ck_assert(leat_hold_is_due(&hold, 0, 50000)); /* no bound: no wait */
    leat_hold_fini(&hold);
}
END_TEST

START_TEST(a_full_one_waits_for_nothing)
{
    static char value[20000];
    leat_hold hold = {0};
    memset(value, 'x', sizeof value - 1);
    add(&hold, "{}");
    ck_assert_uint_eq(send_all(&hold, 50000), 1);
    for (int i = 0; i < 3; i++)
        add(&hold, value);
    ck_assert(!leat_hold_is_full(&hold) && !is_due(&hold, 50000));
    add(&hold, value);
    ck_assert(leat_hold_is_full(&hold) && is_due(&hold, 50000));
    ck_assert_uint_eq(send_all(&hold, 50000), 4);
    ck_assert(!leat_hold_is_full(&hold));
    leat_hold_fini(&hold);
}
END_TEST

START_TEST(a_record_comes_out_as_it_went_in)
{
    leat_hold hold = {0};
    int tag, other;
    leat_record with_all = {.accepted_ms = 1234567890123,
                            .key = LEAT_SLICE("a,b"),
                            .value = LEAT_SLICE("{\"n\":1}"),
                            .route = LEAT_SLICE("devices"),
                            .op = LEAT_SLICE("patch")};
    leat_record without_value = {.key = LEAT_SLICE("c"), .value_is_null = true};
    leat_record found;
    void *found_tag;
    ck_assert(leat_hold_add(&hold, &with_all, &tag));
    ck_assert(leat_hold_add(&hold, &without_value, &other));
    ck_assert(leat_hold_first(&hold, &found, &found_tag));
    ck_assert_ptr_eq(found_tag, &tag);
    ck_assert_int_eq(found.accepted_ms, 1234567890123);
    ck_assert(leat_slice_is(found.key, "a,b") && leat_slice_is(found.value, "{\"n\":1}"));
    ck_assert(leat_slice_is(found.route, "devices") && leat_slice_is(found.op, "patch"));
    ck_assert(!found.value_is_null);
    leat_hold_advance(&hold);
    ck_assert(leat_hold_first(&hold, &found, &found_tag));
    ck_assert_ptr_eq(found_tag, &other);
    ck_assert(leat_slice_is(found.key, "c") && found.value_is_null);
    ck_assert(found.value.size == 0 && found.route.size == 0 && found.op.size == 0);
    leat_hold_advance(&hold);
    ck_assert(!leat_hold_first(&hold, &found, &found_tag));
    leat_hold_fini(&hold);
}
END_TEST

START_TEST(what_does_not_go_stays_first_and_takes_no_more_room_with_time)
{
    enum { LEFT = 10, COUNT = 10000 };
    leat_hold hold = {0};
    leat_record record = {.key = LEAT_SLICE("k"), .value = LEAT_SLICE("{}")}, found;
    void *tag;
    for (uintptr_t i = 0; i < COUNT; i++) {
        record.accepted_ms = (int64_t)i;
        ck_assert(leat_hold_add(&hold, &record, (void *)i));
        ck_assert_uint_le(hold.bytes.size, 2 * (LEFT + 1) * leat_hold_size(&record));
        leat_hold_begin(&hold, 50000);
        if (i < LEFT)
            continue;
        ck_assert(leat_hold_first(&hold, &found, &tag)); /* looked at twice: it is the same */
        ck_assert(leat_hold_first(&hold, &found, &tag));
        ck_assert_uint_eq((uintptr_t)tag, i - LEFT);
        ck_assert_int_eq(found.accepted_ms, (int64_t)(i - LEFT));
        leat_hold_advance(&hold);
        ck_assert_uint_eq(hold.count, LEFT);
    }
    leat_hold_fini(&hold);
}
END_TEST

/* ---- random traffic ---- */

typedef struct traffic {
    leat_prng prng;
    leat_hold hold;
    int64_t now_us;
    uint64_t added;
    uint64_t gone;         /* the next to go has this number */
    int64_t held_since_us; /* a turn has found some that were not due then; 0: none */
} traffic;

static void add_any(traffic *t)
{
    char value[4096];
    size_t size =
        (size_t)leat_prng_below(&t->prng, leat_prng_below(&t->prng, 20) == 0 ? 4000 : 300);
    memset(value, 'v', sizeof value);
    leat_record record = {.accepted_ms = (int64_t)t->added, .key = {value, size % 7}};
    record.value = (leat_slice){value, size};
    ck_assert(leat_hold_add(&t->hold, &record, (void *)(uintptr_t)t->added));
    t->added++;
}

static void hand_over(traffic *t)
{
    leat_record record;
    void *tag;
    leat_hold_begin(&t->hold, t->now_us);
    while (leat_hold_first(&t->hold, &record, &tag)) {
        ck_assert_uint_eq((uintptr_t)tag, t->gone);
        ck_assert_int_eq(record.accepted_ms, (int64_t)t->gone);
        leat_hold_advance(&t->hold);
        t->gone++;
        if (leat_prng_below(&t->prng, 500) == 0 && !leat_hold_is_full(&t->hold))
            add_any(t); /* goes too, behind the others */
    }
    ck_assert_uint_eq(t->gone, t->added);
    t->held_since_us = 0;
}

/* As the writer looks at it, at the end of a turn and when the alarm goes off. */
static void look(traffic *t)
{
    bool due = leat_hold_is_due(&t->hold, BOUND_US, t->now_us);
    ck_assert(!due || t->added > t->gone);
    if (due)
        hand_over(t);
    if (t->added == t->gone)
        return;
    if (t->held_since_us == 0)
        t->held_since_us = t->now_us;
    ck_assert_int_lt(t->now_us - t->held_since_us, BOUND_US);
    ck_assert_int_le(leat_hold_due_us(&t->hold, BOUND_US), t->held_since_us + BOUND_US);
}

/* To the next turn of the loop, or to the alarm if that is earlier. */
static void pass_time(traffic *t)
{
    int64_t then_us = t->now_us + (int64_t)leat_prng_below(&t->prng, 400);
    int64_t alarm_us = leat_hold_due_us(&t->hold, BOUND_US);
    if (t->added > t->gone && alarm_us < then_us) {
        t->now_us = alarm_us;
        look(t);
        ck_assert_uint_eq(t->gone, t->added);
    }
    t->now_us = then_us;
}

static void step(traffic *t, uint64_t busy)
{
    uint64_t kind = leat_prng_below(&t->prng, 4);
    if (kind == 0)
        for (uint64_t i = leat_prng_below(&t->prng, busy); i > 0; i--) {
            add_any(t);
            if (leat_hold_is_full(&t->hold))
                hand_over(t);
        }
    look(t);
    if (kind > 1)
        pass_time(t);
}

START_TEST(any_traffic_keeps_its_order_and_its_bound)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        traffic t = {.prng = {seed}, .now_us = 1000 * 1000};
        uint64_t busy = 1 + leat_prng_below(&t.prng, 200);
        for (int i = 0; i < STEPS; i++)
            step(&t, busy);
        leat_hold_fini(&t.hold);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hold");
    TCase *cases = tcase_create("hold");
    tcase_add_test(cases, one_that_comes_alone_goes_at_once);
    tcase_add_test(cases, those_that_follow_soon_go_together);
    tcase_add_test(cases, none_waits_longer_than_the_bound_for_an_answer);
    tcase_add_test(cases, a_full_one_waits_for_nothing);
    tcase_add_test(cases, a_record_comes_out_as_it_went_in);
    tcase_add_test(cases, what_does_not_go_stays_first_and_takes_no_more_room_with_time);
    tcase_add_test(cases, any_traffic_keeps_its_order_and_its_bound);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
