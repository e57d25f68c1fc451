/* The lanes of `leat send` at an edge that follows a script, by a clock that the test sets. */
#include "../record/fixture.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/send_lane.h"

enum { TURNS_MAX = 100000, TURN_MS = 20, LIMIT_S = 600 };

static int64_t shift_us; /* of the test's thread, which alone asks for the time */

int64_t __real_leat_mono_us(void);
int64_t __wrap_leat_mono_us(void);

int64_t __wrap_leat_mono_us(void)
{
    return __real_leat_mono_us() + shift_us;
}

/* ---- the edge ---- */

typedef struct edge {
    int fd;
    char url[64];
    const char *const *lines; /* one answer, with one item, for each connection; NULL: the end */
    pthread_t thread;
    _Atomic uint32_t answered;
} edge;

/* To the end of a request whose body is one line. */
static void read_request(int fd)
{
    char byte, last[2] = "";
    for (int lines = 0; lines < 1;) {
        ck_assert_int_eq(read(fd, &byte, 1), 1);
        lines += byte == '\n' && last[0] == '}'; /* what a header does not end with */
        last[0] = byte;
    }
}

static void *run_edge(void *argument)
{
    edge *own = argument;
    for (; *own->lines; own->lines++) {
        int fd = accept(own->fd, NULL, NULL);
        ck_assert_int_ge(fd, 0);
        read_request(fd);
        dprintf(fd,
                "HTTP/1.1 207 Multi-Status\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
                strlen(*own->lines) + 1, *own->lines);
        close(fd);
        atomic_fetch_add(&own->answered, 1);
    }
    return NULL;
}

static void start_edge(edge *own, const char *const *lines)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    *own = (edge){.fd = socket(AF_INET, SOCK_STREAM, 0), .lines = lines};
    ck_assert_int_eq(bind(own->fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(listen(own->fd, 8), 0);
    ck_assert_int_eq(getsockname(own->fd, (struct sockaddr *)&address, &size), 0);
    snprintf(own->url, sizeof own->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    ck_assert_int_eq(pthread_create(&own->thread, NULL, run_edge, own), 0);
}

/* ---- the lanes ---- */

static leat_send_lanes *lanes_to(const edge *to, leat_send_kept **ret_kept)
{
    leat_error error = {""};
    *ret_kept = leat_send_kept_open(NULL, false, -1, &error);
    leat_send_config config = {.target = {.url = to->url},
                               .lanes = 1,
                               .batch = 10,
                               .give_up_s = LIMIT_S,
                               .kept = *ret_kept};
    leat_send_lanes *lanes = leat_send_lanes_new(&config, &error);
    ck_assert_msg(lanes != NULL, "%s", error.text);
    leat_send_item item = {.text = leat_must_strdup("{}"), .size = 2, .line = 1};
    leat_send_lanes_add(lanes, &item);
    return lanes;
}

/* Until the edge has given so many answers and nothing is on its way. */
static void turn_until(leat_send_lanes *lanes, const edge *to, uint32_t answers)
{
    leat_error error = {""};
    for (int i = 0; i < TURNS_MAX; i++) {
        ck_assert_msg(leat_send_lanes_turn(lanes, -1, TURN_MS, &error) == 0, "%s", error.text);
        if (atomic_load(&to->answered) == answers && leat_send_lanes_busy(lanes) == 0)
            return;
    }
    ck_abort_msg("the edge has not answered");
}

static void end(leat_send_lanes *lanes, leat_send_kept *kept, edge *to)
{
    leat_error error = {""};
    pthread_join(to->thread, NULL);
    close(to->fd);
    leat_send_lanes_free(lanes);
    ck_assert_int_eq(leat_send_kept_close(kept, &error), 0);
}

START_TEST(a_wait_that_the_edge_asks_for_is_not_cut_short)
{
    static const char *const lines[] = {"{\"status\":429,\"retry_after\":600}",
                                        "{\"status\":429,\"retry_after\":590}", "{\"status\":202}",
                                        NULL};
    edge to;
    start_edge(&to, lines);
    leat_send_kept *kept;
    leat_send_lanes *lanes = lanes_to(&to, &kept);
    for (uint32_t answers = 1; answers <= 3; answers++) {
        turn_until(lanes, &to, answers);
        shift_us += (LIMIT_S + 1) * INT64_C(1000000);
    }
    ck_assert_uint_eq(leat_send_lanes_left(lanes), 0);
    ck_assert_uint_eq(leat_send_lanes_counts(lanes)->accepted, 1);
    end(lanes, kept, &to);
}
END_TEST

START_TEST(an_edge_that_takes_nothing_is_given_up)
{
    static const char *const lines[] = {"{\"status\":503,\"retry_after\":1}", NULL};
    edge to;
    leat_error error = {""};
    start_edge(&to, lines);
    leat_send_kept *kept;
    leat_send_lanes *lanes = lanes_to(&to, &kept);
    turn_until(lanes, &to, 1);
    shift_us += (LIMIT_S + 1) * INT64_C(1000000);
    ck_assert_int_eq(leat_send_lanes_turn(lanes, -1, TURN_MS, &error), -1);
    ck_assert_msg(strstr(error.text, "nothing was taken for 600 s"), "%s", error.text);
    ck_assert_uint_eq(leat_send_lanes_left(lanes), 1);
    end(lanes, kept, &to);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("send_lane");
    TCase *tests = tcase_create("send_lane");
    tcase_add_test(tests, a_wait_that_the_edge_asks_for_is_not_cut_short);
    tcase_add_test(tests, an_edge_that_takes_nothing_is_given_up);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
