/* Batches: each item is answered by itself, in order, and what one of them suffers harms no other.
 */
#include "../record/fixture.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit/http/stream_client.h"
#include "edge/internal.h"
#include "world.h"

#define NDJSON         "application/x-ndjson"
#define JSON           "application/json"
#define PUT(key, body) "{\"method\":\"PUT\",\"path\":\"/apps/7/devices/" key "\",\"body\":" body "}"

/* In HTTP/1.0 the answer is its bytes up to the connection's end. */
static void send_head(edge_world *world, const char *type, size_t size)
{
    char head[256];
    snprintf(head, sizeof head,
             "POST /batch HTTP/1.0\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", type, size);
    test_send_text(&world->loop, world->reader.fd, head);
}

static void send_batch(edge_world *world, const char *type, const char *body, bool in_pieces)
{
    send_head(world, type, strlen(body));
    if (!in_pieces)
        test_send_text(&world->loop, world->reader.fd, body);
    for (; in_pieces && *body; body++)
        test_send(&world->loop, world->reader.fd, body, 1);
}

/* Everything that has come, up to the connection's end. The log accepts what it gets. */
static const char *read_answer(edge_world *world, bool accepts)
{
    test_reader *reader = &world->reader;
    uint32_t answered = 0;
    for (int i = 0; !reader->eof; i++) {
        ssize_t got = recv(reader->fd, reader->data + reader->size,
                           sizeof reader->data - 1 - reader->size, MSG_DONTWAIT);
        reader->eof = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
        reader->size += got > 0 ? (size_t)got : 0;
        test_turn(&world->loop);
        for (; accepts && answered < world->log->count; answered++)
            fake_log_answer(world->log, answered, LEAT_APPENDED, 100 + answered, NULL);
        if (got <= 0)
            usleep(100);
        ck_assert_msg(i < 50000, "the answer has no end: %.*s", (int)reader->size, reader->data);
    }
    reader->data[reader->size] = '\0';
    const char *body = strstr(reader->data, "\r\n\r\n");
    ck_assert_ptr_nonnull(body);
    return body + 4;
}

static void expect_status(const edge_world *world, int status)
{
    ck_assert_int_eq(atoi(world->reader.data + 9), status);
}

