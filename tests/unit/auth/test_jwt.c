/* JSON Web Tokens: the vectors of the RFCs, each algorithm, and each thing that is refused. */
#include "mint.h"

#include "auth/jwt.h"

#define NOW 1700000000

static const leat_jwt_rules rules = {.issuer = "https://issuer",
                                     .audience = "leat",
                                     .tenant_claim = "app_id",
                                     .scope_claim = "scope",
                                     .leeway_s = 60};

static leat_jwt_keys *read_keys(const char *text)
{
    leat_error error = {""};
    leat_jwt_keys *keys = leat_jwt_keys_read("k.json", leat_slice_of(text), &error);
    ck_assert_msg(keys, "%s", error.text);
    return keys;
}

/* ---- vectors of others ---- */

#define RFC7515_A3_KEY                                                                             \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","     \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define RFC7515_A3                                                                                        \
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc1" \
    "9yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

START_TEST(the_vector_of_rfc_7515_for_es256)
{
    static const leat_jwt_rules joe = {.issuer = "joe", .scope_claim = "scope"};
    leat_jwt_keys *keys = read_keys(RFC7515_A3_KEY);
    leat_principal who = {0};
    const char *fault = leat_jwt_verify(&joe, keys, LEAT_SLICE(RFC7515_A3), 1300819379, &who);
    ck_assert_msg(!fault, "%s", fault);
    ck_assert_uint_eq(who.scopes.size + who.tenant.size + who.name.size, 0);
    leat_buf_free(&who.text);
    ck_assert_str_eq(leat_jwt_verify(&joe, keys, LEAT_SLICE(RFC7515_A3), 1300819380, &who),
                     "the token has expired");
    leat_jwt_keys_free(keys);
}
END_TEST

START_TEST(the_vector_of_rfc_8037_for_ed25519)
{
    leat_buf signature = {0};
    leat_jwt_keys *keys = read_keys(
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}");
    ck_assert(leat_base64url_decode(
        LEAT_SLICE("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg"
                   "5BhVsPt9g7sVvpAr_MuM0KAg"),
        &signature));
    leat_slice bytes = LEAT_SLICE("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
    const leat_jwt_key *key = leat_jwt_keys_find(keys, (leat_slice){NULL, 0});
    ck_assert(leat_jwt_key_verifies(key, bytes, (leat_slice){signature.data, signature.size}));
    signature.data[5] ^= 1;
    ck_assert(!leat_jwt_key_verifies(key, bytes, (leat_slice){signature.data, signature.size}));
    leat_buf_free(&signature);
    leat_jwt_keys_free(keys);
}
END_TEST

/* ---- one good token ---- */

static const char *const algorithms[] = {"RS256", "ES256", "EdDSA"};

#define CLAIMS(more)                                                                                               \
    "{\"iss\":\"https://issuer\",\"aud\":\"leat\",\"sub\":\"me\",\"app_id\":7,\"scope\":\"users:put openid\"" more \
    "}"
#define EXP ",\"exp\":1700000600"

START_TEST(each_algorithm_as_pem_and_as_jwk)
{
    char header[64];
    leat_buf text = {0}, token = {0};
    mint from = mint_new(algorithms[_i]);
    for (int as_jwk = 0; as_jwk < 2; as_jwk++) {
        leat_principal who = {0};
        leat_buf_clear(&text);
        if (as_jwk)
            mint_jwk(&from, "a", ",\"use\":\"sig\"", &text);
        else
            mint_pem(&from, &text);
        leat_jwt_keys *keys = read_keys(leat_buf_cstr(&text));
        snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"a\"}", algorithms[_i]);
        const char *made = mint_token(&from, header, CLAIMS(EXP), &token);
        const char *fault = leat_jwt_verify(&rules, keys, leat_slice_of(made), NOW, &who);
        ck_assert_msg(!fault, "%s", fault);
        ck_assert(leat_slice_is(who.name, "me") && leat_slice_is(who.tenant, "7") &&
                  leat_slice_is(who.scopes, "users:put openid"));
        ck_assert_int_eq(who.expires_s, 1700000600 + 60);
        leat_buf_free(&who.text);
        /* Any bit of it that is changed. */
        for (size_t at = 0; at < token.size; at += 7) {
            token.data[at] = token.data[at] == 'A' ? 'B' : 'A';
            ck_assert_msg(leat_jwt_verify(&rules, keys, leat_slice_of(token.data), NOW, &who),
                          "byte %zu", at);
            made = mint_token(&from, header, CLAIMS(EXP), &token);
        }
        leat_jwt_keys_free(keys);
    }
    EVP_PKEY_free(from.key);
    leat_buf_free(&text);
    leat_buf_free(&token);
}
END_TEST

