/* The reader against a mock cluster: order and completeness whatever the brokers and the group
 * do. */
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fixture.h"
#include "log/kafka/reader.h"
#include "record/headers.h"

enum {
    PARTITIONS = 4,
    EACH = 500,
    OUTAGE_MS = 3000,
    CONNECTS_MAX = 500, /* in an outage: five brokers' threads with a back-off make some dozens,
                           without it tens of thousands */
};

/* Stands before the C library's, so that attempts of the client library are counted. */
static atomic_size_t connects;

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    atomic_fetch_add(&connects, 1);
    return (int)syscall(SYS_connect, fd, address, size);
}

typedef struct world {
    fixture f;
    leat_log_identity identity;
    leat_log_writer *writer;
    size_t appended;
    size_t append_wanted;
    /* the greatest offset read by any reader; what a sink would know */
    int64_t applied[PARTITIONS];
    size_t total; /* records read, none twice */
    size_t total_wanted;
} world;

typedef struct member {
    world *w;
    leat_log_reader *reader;
    int64_t low; /* to seek with; -2: what the world has applied */
    int64_t high;
    bool mine[PARTITIONS];
    bool hold; /* keep what the group wants back */
    bool wanted[PARTITIONS];
    int64_t next[PARTITIONS];
    size_t read;
    size_t refuse_at; /* refuse the record after this many, once; 0: never */
    size_t refused;
    int64_t refused_offset;
    uint32_t refused_partition;
    size_t assigned, revoked, lost, broken, commits_ok, commits_bad;
    size_t commits_wanted, held_wanted;
    size_t failed;
    bool keep; /* the next record read is held, and no more are taken */
    void *kept;
    char reason[512];
} member;

static void on_appended(void *context, void *tag, leat_append_result result, uint32_t partition,
                        int64_t offset, const char *why)
{
    (void)tag;
    (void)partition;
    (void)offset;
    world *w = context;
    ck_assert_msg(result == LEAT_APPENDED, "%s", why ? why : "");
    w->appended++;
}

static bool is_appended(const void *context)
{
    const world *w = context;
    return w->appended >= w->append_wanted;
}

static void append(world *w, size_t each)
{
    leat_error error = {0};
    w->append_wanted += each * PARTITIONS;
    for (size_t i = 0; i < each * PARTITIONS; i++) {
        leat_record record = {.partition = (uint32_t)i % PARTITIONS,
                              .accepted_ms = 1000,
                              .key = LEAT_SLICE("k"),
                              .value = LEAT_SLICE("{}"),
                              .op = LEAT_SLICE("patch"),
                              .route = LEAT_SLICE("r")};
        ck_assert_int_eq(leat_log_append(w->writer, &record, NULL, &error), 0);
    }
    fixture_await(&w->f, is_appended, w);
}

static world *world_new(void)
{
    world *w = calloc(1, sizeof *w);
    leat_error error = {0};
    fixture_open(&w->f, PARTITIONS);
    for (size_t p = 0; p < PARTITIONS; p++)
        w->applied[p] = -1;
    ck_assert_msg(leat_log_identify(&w->f.config, 5000, &w->identity, &error) == 0, "%s",
                  error.text);
    w->writer = leat_log_writer_new(&w->f.loop, &w->f.config, NULL, on_appended, w, &error);
    ck_assert_msg(w->writer, "%s", error.text);
    fixture_set(&w->f, "session.timeout.ms", "3000"); /* as long the mock's group waits for a member
                                                         in a rebalance */
    fixture_set(&w->f, "heartbeat.interval.ms", "300");
    append(w, EACH);
    return w;
}

static void world_free(world *w)
{
    leat_log_writer_free(w->writer, 5000);
    fixture_close(&w->f);
    free(w);
}

/* ---- what a worker does ---- */

