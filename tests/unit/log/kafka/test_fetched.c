/* Records between the client library's queues and the caller, against a mock cluster: whatever is
 * paused, resumed and sought, each partition's records come once, in order and without a hole, and
 * no partition stands in another's way. */
#include "fixture.h"
#include "log/kafka/reader.h"

enum {
    PARTITIONS = 3,
    EACH = 4000,
    BATCH = 20, /* records of one batch: the mock answers a fetch with one of each partition */
    QUEUE = 30,
    WAIT_MS = 1500,
    HELD_UP_MAX = 10 * (QUEUE + BATCH),
    NUDGE_EVERY_MS = 2,
    SEEK_BACK = 50,
};

typedef struct world {
    fixture f;
    leat_log_identity identity;
    leat_log_writer *writer;
    size_t appended, append_wanted;
    leat_log_reader *reader;
    uv_timer_t nudge;
    bool assigned[PARTITIONS];
    int64_t next[PARTITIONS];
    int64_t wanted[PARTITIONS];
    bool paused[PARTITIONS];
    uint32_t stop;         /* this partition is paused with its first record; PARTITIONS: none */
    uint32_t refuse_every; /* 0: none is refused */
    uint32_t offered;
    uint32_t seeks_left;
    uint32_t random;
} world;

static uint32_t draw(world *w, uint32_t below)
{
    w->random = w->random * 1664525 + 1013904223;
    return (w->random >> 8) % below;
}

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

static void append(world *w, uint32_t partition, size_t count)
{
    leat_error error = {0};
    w->append_wanted += count;
    w->wanted[partition] += (int64_t)count;
    for (size_t i = 0; i < count; i++) {
        leat_record record = {.partition = partition,
                              .accepted_ms = 1000,
                              .key = LEAT_SLICE("k"),
                              .value = LEAT_SLICE("{}"),
                              .op = LEAT_SLICE("patch"),
                              .route = LEAT_SLICE("r")};
        ck_assert_int_eq(leat_log_append(w->writer, &record, NULL, &error), 0);
    }
    fixture_await(&w->f, is_appended, w);
}

static world *world_new(const char *fetch_wait_ms)
{
    world *w = calloc(1, sizeof *w);
    leat_error error = {0};
    w->stop = PARTITIONS;
    w->random = 1;
    fixture_open(&w->f, PARTITIONS);
    fixture_set(&w->f, "batch.num.messages", "20");
    fixture_set(&w->f, "queued.min.messages", "30");
    fixture_set(&w->f, "fetch.wait.max.ms", fetch_wait_ms);
    ck_assert_msg(leat_log_identify(&w->f.config, 5000, &w->identity, &error) == 0, "%s",
                  error.text);
    w->writer = leat_log_writer_new(&w->f.loop, &w->f.config, NULL, on_appended, w, &error);
    ck_assert_msg(w->writer, "%s", error.text);
    return w;
}

static void world_free(world *w)
{
    leat_log_reader_free(w->reader, 5000);
    leat_log_writer_free(w->writer, 5000);
    fixture_close(&w->f);
    free(w);
}

/* ---- what a worker does ---- */

static void seek(world *w, uint32_t partition, int64_t offset)
{
    w->next[partition] = offset;
    w->paused[partition] = false;
    leat_log_reader_seek(w->reader, partition, offset,
                         &(leat_log_applied){offset - 1, offset - 1, 0, -1});
}

static void on_assigned(void *context, uint32_t partition)
{
    world *w = context;
    w->assigned[partition] = true;
    seek(w, partition, 0);
}

static void on_gone(void *context, uint32_t partition)
{
    (void)context;
    ck_abort_msg("partition %u is taken away from the only member", partition);
}

static bool on_record(void *context, const leat_record *record, void *log_handle)
{
    world *w = context;
    uint32_t p = record->partition;
    ck_assert(!w->paused[p]);
    ck_assert_int_eq(record->offset, w->next[p]); /* the mock's log has no holes */
    w->offered++;
    if (p == w->stop || (w->refuse_every > 0 && w->offered % w->refuse_every == 0)) {
        w->paused[p] = true;
        return false;
    }
    w->next[p]++;
    leat_log_release(w->reader, log_handle);
    if (w->seeks_left > 0 && record->offset > SEEK_BACK && draw(w, 400) == 0) {
        w->seeks_left--;
        seek(w, p, record->offset - SEEK_BACK); /* from inside the call, with records behind it */
    }
    return true;
}

static void on_read_to(void *context, uint32_t partition, int64_t position)
{
    const world *w = context;
    ck_abort_msg("read to %lld, the next record is at %lld", (long long)position,
                 (long long)w->next[partition]);
}

static void on_broken(void *context, uint32_t partition, const char *reason)
{
    (void)context;
    ck_abort_msg("partition %u is broken: %s", partition, reason);
}

static void on_committed(void *context, int64_t since_us, bool ok)
{
    (void)context;
    (void)since_us;
    (void)ok;
}

static void on_failed(void *context, const char *reason)
{
    (void)context;
    ck_abort_msg("failed: %s", reason);
}

