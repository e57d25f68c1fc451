/* The built-in log's reader: what is offered, in which order, and what it refuses to read. */
#include "fixture.h"
#include "record/headers.h"

enum { SEEN_MAX = 4096, PARTITIONS_MAX = 8 };

typedef struct seen {
    uint32_t partition;
    int64_t offset;
    int64_t accepted_ms;
    char key[32];
    char value[32];
    char headers[128];
    bool value_is_null;
    bool key_is_null;
} seen;

/* One reader and its callbacks. */
typedef struct reading {
    fixture *f;
    leat_log_reader *reader;
    bool assigned[PARTITIONS_MAX];
    size_t assigned_count;
    size_t wanted; /* of what is waited for */
    seen records[SEEN_MAX];
    size_t count;
    size_t refuse_at; /* the record with this number is refused, until it is SIZE_MAX */
    size_t refused;
    void *held; /* a handle kept by the test */
    bool hold_next;
    int64_t seek_at; /* at this record's number, seek to seek_to; -1: no */
    int64_t seek_to;
    char broken[400];
    char failed[400];
    size_t failures;
    int64_t committed_us;
    size_t commits;
} reading;

static void on_assigned(void *context, uint32_t partition)
{
    reading *r = context;
    ck_assert(!r->assigned[partition]);
    r->assigned[partition] = true;
    r->assigned_count++;
}

static void on_other(void *context, uint32_t partition)
{
    (void)context;
    ck_abort_msg("partition %u cannot be taken away", partition);
}

static void text_of(char *ret, size_t size, leat_slice slice)
{
    snprintf(ret, size, "%.*s", (int)slice.size, slice.data ? slice.data : "");
}

static void note(reading *r, const leat_record *record, void *log_handle)
{
    seen *s = &r->records[r->count++];
    ck_assert_uint_lt(r->count, SEEN_MAX);
    leat_buf packed = {0}, headers = {0};
    ck_assert_int_eq(leat_log_headers(r->reader, log_handle, &packed), 0);
    leat_headers_write_json(&headers, (leat_slice){packed.data, packed.size});
    leat_buf_free(&packed);
    *s = (seen){.partition = record->partition,
                .offset = record->offset,
                .accepted_ms = record->accepted_ms,
                .value_is_null = record->value_is_null,
                .key_is_null = record->key.data == NULL};
    text_of(s->key, sizeof s->key, record->key);
    text_of(s->value, sizeof s->value, record->value);
    text_of(s->headers, sizeof s->headers, (leat_slice){headers.data, headers.size});
    leat_buf_free(&headers);
}

static bool on_record(void *context, const leat_record *record, void *log_handle)
{
    reading *r = context;
    if (r->count == r->refuse_at) {
        r->refused++;
        return false;
    }
    note(r, record, log_handle);
    if (r->hold_next)
        r->held = log_handle;
    else
        leat_log_release(r->reader, log_handle);
    r->hold_next = false;
    if (r->seek_at == (int64_t)r->count) {
        r->seek_at = -1;
        leat_log_reader_seek(r->reader, record->partition, r->seek_to,
                             &(leat_log_applied){-1, -1, 0, -1});
    }
    return true;
}

/* This log has no offsets without a record. */
static void on_read_to(void *context, uint32_t partition, int64_t position)
{
    (void)context;
    ck_abort_msg("partition %u is read to %lld", partition, (long long)position);
}

static void on_broken(void *context, uint32_t partition, const char *reason)
{
    (void)partition;
    reading *r = context;
    snprintf(r->broken, sizeof r->broken, "%s", reason);
}

static void on_committed(void *context, int64_t since_us, bool ok)
{
    reading *r = context;
    ck_assert(ok);
    r->committed_us = since_us;
    r->commits++;
}

static void on_failed(void *context, const char *reason)
{
    reading *r = context;
    snprintf(r->failed, sizeof r->failed, "%s", reason);
    r->failures++;
}

static bool is_assigned(const void *context)
{
    const reading *r = context;
    return r->assigned_count >= r->wanted;
}

