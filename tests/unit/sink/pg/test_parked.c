/* Records that are parked, loaded and taken back by the asynchronous sink, against a real server.
 */
#include "sink_world.h"

#include "record/chunk.h"

/* ---- jobs ---- */

static void cut(world *w, uint32_t first_record, uint32_t record_count)
{
    leat_engine_batch *batch = &w->f->batch;
    batch->cuts[batch->cut_count++] = (leat_engine_chunk_cut){
        w->f->records[first_record].subpartition, first_record, record_count};
}

static const leat_engine_job_result *run_park(world *w)
{
    leat_engine_job job = {.id = 2, .kind = LEAT_ENGINE_JOB_PARK, .batch = w->f->batch};
    submit(w, &job);
    fixture_clear(w->f);
    w->f->batch.part_count = w->f->batch.cut_count = 0;
    return wait_done(w, 2);
}

/* Parks two records, 10 and 12, of subpartition 3. */
static void park_two(world *w, int64_t seq)
{
    add_record(w, 0, 10, "1", "{\"n\":1}");
    add_record(w, 0, 12, "2", "{\"n\":2}");
    cut(w, 0, 2);
    add_part(w, 0, seq, 12);
    expect_outcome(run_park(w), LEAT_ENGINE_APPLIED, "");
}

static const leat_engine_job_result *load(world *w, int64_t above)
{
    leat_engine_job job = {.id = 3,
                           .kind = LEAT_ENGINE_JOB_LOAD,
                           .partition = 0,
                           .load = {.subpartition = 3, .above = above, .claim = w->claims[0]}};
    w->answers[3].chunk = (leat_engine_chunk){0};
    submit(w, &job);
    return wait_done(w, 3);
}

/* The chunk that a successful load gave; its bytes are to be freed. */
static leat_engine_chunk load_chunk(world *w, int64_t above)
{
    expect_outcome(load(w, above), LEAT_ENGINE_APPLIED, "");
    return w->answers[3].chunk;
}

static void free_chunk(leat_engine_chunk *chunk)
{
    free((char *)(uintptr_t)chunk->bytes);
}

static void take_from(world *w, int64_t seq, leat_engine_chunk_step step)
{
    leat_engine_batch *batch = &w->f->batch;
    if (batch->chunk_count == 0)
        add_part(w, 0, seq, 0)->count = 0;
    batch->chunks_of = 3;
    batch->chunks[batch->chunk_count++] = step;
}

static const leat_engine_job_result *run_unpark(world *w)
{
    submit_batch(w, 1);
    w->f->batch.chunk_count = 0;
    return wait_done(w, 1);
}

static void expect_chunks(world *w, const char *expected)
{
    ck_assert_str_eq(
        fixture_ask(w->f,
                    "SELECT coalesce(string_agg(format('%s-%s %s %s', first_offset, last_offset,"
                    " done, records), ', ' ORDER BY first_offset), '') FROM leat.parked"),
        expected);
}

/* ---- there and back ---- */

