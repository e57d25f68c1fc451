/*
 * keys.h - the public keys that JSON Web Tokens are verified with: one key as PEM, or a JWK set
 * (RFC 7517). A key has exactly one algorithm, by its kind: RSA is RS256, EC on P-256 is ES256,
 * Ed25519 is EdDSA. What a token says about its algorithm is compared with that and decides
 * nothing; "none" and the HMAC family are no algorithm of any key.
 *
 * The keys never change once they are read; any thread may use them.
 */
#ifndef LEAT_AUTH_KEYS_H
#define LEAT_AUTH_KEYS_H

#include "base/base.h"

enum {
    LEAT_JWT_KEYS_MAX = 64,
    LEAT_JWT_KEYS_FILE_MAX = 1024 * 1024,
    LEAT_JWT_RSA_BITS_MIN = 2048,
};

typedef struct leat_jwt_keys leat_jwt_keys;
typedef struct leat_jwt_key leat_jwt_key;

/* `file`: its name in messages. Members of a set whose kind or use is another are left out, as RFC
 * 7517 wants it; one that is broken is an error, as is a set without any other. NULL: error. */
leat_jwt_keys *leat_jwt_keys_read(const char *file, leat_slice text, leat_error *error);
void leat_jwt_keys_free(leat_jwt_keys *keys); /* NULL: none */
uint32_t leat_jwt_keys_count(const leat_jwt_keys *keys);
/* The key of a token with this `kid`; `data` NULL: it has none. NULL: there is no such key. A key
 * without a name is the only one, and is every token's. Borrowed. */
const leat_jwt_key *leat_jwt_keys_find(const leat_jwt_keys *keys, leat_slice kid);
/* "RS256", "ES256" or "EdDSA". */
const char *leat_jwt_key_algorithm(const leat_jwt_key *key);
/* Is it the key's signature of the bytes? In the form of RFC 7518: ES256 is r and s, 64 bytes. */
bool leat_jwt_key_verifies(const leat_jwt_key *key, leat_slice bytes, leat_slice signature);

#endif