static bool has_read(const void *context)
{
    const reading *r = context;
    return r->count >= r->wanted;
}

static bool has_refused(const void *context)
{
    const reading *r = context;
    return r->refused >= r->wanted;
}

static bool is_broken(const void *context)
{
    return ((const reading *)context)->broken[0] != '\0';
}

static bool has_failed(const void *context)
{
    return ((const reading *)context)->failures > 0;
}

static bool has_committed(const void *context)
{
    const reading *r = context;
    return r->commits >= r->wanted;
}

static void await(reading *r, bool (*happened)(const void *), size_t wanted)
{
    r->wanted = wanted;
    fixture_await(r->f, happened, r);
}

/* Turns in which a forbidden callback would come. */
static void some_turns(fixture *f)
{
    for (int i = 0; i < 20; i++)
        uv_run(&f->loop, UV_RUN_NOWAIT);
}

static reading *read_as(fixture *f, const leat_log_identity *identity)
{
    leat_error error = {0};
    reading *r = calloc(1, sizeof *r);
    r->f = f;
    r->refuse_at = SIZE_MAX;
    r->seek_at = -1;
    leat_reader_events events = {r,          on_assigned, on_other,     on_other, on_record,
                                 on_read_to, on_broken,   on_committed, on_failed};
    r->reader = leat_log_reader_new(&f->loop, &f->config, identity, &events, &error);
    ck_assert_msg(r->reader, "%s", error.text);
    ck_assert_uint_eq(r->assigned_count, 0);
    return r;
}

static leat_log_identity identity_of(const fixture *f)
{
    leat_error error = {0};
    leat_log_identity ret;
    ck_assert_msg(leat_log_identify(&f->config, 1000, &ret, &error) == 0, "%s", error.text);
    return ret;
}

/* A reader of all the partitions, which it has been given. */
static reading *read_all(fixture *f, size_t partitions)
{
    leat_log_identity identity = identity_of(f);
    reading *r = read_as(f, &identity);
    await(r, is_assigned, partitions);
    return r;
}

static void read_end(reading *r)
{
    leat_log_reader_free(r->reader, 1000);
    free(r);
}

static void finish(fixture *f)
{
    if (f->writer)
        fixture_write_end(f);
    fixture_end(f);
}

static void expect_keys(const reading *r, size_t from, int first, int count)
{
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(r->records[from + (size_t)i].offset, first + i);
        ck_assert_int_eq(atoi(r->records[from + (size_t)i].key), first + i);
    }
}

/* ---- what is read ---- */

START_TEST(gives_back_what_was_appended)
{
    fixture f;
    fixture_open(&f, 1);
    fixture_write(&f);
    leat_error error;
    const leat_record records[] = {
        {.accepted_ms = 5,
         .key = LEAT_SLICE("k"),
         .value = LEAT_SLICE("{\"a\":1}"),
         .route = LEAT_SLICE("orders"),
         .op = LEAT_SLICE("patch")},
        {.accepted_ms = 6, .key = LEAT_SLICE("k"), .value_is_null = true},
        {.accepted_ms = 7, .value = LEAT_SLICE("")},
        {.accepted_ms = 8,
         .key = LEAT_SLICE(""),
         .value = LEAT_SLICE("x"),
         .op = LEAT_SLICE("\xff")},
        {.accepted_ms = 9,
         .key = LEAT_SLICE("k"),
         .value = LEAT_SLICE("{}"),
         .traceparent = LEAT_SLICE("00-1-2-01"),
         .tracestate = LEAT_SLICE("a=b")},
    };
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(fixture_append(&f, &records[i], NULL, &error), 0);
    reading *r = read_all(&f, 1);
    leat_log_reader_seek(r->reader, 0, -1, &(leat_log_applied){-1, -1, 0, -1});
    await(r, has_read, 5);
    const seen wanted[] = {
        {0, 0, 5, "k", "{\"a\":1}", "{\"route\":\"orders\",\"op\":\"patch\"}", false, false},
        {0, 1, 6, "k", "", "{}", true, false},
        {0, 2, 7, "", "", "{}", false, true},
        {0, 3, 8, "", "x", "{\"op\":{\"base64\":\"/w==\"}}", false, false},
        {0, 4, 9, "k", "{}", "{\"traceparent\":\"00-1-2-01\",\"tracestate\":\"a=b\"}", false,
         false},
    };
    for (size_t i = 0; i < 5; i++) {
        const seen *s = &r->records[i];
        ck_assert_int_eq(s->offset, wanted[i].offset);
        ck_assert_int_eq(s->accepted_ms, wanted[i].accepted_ms);
        ck_assert_str_eq(s->key, wanted[i].key);
        ck_assert_str_eq(s->value, wanted[i].value);
        ck_assert_str_eq(s->headers, wanted[i].headers);
        ck_assert_int_eq(s->value_is_null, wanted[i].value_is_null);
        ck_assert_int_eq(s->key_is_null, wanted[i].key_is_null);
    }
    ck_assert_int_eq(leat_log_reader_end(r->reader, 0), 5);
    read_end(r);
    finish(&f);
}
END_TEST

