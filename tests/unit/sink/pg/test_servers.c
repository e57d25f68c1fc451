/* The asynchronous sink when another server answers, and what it logs about claims that fail: two
 * real servers, PG_DSN_1 and PG_DSN_2, and a proxy before them. */
#include "sink_world.h"

#include "forwarder.h"

typedef struct two_servers {
    world *w;        /* its database is on the first */
    fixture *second; /* the database of the same name on the other */
    forwarder proxy;
    PGconn *other; /* keeps partition 1 on the first server */
} two_servers;

static int port_of(fixture *f)
{
    return atoi(PQport(f->pg));
}

/* Two connections, both to the first server; the next one leads to the second. Job 2, a claim,
 * hangs on one of them. */
static two_servers *two_servers_open(void)
{
    two_servers *t = leat_must_calloc(1, sizeof *t);
    char dsn[1200];
    world *w = t->w = world_prepare();
    t->second = fixture_new();
    t->second->server = getenv("PG_DSN_2");
    fixture_open_database(t->second);
    int32_t source_id = w->f->catalog.source.id;
    init_database(w, t->second->dsn);
    ck_assert_int_eq(w->f->catalog.source.id, source_id);

    forwarder_start(&t->proxy, &w->loop, port_of(w->f));
    snprintf(dsn, sizeof dsn, "%s host=127.0.0.1 port=%d", w->f->dsn, t->proxy.port);
    start_sink(w, dsn, 2, 10000);
    wait_usable(w, 2);
    t->other = other_session(w, "");
    fixture_run_on(t->other,
                   "BEGIN; SELECT * FROM leat.take((SELECT id FROM leat.sources), 1, 1000)");
    submit_claim(w, 2, 1);
    wait_one_waits(w, "advisory");
    t->proxy.to_port = port_of(t->second);
    return t;
}

static void two_servers_free(two_servers *t)
{
    PQfinish(t->other);
    forwarder_stop(&t->proxy);
    world_free(t->w);
    fixture_free(t->second);
    free(t);
}

/* One connection of the sink is replaced. */
static void end_the_idle_one(two_servers *t)
{
    ck_assert_str_eq(
        fixture_ask(t->w->f, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE"
                             " application_name LIKE 'leat %' AND datname = current_database() AND"
                             " state = 'idle'"),
        "1");
}

typedef struct listener {
    FILE *heard;
    int standard_error;
} listener;

static listener listen_to_diagnostics(void)
{
    listener l = {tmpfile(), dup(STDERR_FILENO)};
    ck_assert_ptr_nonnull(l.heard);
    ck_assert_int_ge(dup2(fileno(l.heard), STDERR_FILENO), 0);
    return l;
}

/* How many lines had `text` in them. */
static uint32_t stop_listening(listener *l, const char *text)
{
    char line[4096];
    uint32_t count = 0;
    dup2(l->standard_error, STDERR_FILENO);
    close(l->standard_error);
    rewind(l->heard);
    while (fgets(line, sizeof line, l->heard))
        count += strstr(line, text) != NULL;
    fclose(l->heard);
    return count;
}

/* ---- which server it is ---- */

START_TEST(connections_move_to_another_server_one_by_one)
{
    two_servers *t = two_servers_open();
    world *w = t->w;
    listener l = listen_to_diagnostics();
    end_the_idle_one(t);
    const leat_engine_job_result *result = wait_done(w, 2);
    ck_assert_uint_eq(w->answers[2].usable_then, 1); /* first the job, then the slots */
    wait_usable(w, 2);
    ck_assert_uint_eq(
        stop_listening(
            &l,
            "another server answers, or the server was restarted: its partitions are claimed again shard=a"),
        1);
    expect_outcome(result, LEAT_ENGINE_UNKNOWN, "");
    ck_assert_str_eq(result->message, "another server answers");
    ck_assert_str_eq(w->slots_reported, "1 2 1 0 1 2");
    claim(w, 0);
    claim(w, 1);
    ck_assert_str_eq(fixture_ask(t->second, "SELECT string_agg(epoch::text, ' ' ORDER BY partition)"
                                            " FROM leat.partitions WHERE partition < 2"),
                     "1 1");
    two_servers_free(t);
}
END_TEST