/* ---- headers and claims ---- */

#define GOOD_HEADER "{\"alg\":\"ES256\",\"kid\":\"a\",\"typ\":\"JWT\"}"
#define GOOD_CLAIMS CLAIMS(EXP)
#define OTHER(iss, aud, app)                                                                       \
    "{\"iss\":" iss ",\"aud\":" aud ",\"app_id\":" app ",\"exp\":1700000600}"

static const struct {
    const char *header, *claims;
    const char *fault; /* NULL: none */
} tokens[] = {
    {GOOD_HEADER, GOOD_CLAIMS, NULL},
    /* the header */
    {"{\"kid\":\"a\"}", GOOD_CLAIMS, "the token's alg is not the one of its key"},
    {"{\"alg\":\"none\",\"kid\":\"a\"}", GOOD_CLAIMS, "the token's alg is not the one of its key"},
    {"{\"alg\":\"HS256\",\"kid\":\"a\"}", GOOD_CLAIMS, "the token's alg is not the one of its key"},
    {"{\"alg\":\"RS256\",\"kid\":\"a\"}", GOOD_CLAIMS, "the token's alg is not the one of its key"},
    {"{\"alg\":\"es256\",\"kid\":\"a\"}", GOOD_CLAIMS, "the token's alg is not the one of its key"},
    {"{\"alg\":[\"ES256\"],\"kid\":\"a\"}", GOOD_CLAIMS,
     "the token's alg is not the one of its key"},
    {"{\"alg\":\"ES256\",\"kid\":\"c\"}", GOOD_CLAIMS, "no key has the token's kid"},
    {"{\"alg\":\"EdDSA\",\"kid\":\"b\"}", GOOD_CLAIMS, "the token's signature is wrong"},
    {"{\"alg\":\"ES256\",\"kid\":7}", GOOD_CLAIMS, "the token's kid is not a text"},
    {"{\"alg\":\"ES256\"}", GOOD_CLAIMS, "the token has no kid, and there are several keys"},
    {"{\"alg\":\"ES256\",\"kid\":\"a\",\"crit\":[\"exp\"]}", GOOD_CLAIMS,
     "the token has extensions (crit) that are not known here"},
    {"{\"alg\":\"ES256\",\"kid\":\"a\",\"alg\":\"ES256\"}", GOOD_CLAIMS,
     "the token's header is not a JSON object"},
    {"[\"ES256\"]", GOOD_CLAIMS, "the token's header is not a JSON object"},
    {"", GOOD_CLAIMS, "the token's header is not a JSON object"},
    {GOOD_HEADER "x", GOOD_CLAIMS, "the token's header is not a JSON object"},
    /* the claims */
    {GOOD_HEADER, "", "the token's claims are not a JSON object"},
    {GOOD_HEADER, "7", "the token's claims are not a JSON object"},
    {GOOD_HEADER, CLAIMS(EXP EXP), "the token's claims are not a JSON object"},
    {GOOD_HEADER, CLAIMS(",\"e\\u0078p\":1" EXP), "the token's claims are not a JSON object"},
    {GOOD_HEADER, CLAIMS(), "the token has no exp, and would be good for ever"},
    {GOOD_HEADER, CLAIMS(",\"exp\":\"1700000600\""), "the token's exp or nbf is not a time"},
    {GOOD_HEADER, CLAIMS(",\"exp\":null"), "the token's exp or nbf is not a time"},
    {GOOD_HEADER, CLAIMS(",\"exp\":1e300"), "the token's exp or nbf is not a time"},
    {GOOD_HEADER, CLAIMS(",\"exp\":-1"), "the token's exp or nbf is not a time"},
    {GOOD_HEADER, CLAIMS(",\"exp\":1699999940"), "the token has expired"},
    {GOOD_HEADER, CLAIMS(",\"exp\":1699999940.9"), "the token has expired"},
    {GOOD_HEADER, CLAIMS(",\"exp\":1699999941"), NULL},
    {GOOD_HEADER, CLAIMS(",\"nbf\":1700000060" EXP), NULL},
    {GOOD_HEADER, CLAIMS(",\"nbf\":1700000061" EXP), "the token is not good yet (nbf)"},
    {GOOD_HEADER, CLAIMS(",\"nbf\":\"0\"" EXP), "the token's exp or nbf is not a time"},
    {GOOD_HEADER, OTHER("\"https://issuer\"", "[\"x\",\"leat\"]", "\"7\""), NULL},
    {GOOD_HEADER, OTHER("\"https://issuer\"", "[\"x\",7]", "7"),
     "the token's aud does not have the configured audience"},
    {GOOD_HEADER, OTHER("\"https://issuer\"", "[]", "7"),
     "the token's aud does not have the configured audience"},
    {GOOD_HEADER, OTHER("\"https://issuer\"", "\"leat2\"", "7"),
     "the token's aud does not have the configured audience"},
    {GOOD_HEADER, OTHER("\"https://issuer\"", "\"leat\\u0000\"", "7"),
     "the token's aud does not have the configured audience"},
    {GOOD_HEADER, OTHER("\"https://issuer/\"", "\"leat\"", "7"),
     "the token's iss is not the configured issuer"},
    {GOOD_HEADER, OTHER("[\"https://issuer\"]", "\"leat\"", "7"),
     "the token's iss is not the configured issuer"},
    {GOOD_HEADER, "{\"aud\":\"leat\",\"app_id\":7,\"exp\":1700000600}",
     "the token's iss is not the configured issuer"},
    {GOOD_HEADER, OTHER("\"https://issuer\"", "\"leat\"", "\"\""),
     "the token does not name its tenant"},
    {GOOD_HEADER, OTHER("\"https://issuer\"", "\"leat\"", "7.5"),
     "the token does not name its tenant"},
    {GOOD_HEADER, OTHER("\"https://issuer\"", "\"leat\"", "[7]"),
     "the token does not name its tenant"},
    {GOOD_HEADER, "{\"iss\":\"https://issuer\",\"aud\":\"leat\",\"exp\":1700000600}",
     "the token does not name its tenant"},
    {GOOD_HEADER, CLAIMS(",\"scp\":[]" EXP), NULL},
    {GOOD_HEADER, OTHER("\"https://issuer\"", "\"leat\"", "7,\"scope\":[\"a:put\",7]"),
     "the token's scopes are neither a text nor a list of texts"},
    {GOOD_HEADER, OTHER("\"https://issuer\"", "\"leat\"", "7,\"scope\":{}"),
     "the token's scopes are neither a text nor a list of texts"},
    {GOOD_HEADER, OTHER("\"https://issuer\"", "\"leat\"", "7,\"sub\":{}"),
     "the token's sub is not a name"},
};