START_TEST(records_are_parked_and_come_back)
{
    world *w = world_open(2, 1000);
    claim(w, 0);
    ck_assert_uint_eq(w->answers[0].result.parked_count, 0);
    park_two(w, 1);
    expect_rows(w, "");
    expect_chunks(w, "10-12 9 2");
    uint64_t bytes = w->answers[2].result.parked_bytes;
    const leat_engine_progress *again = claim(w, 0);
    ck_assert_int_eq(again->offsets[3], 12);
    ck_assert_uint_eq(w->answers[0].result.parked_count, 1);
    const leat_engine_parked *parked = &w->answers[0].parked[0];
    ck_assert_uint_eq(parked->subpartition, 3);
    ck_assert_uint_eq(parked->chunks, 1);
    ck_assert_int_eq(parked->first_offset, 10);
    ck_assert_int_eq(parked->done, 9);
    ck_assert_int_eq(parked->last_offset, 12);
    ck_assert_uint_eq(parked->records, 2);
    ck_assert_uint_eq(parked->bytes, bytes);
    ck_assert_int_eq(parked->oldest_ms, 1010);
    leat_engine_chunk chunk = load_chunk(w, -1);
    ck_assert_int_eq(chunk.first_offset, 10);
    ck_assert_int_eq(chunk.last_offset, 12);
    ck_assert_int_eq(chunk.done, 9);
    ck_assert_uint_eq(chunk.records, 2);
    ck_assert_uint_eq(chunk.size, bytes);
    free_chunk(&chunk);
    add_record(w, 0, 10, "1", "{\"n\":1}");
    add_record(w, 0, 12, "2", "{\"n\":2}");
    take_from(w, 2, (leat_engine_chunk_step){10, 12, 9, 12, 0});
    expect_outcome(run_unpark(w), LEAT_ENGINE_APPLIED, "");
    expect_rows(w, "1:6: 2:7:");
    expect_chunks(w, "");
    claim(w, 0);
    ck_assert_uint_eq(w->answers[0].result.parked_count, 0);
    ck_assert_str_eq(fixture_ask(w->f, "SELECT offsets FROM leat.progress WHERE seq = 2"), "{}");
    world_free(w);
}
END_TEST

START_TEST(a_chunk_is_the_records_of_its_cut)
{
    world *w = world_open(1, 1000);
    leat_chunk_reader chunk;
    leat_record record;
    leat_slice headers;
    leat_error error;
    claim(w, 0);
    add_record(w, 0, 10, "1", "{\"n\":1}");
    leat_item *item = add_record(w, 0, 12, "2", NULL)->payload;
    item->record.value_is_null = true;
    item->record.accepted_ms = 5;
    cut(w, 0, 2);
    add_record(w, 0, 13, "3", "{}");
    cut(w, 2, 1);
    add_part(w, 0, 1, 13);
    expect_outcome(run_park(w), LEAT_ENGINE_APPLIED, "");
    expect_chunks(w, "10-12 9 2, 13-13 12 1");
    ck_assert_str_eq(fixture_ask(w->f, "SELECT string_agg(oldest_ms::text, ' ' ORDER BY oldest_ms)"
                                       " FROM leat.parked"),
                     "5 1013");
    leat_engine_chunk found = load_chunk(w, 9);
    ck_assert_int_eq(
        leat_chunk_open(found.codec, (leat_slice){found.bytes, found.size}, &chunk, &error), 0);
    ck_assert_uint_eq(chunk.count, 2);
    ck_assert_int_eq(leat_chunk_next(&chunk, &record, &headers, &error), 1);
    ck_assert_int_eq(record.offset, 10);
    ck_assert_uint_eq(headers.size, 9);
    ck_assert_int_eq(leat_chunk_next(&chunk, &record, &headers, &error), 1);
    ck_assert(record.value_is_null);
    free(chunk.raw);
    free_chunk(&found);
    found = load_chunk(w, 10);
    ck_assert_int_eq(found.first_offset, 13);
    free_chunk(&found);
    world_free(w);
}
END_TEST

START_TEST(a_large_chunk)
{
    enum { SIZE = 3000000 };
    world *w = world_open(1, 1000);
    char *value = leat_must_calloc(1, SIZE);
    uint64_t random = 7;
    claim(w, 0);
    for (size_t i = 0; i < SIZE; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        value[i] = (char)(random >> 56);
    }
    leat_item *item = add_record(w, 0, 10, "1", "{}")->payload;
    item->record.value = (leat_slice){value, SIZE};
    cut(w, 0, 1);
    add_record(w, 0, 11, "1", "{}");
    cut(w, 1, 1);
    add_part(w, 0, 1, 11);
    expect_outcome(run_park(w), LEAT_ENGINE_APPLIED, "");
    uint64_t bytes = w->answers[2].result.parked_bytes;
    leat_engine_chunk chunk = load_chunk(w, -1), other = load_chunk(w, 10);
    ck_assert_uint_ge(chunk.size, SIZE);
    ck_assert_uint_eq(chunk.size + other.size, bytes);
    free_chunk(&chunk);
    free_chunk(&other);
    free(value);
    world_free(w);
}
END_TEST

