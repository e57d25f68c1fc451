/*
 * token.c - leat token new: a random token, and the line that lets the edge know it. leat keeps
 * neither: the token goes to the client, its digest into the file, and no file has both. Needs no
 * configuration.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/base64url.h"
#include "auth/tokens.h"
#include "base/diag.h"
#include "cli/commands.h"

enum { TOKEN_BYTES = 32 };

/* It begins with a word that programs which look for leaked secrets can find. */
static int make_token(leat_buf *out, leat_error *error)
{
    unsigned char bytes[TOKEN_BYTES];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return leat_fail(error, "there are no random numbers");
    leat_buf_text(out, "leat_");
    leat_base64url_encode((leat_slice){(const char *)bytes, sizeof bytes}, out);
    return leat_buf_cstr(out) ? 0 : leat_fail(error, "out of memory");
}

/* The line, read as the edge would read it: what is wrong with it is wrong with an argument. */
static int make_line(const leat_options *options, leat_slice token, leat_buf *out,
                     leat_error *error)
{
    char hex[LEAT_DIGEST_HEX_SIZE];
    leat_digest digest = leat_digest_of(token);
    leat_digest_to_hex(&digest, hex);
    leat_buf_printf(out, "%s sha256:%s %s", options->operands[0], hex,
                    options->scopes ? options->scopes : "*:*");
    if (options->tenant)
        leat_buf_printf(out, " tenant=%s", options->tenant);
    if (!leat_buf_cstr(out))
        return leat_fail(error, "out of memory");
    leat_tokens *tokens = leat_tokens_read("line", (leat_slice){out->data, out->size}, error);
    bool is_one = tokens && leat_tokens_count(tokens) == 1;
    if (tokens && !is_one)
        leat_fail(error, "NAME, --scopes and --tenant must have neither blanks nor '#'");
    leat_tokens_free(tokens);
    return is_one ? 0 : -1;
}

int leat_command_token_new(const leat_options *options)
{
    leat_buf token = {0}, line = {0};
    leat_error error = {""};
    int result = make_token(&token, &error);
    if (result == 0)
        result = make_line(options, (leat_slice){token.data, token.size}, &line, &error);
    if (result == 0)
        printf("# the token, which is shown only now: for the client\n%s\n"
               "# its line: for the file that auth.tokens names\n%s\n",
               leat_buf_cstr(&token), leat_buf_cstr(&line));
    else
        leat_print_error("leat token new: %s", error.text);
    leat_buf_free(&token);
    leat_buf_free(&line);
    return result == 0 ? LEAT_EXIT_OK : LEAT_EXIT_USAGE;
}
