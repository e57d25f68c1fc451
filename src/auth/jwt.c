/*
 * jwt.c - one token: the header says which key, the key says which algorithm, the signature is
 * checked over the bytes as they came, and only then are the claims parsed at all. Every step
 * returns the reason why the token is refused, so none can be passed by forgetting to ask.
 */
#include "auth/jwt.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <yyjson.h>

#include "base/base64url.h"
#include "auth/digest.h"

/* Larger times would not fit a double without loss. */
#define TIME_MAX_S 9007199254740992.0

typedef struct parts {
    leat_slice header, claims, signature; /* base64url */
    leat_slice is_signed;                 /* header and claims with the dot between them */
} parts;

static bool split(leat_slice token, parts *ret)
{
    const char *end = token.data + token.size;
    const char *first = token.size ? memchr(token.data, '.', token.size) : NULL;
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return false;
    ret->header = (leat_slice){token.data, (size_t)(first - token.data)};
    ret->claims = (leat_slice){first + 1, (size_t)(second - first - 1)};
    ret->signature = (leat_slice){second + 1, (size_t)(end - second - 1)};
    ret->is_signed = (leat_slice){token.data, (size_t)(second - token.data)};
    return true;
}

bool leat_jwt_is_form(leat_slice token)
{
    parts unused;
    return split(token, &unused);
}

/* ---- JSON ---- */

/* Of two members of one name each reader may take another. */
static bool has_name_twice(yyjson_val *object)
{
    size_t i, count, k, count_again;
    yyjson_val *name, *value, *other, *other_value;
    yyjson_obj_foreach(object, i, count, name, value)
    {
        yyjson_obj_foreach(object, k, count_again, other, other_value)
        {
            if (k < i && yyjson_get_len(name) == yyjson_get_len(other) &&
                memcmp(yyjson_get_str(name), yyjson_get_str(other), yyjson_get_len(name)) == 0)
                return true;
        }
    }
    return false;
}

/* An object; NULL: it is none. */
static yyjson_doc *read_object(leat_slice text)
{
    leat_buf json = {0};
    yyjson_doc *doc = NULL;
    if (leat_base64url_decode(text, &json))
        doc = yyjson_read(json.data, json.size, 0);
    leat_buf_free(&json);
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (yyjson_is_obj(root) && yyjson_obj_size(root) <= LEAT_JWT_MEMBERS_MAX &&
        !has_name_twice(root))
        return doc;
    yyjson_doc_free(doc);
    return NULL;
}

static leat_slice slice_of(yyjson_val *text)
{
    return (leat_slice){yyjson_get_str(text), yyjson_get_len(text)};
}

static bool is_text(yyjson_val *value, const char *wanted)
{
    return yyjson_is_str(value) && leat_slice_is(slice_of(value), wanted);
}

/* ---- header ---- */

static const char *find_key(const leat_jwt_keys *keys, yyjson_val *header,
                            const leat_jwt_key **ret_key)
{
    yyjson_val *kid = yyjson_obj_get(header, "kid");
    if (yyjson_obj_get(header, "crit"))
        return "the token has extensions (crit) that are not known here";
    if (kid && !yyjson_is_str(kid))
        return "the token's kid is not a text";
    *ret_key = leat_jwt_keys_find(keys, kid ? slice_of(kid) : (leat_slice){NULL, 0});
    if (!*ret_key)
        return kid ? "no key has the token's kid"
                   : "the token has no kid, and there are several keys";
    if (!is_text(yyjson_obj_get(header, "alg"), leat_jwt_key_algorithm(*ret_key)))
        return "the token's alg is not the one of its key";
    return NULL;
}

static const char *check_signature(const leat_jwt_keys *keys, const parts *of)
{
    const leat_jwt_key *key = NULL;
    leat_buf signature = {0};
    yyjson_doc *header = read_object(of->header);
    if (!header)
        return "the token's header is not a JSON object";
    const char *fault = find_key(keys, yyjson_doc_get_root(header), &key);
    yyjson_doc_free(header);
    if (!fault &&
        (!leat_base64url_decode(of->signature, &signature) ||
         !leat_jwt_key_verifies(key, of->is_signed, (leat_slice){signature.data, signature.size})))
        fault = "the token's signature is wrong";
    leat_buf_free(&signature);
    return fault;
}

/* ---- claims ---- */

/* Rounded down; false: it is no number, or no time. */
static bool read_time(yyjson_val *value, int64_t *ret_s)
{
    double seconds = yyjson_get_num(value);
    if (!yyjson_is_num(value) || !(seconds >= 0) || seconds > TIME_MAX_S)
        return false;
    *ret_s = (int64_t)floor(seconds);
    return true;
}

static const char *check_times(const leat_jwt_rules *rules, yyjson_val *claims, int64_t now_s,
                               int64_t *ret_expires_s)
{
    int64_t from_s = 0, expires_s;
    yyjson_val *not_before = yyjson_obj_get(claims, "nbf"), *end = yyjson_obj_get(claims, "exp");
    if (!end)
        return "the token has no exp, and would be good for ever";
    if (!read_time(end, &expires_s) || (not_before && !read_time(not_before, &from_s)))
        return "the token's exp or nbf is not a time";
    *ret_expires_s = expires_s + rules->leeway_s;
    if (now_s >= *ret_expires_s)
        return "the token has expired";
    return now_s + rules->leeway_s < from_s ? "the token is not good yet (nbf)" : NULL;
}

