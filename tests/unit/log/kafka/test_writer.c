/* The writer against a mock cluster: what is answered when brokers fail in ways a real one can
 * hardly be made to. */
#include "fixture.h"
#include "log/kafka/writer.h"

typedef struct answers {
    fixture f;
    leat_log_writer *writer;
    const leat_log_identity *identity;
    size_t sent;
    size_t wanted; /* answers to wait for */
    size_t count[4];
    int seen[4096]; /* per tag: each must be answered once */
    int64_t offsets[4096];
    int64_t offset; /* the greatest of one appended */
    char why[256];  /* of the last one that was not */
} answers;

static size_t answered(const answers *a)
{
    return a->count[LEAT_APPENDED] + a->count[LEAT_NOT_APPENDED] + a->count[LEAT_APPEND_UNKNOWN] +
           a->count[LEAT_APPEND_TOO_LARGE];
}

static void on_appended(void *context, void *tag, leat_append_result result, uint32_t partition,
                        int64_t offset, const char *why)
{
    answers *a = context;
    int *seen = tag;
    (*seen)++;
    ck_assert_int_eq(*seen, 1);
    ck_assert_uint_lt(partition, 2);
    ck_assert(result == LEAT_APPENDED || why);
    a->offsets[seen - a->seen] = offset;
    if (result == LEAT_APPENDED)
        a->offset = offset > a->offset ? offset : a->offset;
    else
        snprintf(a->why, sizeof a->why, "%s", why);
    a->count[result]++;
}

static void open_writer(answers *a)
{
    leat_error error = {0};
    a->writer = leat_log_writer_new(&a->f.loop, &a->f.config, a->identity, on_appended, a, &error);
    ck_assert_msg(a->writer, "%s", error.text);
}

static bool is_ready(const void *context)
{
    return !leat_log_writer_trouble(((const answers *)context)->writer);
}

static bool is_not_ready(const void *context)
{
    return !is_ready(context);
}

static bool are_answered(const void *context)
{
    const answers *a = context;
    return answered(a) >= a->wanted;
}

static int append_sized(answers *a, leat_slice value, leat_error *error)
{
    leat_record record = {
        .partition = (uint32_t)a->sent % 2, .accepted_ms = 1000, .key = LEAT_SLICE("k")};
    record.value = value;
    if (a->sent % 3 == 0)
        record.op = LEAT_SLICE("patch");
    int result = leat_log_append(a->writer, &record, &a->seen[a->sent], error);
    if (result == 0)
        a->sent++;
    return result;
}

static void append(answers *a, size_t count)
{
    leat_error error = {0};
    for (size_t i = 0; i < count; i++)
        ck_assert_msg(append_sized(a, LEAT_SLICE("{}"), &error) == 0, "%s", error.text);
}

/* As many as are taken, at most `count`. */
static void append_some(answers *a, size_t count)
{
    leat_error error = {0};
    for (size_t i = 0; i < count && append_sized(a, LEAT_SLICE("{}"), &error) == 0; i++)
        continue;
}

/* The client then has none of those that were answered. */
static void await_answers(answers *a, size_t count)
{
    const leat_kafka_writer *writer = (const leat_kafka_writer *)a->writer;
    a->wanted = count;
    fixture_await(&a->f, are_answered, a);
    ck_assert_uint_eq(answered(a), count);
    for (uint32_t p = 0; p < writer->partition_count && count == a->sent; p++)
        ck_assert_uint_eq(writer->partitions[p].flight.count, 0);
}

static answers *start(void)
{
    answers *a = calloc(1, sizeof *a);
    fixture_open(&a->f, 2);
    return a;
}

static void finish(answers *a)
{
    leat_log_writer_free(a->writer, 5000);
    ck_assert_uint_eq(answered(a), a->sent);
    fixture_close(&a->f);
    free(a);
}

