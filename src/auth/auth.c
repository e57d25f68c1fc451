/*
 * auth.c - a set is read whole before it is published, so a half-written file or a typing error
 * locks nobody out: the old set stays. The table of verified tokens has rows of four places, as a
 * processor's cache has; a row that is full gives up the token that was asked for longest ago. It
 * is emptied with the set it was filled by: a key that was taken away must not go on to be good.
 */
#include "auth/auth.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pages.h"

enum { ROWS = 512, WAYS = 4 };

typedef struct auth_set {
    _Atomic uint32_t holders;
    leat_tokens *tokens; /* NULL: none are configured */
    leat_jwt_keys *keys; /* likewise */
} auth_set;

struct leat_auth {
    leat_auth_config config;
    pthread_mutex_t mutex; /* of `set` */
    auth_set *set;
    _Atomic uint32_t version;
};

typedef struct verified {
    leat_digest digest;
    bool is_used;
    uint64_t asked; /* the checker's count of questions, then */
    leat_principal principal;
} verified;

struct leat_auth_checker {
    leat_auth *auth;
    auth_set *set;
    uint32_t version;
    uint64_t asked;
    uint64_t verified;
    verified table[ROWS][WAYS];
};

/* ---- sets ---- */

static void drop(auth_set *set)
{
    if (!set || atomic_fetch_sub(&set->holders, 1) > 1)
        return;
    leat_tokens_free(set->tokens);
    leat_jwt_keys_free(set->keys);
    free(set);
}

static int read_file(const char *name, size_t max, leat_buf *out, leat_error *error)
{
    char piece[16384];
    size_t size;
    FILE *file = fopen(name, "re");
    if (!file)
        return leat_fail(error, "%s: cannot be read: %s", name, strerror(errno));
    while (out->size <= max && (size = fread(piece, 1, sizeof piece, file)) > 0)
        leat_buf_append(out, piece, size);
    bool is_broken = ferror(file) != 0;
    fclose(file);
    if (is_broken || out->failed)
        return leat_fail(error, "%s: cannot be read", name);
    return out->size <= max ? 0 : leat_fail(error, "%s: has more than %zu bytes", name, max);
}

static leat_slice content(const leat_buf *buf)
{
    return (leat_slice){buf->size > 0 ? buf->data : "", buf->size};
}

static int fill_set(const leat_auth_config *config, auth_set *set, leat_buf *room,
                    leat_error *error)
{
    if (config->tokens_file) {
        if (read_file(config->tokens_file, LEAT_TOKENS_FILE_MAX, room, error) != 0)
            return -1;
        set->tokens = leat_tokens_read(config->tokens_file, content(room), error);
        if (!set->tokens)
            return -1;
    }
    leat_buf_clear(room);
    if (config->jwt_keys_file) {
        if (read_file(config->jwt_keys_file, LEAT_JWT_KEYS_FILE_MAX, room, error) != 0)
            return -1;
        set->keys = leat_jwt_keys_read(config->jwt_keys_file, content(room), error);
        if (!set->keys)
            return -1;
    }
    return 0;
}

static auth_set *read_set(const leat_auth_config *config, leat_error *error)
{
    leat_buf room = {0};
    auth_set *set = leat_must_calloc(1, sizeof *set);
    atomic_init(&set->holders, 1);
    int result = fill_set(config, set, &room, error);
    leat_buf_free(&room);
    if (result == 0)
        return set;
    drop(set);
    return NULL;
}

leat_auth *leat_auth_new(const leat_auth_config *config, leat_error *error)
{
    LEAT_ASSERT(config->tokens_file || config->jwt_keys_file);
    LEAT_ASSERT(!config->jwt_keys_file || config->jwt.scope_claim);
    auth_set *set = read_set(config, error);
    if (!set)
        return NULL;
    leat_auth *auth = leat_must_calloc(1, sizeof *auth);
    auth->config = *config;
    pthread_mutex_init(&auth->mutex, NULL);
    auth->set = set;
    atomic_init(&auth->version, 1);
    return auth;
}

int leat_auth_reload(leat_auth *auth, leat_error *error)
{
    auth_set *set = read_set(&auth->config, error);
    if (!set)
        return -1;
    pthread_mutex_lock(&auth->mutex);
    auth_set *before = auth->set;
    auth->set = set;
    atomic_fetch_add(&auth->version, 1);
    pthread_mutex_unlock(&auth->mutex);
    drop(before);
    return 0;
}

