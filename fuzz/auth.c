/* auth.c - what decides who may write: the file of tokens, the file of keys, a JSON Web Token as it
 * comes, and the header and claims of one whose signature is good. The first byte says which. */
#include "base/base64url.h"
#include "auth/jwt.h"
#include "auth/tokens.h"

#include <string.h>

#include <openssl/evp.h>

#include "target.h"

#define NOW_S INT64_C(1700000000)

static const unsigned char secret[32] = {7};

static const leat_jwt_rules rules = {
    .issuer = "i", .audience = "a", .tenant_claim = "t", .scope_claim = "scope", .leeway_s = 60};

static EVP_PKEY *issuer;
static leat_jwt_keys *keys;

static void begin(void)
{
    unsigned char public[32];
    size_t size = sizeof public;
    leat_buf jwk = {0};
    leat_error error = {""};
    issuer = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof secret);
    LEAT_ASSERT(issuer && EVP_PKEY_get_raw_public_key(issuer, public, &size) == 1);
    leat_buf_text(&jwk, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
    leat_base64url_encode((leat_slice){(const char *)public, size}, &jwk);
    leat_buf_text(&jwk, "\"}");
    keys = leat_jwt_keys_read("k", (leat_slice){jwk.data, jwk.size}, &error);
    LEAT_ASSERT(keys);
    leat_buf_free(&jwk);
}

static void check_prefix(const leat_error *error, const char *prefix)
{
    LEAT_ASSERT(strncmp(error->text, prefix, strlen(prefix)) == 0 && strlen(error->text) > 3);
}

static void read_tokens(leat_slice text)
{
    leat_error error = {""};
    leat_tokens *tokens = leat_tokens_read("t", text, &error);
    leat_digest empty = leat_digest_of((leat_slice){"", 0});
    if (!tokens)
        check_prefix(&error, "t:");
    else
        LEAT_ASSERT(!leat_tokens_find(tokens, &empty));
    leat_tokens_free(tokens);
}

static void read_keys(leat_slice text)
{
    leat_error error = {""};
    leat_jwt_keys *found = leat_jwt_keys_read("k", text, &error);
    if (!found)
        check_prefix(&error, "k: ");
    else
        LEAT_ASSERT(leat_jwt_keys_count(found) > 0);
    leat_jwt_keys_free(found);
}

static void verify(leat_slice token)
{
    leat_principal who = {0};
    if (leat_jwt_verify(&rules, keys, token, NOW_S, &who))
        return;
    LEAT_ASSERT(who.expires_s > NOW_S && who.tenant.size > 0);
    LEAT_ASSERT(who.name.size + who.tenant.size + who.scopes.size < who.text.size);
    leat_buf_free(&who.text);
}

/* The text up to the first newline is the header, the rest the claims. */
static void sign_and_verify(fuzz_bytes *bytes)
{
    unsigned char signature[64];
    size_t size = sizeof signature;
    leat_buf token = {0};
    leat_base64url_encode(fuzz_until(bytes, '\n'), &token);
    leat_buf_byte(&token, '.');
    leat_base64url_encode((leat_slice){(const char *)bytes->data, bytes->size}, &token);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    LEAT_ASSERT(context && EVP_DigestSignInit(context, NULL, NULL, NULL, issuer) == 1 &&
                EVP_DigestSign(context, signature, &size, (const unsigned char *)token.data,
                               token.size) == 1);
    EVP_MD_CTX_free(context);
    leat_buf_byte(&token, '.');
    leat_base64url_encode((leat_slice){(const char *)signature, size}, &token);
    verify((leat_slice){token.data, token.size});
    leat_buf_free(&token);
}

static void check_spelling(leat_slice text)
{
    leat_buf bytes = {0}, again = {0};
    if (leat_base64url_decode(text, &bytes)) {
        leat_base64url_encode((leat_slice){bytes.data, bytes.size}, &again);
        LEAT_ASSERT(again.size == text.size &&
                    (text.size == 0 || memcmp(again.data, text.data, text.size) == 0));
    }
    leat_buf_free(&bytes);
    leat_buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_bytes bytes = {data, size};
    uint8_t which = fuzz_byte(&bytes);
    leat_slice rest = {(const char *)bytes.data, bytes.size};
    if (!issuer)
        begin();
    if (which == 't')
        read_tokens(rest);
    else if (which == 'k')
        read_keys(rest);
    else if (which == 'j')
        sign_and_verify(&bytes);
    else if (which == 'b')
        check_spelling(rest);
    else
        verify(rest);
    return 0;
}