START_TEST(a_chunk_is_emptied_in_part_and_with_the_next)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    park_two(w, 1);
    add_record(w, 0, 20, "3", "{\"n\":3}");
    add_record(w, 0, 21, "4", "{\"n\":4}");
    cut(w, 0, 2);
    add_part(w, 0, 2, 21);
    expect_outcome(run_park(w), LEAT_ENGINE_APPLIED, "");
    add_record(w, 0, 10, "1", "{\"n\":1}");
    take_from(w, 3, (leat_engine_chunk_step){10, 12, -1, 10, 1});
    expect_outcome(run_unpark(w), LEAT_ENGINE_APPLIED, "");
    expect_chunks(w, "10-12 10 1, 20-21 19 2");
    leat_engine_chunk chunk = load_chunk(w, -1);
    ck_assert_int_eq(chunk.done, 10);
    ck_assert_uint_eq(chunk.records, 1);
    free_chunk(&chunk);
    add_record(w, 0, 12, "2", "{\"n\":2}");
    add_record(w, 0, 20, "3", "{\"n\":3}");
    take_from(w, 4, (leat_engine_chunk_step){10, 12, 10, 12, 0});
    take_from(w, 4, (leat_engine_chunk_step){20, 21, 0, 20, 1});
    expect_outcome(run_unpark(w), LEAT_ENGINE_APPLIED, "");
    expect_chunks(w, "20-21 20 1");
    expect_rows(w, "1:6: 2:7: 3:8:");
    world_free(w);
}
END_TEST

START_TEST(a_parked_record_becomes_a_dead_letter)
{
    static const leat_engine_reason reason = {.sqlstate = "22003", .message = "too large"};
    world *w = world_open(1, 1000);
    claim(w, 0);
    park_two(w, 1);
    add_record(w, 0, 10, "1", "{\"n\":1}");
    take_from(w, 2, (leat_engine_chunk_step){10, 12, 9, 10, 1});
    w->f->batch.dead = &reason;
    const leat_engine_job_result *result = run_unpark(w);
    w->f->batch.dead = NULL;
    expect_outcome(result, LEAT_ENGINE_APPLIED, "");
    expect_chunks(w, "10-12 10 1");
    expect_rows(w, "");
    ck_assert_str_eq(fixture_ask(w->f, "SELECT \"offset\" || message FROM leat.dead_letters"),
                     "10too large");
    world_free(w);
}
END_TEST

/* ---- refusals ---- */

START_TEST(a_chunk_that_is_not_as_it_was_read)
{
    static const leat_engine_chunk_step steps[] = {
        {10, 12, 10, 12, 0}, {10, 13, 9, 12, 1}, {9, 12, 8, 12, 0}, {10, 13, 9, 13, 0}};
    world *w = world_open(1, 1000);
    claim(w, 0);
    park_two(w, 1);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        add_record(w, 0, 12, "2", "{\"n\":2}");
        take_from(w, 2, steps[i]);
        const leat_engine_job_result *result = run_unpark(w);
        expect_outcome(result, LEAT_ENGINE_CHUNK_GONE, "LT009");
        ck_assert_int_eq(result->partition, 0);
    }
    expect_chunks(w, "10-12 9 2");
    expect_rows(w, "");
    add_record(w, 0, 12, "1", "{}");
    cut(w, 0, 1);
    add_part(w, 0, 2, 12);
    expect_outcome(run_park(w), LEAT_ENGINE_APPLIED, "");
    add_record(w, 0, 11, "1", "{}");
    cut(w, 0, 1);
    add_part(w, 0, 3, 12);
    const leat_engine_job_result *result = run_park(w);
    expect_outcome(result, LEAT_ENGINE_CHUNK_GONE, "LT009");
    ck_assert_int_eq(result->partition, 0);
    world_free(w);
}
END_TEST

