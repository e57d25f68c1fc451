/* Which properties of the client library a user may set, and that a refusal names the property. */
#include "fixture.h"

#include "log/kafka/kafka.h"

static leat_log_property one;
static leat_log_config config = {.brokers = "127.0.0.1:1",
                                 .topic = "t",
                                 .group = "g",
                                 .properties = &one,
                                 .renew_after_ms = 30 * 1000};

static rd_kafka_conf_t *build(leat_kafka_kind kind, const char *name, const char *value,
                              leat_error *error)
{
    one = (leat_log_property){name, value};
    config.property_count = name ? 1 : 0;
    return leat_kafka_conf(kind, &config, error);
}

static void expect(leat_kafka_kind kind, const char *name, const char *value, const char *property,
                   const char *want)
{
    leat_error error = {0};
    rd_kafka_conf_t *conf = build(kind, name, value, &error);
    ck_assert_msg(conf, "%s", error.text);
    char text[256];
    size_t size = sizeof text;
    ck_assert_int_eq(rd_kafka_conf_get(conf, property, text, &size), RD_KAFKA_CONF_OK);
    ck_assert_str_eq(text, want);
    rd_kafka_conf_destroy(conf);
}

typedef struct refusal {
    leat_kafka_kind kind;
    const char *name;
    const char *value;
} refusal;

static const refusal refusals[] = {
    {LEAT_KAFKA_WRITER, "enable.idempotence", "false"},
    {LEAT_KAFKA_WRITER, "acks", "1"},
    {LEAT_KAFKA_WRITER, "request.required.acks", "0"},
    {LEAT_KAFKA_WRITER, "transactional.id", "x"},
    {LEAT_KAFKA_WRITER, "delivery.report.only.error", "true"},
    {LEAT_KAFKA_READER, "enable.auto.commit", "true"},
    {LEAT_KAFKA_READER, "auto.commit.enable", "true"},
    {LEAT_KAFKA_READER, "enable.auto.offset.store", "true"},
    {LEAT_KAFKA_READER, "auto.offset.reset", "earliest"},
    {LEAT_KAFKA_READER, "auto.offset.reset", "latest"},
    {LEAT_KAFKA_READER, "enable.partition.eof", "true"},
    {LEAT_KAFKA_READER, "group.id", "other"},
    {LEAT_KAFKA_READER, "bootstrap.servers", "other:9092"},
    {LEAT_KAFKA_READER, "metadata.broker.list", "other:9092"},
    /* The same properties reach all clients, so a property that harms one is refused by each. */
    {LEAT_KAFKA_READER, "acks", "1"},
    {LEAT_KAFKA_ADMIN, "auto.offset.reset", "latest"},
    /* Nothing the library knows, or no value for it. */
    {LEAT_KAFKA_WRITER, "linger.millis", "5"},
    {LEAT_KAFKA_WRITER, "linger.ms", "soon"},
};

START_TEST(refuses_and_names_the_property)
{
    leat_error error = {0};
    ck_assert_ptr_null(build(refusals[_i].kind, refusals[_i].name, refusals[_i].value, &error));
    ck_assert_msg(strstr(error.text, refusals[_i].name), "%s", error.text);
}
END_TEST

START_TEST(does_not_print_a_value)
{
    leat_error error = {0};
    ck_assert_ptr_null(build(LEAT_KAFKA_WRITER, "security.protocol", "hunter2", &error));
    ck_assert_msg(!strstr(error.text, "hunter2"), "%s", error.text);
}
END_TEST

START_TEST(what_is_promised_may_be_said_again)
{
    expect(LEAT_KAFKA_WRITER, "enable.idempotence", "true", "enable.idempotence", "true");
    expect(LEAT_KAFKA_WRITER, "acks", "all", "acks", "-1");
    expect(LEAT_KAFKA_READER, "auto.offset.reset", "error", "auto.offset.reset", "error");
}
END_TEST

START_TEST(has_defaults_and_a_user_wins)
{
    expect(LEAT_KAFKA_WRITER, NULL, NULL, "enable.idempotence", "true");
    expect(LEAT_KAFKA_WRITER, NULL, NULL, "acks", "-1");
    expect(LEAT_KAFKA_WRITER, NULL, NULL, "delivery.timeout.ms", "10000");
    expect(LEAT_KAFKA_WRITER, "delivery.timeout.ms", "3000", "delivery.timeout.ms", "3000");
    expect(LEAT_KAFKA_WRITER, "message.timeout.ms", "3000", "delivery.timeout.ms", "3000");
    expect(LEAT_KAFKA_WRITER, "compression.type", "lz4", "compression.codec", "lz4");
    expect(LEAT_KAFKA_READER, NULL, NULL, "enable.auto.commit", "false");
    expect(LEAT_KAFKA_READER, NULL, NULL, "enable.auto.offset.store", "false");
    expect(LEAT_KAFKA_READER, NULL, NULL, "auto.offset.reset", "error");
    expect(LEAT_KAFKA_READER, NULL, NULL, "partition.assignment.strategy", "cooperative-sticky");
    expect(LEAT_KAFKA_READER, "partition.assignment.strategy", "range",
           "partition.assignment.strategy", "range");
    expect(LEAT_KAFKA_READER, NULL, NULL, "group.id", "g");
    expect(LEAT_KAFKA_READER, NULL, NULL, "fetch.wait.max.ms", "100");
    expect(LEAT_KAFKA_READER, "max.partition.fetch.bytes", "4096", "fetch.message.max.bytes",
           "4096");
    expect(LEAT_KAFKA_READER, "fetch.wait.max.ms", "200", "fetch.wait.max.ms", "200");
    expect(LEAT_KAFKA_ADMIN, NULL, NULL, "client.id", "leat");
    expect(LEAT_KAFKA_ADMIN, NULL, NULL, "enable.sparse.connections", "false");
}
END_TEST