static void on_assigned(void *context, uint32_t partition)
{
    member *m = context;
    ck_assert(!m->mine[partition]);
    m->assigned++;
    m->mine[partition] = true;
    m->wanted[partition] = false;
    int64_t low = m->low == -2 ? m->w->applied[partition] : m->low;
    m->next[partition] = low + 1;
    leat_log_reader_seek(m->reader, partition, low + 1,
                         &(leat_log_applied){low, m->high > low ? m->high : low, 0, -1});
}

static void give_back(member *m, uint32_t partition)
{
    m->mine[partition] = false;
    leat_log_reader_give_back(m->reader, partition);
}

static void on_revoked(void *context, uint32_t partition)
{
    member *m = context;
    ck_assert(m->mine[partition]);
    m->revoked++;
    m->wanted[partition] = true;
    if (!m->hold)
        give_back(m, partition);
}

static void on_lost(void *context, uint32_t partition)
{
    member *m = context;
    m->lost++;
    m->mine[partition] = false;
}

static void expect_headers(leat_log_reader *reader, void *log_handle)
{
    leat_buf packed = {0}, headers = {0};
    ck_assert_int_eq(leat_log_headers(reader, log_handle, &packed), 0);
    leat_headers_write_json(&headers, (leat_slice){packed.data, packed.size});
    leat_buf_free(&packed);
    const char *text = leat_buf_cstr(&headers);
    ck_assert_msg(strstr(text, "\"op\":\"patch\"") && strstr(text, "\"route\":\"r\""), "%s", text);
    leat_buf_free(&headers);
}

static bool on_record(void *context, const leat_record *record, void *log_handle)
{
    member *m = context;
    uint32_t p = record->partition;
    ck_assert(m->mine[p] && !m->wanted[p]);
    ck_assert(leat_slice_is(record->op, "patch") && leat_slice_is(record->route, "r"));
    ck_assert(leat_slice_is(record->key, "k") && leat_slice_is(record->value, "{}"));
    ck_assert_int_eq(record->accepted_ms, 1000);
    if (record->offset == 0)
        expect_headers(m->reader, log_handle);
    ck_assert_int_eq(record->offset, m->next[p]); /* the mock's log has no holes */
    if (m->kept)
        return false;
    if (m->refuse_at != 0 && m->read == m->refuse_at && m->refused == 0) {
        m->refused++;
        m->refused_offset = record->offset;
        m->refused_partition = p;
        return false;
    }
    ck_assert(m->refused != 1 || p != m->refused_partition || record->offset >= m->refused_offset);
    m->next[p] = record->offset + 1;
    m->read++;
    if (record->offset > m->w->applied[p]) {
        m->w->applied[p] = record->offset;
        m->w->total++;
    }
    if (m->keep)
        m->kept = log_handle;
    else
        leat_log_release(m->reader, log_handle);
    return true;
}

/* The mock's log has no offsets without a record, so there is never anything to report. */
static void on_read_to(void *context, uint32_t partition, int64_t position)
{
    const member *m = context;
    ck_abort_msg("read to %lld, the next record is at %lld", (long long)position,
                 (long long)m->next[partition]);
}

static void on_broken(void *context, uint32_t partition, const char *reason)
{
    member *m = context;
    ck_assert(m->mine[partition]);
    m->broken++;
    snprintf(m->reason, sizeof m->reason, "%s", reason);
}

static void on_committed(void *context, int64_t since_us, bool ok)
{
    member *m = context;
    ck_assert_int_le(since_us, leat_mono_us());
    if (ok)
        m->commits_ok++;
    else
        m->commits_bad++;
}

static void on_failed(void *context, const char *reason)
{
    member *m = context;
    m->failed++;
    snprintf(m->reason, sizeof m->reason, "%s", reason);
}

static member *member_new(world *w, int64_t low)
{
    member *m = calloc(1, sizeof *m);
    m->w = w;
    m->low = low;
    m->high = -1;
    leat_reader_events events = {m,          on_assigned, on_revoked,   on_lost,  on_record,
                                 on_read_to, on_broken,   on_committed, on_failed};
    leat_error error = {0};
    m->reader = leat_log_reader_new(&w->f.loop, &w->f.config, &w->identity, &events, &error);
    ck_assert_msg(m->reader, "%s", error.text);
    return m;
}