const leat_tokens *leat_auth_tokens(const leat_auth *auth)
{
    return auth->set->tokens;
}

void leat_auth_free(leat_auth *auth)
{
    if (!auth)
        return;
    drop(auth->set);
    pthread_mutex_destroy(&auth->mutex);
    free(auth);
}

/* ---- the checker ---- */

static void forget(verified *entry)
{
    leat_buf_free(&entry->principal.text);
    entry->is_used = false;
}

static void forget_all(leat_auth_checker *checker)
{
    for (uint32_t i = 0; i < ROWS; i++)
        for (uint32_t k = 0; k < WAYS; k++)
            forget(&checker->table[i][k]);
}

bool leat_auth_is_current(const leat_auth_checker *checker)
{
    return atomic_load_explicit(&checker->auth->version, memory_order_acquire) == checker->version;
}

static void follow(leat_auth_checker *checker)
{
    leat_auth *auth = checker->auth;
    if (leat_auth_is_current(checker))
        return;
    forget_all(checker);
    drop(checker->set);
    pthread_mutex_lock(&auth->mutex);
    checker->set = auth->set;
    checker->version = atomic_load(&auth->version);
    atomic_fetch_add(&checker->set->holders, 1);
    pthread_mutex_unlock(&auth->mutex);
}

leat_auth_checker *leat_auth_checker_new(leat_auth *auth)
{
    leat_auth_checker *checker = leat_must_pages(1, sizeof *checker); /* most places stay empty */
    checker->auth = auth;
    return checker;
}

void leat_auth_checker_free(leat_auth_checker *checker)
{
    if (!checker)
        return;
    forget_all(checker);
    drop(checker->set);
    leat_pages_free(checker, sizeof *checker);
}

static verified *row_of(leat_auth_checker *checker, const leat_digest *digest)
{
    return checker->table[leat_digest_number(digest) % ROWS];
}

/* NULL: it is not remembered, or has expired meanwhile. */
static verified *find(leat_auth_checker *checker, const leat_digest *digest, int64_t now_s)
{
    verified *row = row_of(checker, digest);
    for (uint32_t i = 0; i < WAYS; i++) {
        if (!row[i].is_used || !leat_digest_equal(&row[i].digest, digest))
            continue;
        if (now_s < row[i].principal.expires_s)
            return &row[i];
        forget(&row[i]);
    }
    return NULL;
}

/* Takes the principal. */
static verified *keep(leat_auth_checker *checker, const leat_digest *digest,
                      const leat_principal *principal)
{
    verified *row = row_of(checker, digest), *place = row;
    for (uint32_t i = 0; i < WAYS && place->is_used; i++)
        if (!row[i].is_used || row[i].asked < place->asked)
            place = &row[i];
    forget(place);
    *place = (verified){.digest = *digest, .is_used = true, .principal = *principal};
    return place;
}

static const leat_principal *check_jwt(leat_auth_checker *checker, leat_slice token,
                                       const leat_digest *digest, int64_t now_s,
                                       const char **ret_why)
{
    verified *entry = find(checker, digest, now_s);
    if (!entry) {
        leat_principal principal = {0};
        checker->verified++;
        *ret_why = leat_jwt_verify(&checker->auth->config.jwt, checker->set->keys, token, now_s,
                                   &principal);
        if (*ret_why)
            return NULL;
        entry = keep(checker, digest, &principal);
    }
    entry->asked = checker->asked;
    return &entry->principal;
}

const leat_principal *leat_auth_check(leat_auth_checker *checker, leat_slice token, int64_t now_s,
                                      const char **ret_why)
{
    follow(checker);
    checker->asked++;
    if (token.size == 0 || token.size > LEAT_JWT_SIZE_MAX) {
        *ret_why = token.size ? "the token is too long" : "the token is empty";
        return NULL;
    }
    leat_digest digest = leat_digest_of(token);
    const leat_principal *found =
        checker->set->tokens ? leat_tokens_find(checker->set->tokens, &digest) : NULL;
    if (found)
        return found;
    if (checker->set->keys && (!checker->set->tokens || leat_jwt_is_form(token)))
        return check_jwt(checker, token, &digest, now_s, ret_why);
    *ret_why = "the token is not known here";
    return NULL;
}

uint64_t leat_auth_verified(const leat_auth_checker *checker)
{
    return checker->verified;
}