/* Items, and the start of each one's answer. */
static const struct {
    const char *item;
    const char *answer;
} items[] = {
    {PUT("a", "{\"sessions\":1}"), "{\"status\":202,\"partition\":"},
    {" { \"body\" : { \"sessions\" : 2.0e0 } , \"path\":\"\\/apps\\/7\\/devices\\/b?x=1\" , "
     "\"method\":\"PATCH\" } ",
     "{\"status\":422,\"error\":\"invalid\",\"field\":\"sessions\","},
    {"{\"body\":{\"tags\":{\"a\":\"}]\\\"\"},\"price\":1.10},\"method\":\"PATCH\","
     "\"path\":\"\\/apps\\/7\\/devices\\/b?x=1\"}",
     "{\"status\":202,\"partition\":"},
    {"{\"method\":\"DELETE\",\"path\":\"/apps/7/devices/c\"}", "{\"status\":202,"},
    {"{\"method\":\"DELETE\",\"path\":\"/apps/7/devices/c\",\"body\":null}", "{\"status\":202,"},
    {"{\"method\":\"DELETE\",\"path\":\"/apps/7/devices/c\",\"body\":{}}",
     "{\"status\":400,\"error\":\"bad_request\","},
    {"{\"method\":\"PUT\",\"path\":\"/apps/7/devices/c\"}",
     "{\"status\":400,\"error\":\"bad_json\",\"field\":null,\"message\":\"a JSON object is needed"},
    {PUT("d", "{\"sessions\":\"x\"}"),
     "{\"status\":422,\"error\":\"invalid\",\"field\":\"sessions\","},
    {PUT("d", "[1,{\"a\":\"]}\"}]"), "{\"status\":400,\"error\":\"bad_json\","},
    {"{\"method\":\"PUT\",\"path\":\"/nothing\",\"body\":{}}",
     "{\"status\":404,\"error\":\"no_route\","},
    {"{\"method\":\"PUT\",\"path\":\"/apps/x/devices/d\",\"body\":{}}",
     "{\"status\":422,\"error\":\"invalid\",\"field\":\"app_id\","},
    {"{\"method\":\"POST\",\"path\":\"/apps/7/devices/d\",\"body\":{}}",
     "{\"status\":405,\"error\":\"method_not_allowed\",\"field\":\"method\","},
    {"{\"method\":\"put\",\"path\":\"/apps/7/devices/d\",\"body\":{}}", "{\"status\":405,"},
    {"{\"method\":\"PUT\",\"body\":{}}",
     "{\"status\":400,\"error\":\"bad_request\",\"field\":\"path\","},
    {"{\"path\":\"/apps/7/devices/d\",\"body\":{}}",
     "{\"status\":400,\"error\":\"bad_request\",\"field\":\"method\","},
    {"{\"method\":\"PUT\",\"path\":\"apps/7\"}", "{\"status\":400,"},
    {"{\"method\":\"PUT\",\"path\":\"/apps/7/devices/a b\"}", "{\"status\":400,"},
    {"{\"method\":\"PUT\",\"path\":\"/apps/7/devices/\\u00e9\"}", "{\"status\":400,"},
    {"{\"method\":\"PUT\",\"path\":7}", "{\"status\":400,"},
    {"{\"method\":\"PUT\",\"path\":\"/apps/7/devices/d\",\"data\":{}}",
     "{\"status\":400,\"error\":\"bad_request\",\"field\":null,\"message\":\"an item has "},
    {"{\"method\":\"PUT\",\"path\":\"/apps/7/devices/d\",\"body\":{},\"body\":{}}",
     "{\"status\":400,\"error\":\"bad_request\",\"field\":null,\"message\":\"a member is there twice"},
    {"{\"method\":\"DELETE\",\"path\":\"/apps/7/devices/k\",\"idempotency_key\":\"k-1\"}",
     "{\"status\":202,"},
    {"{\"method\":\"DELETE\",\"path\":\"/apps/7/devices/k\",\"idempotency_key\":null}",
     "{\"status\":202,"},
    {"{\"method\":\"DELETE\",\"path\":\"/apps/7/devices/k\",\"idempotency_key\":1}",
     "{\"status\":400,\"error\":\"bad_request\",\"field\":\"idempotency_key\","},
    {"{\"method\":\"DELETE\",\"path\":\"/apps/7/devices/k\",\"idempotency_key\":\"a b\"}",
     "{\"status\":400,\"error\":\"bad_request\",\"field\":\"idempotency_key\","},
    {"7", "{\"status\":400,\"error\":\"bad_json\",\"field\":null,\"message\":\"an item must be"},
    {"\"a,]\"", "{\"status\":400,\"error\":\"bad_json\","},
    {"nonsense", "{\"status\":400,\"error\":\"bad_json\",\"field\":null,\"message\":\"not JSON: "},
    {"{\"a\" 1}", "{\"status\":400,\"error\":\"bad_json\",\"field\":null,\"message\":\"not JSON: "},
    {PUT("z", "{\"sessions\":3}"), "{\"status\":202,\"partition\":"},
};

static void expect_answers(const char *answer, bool is_array)
{
    for (size_t i = 0; i < COUNT_OF(items); i++) {
        const char *before = is_array ? i == 0 ? "[\n" : ",\n" : "";
        ck_assert_int_eq(strncmp(answer, before, strlen(before)), 0);
        answer += strlen(before);
        ck_assert_msg(strncmp(answer, items[i].answer, strlen(items[i].answer)) == 0,
                      "item %zu: %.200s", i, answer);
        answer = strchr(answer, '\n');
        ck_assert_ptr_nonnull(answer);
        if (is_array) /* the comma, if there is one */
            answer -= answer[-1] == ',';
        else
            answer++;
    }
    ck_assert_str_eq(answer, is_array ? "\n]\n" : "");
}

