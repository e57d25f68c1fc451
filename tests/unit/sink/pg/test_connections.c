/* The asynchronous sink against a real server: what happens to its connections and to jobs that are
 * open then. */
#include "sink_world.h"

#include <arpa/inet.h>
#include <sys/socket.h>

static const char end_all_sql[] =
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE application_name LIKE 'leat %' AND datname = current_database()";

START_TEST(a_lost_connection_leaves_the_outcome_unknown)
{
    world *w = world_open(1, 10000);
    PGconn *other = other_session(w, "");
    claim(w, 0);
    fixture_run_on(other, "INSERT INTO things VALUES (1); BEGIN; UPDATE things SET n = 1");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    submit_batch(w, 1);
    wait_one_waits(w, "transactionid");
    ck_assert_str_eq(fixture_ask(w->f, end_all_sql), "1");
    expect_outcome(wait_done(w, 1), LEAT_ENGINE_UNKNOWN, "57P01");
    ck_assert_uint_eq(w->answers[1].usable_then, 1); /* first the job, then the slots */
    wait_usable(w, 0);
    wait_usable(w, 1);
    fixture_run_on(other, "COMMIT");
    claim(w, 0);
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    expect_rows(w, "1:2:");
    PQfinish(other);
    world_free(w);
}
END_TEST

START_TEST(one_dead_connection_of_two)
{
    world *w = world_open(2, 10000);
    PGconn *other = other_session(w, "");
    claim(w, 0);
    claim(w, 1);
    fixture_run_on(other, "INSERT INTO things VALUES (1); BEGIN; UPDATE things SET n = 1");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    submit_batch(w, 1);
    wait_one_waits(w, "transactionid");
    patch(w, "2", "{\"n\":1}");
    add_part(w, 1, 1, 10);
    submit_batch(w, 2);
    expect_outcome(wait_done(w, 2), LEAT_ENGINE_APPLIED, "");
    fixture_sql(w->f, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                      " WHERE wait_event = 'transactionid' AND datname = current_database()");
    expect_outcome(wait_done(w, 1), LEAT_ENGINE_UNKNOWN, "57P01");
    patch(w, "3", "{\"n\":1}");
    add_part(w, 1, 2, 11);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    wait_usable(w, 2);
    PQfinish(other);
    world_free(w);
}
END_TEST

START_TEST(a_job_for_a_connection_just_lost)
{
    world *w = world_open(1, 10000);
    leat_engine_job again = {.id = 3, .kind = LEAT_ENGINE_JOB_CLAIM, .partition = 1};
    PGconn *other = other_session(w, "");
    fixture_run_on(other, "BEGIN; SELECT * FROM leat.take((SELECT id FROM leat.sources), 0, 1000)");
    submit_claim(w, 2, 0);
    wait_one_waits(w, "advisory");
    w->next = &again; /* from `done`, when `slots` has not been reported yet */
    fixture_ask(w->f, end_all_sql);
    expect_outcome(wait_done(w, 2), LEAT_ENGINE_UNKNOWN, "57P01");
    expect_outcome(wait_done(w, 3), LEAT_ENGINE_OUTAGE, "");
    PQfinish(other);
    wait_usable(w, 1);
    claim(w, 1);
    world_free(w);
}
END_TEST

/* By the time limit for locks; and where the role's for statements is much shorter. */
START_TEST(a_frozen_holder_is_ended)
{
    char dsn[1400];
    world *w = world_prepare();
    snprintf(dsn, sizeof dsn, "%s options='-c statement_timeout=%d'", w->f->dsn,
             _i == 0 ? 0 : 1000);
    start_sink(w, dsn, 1, _i == 0 ? 200 : 120000);
    wait_usable(w, 1);
    char sql[256];
    claim(w, 0);
    PGconn *frozen = other_session(w, "application_name='leat frozen'");
    ck_assert(PQenterPipelineMode(frozen));
    snprintf(
        sql, sizeof sql,
        "SELECT leat.advance(%d, 0, (SELECT claim FROM leat.partitions WHERE partition = 0), 1,"
        " '{3}', '{10}', 0, 0, '{}', 1000)",
        w->f->catalog.source.id);
    ck_assert(PQsendQueryParams(frozen, sql, 0, NULL, NULL, NULL, NULL, 0));
    ck_assert(PQsendFlushRequest(frozen)); /* and no Sync: it holds the lock indefinitely */
    PQflush(frozen);
    wait_database(w,
                  "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
                  " (SELECT oid FROM pg_database WHERE datname = current_database())",
                  "1");
    submit_claim(w, 1, 0);
    expect_outcome(wait_done(w, 1), LEAT_ENGINE_CONTENTION, "55P03");
    ck_assert_uint_eq(leat_sink_count(w->sink)->holders_terminated, 1);
    claim(w, 0);
    ck_assert_str_eq(fixture_ask(w->f, "SELECT count(*) FROM leat.progress"), "0");
    PQfinish(frozen);
    world_free(w);
}
END_TEST

