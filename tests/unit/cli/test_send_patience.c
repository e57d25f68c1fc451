/* How long `leat send` goes on: a wait that is asked for is kept, and the limit begins behind it.
 */
#include "../record/fixture.h"

#include "cli/send_patience.h"

#define S INT64_C(1000000)
enum { LIMIT_S = 600 };

static bool is_over(const leat_send_patience *patience, int64_t now_us)
{
    return leat_send_patience_is_over(patience, now_us, LIMIT_S);
}

START_TEST(it_ends_when_nothing_is_taken_for_the_limit)
{
    leat_send_patience patience = {0};
    leat_send_patience_moved(&patience, 100 * S);
    ck_assert(!is_over(&patience, 700 * S) && is_over(&patience, 700 * S + 1));
    leat_send_patience_moved(&patience, 101 * S);
    ck_assert(!is_over(&patience, 701 * S));
}
END_TEST

/* With any trouble an edge asks for a second: that is no reason to go on for ever. */
START_TEST(the_usual_wait_changes_nothing)
{
    static const int64_t usual[] = {INT64_MIN, -1, 0, 1};
    for (size_t i = 0; i < COUNT_OF(usual); i++) {
        leat_send_patience patience = {.since_us = 100 * S};
        ck_assert_int_eq(leat_send_patience_asked(&patience, 699 * S, usual[i]), 1000);
        ck_assert(is_over(&patience, 701 * S));
    }
}
END_TEST

START_TEST(a_longer_wait_does_not_count)
{
    leat_send_patience patience = {.since_us = 100 * S};
    ck_assert_int_eq(leat_send_patience_asked(&patience, 100 * S, LIMIT_S), LIMIT_S * 1000);
    ck_assert(!is_over(&patience, 701 * S) && !is_over(&patience, 1300 * S));
    leat_send_patience_moved(&patience, 110 * S); /* by another lane */
    ck_assert(!is_over(&patience, 1300 * S) && is_over(&patience, 1300 * S + 1));
    ck_assert_int_eq(leat_send_patience_asked(&patience, 1200 * S, 2), 2000); /* asked again */
    ck_assert(is_over(&patience, 1803 * S));
}
END_TEST

START_TEST(a_wait_without_reason_is_cut)
{
    leat_send_patience patience = {0};
    ck_assert_int_eq(leat_send_patience_asked(&patience, 0, INT64_MAX),
                     LEAT_SEND_ASKED_MAX_S * INT64_C(1000));
    ck_assert(is_over(&patience, (LEAT_SEND_ASKED_MAX_S + LIMIT_S) * S + 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("send_patience");
    TCase *tests = tcase_create("send_patience");
    tcase_add_test(tests, it_ends_when_nothing_is_taken_for_the_limit);
    tcase_add_test(tests, the_usual_wait_changes_nothing);
    tcase_add_test(tests, a_longer_wait_does_not_count);
    tcase_add_test(tests, a_wait_without_reason_is_cut);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
