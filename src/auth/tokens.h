/*
 * tokens.h - the file of bearer tokens. One token a line, words with blanks between them; '#'
 * begins a comment:
 *
 *     # name    token           scopes                     tenant
 *     importer  sha256:9f86...  *:*
 *     app-7     $APP_7_TOKEN    users:put,users:patch      tenant=7
 *
 * The token is the SHA-256 of its bytes in hexadecimal digits, or the name of a variable of the
 * environment that has the token itself. Scopes are those of scopes.h. With a tenant it writes the
 * rows of that tenant only; the tenant is spelled as in a path (percent-encoded).
 *
 * The list never changes once it is read; any thread may look into it.
 */
#ifndef LEAT_AUTH_TOKENS_H
#define LEAT_AUTH_TOKENS_H

#include "auth/digest.h"
#include "auth/principal.h"

enum {
    LEAT_TOKENS_MAX = 65536,
    LEAT_TOKENS_FILE_MAX = 16 * 1024 * 1024,
};

typedef struct leat_tokens leat_tokens;

/* `file`: its name in messages, "file:line: what is wrong". NULL: the text has a mistake. */
leat_tokens *leat_tokens_read(const char *file, leat_slice text, leat_error *error);
void leat_tokens_free(leat_tokens *tokens); /* NULL: none */
uint32_t leat_tokens_count(const leat_tokens *tokens);
/* How many have a scope of a route that is none of these (leat_scopes_without_route). Of the first
 * such line the name and the scope go to `ret_name` and `ret_scope`, borrowed. */
uint32_t leat_tokens_without_route(const leat_tokens *tokens, const char *const *routes,
                                   uint32_t route_count, leat_slice *ret_name,
                                   leat_slice *ret_scope);
/* The one with this digest; NULL: there is none. Borrowed. */
const leat_principal *leat_tokens_find(const leat_tokens *tokens, const leat_digest *digest);

#endif