START_TEST(what_a_token_must_have)
{
    leat_buf text = {0}, token = {0};
    mint a = mint_new("ES256"), b = mint_new("EdDSA");
    leat_principal who = {0};
    leat_buf_text(&text, "{\"keys\":[");
    mint_jwk(&a, "a", ",\"alg\":\"ES256\"", &text);
    leat_buf_byte(&text, ',');
    mint_jwk(&b, "b", "", &text);
    leat_buf_text(&text, "]}");
    leat_jwt_keys *keys = read_keys(leat_buf_cstr(&text));
    for (size_t i = 0; i < COUNT_OF(tokens); i++) {
        mint_token(&a, tokens[i].header, tokens[i].claims, &token);
        const char *fault =
            leat_jwt_verify(&rules, keys, (leat_slice){token.data, token.size}, NOW, &who);
        ck_assert_msg(!fault == !tokens[i].fault && (!fault || strcmp(fault, tokens[i].fault) == 0),
                      "%s.%s: %s", tokens[i].header, tokens[i].claims, fault ? fault : "accepted");
        if (!fault)
            leat_buf_free(&who.text);
    }
    leat_jwt_keys_free(keys);
    EVP_PKEY_free(a.key);
    EVP_PKEY_free(b.key);
    leat_buf_free(&text);
    leat_buf_free(&token);
}
END_TEST