START_TEST(answers_each_record_once)
{
    answers *a = start();
    open_writer(a);
    ck_assert(leat_log_writer_trouble(a->writer));
    fixture_await(&a->f, is_ready, a);
    append(a, 1000);
    ck_assert_uint_eq(((const leat_kafka_writer *)a->writer)->waiting, 1000);
    ck_assert_int_gt(leat_log_writer_oldest_us(a->writer, 1, leat_mono_us()), 0);
    await_answers(a, 1000);
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 1000);
    ck_assert_int_eq(leat_log_writer_oldest_us(a->writer, 1, leat_mono_us()), 0);
    ck_assert_int_gt(a->offset, 0);
    finish(a);
}
END_TEST

START_TEST(retries_what_passes)
{
    answers *a = start();
    rd_kafka_mock_push_request_errors(
        a->f.cluster, API_PRODUCE, 4, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR__TRANSPORT,
        RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
    open_writer(a);
    append(a, 100);
    await_answers(a, 100);
    /* The broker may have stored what it lost the connection with: it answers the repetition as a
     * duplicate, without an offset. */
    ck_assert_uint_eq(a->count[LEAT_APPENDED] + a->count[LEAT_APPEND_UNKNOWN], 100);
    ck_assert_msg(a->count[LEAT_APPENDED] == 100 || strstr(a->why, "the log has the write"),
                  "not appended: %s", a->why);
    finish(a);
}
END_TEST

START_TEST(says_not_appended_when_brokers_never_took_it)
{
    answers *a = start();
    fixture_set(&a->f, "delivery.timeout.ms", "1000");
    fixture_set(&a->f, "reconnect.backoff.max.ms", "100"); /* both brokers are back within the
                                                              time-out */
    open_writer(a);
    fixture_await(&a->f, is_ready, a);
    fixture_down(&a->f);
    append(a, 10);
    await_answers(a, 10);
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 0);
    fixture_await(&a->f, is_not_ready, a);
    fixture_up(&a->f);
    fixture_await(&a->f, is_ready, a);
    append(a, 10);
    await_answers(a, 20);
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 10);
    finish(a);
}
END_TEST

START_TEST(says_unknown_when_no_answer_came)
{
    answers *a = start();
    fixture_set(&a->f, "delivery.timeout.ms", "600");
    open_writer(a);
    append(a, 1); /* the producer has its id now */
    await_answers(a, 1);
    fixture_slow(&a->f, FOR_EVER_MS);
    append(a, 10);
    await_answers(a, 11);
    /* On a busy machine some have not left the client before their time was over. */
    ck_assert_uint_ge(a->count[LEAT_APPEND_UNKNOWN], 1);
    ck_assert_uint_eq(a->count[LEAT_APPEND_UNKNOWN] + a->count[LEAT_NOT_APPENDED], 10);
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 1);
    fixture_slow(&a->f, 0);
    finish(a);
}
END_TEST

START_TEST(refuses_what_is_too_large)
{
    answers *a = start();
    open_writer(a);
    static char large[2 * 1000 * 1000];
    leat_error error = {0};
    ck_assert_int_eq(append_sized(a, (leat_slice){large, sizeof large}, &error), -1);
    ck_assert(error.text[0]);
    ck_assert_uint_eq(((const leat_kafka_writer *)a->writer)->waiting, 0);
    /* Until it knows that the brokers do not tell their limit, the writer takes the batch for what
     * is too large. */
    while (a->count[LEAT_APPEND_TOO_LARGE] == 0) {
        rd_kafka_mock_push_request_errors(a->f.cluster, API_PRODUCE, 1,
                                          RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
        append(a, 1);
        await_answers(a, a->sent);
    }
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 0);
    ck_assert_uint_eq(a->count[LEAT_APPEND_UNKNOWN], 0);
    finish(a);
}
END_TEST

