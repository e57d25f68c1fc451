/* The text of a scrape, to the byte, in both formats; and the table of all metrics. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/metrics.h"

#define OF(of) LEAT_METRIC_OF_EDGE, LEAT_METRIC_##of
static const leat_metric table[] = {
    {"leat_x_total", OF(COUNTER), "", "What x is.", "And more."},
    {"leat_y", OF(GAUGE), "", "What y is.", NULL},
    {"leat_y_seconds", OF(GAUGE_MS), "", "Y.", NULL},
    {"leat_z_seconds", OF(GAUGE_US), "", "Z.", NULL},
    {"leat_used_seconds_total", OF(COUNTER_US), "", "U.", NULL},
    {"leat_t_seconds", OF(LATENCY), "shard", "T.", NULL},
    {"leat_lag_seconds", OF(LAG), "", "L.", NULL},
    {"leat_size", OF(SIZE), "", "S.", NULL},
    {"leat_labelled_total", OF(COUNTER), "worker,shard", "W.", NULL},
};

static leat_metrics *metrics_new(void)
{
    return leat_metrics_new_of(table, sizeof table / sizeof *table);
}

static void expect_as(const leat_metrics *metrics, leat_metrics_format format, const char *expected)
{
    leat_buf text = {0};
    leat_metrics_write(metrics, format, &text);
    ck_assert_str_eq(leat_buf_cstr(&text), expected);
    leat_buf_free(&text);
}

static void expect_text(const leat_metrics *metrics, const char *expected)
{
    expect_as(metrics, LEAT_METRICS_TEXT, expected);
}

START_TEST(test_nothing)
{
    leat_metrics *metrics = metrics_new();
    leat_buf text = {0};
    leat_metrics_write(metrics, LEAT_METRICS_TEXT, &text);
    ck_assert_uint_eq(text.size, 0);
    leat_metrics_write(metrics, LEAT_METRICS_OPEN, &text);
    ck_assert_str_eq(leat_buf_cstr(&text), "# EOF\n");
    leat_buf_free(&text);
    leat_metrics_free(metrics);
    leat_metrics_free(NULL);
}
END_TEST

/* Help and type once a name, in the order of the table, whatever was registered when. */
START_TEST(test_families_stand_together)
{
    leat_metrics *metrics = metrics_new();
    leat_counter *a =
        leat_metrics_counter(metrics, "leat_labelled_total", "worker=\"0\",shard=\"a\"");
    leat_gauge *y = leat_metrics_gauge(metrics, "leat_y", NULL);
    leat_counter *b =
        leat_metrics_counter(metrics, "leat_labelled_total", "worker=\"0\",shard=\"b\"");
    leat_count(a, 2);
    leat_count(a, 3);
    leat_count_to(b, 18446744073709551615u);
    leat_gauge_set(y, -7);
    expect_text(metrics, "# HELP leat_y What y is.\n# TYPE leat_y gauge\nleat_y -7\n"
                         "# HELP leat_labelled_total W.\n# TYPE leat_labelled_total counter\n"
                         "leat_labelled_total{worker=\"0\",shard=\"a\"} 5\n"
                         "leat_labelled_total{worker=\"0\",shard=\"b\"} 18446744073709551615\n");
    leat_metrics_free(metrics);
}
END_TEST

/* A counter that nothing was counted in is there, so that an alert sees the first one. */
START_TEST(test_open_metrics)
{
    leat_metrics *metrics = metrics_new();
    leat_metrics_counter(metrics, "leat_x_total", NULL);
    leat_metrics_gauge(metrics, "leat_y", NULL);
    leat_count(leat_metrics_counter(metrics, "leat_used_seconds_total", NULL), 1500000);
    expect_as(metrics, LEAT_METRICS_OPEN,
              "# HELP leat_x What x is.\n# TYPE leat_x counter\nleat_x_total 0\n"
              "# HELP leat_y What y is.\n# TYPE leat_y gauge\nleat_y 0\n"
              "# HELP leat_used_seconds U.\n# TYPE leat_used_seconds counter\n"
              "leat_used_seconds_total 1.5\n# EOF\n");
    leat_metrics_free(metrics);
}
END_TEST

