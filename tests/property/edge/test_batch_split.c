/*
 * The items of a batch are the same however its bytes are cut, and are those that a naive reader of
 * the whole finds. LEAT_TEST_SEED=n repeats a run, LEAT_TEST_ROUNDS=n makes it longer.
 */
#include "../../lib/setting.h"
#include "../../unit/record/fixture.h"
#include "base/buf.h"
#include "edge/batch_split.h"

enum { ROUNDS = 3000, ITEM_MAX = 40 };

static void any_space(leat_prng *prng, leat_buf *out)
{
    for (uint64_t i = leat_prng_below(prng, 3); i > 0; i--)
        leat_buf_byte(out, " \t\r\n"[leat_prng_below(prng, 4)]);
}

static void any_string(leat_prng *prng, leat_buf *out)
{
    leat_buf_byte(out, '"');
    for (uint64_t i = leat_prng_below(prng, 8); i > 0; i--) {
        char c = "ab{}[],:\"\\ \n"[leat_prng_below(prng, 12)];
        if (c == '"' || c == '\\')
            leat_buf_byte(out, '\\');
        leat_buf_byte(out, c);
    }
    leat_buf_byte(out, '"');
}

static void any_value(leat_prng *prng, int depth, leat_buf *out)
{
    uint64_t kind = leat_prng_below(prng, depth > 2 ? 3 : 5);
    if (kind == 0)
        leat_buf_uint(out, leat_prng_below(prng, 1000));
    else if (kind == 1)
        leat_buf_text(out, leat_prng_below(prng, 2) ? "null" : "-1.5e3");
    else if (kind == 2)
        any_string(prng, out);
    if (kind < 3)
        return;
    leat_buf_byte(out, kind == 3 ? '{' : '[');
    for (uint64_t i = 0, count = leat_prng_below(prng, 3); i < count; i++) {
        leat_buf_text(out, i > 0 ? "," : "");
        if (kind == 3) {
            any_string(prng, out);
            leat_buf_byte(out, ':');
        }
        any_value(prng, depth + 1, out);
        any_space(prng, out);
    }
    leat_buf_byte(out, kind == 3 ? '}' : ']');
}

static void note_item(leat_slice item, size_t size, leat_buf *story)
{
    if (size > ITEM_MAX) {
        leat_buf_text(story, "large\n");
        return;
    }
    leat_buf_text(story, "item <");
    leat_buf_slice(story, item);
    leat_buf_text(story, ">\n");
}

/* An array of any elements, and what is in it. */
static void make_array(leat_prng *prng, leat_buf *text, leat_buf *story)
{
    any_space(prng, text);
    leat_buf_byte(text, '[');
    for (uint64_t i = 0, count = leat_prng_below(prng, 6); i < count; i++) {
        leat_buf_text(text, i > 0 ? "," : "");
        any_space(prng, text);
        size_t at = text->size;
        any_value(prng, 0, text);
        leat_slice item = {text->data + at, text->size - at};
        note_item(item, item.size, story);
        any_space(prng, text);
    }
    any_space(prng, text);
    leat_buf_byte(text, ']');
    any_space(prng, text);
    leat_buf_text(story, "end\n");
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void make_lines(leat_prng *prng, leat_buf *text, leat_buf *story)
{
    for (uint64_t i = 0, count = leat_prng_below(prng, 6); i < count; i++) {
        size_t at = text->size;
        for (uint64_t k = leat_prng_below(prng, leat_prng_below(prng, 4) ? 20 : 100); k > 0; k--)
            leat_buf_byte(text, "ab{}[],:\"\\ \t\r"[leat_prng_below(prng, 13)]);
        size_t begin = at, end = text->size;
        while (begin < end && is_space(text->data[begin]))
            begin++;
        while (end > begin && is_space(text->data[end - 1]))
            end--;
        if (end > begin || text->size - at > ITEM_MAX)
            note_item((leat_slice){text->data + begin, end - begin}, text->size - at, story);
        if (i + 1 < count || leat_prng_below(prng, 2))
            leat_buf_byte(text, '\n');
    }
    leat_buf_text(story, "end\n");
}

/* Some bytes are changed: then nobody knows what is in it, but cuts still make no difference. */
static void spoil(leat_prng *prng, leat_buf *text)
{
    for (int i = 0; i < 2 && text->size > 0; i++)
        text->data[leat_prng_below(prng, text->size)] = "{}[],\"\\ x\n"[leat_prng_below(prng, 10)];
}

/* As a batch does: bytes come, and those that are used are dropped. Returns the most that was kept.
 */
static size_t read_in_pieces(leat_prng *prng, bool is_array, leat_slice text, leat_buf *story)
{
    leat_split split;
    leat_split_init(&split, is_array, ITEM_MAX);
    size_t from = 0, come = 0, most = 0;
    uint64_t piece_max = prng ? 1 + leat_prng_below(prng, 30) : text.size + 1;
    for (;;) {
        leat_slice item;
        size_t used;
        leat_split_result result = leat_split_next(
            &split, (leat_slice){text.data + from, come - from}, come == text.size, &item, &used);
        ck_assert_uint_le(used, come - from);
        if (result == LEAT_SPLIT_FOUND)
            note_item(item, item.size, story);
        if (result == LEAT_SPLIT_TOO_LARGE)
            leat_buf_text(story, "large\n");
        from += used;
        ck_assert_uint_eq(split.used, from);
        if (result == LEAT_SPLIT_END || result == LEAT_SPLIT_FAULT) {
            leat_buf_text(story, result == LEAT_SPLIT_END ? "end\n" : "fault: ");
            if (result == LEAT_SPLIT_FAULT)
                leat_buf_printf(story, "%s\n", leat_split_expected(&split));
            return most;
        }
        if (result != LEAT_SPLIT_MORE)
            continue;
        ck_assert_uint_lt(come, text.size);
        most = come - from > most ? come - from : most;
        uint64_t piece = prng ? 1 + leat_prng_below(prng, piece_max) : text.size;
        come += piece < text.size - come ? piece : text.size - come;
    }
}

START_TEST(cuts_make_no_difference)
{
    leat_prng prng = {setting("LEAT_TEST_SEED", 1)};
    for (uint64_t round = setting("LEAT_TEST_ROUNDS", ROUNDS); round > 0; round--) {
        bool is_array = leat_prng_below(&prng, 2), is_spoilt = leat_prng_below(&prng, 2);
        leat_buf text = {0}, expected = {0}, found = {0};
        if (is_array)
            make_array(&prng, &text, &expected);
        else
            make_lines(&prng, &text, &expected);
        leat_slice whole = {text.data ? text.data : "", text.size};
        if (is_spoilt) {
            spoil(&prng, &text);
            leat_buf_clear(&expected);
            read_in_pieces(NULL, is_array, whole, &expected);
        }
        size_t most = read_in_pieces(&prng, is_array, whole, &found);
        ck_assert_msg(strcmp(leat_buf_cstr(&found), leat_buf_cstr(&expected)) == 0,
                      "<<%.*s>>\nis\n%s\nnot\n%s", (int)whole.size, whole.data, found.data,
                      expected.data);
        ck_assert_uint_le(most, ITEM_MAX);
        leat_buf_free(&text);
        leat_buf_free(&expected);
        leat_buf_free(&found);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batch_split");
    TCase *tests = tcase_create("batch_split");
    tcase_add_test(tests, cuts_make_no_difference);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