START_TEST(what_is_no_token)
{
    static const char *const texts[][2] = {
        {"", "the token is not a JSON Web Token"},
        {"a", "the token is not a JSON Web Token"},
        {"a.b", "the token is not a JSON Web Token"},
        {"a.b.c.d", "the token is not a JSON Web Token"},
        {"a.b.c.d.e", "the token is not a JSON Web Token"},
        {"..", "the token's header is not a JSON object"},
        {"e30=.e30.", "the token's header is not a JSON object"},
        {"e30.e30.", "the token's alg is not the one of its key"},
        {"eyJhbGciOiJFUzI1NiJ9.e30.", "the token's signature is wrong"},
        {"eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "the token's signature is wrong"},
    };
    leat_jwt_keys *keys = read_keys(RFC7515_A3_KEY);
    leat_principal who = {0};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        ck_assert_str_eq(leat_jwt_verify(&rules, keys, leat_slice_of(texts[i][0]), NOW, &who),
                         texts[i][1]);
    char zeros[86 + 1] = "", token[160], big[LEAT_JWT_SIZE_MAX + 2];
    memset(zeros, 'A', sizeof zeros - 1);
    snprintf(token, sizeof token, "eyJhbGciOiJFUzI1NiJ9.e30.%s", zeros);
    ck_assert_str_eq(leat_jwt_verify(&rules, keys, leat_slice_of(token), NOW, &who),
                     "the token's signature is wrong");
    memset(big, 'A', sizeof big);
    ck_assert_str_eq(leat_jwt_verify(&rules, keys, (leat_slice){big, sizeof big - 1}, NOW, &who),
                     "the token is too long");
    leat_jwt_keys_free(keys);
}
END_TEST

/* By their tenant and subject; one without a subject by itself. */
START_TEST(which_tokens_are_limited_together)
{
    static const struct {
        const char *app; /* and more */
        int like;
    } cases[] = {
        {"7,\"sub\":\"me\"", 0},  {"7,\"sub\":\"me\",\"jti\":\"2\"", 0}, {"8,\"sub\":\"me\"", 2},
        {"7,\"sub\":\"you\"", 3}, {"\"e7\",\"sub\":\"m\"", 4},           {"7", 5},
        {"7,\"jti\":\"2\"", 6},
    };
    uint64_t numbers[COUNT_OF(cases)];
    char claims[160];
    leat_buf text = {0}, token = {0};
    mint a = mint_new("ES256");
    mint_pem(&a, &text);
    leat_jwt_keys *keys = read_keys(leat_buf_cstr(&text));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        leat_principal who = {0};
        snprintf(claims, sizeof claims, OTHER("\"https://issuer\"", "\"leat\"", "%s"),
                 cases[i].app);
        const char *made = mint_token(&a, "{\"alg\":\"ES256\"}", claims, &token);
        ck_assert_ptr_null(leat_jwt_verify(&rules, keys, leat_slice_of(made), NOW, &who));
        numbers[i] = who.number;
        leat_buf_free(&who.text);
        for (size_t k = 0; k < i; k++)
            ck_assert_msg((numbers[i] == numbers[k]) == (cases[i].like == cases[k].like),
                          "%zu and %zu", i, k);
    }
    leat_jwt_keys_free(keys);
    EVP_PKEY_free(a.key);
    leat_buf_free(&text);
    leat_buf_free(&token);
}
END_TEST

START_TEST(without_a_configured_audience_a_token_must_have_none)
{
    static const leat_jwt_rules none = {.scope_claim = "scope"};
    leat_buf text = {0}, token = {0};
    mint a = mint_new("ES256");
    leat_principal who = {0};
    mint_pem(&a, &text);
    leat_jwt_keys *keys = read_keys(leat_buf_cstr(&text));
    const char *made =
        mint_token(&a, "{\"alg\":\"ES256\"}", "{\"exp\":1700000600,\"aud\":\"x\"}", &token);
    ck_assert_str_eq(leat_jwt_verify(&none, keys, leat_slice_of(made), NOW, &who),
                     "the token has an aud, and no audience is configured here");
    made = mint_token(&a, "{\"alg\":\"ES256\"}",
                      "{\"exp\":1700000600,\"scope\":[\"a:put\",\"b:*\"]}", &token);
    ck_assert(!leat_jwt_verify(&none, keys, leat_slice_of(made), NOW, &who));
    ck_assert(leat_slice_is(who.scopes, "a:put b:* ") && who.tenant.size == 0);
    leat_buf_free(&who.text);
    leat_jwt_keys_free(keys);
    EVP_PKEY_free(a.key);
    leat_buf_free(&text);
    leat_buf_free(&token);
}
END_TEST

/* ---- files of keys ---- */

#define X   "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define ED  "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X "\""
#define OCT "{\"kty\":\"oct\",\"k\":\"AAAA\"}"

