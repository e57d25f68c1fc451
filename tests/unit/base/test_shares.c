/* A limit shared: random takes and gives against what the header promises. */
#include <check.h>
#include <stdlib.h>

#include "base/shares.h"

enum { USERS_MAX = 40, STEPS = 4000 };

static uint64_t sum(const uint64_t *held, uint64_t users)
{
    uint64_t ret = 0;
    for (uint64_t u = 0; u < users; u++)
        ret += held[u];
    return ret;
}

/* By the definition, from the list of all amounts held. */
static bool may_take(const uint64_t *held, uint64_t users, uint64_t limit, uint64_t user,
                     uint64_t amount)
{
    uint64_t own = users > 1 ? limit / 2 / users : limit;
    int64_t left = (int64_t)(limit - own * users), borrowed = 0;
    if (sum(held, users) + amount > limit)
        return false;
    if (held[user] == 0 || held[user] + amount <= own)
        return true;
    for (uint64_t u = 0; u < users; u++) {
        uint64_t mine = held[u] + (u == user ? amount : 0);
        int64_t over = mine > own ? (int64_t)(mine - own) : 0;
        left -= over;
        borrowed = u == user ? over : borrowed;
    }
    return borrowed <= left;
}

START_TEST(test_as_defined)
{
    leat_prng prng = {(uint64_t)_i + 1};
    uint64_t users = 1 + leat_prng_below(&prng, USERS_MAX), limit = leat_prng_below(&prng, 3000);
    uint64_t held[USERS_MAX] = {0}, most = _i % 2 ? 1 : 1 + limit / 10;
    leat_shares shares;
    leat_shares_init(&shares, limit, users);
    for (int step = 0; step < STEPS; step++) {
        uint64_t user = leat_prng_below(&prng, users), amount = 1 + leat_prng_below(&prng, most);
        if (leat_prng_below(&prng, 5) > 0) {
            bool expected = may_take(held, users, limit, user, amount);
            ck_assert_int_eq(leat_shares_take(&shares, &held[user], amount), expected);
        } else if (held[user] > 0) {
            leat_shares_give(&shares, &held[user], 1 + leat_prng_below(&prng, held[user]));
        }
        ck_assert_uint_le(sum(held, users), limit);
    }
}
END_TEST

static uint64_t take_all(leat_shares *shares, uint64_t *held)
{
    while (leat_shares_take(shares, held, 1))
        continue;
    return *held;
}

/* None gives back, one after the other: each still gets its own part. */
START_TEST(test_those_that_hang_leave_the_others_their_part)
{
    uint64_t held[USERS_MAX] = {0};
    leat_shares shares;
    leat_shares_init(&shares, 20000, USERS_MAX);
    ck_assert_uint_eq(take_all(&shares, &held[0]), 250 + 5000);
    ck_assert_uint_eq(take_all(&shares, &held[1]), 250 + 2500);
    for (size_t u = 2; u < USERS_MAX; u++)
        ck_assert_uint_ge(take_all(&shares, &held[u]), 250);
}
END_TEST

START_TEST(test_one_user_has_all)
{
    uint64_t held = 0;
    leat_shares shares;
    leat_shares_init(&shares, 7, 1);
    ck_assert_uint_eq(take_all(&shares, &held), 7);
}
END_TEST

/* Larger than any part, smaller than the limit: one at a time. */
START_TEST(test_a_large_amount_passes)
{
    uint64_t held[4] = {0};
    leat_shares shares;
    leat_shares_init(&shares, 100, 4);
    ck_assert(leat_shares_take(&shares, &held[0], 90));
    ck_assert(!leat_shares_take(&shares, &held[0], 1));
    ck_assert(leat_shares_take(&shares, &held[1], 10));
    ck_assert(!leat_shares_take(&shares, &held[2], 1));
    leat_shares_give(&shares, &held[0], 90);
    ck_assert(leat_shares_take(&shares, &held[2], 13));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shares");
    TCase *tests = tcase_create("shares");
    tcase_add_loop_test(tests, test_as_defined, 0, 100);
    tcase_add_test(tests, test_those_that_hang_leave_the_others_their_part);
    tcase_add_test(tests, test_one_user_has_all);
    tcase_add_test(tests, test_a_large_amount_passes);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
