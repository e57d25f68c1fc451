/*
 * jwt.h - JSON Web Tokens (RFC 7519, RFC 7515 in its compact form) as RFC 8725 wants them checked.
 *
 * Own code on OpenSSL's EVP and yyjson, because the packaged libraries know no EdDSA, parse the key
 * again for each token, believe what a token says about its own algorithm, or leave `exp` to the
 * caller. It is little code: three parts, two JSON objects, one signature.
 *
 * Refused besides a wrong signature: more than LEAT_JWT_SIZE_MAX bytes; text that is not canonical
 * base64url; a header or claims that are not an object or have a name twice; any `crit`; a missing
 * `exp`; times that are no numbers; an `aud` without ours in it, also where none is configured.
 * JSON nested deep costs nothing here: yyjson reads it without recursion, and only the first level
 * is looked at. Pure: time comes with the call.
 */
#ifndef LEAT_AUTH_JWT_H
#define LEAT_AUTH_JWT_H

#include "auth/keys.h"
#include "auth/principal.h"

enum {
    LEAT_JWT_SIZE_MAX = 8192,
    LEAT_JWT_MEMBERS_MAX = 128, /* of the header, of the claims */
};

typedef struct leat_jwt_rules {
    const char *issuer;       /* NULL: any */
    const char *audience;     /* NULL: the token must have none */
    const char *tenant_claim; /* NULL: a token is not for one tenant. A text or a whole number, and
                                 each token has it */
    const char *scope_claim;  /* a text of words, or a list of them; missing: no scope */
    int64_t leeway_s;         /* clocks may differ by this much */
} leat_jwt_rules;

/* Looks like one: three parts. */
bool leat_jwt_is_form(leat_slice token);

/* NULL: the token is good, `ret` says whose it is, and its text is the caller's to free. Else the
 * reason, as a client may read it: of the token only, never of the keys. */
const char *leat_jwt_verify(const leat_jwt_rules *rules, const leat_jwt_keys *keys,
                            leat_slice token, int64_t now_s, leat_principal *ret) LEAT_MUST_CHECK;

#endif