/* One that the brokers refuse in a batch, and their limit is 1000. */
static size_t refused_as_too_large(answers *a, leat_slice value, leat_slice tracestate)
{
    leat_record record = {.accepted_ms = 1000, .key = LEAT_SLICE("k"), .value = value};
    leat_error error = {0};
    size_t before = a->count[LEAT_APPEND_TOO_LARGE];
    record.tracestate = tracestate;
    ((leat_kafka_writer *)a->writer)->limit = 1000;
    rd_kafka_mock_push_request_errors(a->f.cluster, API_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    ck_assert_int_eq(leat_log_append(a->writer, &record, &a->seen[a->sent++], &error), 0);
    await_answers(a, a->sent);
    return a->count[LEAT_APPEND_TOO_LARGE] - before;
}

START_TEST(is_too_large_with_its_headers)
{
    static const char text[600];
    answers *a = start();
    open_writer(a);
    append(a, 2);
    await_answers(a, 2);
    ck_assert_uint_eq(refused_as_too_large(a, (leat_slice){text, 300}, (leat_slice){0}), 0);
    ck_assert_uint_eq(refused_as_too_large(a, (leat_slice){text, 300}, (leat_slice){text, 300}), 1);
    ck_assert_uint_eq(refused_as_too_large(a, (leat_slice){text, 600}, (leat_slice){0}), 1);
    ck_assert_uint_eq(a->count[LEAT_NOT_APPENDED], 1);
    finish(a);
}
END_TEST

START_TEST(full_means_later)
{
    answers *a = start();
    fixture_set(&a->f, "queue.buffering.max.messages", "100");
    open_writer(a);
    leat_error error = {0};
    append(a, 100);
    ck_assert_int_eq(append_sized(a, LEAT_SLICE("{}"), &error), 1);
    ck_assert_uint_eq(((const leat_kafka_writer *)a->writer)->waiting, 100);
    await_answers(a, 100);
    append(a, 100);
    await_answers(a, 200);
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 200);
    finish(a);
}
END_TEST

START_TEST(survives_a_fatal_error)
{
    answers *a = start();
    open_writer(a);
    append(a, 10);
    await_answers(a, 10);
    rd_kafka_mock_push_request_errors(a->f.cluster, API_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    append_some(a, 10); /* the first may have failed by the time of the last */
    await_answers(a, a->sent);
    fixture_await(&a->f, is_ready, a);
    append(a, 10);
    await_answers(a, a->sent);
    ck_assert_uint_ge(a->count[LEAT_APPENDED], 20);
    finish(a);
}
END_TEST

START_TEST(free_answers_what_waits)
{
    answers *a = start();
    fixture_set(&a->f, "delivery.timeout.ms", "1000000"); /* nothing else ends the wait */
    open_writer(a);
    append(a, 1);
    await_answers(a, 1);
    fixture_slow(&a->f, FOR_EVER_MS);
    append(a, 20);
    leat_log_writer_free(a->writer, 300);
    ck_assert_uint_eq(answered(a), 21);
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 1);
    fixture_close(&a->f);
    free(a);
}
END_TEST

static uint32_t held(const answers *a)
{
    const leat_kafka_writer *writer = (const leat_kafka_writer *)a->writer;
    return writer->partitions[0].hold.count + writer->partitions[1].hold.count;
}

static bool are_handed_over(const void *context)
{
    return held(context) == 0;
}

START_TEST(holds_what_follows_an_unanswered_one_but_not_for_long)
{
    answers *a = start();
    open_writer(a);
    append(a, 1);
    await_answers(a, 1);
    fixture_slow(&a->f, FOR_EVER_MS);
    append(a, 2);
    fixture_await(&a->f, are_handed_over, a);
    append(a, 20);
    ck_assert_uint_eq(held(a), 20); /* the turn is not over */
    fixture_await(&a->f, are_handed_over, a);
    ck_assert_uint_eq(answered(a), 1);
    append(a, 4); /* these are held when the writer ends */
    leat_log_writer_free(a->writer, 0);
    ck_assert_uint_eq(answered(a), 27);
    fixture_close(&a->f);
    free(a);
}
END_TEST

rd_kafka_error_t *__real_rd_kafka_produceva(rd_kafka_t *rk, const rd_kafka_vu_t *vus, size_t count);
rd_kafka_error_t *__wrap_rd_kafka_produceva(rd_kafka_t *rk, const rd_kafka_vu_t *vus, size_t count);