START_TEST(the_new_group_protocol_can_be_chosen)
{
    leat_error error = {0};
    one = (leat_log_property){"group.protocol", "consumer"};
    config.property_count = 1;
    uv_loop_t loop;
    uv_loop_init(&loop);
    leat_log_identity identity = {.partition_count = 1};
    leat_reader_events events = {0};
    leat_diag_level(LEAT_ERROR);
    leat_log_reader *reader = leat_log_reader_new(&loop, &config, &identity, &events, &error);
    ck_assert_msg(reader, "%s", error.text);
    leat_log_reader_free(reader, 1000);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

static const struct {
    leat_log_property properties[2];
    const char *names; /* what the error names; NULL: they go together */
} together[] = {
    {{{"group.protocol", "consumer"}, {"session.timeout.ms", "20000"}}, "session.timeout.ms"},
    {{{"group.protocol", "consumer"}, {"partition.assignment.strategy", "range"}},
     "partition.assignment.strategy"},
    {{{"max.poll.interval.ms", "5000"}, {"session.timeout.ms", "20000"}}, "session.timeout.ms"},
    {{{"security.protocol", "ssl"}, {"ssl.ca.location", "/nowhere"}}, "ssl.ca.location"},
    {{{"group.protocol", "consumer"}, {"compression.type", "lz4"}}, NULL},
    {{{"session.timeout.ms", "20000"}, {"heartbeat.interval.ms", "2000"}}, NULL},
};

/* Librdkafka tells these only when a client is made: it is, without a broker. */
START_TEST(refuses_what_does_not_go_together)
{
    leat_error error = {0};
    leat_log_config two = config;
    two.properties = together[_i].properties;
    two.property_count = 2;
    int result = leat_log_check(&two, &error);
    ck_assert_msg(result == (together[_i].names ? -1 : 0), "%s", error.text);
    ck_assert_msg(!together[_i].names || strstr(error.text, together[_i].names), "%s", error.text);
}
END_TEST

START_TEST(the_client_takes_records_as_large_as_bodies_may_be)
{
    expect(LEAT_KAFKA_WRITER, NULL, NULL, "message.max.bytes", "1000000");
    config.value_max = 4 * 1024 * 1024;
    expect(LEAT_KAFKA_WRITER, NULL, NULL, "message.max.bytes", "4210688");
    expect(LEAT_KAFKA_WRITER, "message.max.bytes", "8000000", "message.max.bytes", "8000000");
    config.value_max = 0;
}
END_TEST

START_TEST(needs_to_know_where_and_what)
{
    leat_error error = {0};
    leat_log_config without = {.brokers = "", .topic = "t", .group = "g"};
    ck_assert_ptr_null(leat_kafka_conf(LEAT_KAFKA_WRITER, &without, &error));
    without = (leat_log_config){.brokers = "b", .group = "g"};
    ck_assert_ptr_null(leat_kafka_conf(LEAT_KAFKA_WRITER, &without, &error));
    without = (leat_log_config){.brokers = "b", .topic = "t"};
    ck_assert_ptr_null(leat_kafka_conf(LEAT_KAFKA_READER, &without, &error));
    ck_assert_msg(strstr(error.text, "group"), "%s", error.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kafka_conf");
    TCase *tests = tcase_create("properties");
    tcase_add_loop_test(tests, refuses_and_names_the_property, 0,
                        (int)(sizeof refusals / sizeof *refusals));
    tcase_add_test(tests, does_not_print_a_value);
    tcase_add_test(tests, what_is_promised_may_be_said_again);
    tcase_add_test(tests, has_defaults_and_a_user_wins);
    tcase_add_test(tests, the_new_group_protocol_can_be_chosen);
    tcase_add_loop_test(tests, refuses_what_does_not_go_together, 0,
                        (int)(sizeof together / sizeof *together));
    tcase_add_test(tests, the_client_takes_records_as_large_as_bodies_may_be);
    tcase_add_test(tests, needs_to_know_where_and_what);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
