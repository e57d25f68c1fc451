/* Who waits for a write hears of it once, from whoever knows it first, and only what was said of
 * that very write. */
#include "fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "record/idempotency.h"
#include "record/write_waits.h"

enum { PARTITIONS = 4, MAX = 8, ASKED_MAX = 16 };

static _Atomic int calls;

static void on_decided(void *context)
{
    (void)context;
    atomic_fetch_add(&calls, 1);
}

static leat_write_waits *waits_new(uint32_t max)
{
    leat_layout layout;
    leat_layout_even(&layout, PARTITIONS, 2, (const char *const[]){"a", "b"});
    leat_write_waits *waits = leat_write_waits_new(&layout, max);
    atomic_store(&calls, 0);
    leat_write_waits_listen(waits, on_decided, NULL);
    for (uint32_t i = 0; i < PARTITIONS; i++)
        leat_write_waits_own(waits, i, true);
    return waits;
}

static leat_write_place at(uint32_t partition, int64_t offset)
{
    return (leat_write_place){
        .partition = partition, .subpartition = 7, .offset = offset, .key = 1};
}

static uint64_t add(leat_write_waits *waits, uint32_t partition, int64_t offset, void *owner)
{
    leat_write_place place = at(partition, offset);
    return leat_write_waits_add(waits, &place, false, owner);
}

static void tell(leat_write_waits *waits, uint32_t partition, int64_t offset,
                 leat_write_state state)
{
    leat_write_waits_begin(waits);
    bool is_refused = state == LEAT_WRITE_DEAD_LETTER || state == LEAT_WRITE_HELD;
    leat_write_waits_tell(waits, partition, offset, state, is_refused ? "23514" : NULL,
                          is_refused ? "why" : NULL);
    leat_write_waits_end(waits);
}

static void tell_repeat(leat_write_waits *waits, uint32_t partition, int64_t offset)
{
    leat_write_waits_begin(waits);
    leat_write_waits_tell(waits, partition, offset, LEAT_WRITE_APPLIED, NULL,
                          leat_idempotency_repeat);
    leat_write_waits_end(waits);
}

static void expect_decided(leat_write_waits *waits, void *owner, leat_write_state state)
{
    leat_write_decided got[2];
    ck_assert_uint_eq(leat_write_waits_take(waits, got, 2), 1);
    ck_assert_ptr_eq(got[0].owner, owner);
    ck_assert_int_eq(got[0].answer.state, state);
}

static void expect_none(leat_write_waits *waits)
{
    leat_write_decided got;
    ck_assert_uint_eq(leat_write_waits_take(waits, &got, 1), 0);
}

START_TEST(a_worker_tells_who_waits)
{
    leat_write_waits *waits = waits_new(MAX);
    int first, second, third;
    ck_assert(!leat_write_waits_is_wanted(waits, 1));
    ck_assert_uint_ne(add(waits, 1, 10, &first), 0);
    ck_assert_uint_ne(add(waits, 1, 11, &second), 0);
    ck_assert_uint_ne(add(waits, 2, 10, &third), 0);
    ck_assert(leat_write_waits_is_wanted(waits, 1) && !leat_write_waits_is_wanted(waits, 0));
    tell(waits, 1, 9, LEAT_WRITE_APPLIED);
    expect_none(waits);
    ck_assert_int_eq(atomic_load(&calls), 0);
    tell(waits, 1, 10, LEAT_WRITE_APPLIED);
    ck_assert_int_eq(atomic_load(&calls), 1);
    expect_decided(waits, &first, LEAT_WRITE_APPLIED);
    tell(waits, 1, 11, LEAT_WRITE_DEAD_LETTER);
    leat_write_decided got;
    ck_assert_uint_eq(leat_write_waits_take(waits, &got, 1), 1);
    ck_assert_str_eq(got.answer.sqlstate, "23514");
    ck_assert_str_eq(got.answer.message, "why");
    ck_assert(!leat_write_waits_is_wanted(waits, 1));
    tell(waits, 2, 10, LEAT_WRITE_SKIPPED);
    expect_decided(waits, &third, LEAT_WRITE_SKIPPED);
    leat_write_waits_free(waits);
}
END_TEST