static void member_free(member *m)
{
    leat_log_reader_free(m->reader, 5000);
    free(m);
}

/* ---- what is waited for ---- */

static bool is_all_read(const void *context)
{
    const world *w = context;
    return w->total >= w->total_wanted;
}

static void await_total(world *w, size_t each)
{
    w->total_wanted = each * PARTITIONS;
    fixture_await(&w->f, is_all_read, w);
    ck_assert_uint_eq(w->total, w->total_wanted);
}

static bool is_broken_all(const void *context)
{
    return ((const member *)context)->broken == PARTITIONS;
}

static bool has_refused(const void *context)
{
    return ((const member *)context)->refused > 0;
}

static bool is_committed(const void *context)
{
    const member *m = context;
    return m->commits_ok + m->commits_bad >= m->commits_wanted;
}

static bool holds_enough(const void *context)
{
    const member *m = context;
    size_t held = 0;
    for (size_t p = 0; p < PARTITIONS; p++)
        held += m->mine[p];
    return held == m->held_wanted;
}

static bool is_revoked(const void *context)
{
    return ((const member *)context)->revoked > 0;
}

static bool has_lost(const void *context)
{
    return ((const member *)context)->lost == PARTITIONS;
}

static void await_held(member *m, size_t count)
{
    m->held_wanted = count;
    fixture_await(&m->w->f, holds_enough, m);
}

/* ---- the tests ---- */

START_TEST(reads_all_in_order)
{
    world *w = world_new();
    member *m = member_new(w, -1);
    await_total(w, EACH);
    append(w, 100);
    await_total(w, EACH + 100);
    ck_assert_int_eq(leat_log_reader_end(m->reader, 0), EACH + 100);
    member_free(m);
    world_free(w);
}
END_TEST

START_TEST(reads_from_behind_low)
{
    world *w = world_new();
    member *m = member_new(w, 399);
    for (size_t p = 0; p < PARTITIONS; p++)
        w->applied[p] = 399;
    await_total(w, EACH - 400);
    member_free(m);
    world_free(w);
}
END_TEST

START_TEST(offers_a_refused_record_again)
{
    world *w = world_new();
    member *m = member_new(w, -1);
    m->refuse_at = 700;
    fixture_await(&w->f, has_refused, m);
    w->total_wanted = EACH * (PARTITIONS - 1) + (size_t)m->refused_offset;
    fixture_await(&w->f, is_all_read, w); /* the others go on without it */
    ck_assert_int_eq(w->applied[m->refused_partition], m->refused_offset - 1);
    leat_log_reader_resume(m->reader, m->refused_partition);
    await_total(w, EACH);
    member_free(m);
    world_free(w);
}
END_TEST

START_TEST(a_truncated_log_is_broken)
{
    world *w = world_new();
    member *m = member_new(w, EACH);
    fixture_await(&w->f, is_broken_all, m);
    ck_assert_msg(strstr(m->reason, "ends at offset 500"), "%s", m->reason);
    ck_assert_uint_eq(m->read, 0);
    member_free(m);
    world_free(w);
}
END_TEST

START_TEST(a_log_that_ends_below_high_is_broken)
{
    world *w = world_new();
    member *m = member_new(w, 100);
    m->high = EACH;
    fixture_await(&w->f, is_broken_all, m);
    ck_assert_uint_eq(m->read, 0);
    member_free(m);
    world_free(w);
}
END_TEST

START_TEST(another_topic_of_that_name_is_broken)
{
    world *w = world_new();
    snprintf(w->identity.topic_id, sizeof w->identity.topic_id, "%s", "qATkMSeZTmiFYgVhG+FBcw");
    member *m = member_new(w, -1);
    fixture_await(&w->f, is_broken_all, m);
    ck_assert_uint_eq(m->read, 0);
    member_free(m);
    world_free(w);
}
END_TEST

