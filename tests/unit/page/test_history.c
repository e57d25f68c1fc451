/* The numbers of the page: sums of metrics, rates between rows, and the rows that are kept. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "page/history.h"

static const char *const shards[] = {"a", "b"};

typedef struct world {
    leat_metrics *metrics;
    leat_history *history;
    int64_t now_us;
    yyjson_doc *doc;
} world;

static world world_new(void)
{
    world ret = {.metrics = leat_metrics_new(), .now_us = 1000000};
    ret.history = leat_history_new(ret.metrics, shards, 2);
    return ret;
}

static void world_free(world *of)
{
    yyjson_doc_free(of->doc);
    leat_history_free(of->history);
    leat_metrics_free(of->metrics);
}

/* Two seconds later. */
static void take(world *of)
{
    of->now_us += 2000000;
    leat_history_take(of->history, of->now_us, of->now_us / 1000);
}

static yyjson_val *write_from(world *of, uint64_t from)
{
    leat_buf out = {0};
    leat_buf_byte(&out, '{');
    leat_history_write(of->history, from, &out);
    leat_buf_byte(&out, '}');
    yyjson_doc_free(of->doc);
    of->doc = yyjson_read(out.data, out.size, 0);
    ck_assert_msg(of->doc != NULL, "%.*s", (int)out.size, out.data);
    leat_buf_free(&out);
    return yyjson_doc_get_root(of->doc);
}

/* By a JSON pointer; -1: it is null. */
static double at(yyjson_val *root, const char *pointer)
{
    yyjson_val *found = yyjson_ptr_get(root, pointer);
    ck_assert_msg(found != NULL, "%s", pointer);
    return yyjson_is_null(found) ? -1 : yyjson_get_num(found);
}

/* Each label has the value "a". */
static void register_metric(leat_metrics *metrics, const leat_metric *metric)
{
    leat_buf labels = {0};
    for (const char *name = metric->labels; *name;) {
        size_t size = strcspn(name, ",");
        leat_buf_printf(&labels, "%s%.*s=\"a\"", labels.size > 0 ? "," : "", (int)size, name);
        name += size + (name[size] == ',');
    }
    const char *text = labels.size > 0 ? leat_buf_cstr(&labels) : NULL;
    if (strcmp(leat_metric_shape_of(metric->kind)->type, "counter") == 0)
        leat_metrics_counter(metrics, metric->name, text);
    else
        leat_metrics_gauge(metrics, metric->name, text);
    leat_buf_free(&labels);
}

START_TEST(test_metrics_exist)
{
    /* One of another name would be shown as not known for ever; one of another kind would end the
     * process at the first row. */
    size_t count;
    world of = world_new();
    const leat_metric *table = leat_metric_table(&count);
    ck_assert_ptr_nonnull(leat_history_metric(0));
    for (size_t i = 0; leat_history_metric(i); i++) {
        const leat_metric *found = NULL;
        for (size_t k = 0; k < count && !found; k++)
            found = strcmp(table[k].name, leat_history_metric(i)) == 0 ? &table[k] : NULL;
        ck_assert_msg(found != NULL, "%s", leat_history_metric(i));
        register_metric(of.metrics, found);
    }
    take(&of);
    take(&of);
    yyjson_val *root = write_from(&of, 0);
    ck_assert_double_eq(at(root, "/process/applied_s"), 0);
    ck_assert_double_eq(at(root, "/shards/0/time_lag_s"), 0);
    world_free(&of);
}
END_TEST

START_TEST(test_gauges_of_a_shard)
{
    /* What each worker knows of a shard is added up, but a lag is that of the one furthest behind;
     * another shard's, and what nobody knows, are no part of it. */
    world of = world_new();
    static const char *const labels[] = {"worker=\"0\",shard=\"a\"", "worker=\"1\",shard=\"a\"",
                                         "worker=\"0\",shard=\"b\"", "worker=\"0\",shard=\"ab\""};
    leat_gauge *lag[4], *limit[4];
    for (size_t i = 0; i < 4; i++) {
        lag[i] = leat_metrics_gauge(of.metrics, "leat_time_lag_seconds", labels[i]);
        limit[i] = leat_metrics_gauge(of.metrics, "leat_shard_limit", labels[i]);
        leat_gauge_set(lag[i], 1000 * (int64_t)i + 500);
        leat_gauge_set(limit[i], 4);
    }
    leat_gauge_set(lag[2], INT64_MIN);
    take(&of);
    yyjson_val *root = write_from(&of, 0);
    ck_assert_str_eq(yyjson_get_str(yyjson_ptr_get(root, "/shards/0/name")), "a");
    ck_assert_double_eq(at(root, "/shards/0/time_lag_s"), 1.5);
    ck_assert_double_eq(at(root, "/shards/0/limit"), 8);
    ck_assert_double_eq(at(root, "/shards/1/time_lag_s"), -1);
    ck_assert_double_eq(at(root, "/shards/1/limit"), 4);
    ck_assert_double_eq(at(root, "/history/shards/0/time_lag_s/0"), 1.5);
    ck_assert_ptr_null(yyjson_ptr_get(root, "/history/shards/0/limit"));
    world_free(&of);
}
END_TEST

