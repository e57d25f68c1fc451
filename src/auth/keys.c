/*
 * keys.c - keys are parsed once, when their file is read: parsing a PEM costs many times what
 * checking a signature does. OpenSSL wants the two numbers of an ES256 signature as DER, and
 * Ed25519 in one call without a digest; the rest is the same for all.
 *
 * OpenSSL keeps its errors in a queue of the thread, where the next caller (TLS on the same thread)
 * would take them for its own: every function here leaves it empty.
 */
#include "auth/keys.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <yyjson.h>

#include "base/base64url.h"

enum { P256_SIZE = 32, ED25519_SIZE = 32, DER_MAX = 128 };

struct leat_jwt_key {
    char *kid; /* NULL: it has no name */
    const char *algorithm;
    EVP_PKEY *key;
};

struct leat_jwt_keys {
    uint32_t count;
    leat_jwt_key keys[LEAT_JWT_KEYS_MAX];
};

/* ---- one key ---- */

/* NULL: no algorithm is its own. */
static const char *algorithm_of(EVP_PKEY *key)
{
    char group[32] = "";
    size_t size = 0;
    if (EVP_PKEY_is_a(key, "RSA"))
        return "RS256";
    if (EVP_PKEY_is_a(key, "ED25519"))
        return "EdDSA";
    bool has_group = EVP_PKEY_is_a(key, "EC") &&
                     EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1;
    return has_group && (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0) ? "ES256"
                                                                                          : NULL;
}

/* Takes the key. */
static int add_key(leat_jwt_keys *keys, EVP_PKEY *key, const char *kid, leat_error *error)
{
    const char *algorithm = algorithm_of(key);
    int fault = 0;
    if (!algorithm)
        fault = leat_fail(error, "a key is neither RSA, EC on P-256 nor Ed25519");
    else if (strcmp(algorithm, "RS256") == 0 && EVP_PKEY_get_bits(key) < LEAT_JWT_RSA_BITS_MIN)
        fault = leat_fail(error, "an RSA key has %d bits, and fewer than %d can be broken",
                          EVP_PKEY_get_bits(key), LEAT_JWT_RSA_BITS_MIN);
    else if (keys->count == LEAT_JWT_KEYS_MAX)
        fault = leat_fail(error, "there are more than %d keys", LEAT_JWT_KEYS_MAX);
    for (uint32_t i = 0; fault == 0 && i < keys->count; i++)
        if (!kid || !keys->keys[i].kid)
            fault = leat_fail(error, "a key has no \"kid\": each of several keys needs one");
        else if (strcmp(keys->keys[i].kid, kid) == 0)
            fault = leat_fail(error, "two keys have the \"kid\" \"%.80s\"", kid);
    if (fault != 0) {
        EVP_PKEY_free(key);
        return -1;
    }
    keys->keys[keys->count++] = (leat_jwt_key){
        .kid = kid ? leat_must_strdup(kid) : NULL, .algorithm = algorithm, .key = key};
    return 0;
}

/* ---- PEM ---- */

static int read_pem(leat_jwt_keys *keys, leat_slice text, leat_error *error)
{
    static const char private[] = "PRIVATE KEY-----";
    if (memmem(text.data, text.size, private, sizeof private - 1))
        return leat_fail(error, "it has a private key, which leat must not have (the public one: "
                                "openssl pkey -in FILE -pubout)");
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.size);
    EVP_PKEY *key = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *second = key ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    if (second) {
        EVP_PKEY_free(second);
        EVP_PKEY_free(key);
        return leat_fail(error, "it has several keys: as PEM they have no names (a JWK set has)");
    }
    return key ? add_key(keys, key, NULL, error)
               : leat_fail(error, "it has no public key as PEM (-----BEGIN PUBLIC KEY-----)");
}

/* ---- JWK ---- */