static bool is_for(yyjson_val *audience, const char *wanted)
{
    size_t i, count;
    yyjson_val *one;
    if (!yyjson_is_arr(audience))
        return is_text(audience, wanted);
    yyjson_arr_foreach(audience, i, count, one)
    {
        if (is_text(one, wanted))
            return true;
    }
    return false;
}

static const char *check_parties(const leat_jwt_rules *rules, yyjson_val *claims)
{
    yyjson_val *audience = yyjson_obj_get(claims, "aud");
    if (rules->issuer && !is_text(yyjson_obj_get(claims, "iss"), rules->issuer))
        return "the token's iss is not the configured issuer";
    if (rules->audience && !is_for(audience, rules->audience))
        return "the token's aud does not have the configured audience";
    return audience && !rules->audience ? "the token has an aud, and no audience is configured here"
                                        : NULL;
}

/* Appends a text, or a whole number as one. False: it is neither, or is empty. */
static bool add_name(leat_buf *out, yyjson_val *value)
{
    if (yyjson_is_str(value))
        leat_buf_slice(out, slice_of(value));
    else if (yyjson_is_uint(value))
        leat_buf_uint(out, yyjson_get_uint(value));
    else if (yyjson_is_sint(value))
        leat_buf_printf(out, "%lld", (long long)yyjson_get_sint(value));
    return yyjson_is_str(value) ? yyjson_get_len(value) > 0 : yyjson_is_int(value);
}

static bool add_scopes(leat_buf *out, yyjson_val *value)
{
    size_t i, count;
    yyjson_val *word;
    if (!value || yyjson_is_str(value)) {
        leat_buf_slice(out, value ? slice_of(value) : (leat_slice){"", 0});
        return true;
    }
    if (!yyjson_is_arr(value))
        return false;
    yyjson_arr_foreach(value, i, count, word)
    {
        if (!yyjson_is_str(word))
            return false;
        leat_buf_slice(out, slice_of(word));
        leat_buf_byte(out, ' ');
    }
    return true;
}

/* All of one text, because appending moves it. */
static const char *read_principal(const leat_jwt_rules *rules, yyjson_val *claims,
                                  leat_principal *ret)
{
    leat_buf *text = &ret->text;
    yyjson_val *subject = yyjson_obj_get(claims, "sub");
    if (subject && !add_name(text, subject))
        return "the token's sub is not a name";
    size_t tenant_at = text->size;
    if (rules->tenant_claim && !add_name(text, yyjson_obj_get(claims, rules->tenant_claim)))
        return "the token does not name its tenant";
    size_t scopes_at = text->size;
    if (!add_scopes(text, yyjson_obj_get(claims, rules->scope_claim)))
        return "the token's scopes are neither a text nor a list of texts";
    leat_buf_byte(text, '\0');
    if (text->failed)
        return "there is no memory to read the token";
    ret->name = (leat_slice){text->data, tenant_at};
    ret->tenant = (leat_slice){text->data + tenant_at, scopes_at - tenant_at};
    ret->scopes = (leat_slice){text->data + scopes_at, text->size - 1 - scopes_at};
    return NULL;
}

/* Each tenant gives its own names, and where there is no name nobody else is meant by it. */
static uint64_t number_of(const leat_principal *who, leat_slice token)
{
    leat_digest digest;
    if (who->name.size > 0)
        return leat_hash_seeded(who->tenant, leat_hash_seeded(who->name, 2));
    digest = leat_digest_of(token);
    return leat_digest_number(&digest);
}

static const char *read_claims(const leat_jwt_rules *rules, leat_slice text, int64_t now_s,
                               leat_principal *ret)
{
    yyjson_doc *doc = read_object(text);
    if (!doc)
        return "the token's claims are not a JSON object";
    yyjson_val *claims = yyjson_doc_get_root(doc);
    const char *fault = check_times(rules, claims, now_s, &ret->expires_s);
    if (!fault)
        fault = check_parties(rules, claims);
    if (!fault)
        fault = read_principal(rules, claims, ret);
    yyjson_doc_free(doc);
    return fault;
}

const char *leat_jwt_verify(const leat_jwt_rules *rules, const leat_jwt_keys *keys,
                            leat_slice token, int64_t now_s, leat_principal *ret)
{
    parts of;
    leat_principal found = {0};
    if (token.size > LEAT_JWT_SIZE_MAX)
        return "the token is too long";
    if (!split(token, &of))
        return "the token is not a JSON Web Token";
    const char *fault = check_signature(keys, &of);
    if (!fault)
        fault = read_claims(rules, of.claims, now_s, &found);
    if (fault) {
        leat_buf_free(&found.text);
        return fault;
    }
    found.number = number_of(&found, token);
    *ret = found;
    return NULL;
}