START_TEST(a_worker_may_be_faster_than_the_log_s_answer)
{
    leat_write_waits *waits = waits_new(MAX);
    int owner;
    leat_write_waits_expect(waits, 1);
    ck_assert(leat_write_waits_is_wanted(waits, 1));
    tell(waits, 1, 10, LEAT_WRITE_APPLIED);
    ck_assert_uint_ne(add(waits, 1, 10, &owner), 0);
    leat_write_waits_expected(waits, 1);
    expect_decided(waits, &owner, LEAT_WRITE_APPLIED);
    ck_assert(!leat_write_waits_is_wanted(waits, 1));
    /* A reason is not remembered: the shard has it. */
    tell(waits, 1, 11, LEAT_WRITE_DEAD_LETTER);
    ck_assert_uint_ne(add(waits, 1, 11, &owner), 0);
    expect_none(waits);
    leat_write_waits_free(waits);
}
END_TEST

/* Else the client is told that it has written twice. */
START_TEST(a_repeat_is_one_also_where_a_worker_was_faster)
{
    leat_write_waits *waits = waits_new(MAX);
    leat_write_decided got;
    int owner;
    leat_write_waits_expect(waits, 1);
    tell_repeat(waits, 1, 10);
    ck_assert_uint_ne(add(waits, 1, 10, &owner), 0);
    ck_assert_uint_eq(leat_write_waits_take(waits, &got, 1), 1);
    ck_assert_int_eq(got.answer.state, LEAT_WRITE_APPLIED);
    ck_assert_str_eq(got.answer.message, leat_idempotency_repeat);
    /* The place has another write now. */
    tell(waits, 1, 10, LEAT_WRITE_APPLIED);
    ck_assert_uint_ne(add(waits, 1, 10, &owner), 0);
    ck_assert_uint_eq(leat_write_waits_take(waits, &got, 1), 1);
    ck_assert_str_eq(got.answer.message, "");
    leat_write_waits_expected(waits, 1);
    leat_write_waits_free(waits);
}
END_TEST

static bool wants(leat_write_waits *waits, uint32_t partition, int64_t offset)
{
    leat_write_waits_begin(waits);
    bool is = leat_write_waits_wants(waits, partition, offset);
    leat_write_waits_end(waits);
    return is;
}

START_TEST(a_worker_knows_whose_write_is_waited_for)
{
    leat_write_waits *waits = waits_new(MAX);
    int owner;
    add(waits, 1, 10, &owner);
    ck_assert(wants(waits, 1, 10) && !wants(waits, 1, 11) && !wants(waits, 2, 10));
    leat_write_waits_expect(waits, 2); /* of it nobody knows the place yet */
    ck_assert(wants(waits, 2, 10) && wants(waits, 2, 11) && !wants(waits, 1, 11));
    leat_write_waits_expected(waits, 2);
    ck_assert(!wants(waits, 2, 10));
    leat_write_waits_free(waits);
}
END_TEST

START_TEST(what_nobody_is_about_to_wait_for_wipes_nothing)
{
    leat_write_waits *waits = waits_new(MAX);
    int owner, other;
    leat_write_waits_expect(waits, 1);
    tell(waits, 1, 10, LEAT_WRITE_APPLIED);
    ck_assert_uint_ne(add(waits, 2, 0, &other), 0);
    for (int64_t offset = 1; offset < 200000; offset++) /* many times the memory */
        tell(waits, 2, offset, LEAT_WRITE_APPLIED);
    ck_assert_uint_ne(add(waits, 1, 10, &owner), 0);
    leat_write_waits_expected(waits, 1);
    expect_decided(waits, &owner, LEAT_WRITE_APPLIED);
    /* What is remembered is not outdated when a later outcome is told. */
    tell(waits, 1, 10, LEAT_WRITE_DEAD_LETTER);
    ck_assert_uint_ne(add(waits, 1, 10, &owner), 0);
    expect_none(waits);
    leat_write_waits_free(waits);
}
END_TEST

START_TEST(two_may_wait_for_one_write)
{
    leat_write_waits *waits = waits_new(MAX);
    int first, second;
    leat_write_decided got[3];
    add(waits, 3, 5, &first);
    add(waits, 3, 5, &second);
    tell(waits, 3, 5, LEAT_WRITE_HELD);
    tell(waits, 3, 5, LEAT_WRITE_APPLIED);
    ck_assert_uint_eq(leat_write_waits_take(waits, got, 3), 2);
    ck_assert_int_eq(got[0].answer.state, LEAT_WRITE_HELD);
    ck_assert_int_eq(got[1].answer.state, LEAT_WRITE_HELD);
    expect_none(waits);
    leat_write_waits_free(waits);
}
END_TEST

