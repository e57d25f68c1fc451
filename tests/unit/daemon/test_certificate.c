/* A certificate that ends is told of before it does. */
#include "../record/fixture.h"

#include "daemon/certificate.h"

enum { DAY_S = 24 * 60 * 60 };

START_TEST(it_ends_soon_within_two_weeks)
{
    static const struct {
        int64_t left_s;
        leat_certificate_state state;
    } cases[] = {{14 * DAY_S, LEAT_CERTIFICATE_LASTS},
                 {14 * DAY_S - 1, LEAT_CERTIFICATE_ENDS_SOON},
                 {1, LEAT_CERTIFICATE_ENDS_SOON},
                 {0, LEAT_CERTIFICATE_HAS_ENDED},
                 {-DAY_S, LEAT_CERTIFICATE_HAS_ENDED}};
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        ck_assert_int_eq(leat_certificate_judge(1000000 + cases[i].left_s, 1000000),
                         cases[i].state);
}
END_TEST

START_TEST(its_end_is_a_metric)
{
    leat_metrics *metrics = leat_metrics_new();
    leat_gauge *gauge =
        leat_metrics_gauge(metrics, "leat_edge_tls_certificate_expires_seconds", NULL);
    leat_certificate_tell("cert.pem", 1234567890, 1000, gauge);
    ck_assert_int_eq(*gauge, 1234567890 * INT64_C(1000)); /* ms */
    leat_metrics_free(metrics);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("certificate");
    TCase *tests = tcase_create("certificate");
    tcase_add_test(tests, it_ends_soon_within_two_weeks);
    tcase_add_test(tests, its_end_is_a_metric);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