/* Good and bad ones, as lines and as an array, at once and byte by byte. */
START_TEST(test_items)
{
    bool is_array = _i & 1;
    edge_world *world = world_new();
    world->config.in_flight_max = 1000;
    world_open(world);
    leat_buf body = {0};
    leat_buf_text(&body, is_array ? " [ " : "\n");
    for (size_t i = 0; i < COUNT_OF(items); i++)
        leat_buf_printf(&body, "%s%s", i == 0 ? "" : is_array ? "\n,\t" : " \r\n\n", items[i].item);
    leat_buf_text(&body, is_array ? "\n] \n" : "");
    send_batch(world, is_array ? JSON "; charset=utf-8" : NDJSON, leat_buf_cstr(&body), _i & 2);
    const char *answer = read_answer(world, true);
    expect_status(world, 207);
    expect_answers(answer, is_array);
    ck_assert_uint_eq(world->log->count, 7);
    ck_assert_str_eq(world->log->records[0].key, "7/a");
    ck_assert_str_eq(world->log->records[1].value, "{\"tags\":{\"a\":\"}]\\\"\"},\"price\":1.10}");
    ck_assert_str_eq(world->log->records[1].op, "patch");
    ck_assert_str_eq(world->log->records[2].op, "delete");
    ck_assert_str_eq(world->log->records[4].idempotency, "k-1");
    ck_assert_str_eq(world->log->records[5].idempotency, "");
    ck_assert_str_eq(world->log->records[6].key, "7/z");
    leat_buf_free(&body);
    world_free(world);
}
END_TEST

static const struct {
    const char *type;
    const char *body;
    int status;
    const char *answer; /* its end */
} wholes[] = {
    {NDJSON, "", 207, ""},
    {NDJSON, "\n \r\n", 207, ""},
    {JSON, "[]", 207, "[]\n"},
    {JSON, " [ ] ", 207, "[]\n"},
    {JSON, "", 207,
     "'[' is expected; the batch ends after 0 items, and what follows was not taken\"}\n]\n"},
    {JSON, "{}", 207,
     "the array breaks at byte 0: '[' is expected; the batch ends after 0 items, and what follows was not taken\"}\n]\n"},
    {JSON, "[1,]", 207,
     "the array breaks at byte 3: an item is expected; the batch ends after 1 items, and what follows was not taken\"}\n]\n"},
    {JSON, "[1 2]", 207,
     "the array breaks at byte 3: ',' or ']' is expected; the batch ends after 1 items, and what follows was not taken\"}\n]\n"},
    {JSON, "[1,{", 207,
     "an item has no end; the batch ends after 1 items, and what follows was not taken\"}\n]\n"},
    {JSON, "[1] x", 207,
     "nothing is expected after ']'; the batch ends after 1 items, and what follows was not taken\"}\n]\n"},
    {"text/plain", "x", 415, "Content-Type must be application/x-ndjson or application/json\"}"},
    {"", "x", 415, "Content-Type must be application/x-ndjson or application/json\"}"},
};

/* What a batch as a whole is answered; where an array breaks, the items before stand. */
START_TEST(test_wholes)
{
    edge_world *world = world_new();
    world_open(world);
    send_batch(world, wholes[_i].type, wholes[_i].body, false);
    const char *answer = read_answer(world, true);
    expect_status(world, wholes[_i].status);
    size_t size = strlen(answer), wanted = strlen(wholes[_i].answer);
    ck_assert_msg(size >= wanted && strcmp(answer + size - wanted, wholes[_i].answer) == 0, "%s",
                  answer);
    world_free(world);
}
END_TEST

/* An item may have body_max bytes of body. One that is larger is refused without being kept, and
 * the next one is read. */