static bool is_full; /* the client's queue */
static int tries;

rd_kafka_error_t *__wrap_rd_kafka_produceva(rd_kafka_t *rk, const rd_kafka_vu_t *vus, size_t count)
{
    tries++;
    return is_full ? rd_kafka_error_new(RD_KAFKA_RESP_ERR__QUEUE_FULL, "full")
                   : __real_rd_kafka_produceva(rk, vus, count);
}

static bool was_tried(const void *context)
{
    return tries >= *(const int *)context;
}

START_TEST(a_full_client_refuses_nothing_that_is_held_and_keeps_its_order)
{
    enum { HELD = 20, TRIES = 6 };
    static char large[LEAT_HOLD_BYTES];
    answers *a = start();
    leat_error error = {0};
    open_writer(a);
    append(a, 2);
    await_answers(a, 2);
    is_full = true;
    tries = 0;
    append(a, HELD);
    fixture_await(&a->f, was_tried, &(int){TRIES});
    ck_assert_uint_eq(answered(a), 2);
    ck_assert_int_eq(append_sized(a, (leat_slice){large, sizeof large}, &error), 1);
    ck_assert_str_eq(error.text, LEAT_WRITER_FULL);
    is_full = false;
    append(a, 2); /* behind those that are held */
    await_answers(a, a->sent);
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 4 + HELD);
    for (size_t i = 2; i < a->sent; i++)
        ck_assert_int_lt(a->offsets[i - 2], a->offsets[i]);
    is_full = true;
    append(a, HELD);
    leat_log_writer_free(a->writer, 5000); /* here it does not wait for room */
    ck_assert_uint_eq(a->count[LEAT_NOT_APPENDED], HELD);
    is_full = false;
    fixture_close(&a->f);
    free(a);
}
END_TEST

static void other_topic(leat_log_identity *identity)
{
    identity->topic_id[0] = identity->topic_id[0] == 'x' ? 'y' : 'x';
}

static void other_partitions(leat_log_identity *identity)
{
    identity->partition_count++;
}

static void other_cluster(leat_log_identity *identity)
{
    identity->cluster[0] = identity->cluster[0] == 'x' ? 'y' : 'x';
}

static bool has_trouble(const void *context)
{
    const answers *a = context;
    return leat_log_writer_trouble(a->writer) &&
           strstr(leat_log_writer_trouble(a->writer), "was set up");
}

/* The topic differs from the one set up in its id, its partitions, or the cluster. */
static void (*const others[])(leat_log_identity *) = {
    other_topic,
    other_partitions,
    other_cluster,
};

START_TEST(takes_nothing_for_another_topic)
{
    answers *a = start();
    leat_error error = {0};
    leat_log_identity identity;
    ck_assert_msg(leat_log_identify(&a->f.config, 5000, &identity, &error) == 0, "%s", error.text);
    others[_i](&identity);
    a->identity = &identity;
    open_writer(a);
    append(a, 10); /* before it is known */
    fixture_await(&a->f, has_trouble, a);
    ck_assert_int_eq(append_sized(a, LEAT_SLICE("{}"), &error), 1);
    ck_assert_str_eq(error.text, leat_log_writer_trouble(a->writer));
    await_answers(a, 10);
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 0);
    finish(a);
}
END_TEST

START_TEST(takes_writes_for_the_topic_that_was_set_up)
{
    answers *a = start();
    leat_error error = {0};
    leat_log_identity identity;
    ck_assert_msg(leat_log_identify(&a->f.config, 5000, &identity, &error) == 0, "%s", error.text);
    identity.partition_count = 1; /* it has grown since */
    a->identity = &identity;
    open_writer(a);
    append(a, 10);
    await_answers(a, 10);
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 10);
    finish(a);
}
END_TEST