START_TEST(a_connection_to_the_same_server_ends_no_other)
{
    two_servers *t = two_servers_open();
    t->proxy.to_port = port_of(t->w->f);
    end_the_idle_one(t);
    wait_usable(t->w, 1);
    wait_usable(t->w, 2);
    ck_assert_str_eq(t->w->slots_reported, "1 2 1 2");
    ck_assert(!t->w->answers[2].is_done);
    fixture_run_on(t->other, "COMMIT");
    expect_outcome(wait_done(t->w, 2), LEAT_ENGINE_APPLIED, "");
    two_servers_free(t);
}
END_TEST

/* It is not sent: not to the server that is left, and not on the connection that does not count
 * yet. */
START_TEST(a_job_submitted_while_a_server_is_left)
{
    two_servers *t = two_servers_open();
    leat_engine_job again = {.id = 3, .kind = LEAT_ENGINE_JOB_CLAIM, .partition = 1};
    t->w->next = &again;
    end_the_idle_one(t);
    expect_outcome(wait_done(t->w, 2), LEAT_ENGINE_UNKNOWN, "");
    expect_outcome(wait_done(t->w, 3), LEAT_ENGINE_OUTAGE, "");
    wait_usable(t->w, 2);
    ck_assert_str_eq(t->w->slots_reported, "1 2 1 0 1 2");
    two_servers_free(t);
}
END_TEST

START_TEST(freed_while_a_server_is_left)
{
    two_servers *t = two_servers_open();
    t->w->free_when_done = true;
    end_the_idle_one(t);
    expect_outcome(wait_done(t->w, 2), LEAT_ENGINE_UNKNOWN, "");
    ck_assert_str_eq(t->w->slots_reported, "1 2 1");
    two_servers_free(t);
}
END_TEST

/* ---- no answer ---- */

static world *world_behind(forwarder *proxy, uint32_t connections)
{
    char dsn[1200];
    world *w = world_prepare();
    forwarder_start(proxy, &w->loop, port_of(w->f));
    snprintf(dsn, sizeof dsn, "%s host=127.0.0.1 port=%d", w->f->dsn, proxy->port);
    start_sink(w, dsn, connections, 30000);
    wait_usable(w, connections);
    return w;
}

/* What it takes is acknowledged by TCP, and nobody answers. No connection is left for a
 * question. */
START_TEST(a_shard_that_does_not_answer_is_logged_and_left)
{
    forwarder proxy = {0};
    world *w = world_behind(&proxy, 1);
    listener l = listen_to_diagnostics();
    proxy.swallows = true;
    submit_claim(w, 2, 1);
    expect_outcome(wait_done(w, 2), LEAT_ENGINE_UNKNOWN, "");
    wait_usable(w, 0);
    ck_assert_uint_gt(leat_sink_count(w->sink)->silent_ms, 0);
    proxy.swallows = false;
    wait_usable(w, 1);
    claim(w, 1);
    uv_update_time(&w->loop);
    for (uint64_t since = uv_now(&w->loop); leat_sink_count(w->sink)->silent_ms > 0;)
        turn(w, since, "the end of the silence");
    ck_assert_uint_eq(stop_listening(&l, "shard answers neither statements nor a question "), 1);
    forwarder_stop(&proxy);
    world_free(w);
}
END_TEST

/* The other host of the DSN refuses, at once and each time: that is no answer of the one that is
 * used. */