START_TEST(test_same_series_of_two_threads_add_up)
{
    leat_metrics *metrics = metrics_new();
    leat_count(leat_metrics_counter(metrics, "leat_x_total", NULL), 2);
    leat_count(leat_metrics_counter(metrics, "leat_x_total", NULL), 3);
    leat_gauge_set(leat_metrics_gauge(metrics, "leat_y", NULL), INT64_MIN);
    leat_gauge_set(leat_metrics_gauge(metrics, "leat_y", NULL), 4);
    leat_observe(leat_metrics_histogram(metrics, "leat_size", NULL), 1, 2);
    leat_observe(leat_metrics_histogram(metrics, "leat_size", NULL), 9, 1);
    leat_buf text = {0};
    leat_metrics_write(metrics, LEAT_METRICS_TEXT, &text);
    static const char start[] =
        "# HELP leat_x_total What x is.\n# TYPE leat_x_total counter\nleat_x_total 5\n"
        "# HELP leat_y What y is.\n# TYPE leat_y gauge\nleat_y 4\n"
        "# HELP leat_size S.\n# TYPE leat_size histogram\nleat_size_bucket{le=\"1.0\"} 2\n"
        "leat_size_bucket{le=\"2.0\"} 2\nleat_size_bucket{le=\"4.0\"} 2\n"
        "leat_size_bucket{le=\"8.0\"} 2\nleat_size_bucket{le=\"16.0\"} 3\n";
    ck_assert_int_eq(strncmp(leat_buf_cstr(&text), start, sizeof start - 1), 0);
    ck_assert(strstr(leat_buf_cstr(&text), "\nleat_size_sum 11\nleat_size_count 3\n"));
    leat_buf_free(&text);
    leat_metrics_free(metrics);
}
END_TEST

/* More series than the first table of them has room for: each is found again. */
START_TEST(test_many_series)
{
    enum { COUNT = 2000 };
    leat_metrics *metrics = metrics_new();
    char label[64];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < COUNT; i++) {
            snprintf(label, sizeof label, "worker=\"%d\",shard=\"a\"", i);
            leat_count(leat_metrics_counter(metrics, "leat_labelled_total", label), 1);
        }
    leat_buf text = {0};
    leat_metrics_write(metrics, LEAT_METRICS_TEXT, &text);
    const char *at = strchr(strchr(leat_buf_cstr(&text), '\n') + 1, '\n') + 1;
    for (int i = 0; i < COUNT; i++) {
        int size =
            snprintf(label, sizeof label, "leat_labelled_total{worker=\"%d\",shard=\"a\"} 2\n", i);
        ck_assert_int_eq(strncmp(at, label, (size_t)size), 0);
        at += size;
    }
    ck_assert_str_eq(at, "");
    leat_buf_free(&text);
    leat_metrics_free(metrics);
}
END_TEST

static const struct {
    const char *name;
    int64_t value;
    const char *text; /* NULL: left out */
} scaled[] = {
    {"leat_y", 0, "0"},
    {"leat_y_seconds", 0, "0"},
    {"leat_y_seconds", 1500, "1.5"},
    {"leat_z_seconds", 1, "0.000001"},
    {"leat_y_seconds", -1, "-0.001"},
    {"leat_y_seconds", 1767323045678, "1767323045.678"},
    {"leat_z_seconds", 1000000, "1"},
    {"leat_y", INT64_MAX, "9223372036854775807"},
    {"leat_y", INT64_MIN + 1, "-9223372036854775807"},
    {"leat_y", INT64_MIN, NULL},
};