START_TEST(is_troubled_after_some_refusals_and_tries_on)
{
    answers *a = start();
    open_writer(a);
    append(a, 1);
    await_answers(a, 1);
    for (size_t i = 0; i < 3; i++) {
        rd_kafka_mock_push_request_errors(a->f.cluster, API_PRODUCE, 1,
                                          RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP);
        append(a, 1);
        await_answers(a, 2 + i);
        ck_assert_int_eq(leat_log_writer_trouble(a->writer) != NULL, i == 2);
    }
    ck_assert(strstr(leat_log_writer_trouble(a->writer), "clock is wrong"));
    append(a, 1);
    await_answers(a, 5);
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 2);
    ck_assert_ptr_null(leat_log_writer_trouble(a->writer));
    finish(a);
}
END_TEST

static bool partition_1_is_in_trouble(const void *context)
{
    return leat_log_writer_partition_trouble(((const answers *)context)->writer, 1) != NULL;
}

static bool partition_1_takes_writes(const void *context)
{
    return !partition_1_is_in_trouble(context);
}

/* Its records are counted as what they are; the other partition is not troubled, and neither is the
 * writer as a whole. */
START_TEST(a_partition_without_a_leader_is_its_own_trouble)
{
    answers *a = start();
    leat_error error = {0};
    leat_log_identity identity;
    ck_assert_msg(leat_log_identify(&a->f.config, 5000, &identity, &error) == 0, "%s", error.text);
    a->identity = &identity;
    fixture_set(&a->f, "delivery.timeout.ms", "3000");
    open_writer(a);
    fixture_await(&a->f, is_ready, a);
    append(a, 2);
    await_answers(a, 2);
    rd_kafka_mock_partition_set_leader(a->f.cluster, "t", 1, -1);
    fixture_await(&a->f, partition_1_is_in_trouble, a);
    const char *words = leat_log_writer_partition_trouble(a->writer, 1);
    ck_assert_msg(strstr(words, "partition 1 has no leader since 20") == words, "%s", words);
    ck_assert_ptr_null(leat_log_writer_partition_trouble(a->writer, 0));
    append(a, 8);
    await_answers(a, 10);
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 6);
    ck_assert_uint_eq(a->count[LEAT_NOT_APPENDED], 4);
    ck_assert_uint_eq(leat_log_writer_refusals(a->writer, LEAT_REFUSED_NO_LEADER), 4);
    ck_assert_ptr_nonnull(leat_log_writer_refusal_reason(a->writer, LEAT_REFUSED_NO_LEADER));
    ck_assert_ptr_null(leat_log_writer_trouble(a->writer));
    rd_kafka_mock_partition_set_leader(a->f.cluster, "t", 0, -1);
    fixture_await(&a->f, is_not_ready, a);
    rd_kafka_mock_partition_set_leader(a->f.cluster, "t", 0, 1);
    rd_kafka_mock_partition_set_leader(a->f.cluster, "t", 1, 1);
    fixture_await(&a->f, partition_1_takes_writes, a);
    fixture_await(&a->f, is_ready, a);
    append(a, 2);
    await_answers(a, 12);
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 8);
    finish(a);
}
END_TEST

static const struct {
    rd_kafka_resp_err_t code;
    leat_log_refusal cause;
} causes[] = {
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, LEAT_REFUSED_AUTHORIZATION},
    {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, LEAT_REFUSED_TIMESTAMP},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, LEAT_REFUSED_POLICY},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, LEAT_REFUSED_POLICY},
    {RD_KAFKA_RESP_ERR_INVALID_REQUEST, LEAT_REFUSED_OTHER},
};

START_TEST(counts_refusals_by_cause)
{
    answers *a = start();
    open_writer(a);
    append(a, 1);
    await_answers(a, 1);
    rd_kafka_resp_err_t code = causes[_i].code;
    rd_kafka_mock_push_request_errors(a->f.cluster, API_PRODUCE, 1, code);
    append(a, 1);
    await_answers(a, 2);
    for (leat_log_refusal cause = 0; cause < LEAT_REFUSAL_COUNT; cause++)
        ck_assert_uint_eq(leat_log_writer_refusals(a->writer, cause), cause == causes[_i].cause);
    ck_assert(strstr(leat_log_writer_refusal_reason(a->writer, causes[_i].cause),
                     rd_kafka_err2str(code)));
    finish(a);
}
END_TEST