START_TEST(two_readers_share_the_partitions)
{
    fixture f;
    fixture_open(&f, 5);
    fixture_write(&f);
    leat_log_identity identity = identity_of(&f);
    reading *r[2];
    for (uint32_t i = 0; i < 2; i++) {
        f.config.reader = i;
        f.config.reader_count = 2;
        r[i] = read_as(&f, &identity);
        await(r[i], is_assigned, 3 - i);
        for (uint32_t p = 0; p < 5; p++)
            leat_log_reader_seek(r[i]->reader, p, -1, &(leat_log_applied){-1, -1, 0, -1});
    }
    for (uint32_t p = 0; p < 5; p++)
        fixture_append_keys(&f, p, 0, 300, 1);
    await(r[0], has_read, 900);
    await(r[1], has_read, 600);
    for (uint32_t i = 0; i < 2; i++) {
        int64_t next[5] = {0};
        for (size_t n = 0; n < r[i]->count; n++) {
            const seen *s = &r[i]->records[n];
            ck_assert_uint_eq(s->partition % 2, i);
            ck_assert_int_eq(s->offset, next[s->partition]++);
            ck_assert_int_eq(atoi(s->key), s->offset);
        }
    }
    ck_assert_int_eq(leat_log_reader_end(r[0]->reader, 1), -1);
    ck_assert_int_eq(leat_log_reader_end(r[1]->reader, 1), 300);
    read_end(r[0]);
    read_end(r[1]);
    finish(&f);
}
END_TEST

START_TEST(offers_a_refused_record_again_first)
{
    fixture f;
    fixture_open(&f, 1);
    fixture_write(&f);
    fixture_append_keys(&f, 0, 0, 600, 1);
    reading *r = read_all(&f, 1);
    r->refuse_at = 300;
    leat_log_reader_seek(r->reader, 0, -1, &(leat_log_applied){-1, -1, 0, -1});
    await(r, has_refused, 1);
    some_turns(&f);
    ck_assert_uint_eq(r->count, 300);
    ck_assert_uint_eq(r->refused, 1);
    leat_log_reader_resume(r->reader, 0);
    await(r, has_refused, 2);
    r->refuse_at = SIZE_MAX;
    leat_log_reader_resume(r->reader, 0);
    await(r, has_read, 600);
    expect_keys(r, 0, 0, 600);
    read_end(r);
    finish(&f);
}
END_TEST

START_TEST(a_pause_stops_until_resume)
{
    fixture f;
    fixture_open(&f, 1);
    fixture_write(&f);
    reading *r = read_all(&f, 1);
    leat_log_reader_seek(r->reader, 0, -1, &(leat_log_applied){-1, -1, 0, -1});
    fixture_append_keys(&f, 0, 0, 10, 1);
    await(r, has_read, 10);
    leat_log_reader_pause(r->reader, 0);
    fixture_append_keys(&f, 0, 10, 10, 1);
    fixture_await_answers(&f);
    some_turns(&f);
    ck_assert_uint_eq(r->count, 10);
    leat_log_reader_resume(r->reader, 0);
    await(r, has_read, 20);
    expect_keys(r, 0, 0, 20);
    read_end(r);
    finish(&f);
}
END_TEST

