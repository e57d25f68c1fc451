/* The file of tokens, and the small texts around a token: scopes, the header field. */
#include "../record/fixture.h"

#include "auth/bearer.h"
#include "auth/scopes.h"
#include "auth/tokens.h"

#define SIX  "ecf5e2d5b7a02ab8d8e1b0d8b9b2e3a1a0b1c2d3e4f5061728394a5b6c7d8e9f"
#define NONE "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* ---- scopes ---- */

static const struct {
    const char *scopes, *route, *operation;
    bool allow;
} asked[] = {
    {"*:*", "users", "put", true},
    {"users:put", "users", "put", true},
    {"users:put", "users", "patch", false},
    {"users:put", "user", "put", false},
    {"users:put", "userss", "put", false},
    {"users:*", "users", "delete", true},
    {"users:*", "groups", "delete", false},
    {"*:delete", "groups", "delete", true},
    {"*:delete", "groups", "put", false},
    {"openid email users:patch,groups:put", "groups", "put", true},
    {"  ,, users:patch", "users", "patch", true},
    {"", "users", "put", false},
    {"users", "users", "put", false},
    {"*", "users", "put", false},
    {"put", "users", "put", false},
    {"users:PUT", "users", "put", false},
    {"users:put:more", "users", "put", false},
    {":put", "", "put", true}, /* no route has that name */
};

START_TEST(a_scope_allows_what_it_says)
{
    ck_assert_msg(leat_scopes_allow(leat_slice_of(asked[_i].scopes), leat_slice_of(asked[_i].route),
                                    leat_slice_of(asked[_i].operation)) == asked[_i].allow,
                  "%s for %s:%s", asked[_i].scopes, asked[_i].route, asked[_i].operation);
}
END_TEST

static const char *const strange[][2] = {
    {"*:*", ""},
    {"users:put,groups:*,*:delete", ""},
    {"users:put,userz:patch,nobody:*", "userz:patch"},
    {"user:put", "user:put"},
    {"userss:put", "userss:put"},
    {"openid", ""}, /* not a scope of leat's */
    {"", ""},
};

START_TEST(a_scope_of_no_route_is_found)
{
    static const char *const routes[] = {"users", "groups"};
    leat_slice found = leat_scopes_without_route(leat_slice_of(strange[_i][0]), routes, 2);
    ck_assert_msg(leat_slice_is(found, strange[_i][1]), "%s: %.*s", strange[_i][0], (int)found.size,
                  found.data);
}
END_TEST

/* ---- the header field ---- */

static const char *const fields[][2] = {
    {"Bearer abc", "abc"}, {"bearer  abc", "abc"}, {"BEARER a b", "a b"}, {"Bearer", ""},
    {"Bearer ", ""},       {"Basic abc", ""},      {"abc", ""},           {"", ""},
    {"Bearerabc", ""},     {"Bearer\tabc", ""},
};

START_TEST(the_token_of_a_header_field)
{
    ck_assert(leat_slice_is(leat_bearer_token(leat_slice_of(fields[_i][0])), fields[_i][1]));
}
END_TEST

/* ---- the file ---- */

static leat_tokens *read_text(const char *text, leat_error *error)
{
    return leat_tokens_read("t.txt", leat_slice_of(text), error);
}

static const leat_principal *find(const leat_tokens *tokens, const char *token)
{
    leat_digest digest = leat_digest_of(leat_slice_of(token));
    return leat_tokens_find(tokens, &digest);
}

START_TEST(a_token_is_found_by_itself_and_never_by_its_digest)
{
    leat_error error = {""};
    leat_buf text = {0};
    char hex[LEAT_DIGEST_HEX_SIZE];
    setenv("TEST_TOKEN_B", "b-token", 1);
    leat_digest digest = leat_digest_of(LEAT_SLICE("a-token"));
    leat_digest_to_hex(&digest, hex);
    leat_buf_printf(
        &text, "# all\n\n  a sha256:%s\tusers:put,users:patch tenant=7%%2F%%c3%%a4 # app 7\r\n",
        hex);
    leat_buf_text(&text, "b $TEST_TOKEN_B *:*");
    leat_tokens *tokens = read_text(leat_buf_cstr(&text), &error);
    ck_assert_msg(tokens, "%s", error.text);
    ck_assert_uint_eq(leat_tokens_count(tokens), 2);
    const leat_principal *a = find(tokens, "a-token"), *b = find(tokens, "b-token");
    ck_assert(a && leat_slice_is(a->name, "a") && leat_slice_is(a->tenant, "7/\xc3\xa4") &&
              leat_slice_is(a->scopes, "users:put,users:patch") && a->expires_s == INT64_MAX);
    ck_assert(b && leat_slice_is(b->name, "b") && b->tenant.size == 0);
    ck_assert_uint_ne(a->number, b->number);
    const char *const others[] = {"", "a-toke", "a-token ", "A-TOKEN", "$TEST_TOKEN_B", hex, "a"};
    for (size_t i = 0; i < COUNT_OF(others); i++)
        ck_assert_msg(!find(tokens, others[i]), "%s", others[i]);
    leat_tokens_free(tokens);
    leat_buf_free(&text);
}
END_TEST