START_TEST(test_large_items)
{
    bool is_array = _i & 1;
    edge_world *world = world_new();
    world_open(world);
    leat_buf body = {0};
    leat_buf_text(&body, is_array ? "[" : "");
    for (int i = 0; i < 2; i++) {
        leat_buf_text(
            &body,
            "{\"method\":\"PUT\",\"path\":\"/apps/7/devices/a\",\"body\":{\"sessions\":1,\"note\":\"");
        for (int k = 0; k < (i == 0 ? 1001 : 300000); k++)
            leat_buf_byte(&body, 'n');
        leat_buf_text(&body, is_array ? "\"}}," : "\"}}\n");
    }
    leat_buf_text(&body, PUT("z", "{\"sessions\":1}"));
    leat_buf_text(&body, is_array ? "]" : "");
    send_batch(world, is_array ? JSON : NDJSON, leat_buf_cstr(&body), false);
    const char *answer = read_answer(world, true);
    ck_assert_ptr_nonnull(
        answer = strstr(
            answer,
            "{\"status\":413,\"error\":\"too_large\",\"field\":null,\"message\":\"the body is too large\"}"));
    ck_assert_ptr_nonnull(
        answer = strstr(
            answer,
            "{\"status\":413,\"error\":\"too_large\",\"field\":null,\"message\":\"the item is too large\"}"));
    ck_assert_ptr_nonnull(strstr(answer, "{\"status\":202,"));
    ck_assert_uint_eq(world->log->count, 1);
    leat_buf_free(&body);
    world_free(world);
}
END_TEST

/* Items of 60 kB, and one whose body has all of body_max; the table takes none of them. */
static void append_large_items(leat_buf *body, uint32_t count, size_t body_max)
{
    static const char start[] = "{\"sessions\":\"", end[] = "\"}";
    for (uint32_t i = 0; i <= count; i++) {
        size_t size = i == count ? body_max - (sizeof start - 1) - (sizeof end - 1) : 60000;
        leat_buf_printf(body, "{\"method\":\"PUT\",\"path\":\"/apps/7/devices/a\",\"body\":%s",
                        start);
        while (size-- > 0)
            leat_buf_byte(body, 'n');
        leat_buf_printf(body, "%s}\n", end);
    }
}

/* Nothing of an item is taken before its end: however much body_max is, the window has room for
 * it, also over HTTP/2, where what was taken before it opens the window by halves. */
START_TEST(test_an_item_may_be_larger_than_the_usual_window)
{
    enum { BODY_MAX = 1024 * 1024, SMALL = 9 };
    bool is_h2 = _i;
    edge_world *world = world_new();
    world->config.http.body_max = BODY_MAX;
    world_open(world);
    leat_buf body = {0};
    append_large_items(&body, SMALL, BODY_MAX);
    if (is_h2) {
        stream_client *client = stream_client_connect(&world->loop, leat_edge_port(world->edge));
        /* the server's settings hold after it */
        stream_expect(client, stream_send(client, "GET", "/healthz", NULL), 200, NULL);
        stream_expect(client,
                      stream_send_typed(client, "POST", "/batch", NDJSON, leat_buf_cstr(&body)),
                      207, NULL);
        stream_client_free(client);
    } else {
        send_batch(world, NDJSON, leat_buf_cstr(&body), false);
        const char *answer = read_answer(world, false);
        expect_status(world, 207);
        for (uint32_t i = 0; i <= SMALL; i++) {
            ck_assert_int_eq(strncmp(answer, "{\"status\":422,", 14), 0);
            answer = strchr(answer, '\n') + 1;
        }
        ck_assert_str_eq(answer, "");
    }
    leat_buf_free(&body);
    world_free(world);
}
END_TEST

static void append_items(leat_buf *body, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        leat_buf_printf(body,
                        "{\"method\":\"PATCH\",\"path\":\"/apps/7/devices/k%u\",\"body\":{}}\n", i);
}

/* Answers keep the order of the items, whatever the order in which the log answers. */
START_TEST(test_answers_keep_order)
{
    edge_world *world = world_new();
    world->config.in_flight_max = 1000;
    world_open(world);
    leat_buf body = {0};
    append_items(&body, 50);
    send_batch(world, NDJSON, leat_buf_cstr(&body), false);
    wait_record(world, 50);
    for (uint32_t i = 50; i > 0; i--)
        fake_log_answer(world->log, i - 1, LEAT_APPENDED, i - 1, NULL);
    const char *answer = read_answer(world, false);
    for (int i = 0; i < 50; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "\"offset\":%d}\n", i);
        ck_assert_ptr_nonnull(answer = strstr(answer, expected));
    }
    leat_buf_free(&body);
    world_free(world);
}
END_TEST

