/*
 * tokens.c - a table of digests. Which place of the table is looked at depends on the digest of
 * what a client has sent, which tells it nothing about the digests that are there; the comparison
 * itself takes the same time for all.
 *
 * Messages name the line and never show a word of it that may be a token: people put the token
 * itself where its digest belongs.
 */
#include "auth/tokens.h"

#include <stdlib.h>
#include <string.h>

#include "auth/scopes.h"
#include "base/limits.h"

enum { WORDS = 4, VARIABLE_MAX = 128 };

typedef struct token {
    leat_digest digest;
    uint32_t line;
    leat_principal principal;
} token;

struct leat_tokens {
    char *text; /* of the file, decoded in place: what the principals' slices are in */
    uint32_t count;
    uint32_t capacity;
    token *tokens;
    uint32_t slot_count; /* a power of two, at least twice as many */
    uint32_t *slots;     /* index + 1; 0: empty */
};

typedef struct parser {
    const char *file;
    uint32_t line;
    leat_tokens *tokens;
    leat_error *error;
} parser;

/* ---- one line ---- */

static int fail_line(const parser *p)
{
    return leat_fail_prefix(p->error, "%s:%u", p->file, p->line);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The words of a line without its comment; WORDS + 1: there are more. */
static uint32_t split(leat_slice line, leat_slice words[WORDS])
{
    uint32_t count = 0;
    for (size_t at = 0; at < line.size;) {
        if (line.data[at] == '#')
            break;
        if (is_blank(line.data[at])) {
            at++;
            continue;
        }
        size_t end = at;
        while (end < line.size && !is_blank(line.data[end]))
            end++;
        if (count == WORDS)
            return WORDS + 1;
        words[count++] = (leat_slice){line.data + at, end - at};
        at = end;
    }
    return count;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

static int check_name(const parser *p, leat_slice name)
{
    bool is_good = name.size <= LEAT_NAME_MAX;
    for (size_t i = 0; i < name.size; i++)
        is_good = is_good && is_name_char(name.data[i]);
    if (!is_good) {
        leat_fail(p->error, "the first word is the token's name: letters, digits, '_', '-' and "
                            "'.', at most " LEAT_STRINGIZE(LEAT_NAME_MAX));
        return fail_line(p);
    }
    return 0;
}

static int read_variable(const parser *p, leat_slice word, leat_digest *ret)
{
    char name[VARIABLE_MAX];
    if (word.size <= 1 || word.size > sizeof name) {
        leat_fail(p->error, "the second word is '$' and not the name of a variable");
        return fail_line(p);
    }
    memcpy(name, word.data + 1, word.size - 1);
    name[word.size - 1] = '\0';
    const char *value = getenv(name);
    if (value && *value) {
        *ret = leat_digest_of(leat_slice_of(value));
        return 0;
    }
    leat_fail(p->error, "the environment variable %s is %s: a token must not be empty", name,
              value ? "empty" : "not set");
    return fail_line(p);
}

static int read_digest(const parser *p, leat_slice word, leat_digest *ret)
{
    static const char before[] = "sha256:";
    size_t size = sizeof before - 1;
    if (word.data[0] == '$')
        return read_variable(p, word, ret);
    if (word.size <= size || memcmp(word.data, before, size) != 0 ||
        !leat_digest_from_hex((leat_slice){word.data + size, word.size - size}, ret)) {
        leat_fail(p->error, "the second word is neither sha256: with 64 hexadecimal digits nor "
                            "$VARIABLE (`leat token new NAME` prints a whole line)");
        return fail_line(p);
    }
    leat_digest empty = leat_digest_of((leat_slice){"", 0});
    if (leat_digest_equal(ret, &empty)) {
        leat_fail(p->error, "this is the digest of an empty token, which anybody has");
        return fail_line(p);
    }
    return 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place: the text is the list's own. */
static int read_tenant(const parser *p, leat_slice word, leat_slice *ret)
{
    static const char before[] = "tenant=";
    size_t start = sizeof before - 1, size = 0;
    if (word.size <= start || memcmp(word.data, before, start) != 0) {
        leat_fail(p->error, "the fourth word is not tenant= and a tenant");
        return fail_line(p);
    }
    char *out = p->tokens->text + (word.data + start - p->tokens->text);
    for (size_t at = start; at < word.size; at++) {
        char c = word.data[at];
        if (c == '%') {
            int high = at + 2 < word.size ? hex_digit(word.data[at + 1]) : -1;
            int low = high < 0 ? -1 : hex_digit(word.data[at + 2]);
            if (low < 0) {
                leat_fail(p->error, "tenant has a '%%' that two hexadecimal digits do not follow");
                return fail_line(p);
            }
            c = (char)(high << 4 | low);
            at += 2;
        }
        out[size++] = c;
    }
    *ret = (leat_slice){out, size};
    return 0;
}

/* ---- the list ---- */

static token *add(leat_tokens *tokens)
{
    if (tokens->count == tokens->capacity) {
        tokens->capacity = tokens->capacity ? 2 * tokens->capacity : 16;
        tokens->tokens = realloc(tokens->tokens, tokens->capacity * sizeof *tokens->tokens);
        LEAT_ASSERT(tokens->tokens); /* a few megabytes at most */
    }
    token *last = &tokens->tokens[tokens->count++];
    *last = (token){.principal.expires_s = INT64_MAX};
    return last;
}

static uint64_t number_of(leat_slice name)
{
    return leat_hash_seeded(name, 1);
}

static int read_line(const parser *p, leat_slice line)
{
    leat_slice words[WORDS];
    token one = {.line = p->line, .principal = {.expires_s = INT64_MAX, .tenant = {"", 0}}};
    uint32_t count = split(line, words);
    if (count == 0)
        return 0;
    if (count < 3 || count > WORDS) {
        leat_fail(p->error, "not NAME TOKEN SCOPES, or these and tenant=TENANT (scopes have commas "
                            "between them, and no blanks)");
        return fail_line(p);
    }
    if (check_name(p, words[0]) != 0 || read_digest(p, words[1], &one.digest) != 0)
        return -1;
    if (leat_scopes_check(words[2], p->error) != 0)
        return fail_line(p);
    if (count == WORDS && read_tenant(p, words[3], &one.principal.tenant) != 0)
        return -1;
    if (p->tokens->count == LEAT_TOKENS_MAX) {
        leat_fail(p->error, "there are more than %d tokens", LEAT_TOKENS_MAX);
        return fail_line(p);
    }
    one.principal.name = words[0];
    one.principal.scopes = words[2];
    one.principal.number = number_of(words[0]);
    *add(p->tokens) = one;
    return 0;
}

/* Index + 1, or 0. */
static uint32_t find(const leat_tokens *tokens, const leat_digest *digest, uint32_t *ret_slot)
{
    uint32_t slot = (uint32_t)leat_digest_number(digest) & (tokens->slot_count - 1);
    for (; tokens->slots[slot] != 0; slot = (slot + 1) & (tokens->slot_count - 1))
        if (leat_digest_equal(&tokens->tokens[tokens->slots[slot] - 1].digest, digest))
            break;
    *ret_slot = slot;
    return tokens->slots[slot];
}

static int check_unique_names(parser *p)
{
    const leat_tokens *tokens = p->tokens;
    uint32_t mask = tokens->slot_count - 1;
    uint32_t *slots = leat_must_calloc(tokens->slot_count, sizeof *slots);
    const token *same = NULL;
    for (uint32_t i = 0; i < tokens->count && !same; i++) {
        const leat_principal *one = &tokens->tokens[i].principal;
        uint32_t slot = (uint32_t)one->number & mask;
        for (; slots[slot] != 0 && !same; slot = (slot + 1) & mask)
            if (leat_slice_equal(tokens->tokens[slots[slot] - 1].principal.name, one->name))
                same = &tokens->tokens[slots[slot] - 1];
        slots[slot] = i + 1;
        p->line = tokens->tokens[i].line;
    }
    free(slots);
    if (!same)
        return 0;
    leat_fail(p->error, "\"%.*s\" is already the name of line %u (each name once)",
              (int)same->principal.name.size, same->principal.name.data, same->line);
    return fail_line(p);
}

static int make_index(parser *p)
{
    leat_tokens *tokens = p->tokens;
    tokens->slot_count = 4;
    while (tokens->slot_count < 2 * tokens->count)
        tokens->slot_count *= 2;
    tokens->slots = leat_must_calloc(tokens->slot_count, sizeof *tokens->slots);
    if (check_unique_names(p) != 0)
        return -1;
    for (uint32_t i = 0; i < tokens->count; i++) {
        uint32_t slot, same = find(tokens, &tokens->tokens[i].digest, &slot);
        if (same != 0) {
            p->line = tokens->tokens[i].line;
            leat_fail(p->error, "the token is that of line %u (each token once)",
                      tokens->tokens[same - 1].line);
            return fail_line(p);
        }
        tokens->slots[slot] = i + 1;
    }
    return 0;
}

static int read_lines(parser *p, size_t size)
{
    const char *at = p->tokens->text, *end = at + size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        p->line++;
        if (read_line(p, (leat_slice){at, (size_t)(stop - at)}) != 0)
            return -1;
        at = newline ? newline + 1 : end;
    }
    return make_index(p);
}

leat_tokens *leat_tokens_read(const char *file, leat_slice text, leat_error *error)
{
    leat_tokens *tokens = leat_must_calloc(1, sizeof *tokens);
    parser p = {file, 0, tokens, error};
    tokens->text = leat_must_calloc(text.size + 1, 1);
    memcpy(tokens->text, text.data, text.size);
    if (read_lines(&p, text.size) == 0)
        return tokens;
    leat_tokens_free(tokens);
    return NULL;
}

void leat_tokens_free(leat_tokens *tokens)
{
    if (!tokens)
        return;
    free(tokens->tokens);
    free(tokens->slots);
    free(tokens->text);
    free(tokens);
}

uint32_t leat_tokens_count(const leat_tokens *tokens)
{
    return tokens->count;
}

uint32_t leat_tokens_without_route(const leat_tokens *tokens, const char *const *routes,
                                   uint32_t route_count, leat_slice *ret_name,
                                   leat_slice *ret_scope)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < tokens->count; i++) {
        const leat_principal *one = &tokens->tokens[i].principal;
        leat_slice scope = leat_scopes_without_route(one->scopes, routes, route_count);
        if (scope.size == 0 || count++ > 0)
            continue;
        *ret_name = one->name;
        *ret_scope = scope;
    }
    return count;
}

const leat_principal *leat_tokens_find(const leat_tokens *tokens, const leat_digest *digest)
{
    uint32_t slot, found = find(tokens, digest, &slot);
    return found ? &tokens->tokens[found - 1].principal : NULL;
}