/* A member that is base64url; false: it is not there, or is not. */
static bool read_bytes(yyjson_val *jwk, const char *name, leat_buf *out)
{
    yyjson_val *value = yyjson_obj_get(jwk, name);
    leat_buf_clear(out);
    return yyjson_is_str(value) &&
           leat_base64url_decode((leat_slice){yyjson_get_str(value), yyjson_get_len(value)}, out) &&
           out->size > 0;
}

static EVP_PKEY *make(const char *type, OSSL_PARAM_BLD *build)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (params && context && EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *make_rsa(yyjson_val *jwk, leat_buf *room)
{
    BIGNUM *n = NULL, *e = NULL;
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (read_bytes(jwk, "n", room))
        n = BN_bin2bn((const unsigned char *)room->data, (int)room->size, NULL);
    if (read_bytes(jwk, "e", room))
        e = BN_bin2bn((const unsigned char *)room->data, (int)room->size, NULL);
    if (build && n && e && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        key = make("RSA", build);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    return key;
}

static EVP_PKEY *make_ec(yyjson_val *jwk, leat_buf *room)
{
    unsigned char point[1 + 2 * P256_SIZE] = {4}; /* uncompressed */
    EVP_PKEY *key = NULL;
    if (!read_bytes(jwk, "x", room) || room->size != P256_SIZE)
        return NULL;
    memcpy(point + 1, room->data, P256_SIZE);
    if (!read_bytes(jwk, "y", room) || room->size != P256_SIZE)
        return NULL;
    memcpy(point + 1 + P256_SIZE, room->data, P256_SIZE);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (build &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1)
        key = make("EC", build);
    OSSL_PARAM_BLD_free(build);
    return key;
}

static EVP_PKEY *make_ed25519(yyjson_val *jwk, leat_buf *room)
{
    if (!read_bytes(jwk, "x", room) || room->size != ED25519_SIZE)
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)room->data,
                                       room->size);
}

typedef struct jwk_kind {
    const char *kty, *crv; /* `crv` NULL: it has no curve */
    const char *algorithm;
    EVP_PKEY *(*make)(yyjson_val *jwk, leat_buf *room);
} jwk_kind;

static const jwk_kind kinds[] = {{"RSA", NULL, "RS256", make_rsa},
                                 {"EC", "P-256", "ES256", make_ec},
                                 {"OKP", "Ed25519", "EdDSA", make_ed25519}};

static const char *text_of(yyjson_val *jwk, const char *name)
{
    return yyjson_get_str(yyjson_obj_get(jwk, name));
}

static bool is(const char *text, const char *wanted)
{
    return text && strcmp(text, wanted) == 0;
}

/* NULL: it is not for signatures of a kind that leat knows. */
static const jwk_kind *kind_of(yyjson_val *jwk)
{
    const char *use = text_of(jwk, "use"), *alg = text_of(jwk, "alg");
    if (use && !is(use, "sig"))
        return NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (is(text_of(jwk, "kty"), kinds[i].kty) &&
            (!kinds[i].crv || is(text_of(jwk, "crv"), kinds[i].crv)) &&
            (!alg || is(alg, kinds[i].algorithm)))
            return &kinds[i];
    return NULL;
}

static int read_jwk(leat_jwt_keys *keys, yyjson_val *jwk, leat_error *error)
{
    leat_buf room = {0};
    const char *kid = text_of(jwk, "kid");
    if (!yyjson_is_obj(jwk))
        return leat_fail(error, "a key is not a JSON object");
    const jwk_kind *kind = kind_of(jwk);
    if (yyjson_obj_get(jwk, "d"))
        return leat_fail(error, "the key \"%.80s\" is a private one, which leat must not have",
                         kid ? kid : "");
    if (!kind)
        return 0;
    EVP_PKEY *key = kind->make(jwk, &room);
    leat_buf_free(&room);
    if (!key)
        return leat_fail(error, "the key \"%.80s\" is no %s key: a member is missing, or is wrong",
                         kid ? kid : "", kind->algorithm);
    return add_key(keys, key, kid, error);
}