START_TEST(test_catching_up_is_known_if_all_workers_with_partitions_know_it)
{
    world of = world_new();
    static const char *const labels[] = {"worker=\"0\",shard=\"a\"", "worker=\"1\",shard=\"a\""};
    leat_gauge *lag[2], *catch_up[2];
    for (size_t i = 0; i < 2; i++) {
        lag[i] = leat_metrics_gauge(of.metrics, "leat_time_lag_seconds", labels[i]);
        catch_up[i] = leat_metrics_gauge(of.metrics, "leat_catch_up_seconds", labels[i]);
        leat_gauge_set(lag[i], i == 0 ? 500 : INT64_MIN);
        leat_gauge_set(catch_up[i], i == 0 ? 2500 : INT64_MIN);
    }
    take(&of);
    ck_assert_double_eq(at(write_from(&of, 0), "/shards/0/catch_up_s"), 2.5);
    leat_gauge_set(lag[1], 0);
    take(&of);
    ck_assert_double_eq(at(write_from(&of, 0), "/shards/0/catch_up_s"), -1);
    leat_gauge_set(catch_up[1], 3500);
    take(&of);
    ck_assert_double_eq(at(write_from(&of, 0), "/shards/0/catch_up_s"), 3.5);
    world_free(&of);
}
END_TEST

START_TEST(test_rates)
{
    /* A second, since the row before; the first row has none. Answers of writes that were taken and
     * others are told apart. */
    world of = world_new();
    leat_counter *taken = leat_metrics_counter(of.metrics, "leat_requests_total", "code=\"202\""),
                 *told = leat_metrics_counter(of.metrics, "leat_requests_total", "code=\"200\""),
                 *full = leat_metrics_counter(of.metrics, "leat_requests_total", "code=\"503\"");
    leat_count(taken, 1000);
    take(&of);
    ck_assert_double_eq(at(write_from(&of, 0), "/process/accepted_s"), -1);
    leat_count(taken, 10);
    leat_count(told, 2);
    leat_count(full, 4);
    take(&of);
    yyjson_val *root = write_from(&of, 0);
    ck_assert_double_eq(at(root, "/process/accepted_s"), 6);
    ck_assert_double_eq(at(root, "/process/refused_s"), 2);
    ck_assert_double_eq(at(root, "/history/process/accepted_s/0"), -1);
    ck_assert_double_eq(at(root, "/history/process/accepted_s/1"), 6);
    take(&of);
    ck_assert_double_eq(at(write_from(&of, 0), "/process/accepted_s"), 0);
    world_free(&of);
}
END_TEST

START_TEST(test_rows)
{
    /* Who has some is given the later ones; the oldest go; a number that is not there yet, as of
     * another process, gives all. */
    world of = world_new();
    enum { TAKEN = LEAT_HISTORY_ROWS + 5 };
    for (int i = 0; i < TAKEN; i++)
        take(&of);
    yyjson_val *root = write_from(&of, 0);
    ck_assert_double_eq(at(root, "/history/next"), TAKEN);
    ck_assert_uint_eq(yyjson_arr_size(yyjson_ptr_get(root, "/history/at_ms")), LEAT_HISTORY_ROWS);
    ck_assert_uint_eq(yyjson_arr_size(yyjson_ptr_get(root, "/history/shards/1/rows_s")),
                      LEAT_HISTORY_ROWS);
    ck_assert_double_eq(at(root, "/history/at_ms/0"), 1000 + 2000 * 6);
    root = write_from(&of, TAKEN - 2);
    ck_assert_uint_eq(yyjson_arr_size(yyjson_ptr_get(root, "/history/at_ms")), 2);
    ck_assert_double_eq(at(root, "/history/at_ms/1"), 1000 + 2000 * TAKEN);
    root = write_from(&of, TAKEN);
    ck_assert_uint_eq(yyjson_arr_size(yyjson_ptr_get(root, "/history/at_ms")), 0);
    root = write_from(&of, TAKEN + 1);
    ck_assert_uint_eq(yyjson_arr_size(yyjson_ptr_get(root, "/history/at_ms")), LEAT_HISTORY_ROWS);
    world_free(&of);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history");
    TCase *numbers = tcase_create("numbers");
    tcase_add_test(numbers, test_metrics_exist);
    tcase_add_test(numbers, test_gauges_of_a_shard);
    tcase_add_test(numbers, test_catching_up_is_known_if_all_workers_with_partitions_know_it);
    tcase_add_test(numbers, test_rates);
    tcase_add_test(numbers, test_rows);
    suite_add_tcase(suite, numbers);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