/* ---- brokers that take everything and answer nothing ---- */

static leat_log_health health_of(const member *m)
{
    leat_log_health ret;
    leat_log_reader_health(m->reader, &ret);
    return ret;
}

static bool is_told_of_silence(const void *context)
{
    return health_of(context).silent_ms > 0;
}

static bool hears_again(const void *context)
{
    return health_of(context).silent_ms == 0;
}

static bool is_renewed(const void *context)
{
    return health_of(context).renewals > 0;
}

static bool has_kept(const void *context)
{
    return ((const member *)context)->kept != NULL;
}

static bool has_failed(const void *context)
{
    return ((const member *)context)->failed > 0;
}

/* The old client's requests stay unanswered: later records are read by another one. */
START_TEST(another_client_takes_the_place_of_one_that_hears_nothing)
{
    world *w = world_new();
    w->f.config.renew_after_ms = 3000;
    member *m = member_new(w, -2);
    await_total(w, EACH);
    fixture_slow(&w->f, FOR_EVER_MS);
    fixture_await(&w->f, is_told_of_silence, m);
    leat_log_health health = health_of(m);
    ck_assert_int_gt(health.since_ms, 0);
    ck_assert_msg(strstr(health.why, "no broker has answered for") &&
                      strstr(health.why, w->f.brokers),
                  "%s", health.why);
    fixture_await(&w->f, is_renewed, m);
    fixture_slow(&w->f, 0);
    fixture_await(&w->f, hears_again, m);
    await_held(m, PARTITIONS);
    member_free(m);
    world_free(w);
}
END_TEST

/* A record that is held lives in its client's memory. */
START_TEST(no_other_client_before_all_records_are_given_back)
{
    world *w = world_new();
    w->f.config.renew_after_ms = 2000;
    member *m = member_new(w, -2);
    m->keep = true;
    fixture_await(&w->f, has_kept, m);
    fixture_slow(&w->f, FOR_EVER_MS);
    fixture_await(&w->f, is_renewed, m);
    fixture_slow(&w->f, 0);
    await_held(m, 0);
    fixture_wait(&w->f, 1000); /* in which it would join the group */
    ck_assert(holds_enough(m));
    leat_log_release(m->reader, m->kept);
    m->keep = false;
    m->kept = NULL;
    await_total(w, EACH);
    member_free(m);
    world_free(w);
}
END_TEST

START_TEST(a_reader_that_nothing_helps_has_failed)
{
    world *w = world_new();
    w->f.config.renew_after_ms = 2000;
    w->f.config.give_up_after_ms = 5000;
    member *m = member_new(w, -2);
    await_total(w, EACH);
    fixture_slow(&w->f, FOR_EVER_MS);
    fixture_await(&w->f, has_failed, m);
    ck_assert_msg(strstr(m->reason, "no broker has answered for"), "%s", m->reason);
    ck_assert(is_renewed(m));
    member_free(m);
    fixture_slow(&w->f, 0);
    world_free(w);
}
END_TEST

static const char *const strategies[] = {"cooperative-sticky", "range"};

/* The range is there, so the error is not a loss: the fetching starts again where it was. */
START_TEST(out_of_range_is_asked_again)
{
    world *w = world_new();
    fixture_set(&w->f, "partition.assignment.strategy", strategies[_i]);
    member *m = member_new(w, -1);
    await_total(w, EACH);
    rd_kafka_mock_push_request_errors(w->f.cluster, API_FETCH, 2,
                                      RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE,
                                      RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE);
    append(w, 50);
    await_total(w, EACH + 50);
    append(w, 50);
    await_total(w, EACH + 100);
    ck_assert_uint_eq(m->broken, 0);
    member_free(m);
    world_free(w);
}
END_TEST