static int read_jwks(leat_jwt_keys *keys, leat_slice text, leat_error *error)
{
    yyjson_doc *doc = yyjson_read(text.data, text.size, 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *list = yyjson_obj_get(root, "keys"), *jwk;
    size_t i, count;
    int result = 0;
    if (yyjson_is_arr(list)) {
        yyjson_arr_foreach(list, i, count, jwk)
        {
            if (result == 0)
                result = read_jwk(keys, jwk, error);
        }
    } else if (yyjson_is_obj(root) && text_of(root, "kty")) {
        result = read_jwk(keys, root, error);
    } else {
        result =
            leat_fail(error, "it is neither a public key as PEM nor a JWK set ({\"keys\":[...]})");
    }
    yyjson_doc_free(doc);
    return result;
}

/* ---- all ---- */

leat_jwt_keys *leat_jwt_keys_read(const char *file, leat_slice text, leat_error *error)
{
    static const char begin[] = "-----BEGIN ";
    leat_jwt_keys *keys = leat_must_calloc(1, sizeof *keys);
    bool is_pem = memmem(text.data, text.size, begin, sizeof begin - 1) != NULL;
    int result = is_pem ? read_pem(keys, text, error) : read_jwks(keys, text, error);
    if (result == 0 && keys->count == 0)
        result =
            leat_fail(error, "it has no key for signatures that is RSA, EC on P-256 or Ed25519");
    ERR_clear_error();
    if (result == 0)
        return keys;
    leat_fail_prefix(error, "%s", file);
    leat_jwt_keys_free(keys);
    return NULL;
}

void leat_jwt_keys_free(leat_jwt_keys *keys)
{
    if (!keys)
        return;
    for (uint32_t i = 0; i < keys->count; i++) {
        free(keys->keys[i].kid);
        EVP_PKEY_free(keys->keys[i].key);
    }
    free(keys);
}

uint32_t leat_jwt_keys_count(const leat_jwt_keys *keys)
{
    return keys->count;
}

const leat_jwt_key *leat_jwt_keys_find(const leat_jwt_keys *keys, leat_slice kid)
{
    if (keys->count == 1 && (!kid.data || !keys->keys[0].kid))
        return &keys->keys[0];
    for (uint32_t i = 0; kid.data && i < keys->count; i++)
        if (leat_slice_is(kid, keys->keys[i].kid))
            return &keys->keys[i];
    return NULL;
}

const char *leat_jwt_key_algorithm(const leat_jwt_key *key)
{
    return key->algorithm;
}

/* ---- signatures ---- */

/* The size of `der`; 0: it is no signature. */
static size_t to_der(leat_slice signature, unsigned char der[DER_MAX])
{
    const unsigned char *bytes = (const unsigned char *)signature.data;
    if (signature.size != 2 * P256_SIZE)
        return 0;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(bytes, P256_SIZE, NULL),
           *s = BN_bin2bn(bytes + P256_SIZE, P256_SIZE, NULL);
    if (!pair || !r || !s || ECDSA_SIG_set0(pair, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        ECDSA_SIG_free(pair);
        return 0;
    }
    unsigned char *end = der;
    LEAT_ASSERT(i2d_ECDSA_SIG(pair, NULL) <= DER_MAX);
    int size = i2d_ECDSA_SIG(pair, &end);
    ECDSA_SIG_free(pair);
    return size > 0 ? (size_t)size : 0;
}

bool leat_jwt_key_verifies(const leat_jwt_key *key, leat_slice bytes, leat_slice signature)
{
    unsigned char der[DER_MAX];
    const unsigned char *given = (const unsigned char *)signature.data;
    size_t size = signature.size;
    if (strcmp(key->algorithm, "ES256") == 0) {
        given = der;
        size = to_der(signature, der);
    }
    bool is_edwards = strcmp(key->algorithm, "EdDSA") == 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool verifies =
        size > 0 && context &&
        EVP_DigestVerifyInit(context, NULL, is_edwards ? NULL : EVP_sha256(), NULL, key->key) ==
            1 &&
        EVP_DigestVerify(context, given, size, (const unsigned char *)bytes.data, bytes.size) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return verifies;
}