START_TEST(a_handle_outlives_seeks)
{
    fixture f;
    fixture_open(&f, 1);
    fixture_write(&f);
    fixture_append_keys(&f, 0, 0, 3, 1);
    reading *r = read_all(&f, 1);
    r->hold_next = true;
    leat_log_reader_seek(r->reader, 0, -1, &(leat_log_applied){-1, -1, 0, -1});
    await(r, has_read, 3);
    leat_log_reader_seek(r->reader, 0, -1, &(leat_log_applied){-1, -1, 0, -1});
    await(r, has_read, 6);
    const leat_local_record *held = r->held;
    ck_assert(leat_slice_is(held->record.key, "0"));
    leat_log_release(r->reader, r->held);
    read_end(r);
    finish(&f);
}
END_TEST

START_TEST(nothing_of_an_earlier_read_after_a_seek)
{
    fixture f;
    fixture_open(&f, 1);
    fixture_write(&f);
    fixture_append_keys(&f, 0, 0, 100, 1);
    fixture_await_answers(&f); /* a seek past the end would break the partition */
    reading *r = read_all(&f, 1);
    r->seek_at = 10; /* from inside the callback, forward */
    r->seek_to = 50;
    leat_log_reader_seek(r->reader, 0, -1, &(leat_log_applied){-1, -1, 0, -1});
    await(r, has_read, 60);
    expect_keys(r, 0, 0, 10);
    expect_keys(r, 10, 50, 50);
    leat_log_reader_seek(r->reader, 0, 20, &(leat_log_applied){19, 99, 0, -1}); /* back */
    await(r, has_read, 140);
    expect_keys(r, 60, 20, 80);
    r->refuse_at = 145; /* a refused one is dropped by a seek, and its pause is over */
    leat_log_reader_seek(r->reader, 0, 0, &(leat_log_applied){-1, -1, 0, -1});
    await(r, has_refused, 1);
    r->refuse_at = SIZE_MAX;
    leat_log_reader_seek(r->reader, 0, 90, &(leat_log_applied){89, -1, 0, -1});
    await(r, has_read, 155);
    expect_keys(r, 145, 90, 10);
    read_end(r);
    finish(&f);
}
END_TEST

/* ---- commits ---- */

START_TEST(commits_are_answered_later)
{
    fixture f;
    fixture_open(&f, 2);
    fixture_write(&f);
    fixture_append_keys(&f, 0, 0, 5, 1);
    reading *r = read_all(&f, 2);
    leat_log_reader_seek(r->reader, 0, 0, &(leat_log_applied){-1, -1, 0, -1});
    await(r, has_read, 5);
    int64_t before_us = leat_mono_us();
    leat_log_reader_commit(r->reader, 0, 4);
    ck_assert_uint_eq(r->commits, 0);
    await(r, has_committed, 1);
    ck_assert_int_ge(r->committed_us, before_us);
    before_us = leat_mono_us();
    leat_log_reader_confirm(r->reader);
    ck_assert_uint_eq(r->commits, 1);
    await(r, has_committed, 2);
    ck_assert_int_ge(r->committed_us, before_us);
    ck_assert_uint_eq(leat_log_reader_commit_failures(r->reader), 0);
    read_end(r);
    finish(&f);
}
END_TEST

/* ---- trimming ---- */

/* Changes the file behind the log's back. */
static void tamper(const fixture *f, const char *sql)
{
    leat_error error = {0};
    sqlite3 *db;
    ck_assert_msg(leat_local_connect(f->file, LEAT_LOCAL_WRITE, 5000, &db, &error) == 0, "%s",
                  error.text);
    ck_assert_msg(leat_local_run(db, sql, &error) == 0, "%s", error.text);
    sqlite3_close_v2(db);
}

static int64_t first_of(const fixture *f, uint32_t partition)
{
    return atomic_load(&f->config.local->parts[partition].first);
}

