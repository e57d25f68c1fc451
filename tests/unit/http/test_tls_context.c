/* For how long the keys last that tickets are sealed with: handshakes in memory, on a clock of the
 * test. */
#include <check.h>

#include <openssl/err.h>

#include "http/tls.h"
#include "pem.h"
#include "world.h"

enum { DAY_MS = 24 * 60 * 60 * 1000, START_MS = 1000 };

typedef struct ticket_world {
    test_pem pem;
    http_tls_context *server;
    SSL_CTX *client;
} ticket_world;

/* `version`: the newest that the client speaks. TLS 1.2 has its tickets in the handshake, TLS 1.3
 * behind it. */
static void open_world(ticket_world *world, int version)
{
    const char *member = NULL;
    leat_error error = {""};
    pem_make(&world->pem, "first");
    const leat_http_tls_config config = {.certificate = world->pem.certificate,
                                         .key = world->pem.key};
    world->server = http_tls_context_new(&config, true, &member, &error);
    ck_assert_msg(world->server, "%s", error.text);
    world->client = SSL_CTX_new(TLS_client_method());
    ck_assert_int_eq(SSL_CTX_set_max_proto_version(world->client, version), 1);
    http_tls_context_sweep(world->server, START_MS);
}

static void close_world(ticket_world *world)
{
    SSL_CTX_free(world->client);
    http_tls_context_free(world->server);
    pem_remove(&world->pem);
}

static void end(SSL *ssl)
{
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else its session is lost */
    SSL_free(ssl);
}

/* A connection that shows `session`, unless that is NULL. Returns its own, with a new ticket. */
static SSL_SESSION *connect_once(ticket_world *world, SSL_SESSION *session, bool *ret_is_resumed)
{
    enum { ROUNDS = 10 };
    BIO *near = NULL, *far = NULL;
    char none;
    SSL *client = SSL_new(world->client), *server = http_tls_context_open(world->server);
    ck_assert_int_eq(BIO_new_bio_pair(&near, 0, &far, 0), 1);
    SSL_set_bio(client, near, near);
    SSL_set_bio(server, far, far);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    if (session)
        ck_assert_int_eq(SSL_set_session(client, session), 1);
    for (int i = 0; i < ROUNDS; i++) {
        SSL_do_handshake(client);
        SSL_do_handshake(server);
    }
    ck_assert(SSL_is_init_finished(client) && SSL_is_init_finished(server));
    ck_assert_int_lt(SSL_read(client, &none, 1), 1); /* takes the ticket */
    ERR_clear_error();
    ck_assert_int_eq(SSL_session_reused(client), SSL_session_reused(server));
    *ret_is_resumed = SSL_session_reused(server);
    SSL_SESSION *ret = SSL_get1_session(client);
    end(client);
    end(server);
    return ret;
}

static SSL_SESSION *new_session(ticket_world *world)
{
    bool is_resumed;
    SSL_SESSION *ret = connect_once(world, NULL, &is_resumed);
    ck_assert(!is_resumed && SSL_SESSION_has_ticket(ret));
    return ret;
}

static bool is_resumed_at(ticket_world *world, SSL_SESSION *session, int64_t now_ms)
{
    bool ret;
    http_tls_context_sweep(world->server, now_ms);
    SSL_SESSION_free(connect_once(world, session, &ret));
    return ret;
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* A ticket is taken for a day and, with the keys replaced, not any more: such a client shakes hands
 * in full. The next keys last as long, from then on. */
START_TEST(test_ticket_keys_last_a_day)
{
    ticket_world world;
    open_world(&world, versions[_i]);
    SSL_SESSION *first = new_session(&world);
    ck_assert(is_resumed_at(&world, first, START_MS));
    ck_assert(is_resumed_at(&world, first, START_MS + DAY_MS - 1));
    ck_assert(!is_resumed_at(&world, first, START_MS + DAY_MS));
    SSL_SESSION *second = new_session(&world);
    ck_assert(is_resumed_at(&world, second, START_MS + 2 * (int64_t)DAY_MS - 1));
    ck_assert(!is_resumed_at(&world, first, START_MS + 2 * (int64_t)DAY_MS - 1));
    ck_assert(!is_resumed_at(&world, second, START_MS + 2 * (int64_t)DAY_MS));
    SSL_SESSION_free(first);
    SSL_SESSION_free(second);
    close_world(&world);
}
END_TEST

/* A new certificate neither ends them nor lets them last longer. */
START_TEST(test_a_reload_carries_them_over)
{
    ticket_world world;
    leat_error error;
    open_world(&world, versions[_i]);
    SSL_SESSION *session = new_session(&world);
    http_tls_context_sweep(world.server, START_MS + DAY_MS / 2);
    pem_write(&world.pem, "second");
    ck_assert_int_eq(http_tls_context_reload(world.server, &error), 0);
    ck_assert(is_resumed_at(&world, session, START_MS + DAY_MS - 1));
    ck_assert(!is_resumed_at(&world, session, START_MS + DAY_MS));
    SSL_SESSION_free(session);
    close_world(&world);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("http_tls_context");
    TCase *tickets = tcase_create("tickets");
    tcase_add_loop_test(tickets, test_ticket_keys_last_a_day, 0, 2);
    tcase_add_loop_test(tickets, test_a_reload_carries_them_over, 0, 2);
    suite_add_tcase(s, tickets);
    return s;
}

int main(void)
{
    return world_run(suite());
}
