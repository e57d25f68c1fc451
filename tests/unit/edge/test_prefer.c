/* Which lines of a Prefer header say how long to wait. */
#include "../record/fixture.h"

#include "edge/prefer.h"

static const struct {
    const char *line;
    int64_t seconds; /* -1: it cannot be read; -2: it is not named */
} lines[] = {
    {"wait=10", 10},
    {"WAIT = 10", 10},
    {"wait=\"7\"", 7},
    {"respond-async, wait=10", 10},
    {"a=\"x, wait=3\"; b=\"\\\",\", wait=4", 4},
    {"return=minimal; foo=\"some, wait=1\" , wait=5;x=y, wait=6", 5},
    {",, ,wait=2", 2},
    {"wait=0", 0},
    {"wait=999999999", 999999999},
    {"wait=1000000000", -1},
    {"wait", -1},
    {"wait=", -1},
    {"wait=-1", -1},
    {"wait=1.5", -1},
    {"wait=x, wait=3", -1}, /* the first counts */
    {"wait=\"1\\0\"", -1},
    {"", -2},
    {"waiting=10", -2},
    {"respond-async", -2},
    {"a=\"unended, wait=1", -2},
    {"=;\",", -2},
    {"\"wait=1\"", -2},
};

START_TEST(a_line)
{
    int64_t got = edge_prefer_read(leat_slice_of(lines[_i].line));
    ck_assert_msg(got == lines[_i].seconds, "%s: %lld", lines[_i].line, (long long)got);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("prefer");
    TCase *tests = tcase_create("prefer");
    tcase_add_loop_test(tests, a_line, 0, COUNT_OF(lines));
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