/* While the log does not answer, a batch stops reading at a number of items, and goes on later. */
START_TEST(test_a_batch_has_few_items_in_flight)
{
    enum { COUNT = 3000, IN_FLIGHT = 1023 };
    edge_world *world = world_new();
    world->config.in_flight_max = 100000;
    world_open(world);
    leat_buf body = {0};
    append_items(&body, COUNT);
    send_head(world, NDJSON, body.size);
    test_send(&world->loop, world->reader.fd, body.data, body.size);
    wait_record(world, IN_FLIGHT);
    for (int i = 0; i < 100; i++)
        test_turn(&world->loop);
    ck_assert_uint_eq(world->log->count, IN_FLIGHT);
    const char *answer = read_answer(world, true);
    ck_assert_uint_eq(world->log->count, COUNT);
    uint32_t lines = 0;
    for (; *answer; answer++)
        lines += *answer == '\n';
    ck_assert_uint_eq(lines, COUNT);
    leat_buf_free(&body);
    world_free(world);
}
END_TEST

/* The log refuses one item for now: later ones of the same row are refused, too, so that they can
 * be sent again in their order; other rows are taken. */
START_TEST(test_a_refused_item_keeps_later_ones_of_its_row_back)
{
    bool by_answer = _i;
    edge_world *world = world_new();
    world->config.in_flight_max = 1000;
    world_open(world);
    send_head(world, NDJSON, 3 * (sizeof PUT("a", "{\"sessions\":1}") - 1) + 3);
    world->log->append_result = by_answer ? 0 : 1;
    test_send_text(&world->loop, world->reader.fd, PUT("a", "{\"sessions\":1}") "\n");
    if (by_answer) {
        wait_record(world, 1);
        fake_log_answer(world->log, 0, LEAT_APPEND_UNKNOWN, -1, "no answer");
    } else {
        for (int i = 0; i < 20; i++)
            test_turn(&world->loop);
    }
    world->log->append_result = 0;
    test_send_text(&world->loop, world->reader.fd, PUT("a", "{\"sessions\":2}") "\n");
    test_send_text(&world->loop, world->reader.fd, PUT("b", "{\"sessions\":3}") "\n");
    wait_record(world, 1 + (uint32_t)by_answer);
    fake_log_answer(world->log, by_answer, LEAT_APPENDED, 7, NULL);
    const char *answer = read_answer(world, false);
    ck_assert_int_eq(strncmp(answer, by_answer ? "{\"status\":504," : "{\"status\":503,", 14), 0);
    ck_assert_ptr_nonnull(answer = strchr(answer, '\n'));
    static const char later[] =
        "\n{\"status\":503,\"error\":\"overloaded\",\"field\":null,\"message\":"
        "\"an earlier write of this batch to the same row was not taken\",\"retry_after\":1}\n";
    ck_assert_int_eq(strncmp(answer, later, sizeof later - 1), 0);
    ck_assert_int_eq(strncmp(answer + sizeof later - 1, "{\"status\":202,", 14), 0);
    world_free(world);
}
END_TEST

static void write_tokens(const char *file, const char *token)
{
    char hex[LEAT_DIGEST_HEX_SIZE];
    leat_digest digest = leat_digest_of(leat_slice_of(token));
    FILE *to = fopen(file, "we");
    ck_assert_ptr_nonnull(to);
    leat_digest_to_hex(&digest, hex);
    fprintf(to, "name sha256:%s *:*\n", hex);
    ck_assert_int_eq(fclose(to), 0);
}

static void send_item(edge_world *world, const char *line, uint32_t count)
{
    test_send_text(&world->loop, world->reader.fd, line);
    wait_record(world, count);
}