START_TEST(errors_that_pass_are_sat_out)
{
    world *w = world_new();
    rd_kafka_mock_cluster_t *cluster = w->f.cluster;
    rd_kafka_mock_push_request_errors(cluster, API_FETCH, 4,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                      RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_UNKNOWN,
                                      RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR);
    rd_kafka_mock_push_request_errors(cluster, API_LIST_OFFSETS, 3, RD_KAFKA_RESP_ERR_UNKNOWN,
                                      RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                      RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE);
    member *m = member_new(w, -1);
    await_total(w, EACH);
    ck_assert_uint_eq(m->broken, 0);
    member_free(m);
    world_free(w);
}
END_TEST

START_TEST(brokers_may_go_away_and_come_back)
{
    world *w = world_new();
    member *m = member_new(w, -2);
    await_total(w, EACH);
    fixture_down(&w->f);
    fixture_up(&w->f);
    append(w, 100);
    await_total(w, EACH + 100);
    ck_assert_uint_eq(m->broken, 0);
    member_free(m);
    world_free(w);
}
END_TEST

/* Asking the brokers goes on in an outage, as long as the group counts us in and after. */
START_TEST(an_outage_is_sat_out_quietly)
{
    world *w = world_new();
    member *m = member_new(w, -2);
    await_total(w, EACH);
    fixture_down(&w->f);
    size_t before = connects;
    fixture_await(&w->f, has_lost, m); /* the session's time is over */
    fixture_wait(&w->f, OUTAGE_MS);
    ck_assert_uint_gt(connects, before);
    ck_assert_uint_lt(connects - before, CONNECTS_MAX);
    fixture_up(&w->f);
    await_held(m, PARTITIONS);
    append(w, 100);
    await_total(w, EACH + 100);
    member_free(m);
    world_free(w);
}
END_TEST

START_TEST(a_commit_shows_membership)
{
    world *w = world_new();
    member *m = member_new(w, -1);
    await_total(w, EACH);
    leat_log_reader_commit(m->reader, 0, EACH - 1);
    m->commits_wanted = 1;
    fixture_await(&w->f, is_committed, m);
    leat_log_reader_confirm(m->reader);
    m->commits_wanted = 2;
    fixture_await(&w->f, is_committed, m);
    ck_assert_uint_eq(m->commits_ok, 2);
    ck_assert_uint_eq(leat_log_reader_commit_failures(m->reader), 0);
    member_free(m);
    world_free(w);
}
END_TEST

static const rd_kafka_resp_err_t commit_errors[] = {
    RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
    RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS};

START_TEST(a_failed_commit_harms_nothing)
{
    world *w = world_new();
    member *m = member_new(w, -2);
    await_total(w, EACH);
    rd_kafka_mock_push_request_errors(w->f.cluster, API_OFFSET_COMMIT, 1, commit_errors[_i]);
    leat_log_reader_commit(m->reader, 0, EACH - 1);
    m->commits_wanted = 1;
    fixture_await(&w->f, is_committed, m);
    ck_assert_uint_eq(m->commits_bad, 1);
    ck_assert_uint_eq(leat_log_reader_commit_failures(m->reader), 1);
    append(w, 100);
    await_total(w, EACH + 100);
    ck_assert_uint_eq(m->broken, 0);
    member_free(m);
    world_free(w);
}
END_TEST

START_TEST(partitions_are_handed_over_when_given_back)
{
    world *w = world_new();
    fixture_set(&w->f, "partition.assignment.strategy", strategies[_i]);
    member *a = member_new(w, -2);
    a->hold = true;
    await_held(a, PARTITIONS);
    await_total(w, EACH);
    member *b = member_new(w, -2);
    fixture_await(&w->f, is_revoked, a);
    ck_assert_uint_eq(b->assigned, 0); /* not before they were given back */
    for (uint32_t p = 0; p < PARTITIONS; p++)
        if (a->wanted[p])
            give_back(a, p);
    a->hold = false; /* the mock refuses the SyncGroup of a member that is slower than the leader:
                        one more rebalance */
    await_held(b, PARTITIONS / 2);
    await_held(a, PARTITIONS / 2);
    append(w, 100);
    await_total(w, EACH + 100);
    ck_assert_uint_gt(b->read, 0);
    ck_assert_uint_eq(a->lost + b->lost, 0);
    member_free(b);
    await_held(a, PARTITIONS);
    append(w, 100);
    await_total(w, EACH + 200);
    member_free(a);
    world_free(w);
}
END_TEST