START_TEST(an_answer_of_another_host_does_not_count)
{
    forwarder proxy = {0};
    world *w = world_new();
    char dsn[1200];
    PGconn *second = PQconnectdb(getenv("PG_DSN_2"));
    ck_assert_int_eq(PQstatus(second), CONNECTION_OK);
    prepare_database(w);
    forwarder_start(&proxy, &w->loop, port_of(w->f));
    snprintf(dsn, sizeof dsn, "%s host=127.0.0.1,127.0.0.1 port=%d,%s connect_timeout=2", w->f->dsn,
             proxy.port, PQport(second));
    start_sink(w, dsn, 1, 30000);
    wait_usable(w, 1);
    proxy.swallows = true;
    submit_claim(w, 2, 1);
    expect_outcome(wait_done(w, 2), LEAT_ENGINE_UNKNOWN, "");
    ck_assert_str_eq(w->answers[2].result.message, "the server has stopped answering");
    PQfinish(second);
    forwarder_stop(&proxy);
    world_free(w);
}
END_TEST

/* All connections wait for the first server; the question that tells slow from dead comes to the
 * second. */
START_TEST(a_question_finds_another_server)
{
    two_servers *t = two_servers_open();
    submit_claim(t->w, 3, 1);
    expect_outcome(wait_done(t->w, 2), LEAT_ENGINE_UNKNOWN, "");
    expect_outcome(wait_done(t->w, 3), LEAT_ENGINE_UNKNOWN, "");
    ck_assert_str_eq(t->w->answers[3].result.message, "another server answers");
    wait_usable(t->w, 2);
    two_servers_free(t);
}
END_TEST

/* It is longer than a question may take, and no connection is idle. */
START_TEST(a_slow_statement_is_not_ended)
{
    world *w = world_open(1, 30000);
    PGconn *other = other_session(w, "");
    listener l = listen_to_diagnostics();
    claim(w, 0);
    fixture_run_on(other, "BEGIN; LOCK TABLE things");
    patch(w, "1", "{}");
    add_part(w, 0, 1, 10);
    submit_batch(w, 2);
    uv_update_time(&w->loop);
    for (uint64_t since = uv_now(&w->loop); uv_now(&w->loop) - since < 14000;)
        turn(w, since, "time");
    ck_assert(!w->answers[2].is_done);
    fixture_run_on(other, "COMMIT");
    expect_outcome(wait_done(w, 2), LEAT_ENGINE_APPLIED, "");
    ck_assert_uint_eq(stop_listening(&l, "shard answers neither statements nor a question "), 0);
    ck_assert_str_eq(w->slots_reported, "1");
    PQfinish(other);
    world_free(w);
}
END_TEST

/* idle_session_timeout ends each connection again and again. */
START_TEST(why_connections_end_is_logged_once)
{
    world *w = world_new();
    char dsn[1400];
    prepare_database(w);
    snprintf(dsn, sizeof dsn, "%s options='-c idle_session_timeout=300'", w->f->dsn);
    listener l = listen_to_diagnostics();
    start_sink(w, dsn, 2, 1000);
    uv_update_time(&w->loop);
    for (uint64_t since = uv_now(&w->loop); leat_sink_count(w->sink)->connects < 8;)
        turn(w, since, "connections");
    for (uint64_t since = uv_now(&w->loop); w->usable > 0;)
        turn(w, since, "the end of one");
    ck_assert_uint_le(
        stop_listening(&l, "57P05: terminating connection due to idle-session timeout"),
        3); /* some,
               none,
               none
               for
               long
             */
    world_free(w);
}
END_TEST

/* ---- a role with no rights ---- */

static void start_as_stranger(world *w, char role[64])
{
    char text[1200];
    snprintf(role, 64, "%s_stranger", w->f->name);
    snprintf(text, sizeof text,
             "SET client_min_messages = error; DROP ROLE IF EXISTS %s; CREATE ROLE %s LOGIN", role,
             role);
    fixture_sql(w->f, text);
    snprintf(text, sizeof text, "%s user=%s", w->f->dsn, role);
    start_sink(w, text, 1, 1000);
}

static void drop_stranger(world *w, const char *role)
{
    char sql[128];
    snprintf(sql, sizeof sql, "DROP ROLE %s", role);
    fixture_sql(w->f, sql);
    world_free(w);
}

