/* Where a DSN leads to: the hosts that libpq would take, name by name and address by address. Asks
 * no server; of names only `localhost`, and one that cannot be. */
#include "sink/pg/hosts.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sink/pg/lookup.h"

static leat_pg_dsn *dsn;
static leat_pg_hosts *hosts;

static void begin(const char *text)
{
    leat_error error;
    dsn = leat_pg_dsn_new(text, NULL, &error);
    ck_assert_msg(dsn != NULL, "%s", error.text);
    hosts = leat_pg_hosts_new(dsn);
    leat_pg_hosts_begin(hosts);
}

static void end(void)
{
    leat_pg_hosts_free(hosts);
    leat_pg_dsn_free(dsn);
}

static void wait_for_a_name(void)
{
    struct pollfd wake = {.fd = leat_pg_hosts_fd(hosts), .events = POLLIN};
    ck_assert_int_eq(poll(&wake, 1, 60000), 1);
}

static bool next_place(leat_pg_place *ret)
{
    leat_pg_hosts_step step;
    while ((step = leat_pg_hosts_next(hosts, ret)) == LEAT_PG_HOSTS_WAIT)
        wait_for_a_name();
    return step == LEAT_PG_HOSTS_PLACE;
}

static const char *or_none(const char *text)
{
    return text ? text : "-";
}

/* "host/address/port ..." */
static void all_places(char *ret, size_t size)
{
    leat_pg_place place;
    ret[0] = '\0';
    for (size_t used = 0; next_place(&place) && used < size; used = strlen(ret))
        snprintf(ret + used, size - used, "%s%s/%s/%s", used ? " " : "", or_none(place.host),
                 or_none(place.hostaddr), or_none(place.port));
}

static const struct {
    const char *dsn;
    const char *places;
} lists[] = {
    {"dbname=d", "-/-/5432"},
    {"host=/tmp", "/tmp/-/5432"},
    {"host=192.0.2.1 port=7", "192.0.2.1/-/7"},
    {"host=192.0.2.1,192.0.2.2,/tmp port=7,8,9", "192.0.2.1/-/7 192.0.2.2/-/8 /tmp/-/9"},
    {"host=192.0.2.1,192.0.2.2 port=7", "192.0.2.1/-/7 192.0.2.2/-/7"},
    {"host=192.0.2.1,192.0.2.2 port=7,", "192.0.2.1/-/7 192.0.2.2/-/-"},
    {"host=a.example,b.example hostaddr=192.0.2.1,192.0.2.2",
     "a.example/192.0.2.1/5432 b.example/192.0.2.2/5432"},
    {"hostaddr=192.0.2.1,::1 port=1,2", "-/192.0.2.1/1 -/::1/2"},
    {"postgresql://u:p@192.0.2.1:7,[::1]:8/d", "192.0.2.1/-/7 ::1/-/8"},
    {"host=a,b,c port=1,2", "-/-/-"}, /* libpq reports the fault */
    {"service=nowhere", "-/-/-"},
    {"service=here", "192.0.2.7/-/77"},
    {"service=here port=78", "192.0.2.7/-/78"},
    {"service=here host=192.0.2.8", "192.0.2.8/-/77"},
};

START_TEST(the_places_are_those_of_libpq)
{
    char places[512], file[] = "/tmp/leat_service_XXXXXX";
    static const char services[] = "[here]\nhost=192.0.2.7\nport=77\n";
    int fd = mkstemp(file);
    ck_assert(write(fd, services, sizeof services - 1) == sizeof services - 1);
    setenv("PGSERVICEFILE", file, 1);
    begin(lists[_i].dsn);
    all_places(places, sizeof places);
    ck_assert_str_eq(places, lists[_i].places);
    end();
    close(fd);
    unlink(file);
}
END_TEST

START_TEST(the_environment_counts_behind_the_dsn)
{
    char places[512];
    setenv("PGHOST", "db.example", 1);
    setenv("PGHOSTADDR", "192.0.2.5", 1);
    setenv("PGPORT", "99", 1);
    begin("dbname=d");
    all_places(places, sizeof places);
    ck_assert_str_eq(places, "db.example/192.0.2.5/99");
    end();
    begin("host=x.example port=1");
    all_places(places, sizeof places);
    ck_assert_str_eq(places, "x.example/192.0.2.5/1"); /* as in libpq */
    end();
}
END_TEST

START_TEST(a_name_is_looked_up_and_kept)
{
    char places[512];
    begin("host=localhost port=7");
    all_places(places, sizeof places);
    ck_assert_msg(strstr(places, "localhost/127.0.0.1/7") != NULL, "%s", places);
    end();
}
END_TEST

