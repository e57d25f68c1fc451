/*
 * auth.h - who may come: the tokens and keys of the configuration's files, and the check of a
 * token against them.
 *
 * What the files have is a set that never changes. Reading them again publishes another one; the
 * threads that check notice by one load, and the last that uses a set frees it. A checker belongs
 * to one thread. It remembers the JSON Web Tokens that it has verified, because a signature costs
 * as much as several requests: by the digest of the token, in a table of fixed size, until the
 * token expires or the set changes.
 */
#ifndef LEAT_AUTH_AUTH_H
#define LEAT_AUTH_AUTH_H

#include "auth/jwt.h"
#include "auth/tokens.h"

typedef struct leat_auth_config {
    const char *tokens_file;   /* tokens.h; NULL: none */
    const char *jwt_keys_file; /* keys.h; NULL: none */
    leat_jwt_rules jwt;
} leat_auth_config;

typedef struct leat_auth leat_auth;

/* Reads the files. NULL: `error` names the file and, where there is one, the line. The texts of the
 * configuration outlive it. */
leat_auth *leat_auth_new(const leat_auth_config *config, leat_error *error);
/* Reads them again: 0, or -1, and what was read before stays in effect. Any thread. */
int leat_auth_reload(leat_auth *auth, leat_error *error) LEAT_MUST_CHECK;
/* The file's tokens, borrowed until they are read again; NULL: none are configured. For who reads
 * them once: a reload by another thread frees them. */
const leat_tokens *leat_auth_tokens(const leat_auth *auth);
/* After its checkers; NULL: none. */
void leat_auth_free(leat_auth *auth);

typedef struct leat_auth_checker leat_auth_checker;

leat_auth_checker *leat_auth_checker_new(leat_auth *auth);
void leat_auth_checker_free(leat_auth_checker *checker); /* NULL: none */
/* Whose the token is: valid until the next call. NULL: nobody's, and `ret_why` gets the reason, as
 * a client may read it. */
const leat_principal *leat_auth_check(leat_auth_checker *checker, leat_slice token, int64_t now_s,
                                      const char **ret_why);
/* What the last check said is still what another one would say, as far as the files go: none has
 * been read again since. One load. */
bool leat_auth_is_current(const leat_auth_checker *checker);
/* Tokens whose signature was checked: those that were not remembered. */
uint64_t leat_auth_verified(const leat_auth_checker *checker);

#endif