typedef struct awaited {
    const fixture *f;
    uint32_t partition;
    int64_t offset;
} awaited;

static bool is_trimmed(const void *context)
{
    const awaited *a = context;
    return first_of(a->f, a->partition) >= a->offset;
}

static void await_trimmed(fixture *f, uint32_t partition, int64_t first)
{
    awaited a = {f, partition, first};
    fixture_await(f, is_trimmed, &a);
    ck_assert_int_eq(first_of(f, partition), first);
}

static bool is_aging(const void *context)
{
    const awaited *a = context;
    leat_error error = {0};
    sqlite3 *db;
    leat_local_aging aging[PARTITIONS_MAX];
    ck_assert_msg(leat_local_connect(a->f->file, LEAT_LOCAL_READ, 1000, &db, &error) == 0, "%s",
                  error.text);
    ck_assert_int_eq(leat_local_agings(db, a->f->config.local->head.partition_count, aging, &error),
                     0);
    sqlite3_close_v2(db);
    return aging[a->partition].low == a->offset;
}

static void await_aging(fixture *f, uint32_t partition, int64_t low)
{
    awaited a = {f, partition, low};
    fixture_await(f, is_aging, &a);
}

/* Two partitions whose records up to 2399 are applied, of 2500; the log is closed. */
static void apply_some(fixture *f)
{
    fixture_open(f, 2);
    fixture_write(f);
    fixture_append_keys(f, 0, 0, 2500, 1); /* long ago: that does not count */
    fixture_append_keys(f, 1, 0, 2500, 1);
    fixture_await_answers(f);
    reading *r = read_all(f, 2);
    for (uint32_t p = 0; p < 2; p++)
        leat_log_reader_seek(r->reader, p, 2400, &(leat_log_applied){2399, -1, 0, -1});
    await(r, has_read, 200);
    for (uint32_t p = 0; p < 2; p++)
        leat_log_reader_commit(r->reader, p, 2399);
    await_aging(f, 0, 2399);
    await_aging(f, 1, 2399);
    read_end(r);
    fixture_write_end(f);
    leat_log_close(&f->config);
}

START_TEST(deletes_what_was_applied_long_ago)
{
    fixture f;
    apply_some(&f);
    char sql[LEAT_LOCAL_SQL_SIZE];
    snprintf(sql, sizeof sql,
             "UPDATE leat_partitions SET aging_since_ms = aging_since_ms - %d WHERE partition = 1",
             LEAT_LOCAL_MARGIN_MS);
    tamper(&f, sql);
    fixture_hold(&f, 2);
    fixture_write(&f);
    await_trimmed(&f, 1, 2400);
    ck_assert_int_eq(first_of(&f, 0), 0); /* that was applied a moment ago */
    leat_error error;
    int64_t starts[2];
    ck_assert_int_eq(leat_log_starts(&f.config, 2, 1000, starts, &error), 0);
    ck_assert_int_eq(starts[0], 0);
    ck_assert_int_eq(starts[1], 2400);
    reading *r = read_all(&f, 2);
    leat_log_reader_seek(r->reader, 1, 2300, &(leat_log_applied){2399, -1, 0, -1}); /* those deleted
                                                                                       are applied:
                                                                                       they are not
                                                                                       missed */
    await(r, has_read, 100);
    expect_keys(r, 0, 2400, 100);
    leat_log_reader_seek(r->reader, 1, 2300, &(leat_log_applied){2298, -1, 0, -1});
    await(r, is_broken, 0);
    ck_assert_msg(
        strstr(r->broken, "starts at offset 2400, but offsets from 2300 on are not applied"), "%s",
        r->broken);
    read_end(r);
    finish(&f);
}
END_TEST