static const char *const files[][2] = {
    {"", "k.json: it is neither a public key as PEM nor a JWK set ({\"keys\":[...]})"},
    {"[]", "k.json: it is neither a public key as PEM nor a JWK set ({\"keys\":[...]})"},
    {"{\"keys\":[]}", "k.json: it has no key for signatures that is RSA, EC on P-256 or Ed25519"},
    {"{\"keys\":[" OCT "]}",
     "k.json: it has no key for signatures that is RSA, EC on P-256 or Ed25519"},
    {"{\"keys\":[{" ED ",\"use\":\"enc\"}]}",
     "k.json: it has no key for signatures that is RSA, EC on P-256 or Ed25519"},
    {"{\"keys\":[{" ED ",\"alg\":\"HS256\"}]}",
     "k.json: it has no key for signatures that is RSA, EC on P-256 or Ed25519"},
    {"{\"keys\":[7]}", "k.json: a key is not a JSON object"},
    {"{\"keys\":[{" ED ",\"kid\":\"a\",\"d\":\"" X "\"}]}",
     "k.json: the key \"a\" is a private one, which leat must not have"},
    {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\"}",
     "k.json: the key \"a\" is no EdDSA key: a member is missing, or is wrong"},
    {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" X "=\"}",
     "k.json: the key \"\" is no EdDSA key: a member is missing, or is wrong"},
    {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" X "\"}",
     "k.json: the key \"\" is no ES256 key: a member is missing, or is wrong"},
    {"{\"kty\":\"RSA\",\"e\":\"AQAB\"}",
     "k.json: the key \"\" is no RS256 key: a member is missing, or is wrong"},
    {"{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" X "\"}",
     "k.json: an RSA key has 256 bits, and fewer than 2048 can be broken"},
    {"{\"keys\":[{" ED "},{" ED ",\"kid\":\"a\"}]}",
     "k.json: a key has no \"kid\": each of several keys needs one"},
    {"{\"keys\":[{" ED ",\"kid\":\"a\"},{" ED ",\"kid\":\"a\"}]}",
     "k.json: two keys have the \"kid\" \"a\""},
    {"-----BEGIN EC PRIVATE KEY-----\n",
     "k.json: it has a private key, which leat must not have (the public one: openssl pkey -in FILE -pubout)"},
    {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
     "k.json: it has no public key as PEM (-----BEGIN PUBLIC KEY-----)"},
    {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
     "k.json: it has no public key as PEM (-----BEGIN PUBLIC KEY-----)"},
};

START_TEST(a_bad_file_of_keys_is_refused)
{
    leat_error error = {""};
    leat_jwt_keys *keys = leat_jwt_keys_read("k.json", leat_slice_of(files[_i][0]), &error);
    ck_assert_msg(!keys, "accepted: %s", files[_i][0]);
    ck_assert_str_eq(error.text, files[_i][1]);
}
END_TEST

START_TEST(keys_of_other_kinds_are_left_out)
{
    leat_jwt_keys *keys =
        read_keys("{\"keys\":[" OCT ",{" ED ",\"kid\":\"a\"},{\"kty\":\"new\"}]}");
    ck_assert_uint_eq(leat_jwt_keys_count(keys), 1);
    ck_assert(leat_jwt_keys_find(keys, LEAT_SLICE("a")));
    ck_assert(leat_jwt_keys_find(keys, (leat_slice){NULL, 0}));
    ck_assert(!leat_jwt_keys_find(keys, LEAT_SLICE("b")));
    leat_jwt_keys_free(keys);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jwt");
    TCase *tests = tcase_create("jwt");
    tcase_add_test(tests, the_vector_of_rfc_7515_for_es256);
    tcase_add_test(tests, the_vector_of_rfc_8037_for_ed25519);
    tcase_add_loop_test(tests, each_algorithm_as_pem_and_as_jwk, 0, COUNT_OF(algorithms));
    tcase_add_test(tests, what_a_token_must_have);
    tcase_add_test(tests, what_is_no_token);
    tcase_add_test(tests, which_tokens_are_limited_together);
    tcase_add_test(tests, without_a_configured_audience_a_token_must_have_none);
    tcase_add_loop_test(tests, a_bad_file_of_keys_is_refused, 0, COUNT_OF(files));
    tcase_add_test(tests, keys_of_other_kinds_are_left_out);
    suite_add_tcase(suite, tests);
    return fixture_run(suite);
}
