/* W3C Trace Context: what is taken of other people's headers, and what is written. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/context.h"

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))
#define TRACE           "0af7651916cd43dd8448eb211c80319c"
#define SPAN            "b7ad6b7169203331"
#define GOOD            "00-" TRACE "-" SPAN "-01"

static void expect(const char *text, const char *written)
{
    leat_trace_context context;
    char again[LEAT_TRACEPARENT_SIZE + 1] = "";
    if (!leat_traceparent_read(leat_slice_of(text), &context)) {
        ck_assert_msg(!written, "not read: %s", text);
        return;
    }
    leat_traceparent_write(&context, again);
    ck_assert_msg(written && strcmp(again, written) == 0, "%s was read as %s", text, again);
}

START_TEST(a_traceparent_is_read_as_the_standard_has_it)
{
    static const struct {
        const char *text, *written; /* NULL: not valid */
    } rows[] = {
        {GOOD, GOOD},
        {" \t" GOOD " ", GOOD},
        {"00-" TRACE "-" SPAN "-00", "00-" TRACE "-" SPAN "-00"},
        {"00-" TRACE "-" SPAN "-03", "00-" TRACE "-" SPAN "-03"},
        {"00-" TRACE "-" SPAN "-ff", "00-" TRACE "-" SPAN "-03"},
        {"00-" TRACE "-" SPAN "-fc", "00-" TRACE "-" SPAN "-00"},
        {GOOD "-x", NULL},
        {GOOD "x", NULL},
        {"01-" TRACE "-" SPAN "-01", GOOD},
        {"fe-" TRACE "-" SPAN "-01-what follows", GOOD},
        {"01-" TRACE "-" SPAN "-01.", NULL},
        {"01-" TRACE "-" SPAN "-011", NULL},
        {"ff-" TRACE "-" SPAN "-01", NULL},
        {"0-" TRACE "-" SPAN "-01", NULL},
        {"00-0AF7651916cd43dd8448eb211c80319c-" SPAN "-01", NULL},
        {"00-" TRACE "-B7ad6b7169203331-01", NULL},
        {"0x-" TRACE "-" SPAN "-01", NULL},
        {"00-00000000000000000000000000000000-" SPAN "-01", NULL},
        {"00-" TRACE "-0000000000000000-01", NULL},
        {"00-" TRACE "-" SPAN "-1", NULL},
        {"00-" TRACE "-" SPAN "-0g", NULL},
        {"00-" TRACE "-" SPAN, NULL},
        {"00_" TRACE "-" SPAN "-01", NULL},
        {"00-" TRACE "_" SPAN "-01", NULL},
        {"00-" TRACE "-" SPAN "_01", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect(rows[i].text, rows[i].written);
}
END_TEST

/* Any byte in any place: it is refused, or what is written is read as the same again. */
START_TEST(a_changed_byte_is_refused_or_read_as_what_it_says)
{
    for (size_t at = 0; at < sizeof GOOD - 1; at++)
        for (int byte = 0; byte < 256; byte++) {
            char text[] = GOOD, first[LEAT_TRACEPARENT_SIZE], second[LEAT_TRACEPARENT_SIZE];
            leat_trace_context context, again;
            text[at] = (char)byte;
            if (!leat_traceparent_read((leat_slice){text, sizeof text - 1}, &context))
                continue;
            leat_traceparent_write(&context, first);
            ck_assert(leat_traceparent_read((leat_slice){first, sizeof first}, &again));
            leat_traceparent_write(&again, second);
            ck_assert_mem_eq(first, second, sizeof first);
            ck_assert_msg(memcmp(first + 3, text + 3, 49) == 0, "%.55s became %.55s", text, first);
        }
}
END_TEST

static void expect_state(const leat_slice *lines, size_t count, const char *wanted)
{
    char found[LEAT_TRACESTATE_MAX + 1] = "";
    size_t size = leat_tracestate_join(lines, count, found);
    ck_assert_uint_eq(size, strlen(wanted));
    found[size] = '\0';
    ck_assert_str_eq(found, wanted);
}

static void expect_line(const char *line, const char *wanted)
{
    leat_slice slice = leat_slice_of(line);
    expect_state(&slice, 1, wanted);
}

START_TEST(a_tracestate_is_kept_whole_or_not_at_all)
{
    expect_line("a=1,b=2", "a=1,b=2");
    expect_line(" a=1 ,\t, b=2 2,,", "a=1,b=2 2");
    expect_line("t@v/x*-_=!~", "t@v/x*-_=!~");
    expect_line("0a=1", "0a=1");
    expect_line("", "");
    expect_line("a=1,a=2", "");
    expect_line("a=1,A=2", "");
    expect_line("a=1,b", "");
    expect_line("a=1,b=", "");
    expect_line("a=1,=b", "");
    expect_line("a=1,b=2=3", "");
    expect_line("a=1,@b=2", "");
    expect_line("a=1,b=\x7f", "");
    expect_line("a=1,b=\xc3\xa4", "");
    expect_state((leat_slice[]){LEAT_SLICE("a=1"), LEAT_SLICE(" "), LEAT_SLICE("b=2,c=3")}, 3,
                 "a=1,b=2,c=3");
    expect_state((leat_slice[]){LEAT_SLICE("a=1"), LEAT_SLICE("a=2")}, 2, "");
    expect_state(NULL, 0, "");
}
END_TEST

/* "a0=xxx,a1=xxx,..." */
static size_t write_members(char *ret, int first, int count, int value_size)
{
    size_t used = 0;
    for (int i = first; i < first + count; i++) {
        used += (size_t)sprintf(ret + used, "%sa%d=", used ? "," : "", i);
        memset(ret + used, 'x', (size_t)value_size);
        used += (size_t)value_size;
    }
    ret[used] = '\0';
    return used;
}

START_TEST(a_tracestate_has_its_bounds)
{
    char line[8192], wanted[8192];
    write_members(line, 0, 32, 2);
    expect_line(line, line);
    write_members(line, 0, 33, 2);
    expect_line(line, "");
    write_members(line, 0, 1, 256);
    expect_line(line, line);
    write_members(line, 0, 1, 257);
    expect_line(line, "");
    size_t size = write_members(line, 0, 4, 130); /* the long ones go first, from the end */
    line[size++] = ',';
    write_members(line + size, 4, 3, 20);
    size = write_members(wanted, 0, 3, 130);
    wanted[size++] = ',';
    write_members(wanted + size, 4, 3, 20);
    expect_line(line, wanted);
    write_members(line, 0, 8, 100); /* then the last ones */
    write_members(wanted, 0, 4, 100);
    expect_line(line, wanted);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("context");
    TCase *tests = tcase_create("context");
    tcase_add_test(tests, a_traceparent_is_read_as_the_standard_has_it);
    tcase_add_test(tests, a_changed_byte_is_refused_or_read_as_what_it_says);
    tcase_add_test(tests, a_tracestate_is_kept_whole_or_not_at_all);
    tcase_add_test(tests, a_tracestate_has_its_bounds);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