START_TEST(the_shard_is_asked_about_all_that_wait_there)
{
    leat_write_waits *waits = waits_new(MAX);
    leat_write_question asked[ASKED_MAX];
    leat_write_answer answers[ASKED_MAX] = {{.state = LEAT_WRITE_PENDING},
                                            {.state = LEAT_WRITE_APPLIED}};
    int owners[3], any;
    for (uint32_t i = 0; i < PARTITIONS; i++)
        leat_write_waits_own(waits, i, false);
    add(waits, 0, 1, &owners[0]);
    add(waits, 1, 2, &owners[1]);
    add(waits, 2, 3, &owners[2]); /* the other shard's */
    ck_assert_uint_eq(leat_write_waits_next(waits, 0, asked, ASKED_MAX, 1000000), 2);
    ck_assert_int_eq(asked[0].place.offset, 1);
    ck_assert_int_eq(asked[1].place.offset, 2);
    leat_write_waits_answer(waits, asked, answers, 2);
    expect_decided(waits, &owners[1], LEAT_WRITE_APPLIED);
    ck_assert_uint_eq(leat_write_waits_questions(waits), 1);
    ck_assert_uint_eq(leat_write_waits_next(waits, 1, asked, ASKED_MAX, 1000000), 1);
    ck_assert_uint_eq(leat_write_waits_next(waits, 0, asked, ASKED_MAX, 1000000), 1); /* again */
    ck_assert_int_eq(asked[0].place.offset, 1);
    /* A question by a person takes whatever is known. */
    leat_write_place place = at(0, 9);
    ck_assert_uint_ne(leat_write_waits_add(waits, &place, true, &any), 0);
    ck_assert_uint_eq(leat_write_waits_next(waits, 0, asked, 1, 1000000), 1);
    ck_assert_int_eq(asked[0].place.offset, 9);
    leat_write_waits_answer(waits, asked, answers, 1);
    expect_decided(waits, &any, LEAT_WRITE_PENDING);
    leat_write_waits_stop_asking(waits);
    ck_assert_uint_eq(leat_write_waits_next(waits, 0, asked, 1, 1000000), 0);
    ck_assert(!leat_write_waits_pause(waits, 0, 1000000));
    leat_write_waits_free(waits);
}
END_TEST

/* More are due at any time than one question takes. */
START_TEST(each_wait_has_its_turn)
{
    enum { WAITING = 3, DUE_AGAIN_US = 50 * 1000 };
    leat_write_waits *waits = waits_new(MAX);
    leat_write_question asked;
    const leat_write_answer pending = {.state = LEAT_WRITE_PENDING};
    int owners[WAITING];
    leat_write_waits_own(waits, 0, false);
    for (int i = 0; i < WAITING; i++)
        add(waits, 0, i, &owners[i]);
    for (int i = 0; i < 2 * WAITING; i++) {
        ck_assert_uint_eq(leat_write_waits_next(waits, 0, &asked, 1, 1000000), 1);
        ck_assert_int_eq(asked.place.offset, i % WAITING);
        leat_write_waits_answer(waits, &asked, &pending, 1);
        usleep(DUE_AGAIN_US);
    }
    leat_write_waits_free(waits);
}
END_TEST

START_TEST(an_answer_is_for_no_other_wait)
{
    leat_write_waits *waits = waits_new(1);
    leat_write_question asked;
    const leat_write_answer applied = {.state = LEAT_WRITE_APPLIED};
    int first, second;
    leat_write_waits_own(waits, 0, false);
    uint64_t id = add(waits, 0, 1, &first);
    ck_assert_uint_eq(leat_write_waits_next(waits, 0, &asked, 1, 1000000), 1);
    ck_assert_uint_eq(add(waits, 0, 2, &second), 0); /* full */
    leat_write_waits_remove(waits, id);
    ck_assert_uint_ne(add(waits, 0, 2, &second), 0);
    leat_write_waits_answer(waits, &asked, &applied, 1);
    leat_write_waits_remove(waits, id);
    expect_none(waits);
    tell(waits, 0, 2, LEAT_WRITE_APPLIED);
    expect_decided(waits, &second, LEAT_WRITE_APPLIED);
    leat_write_waits_free(waits);
}
END_TEST

/* ---- several threads ---- */

enum { WRITES = 20000, CROWD = 64 };