/* Its broker hangs: the records of one partition take no more of the client's memory than leaves
 * the other its part. */
START_TEST(a_partition_leaves_the_other_its_part_of_the_memory)
{
    answers *a = start();
    leat_error error = {0};
    leat_log_identity identity;
    ck_assert_msg(leat_log_identify(&a->f.config, 5000, &identity, &error) == 0, "%s", error.text);
    a->identity = &identity;
    fixture_set(&a->f, "queue.buffering.max.kbytes", "1024");
    open_writer(a);
    append(a, 2);
    await_answers(a, 2);
    fixture_slow(&a->f, 3000);
    static char value[64 * 1024 - 1];
    size_t taken[2] = {0};
    for (size_t i = 0; i < 40; i++) {
        uint32_t partition = i < 20 ? 0 : 1;
        leat_record record = {.partition = partition,
                              .accepted_ms = 1000,
                              .key = LEAT_SLICE("k"),
                              .value = {value, sizeof value}};
        if (leat_log_append(a->writer, &record, &a->seen[a->sent], &error) != 0)
            continue;
        a->sent++;
        taken[partition]++;
    }
    ck_assert_uint_eq(taken[0], 8); /* of 16: 4 of its own, 4 of the 8 that may be borrowed */
    ck_assert_uint_eq(taken[1], 6); /* 4 of its own, 2 of the 4 that were left */
    fixture_slow(&a->f, 0);
    await_answers(a, 16);
    finish(a);
}
END_TEST

START_TEST(tells_of_the_topic)
{
    answers *a = start();
    leat_error error = {0};
    leat_log_identity identity;
    ck_assert_msg(leat_log_identify(&a->f.config, 5000, &identity, &error) == 0, "%s", error.text);
    ck_assert_uint_eq(identity.partition_count, 2);
    ck_assert(identity.cluster[0]);
    fixture_close(&a->f);
    free(a);
}
END_TEST

/* ---- brokers that take everything and answer nothing ---- */

static leat_log_health health_of(const answers *a)
{
    leat_log_health ret;
    leat_log_writer_health(a->writer, &ret);
    return ret;
}

static bool has_failed(const void *context)
{
    return leat_log_writer_failed(((const answers *)context)->writer);
}

START_TEST(another_client_takes_the_place_of_one_that_hears_nothing)
{
    answers *a = start();
    a->f.config.renew_after_ms = 2000;
    open_writer(a);
    fixture_await(&a->f, is_ready, a);
    fixture_slow(&a->f, FOR_EVER_MS);
    append(a, 10);
    await_answers(a, 10);
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 0);
    ck_assert_uint_gt(health_of(a).renewals, 0);
    ck_assert_msg(strstr(health_of(a).why, "no broker has answered for"), "%s", health_of(a).why);
    fixture_slow(&a->f, 0);
    fixture_await(&a->f, is_ready, a);
    append(a, 10);
    await_answers(a, 20);
    ck_assert_uint_eq(a->count[LEAT_APPENDED], 10);
    ck_assert_int_eq(health_of(a).since_ms, 0);
    ck_assert(!has_failed(a));
    finish(a);
}
END_TEST

/* ---- a client that neither gives up its records nor goes away ---- */

rd_kafka_resp_err_t __real_rd_kafka_purge(rd_kafka_t *rk, int flags);
rd_kafka_resp_err_t __wrap_rd_kafka_purge(rd_kafka_t *rk, int flags);
uint32_t __real_leat_kafka_clients_leaving(void);
uint32_t __wrap_leat_kafka_clients_leaving(void);

static bool stands_still;
static rd_kafka_t *purged;

