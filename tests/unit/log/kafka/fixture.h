/* fixture.h - a mock cluster of librdkafka and a loop that runs until something has happened. */
#ifndef LEAT_TESTS_LOG_FIXTURE_H
#define LEAT_TESTS_LOG_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/diag.h"
#include "log/log.h"

enum { PATIENCE_MS = 60000 };
enum { FOR_EVER_MS = 1000 * 1000 };
/* Kafka's own numbers. */
enum {
    API_PRODUCE = 0,
    API_FETCH = 1,
    API_LIST_OFFSETS = 2,
    API_OFFSET_COMMIT = 8,
    API_HEARTBEAT = 12
};

typedef struct fixture {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    const char *brokers;
    leat_log_config config;
    leat_log_property properties[8];
    uv_loop_t loop;
} fixture;

static inline void fixture_open(fixture *f, uint32_t partition_count)
{
    memset(f, 0, sizeof *f);
    char text[256];
    leat_diag_level(LEAT_ERROR);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
    f->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    ck_assert_msg(f->rk, "%s", text);
    f->cluster = rd_kafka_mock_cluster_new(f->rk, 1);
    ck_assert_ptr_nonnull(f->cluster);
    /* The mock names broker 0 as the controller, but numbers its own from 1. */
    ck_assert_int_eq(rd_kafka_mock_broker_add(f->cluster, 0), 0);
    f->brokers = rd_kafka_mock_cluster_bootstraps(f->cluster);
    ck_assert_int_eq(rd_kafka_mock_topic_create(f->cluster, "t", (int)partition_count, 1), 0);
    rd_kafka_mock_group_initial_rebalance_delay_ms(f->cluster, 0);
    f->config = (leat_log_config){.brokers = f->brokers,
                                  .topic = "t",
                                  .group = "g",
                                  .properties = f->properties,
                                  .renew_after_ms = 30 * 1000};
    ck_assert_int_eq(uv_loop_init(&f->loop), 0);
}

static inline void fixture_close(fixture *f)
{
    uv_run(&f->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&f->loop), 0);
    rd_kafka_mock_cluster_destroy(f->cluster);
    rd_kafka_destroy(f->rk);
}

static inline void fixture_set(fixture *f, const char *name, const char *value)
{
    f->properties[f->config.property_count++] = (leat_log_property){name, value};
}

static inline void fixture_down(fixture *f)
{
    rd_kafka_mock_broker_set_down(f->cluster, 0);
    rd_kafka_mock_broker_set_down(f->cluster, 1);
}

static inline void fixture_up(fixture *f)
{
    rd_kafka_mock_broker_set_up(f->cluster, 0);
    rd_kafka_mock_broker_set_up(f->cluster, 1);
}

static inline void fixture_slow(fixture *f, int rtt_ms)
{
    rd_kafka_mock_broker_set_rtt(f->cluster, 0, rtt_ms);
    rd_kafka_mock_broker_set_rtt(f->cluster, 1, rtt_ms);
}

static inline void fixture_late(uv_timer_t *timer)
{
    ck_abort_msg("it did not happen within %d ms", *(int *)timer->data);
}

/* Runs the loop until `happened(context)`; a test that waits too long fails. */
static inline void fixture_await(fixture *f, bool (*happened)(const void *), const void *context)
{
    int patience_ms = PATIENCE_MS;
    uv_timer_t *timer = calloc(1, sizeof *timer);
    uv_timer_init(&f->loop, timer);
    timer->data = &patience_ms;
    uv_timer_start(timer, fixture_late, (uint64_t)patience_ms, 0);
    while (!happened(context))
        uv_run(&f->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)timer, (uv_close_cb)free);
}

static inline bool fixture_is_past(const void *until_us)
{
    return leat_mono_us() >= *(const int64_t *)until_us;
}

/* Runs the loop for that long. */
static inline void fixture_wait(fixture *f, int ms)
{
    int64_t until_us = leat_mono_us() + (int64_t)ms * 1000;
    fixture_await(f, fixture_is_past, &until_us);
}

static inline int fixture_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}

#endif