/* Its token expires while the batch comes, or is taken out: each time it is looked up again. */
START_TEST(test_a_batch_does_not_outlive_its_token)
{
    static const char line[] = PUT("a", "{\"sessions\":1}") "\n";
    char file[] = "/tmp/leat-tokens-XXXXXX", head[256];
    leat_error error = {""};
    close(mkstemp(file));
    write_tokens(file, "old");
    leat_auth *auth = leat_auth_new(&(leat_auth_config){.tokens_file = file}, &error);
    ck_assert_msg(auth, "%s", error.text);
    edge_world *world = world_new();
    world->config.auth = auth;
    world_open(world);
    snprintf(head, sizeof head,
             "POST /batch HTTP/1.0\r\nContent-Type: " NDJSON "\r\nContent-Length: %zu\r\n"
             "Authorization: Bearer old\r\n\r\n",
             4 * (sizeof line - 1));
    test_send_text(&world->loop, world->reader.fd, head);
    send_item(world, line, 1);
    const edge_auth *own = &world->edge->auth;
    uintptr_t asked = own->asked;
    send_item(world, line, 2);
    ck_assert_uint_eq(own->asked, asked);
    ((leat_principal *)(uintptr_t)own->who)->expires_s = 1;
    send_item(world, line, 3);
    ck_assert_uint_gt(own->asked, asked);
    write_tokens(file, "new");
    ck_assert_int_eq(leat_auth_reload(auth, &error), 0);
    test_send_text(&world->loop, world->reader.fd, line);
    const char *answer = read_answer(world, true);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(strncmp(answer, "{\"status\":202,", 14), 0);
        ck_assert_ptr_nonnull(answer = strchr(answer, '\n'));
        answer++;
    }
    ck_assert_int_eq(strncmp(answer, "{\"status\":401,", 14), 0);
    ck_assert_uint_eq(world->log->count, 3);
    unlink(file);
    world_free(world);
    leat_auth_free(auth);
}
END_TEST

START_TEST(test_there_are_few_batches)
{
    edge_world *world = world_new();
    world->config.batches_max = 1;
    world_open(world);
    int first = world->reader.fd;
    send_head(world, NDJSON, 100);
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    world->reader.fd = -1;
    world_connect(world);
    send_head(world, NDJSON, 100);
    expect_answer(world, 503);
    close(first); /* its place is free again */
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    world_connect(world);
    send_batch(world, NDJSON, "", false);
    read_answer(world, false);
    expect_status(world, 207);
    world_free(world);
}
END_TEST

/* A connection has a quarter of the places, and others have theirs all the same. */
START_TEST(test_a_connection_has_few_batches)
{
    static const char line[] = PUT("a", "{\"sessions\":1}") "\n";
    static const char head[] = "POST /batch HTTP/1.1\r\nHost: a\r\nContent-Type: " NDJSON
                               "\r\nContent-Length: %zu\r\n%s\r\n%s";
    char text[512];
    edge_world *world = world_new();
    world->config.batches_max = 4;
    world_open(world);
    snprintf(text, sizeof text, head, sizeof line - 1, "", line);
    test_send_text(&world->loop, world->reader.fd, text);
    wait_record(world, 1);
    snprintf(text, sizeof text, head, sizeof line - 1, "Connection: close\r\n", line);
    test_send_text(&world->loop, world->reader.fd, text);
    int first = world->reader.fd;
    world->reader.fd = -1;
    world_connect(world);
    send_batch(world, NDJSON, "", false);
    read_answer(world, false);
    expect_status(world, 207);
    close(world->reader.fd);
    world->reader = (test_reader){.fd = first};
    const char *answer = read_answer(world, true);
    expect_status(world, 207);
    ck_assert_ptr_nonnull(answer = strstr(answer, "HTTP/1.1 503 "));
    ck_assert_ptr_nonnull(strstr(answer, "on this connection at once"));
    ck_assert_uint_eq(world->log->count, 1);
    world_free(world);
}
END_TEST