static void await_sessions(world *w, const char *count)
{
    while (strcmp(fixture_ask(w->f, "SELECT count(*) FROM pg_stat_activity"
                                    " WHERE application_name LIKE 'leat %'"
                                    " AND datname = current_database()"),
                  count) != 0)
        uv_run(&w->loop, UV_RUN_ONCE);
}

/* Free ones are closed at once, one with a job after it, which is applied. */
START_TEST(fewer_connections_are_allowed_and_more_again)
{
    world *w = world_open(4, 10000);
    PGconn *other = other_session(w, "");
    claim(w, 0);
    fixture_run_on(other, "INSERT INTO things VALUES (1)");
    fixture_run_on(other, "BEGIN; UPDATE things SET n = 1");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 1, 10);
    submit_batch(w, 1);
    wait_one_waits(w, "transactionid");
    submit_claim(w, 2, 1);
    leat_sink_allow(w->sink, 1);
    expect_outcome(wait_done(w, 2), LEAT_ENGINE_APPLIED, "");
    wait_usable(w, 1);
    await_sessions(w, "1");
    fixture_run_on(other, "COMMIT");
    expect_outcome(wait_done(w, 1), LEAT_ENGINE_APPLIED, "");
    leat_sink_allow(w->sink, 3);
    wait_usable(w, 3);
    await_sessions(w, "3");
    leat_sink_allow(w->sink, 4);
    leat_sink_allow(w->sink, 2); /* one may be on its way */
    wait_usable(w, 2);
    await_sessions(w, "2");
    patch(w, "1", "{\"n\":1}");
    add_part(w, 0, 2, 11);
    expect_outcome(run_batch(w), LEAT_ENGINE_APPLIED, "");
    ck_assert_uint_eq(leat_sink_count(w->sink)->connect_failures, 0);
    PQfinish(other);
    world_free(w);
}
END_TEST

START_TEST(a_database_that_comes_later)
{
    world *w = world_new();
    char dsn[1024], sql[128];
    prepare_database(w);
    snprintf(dsn, sizeof dsn, "%s dbname=%s_later", fixture_server(), w->f->name);
    start_sink(w, dsn, 2, 1000);
    wait_failures(w, 2);
    ck_assert_uint_eq(w->usable, 0);
    snprintf(sql, sizeof sql, "CREATE DATABASE %s_later", w->f->name);
    fixture_sql(w->f, sql);
    wait_usable(w, 2);
    submit_claim(w, 1, 0); /* without the schema */
    expect_outcome(wait_done(w, 1), LEAT_ENGINE_NOT_UNDERSTOOD, "3F000");
    snprintf(sql, sizeof sql, "DROP DATABASE %s_later WITH (FORCE)", w->f->name);
    fixture_sql(w->f, sql);
    wait_usable(w, 0);
    world_free(w);
}
END_TEST

START_TEST(the_next_host_is_tried)
{
    world *w = world_new();
    char dsn[1400];
    prepare_database(w);
    snprintf(dsn, sizeof dsn, "%s host=127.0.0.1,%s port=1,%s", w->f->dsn, PQhost(w->f->pg),
             PQport(w->f->pg));
    start_sink(w, dsn, 3, 1000);
    wait_usable(w, 3);
    claim(w, 0);
    world_free(w);
}
END_TEST

/* Accepts connections and answers nothing. Close the socket. */
static int silent_server(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int silent = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(silent, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(silent, 8), 0);
    ck_assert_int_eq(getsockname(silent, (struct sockaddr *)&address, &size), 0);
    *ret_port = ntohs(address.sin_port);
    return silent;
}

START_TEST(a_server_that_says_nothing_is_given_up)
{
    int port, silent = silent_server(&port);
    world *w = world_new();
    char dsn[128];
    snprintf(dsn, sizeof dsn, "host=127.0.0.1 port=%d connect_timeout=1", port);
    start_sink(w, dsn, 1, 1000);
    wait_failures(w, 2);
    world_free(w);
    close(silent);
}
END_TEST

/* By connections on the loop, and by those that block. */
START_TEST(the_first_of_two_hosts_says_nothing)
{
    int port, silent = silent_server(&port);
    world *w = world_new();
    char dsn[1400];
    leat_shard_server server;
    leat_error error;
    prepare_database(w);
    snprintf(dsn, sizeof dsn, "%s host=127.0.0.1,%s port=%d,%s connect_timeout=1", w->f->dsn,
             PQhost(w->f->pg), port, PQport(w->f->pg));
    ck_assert_msg(leat_shard_read_server((leat_shard_address){.dsn = dsn}, &server, &error) == 0,
                  "%s", error.text);
    start_sink(w, dsn, 3, 1000);
    wait_usable(w, 3);
    ck_assert_uint_eq(leat_sink_count(w->sink)->connect_failures, 0);
    claim(w, 0);
    world_free(w);
    close(silent);
}
END_TEST