START_TEST(a_claim_that_fails_repeatedly_is_logged_once)
{
    world *w = world_new();
    char role[64];
    prepare_database(w);
    start_as_stranger(w, role);
    wait_usable(w, 1); /* any role may ask which server it is */
    listener l = listen_to_diagnostics();
    for (uint32_t i = 0; i < 3; i++) {
        submit_claim(w, 1, 1);
        wait_done(w, 1);
    }
    ck_assert_uint_eq(
        stop_listening(
            &l, "error claim fails and is tried again with back-off shard=a partition=1"
                " sqlstate=42501 outcome=\"not understood\" reason=\"permission denied for schema"
                " leat\""),
        1);
    expect_outcome(&w->answers[1].result, LEAT_ENGINE_NOT_UNDERSTOOD, "42501");
    drop_stranger(w, role);
}
END_TEST

START_TEST(a_server_that_does_not_show_which_it_is)
{
    world *w = world_new();
    char role[64];
    prepare_database(w);
    fixture_sql(w->f, "REVOKE EXECUTE ON FUNCTION pg_postmaster_start_time() FROM PUBLIC");
    listener l = listen_to_diagnostics();
    start_as_stranger(w, role);
    wait_failures(w, 2);
    ck_assert_uint_eq(stop_listening(&l, ": 42501: permission denied for function"
                                         " pg_postmaster_start_time"),
                      1);
    ck_assert_str_eq(w->slots_reported, "");
    fixture_sql(w->f, "GRANT EXECUTE ON FUNCTION pg_postmaster_start_time() TO PUBLIC");
    wait_usable(w, 1);
    drop_stranger(w, role);
}
END_TEST

START_TEST(a_server_that_does_not_show_its_timeline)
{
    world *w = world_new();
    char role[64];
    prepare_database(w);
    fixture_sql(w->f, "REVOKE EXECUTE ON FUNCTION pg_current_wal_lsn() FROM PUBLIC");
    start_as_stranger(w, role);
    wait_usable(w, 1);
    char grant[256];
    snprintf(grant, sizeof grant,
             "GRANT USAGE ON SCHEMA leat TO %s; GRANT ALL ON ALL TABLES IN SCHEMA leat TO %s", role,
             role);
    fixture_sql(w->f, grant);
    claim(w, 0);
    fixture_sql(w->f, "GRANT EXECUTE ON FUNCTION pg_current_wal_lsn() TO PUBLIC");
    snprintf(grant, sizeof grant, "DROP OWNED BY %s", role);
    fixture_sql(w->f, grant);
    drop_stranger(w, role);
}
END_TEST

int main(void)
{
    if (!fixture_server() || !getenv("PG_DSN_2")) {
        puts("1..0 # SKIP PG_DSN_1 or PG_DSN_2 is not set");
        return 0;
    }
    Suite *suite = suite_create("pg_servers");
    TCase *servers = add_case(suite, "servers");
    tcase_add_test(servers, connections_move_to_another_server_one_by_one);
    tcase_add_test(servers, a_connection_to_the_same_server_ends_no_other);
    tcase_add_test(servers, a_job_submitted_while_a_server_is_left);
    tcase_add_test(servers, freed_while_a_server_is_left);
    TCase *silence = add_case(suite, "silence");
    tcase_add_test(silence, a_shard_that_does_not_answer_is_logged_and_left);
    tcase_add_test(silence, an_answer_of_another_host_does_not_count);
    tcase_add_test(silence, a_question_finds_another_server);
    tcase_add_test(silence, a_slow_statement_is_not_ended);
    tcase_add_test(silence, why_connections_end_is_logged_once);
    TCase *rights = add_case(suite, "rights");
    tcase_add_test(rights, a_claim_that_fails_repeatedly_is_logged_once);
    tcase_add_test(rights, a_server_that_does_not_show_which_it_is);
    tcase_add_test(rights, a_server_that_does_not_show_its_timeline);
    return fixture_main(suite);
}