START_TEST(a_lost_assignment_is_told_and_got_again)
{
    world *w = world_new();
    member *m = member_new(w, -2);
    await_total(w, EACH);
    rd_kafka_mock_push_request_errors(w->f.cluster, API_HEARTBEAT, 1,
                                      RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
    fixture_await(&w->f, has_lost, m);
    append(w, 100);
    await_total(w, EACH + 100);
    ck_assert_uint_eq(m->assigned, 2 * PARTITIONS);
    member_free(m);
    world_free(w);
}
END_TEST

START_TEST(a_fatal_error_is_told_once)
{
    world *w = world_new();
    member *m = member_new(w, -1);
    await_total(w, EACH);
    ck_assert(!rd_kafka_test_fatal_error(((leat_kafka_reader *)m->reader)->rk,
                                         RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, "somebody else"));
    fixture_await(&w->f, has_failed, m);
    fixture_wait(&w->f, 300);
    ck_assert_uint_eq(m->failed, 1);
    ck_assert_msg(strstr(m->reason, "somebody else"), "%s", m->reason);
    member_free(m);
    world_free(w);
}
END_TEST

/* Brokers that are gone, and brokers that only do not answer; a commit waits. */
START_TEST(free_is_bounded_without_brokers)
{
    world *w = world_new();
    member *m = member_new(w, -1);
    await_total(w, EACH);
    if (_i == 0)
        fixture_down(&w->f);
    else
        fixture_slow(&w->f, FOR_EVER_MS);
    leat_log_reader_commit(m->reader, 0, EACH - 1);
    int64_t before_us = leat_mono_us();
    leat_log_reader_free(m->reader, 1000);
    ck_assert_int_lt(leat_mono_us() - before_us, PATIENCE_MS / 2 * 1000);
    free(m);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kafka_reader");
    TCase *tests = tcase_create("mock cluster");
    tcase_set_timeout(tests, 90);
    tcase_add_test(tests, reads_all_in_order);
    tcase_add_test(tests, reads_from_behind_low);
    tcase_add_test(tests, offers_a_refused_record_again);
    tcase_add_test(tests, a_truncated_log_is_broken);
    tcase_add_test(tests, a_log_that_ends_below_high_is_broken);
    tcase_add_test(tests, another_topic_of_that_name_is_broken);
    tcase_add_loop_test(tests, out_of_range_is_asked_again, 0, 2);
    tcase_add_test(tests, a_fatal_error_is_told_once);
    tcase_add_test(tests, errors_that_pass_are_sat_out);
    tcase_add_test(tests, brokers_may_go_away_and_come_back);
    tcase_add_test(tests, an_outage_is_sat_out_quietly);
    tcase_add_test(tests, a_commit_shows_membership);
    tcase_add_loop_test(tests, a_failed_commit_harms_nothing, 0,
                        (int)(sizeof commit_errors / sizeof *commit_errors));
    tcase_add_loop_test(tests, partitions_are_handed_over_when_given_back, 0, 2);
    tcase_add_test(tests, a_lost_assignment_is_told_and_got_again);
    tcase_add_test(tests, another_client_takes_the_place_of_one_that_hears_nothing);
    tcase_add_test(tests, no_other_client_before_all_records_are_given_back);
    tcase_add_test(tests, a_reader_that_nothing_helps_has_failed);
    tcase_add_loop_test(tests, free_is_bounded_without_brokers, 0, 2);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