START_TEST(test_scale)
{
    leat_metrics *metrics = metrics_new();
    const char *name = scaled[_i].name;
    leat_gauge_set(leat_metrics_gauge(metrics, name, NULL), scaled[_i].value);
    leat_buf buf = {0};
    char expected[64] = "gauge\n";
    if (scaled[_i].text)
        snprintf(expected, sizeof expected, "gauge\n%s %s\n", name, scaled[_i].text);
    leat_metrics_write(metrics, LEAT_METRICS_TEXT, &buf);
    ck_assert_str_eq(strstr(leat_buf_cstr(&buf), "gauge\n"), expected);
    leat_buf_free(&buf);
    leat_metrics_free(metrics);
}
END_TEST

START_TEST(test_labels)
{
    leat_buf text = {0};
    leat_metrics_label(&text, "shard", "a\"b\\c\nd");
    ck_assert_str_eq(leat_buf_cstr(&text), "shard=\"a\\\"b\\\\c\\nd\"");
    leat_metrics *metrics = metrics_new();
    leat_buf both = {0};
    leat_buf_printf(&both, "worker=\"0\",%s", leat_buf_cstr(&text));
    leat_metrics_counter(metrics, "leat_labelled_total", leat_buf_cstr(&both));
    leat_buf_free(&both);
    leat_buf_free(&text);
    leat_metrics_free(metrics);
}
END_TEST

static const struct {
    const char *name;
    const char *labels;
} wrong[] = {
    {"leat_unknown_total", NULL},
    {"leat_y", NULL}, /* a gauge */
    {"leat_x_total", "shard=\"a\""},
    {"leat_labelled_total", NULL},
    {"leat_labelled_total", "worker=\"0\""},
    {"leat_labelled_total", "shard=\"a\",worker=\"0\""},
    {"leat_labelled_total", "worker=\"0\", shard=\"a\""},
    {"leat_labelled_total", "worker=\"0\",shard=\"a\","},
    {"leat_labelled_total", "worker=\"0\",shard=\"a\",more=\"b\""},
    {"leat_labelled_total", "worker=\"0\",shard=\"a"},
};

/* What the table does not have cannot be registered. */
START_TEST(test_wrong)
{
    leat_metrics_counter(metrics_new(), wrong[_i].name, wrong[_i].labels);
}
END_TEST

/* The observations in a bucket line, -1 when there is no such line. */
static long bucket(const char *text, const char *name, const char *le)
{
    char start[96];
    snprintf(start, sizeof start, "\n%s_bucket{le=\"%s\"} ", name, le);
    const char *line = strstr(text, start);
    return line ? strtol(line + strlen(start), NULL, 10) : -1;
}

static const struct {
    int64_t ms;
    const char *below; /* the largest bound it is above, NULL: none */
    const char *in;
} observed[] = {
    {-5, NULL, "0.005"},
    {0, NULL, "0.005"},
    {5, NULL, "0.005"},
    {6, "0.005", "0.01"},
    {10, "0.005", "0.01"},
    {11, "0.01", "0.025"},
    {1000, "0.5", "1.0"},
    {1001, "1.0", "2.5"},
    {3600000, "1800.0", "3600.0"},
    {3600001, "3600.0", "+Inf"},
    {INT64_MAX / 4, "3600.0", "+Inf"},
};

/* Whichever was observed before. */
START_TEST(test_buckets)
{
    for (size_t before = 0; before < sizeof observed / sizeof *observed; before++) {
        leat_metrics *metrics = metrics_new();
        leat_histogram *histogram = leat_metrics_histogram(metrics, "leat_lag_seconds", NULL);
        leat_observe(histogram, observed[before].ms, 0);
        leat_observe(histogram, observed[_i].ms, 3);
        leat_buf buf = {0};
        leat_metrics_write(metrics, LEAT_METRICS_TEXT, &buf);
        const char *text = leat_buf_cstr(&buf);
        if (observed[_i].below)
            ck_assert_int_eq(bucket(text, "leat_lag_seconds", observed[_i].below), 0);
        ck_assert_int_eq(bucket(text, "leat_lag_seconds", observed[_i].in), 3);
        ck_assert_int_eq(bucket(text, "leat_lag_seconds", "+Inf"), 3);
        leat_buf_free(&buf);
        leat_metrics_free(metrics);
    }
}
END_TEST

