/* Text of others, made harmless: what is replaced, and random bytes against a decoder of the test's
 * own. */
#include <check.h>
#include <string.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/printable.h"

static const struct {
    const char *text;
    const char *clean;
} cases[] = {
    {"", ""},
    {"plain, caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80",
     "plain, caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
    {"a\nb\r\n\tc\x1b[31m\x7f", "a b   c [31m "},
    {"\xc2\x80\xc2\x85\xc2\x9f|\xc2\xa0", "   |\xc2\xa0"},
    {"a\xe2\x80\xa8"
     "b\xe2\x80\xa9"
     "c",
     "a b c"},
    {"\xe2\x80\xae"
     "evil\xe2\x80\xac \xe2\x81\xa6\xe2\x81\xa9\xd8\x9c\xe2\x80\x8e",
     "?evil? ????"},
    {"\xff\xc0\x80z\xed\xa0\x80", "???z???"},
    {"cut \xe2\x82", "cut "},
    {"cut \xf0\x9f\x98", "cut "},
    {"cut \xe0", "cut "},
    {"cut \xed", "cut "},
    {"no start \x82", "no start ?"},
    {"no start \xf5", "no start ?"},
    {"\xe2\x82 in the middle", "?? in the middle"},
};

START_TEST(test_cases)
{
    char text[128];
    size_t size = strlen(cases[_i].text);
    memcpy(text, cases[_i].text, size);
    size = leat_printable_line(text, size);
    text[size] = '\0';
    ck_assert_str_eq(text, cases[_i].clean);
}
END_TEST

/* The character at `at` by the definition of UTF-8; 0 bytes: none. */
static size_t decode(const unsigned char *at, size_t left, uint32_t *ret)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = at[0] < 0x80       ? 1
                  : at[0] >> 5 == 6  ? 2
                  : at[0] >> 4 == 14 ? 3
                  : at[0] >> 3 == 30 ? 4
                                     : 0;
    if (size == 0 || size > left)
        return 0;
    uint32_t code = size == 1 ? at[0] : at[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if (at[i] >> 6 != 2)
            return 0;
        code = code * 64 + at[i] % 64;
    }
    *ret = code;
    return code < least[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : size;
}

/* Is there any continuation that makes these last bytes a character? */
static bool could_go_on(const unsigned char *at, size_t left)
{
    unsigned char whole[4];
    uint32_t code;
    memcpy(whole, at, left < 4 ? left : 4);
    for (size_t more = 1; left + more <= 4; more++) {
        for (uint32_t tail = 0; tail < 1u << (6 * more); tail += more == 3 ? 64 * 16 : 1) {
            for (size_t i = 0; i < more; i++)
                whole[left + i] = (unsigned char)(0x80 | ((tail >> (6 * (more - 1 - i))) & 0x3f));
            if (decode(whole, left + more, &code) == left + more)
                return true;
        }
    }
    return false;
}

static size_t clean_naively(const unsigned char *text, size_t size, char *out)
{
    size_t to = 0;
    for (size_t at = 0, width; at < size; at += width ? width : 1) {
        uint32_t code = 0;
        width = decode(text + at, size - at, &code);
        if (width == 0 && could_go_on(text + at, size - at))
            break;
        bool turns = code == 0x61c || code == 0x200e || code == 0x200f ||
                     (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
        bool ends = code < 32 || (code > 126 && code < 160) || code == 0x2028 || code == 0x2029;
        if (width == 0 || turns || ends) {
            out[to++] = width == 0 || turns ? '?' : ' ';
            continue;
        }
        memcpy(out + to, text + at, width);
        to += width;
    }
    return to;
}

/* Bytes that are often the start of something. */
static unsigned char random_byte(leat_prng *prng)
{
    static const unsigned char likely[] =
        "\xe2\x80\x81\xa8\xa9\xae\xc2\x85\xd8\x9c\xed\xa0\xf0\x90\xf4\x8f\xe0";
    return leat_prng_below(prng, 4) ? likely[leat_prng_below(prng, sizeof likely)]
                                    : (unsigned char)leat_prng_below(prng, 256);
}

START_TEST(test_random_bytes)
{
    leat_prng prng = {7};
    for (int round = 0; round < 2000; round++) {
        unsigned char text[24];
        char wanted[24], clean[24];
        size_t size = leat_prng_below(&prng, sizeof text + 1);
        for (size_t i = 0; i < size; i++)
            text[i] = random_byte(&prng);
        memcpy(clean, text, size);
        size_t expected = clean_naively(text, size, wanted),
               found = leat_printable_line(clean, size);
        ck_assert_uint_eq(found, expected);
        ck_assert_int_eq(memcmp(clean, wanted, found), 0);
        ck_assert_uint_le(found, size);
        ck_assert_uint_eq(leat_printable_line(clean, found), found);
        ck_assert_int_eq(memcmp(clean, wanted, found), 0);
    }
}
END_TEST

static const struct {
    const char *text;
    size_t width;
    bool keep_lines;
    const char *shown;
} shown[] = {
    {"", 10, false, ""},
    {"caf\xc3\xa9", 10, false, "caf\xc3\xa9"},
    {"a\nb", 10, false, "a\\x0ab"},
    {"a\nb", 10, true, "a\nb"},
    {"\x1b[31m", 20, true, "\\x1b[31m"},
    {"\xff|\xe2\x80\xae", 30, false, "\\xff|\\xe2\\x80\\xae"},
    {"0123456789", 10, false, "0123456789"},
    {"0123456789a", 10, false, "0123456..."},
    {"0123456\n", 10, false, "0123456..."},
};

START_TEST(test_shown)
{
    leat_buf out = {0};
    size_t width = leat_buf_printable(&out, leat_slice_of(shown[_i].text), shown[_i].width,
                                      shown[_i].keep_lines);
    ck_assert_str_eq(leat_buf_cstr(&out), shown[_i].shown);
    ck_assert_uint_le(width, shown[_i].width);
    leat_buf_free(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("printable");
    TCase *tests = tcase_create("printable");
    tcase_add_loop_test(tests, test_cases, 0, sizeof cases / sizeof *cases);
    tcase_add_test(tests, test_random_bytes);
    tcase_add_loop_test(tests, test_shown, 0, sizeof shown / sizeof *shown);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    srunner_free(runner);
    return 0;
}