START_TEST(a_load_of_nothing)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    park_two(w, 1);
    const leat_engine_job_result *result = load(w, 10);
    expect_outcome(result, LEAT_ENGINE_CHUNK_GONE, "");
    ck_assert_int_eq(result->partition, 0);
    ck_assert_ptr_null(result->chunk);
    world_free(w);
}
END_TEST

START_TEST(another_owner_fences_all_of_it)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    park_two(w, 1);
    fixture_sql(w->f, "SELECT leat.take((SELECT id FROM leat.sources), 0, 1000)");
    const leat_engine_job_result *result = load(w, -1);
    expect_outcome(result, LEAT_ENGINE_FENCED, "LT001");
    ck_assert_int_eq(result->partition, 0);
    add_record(w, 0, 10, "1", "{\"n\":1}");
    take_from(w, 2, (leat_engine_chunk_step){10, 12, 9, 10, 1});
    expect_outcome(run_unpark(w), LEAT_ENGINE_FENCED, "LT001");
    add_record(w, 0, 20, "1", "{\"n\":1}");
    cut(w, 0, 1);
    add_part(w, 0, 3, 20);
    expect_outcome(run_park(w), LEAT_ENGINE_FENCED, "LT001");
    expect_chunks(w, "10-12 9 2");
    expect_rows(w, "");
    world_free(w);
}
END_TEST

START_TEST(a_refused_row_leaves_its_chunk)
{
    world *w = world_open(1, 50);
    claim(w, 0);
    park_two(w, 1);
    fixture_sql(w->f, "INSERT INTO things VALUES (1, 5)");
    PGconn *other = other_session(w, "");
    fixture_run_on(other, "BEGIN; SELECT FROM things FOR UPDATE");
    add_record(w, 0, 10, "1", "{\"n\":1}");
    take_from(w, 2, (leat_engine_chunk_step){10, 12, 9, 10, 1});
    const leat_engine_job_result *result = run_unpark(w);
    expect_outcome(result, LEAT_ENGINE_CONTENTION, "55P03");
    ck_assert(result->from_rows);
    fixture_run_on(other, "ROLLBACK");
    add_record(w, 0, 10, "1", "{\"n\":2147483647}");
    take_from(w, 3, (leat_engine_chunk_step){10, 12, 9, 10, 1});
    result = run_unpark(w);
    expect_outcome(result, LEAT_ENGINE_BAD_DATA, "22003");
    expect_chunks(w, "10-12 9 2");
    expect_rows(w, "1:5:");
    PQfinish(other);
    world_free(w);
}
END_TEST

/* An error of leat's own statement is about no record. */
START_TEST(errors_about_the_table_of_chunks)
{
    world *w = world_open(1, 50);
    claim(w, 0);
    park_two(w, 1);
    PGconn *other = other_session(w, "");
    fixture_run_on(other, "BEGIN; SELECT FROM leat.parked FOR UPDATE");
    add_record(w, 0, 10, "1", "{\"n\":1}");
    take_from(w, 2, (leat_engine_chunk_step){10, 12, 9, 10, 1});
    const leat_engine_job_result *result = run_unpark(w);
    expect_outcome(result, LEAT_ENGINE_CONTENTION, "55P03");
    ck_assert(!result->from_rows);
    PQfinish(other);
    static const struct {
        const char *sqlstate;
        leat_engine_outcome outcome;
    } errors[] = {{"23514", LEAT_ENGINE_NOT_UNDERSTOOD}, {"22003", LEAT_ENGINE_NOT_UNDERSTOOD},
                  {"42501", LEAT_ENGINE_NOT_UNDERSTOOD}, {"54000", LEAT_ENGINE_OUTAGE},
                  {"53100", LEAT_ENGINE_OUTAGE},         {"40001", LEAT_ENGINE_CONTENTION},
                  {"57014", LEAT_ENGINE_CONTENTION}};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        char sql[300];
        snprintf(sql, sizeof sql,
                 "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                 " RAISE EXCEPTION 'no' USING ERRCODE = '%s'; END $$;"
                 "CREATE OR REPLACE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON leat.parked"
                 " FOR EACH ROW EXECUTE FUNCTION refuse()",
                 errors[i].sqlstate);
        fixture_sql(w->f, sql);
        add_record(w, 0, 20, "1", "{}");
        cut(w, 0, 1);
        add_part(w, 0, 3, 20);
        expect_outcome(run_park(w), errors[i].outcome, errors[i].sqlstate);
        add_record(w, 0, 10, "1", "{\"n\":1}");
        take_from(w, 2, (leat_engine_chunk_step){10, 12, 9, 12, 0});
        expect_outcome(run_unpark(w), errors[i].outcome, errors[i].sqlstate);
    }
    expect_chunks(w, "10-12 9 2");
    expect_rows(w, "");
    world_free(w);
}
END_TEST

