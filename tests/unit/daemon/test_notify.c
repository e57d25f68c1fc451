/* The messages that a service manager reads from its socket: a real one, bound as a file and as an
 * abstract name. */
#include "../record/fixture.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/notify.h"

typedef struct manager {
    int fd;
    char directory[32];
    char name[64]; /* as in NOTIFY_SOCKET */
} manager;

static manager manager_new(bool abstract)
{
    manager m = {.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0),
                 .directory = "/tmp/leat-notify-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(m.directory));
    snprintf(m.name, sizeof m.name, "%s%s/socket", abstract ? "@" : "", m.directory);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(m.name);
    memcpy(address.sun_path, m.name, size);
    if (abstract)
        address.sun_path[0] = '\0';
    ck_assert_int_eq(bind(m.fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)),
                     0);
    setenv("NOTIFY_SOCKET", m.name, 1);
    return m;
}

static void manager_free(manager *m)
{
    close(m->fd);
    if (m->name[0] == '/')
        unlink(m->name);
    ck_assert_int_eq(rmdir(m->directory), 0);
    unsetenv("NOTIFY_SOCKET");
}

/* The next datagram, which is there already; "" when there is none. */
static void expect(const manager *m, const char *state)
{
    char text[256];
    ssize_t size = recv(m->fd, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    ck_assert_str_eq(text, state);
}

START_TEST(each_state_is_one_datagram)
{
    manager m = manager_new(_i == 1);
    ck_assert(leat_sd_notify("READY=1\nSTATUS=up"));
    ck_assert(leat_sd_notify("STOPPING=1"));
    expect(&m, "READY=1\nSTATUS=up");
    expect(&m, "STOPPING=1");
    expect(&m, "");
    manager_free(&m);
}
END_TEST

START_TEST(without_a_manager_nothing_is_said)
{
    unsetenv("NOTIFY_SOCKET");
    ck_assert(!leat_sd_notify("READY=1"));
    setenv("NOTIFY_SOCKET", "", 1);
    ck_assert(!leat_sd_notify("READY=1"));
}
END_TEST

START_TEST(a_manager_that_is_gone_harms_nobody)
{
    manager m = manager_new(false);
    manager_free(&m);
    setenv("NOTIFY_SOCKET", m.name, 1);
    ck_assert(!leat_sd_notify("READY=1"));
}
END_TEST

START_TEST(addresses_of_another_kind_are_refused)
{
    char name[sizeof((struct sockaddr_un *)0)->sun_path + 1] = "/";
    memset(name + 1, 'x', sizeof name - 2);
    const char *const names[] = {"vsock:2:1234", "relative", "/", "@", name};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        ck_assert_msg(!leat_sd_notify("READY=1"), "%s", names[i]);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("notify");
    TCase *tests = tcase_create("notify");
    tcase_add_loop_test(tests, each_state_is_one_datagram, 0, 2);
    tcase_add_test(tests, without_a_manager_nothing_is_said);
    tcase_add_test(tests, a_manager_that_is_gone_harms_nobody);
    tcase_add_test(tests, addresses_of_another_kind_are_refused);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