START_TEST(a_read_only_server_is_left)
{
    world *w = world_open(1, 1000);
    claim(w, 0);
    fixture_sql(
        w->f,
        "CREATE FUNCTION demote() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM set_config('transaction_read_only', 'on', true); RETURN NULL; END $$;"
        "CREATE TRIGGER demote AFTER INSERT ON leat.progress EXECUTE FUNCTION demote()");
    patch(w, "1", "{}");
    add_part(w, 0, 1, 10);
    expect_outcome(run_batch(w), LEAT_ENGINE_OUTAGE, "25006");
    wait_usable(w, 0);
    wait_usable(w, 1);
    ck_assert_uint_eq(leat_sink_count(w->sink)->connects, 2);
    world_free(w);
}
END_TEST

START_TEST(the_server_sees_our_name)
{
    world *w = world_open(1, 1000);
    char expected[128], host[32] = "";
    gethostname(host, sizeof host - 1);
    snprintf(expected, sizeof expected, "leat 1 test %s %d", host, (int)getpid());
    ck_assert_str_eq(
        fixture_ask(w->f, "SELECT application_name FROM pg_stat_activity"
                          " WHERE application_name LIKE 'leat %' AND datname = current_database()"),
        expected);
    world_free(w);
}
END_TEST

START_TEST(freed_with_a_job_open)
{
    world *w = world_open(2, 10000);
    PGconn *other = other_session(w, "");
    fixture_run_on(other, "BEGIN; SELECT * FROM leat.take((SELECT id FROM leat.sources), 0, 1000)");
    submit_claim(w, 2, 0);
    wait_one_waits(w, "advisory");
    PQfinish(other);
    world_free(w);
}
END_TEST

START_TEST(freed_from_done)
{
    world *w = world_open(2, 1000);
    w->free_when_done = true;
    submit_claim(w, 2, _i == 0 ? 0 : 99);
    expect_outcome(wait_done(w, 2), _i == 0 ? LEAT_ENGINE_APPLIED : LEAT_ENGINE_NOT_UNDERSTOOD,
                   _i == 0 ? "" : "LT004");
    world_free(w);
}
END_TEST

START_TEST(freed_from_done_of_a_refused_batch)
{
    world *w = world_open(1, 1000);
    w->free_when_done = true;
    patch(w, "1", "{");
    submit_batch(w, 1);
    expect_outcome(wait_done(w, 1), LEAT_ENGINE_BAD_DATA, "");
    world_free(w);
}
END_TEST

START_TEST(a_dsn_that_is_none)
{
    uv_loop_t loop;
    leat_error error = {""};
    leat_sink_config config = {.shard_name = "b",
                               .at.dsn = "host=h secret",
                               .owner = "1 test",
                               .connections = 1,
                               .placement = {.version = 1, .subpartitions = 64}};
    leat_sink_events events = {0};
    uv_loop_init(&loop);
    ck_assert_ptr_null(leat_sink_new(&loop, &config, &events, &error));
    ck_assert_str_eq(
        error.text,
        "shard b: the dsn cannot be read: key=value pairs or postgresql://... are expected");
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

int main(void)
{
    if (!fixture_server()) {
        puts("1..0 # SKIP PG_DSN_1 is not set");
        return 0;
    }
    Suite *suite = suite_create("pg_connections");
    TCase *connections = add_case(suite, "connections");
    tcase_add_test(connections, a_lost_connection_leaves_the_outcome_unknown);
    tcase_add_test(connections, one_dead_connection_of_two);
    tcase_add_test(connections, a_job_for_a_connection_just_lost);
    tcase_add_loop_test(connections, a_frozen_holder_is_ended, 0, 2);
    tcase_add_test(connections, fewer_connections_are_allowed_and_more_again);
    tcase_add_test(connections, a_database_that_comes_later);
    tcase_add_test(connections, the_next_host_is_tried);
    tcase_add_test(connections, a_server_that_says_nothing_is_given_up);
    tcase_add_test(connections, the_first_of_two_hosts_says_nothing);
    tcase_add_test(connections, a_read_only_server_is_left);
    tcase_add_test(connections, the_server_sees_our_name);
    tcase_add_test(connections, freed_with_a_job_open);
    tcase_add_loop_test(connections, freed_from_done, 0, 2);
    tcase_add_test(connections, freed_from_done_of_a_refused_batch);
    tcase_add_test(connections, a_dsn_that_is_none);
    return fixture_main(suite);
}