START_TEST(rows_that_make_no_sense)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    park_two(w, 1);
    fixture_sql(w->f, "UPDATE leat.parked SET subpartition = 32767");
    submit_claim(w, 0, 0);
    expect_outcome(wait_done(w, 0), LEAT_ENGINE_NOT_UNDERSTOOD, "");
    fixture_sql(w->f, "UPDATE leat.parked SET subpartition = 3, first_offset = -5, done = -6");
    submit_claim(w, 0, 0);
    expect_outcome(wait_done(w, 0), LEAT_ENGINE_NOT_UNDERSTOOD, "");
    fixture_sql(w->f, "UPDATE leat.parked SET first_offset = 10, done = 9");
    claim(w, 0);
    world_free(w);
}
END_TEST

/* Behind a pooler that gives each transaction another session, and where READ COMMITTED is not the
 * default: both cost a job once. */
START_TEST(another_default_isolation)
{
    world *w = world_prepare();
    char sql[160];
    snprintf(sql, sizeof sql,
             "ALTER DATABASE %s SET default_transaction_isolation = 'repeatable read'", w->f->name);
    fixture_sql(w->f, sql);
    world_start(w, 1, 1000);
    submit_claim(w, 0, 0);
    expect_outcome(wait_done(w, 0), LEAT_ENGINE_CONTENTION, "LT003");
    claim(w, 0);
    park_two(w, 1);
    leat_engine_chunk chunk = load_chunk(w, -1);
    free_chunk(&chunk);
    add_record(w, 0, 10, "1", "{\"n\":1}");
    take_from(w, 2, (leat_engine_chunk_step){10, 12, 9, 10, 1});
    expect_outcome(run_unpark(w), LEAT_ENGINE_APPLIED, "");
    world_free(w);
}
END_TEST

int main(void)
{
    if (!fixture_server()) {
        puts("1..0 # SKIP PG_DSN_1 is not set");
        return 0;
    }
    Suite *suite = suite_create("pg_parked");
    TCase *tests = add_case(suite, "there_and_back");
    tcase_add_test(tests, records_are_parked_and_come_back);
    tcase_add_test(tests, a_chunk_is_the_records_of_its_cut);
    tcase_add_test(tests, a_large_chunk);
    tcase_add_test(tests, a_chunk_is_emptied_in_part_and_with_the_next);
    tcase_add_test(tests, a_parked_record_becomes_a_dead_letter);
    tests = add_case(suite, "refusals");
    tcase_add_test(tests, a_chunk_that_is_not_as_it_was_read);
    tcase_add_test(tests, a_load_of_nothing);
    tcase_add_test(tests, another_owner_fences_all_of_it);
    tcase_add_test(tests, a_refused_row_leaves_its_chunk);
    tcase_add_test(tests, errors_about_the_table_of_chunks);
    tcase_add_test(tests, rows_that_make_no_sense);
    tcase_add_test(tests, another_default_isolation);
    return fixture_main(suite);
}
