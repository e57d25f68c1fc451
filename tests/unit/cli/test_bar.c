/* test_bar.c - how far a command is, on a terminal and elsewhere. */
#include <check.h>
#include <pty.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "cli/bar.h"

typedef struct shown {
    int own; /* standard error of the test */
    int from;
    char text[512];
} shown;

static void begin(shown *to, bool on_terminal)
{
    int ends[2];
    ck_assert_int_eq(on_terminal ? openpty(&ends[0], &ends[1], NULL, NULL, NULL) : pipe(ends), 0);
    *to = (shown){.own = dup(STDERR_FILENO), .from = ends[0]};
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
}

/* What was written until now. */
static const char *end(shown *to)
{
    fputs("\f", stderr);
    size_t size = 0;
    while (size == 0 || to->text[size - 1] != '\f') {
        ssize_t more = read(to->from, to->text + size, sizeof to->text - 1 - size);
        ck_assert_int_gt(more, 0);
        size += (size_t)more;
    }
    to->text[size - 1] = '\0';
    dup2(to->own, STDERR_FILENO);
    close(to->own);
    close(to->from);
    return to->text;
}

static void be_older(leat_bar *bar, int64_t seconds)
{
    bar->begun_us -= seconds * 1000000;
    bar->shown_us -= seconds * 1000000;
}

/* Between the two is the second that is left: the machine may be slow. */
static void expect(const char *text, const char *before, const char *after)
{
    size_t size = strlen(before) + 1;
    ck_assert_msg(strncmp(text, before, strlen(before)) == 0 && strlen(text) > size &&
                      strcmp(text + size, after) == 0,
                  "%s", text);
}

#define QUARTER "[######..................]  25%  1000 records  1/s  left 50:0"

static const leat_bar_state quarter = {
    .share = 0.25, .done = 1000, .unit = "records", .more = "  walk 1 of 2"};

START_TEST(elsewhere_than_on_a_terminal_it_is_a_line_now_and_then)
{
    shown to;
    leat_bar bar;
    begin(&to, false);
    leat_bar_begin(&bar, false);
    bool at_once = leat_bar_is_due(&bar);
    be_older(&bar, 1000);
    bool later = leat_bar_is_due(&bar);
    leat_bar_show(&bar, &quarter);
    bool again = leat_bar_is_due(&bar);
    leat_bar_clear(&bar);
    expect(end(&to), QUARTER, "  walk 1 of 2\n");
    ck_assert(!at_once && later && !again);
}
END_TEST

START_TEST(a_command_whose_output_is_for_programs_says_nothing_there)
{
    shown to;
    leat_bar bar;
    begin(&to, false);
    leat_bar_begin(&bar, true);
    be_older(&bar, 1000);
    bool due = leat_bar_is_due(&bar);
    ck_assert_str_eq(end(&to), "");
    ck_assert(!due);
}
END_TEST

START_TEST(on_a_terminal_one_line_is_written_over_and_over)
{
    shown to;
    leat_bar bar;
    begin(&to, true);
    leat_bar_begin(&bar, true);
    be_older(&bar, 1000);
    bool due = leat_bar_is_due(&bar);
    leat_bar_show(&bar, &quarter);
    leat_bar_show(&bar, &(leat_bar_state){.share = -1, .done = 2000, .unit = "items", .more = ""});
    leat_bar_clear(&bar);
    leat_bar_clear(&bar);
    expect(end(&to), QUARTER, "  walk 1 of 2\r\033[K2000 items  2/s\r\033[K");
    ck_assert(due);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bar");
    TCase *tests = tcase_create("bar");
    tcase_add_test(tests, elsewhere_than_on_a_terminal_it_is_a_line_now_and_then);
    tcase_add_test(tests, a_command_whose_output_is_for_programs_says_nothing_there);
    tcase_add_test(tests, on_a_terminal_one_line_is_written_over_and_over);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
