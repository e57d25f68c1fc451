/* The text of a scrape, to the byte. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/metrics.h"

static void expect_text(const leat_metrics *metrics, const char *expected)
{
    leat_buf text = {0};
    leat_metrics_write(metrics, &text);
    ck_assert_str_eq(leat_buf_cstr(&text), expected);
    leat_buf_free(&text);
}

START_TEST(test_nothing)
{
    leat_metrics *metrics = leat_metrics_new();
    leat_buf text = {0};
    leat_metrics_write(metrics, &text);
    ck_assert_uint_eq(text.size, 0);
    leat_metrics_free(metrics);
    leat_metrics_free(NULL);
}
END_TEST

/* Help and type once a name, whatever was registered in between. */
START_TEST(test_families_stand_together)
{
    leat_metrics *metrics = leat_metrics_new();
    leat_counter *a = leat_metrics_counter(metrics, "leat_x_total", "What x is.", "shard=\"a\"");
    leat_gauge *y = leat_metrics_gauge(metrics, "leat_y", "What y is.", NULL, 1);
    leat_counter *b = leat_metrics_counter(metrics, "leat_x_total", "Not said.", "shard=\"b\"");
    leat_count(a, 2);
    leat_count(a, 3);
    leat_count_to(b, 18446744073709551615u);
    leat_gauge_set(y, -7);
    expect_text(metrics,
                "# HELP leat_x_total What x is.\n# TYPE leat_x_total counter\n"
                "leat_x_total{shard=\"a\"} 5\nleat_x_total{shard=\"b\"} 18446744073709551615\n"
                "# HELP leat_y What y is.\n# TYPE leat_y gauge\nleat_y -7\n");
    leat_metrics_free(metrics);
}
END_TEST

START_TEST(test_same_series_of_two_threads_add_up)
{
    leat_metrics *metrics = leat_metrics_new();
    leat_count(leat_metrics_counter(metrics, "leat_x_total", "X.", NULL), 2);
    leat_count(leat_metrics_counter(metrics, "leat_x_total", "X.", NULL), 3);
    leat_gauge_set(leat_metrics_gauge(metrics, "leat_y", "Y.", NULL, 1), INT64_MIN);
    leat_gauge_set(leat_metrics_gauge(metrics, "leat_y", "Y.", NULL, 1), 4);
    expect_text(metrics, "# HELP leat_x_total X.\n# TYPE leat_x_total counter\nleat_x_total 5\n"
                         "# HELP leat_y Y.\n# TYPE leat_y gauge\nleat_y 4\n");
    leat_metrics_free(metrics);
}
END_TEST

static const struct {
    int64_t value;
    int64_t scale;
    const char *text; /* NULL: left out */
} scaled[] = {
    {0, 1, "0"},
    {0, 1000, "0"},
    {1500, 1000, "1.5"},
    {1, 1000000, "0.000001"},
    {-1, 1000, "-0.001"},
    {1767323045678, 1000, "1767323045.678"},
    {1000000, 1000000, "1"},
    {INT64_MAX, 1, "9223372036854775807"},
    {INT64_MIN + 1, 1, "-9223372036854775807"},
    {INT64_MIN, 1, NULL},
};

START_TEST(test_scale)
{
    leat_metrics *metrics = leat_metrics_new();
    leat_gauge_set(leat_metrics_gauge(metrics, "leat_y", "Y.", NULL, scaled[_i].scale),
                   scaled[_i].value);
    char expected[128] = "# HELP leat_y Y.\n# TYPE leat_y gauge\n";
    if (scaled[_i].text)
        snprintf(expected, sizeof expected, "# HELP leat_y Y.\n# TYPE leat_y gauge\nleat_y %s\n",
                 scaled[_i].text);
    expect_text(metrics, expected);
    leat_metrics_free(metrics);
}
END_TEST