START_TEST(a_clock_put_back_deletes_nothing)
{
    fixture f;
    apply_some(&f);
    char sql[LEAT_LOCAL_SQL_SIZE];
    snprintf(
        sql, sizeof sql,
        "UPDATE leat_partitions SET aging_since_ms = aging_since_ms + iif(partition = 0, %d, -%d)",
        LEAT_LOCAL_MARGIN_MS, LEAT_LOCAL_MARGIN_MS);
    tamper(&f, sql);
    fixture_hold(&f, 2);
    fixture_write(&f);
    await_trimmed(&f, 1, 2400); /* the other one had its turn before it, each time */
    ck_assert_int_eq(first_of(&f, 0), 0);
    /* and it does not wait for the clock to come back */
    atomic_store(&f.config.local->margin_ms, 0);
    await_trimmed(&f, 0, 2400);
    finish(&f);
}
END_TEST

START_TEST(offsets_go_on_after_all_was_deleted)
{
    fixture f;
    fixture_open(&f, 1);
    atomic_store(&f.config.local->margin_ms, 0);
    fixture_write(&f);
    fixture_append_keys(&f, 0, 0, 7, 1);
    fixture_await_answers(&f);
    reading *r = read_all(&f, 1);
    leat_log_reader_seek(r->reader, 0, 0, &(leat_log_applied){-1, -1, 0, -1});
    await(r, has_read, 7);
    leat_log_reader_commit(r->reader, 0, 6);
    await_trimmed(&f, 0, 7);
    read_end(r);
    fixture_write_end(&f);
    leat_log_close(&f.config);

    fixture_hold(&f, 1);
    fixture_write(&f);
    fixture_append_keys(&f, 0, 7, 3, 1); /* the fixture wants offset 7 next */
    fixture_await_answers(&f);
    r = read_all(&f, 1);
    leat_log_reader_seek(r->reader, 0, 7, &(leat_log_applied){6, 6, 0, -1});
    await(r, has_read, 3);
    expect_keys(r, 0, 7, 3);
    read_end(r);
    finish(&f);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(breaks_when_the_end_is_too_short)
{
    fixture f;
    fixture_open(&f, 1);
    fixture_write(&f);
    fixture_append_keys(&f, 0, 0, 5, 1);
    fixture_await_answers(&f);
    reading *r = read_all(&f, 1);
    leat_log_reader_seek(r->reader, 0, 5, &(leat_log_applied){4, 4, 0, -1}); /* just enough */
    some_turns(&f);
    ck_assert_str_eq(r->broken, "");
    leat_log_reader_seek(r->reader, 0, 3, &(leat_log_applied){2, 5, 0, -1});
    await(r, is_broken, 0);
    ck_assert_msg(strstr(r->broken, "ends at offset 5, but offset 5 was read"), "%s", r->broken);
    leat_log_reader_confirm(r->reader); /* is answered, but what was applied was not of this log */
    await(r, has_committed, 1);
    ck_assert_int_eq(atomic_load(&f.config.local->parts[0].low), -1);
    fixture_append_keys(&f, 0, 5, 5, 1);
    fixture_await_answers(&f);
    some_turns(&f);
    ck_assert_uint_eq(r->count, 0);
    read_end(r);
    finish(&f);
}
END_TEST

/* An older copy of the file was put back and written to, past what was applied of the one it
 * replaced. */
START_TEST(breaks_before_anything_when_the_newest_applied_record_is_another)
{
    fixture f;
    fixture_open(&f, 1);
    fixture_write(&f);
    fixture_append_keys(&f, 0, 0, 10, 1000);
    fixture_await_answers(&f);
    reading *r = read_all(&f, 1);
    leat_log_reader_seek(r->reader, 0, 3, &(leat_log_applied){2, 7, 999, -1});
    await(r, is_broken, 0);
    ck_assert_msg(
        strstr(r->broken, "offset 7 has timestamp 1000, but the one that was applied had 999"),
        "%s", r->broken);
    some_turns(&f);
    ck_assert_uint_eq(r->count, 0);
    read_end(r);

    r = read_all(&f, 1);
    leat_log_reader_seek(r->reader, 0, 3, &(leat_log_applied){2, 7, 1000, -1});
    await(r, has_read, 7);
    expect_keys(r, 0, 3, 7);
    read_end(r);
    finish(&f);
}
END_TEST

START_TEST(breaks_when_the_file_was_recreated)
{
    fixture f;
    fixture_open(&f, 1);
    leat_log_identity before = identity_of(&f);
    leat_log_close(&f.config);
    fixture_remove(&f, "");
    fixture_hold(&f, 1);
    leat_log_identity after = identity_of(&f);
    ck_assert_str_ne(before.topic_id, after.topic_id);
    reading *r = read_as(&f, &before);
    await(r, is_assigned, 1);
    leat_log_reader_seek(r->reader, 0, -1, &(leat_log_applied){-1, -1, 0, -1});
    await(r, is_broken, 0);
    ck_assert_msg(strstr(r->broken, "the log's file was recreated"), "%s", r->broken);
    read_end(r);
    finish(&f);
}
END_TEST

START_TEST(breaks_when_a_record_is_missing)
{
    fixture f;
    fixture_open(&f, 1);
    fixture_write(&f);
    fixture_append_keys(&f, 0, 0, 10, 1);
    fixture_await_answers(&f);
    tamper(&f, "DELETE FROM leat_records_0 WHERE offset = 4");
    reading *r = read_all(&f, 1);
    leat_log_reader_seek(r->reader, 0, 0, &(leat_log_applied){-1, -1, 0, -1});
    await(r, is_broken, 0);
    ck_assert_uint_eq(r->count, 4);
    ck_assert_msg(strstr(r->broken, "offset 4 is missing"), "%s", r->broken);
    read_end(r);
    finish(&f);
}
END_TEST

START_TEST(every_reader_hears_once_that_the_log_is_broken)
{
    fixture f;
    fixture_open(&f, 2);
    reading *r[2] = {read_all(&f, 2), read_all(&f, 2)};
    fixture_write(&f);
    leat_log_reader_seek(r[0]->reader, 0, -1, &(leat_log_applied){-1, -1, 0, -1});
    leat_diag_level(LEAT_ERROR + 1);
    tamper(&f, "DROP TABLE leat_records_1");
    fixture_append_keys(&f, 1, 0, 1, 1);
    fixture_await_answers(&f);
    ck_assert_uint_eq(f.count[LEAT_APPEND_UNKNOWN], 1);
    ck_assert(leat_log_writer_trouble(f.writer));
    leat_error error;
    leat_record record = {.key = LEAT_SLICE("k")};
    ck_assert_int_eq(fixture_append(&f, &record, NULL, &error), 1);
    for (int i = 0; i < 2; i++) {
        await(r[i], has_failed, 0);
        ck_assert_msg(strstr(r[i]->failed, f.file), "%s", r[i]->failed);
    }
    leat_local_wake_all(f.config.local);
    some_turns(&f);
    ck_assert_uint_eq(r[0]->failures + r[1]->failures, 2);
    read_end(r[0]);
    read_end(r[1]);
    finish(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("local_reader");
    TCase *tests = tcase_create("file");
    tcase_set_timeout(tests, 90);
    tcase_add_test(tests, gives_back_what_was_appended);
    tcase_add_test(tests, two_readers_share_the_partitions);
    tcase_add_test(tests, offers_a_refused_record_again_first);
    tcase_add_test(tests, a_pause_stops_until_resume);
    tcase_add_test(tests, a_handle_outlives_seeks);
    tcase_add_test(tests, nothing_of_an_earlier_read_after_a_seek);
    tcase_add_test(tests, commits_are_answered_later);
    tcase_add_test(tests, deletes_what_was_applied_long_ago);
    tcase_add_test(tests, a_clock_put_back_deletes_nothing);
    tcase_add_test(tests, offsets_go_on_after_all_was_deleted);
    tcase_add_test(tests, breaks_when_the_end_is_too_short);
    tcase_add_test(tests, breaks_before_anything_when_the_newest_applied_record_is_another);
    tcase_add_test(tests, breaks_when_the_file_was_recreated);
    tcase_add_test(tests, breaks_when_a_record_is_missing);
    tcase_add_test(tests, every_reader_hears_once_that_the_log_is_broken);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