START_TEST(test_histogram_text)
{
    leat_metrics *metrics = metrics_new();
    leat_histogram *histogram = leat_metrics_histogram(metrics, "leat_t_seconds", "shard=\"a\"");
    leat_observe(histogram, 200, 1);
    leat_observe(histogram, 1500000, 1);
    leat_buf buf = {0};
    leat_metrics_write(metrics, LEAT_METRICS_TEXT, &buf);
    const char *text = leat_buf_cstr(&buf);
    static const char start[] = "# HELP leat_t_seconds T.\n# TYPE leat_t_seconds histogram\n"
                                "leat_t_seconds_bucket{shard=\"a\",le=\"0.0001\"} 0\n"
                                "leat_t_seconds_bucket{shard=\"a\",le=\"0.00025\"} 1\n";
    static const char end[] =
        "leat_t_seconds_bucket{shard=\"a\",le=\"+Inf\"} 2\n"
        "leat_t_seconds_sum{shard=\"a\"} 1.5002\nleat_t_seconds_count{shard=\"a\"} 2\n";
    ck_assert_int_eq(strncmp(text, start, sizeof start - 1), 0);
    ck_assert_uint_gt(buf.size, sizeof end - 1);
    ck_assert_str_eq(text + buf.size - (sizeof end - 1), end);
    leat_buf_free(&buf);
    leat_metrics_free(metrics);
}
END_TEST

static const struct {
    const char *accept;
    bool is_open;
} accepts[] = {
    {"", false},
    {"*/*", false},
    {"text/plain", false},
    {"application/json", false},
    {"application/*", false},
    {"application/openmetrics-text", true},
    {"Application/OpenMetrics-Text ; version=1.0.0", true},
    {"application/openmetrics-textual", false},
    {"text/plain;version=0.0.4;q=0.5,*/*;q=0.1", false},
    /* Prometheus 2.42 and 3.16 */
    {"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
     true},
    {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.7,application/"
     "openmetrics-text;version=0.0.1;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,"
     "text/plain;version=0.0.4;q=0.4,*/*;q=0.3",
     true},
    {"text/plain, application/openmetrics-text;q=0.1", true},
    {"application/openmetrics-text;q=0", false},
    {"application/openmetrics-text; Q=0.000", false},
    {"application/openmetrics-text;q=0,application/openmetrics-text;q=0.001", true},
    {",;,;", false},
};

static void expect_bucket(const leat_metrics *metrics, leat_metrics_format format, const char *line)
{
    leat_buf text = {0};
    leat_metrics_write(metrics, format, &text);
    ck_assert_msg(strstr(leat_buf_cstr(&text), line), "no %s in %s", line, text.data);
    leat_buf_free(&text);
}

/* Only in OpenMetrics: in the other format one of them makes Prometheus refuse the page. */
START_TEST(test_traces)
{
    static const uint8_t older[16] = {1}, newer[16] = {0x0a, [15] = 0xff};
    leat_metrics *metrics = metrics_new();
    leat_histogram *lag = leat_metrics_histogram(metrics, "leat_lag_seconds", NULL);
    leat_histogram *other = leat_metrics_histogram(metrics, "leat_lag_seconds", NULL);
    leat_observe(lag, 7, 2);
    leat_observe_trace(lag, 6, older);
    leat_observe_trace(lag, 7, newer);
    leat_observe(other, 7200000, 1);
    leat_observe_trace(other, 7200000, older);
    expect_bucket(metrics, LEAT_METRICS_TEXT, "le=\"0.01\"} 2\n");
    expect_bucket(metrics, LEAT_METRICS_OPEN, "le=\"0.005\"} 0\n");
    expect_bucket(metrics, LEAT_METRICS_OPEN,
                  "le=\"0.01\"} 2 # {trace_id=\"0a0000000000000000000000000000ff\"} 0.007\n");
    expect_bucket(metrics, LEAT_METRICS_OPEN,
                  "le=\"+Inf\"} 3 # {trace_id=\"01000000000000000000000000000000\"} 7200\n");
    leat_metrics_free(metrics);
}
END_TEST

