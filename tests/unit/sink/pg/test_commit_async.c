/* A sink whose batches do not wait for the disk, against a real server: which commits do, and what
 * it says when a connection is lost. */
#include "sink_world.h"

#include "forwarder.h"

/* Each transaction that writes rows of `things`, or the row of a partition, says how it commits, at
 * its end. */
static const char spy_sql[] =
    "CREATE TABLE seen (setting text);"
    "CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS"
    " $$BEGIN INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END$$;"
    "CREATE CONSTRAINT TRIGGER spy AFTER INSERT OR UPDATE ON things DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION spy();"
    "CREATE CONSTRAINT TRIGGER spy AFTER UPDATE ON leat.partitions DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION spy()";

/* `sql`: what is done to the database before; NULL: nothing. */
static world *open_world(bool commits_async, uint32_t connections, const char *sql)
{
    world *w = world_prepare();
    fixture_sql(w->f, spy_sql);
    if (sql)
        fixture_sql(w->f, sql);
    w->commits_async = commits_async;
    world_start(w, connections, 10000);
    return w;
}

static void expect_seen(world *w, const char *setting)
{
    ck_assert_str_eq(fixture_ask(w->f, "SELECT string_agg(setting, ' ') FROM seen"), setting);
    fixture_sql(w->f, "TRUNCATE seen");
}

static void run(world *w, int64_t seq, bool is_durable)
{
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, seq, seq);
    w->f->batch.is_durable = is_durable;
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    w->f->batch.is_durable = false;
}

static void compact_to(world *w, int64_t base_seq)
{
    static int64_t offsets[LEAT_SUBPARTITIONS_MAX];
    leat_engine_compaction compaction = {.claim = w->claims[0],
                                         .base_seq = base_seq,
                                         .subpartitions = test_placement.subpartitions,
                                         .base_offsets = offsets};
    expect_outcome(compact(w, &compaction), LEAT_ENGINE_APPLIED, "");
}

/* All on one connection: nothing is left of a batch's setting. */
START_TEST(only_a_batch_that_nobody_waits_for_does_not_wait)
{
    world *w = open_world(true, 1, NULL);
    claim(w, 0);
    expect_seen(w, "on");
    run(w, 1, false);
    expect_seen(w, "off");
    run(w, 2, true);
    expect_seen(w, "on");
    run(w, 3, false);
    expect_seen(w, "off");
    compact_to(w, 3);
    expect_seen(w, "on");
    claim(w, 0);
    expect_seen(w, "on");
    world_free(w);
}
END_TEST

START_TEST(otherwise_every_commit_waits)
{
    world *w = open_world(false, 1, NULL);
    claim(w, 0);
    run(w, 1, false);
    expect_seen(w, "on on");
    world_free(w);
}
END_TEST

/* Of the database, and so of each session in it. */
START_TEST(what_waits_does_so_whatever_the_role_or_database_says)
{
    world *w =
        open_world(true, 1,
                   "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off',"
                   " current_database()); END$$");
    claim(w, 0);
    expect_seen(w, "on");
    run(w, 1, true);
    expect_seen(w, "on");
    run(w, 2, false);
    expect_seen(w, "off");
    compact_to(w, 2);
    expect_seen(w, "on");
    world_free(w);
}
END_TEST

START_TEST(what_the_role_or_database_says_of_standbys_stays)
{
    world *w =
        open_world(false, 1,
                   "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = local',"
                   " current_database()); END$$");
    claim(w, 0);
    run(w, 1, false);
    expect_seen(w, "local local");
    world_free(w);
}
END_TEST

static void end_one(world *w)
{
    fixture_ask(w->f,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'leat %' AND datname = current_database() LIMIT 1");
}

static void wait_doubts(world *w, uint32_t doubts)
{
    uv_update_time(&w->loop);
    for (uint64_t since = uv_now(&w->loop); w->doubts < doubts;)
        turn(w, since, "a doubt");
}

START_TEST(a_lost_connection_is_a_reason_to_look)
{
    world *w = open_world(true, 2, NULL);
    end_one(w);
    wait_doubts(w, 1);
    wait_usable(w, 2);
    leat_sink_allow(w->sink, 1); /* none is lost */
    wait_usable(w, 1);
    ck_assert_uint_eq(w->doubts, 1);
    world_free(w);
}
END_TEST

START_TEST(the_loss_of_the_last_one_is_told_by_the_slots)
{
    world *w = open_world(true, 1, NULL);
    end_one(w);
    wait_usable(w, 0);
    wait_usable(w, 1);
    ck_assert_uint_eq(w->doubts, 0);
    world_free(w);
}
END_TEST

/* What a server says to each session when another one of it has crashed. */
static const char crash_notice[] = "N\0\0\0\x27"
                                   "SWARNING\0VWARNING\0C57P02\0Ma crash\0";

/* A session that is there afterwards is of the time after the crash, though no other one was seen
 * to end: so all are given up, and what they had acknowledged is claimed again. */
START_TEST(after_a_crash_no_connection_is_left)
{
    forwarder proxy = {0};
    char dsn[1200];
    world *w = world_prepare();
    w->commits_async = true;
    forwarder_start(&proxy, &w->loop, atoi(PQport(w->f->pg)));
    snprintf(dsn, sizeof dsn, "%s host=127.0.0.1 port=%d", w->f->dsn, proxy.port);
    start_sink(w, dsn, 2, 10000);
    wait_usable(w, 2);
    proxy.last_words = crash_notice;
    proxy.last_words_size = sizeof crash_notice;
    end_one(w);
    wait_usable(w, 0);
    wait_usable(w, 2);
    ck_assert_uint_eq(w->doubts, 0);
    forwarder_stop(&proxy);
    world_free(w);
}
END_TEST

START_TEST(where_every_commit_waits_it_is_none)
{
    world *w = open_world(false, 2, NULL);
    end_one(w);
    wait_usable(w, 1);
    wait_usable(w, 2);
    ck_assert_uint_eq(w->doubts, 0);
    world_free(w);
}
END_TEST

int main(void)
{
    if (!fixture_server()) {
        puts("1..0 # SKIP PG_DSN_1 is not set");
        return 0;
    }
    Suite *suite = suite_create("pg_commit_async");
    TCase *tests = add_case(suite, "commit_async");
    tcase_add_test(tests, only_a_batch_that_nobody_waits_for_does_not_wait);
    tcase_add_test(tests, otherwise_every_commit_waits);
    tcase_add_test(tests, what_waits_does_so_whatever_the_role_or_database_says);
    tcase_add_test(tests, what_the_role_or_database_says_of_standbys_stays);
    tcase_add_test(tests, a_lost_connection_is_a_reason_to_look);
    tcase_add_test(tests, the_loss_of_the_last_one_is_told_by_the_slots);
    tcase_add_test(tests, after_a_crash_no_connection_is_left);
    tcase_add_test(tests, where_every_commit_waits_it_is_none);
    return fixture_main(suite);
}
