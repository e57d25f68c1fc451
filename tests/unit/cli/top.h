/* top.h - a frame of `leat top` as one text, for tests. */
#ifndef LEAT_TESTS_UNIT_CLI_TOP_H
#define LEAT_TESTS_UNIT_CLI_TOP_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/top_frame.h"

/* Lines that need somebody begin with '!', titles with '#'. The caller frees it. */
static inline char *text_of(const leat_top_frame *frame)
{
    static const char marks[] = {
        [LEAT_TOP_PLAIN] = ' ', [LEAT_TOP_HEAD] = '#', [LEAT_TOP_BAD] = '!'};
    leat_buf text = {0};
    for (uint32_t i = 0; i < frame->count; i++) {
        const leat_buf *line = &frame->lines[i].text;
        leat_buf_byte(&text, marks[frame->lines[i].style]);
        leat_buf_append(&text, line->data ? line->data : "", line->size);
        leat_buf_byte(&text, '\n');
    }
    leat_buf_byte(&text, '\0');
    ck_assert(!text.failed);
    return text.data;
}

/* A text of its own, with an end. The caller frees it. */
static inline char *copy_of(const leat_buf *line)
{
    char *text = malloc(line->size + 1);
    ck_assert_ptr_nonnull(text);
    memcpy(text, line->data, line->size);
    text[line->size] = '\0';
    return text;
}

/* The line that begins with this; NULL: there is none. The caller frees it. */
static inline char *line_of(const leat_top_frame *frame, const char *begin)
{
    for (uint32_t i = 0; i < frame->count; i++) {
        const leat_buf *line = &frame->lines[i].text;
        if (line->size >= strlen(begin) && memcmp(line->data, begin, strlen(begin)) == 0)
            return copy_of(line);
    }
    return NULL;
}

/* Characters, of a UTF-8 text. */
static inline size_t characters(const leat_buf *text)
{
    size_t count = 0;
    for (size_t i = 0; i < text->size; i++)
        count += ((unsigned char)text->data[i] & 0xc0) != 0x80;
    return count;
}

#define RUN(name, ...)                                                                             \
    int main(void)                                                                                 \
    {                                                                                              \
        const TTest *const tests[] = {__VA_ARGS__};                                                \
        Suite *suite = suite_create(name);                                                         \
        TCase *cases = tcase_create(name);                                                         \
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)                                  \
            tcase_add_test(cases, tests[i]);                                                       \
        suite_add_tcase(suite, cases);                                                             \
        SRunner *runner = srunner_create(suite);                                                   \
        srunner_set_tap(runner, "-");                                                              \
        srunner_run_all(runner, CK_SILENT);                                                        \
        srunner_free(runner);                                                                      \
        return 0;                                                                                  \
    }

#endif