rd_kafka_resp_err_t __wrap_rd_kafka_purge(rd_kafka_t *rk, int flags)
{
    purged = rk;
    return stands_still ? RD_KAFKA_RESP_ERR_NO_ERROR : __real_rd_kafka_purge(rk, flags);
}

uint32_t __wrap_leat_kafka_clients_leaving(void)
{
    return stands_still ? LEAT_KAFKA_LEAVING_MAX : __real_leat_kafka_clients_leaving();
}

static bool has_nothing_left(const void *context)
{
    (void)context;
    return rd_kafka_outq_len(purged) == 0;
}

START_TEST(what_was_given_up_is_not_answered_again)
{
    answers *a = start();
    open_writer(a);
    append(a, 1);
    await_answers(a, 1);
    stands_still = true;
    fixture_slow(&a->f, FOR_EVER_MS);
    append(a, 10);
    fixture_await(&a->f, are_handed_over, a);
    /* Not before: a slow start is no silence. */
    leat_watchdog_limits *limits = &((leat_kafka_writer *)a->writer)->pulse.dog.limits;
    limits->bad_us = limits->renew_us = 1000 * 1000;
    await_answers(a, 11);
    ck_assert_uint_eq(a->count[LEAT_APPEND_UNKNOWN], 10);
    ck_assert_int_gt(rd_kafka_outq_len(purged), 0); /* the client still has them, since no other may
                                                       take its place */
    fixture_slow(&a->f, 0);
    fixture_down(&a->f); /* it asks again on another connection, and hears of them */
    fixture_up(&a->f);
    fixture_await(&a->f, has_nothing_left, a);
    ck_assert_uint_eq(answered(a), 11);
    stands_still = false;
    fixture_await(&a->f, is_ready, a);
    append(a, 10);
    await_answers(a, 21);
    finish(a);
}
END_TEST

START_TEST(a_writer_that_nothing_helps_has_failed)
{
    answers *a = start();
    a->f.config.renew_after_ms = 2000;
    a->f.config.give_up_after_ms = 5000;
    open_writer(a);
    fixture_await(&a->f, is_ready, a);
    fixture_slow(&a->f, FOR_EVER_MS);
    fixture_await(&a->f, has_failed, a);
    ck_assert_uint_gt(health_of(a).renewals, 0);
    fixture_slow(&a->f, 0);
    finish(a);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kafka_writer");
    TCase *tests = tcase_create("mock cluster");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, answers_each_record_once);
    tcase_add_test(tests, retries_what_passes);
    tcase_add_test(tests, says_not_appended_when_brokers_never_took_it);
    tcase_add_test(tests, says_unknown_when_no_answer_came);
    tcase_add_test(tests, refuses_what_is_too_large);
    tcase_add_test(tests, is_too_large_with_its_headers);
    tcase_add_test(tests, full_means_later);
    tcase_add_test(tests, survives_a_fatal_error);
    tcase_add_test(tests, free_answers_what_waits);
    tcase_add_test(tests, holds_what_follows_an_unanswered_one_but_not_for_long);
    tcase_add_test(tests, a_full_client_refuses_nothing_that_is_held_and_keeps_its_order);
    tcase_add_loop_test(tests, takes_nothing_for_another_topic, 0, sizeof others / sizeof *others);
    tcase_add_test(tests, takes_writes_for_the_topic_that_was_set_up);
    tcase_add_test(tests, is_troubled_after_some_refusals_and_tries_on);
    tcase_add_test(tests, a_partition_without_a_leader_is_its_own_trouble);
    tcase_add_loop_test(tests, counts_refusals_by_cause, 0, sizeof causes / sizeof *causes);
    tcase_add_test(tests, a_partition_leaves_the_other_its_part_of_the_memory);
    tcase_add_test(tests, tells_of_the_topic);
    tcase_add_test(tests, another_client_takes_the_place_of_one_that_hears_nothing);
    tcase_add_test(tests, what_was_given_up_is_not_answered_again);
    tcase_add_test(tests, a_writer_that_nothing_helps_has_failed);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