START_TEST(test_labels)
{
    leat_buf text = {0};
    leat_metrics_label(&text, "shard", "a\"b\\c\nd");
    ck_assert_str_eq(leat_buf_cstr(&text), "shard=\"a\\\"b\\\\c\\nd\"");
    leat_buf_free(&text);
}
END_TEST

/* The observations in a bucket line, -1 when there is no such line. */
static long bucket(const char *text, const char *le)
{
    char start[96];
    snprintf(start, sizeof start, "leat_t_seconds_bucket{le=\"%s\"} ", le);
    const char *line = strstr(text, start);
    return line ? strtol(line + strlen(start), NULL, 10) : -1;
}

static const struct {
    int64_t us;
    const char *below; /* the largest bound it is above, NULL: none */
    const char *in;
} observed[] = {
    {-5, NULL, "0.000064"},
    {0, NULL, "0.000064"},
    {64, NULL, "0.000064"},
    {65, "0.000064", "0.000128"},
    {128, "0.000064", "0.000128"},
    {129, "0.000128", "0.000256"},
    {1000000, "0.524288", "1.048576"},
    {2147483648, "1073.741824", "2147.483648"},
    {2147483649, "2147.483648", "+Inf"},
    {INT64_MAX / 2, "2147.483648", "+Inf"},
};

START_TEST(test_buckets)
{
    leat_metrics *metrics = leat_metrics_new();
    leat_histogram *histogram = leat_metrics_histogram(metrics, "leat_t_seconds", "T.", NULL);
    leat_observe_us(histogram, observed[_i].us);
    leat_buf buf = {0};
    leat_metrics_write(metrics, &buf);
    const char *text = leat_buf_cstr(&buf);
    if (observed[_i].below)
        ck_assert_int_eq(bucket(text, observed[_i].below), 0);
    ck_assert_int_eq(bucket(text, observed[_i].in), 1);
    ck_assert_int_eq(bucket(text, "+Inf"), 1);
    leat_buf_free(&buf);
    leat_metrics_free(metrics);
}
END_TEST

START_TEST(test_histogram_text)
{
    leat_metrics *metrics = leat_metrics_new();
    leat_histogram *histogram =
        leat_metrics_histogram(metrics, "leat_t_seconds", "T.", "shard=\"a\"");
    leat_observe_us(histogram, 100);
    leat_observe_us(histogram, 1500000);
    leat_buf buf = {0};
    leat_metrics_write(metrics, &buf);
    const char *text = leat_buf_cstr(&buf);
    static const char start[] = "# HELP leat_t_seconds T.\n# TYPE leat_t_seconds histogram\n"
                                "leat_t_seconds_bucket{shard=\"a\",le=\"0.000064\"} 0\n"
                                "leat_t_seconds_bucket{shard=\"a\",le=\"0.000128\"} 1\n";
    static const char end[] =
        "leat_t_seconds_bucket{shard=\"a\",le=\"+Inf\"} 2\n"
        "leat_t_seconds_sum{shard=\"a\"} 1.5001\nleat_t_seconds_count{shard=\"a\"} 2\n";
    ck_assert_int_eq(strncmp(text, start, sizeof start - 1), 0);
    ck_assert_uint_gt(buf.size, sizeof end - 1);
    ck_assert_str_eq(text + buf.size - (sizeof end - 1), end);
    leat_buf_free(&buf);
    leat_metrics_free(metrics);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("metrics");
    TCase *text = tcase_create("text");
    tcase_add_test(text, test_nothing);
    tcase_add_test(text, test_families_stand_together);
    tcase_add_test(text, test_same_series_of_two_threads_add_up);
    tcase_add_loop_test(text, test_scale, 0, (int)(sizeof scaled / sizeof *scaled));
    tcase_add_test(text, test_labels);
    tcase_add_loop_test(text, test_buckets, 0, (int)(sizeof observed / sizeof *observed));
    tcase_add_test(text, test_histogram_text);
    suite_add_tcase(s, text);
    return s;
}

int main(void)
{
    SRunner *runner = srunner_create(suite());
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
