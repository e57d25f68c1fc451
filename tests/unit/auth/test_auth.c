/* Tokens and keys in their files: what a reload changes, and what a checker remembers. */
#include "mint.h"

#include <unistd.h>

#include "auth/auth.h"

#define NOW 1700000000

typedef struct auth_world {
    char directory[32];
    char tokens[64], keys[64];
    leat_auth *auth;
    leat_auth_checker *checker;
} auth_world;

static void put(const char *file, const char *text)
{
    FILE *out = fopen(file, "w");
    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    ck_assert_int_eq(fclose(out), 0);
}

static void put_token(const char *file, const char *name, const char *token)
{
    char line[256], hex[LEAT_DIGEST_HEX_SIZE];
    leat_digest digest = leat_digest_of(leat_slice_of(token));
    leat_digest_to_hex(&digest, hex);
    snprintf(line, sizeof line, "%s sha256:%s *:*\n", name, hex);
    put(file, line);
}

static void put_key(const char *file, const mint *from)
{
    leat_buf text = {0};
    mint_pem(from, &text);
    put(file, leat_buf_cstr(&text));
    leat_buf_free(&text);
}

static auth_world world_new(void)
{
    auth_world world = {.directory = "/tmp/leat-auth-XXXXXX"};
    ck_assert_ptr_nonnull(mkdtemp(world.directory));
    snprintf(world.tokens, sizeof world.tokens, "%s/tokens", world.directory);
    snprintf(world.keys, sizeof world.keys, "%s/keys", world.directory);
    put_token(world.tokens, "first", "a-token");
    return world;
}

static void world_open(auth_world *world, bool with_tokens, bool with_keys)
{
    leat_error error = {""};
    leat_auth_config config = {.tokens_file = with_tokens ? world->tokens : NULL,
                               .jwt_keys_file = with_keys ? world->keys : NULL,
                               .jwt = {.scope_claim = "scope", .leeway_s = 0}};
    world->auth = leat_auth_new(&config, &error);
    ck_assert_msg(world->auth, "%s", error.text);
    world->checker = leat_auth_checker_new(world->auth);
}

static void world_free(auth_world *world)
{
    leat_auth_checker_free(world->checker);
    leat_auth_free(world->auth);
    unlink(world->tokens);
    unlink(world->keys);
    rmdir(world->directory);
}

static void reload(auth_world *world)
{
    leat_error error = {""};
    ck_assert_msg(leat_auth_reload(world->auth, &error) == 0, "%s", error.text);
}

/* Its name, or the reason. */
static const char *check_at(auth_world *world, const char *token, int64_t now_s)
{
    static char name[256];
    const char *why = NULL;
    const leat_principal *who = leat_auth_check(world->checker, leat_slice_of(token), now_s, &why);
    ck_assert(who || why);
    if (!who)
        return why;
    snprintf(name, sizeof name, "%.*s", (int)who->name.size, who->name.data);
    return name;
}

static const char *check(auth_world *world, const char *token)
{
    return check_at(world, token, NOW);
}

START_TEST(a_reload_takes_tokens_in_and_out)
{
    auth_world world = world_new();
    world_open(&world, true, false);
    ck_assert_str_eq(check(&world, "a-token"), "first");
    ck_assert_str_eq(check(&world, "b-token"), "the token is not known here");
    ck_assert_str_eq(check(&world, ""), "the token is empty");
    put_token(world.tokens, "second", "b-token");
    ck_assert_str_eq(check(&world, "a-token"), "first");
    reload(&world);
    ck_assert_str_eq(check(&world, "a-token"), "the token is not known here");
    ck_assert_str_eq(check(&world, "b-token"), "second");
    world_free(&world);
}
END_TEST

START_TEST(a_reload_that_fails_changes_nothing)
{
    auth_world world = world_new();
    world_open(&world, true, false);
    leat_error error = {""};
    char expected[256];
    put(world.tokens, "first a-token *:*\n");
    ck_assert_int_eq(leat_auth_reload(world.auth, &error), -1);
    snprintf(expected, sizeof expected, "%s:1: the second word is neither", world.tokens);
    ck_assert_msg(strncmp(error.text, expected, strlen(expected)) == 0, "%s", error.text);
    unlink(world.tokens);
    ck_assert_int_eq(leat_auth_reload(world.auth, &error), -1);
    snprintf(expected, sizeof expected, "%s: cannot be read: No such file or directory",
             world.tokens);
    ck_assert_str_eq(error.text, expected);
    ck_assert_str_eq(check(&world, "a-token"), "first");
    world_free(&world);
}
END_TEST

START_TEST(a_signature_is_checked_once_until_the_token_expires_or_the_keys_change)
{
    auth_world world = world_new();
    leat_buf token = {0};
    mint from = mint_new("EdDSA"), other = mint_new("EdDSA");
    put_key(world.keys, &from);
    world_open(&world, true, true);
    const char *made = mint_token(&from, "{\"alg\":\"EdDSA\"}",
                                  "{\"exp\":1700000010,\"sub\":\"me\",\"scope\":\"*:*\"}", &token);
    for (int i = 0; i < 5; i++)
        ck_assert_str_eq(check(&world, made), "me");
    ck_assert_uint_eq(leat_auth_verified(world.checker), 1);
    ck_assert_str_eq(check(&world, "a-token"), "first");
    ck_assert_str_eq(check(&world, "b-token"), "the token is not known here");
    ck_assert_uint_eq(leat_auth_verified(world.checker), 1);
    ck_assert_str_eq(check_at(&world, made, NOW + 9), "me");
    ck_assert_uint_eq(leat_auth_verified(world.checker), 1);
    ck_assert_str_eq(check_at(&world, made, NOW + 10), "the token has expired");
    ck_assert_str_eq(check(&world, made), "me");
    put_key(world.keys, &other);
    reload(&world);
    ck_assert_str_eq(check(&world, made), "the token's signature is wrong");
    world_free(&world);
    EVP_PKEY_free(from.key);
    EVP_PKEY_free(other.key);
    leat_buf_free(&token);
}
END_TEST

/* More tokens than there are places: each is still whose it is. */
START_TEST(what_is_remembered_is_bounded)
{
    enum { TOKENS = 3000 };
    auth_world world = world_new();
    leat_buf token = {0};
    char claims[96], name[16];
    mint from = mint_new("EdDSA");
    put_key(world.keys, &from);
    world_open(&world, false, true);
    for (int i = 0; i < TOKENS; i++) {
        snprintf(name, sizeof name, "%d", i);
        snprintf(claims, sizeof claims, "{\"exp\":1700000010,\"sub\":\"%d\"}", i);
        const char *made = mint_token(&from, "{\"alg\":\"EdDSA\"}", claims, &token);
        ck_assert_str_eq(check(&world, made), name);
        ck_assert_str_eq(check(&world, made), name);
    }
    ck_assert_uint_eq(leat_auth_verified(world.checker), TOKENS);
    ck_assert_str_eq(check(&world, "no token"), "the token is not a JSON Web Token");
    world_free(&world);
    EVP_PKEY_free(from.key);
    leat_buf_free(&token);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("auth");
    TCase *tests = tcase_create("auth");
    tcase_add_test(tests, a_reload_takes_tokens_in_and_out);
    tcase_add_test(tests, a_reload_that_fails_changes_nothing);
    tcase_add_test(tests, a_signature_is_checked_once_until_the_token_expires_or_the_keys_change);
    tcase_add_test(tests, what_is_remembered_is_bounded);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
