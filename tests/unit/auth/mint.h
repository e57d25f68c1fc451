/* Signs tokens as an issuer would, with keys made on the spot. */
#ifndef TESTS_AUTH_MINT_H
#define TESTS_AUTH_MINT_H

#include "../record/fixture.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/base64url.h"

typedef struct mint {
    EVP_PKEY *key;
    const char *algorithm;
} mint;

static inline mint mint_new(const char *algorithm)
{
    mint ret = {NULL, algorithm};
    if (strcmp(algorithm, "RS256") == 0)
        ret.key = EVP_RSA_gen(2048);
    else if (strcmp(algorithm, "ES256") == 0)
        ret.key = EVP_EC_gen("P-256");
    else
        ret.key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    ck_assert_ptr_nonnull(ret.key);
    return ret;
}

static inline void mint_pem(const mint *from, leat_buf *out)
{
    char *data;
    BIO *bio = BIO_new(BIO_s_mem());
    ck_assert_int_eq(PEM_write_bio_PUBKEY(bio, from->key), 1);
    long size = BIO_get_mem_data(bio, &data);
    leat_buf_append(out, data, (size_t)size);
    BIO_free(bio);
}

static inline void mint_member(leat_buf *out, const char *name, const unsigned char *bytes,
                               size_t size)
{
    leat_buf_printf(out, ",\"%s\":\"", name);
    leat_base64url_encode((leat_slice){(const char *)bytes, size}, out);
    leat_buf_byte(out, '"');
}

static inline void mint_number(leat_buf *out, const mint *from, const char *name, const char *param)
{
    unsigned char bytes[512];
    BIGNUM *number = NULL;
    ck_assert_int_eq(EVP_PKEY_get_bn_param(from->key, param, &number), 1);
    mint_member(out, name, bytes, (size_t)BN_bn2bin(number, bytes));
    BN_free(number);
}

/* One member of a set; `more`: further members, each with a comma before it. */
static inline void mint_jwk(const mint *from, const char *kid, const char *more, leat_buf *out)
{
    unsigned char bytes[128];
    size_t size = sizeof bytes;
    leat_buf_printf(out, "{\"kid\":\"%s\"%s", kid, more);
    if (strcmp(from->algorithm, "RS256") == 0) {
        leat_buf_text(out, ",\"kty\":\"RSA\"");
        mint_number(out, from, "n", OSSL_PKEY_PARAM_RSA_N);
        mint_number(out, from, "e", OSSL_PKEY_PARAM_RSA_E);
    } else if (strcmp(from->algorithm, "ES256") == 0) {
        leat_buf_text(out, ",\"kty\":\"EC\",\"crv\":\"P-256\"");
        ck_assert_int_eq(EVP_PKEY_get_octet_string_param(from->key, OSSL_PKEY_PARAM_PUB_KEY, bytes,
                                                         sizeof bytes, &size),
                         1);
        ck_assert_uint_eq(size, 65);
        mint_member(out, "x", bytes + 1, 32);
        mint_member(out, "y", bytes + 33, 32);
    } else {
        leat_buf_text(out, ",\"kty\":\"OKP\",\"crv\":\"Ed25519\"");
        ck_assert_int_eq(EVP_PKEY_get_raw_public_key(from->key, bytes, &size), 1);
        mint_member(out, "x", bytes, size);
    }
    leat_buf_byte(out, '}');
}

/* The form of RFC 7518: r and s, each 32 bytes. */
static inline void mint_two_numbers(unsigned char *bytes, size_t *size)
{
    const unsigned char *der = bytes;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)*size);
    ck_assert_ptr_nonnull(pair);
    ck_assert_int_eq(BN_bn2binpad(ECDSA_SIG_get0_r(pair), bytes, 32), 32);
    ck_assert_int_eq(BN_bn2binpad(ECDSA_SIG_get0_s(pair), bytes + 32, 32), 32);
    ECDSA_SIG_free(pair);
    *size = 64;
}

/* The token of this header and these claims, NUL-terminated in `out`. */
static inline const char *mint_token(const mint *from, const char *header, const char *claims,
                                     leat_buf *out)
{
    unsigned char bytes[512];
    size_t size = sizeof bytes;
    leat_buf_clear(out);
    leat_base64url_encode(leat_slice_of(header), out);
    leat_buf_byte(out, '.');
    leat_base64url_encode(leat_slice_of(claims), out);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_edwards = strcmp(from->algorithm, "EdDSA") == 0;
    ck_assert_int_eq(
        EVP_DigestSignInit(context, NULL, is_edwards ? NULL : EVP_sha256(), NULL, from->key), 1);
    ck_assert_int_eq(
        EVP_DigestSign(context, bytes, &size, (const unsigned char *)out->data, out->size), 1);
    EVP_MD_CTX_free(context);
    if (strcmp(from->algorithm, "ES256") == 0)
        mint_two_numbers(bytes, &size);
    leat_buf_byte(out, '.');
    leat_base64url_encode((leat_slice){(const char *)bytes, size}, out);
    return leat_buf_cstr(out);
}

#endif