START_TEST(many_tokens_are_found)
{
    leat_error error = {""};
    leat_buf text = {0};
    char token[32], hex[LEAT_DIGEST_HEX_SIZE];
    for (int i = 0; i < 3000; i++) {
        snprintf(token, sizeof token, "token %d", i);
        leat_digest digest = leat_digest_of(leat_slice_of(token));
        leat_digest_to_hex(&digest, hex);
        leat_buf_printf(&text, "n%d sha256:%s *:*\n", i, hex);
    }
    leat_tokens *tokens = read_text(leat_buf_cstr(&text), &error);
    ck_assert_msg(tokens, "%s", error.text);
    for (int i = 0; i < 3000; i++) {
        snprintf(token, sizeof token, "token %d", i);
        const leat_principal *found = find(tokens, token);
        snprintf(token, sizeof token, "n%d", i);
        ck_assert(found && leat_slice_is(found->name, token));
    }
    ck_assert(!find(tokens, "token 3000"));
    leat_tokens_free(tokens);
    leat_buf_free(&text);
}
END_TEST

START_TEST(an_empty_list_knows_nobody)
{
    leat_error error = {""};
    leat_tokens *tokens = read_text("# none yet", &error);
    ck_assert_msg(tokens, "%s", error.text);
    ck_assert(!find(tokens, "") && !find(tokens, "x"));
    leat_tokens_free(tokens);
}
END_TEST

#define FORM                                                                                       \
    "not NAME TOKEN SCOPES, or these and tenant=TENANT (scopes have commas between them, and no blanks)"
#define TOKEN_FORM                                                                                 \
    "the second word is neither sha256: with 64 hexadecimal digits nor $VARIABLE (`leat token new NAME` prints a whole line)"
#define SCOPE_FORM                                                                                 \
    " is not a scope (ROUTE:OPERATION: the name of a route or *, and put, patch, delete or *)"

static const char *const mistakes[][2] = {
    {"a", "t.txt:1: " FORM},
    {"a sha256:" SIX, "t.txt:1: " FORM},
    {"# x\n\na sha256:" SIX " *:* tenant=7 more", "t.txt:3: " FORM},
    {"a/b sha256:" SIX " *:*",
     "t.txt:1: the first word is the token's name: letters, digits, '_', '-' and '.', at most 63"},
    {"a my-own-token *:*", "t.txt:1: " TOKEN_FORM},
    {"a sha256:my-own-token *:*", "t.txt:1: " TOKEN_FORM},
    {"a sha256:" SIX "0 *:*", "t.txt:1: " TOKEN_FORM},
    {"a sha256: *:*", "t.txt:1: " TOKEN_FORM},
    {"a sha256:" NONE " *:*", "t.txt:1: this is the digest of an empty token, which anybody has"},
    {"a $ *:*", "t.txt:1: the second word is '$' and not the name of a variable"},
    {"a $TEST_TOKEN_NONE *:*",
     "t.txt:1: the environment variable TEST_TOKEN_NONE is not set: a token must not be empty"},
    {"a $TEST_TOKEN_EMPTY *:*",
     "t.txt:1: the environment variable TEST_TOKEN_EMPTY is empty: a token must not be empty"},
    {"a sha256:" SIX " users", "t.txt:1: \"users\"" SCOPE_FORM},
    {"a sha256:" SIX " users:get", "t.txt:1: \"users:get\"" SCOPE_FORM},
    {"a sha256:" SIX " :put", "t.txt:1: \":put\"" SCOPE_FORM},
    {"a sha256:" SIX " ,", "t.txt:1: there is no scope (such as *:*)"},
    {"a sha256:" SIX " *:* 7", "t.txt:1: the fourth word is not tenant= and a tenant"},
    {"a sha256:" SIX " *:* tenant=", "t.txt:1: the fourth word is not tenant= and a tenant"},
    {"a sha256:" SIX " *:* tenant=%2",
     "t.txt:1: tenant has a '%' that two hexadecimal digits do not follow"},
    {"a sha256:" SIX " *:*\nb sha256:" SIX " *:*",
     "t.txt:2: the token is that of line 1 (each token once)"},
    {"a sha256:" SIX " *:*\n\na $TEST_TOKEN *:*",
     "t.txt:3: \"a\" is already the name of line 1 (each name once)"},
};

START_TEST(a_mistake_is_named_with_its_line)
{
    leat_error error = {""};
    setenv("TEST_TOKEN_EMPTY", "", 1);
    setenv("TEST_TOKEN", "x", 1);
    ck_assert_msg(!read_text(mistakes[_i][0], &error), "accepted: %s", mistakes[_i][0]);
    ck_assert_str_eq(error.text, mistakes[_i][1]);
    ck_assert(!strstr(error.text, "my-own-token"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokens");
    TCase *tests = tcase_create("tokens");
    tcase_add_loop_test(tests, a_scope_allows_what_it_says, 0, COUNT_OF(asked));
    tcase_add_loop_test(tests, a_scope_of_no_route_is_found, 0, COUNT_OF(strange));
    tcase_add_loop_test(tests, the_token_of_a_header_field, 0, COUNT_OF(fields));
    tcase_add_test(tests, a_token_is_found_by_itself_and_never_by_its_digest);
    tcase_add_test(tests, many_tokens_are_found);
    tcase_add_test(tests, an_empty_list_knows_nobody);
    tcase_add_loop_test(tests, a_mistake_is_named_with_its_line, 0, COUNT_OF(mistakes));
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