typedef struct crowd {
    leat_write_waits *waits;
    _Atomic int64_t appended; /* offsets below it are in the log */
    _Atomic int64_t applied;  /* and below it, applied */
} crowd;

static void *run_worker(void *argument)
{
    crowd *c = argument;
    int64_t next = 0;
    while (next < WRITES) {
        int64_t end = atomic_load(&c->appended);
        bool is_wanted = leat_write_waits_is_wanted(c->waits, 0);
        atomic_store(&c->applied, end); /* committed, before anybody is told */
        if (is_wanted) {
            leat_write_waits_begin(c->waits);
            for (; next < end; next++)
                leat_write_waits_tell(c->waits, 0, next, LEAT_WRITE_APPLIED, NULL, NULL);
            leat_write_waits_end(c->waits);
        }
        next = end;
    }
    return NULL;
}

static void *run_asker(void *argument)
{
    static leat_write_question asked[CROWD];
    static leat_write_answer answers[CROWD];
    crowd *c = argument;
    do {
        uint32_t count = leat_write_waits_next(c->waits, 0, asked, CROWD, 10000);
        int64_t applied = atomic_load(&c->applied);
        for (uint32_t i = 0; i < count; i++)
            answers[i].state = asked[i].place.offset < applied ? LEAT_WRITE_APPLIED
                                                               : LEAT_WRITE_PENDING;
        if (count > 0)
            leat_write_waits_answer(c->waits, asked, answers, count);
    } while (leat_write_waits_pause(c->waits, 0, 1000));
    return NULL;
}

static uint32_t take_all(crowd *c, const int64_t *offsets)
{
    leat_write_decided got[CROWD];
    uint32_t count = leat_write_waits_take(c->waits, got, CROWD);
    for (uint32_t i = 0; i < count; i++) {
        ck_assert_int_eq(got[i].answer.state, LEAT_WRITE_APPLIED);
        ck_assert_int_lt(*(int64_t *)got[i].owner, atomic_load(&c->applied));
        ck_assert((const void *)got[i].owner >= (const void *)offsets);
    }
    return count;
}

/* An edge appends and waits, a worker applies and tells, an asker asks: each wait ends, and none
 * before its write is applied. */
START_TEST(each_wait_ends_and_none_too_early)
{
    static int64_t offsets[WRITES];
    pthread_t worker, asker;
    crowd c = {.waits = waits_new(CROWD)};
    uint32_t waiting = 0, ended = 0, waited = 0;
    ck_assert_int_eq(pthread_create(&worker, NULL, run_worker, &c), 0);
    ck_assert_int_eq(pthread_create(&asker, NULL, run_asker, &c), 0);
    for (int64_t i = 0; i < WRITES; i++) {
        offsets[i] = i;
        leat_write_waits_expect(c.waits, 0);
        atomic_store(&c.appended, i + 1);
        leat_write_place place = at(0, i);
        bool is_added = leat_write_waits_add(c.waits, &place, false, &offsets[i]) != 0;
        leat_write_waits_expected(c.waits, 0);
        waiting += is_added;
        waited += is_added;
        ended = take_all(&c, offsets);
        waiting -= ended;
    }
    for (int64_t turn = 0; waiting > 0; turn++) {
        ck_assert_msg(turn < 30000, "%u still wait", waiting);
        usleep(1000);
        waiting -= take_all(&c, offsets);
    }
    leat_write_waits_stop_asking(c.waits);
    pthread_join(worker, NULL);
    pthread_join(asker, NULL);
    ck_assert_uint_gt(waited, 0);
    ck_assert(!leat_write_waits_is_wanted(c.waits, 0));
    leat_write_waits_free(c.waits);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("write_waits");
    TCase *tests = tcase_create("write_waits");
    tcase_add_test(tests, a_worker_tells_who_waits);
    tcase_add_test(tests, a_worker_may_be_faster_than_the_log_s_answer);
    tcase_add_test(tests, a_repeat_is_one_also_where_a_worker_was_faster);
    tcase_add_test(tests, a_worker_knows_whose_write_is_waited_for);
    tcase_add_test(tests, what_nobody_is_about_to_wait_for_wipes_nothing);
    tcase_add_test(tests, two_may_wait_for_one_write);
    tcase_add_test(tests, the_shard_is_asked_about_all_that_wait_there);
    tcase_add_test(tests, each_wait_has_its_turn);
    tcase_add_test(tests, an_answer_is_for_no_other_wait);
    tcase_add_test(tests, each_wait_ends_and_none_too_early);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