/* Its client leaves while the log has its records, or the edge is freed: nobody is answered. */
START_TEST(test_a_batch_without_a_client)
{
    edge_world *world = world_new();
    world_open(world);
    send_head(world, NDJSON, 1000);
    test_send_text(&world->loop, world->reader.fd, PUT("a", "{\"sessions\":1}") "\n");
    test_send_text(&world->loop, world->reader.fd, PUT("b", "{\"sessions\":1}") "\n");
    wait_record(world, 2);
    if (_i & 1) {
        close(world->reader.fd);
        world->reader.fd = -1;
        for (int i = 0; i < 20; i++)
            test_turn(&world->loop);
    }
    if (_i & 2) {
        fake_log_answer(world->log, 0, LEAT_APPENDED, 1, NULL);
        fake_log_answer(world->log, 1, LEAT_APPENDED, 2, NULL);
    }
    world_free(world);
}
END_TEST

static void on_drained(void *context)
{
    ((edge_world *)context)->drained = true;
}

/* An edge that is not ready any more serves whoever still comes. */
START_TEST(test_a_batch_while_the_edge_leaves)
{
    edge_world *world = world_new();
    world_open(world);
    leat_edge_leave(world->edge);
    send_batch(world, NDJSON, PUT("a", "{\"sessions\":1}"), false);
    ck_assert_ptr_nonnull(strstr(read_answer(world, true), "{\"status\":202,"));
    expect_status(world, 207);
    world_free(world);
}
END_TEST

/* A drain ends a batch: its items are answered, and the client hears that no more are taken. */
START_TEST(test_a_drain_ends_a_batch)
{
    edge_world *world = world_new();
    world_open(world);
    send_head(world, NDJSON, 1000);
    test_send_text(&world->loop, world->reader.fd, PUT("a", "{\"sessions\":1}") "\n");
    wait_record(world, 1);
    leat_edge_drain(world->edge, on_drained, world);
    fake_log_answer(world->log, 0, LEAT_APPENDED, 1, NULL);
    const char *answer = read_answer(world, false);
    ck_assert_ptr_nonnull(answer = strstr(answer, "\"offset\":1}\n"));
    ck_assert_ptr_nonnull(strstr(
        answer,
        "{\"status\":503,\"error\":\"unavailable\",\"field\":null,\"message\":"
        "\"this process is being stopped; the batch ends after 1 items, and what follows was not taken\""));
    test_turn_until(&world->loop, &world->drained);
    world_free(world);
}
END_TEST

/* And lets none begin, for that reason. */
START_TEST(test_a_drain_lets_no_batch_begin)
{
    edge_world *world = world_new();
    world_open(world);
    test_send_text(&world->loop, world->reader.fd, "POST /batch HTTP/1.1\r\n");
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    leat_edge_drain(world->edge, on_drained, world);
    test_send_text(&world->loop, world->reader.fd,
                   "Host: a\r\nContent-Type: " NDJSON "\r\nContent-Length: 0\r\n\r\n");
    const char *answer = read_answer(world, false);
    expect_status(world, 503);
    ck_assert_ptr_nonnull(strstr(answer, "{\"error\":\"unavailable\",\"field\":null,"
                                         "\"message\":\"this process is being stopped\""));
    test_turn_until(&world->loop, &world->drained);
    world_free(world);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batch");
    TCase *tests = tcase_create("batch");
    tcase_add_loop_test(tests, test_items, 0, 4);
    tcase_add_loop_test(tests, test_wholes, 0, COUNT_OF(wholes));
    tcase_add_loop_test(tests, test_large_items, 0, 2);
    tcase_add_loop_test(tests, test_an_item_may_be_larger_than_the_usual_window, 0, 2);
    tcase_add_test(tests, test_answers_keep_order);
    tcase_add_test(tests, test_a_batch_has_few_items_in_flight);
    tcase_add_loop_test(tests, test_a_refused_item_keeps_later_ones_of_its_row_back, 0, 2);
    tcase_add_test(tests, test_a_batch_does_not_outlive_its_token);
    tcase_add_test(tests, test_there_are_few_batches);
    tcase_add_test(tests, test_a_connection_has_few_batches);
    tcase_add_loop_test(tests, test_a_batch_without_a_client, 0, 4);
    tcase_add_test(tests, test_a_batch_while_the_edge_leaves);
    tcase_add_test(tests, test_a_drain_ends_a_batch);
    tcase_add_test(tests, test_a_drain_lets_no_batch_begin);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