START_TEST(a_name_that_is_none_is_passed_over_and_told)
{
    char places[512], text[512] = "";
    begin("host=no-such-name.invalid,192.0.2.1");
    all_places(places, sizeof places);
    ck_assert_str_eq(places, "192.0.2.1/-/5432");
    leat_pg_hosts_append_failures(hosts, text, sizeof text);
    ck_assert_msg(strstr(text, "the host name \"no-such-name.invalid\" cannot be looked up: ") ==
                      text,
                  "%s", text);
    end();
}
END_TEST

START_TEST(names_have_a_time_limit)
{
    char text[512] = "";
    leat_pg_place place;
    begin("host=no-such-name.invalid");
    leat_pg_hosts_give_up(hosts);
    ck_assert_int_eq(leat_pg_hosts_next(hosts, &place), LEAT_PG_HOSTS_END);
    leat_pg_hosts_append_failures(hosts, text, sizeof text);
    ck_assert_str_eq(
        text, "the host name \"no-such-name.invalid\" cannot be looked up: no answer within 10 s");
    leat_pg_hosts_end(hosts, false);
    leat_pg_hosts_begin(hosts); /* what is under way serves the next attempt, or is dropped with the
                                   hosts */
    end();
}
END_TEST

static void await_addresses(leat_lookup *lookup, leat_addresses *ret)
{
    int64_t until_us = leat_mono_us() + 60000000;
    while (!leat_lookup_take(lookup, ret) && leat_mono_us() < until_us)
        usleep(1000);
    ck_assert_uint_gt(ret->count, 0);
}

/* Each has its answer, even if others were dropped before or after it came. */
START_TEST(who_asks_for_one_name_shares_a_lookup)
{
    enum { ASKERS = 32 };
    leat_lookup *lookups[ASKERS];
    for (int i = 0; i < ASKERS; i++)
        ck_assert_ptr_nonnull(lookups[i] = leat_lookup_start("localhost", -1));
    for (int i = 0; i < ASKERS; i += 2)
        leat_lookup_drop(lookups[i]);
    for (int i = 1; i < ASKERS; i += 2) {
        leat_addresses found = {0};
        await_addresses(lookups[i], &found);
        leat_lookup_drop(lookups[i]);
    }
}
END_TEST

START_TEST(the_good_place_is_first_from_then_on)
{
    char places[512];
    leat_pg_place place;
    begin("host=192.0.2.1,192.0.2.2,192.0.2.3");
    ck_assert(next_place(&place) && next_place(&place));
    leat_pg_hosts_end(hosts, true);
    leat_pg_hosts_begin(hosts);
    all_places(places, sizeof places);
    ck_assert_str_eq(places, "192.0.2.2/-/5432 192.0.2.3/-/5432 192.0.2.1/-/5432");
    end();
}
END_TEST

static const struct {
    const char *dsn;
    int64_t limit_ms;
} limits[] = {
    {"host=192.0.2.1", 10000},
    {"host=192.0.2.1,192.0.2.2", 5000},
    {"host=192.0.2.1,192.0.2.2 connect_timeout=30", 30000},
    {"host=192.0.2.1 connect_timeout=2", 2000},
};

START_TEST(each_place_has_a_limit)
{
    begin(limits[_i].dsn);
    ck_assert_int_eq(leat_pg_hosts_limit_ms(hosts), limits[_i].limit_ms);
    end();
}
END_TEST

START_TEST(messages_become_one_line)
{
    char text[40] = "";
    leat_pg_hosts_append(text, sizeof text, "one\n\ttwo\n");
    leat_pg_hosts_append(text, sizeof text, "three");
    ck_assert_str_eq(text, "one two; three");
    leat_pg_hosts_append(text, sizeof text, "a text that is longer than what is left");
    ck_assert_uint_eq(strlen(text), sizeof text - 1);
    leat_pg_hosts_append(text, sizeof text, "more");
    ck_assert_uint_eq(strlen(text), sizeof text - 1);
}
END_TEST

int main(void)
{
    static const char *const settings[] = {"PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE"};
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        unsetenv(settings[i]);
    Suite *suite = suite_create("pg_hosts");
    TCase *tests = tcase_create("hosts");
    tcase_add_loop_test(tests, the_places_are_those_of_libpq, 0, sizeof lists / sizeof *lists);
    tcase_add_test(tests, the_environment_counts_behind_the_dsn);
    tcase_add_test(tests, a_name_is_looked_up_and_kept);
    tcase_add_test(tests, a_name_that_is_none_is_passed_over_and_told);
    tcase_add_test(tests, names_have_a_time_limit);
    tcase_add_test(tests, who_asks_for_one_name_shares_a_lookup);
    tcase_add_test(tests, the_good_place_is_first_from_then_on);
    tcase_add_loop_test(tests, each_place_has_a_limit, 0, sizeof limits / sizeof *limits);
    tcase_add_test(tests, messages_become_one_line);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