static void read_log(world *w)
{
    leat_reader_events events = {w,          on_assigned, on_gone,      on_gone,  on_record,
                                 on_read_to, on_broken,   on_committed, on_failed};
    leat_error error = {0};
    w->reader = leat_log_reader_new(&w->f.loop, &w->f.config, &w->identity, &events, &error);
    ck_assert_msg(w->reader, "%s", error.text);
}

/* Pauses and resumes at random. */
static void on_nudge(uv_timer_t *timer)
{
    world *w = timer->data;
    uint32_t p = draw(w, PARTITIONS);
    if (!w->assigned[p])
        return;
    if (!w->paused[p] && draw(w, 2) == 0) {
        w->paused[p] = true;
        leat_log_reader_pause(w->reader, p);
    } else if (w->paused[p]) {
        w->paused[p] = false;
        leat_log_reader_resume(w->reader, p);
    }
}

static bool is_all_read(const void *context)
{
    const world *w = context;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        if (p != w->stop && w->next[p] < w->wanted[p])
            return false;
    return true;
}

/* Fetched records of a partition that were not offered. */
static size_t held_up(const world *w, uint32_t partition)
{
    const leat_part *part = &((const leat_kafka_reader *)w->reader)->parts[partition];
    size_t count = part->routed ? 0 : rd_kafka_queue_length(part->queue);
    for (const leat_kept *block = part->kept; block; block = block->next)
        count += block->count - block->at;
    return count;
}

/* ---- the tests ---- */

START_TEST(each_comes_once_and_in_order)
{
    world *w = world_new("20");
    for (uint32_t p = 0; p < PARTITIONS; p++)
        append(w, p, EACH / 2);
    w->refuse_every = 37;
    w->seeks_left = 20;
    read_log(w);
    uv_timer_init(&w->f.loop, &w->nudge);
    w->nudge.data = w;
    uv_timer_start(&w->nudge, on_nudge, NUDGE_EVERY_MS, NUDGE_EVERY_MS);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        append(w, p, EACH / 2);
    fixture_await(&w->f, is_all_read, w);
    uv_close((uv_handle_t *)&w->nudge, NULL);
    ck_assert_uint_eq(w->seeks_left, 0);
    world_free(w);
}
END_TEST

/* The same, while each pause that a tick sees counts as long. */
START_TEST(what_is_dropped_in_a_long_pause_comes_again)
{
    world *w = world_new("20");
    for (uint32_t p = 0; p < PARTITIONS; p++)
        append(w, p, EACH / 2);
    w->refuse_every = 301;
    read_log(w);
    ((leat_kafka_reader *)w->reader)->long_pause_us = 0;
    uv_timer_init(&w->f.loop, &w->nudge);
    w->nudge.data = w;
    uv_timer_start(&w->nudge, on_nudge, 40, 40);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        append(w, p, EACH / 2);
    fixture_await(&w->f, is_all_read, w);
    uv_close((uv_handle_t *)&w->nudge, NULL);
    world_free(w);
}
END_TEST

static bool holds_nothing(const void *context)
{
    const world *w = context;
    return held_up(w, 1) == 0;
}

START_TEST(a_paused_partition_is_bounded_and_in_nobodys_way)
{
    world *w = world_new("20");
    w->stop = 1;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        append(w, p, EACH);
    read_log(w);
    fixture_await(&w->f, is_all_read, w);
    ck_assert_int_eq(w->next[1], 0);
    ck_assert_uint_gt(held_up(w, 1), 0);
    ck_assert_uint_lt(held_up(w, 1), HELD_UP_MAX);
    ((leat_kafka_reader *)w->reader)->long_pause_us = 1000;
    fixture_await(&w->f, holds_nothing, w);
    append(w, 1, BATCH);
    fixture_wait(&w->f, 200);
    ck_assert_uint_eq(held_up(w, 1), 0); /* nor is it fetched any longer */
    w->stop = PARTITIONS;
    w->paused[1] = false;
    leat_log_reader_resume(w->reader, 1);
    fixture_await(&w->f, is_all_read, w);
    world_free(w);
}
END_TEST

/* A fetch for idle partitions alone waits at the broker. Were the busy one left out of each second
 * fetch, its batches would take longer than the test may. */
START_TEST(idle_partitions_do_not_slow_a_busy_one)
{
    world *w = world_new("1500");
    append(w, 0, EACH);
    ck_assert_int_gt(EACH / BATCH / 2 * WAIT_MS, PATIENCE_MS);
    read_log(w);
    fixture_await(&w->f, is_all_read, w);
    world_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kafka_fetched");
    TCase *tests = tcase_create("mock cluster");
    tcase_set_timeout(tests, 90);
    tcase_add_test(tests, each_comes_once_and_in_order);
    tcase_add_test(tests, what_is_dropped_in_a_long_pause_comes_again);
    tcase_add_test(tests, a_paused_partition_is_bounded_and_in_nobodys_way);
    tcase_add_test(tests, idle_partitions_do_not_slow_a_busy_one);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