START_TEST(test_accept)
{
    ck_assert_int_eq(leat_metrics_accepted(leat_slice_of(accepts[_i].accept)),
                     accepts[_i].is_open ? LEAT_METRICS_OPEN : LEAT_METRICS_TEXT);
}
END_TEST

static const struct {
    leat_metric metric;
    bool is_valid;
} named[] = {
    {{"leat_x_total", OF(COUNTER), "", "X.", NULL}, true},
    {{"leat_x", OF(COUNTER), "", "X.", NULL}, false},
    {{"leat_x_total", OF(GAUGE), "", "X.", NULL}, false},
    {{"leat_x_seconds", OF(GAUGE), "", "X.", NULL}, false},
    {{"leat_x", OF(GAUGE_MS), "", "X.", NULL}, false},
    {{"leat_x_ms", OF(GAUGE), "", "X.", NULL}, false},
    {{"leat_x_seconds_total", OF(COUNTER_US), "", "X.", NULL}, true},
    {{"leat_x_us_total", OF(COUNTER), "", "X.", NULL}, false},
    {{"leat_x_count", OF(GAUGE), "", "X.", NULL}, false},
    {{"leat_x_bucket", OF(GAUGE), "", "X.", NULL}, false},
    {{"leat_X", OF(GAUGE), "", "X.", NULL}, false},
    {{"_x", OF(GAUGE), "", "X.", NULL}, false},
    {{"1x", OF(GAUGE), "", "X.", NULL}, false},
    {{"leat_x", OF(GAUGE), "", "\"X\".", NULL}, false},
};

START_TEST(test_names)
{
    ck_assert_int_eq(leat_metric_is_valid(&named[_i].metric), named[_i].is_valid);
}
END_TEST

/* OpenMetrics names a counter without its _total, and no other may have that name. */
static bool is_same_family(const leat_metric *a, const leat_metric *b)
{
    char with_total[128];
    snprintf(with_total, sizeof with_total, "%s_total", a->name);
    return strcmp(a->name, b->name) == 0 || strcmp(with_total, b->name) == 0;
}

/* Every row of the program's own table: no name twice, one sentence or more for people. */
START_TEST(test_table)
{
    size_t count;
    const leat_metric *rows = leat_metric_table(&count);
    ck_assert_uint_gt(count, 70);
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(leat_metric_is_valid(&rows[i]), "%s", rows[i].name);
        ck_assert_msg(strncmp(rows[i].name, "leat_", 5) == 0, "%s", rows[i].name);
        const char *end = rows[i].help + strlen(rows[i].help) - 1;
        ck_assert_msg(*end == '.', "%s: %s", rows[i].name, rows[i].help);
        ck_assert_ptr_null(strchr(rows[i].labels, ' '));
        for (size_t k = 0; k < count; k++)
            ck_assert_msg(k == i || !is_same_family(&rows[i], &rows[k]), "%s", rows[i].name);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("metrics");
    TCase *text = tcase_create("text");
    tcase_add_test(text, test_nothing);
    tcase_add_test(text, test_families_stand_together);
    tcase_add_test(text, test_open_metrics);
    tcase_add_test(text, test_same_series_of_two_threads_add_up);
    tcase_add_test(text, test_many_series);
    tcase_add_loop_test(text, test_scale, 0, (int)(sizeof scaled / sizeof *scaled));
    tcase_add_test(text, test_labels);
    tcase_add_loop_test_raise_signal(text, test_wrong, SIGABRT, 0,
                                     (int)(sizeof wrong / sizeof *wrong));
    tcase_add_loop_test(text, test_buckets, 0, (int)(sizeof observed / sizeof *observed));
    tcase_add_test(text, test_histogram_text);
    tcase_add_test(text, test_traces);
    tcase_add_loop_test(text, test_accept, 0, (int)(sizeof accepts / sizeof *accepts));
    tcase_add_loop_test(text, test_names, 0, (int)(sizeof named / sizeof *named));
    tcase_add_test(text, test_table);
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
