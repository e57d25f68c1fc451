/* Malformed requests and the status of each; and that nothing behind one on its connection is taken
 * for a request, whether it comes in one piece or byte by byte. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define BEHIND             "GET /behind HTTP/1.1\r\nHost: a\r\n\r\n"
#define CASE(status, text) {status, text, sizeof(text) - 1}
#define HEAD(text)         "GET /a HTTP/1.1\r\nHost: a\r\n" text "\r\n\r\n"
#define CHUNKED(text)      "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" text

static const struct {
    int status;
    const char *text;
    size_t size;
} cases[] = {
    /* the request line */
    CASE(400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), /* a TLS client */
    CASE(400, "hello\r\n\r\n"),
    CASE(400, "get /a HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GETX /a HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, " GET /a HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET\t/a HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET a HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET ftp://a/b HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET * HTTP/1.1 \r\nHost: a\r\n\r\n"),
    CASE(400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"), /* for OPTIONS only */
    CASE(400, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET /a\x7f HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET /a HTTP/1.1\nHost: a\r\n\r\n"),
    CASE(400, "GET /a HTTP/1.1\rHost: a\r\n\r\n"),
    CASE(400, "GET /a http/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET /a HTTX/1.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET /a HTTP/1,1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET /a HTTP/a.1\r\nHost: a\r\n\r\n"),
    CASE(400, "GET /a HTTP/11\r\nHost: a\r\n\r\n"),
    CASE(400, "GET /a RTSP/1.0\r\nHost: a\r\n\r\n"),
    CASE(400, "SOURCE /a ICE/1.0\r\nHost: a\r\n\r\n"),
    CASE(400, "DESCRIBE /a HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(501, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
    CASE(505, "GET /a\r\nHost: a\r\n\r\n"), /* HTTP/0.9 as it was */
    CASE(505, "GET /a HTTP/0.9\r\nHost: a\r\n\r\n"),
    CASE(505, "GET /a HTTP/1.2\r\nHost: a\r\n\r\n"),
    CASE(505, "GET /a HTTP/2.0\r\nHost: a\r\n\r\n"),
    CASE(505, "GET /a HTTP/3.7\r\nHost: a\r\n\r\n"),
    CASE(400, "PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n"), /* almost a preface */
    CASE(400, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    /* headers */
    CASE(400, "GET /a HTTP/1.1\r\n\r\n"),
    CASE(400, HEAD("Host: a")),
    CASE(400, HEAD("Host: b")),
    CASE(400, "GET /a HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"),
    CASE(400, "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    CASE(400, "GET /a HTTP/1.1\r\nHost: a b\r\n\r\n"),
    CASE(400, "GET /a HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    CASE(400, "GET /a HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    CASE(400, "GET /a HTTP/1.1\r\nHost: \xff\r\n\r\n"),
    CASE(400, HEAD("X : 1")),
    CASE(400, HEAD(" X: 1")),
    CASE(400, HEAD("X: 1\r\n folded")),
    CASE(400, HEAD("X: 1\r\n\tfolded")),
    CASE(400, HEAD("X: 1\nY: 2")),
    CASE(400, HEAD("X: 1\rY: 2")),
    CASE(400, HEAD("X: a\0b")),
    CASE(400, HEAD("X\0: b")),
    CASE(400, HEAD("X: a\x01")),
    CASE(400, HEAD("X: a\x7f")),
    CASE(400, HEAD("X Y: 1")),
    CASE(400, HEAD("X(Y): 1")),
    CASE(400, HEAD("\xc3\xa4: 1")),
    CASE(400, HEAD(": 1")),
    CASE(400, HEAD("X")),
    CASE(400, HEAD("Content-Type: a\r\nContent-Type: b")),
    CASE(400, HEAD("Content-Encoding: gzip\r\nContent-Encoding: identity")),
    CASE(400, "GET /a HTTP/1.1\r\nHost: a\r\n\r"
              "X"),
    CASE(417, HEAD("Expect: everything")),
    CASE(417, HEAD("Expect: 100-continue\r\nExpect: 100-continue")),
    /* how long the body is */
    CASE(400, HEAD("Content-Length:")),
    CASE(400, HEAD("Content-Length: x")),
    CASE(400, HEAD("Content-Length: +5")),
    CASE(400, HEAD("Content-Length: -5")),
    CASE(400, HEAD("Content-Length: 5 5")),
    CASE(400, HEAD("Content-Length: 1,1")),
    CASE(400, HEAD("Content-Length: 0x1")),
    CASE(400, HEAD("Content-Length: 1.0")),
    CASE(400, HEAD("Content-Length: 18446744073709551616")),
    CASE(400, HEAD("Content-Length: 1\r\nContent-Length: 1")),
    CASE(400, HEAD("Content-Length: 1\r\nContent-Length: 2")),
    CASE(400, HEAD("Content-Length : 1")),
    CASE(400, HEAD("Content-Length: 1\r\nTransfer-Encoding: chunked")),
    CASE(400, HEAD("Transfer-Encoding: chunked\r\nContent-Length: 1")),
    CASE(400, HEAD("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked")),
    CASE(400, HEAD("Transfer-Encoding: chunked, chunked")),
    CASE(400, HEAD("Transfer-Encoding: chunked, gzip")),
    CASE(400, HEAD("Transfer-Encoding : chunked")),
    CASE(400, HEAD("Transfer-Encoding:")),
    CASE(400, "PUT /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    CASE(501, HEAD("Transfer-Encoding: xchunked")),
    CASE(501, HEAD("Transfer-Encoding: identity")),
    CASE(501, HEAD("Transfer-Encoding: gzip, chunked")),
    CASE(501, HEAD("Transfer-Encoding: \"chunked\"")),
    /* chunks */
    CASE(400, CHUNKED("x\r\n")),
    CASE(400, CHUNKED("0x1\r\na\r\n")),
    CASE(400, CHUNKED("+1\r\na\r\n")),
    CASE(400, CHUNKED("-1\r\na\r\n")),
    CASE(400, CHUNKED(" 1\r\na\r\n")),
    CASE(400, CHUNKED("1 \r\na\r\n")),
    CASE(400, CHUNKED("1\na\r\n0\r\n\r\n")),
    CASE(400, CHUNKED("1\ra\r\n")),
    CASE(400, CHUNKED("1\r\nab\r\n")),
    CASE(400, CHUNKED("1\r\na\n0\r\n\r\n")),
    CASE(400, CHUNKED("1\r\na0\r\n\r\n")),
    CASE(400, CHUNKED("1;a\nb\r\na\r\n")),
    CASE(400, CHUNKED("1;\0\r\na\r\n")),
    CASE(400, CHUNKED("10000000000000000\r\n")),
    CASE(400, CHUNKED("\r\n")),
    CASE(400, CHUNKED("0\r\nX Y: 1\r\n\r\n")),
    CASE(400, CHUNKED("0\r\nX: 1\n\r\n")),
    CASE(400, CHUNKED("0\r\nContent-Length: 1\r\n\r\n")),
};

static void expect_refusal(http_world *world, int status)
{
    static const struct {
        int status;
        const char *start;
    } words[] = {
        {400, "{\"error\":\"bad_request\",\"field\":null,\"message\":\""},
        {408, "{\"error\":\"timeout\",\"field\":null,\"message\":\""},
        {413, "{\"error\":\"too_large\",\"field\":null,\"message\":\""},
        {414, "{\"error\":\"too_large\",\"field\":null,\"message\":\""},
        {417, "{\"error\":\"bad_request\",\"field\":null,\"message\":\""},
        {431, "{\"error\":\"too_large\",\"field\":null,\"message\":\""},
        {501, "{\"error\":\"bad_request\",\"field\":null,\"message\":\""},
        {505, "{\"error\":\"bad_request\",\"field\":null,\"message\":\""},
    };
    world_expect(world, status);
    ck_assert(world->answer.closes);
    char room[64];
    ck_assert_str_eq(test_header(&world->answer, "content-type", room, sizeof room),
                     "application/problem+json");
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].status == status)
            ck_assert_msg(strncmp(world->answer.body, words[i].start, strlen(words[i].start)) == 0,
                          "%s", world->answer.body);
    world_expect_eof(world);
    ck_assert_uint_eq(world->seen, 0);
}

START_TEST(test_refused)
{
    http_world *world = world_new();
    world_open(world);
    world_connect(world);
    leat_buf text = {0};
    leat_buf_append(&text, cases[_i].text, cases[_i].size);
    leat_buf_text(&text, BEHIND);
    test_send(&world->loop, world->reader.fd, text.data, text.size);
    expect_refusal(world, cases[_i].status);
    ck_assert_uint_eq(leat_http_count(world->server)->malformed, 1);
    world_connect(world);
    for (size_t i = 0; i < text.size; i++)
        test_send(&world->loop, world->reader.fd, text.data + i, 1);
    expect_refusal(world, cases[_i].status);
    leat_buf_free(&text);
    world_free(world);
}
END_TEST

/* A good request before the bad one is answered, in its place. */
START_TEST(test_refused_behind_a_good_one)
{
    http_world *world = world_new();
    world->holds = true;
    world_open(world);
    world_connect(world);
    world_send(world, "GET /good HTTP/1.1\r\nHost: a\r\n\r\nGET /bad HTTP/1.1\r\n\r\n" BEHIND);
    world_wait_held(world, 1);
    for (int i = 0; i < 20; i++)
        test_turn(&world->loop);
    world_echo(world->held[0]);
    world_expect_body(world, 200, "GET /good ");
    ck_assert(!world->answer.closes);
    world->seen = 0;
    expect_refusal(world, 400);
    world_free(world);
}
END_TEST

typedef struct repeated {
    int status;
    const char *start;
    const char *again;
    size_t times;
    const char *end;
} repeated;

static const repeated large[] = {
    {414, "GET /", "aaaaaaaaaaaaaaaa", 1000, " HTTP/1.1\r\nHost: a\r\n\r\n"},
    {200, "GET /", "aaaaaaaaaaaaaaaa", 500, " HTTP/1.1\r\nHost: a\r\n\r\n"},
    {414, "GET /", "aaaaaaaaaaaaaaaa", 512, " HTTP/1.1\r\nHost: a\r\n\r\n"},
    {431, "GET / HTTP/1.1\r\nHost: a\r\nX: ", "aaaaaaaaaaaaaaaa", 1100, "\r\n\r\n"},
    {431, "GET / HTTP/1.1\r\nHost: a\r\nX", "aaaaaaaaaaaaaaaa", 1100, ": 1\r\n\r\n"},
    {431, "GET / HTTP/1.1\r\nHost: a\r\nX:", "                ", 1100, "1\r\n\r\n"},
    {200, "GET / HTTP/1.1\r\nHost: a\r\n", "X: 1\r\n", 99, "\r\n"},
    {431, "GET / HTTP/1.1\r\nHost: a\r\n", "X: 1\r\n", 100, "\r\n"},
    {431, "", "\r\n", 9000, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
    {400, CHUNKED("1;"), "aaaaaaaaaaaaaaaa", 300, "\r\na\r\n0\r\n\r\n"},
    {400, CHUNKED("1;a="), "aaaaaaaaaaaaaaaa", 300, "\r\na\r\n0\r\n\r\n"},
    {400, CHUNKED(""), "1;aaaaaaaaaaaaaa\r\na\r\n", 300, "0\r\n\r\n"},
    {431, CHUNKED("0\r\n"), "Trailer: 0123456789\r\n", 1000, "\r\n"},
    {200, CHUNKED("0\r\n"), "Trailer: 0123456789\r\n", 100, "\r\n"},
};

START_TEST(test_large)
{
    const repeated *it = &large[_i];
    http_world *world = world_new();
    world_open(world);
    world_connect(world);
    leat_buf text = {0};
    leat_buf_text(&text, it->start);
    for (size_t i = 0; i < it->times; i++)
        leat_buf_text(&text, it->again);
    leat_buf_text(&text, it->end);
    test_send(&world->loop, world->reader.fd, text.data, text.size);
    leat_buf_free(&text);
    if (it->status == 200)
        world_expect(world, 200);
    else
        expect_refusal(world, it->status);
    world_free(world);
}
END_TEST

/* Random bytes, and a good request with bytes changed: whatever the answer, the server lives and
 * answers others. */
START_TEST(test_noise)
{
    static const char good[] =
        "PUT /a/b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: y\r\n\r\nhello" CHUNKED(
            "3\r\nabc\r\n0\r\n\r\n");
    http_world *world = world_new();
    world_open(world);
    leat_prng prng = {(uint64_t)_i + 1};
    for (int round = 0; round < 50; round++) {
        char text[sizeof good];
        memcpy(text, good, sizeof good);
        for (uint64_t changes = leat_prng_below(&prng, 4) + 1; changes > 0; changes--)
            text[leat_prng_below(&prng, sizeof good - 1)] = (char)leat_prng_next(&prng);
        world_connect(world);
        size_t cut = leat_prng_below(&prng, sizeof good);
        test_send(&world->loop, world->reader.fd, text, cut);
        test_send(&world->loop, world->reader.fd, text + cut, sizeof good - 1 - cut);
    }
    world_connect(world);
    world_send(world, "GET /fine HTTP/1.1\r\nHost: a\r\n\r\n");
    world_expect_body(world, 200, "GET /fine ");
    world_free(world);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("http_malformed");
    TCase *refused = tcase_create("refused");
    tcase_add_loop_test(refused, test_refused, 0, (int)(sizeof cases / sizeof *cases));
    tcase_add_test(refused, test_refused_behind_a_good_one);
    tcase_add_loop_test(refused, test_large, 0, (int)(sizeof large / sizeof *large));
    tcase_add_loop_test(refused, test_noise, 0, 10);
    suite_add_tcase(s, refused);
    return s;
}

int main(void)
{
    return world_run(suite());
}
